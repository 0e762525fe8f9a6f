//! Configuration: merged from flags, environment, file and defaults.
//!
//! In order of precedence: flags, `LIMPID_SECTION__KEY` in the environment, the TOML file, the defaults. An unknown key is
//! an error in every source.

pub(super) mod command;
mod layer;
mod meaning;
mod print;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use layer::{Layer, typed};

use print::print;

use crate::api::{self, keys};
use crate::db;
use crate::engine;
use crate::job;
use crate::limits::Limits;
use crate::store::backup;

/// File that is read if none is named.
const FILE: &str = "limpid.toml";

/// Prefix of the environment variables.
const PREFIX: &str = "LIMPID_";

/// All settings of Limpid.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Settings)]
pub struct Config {
    /// Number of cores to use; by default all that are available to the process.
    pub threads: Option<usize>,
    /// HTTP server.
    pub server: api::Config,
    /// Concurrency and memory of inference.
    pub engine: engine::Config,
    /// Limits of requests.
    pub limits: Limits,
    /// Training jobs.
    pub jobs: job::Config,
    /// Database of jobs and trained models.
    pub database: db::Config,
    /// Folders of models and data.
    pub models: Models,
    /// Logs.
    pub log: Log,
}

/// Folders of models and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ModelSettings)]
pub struct Models {
    /// Folder of the bundled models, read-only; `none` for no bundled models.
    #[schema(value_type = String)]
    pub dir: PathBuf,
    /// Folder for data: trained models in `models/`, uploaded samples, checkpoints, jobs in `limpid.db`, API keys in
    /// `keys.jsonl`. If empty, nothing is stored.
    #[schema(value_type = String)]
    pub data_dir: PathBuf,
}

impl Default for Models {
    fn default() -> Self {
        Self { dir: "models".into(), data_dir: "data".into() }
    }
}

impl Models {
    /// Returns `true` if the configuration asks for no bundled models.
    pub fn is_none(&self) -> bool {
        self.dir.as_os_str() == "none"
    }
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = LogSettings)]
pub struct Log {
    /// Format: text or JSON.
    pub format: LogFormat,
    /// Level or filter: `error`, `warn`, `info`, `debug`, `trace`, or for example `info,limpid::api=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// Format of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// A setting, for the documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its key with dots, such as `server.bind`.
    pub key: String,
    /// Its default as TOML writes it; none where it is not set.
    pub default: Option<String>,
    /// Its meaning, in one line.
    pub meaning: String,
}

/// Every setting, in the order of its key.
pub fn settings() -> Vec<Setting> {
    let known = known();
    let mut meanings = meaning::meanings();
    let setting = |key: String| {
        let default = layer::find(&known, &key).and_then(print::written);
        let meaning = meanings.remove(&key).unwrap_or_default();
        Setting { key, default, meaning }
    };
    layer::keys(&known).into_iter().map(setting).collect()
}

/// Every setting with its default, section by section.
fn known() -> Dict {
    Value::serialize(Config::default()).ok().and_then(Value::into_dict).unwrap_or_default()
}

/// Error in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is unknown.
    #[error("{origin}: there is no setting {key:?}{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// File, variable or flag.
        origin: String,
        /// Key as given.
        key: String,
        /// Most similar known key.
        nearest: Option<String>,
    },
    /// The value does not fit its key.
    #[error("{origin}: {key}: {reason}")]
    Value {
        /// File, variable or flag.
        origin: String,
        /// Key.
        key: String,
        /// Description of the problem.
        reason: String,
    },
    /// The file does not exist or is not TOML.
    #[error("{path}: {reason}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Description of the problem.
        reason: String,
    },
}

fn did_you_mean(key: Option<&str>) -> String {
    key.map(|key| format!("; did you mean {key:?}?")).unwrap_or_default()
}

/// A flag that sets a key: `("--bind", "server.bind", "0.0.0.0:8080")`.
pub(super) type Flag = (&'static str, &'static str, String);

/// Configuration with the origin of every value.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    figment: Figment,
}

/// Merges the configuration from its sources.
///
/// `file` is the one named by `--config`; without it `limpid.toml` is read if it exists. `env` is the environment, of which
/// only variables that begin with `LIMPID_` are used.
///
/// # Errors
/// A key is unknown, a value does not fit, or the named file does not exist.
pub(super) fn load(
    flags: &[Flag],
    env: impl IntoIterator<Item = (String, String)>,
    file: Option<&Path>,
) -> Result<Loaded, Error> {
    let known = known();
    let mut figment = Figment::from(Serialized::defaults(Config::default()));

    let is_there = |path: &&Path| path.is_file();
    if let Some(path) = file.or(Some(Path::new(FILE)).filter(is_there)) {
        figment = figment.merge(read_file(path, &known)?);
    }
    let mut variables: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        match Layer::one(name.clone(), &key, &text, &known) {
            // Kubernetes sets these variables in every pod of a namespace that has a Service with a name beginning with limpid.
            Err(Error::Unknown { .. }) if is_service_link(&name) => {}
            layer => figment = figment.merge(layer?),
        }
    }
    for (flag, key, text) in flags {
        figment = figment.merge(Layer::one((*flag).to_owned(), key, text, &known)?);
    }
    let config = figment.extract().map_err(|error| explain(&figment, error))?;
    Ok(Loaded { config, figment })
}

/// Returns `true` for the variables that Kubernetes sets for a Service: `{NAME}_SERVICE_HOST`,
/// `{NAME}_SERVICE_PORT[_{PORT}]`, `{NAME}_PORT`, `{NAME}_PORT_{N}_{TCP|UDP|SCTP}[_{PROTO|PORT|ADDR}]`.
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        let number =
            parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let protocol = parts.next().is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
        let last = parts.next().is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
        number && protocol && last && parts.next().is_none()
    };
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || name.ends_with("_PORT")
            || name.split_once("_PORT_").is_some_and(|(_, rest)| is_port(rest)))
}

fn read_file(path: &Path, known: &Dict) -> Result<Layer, Error> {
    let wrong = |reason: String| Error::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let dict: Dict = Toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let origin = path.display().to_string();
    let dict = typed(&origin, "", dict, known)?;
    Ok(Layer { origin, dict })
}

/// Adds the origin of the value to an error of the library.
fn explain(figment: &Figment, error: figment::Error) -> Error {
    let key = error.path.join(".");
    let metadata = figment.find_metadata(&key).or(error.metadata.as_ref());
    let origin = metadata.map_or_else(|| "default".to_owned(), |m| m.name.to_string());
    Error::Value { origin, key, reason: error.kind.to_string() }
}

impl Config {
    /// Returns the folder of bundled models: the configured one, also relative to the program. If none is configured, the
    /// first that exists of these and of those in the user's and the system's data (XDG Base Directory Specification) and in the
    /// source the program was built from.
    pub fn bundled(&self) -> Option<PathBuf> {
        if self.models.is_none() {
            return None;
        }
        let program = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
        let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        let share = |root: PathBuf| root.join("limpid/models");
        let places =
            [Some(self.models.dir.clone()), program.as_ref().map(|program| program.join(&self.models.dir))];
        let configured = places.into_iter().flatten().find(|dir| dir.is_dir());
        if configured.is_some() || self.models.dir != Models::default().dir {
            return configured;
        }
        let places = [
            program.as_ref().map(|program| share(program.join("../share"))),
            home.map(share),
            Some(share("/usr/local/share".into())),
            Some(share("/usr/share".into())),
            Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models")),
        ];
        places.into_iter().flatten().find(|dir| dir.is_dir())
    }

    /// Returns the folder of trained models.
    pub fn trained(&self) -> Option<PathBuf> {
        self.in_data_dir("models")
    }

    /// Paths of the API keys.
    pub fn keys(&self) -> keys::Source {
        keys::Source {
            file: self.server.keys_file.clone().or_else(|| self.in_data_dir(backup::KEYS)),
            is_configured: self.server.keys_file.is_some(),
            lock: keys::Lock::new(self.in_data_dir(backup::LOCK)),
        }
    }

    /// Returns the file of the SQLite database.
    pub fn database_file(&self) -> Option<PathBuf> {
        self.in_data_dir(backup::DATABASE)
    }

    fn in_data_dir(&self, name: &str) -> Option<PathBuf> {
        let dir = &self.models.data_dir;
        (!dir.as_os_str().is_empty()).then(|| dir.join(name))
    }
}

#[cfg(test)]
mod tests;
