//! `limpid models`: lists and shows models, sets the default version, calibrates and removes versions.

use super::place::{self, Place};
use super::{Config, Error, calibrate, out};
use crate::name::{ModelRef, Name};
use crate::registry::{Error as Missing, Registry, Summary};

const EXAMPLES: &str = "\
Examples:
  limpid models list
  limpid models show photo-gray                  the model card and the config
  limpid models default my-scans 2               back to version 2
  limpid models calibrate my-scans --samples clean-scans/
        intervals for limpid denoise --predict
  limpid models remove my-scans@3
  limpid models list --models DIR --json";

/// List, show, promote, calibrate and remove models.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List all models with their versions and inputs; the default version is marked.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show the model card and the config of a version.
    Show {
        /// NAME or NAME@VERSION.
        model: ModelRef,
        /// Print only the config, as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Set the default version, which serves requests that name no version.
    Default {
        /// Name of the model.
        name: Name,
        /// Number of the version.
        version: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Measure how far the predicted quality (denoise --predict) is from the truth, and keep it in the version's config.
    Calibrate(calibrate::Args),
    /// Remove a trained version.
    Remove {
        /// NAME@VERSION.
        model: ModelRef,
        #[command(flatten)]
        place: Place,
    },
}

/// Runs the command.
///
/// # Errors
/// The model or version does not exist, or the folder cannot be read or written.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    match args.action {
        Action::List { json, place } => list(&place.open(config)?, json),
        Action::Show { model, json, place } => show(&place.open(config)?, &model, json),
        Action::Default { name, version, place } => {
            let registry = place.open_to_write(config)?;
            registry.set_default(&name, version, None).map_err(|e| explain(&registry, e))?;
            out(&format!("{name} now means version {version}\n"))
        }
        Action::Calibrate(args) => calibrate::run(&args, config),
        Action::Remove { model, place } => {
            let version = model.version.ok_or_else(|| {
                Error::Usage(format!("say which version to remove: {model}@VERSION (limpid models list)"))
            })?;
            let registry = place.open_to_write(config)?;
            registry.remove(&model.name, version).map_err(|e| explain(&registry, e))?;
            out(&format!("{model} is removed\n"))
        }
    }
}

fn list(registry: &Registry, json: bool) -> Result<(), Error> {
    let (models, damaged) = (registry.list(), registry.quarantined());
    if json {
        let damaged: Vec<_> =
            damaged.iter().map(|(id, reason)| serde_json::json!({"id": id, "reason": reason})).collect();
        return out(&format!("{:#}\n", serde_json::json!({ "models": models, "damaged": damaged })));
    }
    for (id, reason) in &damaged {
        eprintln!("damaged: {id}: {reason}");
    }
    if models.is_empty() {
        eprintln!("there are no models here; `limpid train` makes them, --models DIR says where they are");
    }
    out(&models.iter().map(line).collect::<String>())
}

/// Formats a line such as `photo-gray  1 2* 3  images with 1 channel(s)`.
fn line(model: &Summary) -> String {
    let mark = |v: &u32| if Some(*v) == model.default { format!("{v}*") } else { v.to_string() };
    let versions: Vec<String> = model.versions.iter().map(mark).collect();
    let takes = match &model.input.fixed {
        Some(shape) => shape.to_string(),
        None => format!("{}s with {} channel(s)", model.input.kind, model.input.channels),
    };
    format!("{:<24} {:<16} {takes}\n", model.name.as_str(), versions.join(" "))
}

fn show(registry: &Registry, model: &ModelRef, json: bool) -> Result<(), Error> {
    let (manifest, card) = registry.card(model).map_err(|e| explain(registry, e))?;
    let config = serde_json::to_string_pretty(&manifest).map_err(|e| Error::Failed(e.to_string()))?;
    if json {
        out(&format!("{config}\n"))
    } else {
        out(&format!("{card}\n## config.json\n\n```json\n{config}\n```\n"))
    }
}

fn explain(registry: &Registry, error: Missing) -> Error {
    match error {
        Missing::ModelNotFound(name) => Error::Failed(place::missing(registry, &name)),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Input;
    use crate::sample::Kind;

    #[test]
    fn the_version_that_serves_is_marked() {
        let input = Input { kind: Kind::Image, channels: 1, fixed: None };
        let name = "scans".parse().unwrap();
        let model = Summary {
            name,
            default: Some(2),
            versions: vec![1, 2, 3],
            quarantined: Vec::new(),
            kept_back: Vec::new(),
            revision: 0,
            input,
            rate: None,
            is_bundled: false,
        };
        let words: Vec<String> = line(&model).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["scans", "1", "2*", "3", "images", "with", "1", "channel(s)"]);
    }
}
