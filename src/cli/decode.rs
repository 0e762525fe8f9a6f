//! `limpid decode`: latent files back to samples.

use std::sync::Arc;

use serde_json::Value;

use super::content::{self, Content, Fineness};
use super::files::{self, Made};
use super::place::Place;
use super::workers::Cores;
use super::zoo::Zoo;
use super::{Config, Error};
use crate::codec::{self, Format, JsonLatent, read_latent};
use crate::infer::Session;
use crate::limits::Limits;
use crate::name::{ModelId, ModelRef};
use crate::pointer;
use crate::sample::{Kind, Latent};

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
    /// The model that made the latents [default: the one each names].
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelRef>,
    /// How fine the numbers of the result are [default: 8 for images, float for arrays].
    #[arg(long, value_enum, value_name = "DEPTH", default_value = "same", hide_default_value = true)]
    depth: Fineness,
    /// png, jpg, tif, webp, pnm, npy, wav or csv [default: by the ending of the output, else png for images, npy].
    #[arg(long, value_name = "FORMAT", value_parser = content::format)]
    format: Option<Format>,
    #[command(flatten)]
    place: Place,
}

/// Decodes every file.
///
/// # Errors
/// The output does not suit the inputs, a model is not there, or a file failed.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let zoo = Zoo::new(args.place.open(config)?, args.model.clone(), config.server.usual());
    zoo.stated().map_err(Error::Failed)?;
    let format = match (args.format, args.files.stated_extension()) {
        (Some(format), _) => Some(format),
        (None, Some(ending)) => Some(content::format(ending).map_err(Error::Usage)?),
        (None, None) => None,
    };
    let takes = |ending: &str| [Format::Latent.extension(), "json"].contains(&ending);
    args.files.each(config.limits.upload_bytes, takes, |bytes, cores| {
        args.decode(bytes, format, &zoo, &config.limits, cores)
    })
}

impl Args {
    fn decode(
        &self,
        bytes: &[u8],
        format: Option<Format>,
        zoo: &Zoo,
        limits: &Limits,
        cores: &Cores,
    ) -> Result<Made, String> {
        let mut samples = Vec::new();
        let mut model = String::new();
        for (id, latent) in read(bytes, limits)? {
            let session = self.session(&id, zoo)?;
            let decode = || session.decode(&latent);
            samples.push(cores.run(latent.shape.numbers(), decode).map_err(|e| e.to_string())?);
            model = id.to_string();
        }
        let first = samples.first().ok_or("there is no latent in it")?.shape();
        let usual = if first.kind() == Kind::Image && samples.len() == 1 { Format::Png } else { Format::Npy };
        let format = format.unwrap_or(usual);
        let fineness = match (self.depth, format) {
            (Fineness::Same, Format::Npy | Format::Wav | Format::Csv) => Fineness::Float,
            (Fineness::Same, _) => Fineness::Bits8,
            (stated, _) => stated,
        };
        let content = Content::bare(samples, format);
        content.check(format, fineness)?;
        let bytes = content.write(&content.samples, format, fineness)?;
        Ok(Made { bytes, extension: format.extension(), about: format!("{model}, {first}") })
    }

    /// The very model that made a latent.
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

/// The latents of a file: one, or a list of JSON.
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

/// The beginning of a digest, as people compare them.
fn short(digest: &[u8; 32]) -> String {
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
