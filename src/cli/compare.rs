//! `limpid compare`: ranks models and strengths on samples of yours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::content::Forms;
use super::place::{self, Place};
use super::workers::{Cores, each};
use super::{Config, Error, denoise, out, progress, samples};
use crate::dataset::{Dataset, Item, Wanted};
use crate::infer::fit::{self, Fitted, Traits, Wishes};
use crate::infer::rank::{Candidate, MOST_CANDIDATES, RankedBy, Ranking, measure};
use crate::infer::{NoiseLevel, Options, PredictOptions, Prediction, Session};
use crate::name::ModelRef;
use crate::quality::{Reference, residual_correlation};
use crate::registry::Registry;

const EXAMPLES: &str = "\
Examples:
  limpid compare noisy.png
        all models that take it, ranked by the predicted PSNR, beside the image as it is
  limpid compare scans/ --model photo-gray --model my-scans --strength 0.5,1 --sigma 25
        means over a folder, the noise being known
  limpid compare pairs/ --json
        pairs/noisy/a.png with pairs/clean/a.png: ranked by the true quality

Where nothing is better than the input as it is, that is first.";

/// Rank models and strengths on your samples.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Noisy samples, or pairs: a folder, an archive, an array, or files.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Model to compare, NAME or NAME@VERSION; may be given several times [default: all that take the samples].
    #[arg(long, value_name = "MODEL")]
    model: Vec<ModelRef>,
    /// Strengths to compare, 0 to 1.
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', default_value = "1", value_parser = denoise::strength)]
    strength: Vec<f32>,
    /// Standard deviation of the white noise on the 0..255 scale, if it is known.
    #[arg(long, value_name = "S", value_parser = denoise::sigma)]
    sigma: Option<f32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Candidate over all samples.
struct Mean {
    model: Option<String>,
    strength: f32,
    /// Mean of the measure over the samples that have one, dB, and their number.
    db: Option<f64>,
    samples: usize,
    /// Number of samples for which it is the best.
    wins: usize,
    residual_correlation: Option<f64>,
}

/// Compares and prints a table.
///
/// # Errors
/// There are no samples, no model takes them, or one fails on them.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    let registry = args.place.open(config)?;
    let stated: Vec<Session> =
        args.model.iter().map(|model| place::load(&registry, model)).collect::<Result<_, _>>()?;
    let dataset = args.read(stated.first(), config)?;
    let models = if stated.is_empty() { fitting(&registry, &dataset)? } else { stated };
    let count = models.len() * args.strength.len() + 1;
    if count > MOST_CANDIDATES {
        return Err(Error::Usage(format!(
            "{} models at {} strengths and the input are {count} candidates, {MOST_CANDIDATES} are compared at most; name \
             fewer with --model",
            models.len(),
            args.strength.len()
        )));
    }
    let (bar, cores) = (progress::files(dataset.items.len()), Cores::for_count(dataset.items.len()));
    let one = |_: usize, item: &Item| {
        let candidates =
            || args.candidates(&models, item).map_err(|reason| format!("{}: {reason}", item.name));
        cores.run(item.clean.shape().numbers(), candidates)
    };
    let all = each(&dataset.items, one, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let all: Vec<Vec<Candidate>> = all.into_iter().collect::<Result<_, String>>().map_err(Error::Failed)?;
    let (by, means) = means(&all);
    out(&if args.json { json(&dataset, &all, by, &means) } else { table(&all, by, &means) })
}

impl Args {
    fn read(&self, model: Option<&Session>, config: &Config) -> Result<Dataset, Error> {
        let (gaps, order) = (self.forms.rule(), self.forms.layout());
        let (kind, channels) = model.map(|model| (model.input().kind, model.input().channels)).unzip();
        let dataset = samples::gather(&self.paths, &config.limits, Wanted { kind, channels, gaps, order })?;
        samples::describe(&dataset, |line| eprintln!("{line}"));
        match dataset.items.is_empty() {
            true => Err(Error::Failed("there is no sample that can be used in what was given".into())),
            false => Ok(dataset),
        }
    }

    /// Returns all candidates for one sample: the models at each strength, and the input.
    fn candidates(&self, models: &[Session], item: &Item) -> Result<Vec<Candidate>, String> {
        let (input, clean) = match &item.noisy {
            Some(noisy) => (noisy, Some(&item.clean)),
            None => (&item.clean, None),
        };
        let reference = clean.map(|clean| Reference::new(clean, input, false));
        let (traits, kind) = (Traits::of(input), input.shape().kind());
        let traits = traits.with_page(input, true);
        let options = PredictOptions { sigma: self.sigma };
        let prediction = NoiseLevel::of(&traits, kind, self.sigma);
        let mut candidates = vec![Candidate {
            model: None,
            strength: 0.0,
            true_db: reference.as_ref().map(|reference| reference.decibels(input.data())),
            prediction: prediction.map_or_else(Prediction::from, |level| level.of_input()),
            residual_correlation: None,
            familiarity: None,
        }];
        for session in models {
            for strength in &self.strength {
                let own = Options { strength: *strength, ..Options::default() };
                let fitted = fit::denoise(session, input, &traits, &own, Wishes::default(), Some(options));
                let Fitted { denoised, prediction, .. } = fitted.map_err(|e| e.to_string())?;
                candidates.push(Candidate {
                    model: Some(session.id().to_string()),
                    strength: *strength,
                    true_db: reference.as_ref().map(|reference| reference.decibels(denoised.sample.data())),
                    prediction: prediction.unwrap_or(Prediction::Unknown("it was not predicted".into())),
                    residual_correlation: residual_correlation(input, &denoised.sample),
                    familiarity: denoised.familiarity,
                });
            }
        }
        Ok(candidates)
    }
}

/// Loads the default versions of all models that take every sample.
fn fitting(registry: &Registry, dataset: &Dataset) -> Result<Vec<Session>, Error> {
    let takes_all =
        |input: &crate::registry::Input| dataset.items.iter().all(|item| input.takes(item.clean.shape()));
    let models =
        registry.list().into_iter().filter(|model| model.default.is_some() && takes_all(&model.input));
    let models: Vec<Session> = models
        .map(|model| place::load(registry, &ModelRef { name: model.name, version: None }))
        .collect::<Result<_, _>>()?;
    match models.is_empty() {
        true => {
            let shape = dataset.items[0].clean.shape();
            Err(Error::Failed(format!(
                "no model takes all of these samples, such as {shape}; name one with --model"
            )))
        }
        false => Ok(models),
    }
}

/// Returns the measure that all samples can be ranked by, and the candidates in order of its mean.
fn means(all: &[Vec<Candidate>]) -> (RankedBy, Vec<Mean>) {
    let measures: Vec<RankedBy> = all.iter().map(|candidates| measure(candidates)).collect();
    let by = [RankedBy::Truth, RankedBy::Prediction].into_iter().find(|by| measures.contains(by));
    let by = by.unwrap_or(RankedBy::Nothing);
    let ranked: Vec<Ranking> = all.iter().cloned().map(Ranking::of).collect();
    let mean =
        |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let of = |at: usize| {
        let first = &all[0][at];
        let own = all.iter().map(|candidates| &candidates[at]);
        // A mean counts the samples that all candidates have a score for; a candidate without any score is left out of this.
        let is_ever_scored = |at: usize| all.iter().any(|candidates| candidates[at].score(by).is_some());
        let is_scored = |candidates: &&Vec<Candidate>| {
            candidates.iter().enumerate().all(|(at, one)| one.score(by).is_some() || !is_ever_scored(at))
        };
        let scored = all.iter().filter(is_scored).filter_map(|candidates| candidates[at].score(by));
        let scores: Vec<f64> = scored.map(f64::from).collect();
        let is_it = |best: &Candidate| best.model == first.model && best.strength == first.strength;
        Mean {
            model: first.model.clone(),
            strength: first.strength,
            samples: scores.len(),
            db: mean(scores),
            wins: ranked.iter().filter(|ranking| ranking.best().is_some_and(is_it)).count(),
            residual_correlation: mean(
                own.filter_map(|one| one.residual_correlation.map(f64::from)).collect(),
            ),
        }
    };
    let mut means: Vec<Mean> = (0..all[0].len()).map(of).collect();
    if by != RankedBy::Nothing {
        let key = |mean: &Mean| (mean.db.unwrap_or(f64::NEG_INFINITY), mean.model.is_none());
        means.sort_by(|a, b| key(b).0.total_cmp(&key(a).0).then(key(b).1.cmp(&key(a).1)));
    }
    (by, means)
}

fn table(all: &[Vec<Candidate>], by: RankedBy, means: &[Mean]) -> String {
    let measure = match by {
        RankedBy::Truth => "dB to clean",
        RankedBy::Prediction => "predicted dB",
        RankedBy::Nothing => "no measure",
    };
    let mut text = format!(
        "{:<28} {:>8} {measure:>13} {:>9} {:>21}\n",
        "model", "strength", "best of", "residual correlation"
    );
    for mean in means {
        let name = mean.model.as_deref().unwrap_or("the input as it is");
        let number =
            |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
        text += &format!(
            "{name:<28} {:>8} {:>13} {:>9} {:>21}\n",
            mean.strength,
            number(mean.db, 2),
            format!("{} of {}", mean.wins, all.len()),
            number(mean.residual_correlation, 3)
        );
    }
    for (reason, count) in reasons(all) {
        text += &format!("no prediction for {count} of {}: {reason}\n", all.len());
    }
    text
}

/// Returns the reasons for unknown predictions of inputs, with the number of samples of each.
fn reasons(all: &[Vec<Candidate>]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for candidates in all {
        if let Some(Candidate { prediction: Prediction::Unknown(reason), .. }) = candidates.first() {
            *reasons.entry(reason.as_str()).or_default() += 1;
        }
    }
    reasons
}

fn json(dataset: &Dataset, all: &[Vec<Candidate>], by: RankedBy, means: &[Mean]) -> String {
    let finite = |db: Option<f32>| db.filter(|db| db.is_finite());
    let candidate = |one: &Candidate| {
        let (interval, unknown) = match &one.prediction {
            Prediction::Known(known) => (known.interval, None),
            Prediction::Unknown(reason) => (None, Some(reason)),
        };
        json!({
            "model": one.model, "strength": one.strength, "db": finite(one.true_db),
            "psnr_predicted": one.predicted_db(), "psnr_interval": interval, "psnr_unknown": unknown,
            "residual_correlation": one.residual_correlation, "familiarity": one.familiarity,
        })
    };
    let sample = |(item, candidates): (&Item, &Vec<Candidate>)| {
        let ranking = Ranking::of(candidates.clone());
        let ranked: Vec<_> = ranking.candidates.iter().map(candidate).collect();
        json!({"name": item.name, "ranked_by": ranking.by, "candidates": ranked})
    };
    let mean = |mean: &Mean| {
        json!({
            "model": mean.model, "strength": mean.strength, "db": mean.db.filter(|db| db.is_finite()),
            "samples": mean.samples, "best_of": mean.wins, "residual_correlation": mean.residual_correlation,
        })
    };
    let samples: Vec<_> = dataset.items.iter().zip(all).map(sample).collect();
    let candidates: Vec<_> = means.iter().map(mean).collect();
    format!("{:#}\n", json!({"ranked_by": by, "candidates": candidates, "samples": samples}))
}
