//! `limpid evaluate`: scores of a model on your data, compared with methods that need no training.

mod beside;
mod map;
mod report;
mod score;
mod sheet;

use std::fs;
use std::path::PathBuf;

use super::content::Forms;
use super::denoise::ensemble;
use super::place::{self, Place};
use super::train::json;
use super::workers::{self, Cores};
use super::{Config, Error, noise, out, progress, samples};
use crate::corruption::{Clip, Corruption};
use crate::dataset::{Dataset, Wanted, read_labels};
use crate::infer::{Mode, Options, Session};
use crate::name::ModelRef;
use crate::sample::Kind;
use report::Report;
use score::{Noise, Score, Task};

const EXAMPLES: &str = "\
Examples:
  limpid evaluate photos/ --model photo-gray --sigma 15,25,50
        clean images; noise is added as in the literature: Gaussian, in float, neither clipped nor rounded
  limpid evaluate photos/ --model photo-gray --sigma 25 --clipped --ensemble 8
        noise as an 8-bit file holds it, and the average over 8 flips and turns
  limpid evaluate pairs/ --model my-scans --csv scores.csv
        pairs: pairs/noisy/a.png with pairs/clean/a.png; a line per sample in scores.csv
  limpid evaluate photos/ --model photo-gray --sigma 0 --beside
        what the latent keeps, beside PCA at as many numbers and JPEG at as many bytes
  limpid evaluate t10k-images-idx3-ubyte.gz --model digits --labels t10k-labels-idx1-ubyte.gz
        whether latents of one label lie together: accuracy of the 10 nearest neighbours
  limpid evaluate pages/ --model document --ink --sheet pages.png
        whether writing survives, and a sheet of pictures to look at

The noise of a sample depends on the sample and --seed alone, so scores can be compared between runs.";

/// Measure the quality of a model on your data.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Clean samples, or pairs: a folder, an archive, an array, or files.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Model, NAME or NAME@VERSION.
    #[arg(long, value_name = "MODEL")]
    model: ModelRef,
    /// Strengths of Gaussian noise on the 0..255 scale (for signals and vectors in standard deviations of the sample) [default:
    /// 15,25,50, or 0.5].
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', value_parser = sigma)]
    sigma: Vec<f32>,
    /// Round and clip noisy images to 8 bits.
    #[arg(long)]
    clipped: bool,
    /// Noise other than Gaussian, as JSON.
    #[arg(long, value_name = "JSON", value_parser = json::<Corruption>, conflicts_with = "sigma")]
    corruption: Option<Corruption>,
    /// Seed of the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Smallest ratio of the sample's size to the latent's.
    #[arg(long, value_name = "R")]
    ratio: Option<f32>,
    /// 8 averages over flips and turns of an image.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = ensemble)]
    ensemble: usize,
    /// Omit the baselines: the sliding DCT, which takes longer than the model, and for signals the moving average, the
    /// Savitzky-Golay filter (windows by Stein's estimate) and db4 wavelets (VisuShrink, BayesShrink).
    #[arg(long = "no-baseline", action = clap::ArgAction::SetFalse)]
    baseline: bool,
    /// Show PCA with as many numbers and JPEG with as many bytes as the latent.
    #[arg(long)]
    beside: bool,
    /// Labels, to measure how many of the 10 nearest latents share that of a sample: an idx file, or one number per line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Show the share of the ink of clean pages (pixels darker than half) that is still ink: of all pixels, and of the strokes'
    /// centre lines, one pixel wide.
    #[arg(long)]
    ink: bool,
    /// Write a sheet of pictures: noisy, strict, full and clean, one row per sample.
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write one line per sample to this file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Evaluates and prints a table.
///
/// # Errors
/// The samples do not fit the model or the flags, or there are none.
pub fn run(mut args: Args, config: &Config) -> Result<(), Error> {
    noise::resolve(args.corruption.as_mut(), config)?;
    let session = place::load(&args.place.open(config)?, &args.model)?;
    let dataset = args.read(&session, config)?;
    let noises = args.noises(&dataset)?;

    let labels = args.labels(&dataset, config)?;

    let mut report = Report::new(&session, &dataset, &args.options(Mode::Full), args.seed, args.ink);
    for noise in &noises {
        let scores = args.score(&session, &dataset, noise)?;
        let beside = match args.beside {
            true => Some(beside::compare(&session, &dataset, noise, args.seed, args.ink, &scores)),
            false => None,
        };
        let map = labels.as_ref().map(|labels| map::map(&session, &dataset, noise, args.seed, labels));
        report.add(noise, scores, beside, map.transpose()?);
    }
    if let Some(path) = &args.sheet {
        let sheet = sheet::sheet(&args.task(&session), &dataset, &noises, args.seed)?;
        fs::write(path, sheet).map_err(Error::io(path))?;
    }
    if let Some(path) = &args.csv {
        fs::write(path, report.csv()).map_err(Error::io(path))?;
    }
    out(&if args.json { report.json() } else { report.table() })
}

impl Args {
    /// Reads the samples for the input of the model.
    fn read(&self, session: &Session, config: &Config) -> Result<Dataset, Error> {
        let input = session.input();
        let (kind, channels, gaps) = (Some(input.kind), Some(input.channels), self.forms.rule());
        let wanted = Wanted { kind, channels, gaps, order: self.forms.layout() };
        let dataset = samples::gather(&self.paths, &config.limits, wanted)?;
        samples::describe(&dataset, |line| eprintln!("{line}"));
        if dataset.items.is_empty() {
            return Err(Error::Failed("there is no sample that can be used in what was given".into()));
        }
        Ok(dataset)
    }

    /// Reads the labels of the samples, if given.
    fn labels(&self, dataset: &Dataset, config: &Config) -> Result<Option<Vec<u32>>, Error> {
        let Some(path) = &self.labels else { return Ok(None) };
        let labels = read_labels(path, &config.limits)?;
        let (seen, wanted) = (labels.len(), dataset.items.len());
        if seen != wanted {
            let what = format!("{}: {seen} labels for {wanted} samples", path.display());
            return Err(Error::Usage(what));
        }
        Ok(Some(labels))
    }

    fn options(&self, mode: Mode) -> Options {
        Options { mode, strength: 1.0, ratio: self.ratio, ensemble: self.ensemble }
    }

    fn task<'a>(&self, session: &'a Session) -> Task<'a> {
        Task { session, options: self.options(Mode::Full), baseline: self.baseline, ink: self.ink }
    }

    /// Returns the kinds of noise, in the order of the rows.
    fn noises(&self, dataset: &Dataset) -> Result<Vec<Noise>, Error> {
        let is_stated = !self.sigma.is_empty() || self.corruption.is_some() || self.clipped;
        if dataset.is_pairs() {
            let what = "the samples are pairs with noise of their own; leave --sigma, --corruption and --clipped out";
            return if is_stated { Err(Error::Usage(what.into())) } else { Ok(vec![Noise::Own]) };
        }
        let kind = dataset.kind().unwrap_or(Kind::Image);
        let clip = |corruption: Corruption| match self.clipped {
            true => Corruption::Sequence(vec![corruption, Corruption::Clip(Clip {})]),
            false => corruption,
        };
        let usual: &[f32] = if kind == Kind::Image { &[15.0, 25.0, 50.0] } else { &[0.5] };
        let sigmas = if self.sigma.is_empty() { usual } else { &self.sigma };
        let noises: Vec<Noise> = match &self.corruption {
            Some(corruption) => vec![Noise::Made { corruption: clip(corruption.clone()), sigma: None }],
            None => sigmas
                .iter()
                .map(|&s| Noise::Made { corruption: clip(Corruption::white(s)), sigma: Some(s) })
                .collect(),
        };
        for noise in &noises {
            noise.check(kind).map_err(|e| Error::Usage(e.to_string()))?;
        }
        Ok(noises)
    }

    fn score(&self, session: &Session, dataset: &Dataset, noise: &Noise) -> Result<Vec<Score>, Error> {
        let bar = progress::files(dataset.items.len());
        bar.set_message(noise.label());
        let (cores, task) = (Cores::for_count(dataset.items.len()), self.task(session));
        let one = |_: usize, item: &crate::dataset::Item| {
            cores.run(item.clean.shape().numbers(), || task.score(item, noise, self.seed))
        };
        let scores = workers::each(&dataset.items, one, |_, _| bar.inc(1));
        bar.finish_and_clear();
        let named = |(item, score): (&crate::dataset::Item, crate::infer::Result<Score>)| {
            score.map_err(|e| Error::Failed(format!("{}: {e}", item.name)))
        };
        dataset.items.iter().zip(scores).map(named).collect()
    }
}

fn sigma(text: &str) -> Result<f32, String> {
    let number = text.trim().parse().ok().filter(|s: &f32| (0.0..=1000.0).contains(s));
    number.ok_or_else(|| format!("expected a number in 0..=1000, got {text:?}"))
}
