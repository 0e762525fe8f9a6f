//! `limpid train`: trains a model on a folder of samples.

use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::content::Forms;
use super::interrupt::Interrupt;
use super::place::{Place, missing};
use super::progress::{Training, tidy};
use super::recipe::recipe;
use super::{Config, Error, noise, out, samples};
use crate::codec::LayoutChoice;
use crate::corruption::{self, Corruption};
use crate::dataset::{Dataset, Wanted};
use crate::name::{ModelRef, Name};
use crate::nn::DeviceName;
use crate::nn::loss::Loss;
use crate::registry::{Error as Missing, Registry};
use crate::sample::GapRule;
use crate::train::{
    self, Checkpoint, Control, FamilyChoice, FamilyName, LatentChoice, Outcome, Promote, Run, Scheme,
};

const EXAMPLES: &str = "\
Examples:
  limpid train --name my-scans --base photo-gray --samples scans/
        go on from a bundled model; scans/ holds clean images, and noise is added while training
  limpid train --name pages --samples pairs/ --minutes 30
        learn from pairs: pairs/noisy/a.png with pairs/clean/a.png
  limpid train --name microscope --base photo-gray --samples frames/
        learn from noisy images alone, or from repeats of each scene in a folder of its own
  limpid train --name pulse --samples recordings/ --family signal
        signals: WAV, or CSV and npy with a channel a column
  limpid train --name film --samples stills/ --channels 3 \\
      --corruption '[{\"poisson\": {\"peak\": [10, 200]}}, {\"jpeg\": {\"quality\": [40, 95]}}]'
        colour images, with a noise of your own
  limpid train --name parts --samples parts.npy --family compact --latent-numbers 16 --steps 5000
        small images of one size in one array, each as 16 numbers
  limpid train --name parts-map --samples parts.npy --latent-numbers 2 --map --loss psnr
        a map of them: limpid map parts-map -o parts.svg
  limpid train --name my-scans --samples scans/ --resume
        go on after Ctrl-C, with the flags of the first time

The result is a new version; it serves by default only if it beats the one before (--promote).";

/// Train a model on your own samples.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model that the result becomes a version of.
    #[arg(long, required_unless_present = "training_config")]
    name: Option<Name>,
    /// Folder, archive or array of samples; may be given several times.
    #[arg(long, required = true, value_name = "PATH")]
    samples: Vec<PathBuf>,
    /// Start from this model's weights, NAME or NAME@VERSION.
    #[arg(long, value_name = "MODEL")]
    base: Option<ModelRef>,
    /// Optimiser steps [default: 2000].
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    steps: Option<u64>,
    /// Minutes to train, instead of a number of steps.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,
    /// Seed of all random draws; equal seeds give equal weights [default: 0].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// pyramid (images of any size), compact (small images of one size), signal (signals of any length) or dense (vectors)
    /// [default: that of the base, or the one that suits the samples; WAV files and long, narrow arrays are signals, tables
    /// only with --family signal].
    #[arg(long, value_parser = word::<FamilyName>, value_name = "FAMILY", conflicts_with = "base")]
    family: Option<FamilyName>,
    /// clean (noise is added), pairs (noisy/A with clean/A), repeats (of one scene in a folder), noisy (nothing else), or auto:
    /// choose by the samples and print the reason [default: auto].
    #[arg(long, value_parser = word::<Scheme>, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    /// Read images as gray (1) or colour (3) [default: that of the base, or of the majority].
    #[arg(long, value_name = "N", value_parser = clap::builder::TypedValueParser::map(
        clap::builder::PossibleValuesParser::new(["1", "3"]), |n| if n == "3" { 3usize } else { 1 }))]
    channels: Option<usize>,
    /// Length of the latent vector (compact, dense).
    #[arg(long, value_name = "N", conflicts_with = "base")]
    latent_numbers: Option<usize>,
    /// Channels of the latent maps, finest first: at 1/2, 1/4 and 1/8 of the size (pyramid), for example 1,2,8, or at 1/4, 1/8
    /// and 1/16 of the length (signal).
    #[arg(long, value_name = "A,B,C", value_parser = three, conflicts_with = "base")]
    latent_channels: Option<[usize; 3]>,
    /// Noise that is added to clean samples, as JSON.
    #[arg(long, value_name = "JSON", value_parser = json::<Corruption>, long_help = corruption_help())]
    corruption: Option<Corruption>,
    /// Samples or crops per step [default: 16 crops, or 64 small samples].
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Side of the square crops in pixels, a multiple of 8 (pyramid) [default: 64], or length of the windows in time steps, a
    /// multiple of 16 (signal) [default: 1024].
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,
    /// Peak learning rate [default: 0.001, or 0.0003 from a base].
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Loss to minimise: mse, or psnr, which weights weak noise as much as strong noise [default: mse].
    #[arg(long, value_parser = word::<Loss>, value_name = "LOSS")]
    loss: Option<Loss>,
    /// Factor on squared errors that make an image lighter rather than darker: ink strokes are narrow, and losing one is worse
    /// than leaving a shadow [default: 1].
    #[arg(long, value_name = "TIMES")]
    ink_weight: Option<f64>,
    /// Keep a map of held-out samples beside the version (limpid map); with --latent-numbers 2 the model is also trained to keep
    /// neighbours together.
    #[arg(long)]
    map: bool,
    /// Labels of the samples, for the map: an idx file, or one number per line [default: the folders of the samples].
    #[arg(long, value_name = "FILE", requires = "map")]
    labels: Option<PathBuf>,
    /// Device that computes the steps: cpu, or cuda if the program was built with that feature [default: cpu].
    #[arg(long, value_parser = word::<DeviceName>, value_name = "DEVICE")]
    device: Option<DeviceName>,
    /// Condition for making the result the default version: if_better, never or always [default: if_better].
    #[arg(long, value_parser = word::<Promote>, value_name = "WHEN")]
    promote: Option<Promote>,
    /// File with a complete training config as JSON, as for POST /train; flags take precedence.
    #[arg(long, value_name = "FILE")]
    training_config: Option<PathBuf>,
    /// Description and licence of the samples, for the model card.
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    /// Resume from the checkpoint of a stopped run.
    #[arg(long)]
    resume: bool,
    /// Checkpoint file of the run [default: DATA_DIR/checkpoints/NAME.safetensors].
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Print the plan: settings, evidence and advice; train nothing.
    #[arg(long, visible_alias = "dry-run", conflicts_with = "resume")]
    plan: bool,
    /// Print the outcome, or the plan, as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// The long help of `--corruption`: every kind.
fn corruption_help() -> String {
    let kinds = corruption::kinds().into_iter().map(|(kind, meaning)| format!("\n  {kind:<17} {meaning}"));
    format!(
        "Noise that is added to clean samples, as JSON: an object keyed by its kind, or a list of them, applied in order. \
         docs/training.md lists the parameters of each kind with their ranges.\n{}",
        kinds.collect::<String>()
    )
}

/// Trains and publishes the result.
///
/// # Errors
/// The flags, the samples or the folders are not valid; [`Error::Interrupted`] after Ctrl-C.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let mut training = args.config()?;
    noise::resolve(training.corruption.as_mut(), config)?;
    training.validate().map_err(of_flags)?;
    // A plan writes nothing.
    let registry = if args.plan { args.place.open(config)? } else { args.place.open_to_write(config)? };
    if args.plan {
        return train(&args, config, &training, &registry);
    }
    // Fails now if the folder cannot be written, not at the end of a long run.
    let home = registry.prepare(&training.name)?;
    let trained = train(&args, config, &training, &registry);
    if trained.as_ref().is_err_and(|error| !matches!(error, Error::Interrupted(_))) {
        // Succeeds only if the folder is empty, that is, if this run created it for nothing.
        let _ = fs::remove_dir(home);
    }
    trained
}

/// Trains and prints the outcome, or prints the plan.
fn train(args: &Args, config: &Config, training: &train::Config, registry: &Registry) -> Result<(), Error> {
    let path = args.checkpoint.clone().unwrap_or_else(|| args.place.checkpoint(config, &training.name));
    let wanted = args.wanted(training, registry, &Checkpoint::new(path.clone(), args.resume))?;
    let dataset = samples::gather(&args.samples, &config.limits, wanted)?;
    eprintln!("{}", summary(&dataset));
    samples::describe(&dataset, |line| eprintln!("{line}"));

    if !args.plan {
        prepare(&path, args.resume)?;
    }
    let data = args.data.clone().unwrap_or_else(|| {
        let paths: Vec<String> = args.samples.iter().map(|p| p.display().to_string()).collect();
        format!("{} samples from {}", dataset.items.len(), paths.join(", "))
    });
    let run = Run {
        config: training,
        dataset: &dataset,
        registry,
        checkpoint: Some(Checkpoint::new(path.clone(), args.resume)),
        data,
        recipe: recipe(std::env::args_os().skip(1)),
        labels: samples::labels(args.labels.as_deref(), &dataset, &config.limits)?,
    };
    if args.plan {
        let plan = Run { checkpoint: None, ..run }.plan(true)?;
        return out(&if args.json { format!("{}\n", serde_json::json!(plan)) } else { planned(&plan) });
    }
    if !dataset.items.is_empty() {
        let (scheme, reason) = training.choose_scheme(&dataset)?;
        eprintln!("scheme {}: {reason}", scheme.name());
    }
    let interrupt = Interrupt::listen();
    let mut progress = Training::start();
    let outcome = run.run(&mut |at| {
        progress.show(at);
        if interrupt.is_asked() { Control::Cancel } else { Control::Continue }
    });
    progress.finish();
    match outcome {
        Ok(outcome) => args.tell(&outcome, training, config),
        Err(train::Error::Cancelled) => Err(Error::Interrupted(format!(
            "stopped; the run is kept in {}: give the same command with --resume to go on",
            path.display()
        ))),
        Err(other) => Err(other.into()),
    }
}

impl Args {
    /// Returns the training config: that of the file, overridden by the flags.
    fn config(&self) -> Result<train::Config, Error> {
        let mut config = match (&self.training_config, &self.name) {
            (Some(path), _) => {
                let text = fs::read(path).map_err(Error::io(path))?;
                serde_json::from_slice(&text)
                    .map_err(|e| Error::Usage(format!("{}: not a training config: {e}", path.display())))?
            }
            (None, Some(name)) => train::Config::new(name.clone()),
            (None, None) => return Err(Error::Usage("--name or --training-config is needed".into())),
        };
        if config.webhook.is_some() {
            let reason =
                "webhook: reports the end of a job of a service, and this trains without one; leave it out";
            return Err(Error::Usage(reason.into()));
        }
        let Self { name, base, steps, minutes, seed, family, scheme, .. } = self;
        if let Some(name) = name {
            config.name = name.clone();
        }
        if let Some(base) = base {
            config.base = Some(base.to_string());
        }
        if steps.is_some() || minutes.is_some() {
            (config.steps, config.minutes) = (*steps, *minutes);
        }
        config.seed = seed.unwrap_or(config.seed);
        config.family = family.map(FamilyChoice::Name).or(config.family);
        config.scheme = scheme.unwrap_or(config.scheme);
        config.corruption = self.corruption.clone().or(config.corruption);
        config.batch = self.batch.or(config.batch);
        config.crop = self.crop.or(config.crop);
        config.map |= self.map;
        config.ink_weight = self.ink_weight.or(config.ink_weight);
        config.learning_rate = self.learning_rate.or(config.learning_rate);
        config.loss = self.loss.unwrap_or(config.loss);
        config.device = self.device.unwrap_or(config.device);
        let rule = GapRule { missing: config.missing, sentinel: config.missing_value };
        let rule = self.forms.rule_or(rule);
        (config.missing, config.missing_value) = (rule.missing, rule.sentinel);
        config.layout = LayoutChoice(self.forms.layout().or(config.layout.0));
        config.promote = self.promote.unwrap_or(config.promote);
        if self.latent_numbers.is_some() || self.latent_channels.is_some() {
            config.latent =
                Some(LatentChoice { numbers: self.latent_numbers, channels: self.latent_channels });
        }
        Ok(config)
    }

    /// Returns the kind and channels to read the samples as: from the flags, else those of the model.
    fn wanted(
        &self,
        config: &train::Config,
        registry: &Registry,
        checkpoint: &Checkpoint,
    ) -> Result<Wanted, Error> {
        let mut wanted = config.wanted_to_resume(registry, checkpoint).map_err(|error| match error {
            train::Error::Registry(Missing::ModelNotFound(name)) => Error::Failed(missing(registry, &name)),
            other => of_flags(other),
        })?;
        if let Some(channels) = self.channels {
            if wanted.channels.is_some_and(|model| model != channels) {
                let takes = wanted.channels.unwrap_or_default();
                return Err(Error::Usage(format!(
                    "--channels is {channels}, but the model takes {takes}; leave --channels out"
                )));
            }
            wanted.channels = Some(channels);
        }
        Ok(wanted)
    }

    fn tell(&self, outcome: &Outcome, training: &train::Config, config: &Config) -> Result<(), Error> {
        let folder = self.place.published(config, &outcome.model, outcome.version);
        if self.json {
            let mut json = serde_json::json!(outcome);
            json["folder"] = folder.display().to_string().into();
            tidy(&mut json);
            return out(&format!("{json}\n"));
        }
        let Outcome { model, version, scores, notes, .. } = outcome;
        let db = |path: &str| scores.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
        let mut text = format!("{model}@{version} is in {}\n", folder.display());
        text += &format!(
            "held-out samples ({:.0}): noisy {:.2} dB, from the latent alone {:.2} dB, denoised {:.2} dB\n",
            db("/held_out/samples"),
            db("/held_out/noisy_db"),
            db("/held_out/strict_db"),
            db("/held_out/full_db"),
        );
        if scores["estimated"] == true {
            text += "these are estimates, for want of clean samples: compare them with each other alone\n";
        }
        if let Some(baseline) = scores["baseline"].as_str() {
            text += &format!("without learning: {baseline}, {:.2} dB\n", db("/held_out/baseline_db"));
        }
        for (key, what) in [("before", "to beat"), ("base", "started from")] {
            let name = scores.pointer(&format!("/{key}/model")).and_then(|m| m.as_str());
            // If there was no default version, the base appears under both keys.
            if let Some(name) = name.filter(|_| key == "before" || scores["base"] != scores["before"]) {
                let full = db(&format!("/{key}/held_out/full_db"));
                text += &format!("{what}: {name}, denoised {full:.2} dB\n");
            }
        }
        for note in notes {
            text += &format!("note: {note}\n");
        }
        text += &verdict(outcome, training.promote);
        out(&text)
    }
}

/// Formats a plan for people.
fn planned(plan: &train::Plan) -> String {
    let train::Plan { kind, channels, samples, first, trained_on, judged_by, scheme, reason, .. } = plan;
    let mut text = format!(
        "would train {}{}\nsamples: {samples} {kind}(s) of {channels} channel(s), the first a {first}; {trained_on} to train on, \
         {judged_by} pairs or windows to judge by\nscheme: {scheme}: {reason}\n",
        plan.model,
        plan.base.as_ref().map(|base| format!(" from {base}")).unwrap_or_default(),
    );
    if let Some(noise) = &plan.noise {
        let channels: Vec<String> = noise.channels.iter().map(|sigma| format!("{sigma:.4}")).collect();
        let [down, right] = noise.correlation;
        text += &format!(
            "noise: {:.2} {}; by channel {}; correlation of neighbours {down:.2} down, {right:.2} to the right",
            noise.level,
            noise.unit,
            channels.join(", "),
        );
        if let (Some(rise), Some(tails)) = (noise.rise, noise.tails) {
            text += &format!(
                "; {rise:.2} times as strong in bright places, outliers {tails:.2} times those of normal noise"
            );
        }
        text.push('\n');
    }
    text += &format!("network: {}\n", plan.network);
    let steps = plan.steps.map_or_else(|| "unknown".to_owned(), |steps| steps.to_string());
    let of = match plan.crop {
        Some([1, length]) => format!("{} windows of {length} steps in time", plan.batch),
        Some([rows, columns]) => format!("{} crops of {columns}x{rows}", plan.batch),
        None => format!("{} whole samples", plan.batch),
    };
    let minutes =
        plan.minutes.map(|minutes| format!(", about {minutes:.1} minutes here")).unwrap_or_default();
    text += &format!("length: {steps} steps of {of}{minutes}\n");
    for (what, lines) in [("left out", &plan.skipped), ("note", &plan.notes), ("better", &plan.advice)] {
        lines.iter().for_each(|line| text += &format!("{what}: {line}\n"));
    }
    text
}

/// Formats the decision on the default version, with the reason.
fn verdict(outcome: &Outcome, promote: Promote) -> String {
    let Outcome { model, version, promoted, kept_back, .. } = outcome;
    match (promoted, kept_back, promote) {
        (true, _, Promote::Always) => format!("promoted, as asked: {model} now means version {version}\n"),
        (true, _, Promote::Never) => {
            format!("{model} means version {version}, the only one there is of this name\n")
        }
        (true, _, Promote::IfBetter) => {
            format!("promoted, for it beats all of these: {model} now means version {version}\n")
        }
        (false, Some(reason), _) => format!(
            "kept back because {reason}\n`limpid models default {model} {version}` makes it the default all the same\n"
        ),
        (false, None, _) => format!(
            "not promoted, as asked; `limpid models default {model} {version}` makes it the default\n"
        ),
    }
}

/// Maps an error of the config before the samples are read to an error of the command line.
fn of_flags(error: train::Error) -> Error {
    match error {
        train::Error::Invalid { .. } => Error::Usage(error.to_string()),
        other => other.into(),
    }
}

fn summary(dataset: &Dataset) -> String {
    let kind = dataset.kind().map_or_else(|| "sample".to_owned(), |kind| kind.to_string());
    let pairs = if dataset.is_pairs() { ", each with its noisy twin" } else { "" };
    format!("{} {kind}s of {} channel(s){pairs}", dataset.items.len(), dataset.channels())
}

/// Prints how an existing checkpoint is used, and creates its folder now rather than fail in an hour.
fn prepare(checkpoint: &std::path::Path, resume: bool) -> Result<(), Error> {
    let shown = checkpoint.display();
    match (checkpoint.exists(), resume) {
        (true, true) => eprintln!("going on from {shown}"),
        (true, false) => {
            eprintln!("note: {shown} of an earlier run will be overwritten (--resume continues from it)")
        }
        (false, true) => {
            eprintln!("note: there is no {shown} to go on from; the run starts at the beginning")
        }
        (false, false) => {}
    }
    let folder = checkpoint.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(Error::io(folder)))
}

/// Parses a value by its name in a config.
pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|e| e.to_string())
}

/// Parses a flag that holds JSON.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn three(text: &str) -> Result<[usize; 3], String> {
    let numbers: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let wrong = || format!("expected three whole numbers such as 1,2,8, got {text:?}");
    numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
