//! `limpid noise`: measures the noise of your own samples, and lists, shows and removes profiles.

use std::fs;
use std::path::{Path, PathBuf};

use super::content::Forms;
use super::{Config, Error, out, samples};
use crate::corruption::{Corruption, Method, NoiseProfile, Source, Strength};
use crate::dataset::{self, Wanted};
use crate::name::Name;
use crate::registry::{ProfileError, Profiles};
use crate::sample::{Kind, Sample};

const EXAMPLES: &str = "\
Examples:
  limpid noise profile dark.tif -o my-camera          one dark or even frame
  limpid noise profile scene/*.tif -o my-camera       a few repeats of one scene
  limpid noise profile scans/ -o scanner              five or more ordinary noisy samples
  limpid noise profile rest.csv -o sensor --kind signal
  limpid noise show my-camera
  limpid train --name clean-scans --samples clean/ --corruption '{\"profile\": {\"name\": \"my-camera\"}}'
        clean samples, with noise like yours added while training
  limpid train --name scans --samples noisy/ --scheme noisy --corruption '{\"profile\": {\"name\": \"my-camera\"}}'
        noisy samples alone, recorrupted with noise like theirs";

/// Measure the noise of your own samples, to train with it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Measure a profile and store it in the data folder, or in a file.
    Profile {
        /// Samples: files, folders or archives.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Name of the profile, or a file that ends in .json.
        #[arg(short, long, value_name = "NAME")]
        output: String,
        /// flat (even or dark frames), repeats (of one scene) or noisy (ordinary samples) [default: found out].
        #[arg(long, value_name = "METHOD", value_enum)]
        method: Option<Method>,
        /// image or signal: how arrays and tables are read [default: by their extents; tables are signals].
        #[arg(long, value_name = "KIND", value_parser = super::train::word::<Kind>)]
        kind: Option<Kind>,
        #[command(flatten)]
        forms: Forms,
    },
    /// List the names of all profiles.
    List,
    /// Show a profile as JSON.
    Show {
        /// Its name.
        name: Name,
    },
    /// Remove a profile.
    Remove {
        /// Its name.
        name: Name,
    },
}

/// Runs the command.
///
/// # Errors
/// The samples cannot be measured, the profile does not exist, or the data folder cannot be read or written.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let profiles = Profiles::of(&config.models.data_dir);
    let missing =
        |name: &Name| Error::Failed(format!("there is no noise profile {name}; see limpid noise list"));
    match args.action {
        Action::Profile { paths, output, method, kind, forms } => {
            // Rows of vectors hold no neighbours, so a table holds a signal unless the kind is stated.
            let is_table =
                |path: &Path| path.extension().is_some_and(|e| ["csv", "tsv", "txt"].iter().any(|t| e == *t));
            let kind = kind.or(paths.iter().all(|path| is_table(path)).then_some(Kind::Signal));
            let wanted = Wanted { kind, channels: None, gaps: forms.rule(), order: forms.layout() };
            let dataset = samples::gather(&paths, &config.limits, wanted)?;
            samples::describe(&dataset, |line| eprintln!("{line}"));
            let all: Vec<&Sample> =
                dataset.items.iter().map(|item| item.noisy.as_ref().unwrap_or(&item.clean)).collect();
            let profile = dataset::measure_profile(&all, method).map_err(|e| Error::Failed(e.to_string()))?;
            let place = store(&profiles, &output, &profile)?;
            out(&format!("{}stored as {place}\n", told(&profile)))
        }
        Action::List => out(&profiles.list()?.iter().map(|name| format!("{name}\n")).collect::<String>()),
        Action::Show { name } => {
            let profile = profiles.get(&name)?.ok_or_else(|| missing(&name))?;
            out(&format!("{:#}\n", serde_json::json!(profile)))
        }
        Action::Remove { name } => match profiles.remove(&name)? {
            true => out(&format!("{name} is removed\n")),
            false => Err(missing(&name)),
        },
    }
}

/// Stores a profile under a name or in a file, and returns the place.
fn store(profiles: &Profiles, output: &str, profile: &NoiseProfile) -> Result<String, Error> {
    if output.ends_with(".json") {
        let text = serde_json::to_vec(profile).map_err(|e| Error::Failed(e.to_string()))?;
        let path = Path::new(output);
        fs::write(path, text).map_err(Error::io(path))?;
        return Ok(output.to_owned());
    }
    let name: Name = output.parse().map_err(|e: crate::name::Error| Error::Usage(e.to_string()))?;
    profiles.put(&name, profile)?;
    Ok(name.to_string())
}

/// Describes a profile.
fn told(profile: &NoiseProfile) -> String {
    let Source { method, samples, notes } = &profile.source;
    let mut text = format!("noise of {samples} {}(s), measured as {method:?}\n", profile.kind).to_lowercase();
    for (c, Strength { shot, read, rows, columns, .. }) in profile.channels.iter().enumerate() {
        text += &format!(
            "channel {c}: variance {shot:.3e} x + {read:.3e}, rows {rows:.3e}, columns {columns:.3e}\n"
        );
    }
    let correlation = &profile.correlation;
    text += &format!(
        "correlation of neighbours {:.2} down, {:.2} to the right; excess kurtosis {:.2}\n",
        correlation.at(1, 0),
        correlation.at(0, 1),
        profile.marginal.kurtosis
    );
    notes.iter().for_each(|note| text += &format!("note: {note}\n"));
    text
}

/// Puts the stored profiles that a corruption names in place of their names.
///
/// # Errors
/// A profile cannot be read.
pub(super) fn resolve(corruption: Option<&mut Corruption>, config: &Config) -> Result<(), Error> {
    let Some(corruption) = corruption else { return Ok(()) };
    let profiles = Profiles::of(&config.models.data_dir);
    if let Some(name) = corruption.profile().filter(|p| p.noise.is_none()).and_then(|p| p.name.clone()) {
        profiles.get(&name)?;
    }
    corruption.resolve(&|name| profiles.get(name).ok().flatten());
    Ok(())
}

impl From<ProfileError> for Error {
    fn from(error: ProfileError) -> Self {
        Error::Failed(error.to_string())
    }
}
