//! `limpid decode`: converts latent files back to samples.

use std::sync::Arc;

use serde_json::Value;

use super::content::{self, Content, Fineness};
use super::files::{self, Made, Work};
use super::place::Place;
use super::workers::Cores;
use super::zoo::Zoo;
use super::{Config, Error};
use crate::codec::{self, Format, JsonLatent, read_latent};
use crate::hex::hex;
use crate::infer::Session;
use crate::limits::Limits;
use crate::name::{ModelId, ModelRef};
use crate::pointer;
use crate::sample::{Kind, Latent, Shape};

const EXAMPLES: &str = "\
Examples:
  limpid decode photo.latent -o photo.png
  limpid decode photo.latent -o photo.npy
        every bit of the numbers, as float
  limpid decode latents/ -o photos/ --format tif --depth 16

The model is the one named in the latent file; another version of it, or other weights, are refused.";

/// Turn latent files back into samples.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    files: files::Args,
    /// Model that made the latents [default: the one named in each file].
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelRef>,
    /// Number format of the result [default: 8 for images, float for arrays].
    #[arg(long, value_enum, value_name = "DEPTH", default_value = "same", hide_default_value = true)]
    depth: Fineness,
    /// png, jpg, tif, webp, pnm, npy, wav or csv [default: by the extension of the output, else png for images, npy].
    #[arg(long, value_name = "FORMAT", value_parser = content::format)]
    format: Option<Format>,
    #[command(flatten)]
    place: Place,
}

/// Decodes every file.
///
/// # Errors
/// The output does not suit the inputs, a model does not exist, or a file failed.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let zoo = Zoo::new(args.place.open(config)?, args.model.clone(), config.server.usual());
    zoo.stated().map_err(Error::Failed)?;
    let format = match (args.format, args.files.stated_extension()) {
        (Some(format), _) => Some(format),
        (None, Some(ending)) => Some(content::format(ending).map_err(Error::Usage)?),
        (None, None) => None,
    };
    let takes = |ending: &str| [Format::Latent.extension(), "json"].contains(&ending);
    let task = Task { args: &args, format, zoo: &zoo, limits: &config.limits };
    args.files.each(config.limits.upload_bytes, takes, &task)
}

/// Settings for all files.
struct Task<'a> {
    args: &'a Args,
    format: Option<Format>,
    zoo: &'a Zoo,
    limits: &'a Limits,
}

impl Task<'_> {
    /// Returns the stated format; without one, PNG for one image and npy for all else.
    fn format(&self, first: Shape, count: usize) -> Format {
        let usual = if first.kind() == Kind::Image && count == 1 { Format::Png } else { Format::Npy };
        self.format.unwrap_or(usual)
    }
}

impl Work for Task<'_> {
    fn extension(&self, bytes: &[u8]) -> Option<&'static str> {
        let latents = read(bytes, self.limits).ok()?;
        Some(self.format(latents.first()?.1.shape, latents.len()).extension())
    }

    fn run(&self, bytes: &[u8], cores: &Cores) -> Result<Made, String> {
        let mut samples = Vec::new();
        let mut model = String::new();
        for (id, latent) in read(bytes, self.limits)? {
            let session = self.args.session(&id, self.zoo)?;
            let decode = || session.decode(&latent);
            samples.push(cores.run(latent.shape.numbers(), decode).map_err(|e| e.to_string())?);
            model = id.to_string();
        }
        let first = samples.first().ok_or("there is no latent in it")?.shape();
        let format = self.format(first, samples.len());
        let fineness = match (self.args.depth, format) {
            (Fineness::Same, Format::Npy | Format::Wav | Format::Csv) => Fineness::Float,
            (Fineness::Same, _) => Fineness::Bits8,
            (stated, _) => stated,
        };
        let content = Content::bare(samples, format);
        content.check(format, fineness)?;
        let bytes = content.write(&content.samples, format, fineness)?;
        Ok(Made { bytes, extension: format.extension(), about: format!("{model}, {first}") })
    }
}

impl Args {
    /// Returns the model that made a latent, after checking its digest.
    fn session(&self, id: &ModelId, zoo: &Zoo) -> Result<Arc<Session>, String> {
        if let Some(stated) = &self.model
            && (stated.name != id.name || stated.version.is_some_and(|v| v != id.version))
        {
            return Err(format!("the latent was made by {id}, not by {stated}; leave --model out"));
        }
        let session = zoo.get(&ModelRef { name: id.name.clone(), version: Some(id.version) })?;
        if session.id().digest != id.digest {
            return Err(format!(
                "the latent was made by {id} with weights {}, the {id} here has weights {}; decode it with \
                 the model that made it",
                short(&id.digest),
                short(&session.id().digest)
            ));
        }
        Ok(session)
    }
}

/// Reads the latents of a file: one, or a JSON list.
fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<(ModelId, Latent)>, String> {
    if Format::sniff(bytes) != Some(Format::Json) {
        return Ok(vec![read_latent(bytes, limits).map_err(|e| e.to_string())?]);
    }
    let json: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let one = |value| {
        let latent = pointer::read::<JsonLatent>(value).map_err(codec::Error::from);
        latent.and_then(|latent| latent.read(limits)).map_err(|e| e.to_string())
    };
    match json {
        Value::Array(list) => list.into_iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// Returns the first 6 bytes of a digest in hexadecimal.
fn short(digest: &[u8; 32]) -> String {
    hex(&digest[..6])
}
