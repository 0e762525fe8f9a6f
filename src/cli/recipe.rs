//! Recipes: the command line of a training, for reproduction.

use std::ffi::OsStr;

/// Returns the command line for the model card, without `--resume`, which does not change the result.
pub fn recipe(args: impl Iterator<Item = impl AsRef<OsStr>>) -> String {
    let typed = args.filter(|arg| arg.as_ref() != "--resume");
    typed.fold("limpid".to_owned(), |line, arg| line + " " + &quote(&arg.as_ref().to_string_lossy()))
}

/// Quotes `text` for a shell.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,@:+%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_can_be_typed_again() {
        let recipe =
            recipe(["train", "--data", "it's mine", "--corruption", r#"{"a": 1}"#, "--resume"].iter());
        assert_eq!(recipe, r#"limpid train --data 'it'\''s mine' --corruption '{"a": 1}'"#);
    }
}
