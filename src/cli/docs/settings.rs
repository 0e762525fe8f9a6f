//! The page of settings.

use super::{head, row};
use crate::cli::config;

/// Every setting with its variable, its default and its meaning.
pub fn page() -> String {
    let mut text = "\
# Settings

The first source that names a setting wins: a flag, then the environment (`LIMPID_SECTION__KEY`), then the file (`--config FILE`,
else `limpid.toml` where it exists), then the default. `limpid config print` shows each setting with its value and the source of
it; `limpid config check` reports a key that does not exist. Sizes may be written as `64MiB`, durations as `30s`. Written by
`limpid docs settings`.

"
    .to_owned();
    text += &head(["setting", "variable", "default", "meaning"]);
    for setting in config::settings() {
        let variable = format!("`LIMPID_{}`", setting.key.to_ascii_uppercase().replace('.', "__"));
        let default = setting.default.map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        text += &row([&format!("`{}`", setting.key), &variable, &default, &setting.meaning]);
    }
    text
}
