//! `limpid encode`: converts samples to latent files.

use super::content::{self, Content, Forms};
use super::files::{self, Made, Work};
use super::place::Place;
use super::workers::Cores;
use super::zoo::Zoo;
use super::{Config, Error};
use crate::codec::{Format, JsonLatent, write_latent};
use crate::infer::Session;
use crate::limits::Limits;
use crate::name::ModelRef;

const EXAMPLES: &str = "\
Examples:
  limpid encode photo.png -o photo.latent
  limpid encode photos/ -o latents/ --model photo-gray --ratio 4
        latents of at most a quarter of the numbers
  limpid encode digits.npy -o digits.json --model digits --json
        all samples of an array, as a list

`limpid decode` turns them back; it needs the very model that made them.";

/// Convert samples to latent files.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    files: files::Args,
    /// Model, NAME or NAME@VERSION [default: by the kind of sample].
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelRef>,
    /// Smallest ratio of the sample's size to the latent's [default: the model's own].
    #[arg(long, value_name = "R")]
    ratio: Option<f32>,
    /// Write JSON instead of latent files; required for several samples in one file.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Encodes every file.
///
/// # Errors
/// The output does not suit the inputs, the model does not exist, or a file failed.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let zoo = Zoo::new(args.place.open(config)?, args.model.clone(), config.server.usual());
    let model = zoo.stated().map_err(Error::Failed)?;
    let Args { files, ratio, json, forms, .. } = &args;
    let (ratio, json, model) = (*ratio, *json, model.as_deref());
    let task = Task { ratio, json, forms, zoo: &zoo, model, limits: &config.limits };
    files.each(config.limits.upload_bytes, content::may_hold_samples, &task)
}

/// Settings for all files.
struct Task<'a> {
    ratio: Option<f32>,
    json: bool,
    forms: &'a Forms,
    zoo: &'a Zoo,
    model: Option<&'a Session>,
    limits: &'a Limits,
}

impl Work for Task<'_> {
    fn extension(&self, _: &[u8]) -> Option<&'static str> {
        Some(if self.json { Format::Json.extension() } else { Format::Latent.extension() })
    }

    fn run(&self, bytes: &[u8], cores: &Cores) -> Result<Made, String> {
        let content = Content::read(bytes, self.model, self.forms, self.limits)?;
        let shape = content.samples.first().ok_or("there is no sample in it")?.shape();
        let session = self.zoo.for_shape(shape)?;
        let one = |sample: &_| cores.run(shape.numbers(), || session.encode(sample, self.ratio));
        let latents: Vec<_> =
            content.samples.iter().map(one).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        let numbers = latents[0].numbers();
        let about = format!("{}, {numbers} of {} numbers", session.id(), shape.numbers());
        let (bytes, extension) = match (self.json, latents.as_slice()) {
            (true, [latent]) => (json(&JsonLatent::of(session.id(), latent))?, "json"),
            (true, latents) => {
                let list: Vec<_> =
                    latents.iter().map(|latent| JsonLatent::of(session.id(), latent)).collect();
                (json(&list)?, "json")
            }
            (false, [latent]) => (write_latent(session.id(), latent), Format::Latent.extension()),
            (false, latents) => {
                return Err(format!("holds {} samples, a latent file holds one; use --json", latents.len()));
            }
        };
        Ok(Made { bytes, extension, about })
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|e| e.to_string())
}
