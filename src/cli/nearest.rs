//! `limpid nearest`: finds the samples whose latents are nearest to those of given ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::content::Forms;
use super::place::{self, Place};
use super::workers::{Cores, each};
use super::{Config, Error, out, progress, samples};
use crate::dataset::{Dataset, Item, Wanted};
use crate::index::{Index, Neighbor};
use crate::infer::{Session, pooled};
use crate::name::{ModelRef, Name};
use crate::registry::{IndexError, Indexes};

const EXAMPLES: &str = "\
Examples:
  limpid nearest digits mine.png --among t10k-images-idx3-ubyte.gz -k 5
        the five most alike of a set, by their latents
  limpid nearest photo-gray part.png --among parts/ --index parts
        the same, and the latents of parts/ are kept in the data folder
  limpid nearest photo-gray other.png --index parts
        searched without reading parts/ again; the service searches it too

An index serves the version that made it alone.";

/// Find the samples nearest to yours, by their latents.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model, NAME or NAME@VERSION.
    model: ModelRef,
    /// Samples whose nearest are looked for: a folder, an archive, an array, or files.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Samples to search; may be given several times.
    #[arg(long, value_name = "PATH", required_unless_present = "index")]
    among: Vec<PathBuf>,
    /// Index to search; with --among it is made, in place of an earlier one.
    #[arg(long, value_name = "NAME")]
    index: Option<Name>,
    /// Number of samples to find for each.
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = count)]
    k: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Searches and prints a table.
///
/// # Errors
/// The model or the index does not exist, the index is of another version, or a sample does not fit the model.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    let session = place::load(&args.place.open(config)?, &args.model)?;
    let indexes = Indexes::of(&config.models.data_dir);
    let index = args.searched(&session, &indexes, config)?;
    let dataset = args.read(&args.paths, &session, config)?;
    let find = |(item, vector): (&Item, Vec<f32>)| {
        let found = index.nearest(&vector, args.k).map_err(IndexError::from).map_err(failed)?;
        Ok((item.name.clone(), found))
    };
    let vectors = vectors(&session, &dataset)?;
    let found: Vec<(String, Vec<Neighbor>)> =
        dataset.items.iter().zip(vectors).map(find).collect::<Result<_, Error>>()?;
    if args.json {
        let one = |(name, neighbors): &(String, Vec<Neighbor>)| json!({"name": name, "neighbors": neighbors});
        let results: Vec<_> = found.iter().map(one).collect();
        let model = session.id().to_string();
        let all = json!({"model": model, "index": args.index, "searched": index.len(), "results": results});
        return out(&format!("{all:#}\n"));
    }
    let line = |(name, neighbors): &(String, Vec<Neighbor>)| {
        let one = |n: &Neighbor| format!("{:>12.4}  {}\n", n.distance, n.name);
        format!("{name}\n{}", neighbors.iter().map(one).collect::<String>())
    };
    out(&found.iter().map(line).collect::<String>())
}

impl Args {
    /// Returns the index to search: the stored one, or one of the given samples, which is stored if it has a name.
    fn searched(&self, session: &Session, indexes: &Indexes, config: &Config) -> Result<Arc<Index>, Error> {
        let id = session.id();
        if self.among.is_empty() {
            let name =
                self.index.as_ref().ok_or_else(|| Error::Usage("--index or --among is needed".into()))?;
            let index = indexes.get(&id.name, name).map_err(failed)?.ok_or_else(|| {
                Error::Failed(format!("model {} has no index {name}; make it with --among", id.name))
            })?;
            index.check(id.digest).map_err(|error| {
                Error::Failed(format!(
                    "{error}; name the version that made it, or make it again with --among"
                ))
            })?;
            return Ok(index);
        }
        let dataset = self.read(&self.among, session, config)?;
        let mut index = Index::new(id.digest, 0);
        for (item, vector) in dataset.items.iter().zip(vectors(session, &dataset)?) {
            index.add(&item.name, &vector).map_err(IndexError::from).map_err(failed)?;
        }
        if let Some(name) = &self.index {
            indexes.update(&id.name, name, |_| Ok((index.clone(), ()))).map_err(failed)?;
            eprintln!("index {name} of {id} holds {} samples", index.len());
        }
        Ok(Arc::new(index))
    }

    fn read(&self, paths: &[PathBuf], session: &Session, config: &Config) -> Result<Dataset, Error> {
        let (input, gaps) = (session.input(), self.forms.rule());
        let (kind, channels) = (Some(input.kind), Some(input.channels));
        let wanted = Wanted { kind, channels, gaps, order: self.forms.layout() };
        let dataset = samples::gather(paths, &config.limits, wanted)?;
        if dataset.items.is_empty() {
            let first = dataset.skipped.first().map(|s| format!("; {}: {}", s.name, s.reason));
            let shown: Vec<_> = paths.iter().map(|path| Path::display(path).to_string()).collect();
            let reason = first.unwrap_or_default();
            return Err(Error::Failed(format!("there is no sample in {}{reason}", shown.join(", "))));
        }
        Ok(dataset)
    }
}

/// Returns the vector of each sample.
fn vectors(session: &Session, dataset: &Dataset) -> Result<Vec<Vec<f32>>, Error> {
    let (bar, cores) = (progress::files(dataset.items.len()), Cores::for_count(dataset.items.len()));
    let encode = |_: usize, item: &Item| {
        cores.run(item.clean.shape().numbers(), || session.encode(&item.clean, None).map(|l| pooled(&l)))
    };
    let all = each(&dataset.items, encode, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let named = |(item, vector): (&Item, crate::infer::Result<_>)| {
        vector.map_err(|e| Error::Failed(format!("{}: {e}", item.name)))
    };
    dataset.items.iter().zip(all).map(named).collect()
}

fn failed(error: IndexError) -> Error {
    Error::Failed(error.to_string())
}

fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|k| (1..=1000).contains(k));
    number.ok_or_else(|| format!("expected a whole number in 1..=1000, got {text:?}"))
}
