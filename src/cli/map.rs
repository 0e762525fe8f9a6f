//! `limpid map`: draws the map of a version, kept at training or made of given samples.

use std::fs;
use std::path::{Path, PathBuf};

use super::content::Forms;
use super::place::{self, Place};
use super::workers::each;
use super::{Config, Error, out, progress, samples};
use crate::dataset::{Item, Wanted};
use crate::hex::hex;
use crate::infer::{Session, pooled};
use crate::map::{Entry, Map};
use crate::name::ModelRef;

/// Largest count of numbers of the samples on a map.
const BUDGET: usize = 1 << 26;

const EXAMPLES: &str = "\
Examples:
  limpid map my-parts -o parts.svg
        the map kept at training, as SVG, PNG or JSON by the ending; without -o its scores
  limpid map digits --samples t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz -o digits.png
        a map of other samples
  limpid map my-parts --samples parts/ --keep
        keep it beside the version, for GET /models/my-parts/VERSION/map; folders of parts/ are labels";

/// Draw the latents of samples as a map.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model, NAME or NAME@VERSION.
    model: ModelRef,
    /// File to write: .svg, .png or .json.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make the map of these samples: a folder, an archive, an array, or files; at most 1000 are shown.
    #[arg(long, value_name = "PATH")]
    samples: Vec<PathBuf>,
    /// Labels of the samples: an idx file, or one number per line [default: the folders of the samples].
    #[arg(long, value_name = "FILE", requires = "samples")]
    labels: Option<PathBuf>,
    /// Description and licence of the samples.
    #[arg(long, value_name = "TEXT", requires = "samples")]
    data: Option<String>,
    /// Keep the map beside the trained version, in place of an earlier one.
    #[arg(long, requires = "samples")]
    keep: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Format of a drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drawing {
    Svg,
    Png,
    Json,
}

/// Draws the map, or prints its scores.
///
/// # Errors
/// There is no map, the samples do not fit the model, or a file cannot be written.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    let drawing = args.output.as_deref().map(drawing).transpose()?;
    let registry = if args.keep { args.place.open_to_write(config)? } else { args.place.open(config)? };
    let missing = |e| match e {
        crate::registry::Error::ModelNotFound(name) => Error::Failed(place::missing(&registry, &name)),
        other => other.into(),
    };
    let (name, version) = registry.resolve(&args.model).map_err(missing)?;
    let exact = ModelRef { name, version: Some(version) };
    if args.keep {
        registry.check_own(&exact)?;
    }
    let map = if args.samples.is_empty() {
        registry.map(&exact)?.ok_or_else(|| Error::Failed(format!("{exact} {}", Map::NONE_KEPT)))?
    } else {
        args.make(&place::load(&registry, &exact)?, config)?
    };
    if args.keep {
        registry.keep_map(&exact, &map)?;
        eprintln!("the map is kept beside {exact}");
    }
    match (&args.output, drawing) {
        (Some(path), Some(drawing)) => {
            let bytes = match drawing {
                Drawing::Svg => map.svg(&exact.to_string()).into_bytes(),
                Drawing::Png => map.png().map_err(Error::Failed)?,
                Drawing::Json => map.write(),
            };
            fs::write(path, bytes).map_err(Error::io(path))
        }
        _ => out(&map.table()),
    }
}

impl Args {
    /// Makes a map of the given samples.
    fn make(&self, session: &Session, config: &Config) -> Result<Map, Error> {
        let input = session.input();
        let (kind, channels, gaps) = (Some(input.kind), Some(input.channels), self.forms.rule());
        let wanted = Wanted { kind, channels, gaps, order: self.forms.layout() };
        let dataset = samples::gather(&self.samples, &config.limits, wanted)?;
        samples::describe(&dataset, |line| eprintln!("{line}"));
        let labels = samples::labels(self.labels.as_deref(), &dataset, &config.limits)?;
        let label = |at: usize, item: &Item| match labels.get(at) {
            Some(label) => Some(label.clone()),
            None => Some(item.scene()).filter(|folder| !folder.is_empty()).map(str::to_owned),
        };
        let items: Vec<(usize, &Item)> = dataset.items.iter().enumerate().collect();
        let chosen = Map::choose(&items, BUDGET, |(_, item)| item.clean.shape().numbers());
        let bar = progress::files(chosen.len());
        let encode = |_: usize, (_, item): &&(usize, &Item)| session.encode(&item.clean, None);
        let latents = each(&chosen, encode, |_, _| bar.inc(1));
        bar.finish_and_clear();
        let mut entries = Vec::with_capacity(chosen.len());
        for ((at, item), latent) in chosen.into_iter().zip(latents) {
            let latent = latent.map_err(|e| Error::Failed(format!("{}: {e}", item.name)))?;
            let (label, latent) = (label(*at, item), pooled(&latent));
            entries.push(Entry { name: &item.name, label, sample: &item.clean, latent });
        }
        let data = self.data.clone().unwrap_or_else(|| {
            let paths: Vec<String> = self.samples.iter().map(|path| path.display().to_string()).collect();
            format!("{} samples of {}", entries.len(), paths.join(", "))
        });
        Map::build(&entries, hex(session.id().digest), data).map_err(Error::Failed)
    }
}

/// Returns the drawing that a file holds, by its ending.
fn drawing(path: &Path) -> Result<Drawing, Error> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Drawing::Svg),
        Some("png") => Ok(Drawing::Png),
        Some("json") => Ok(Drawing::Json),
        _ => {
            Err(Error::Usage(format!("{}: expected a name that ends in .svg, .png or .json", path.display())))
        }
    }
}
