//! `limpid denoise`: denoises files.

use std::sync::Arc;
use std::time::Instant;

use super::content::{self, Content, Fineness, Forms};
use super::files::{self, Made, Work};
use super::place::Place;
use super::workers::Cores;
use super::zoo::Zoo;
use super::{Config, Error, stream};
use crate::codec::Format;
use crate::infer::fit::{self, Fitted, Traits, Wishes};
use crate::infer::{Mode, Options, PredictOptions, Session, SignalStream, WINDOW};
use crate::limits::Limits;
use crate::media;
use crate::name::ModelRef;
use crate::quality::residual_correlation;
use crate::sample::{GapRule, Missing, Sample, Stats};

const EXAMPLES: &str = "\
Examples:
  limpid denoise noisy.png -o clean.png
  limpid denoise scans/ -o cleaned/ --model my-scans -v
        a folder with all below it; a line per file
  limpid denoise stack.npy -o clean.npy --model photo-gray --ensemble 8
        an array of images keeps its axes; 8 averages over flips and turns
  limpid denoise noisy.png -o clean.png --predict --sigma 25 -v
        tells how good the result is, without a clean image
  limpid denoise frame.tif -o clean.tif --depth float --strength 0.7
  camera-tool | limpid denoise - -o - --format png > clean.png
  sensor-tool | limpid denoise - --stream --model pulse
        lines of CSV or JSON without an end, each back as soon as it is certain

Without --model gray images take photo-gray and colour images photo-color, or camera-gray and camera-color where their noise
is not white, as that of cameras and JPEG files; -v tells which and why.";

/// Remove noise from images and arrays.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    files: files::Args,
    /// Model, NAME or NAME@VERSION [default: by the kind of sample].
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelRef>,
    /// full (with the refiner) or strict (from the latent only).
    #[arg(long, value_name = "MODE", default_value = "full", value_parser = mode)]
    mode: Mode,
    /// Blend of input and output: 0 is the input, 1 the output.
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = strength)]
    strength: f32,
    /// Strength for colour, while --strength applies to brightness; images, mode full.
    #[arg(long, value_name = "S", value_parser = strength)]
    strength_chroma: Option<f32>,
    /// Share of the fine residual to add back where there is structure, 0 to 1; images, mode full.
    #[arg(long, value_name = "D", default_value_t = 0.0, value_parser = strength)]
    detail: f32,
    /// Smallest ratio of the sample's size to the latent's [default: the model's own].
    #[arg(long, value_name = "R")]
    ratio: Option<f32>,
    /// 8 averages over flips and turns of an image and takes 8 times as long.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = ensemble)]
    ensemble: usize,
    /// Predict the PSNR of each result without a clean reference, by one more pass (printed with -v); images under white noise.
    #[arg(long, conflicts_with = "stream")]
    predict: bool,
    /// Standard deviation of the white noise on the 0..255 scale, if it is known: the prediction is closer then.
    #[arg(long, value_name = "S", requires = "predict", value_parser = sigma)]
    sigma: Option<f32>,
    /// Number format of the result.
    #[arg(long, value_enum, value_name = "DEPTH", default_value = "same")]
    depth: Fineness,
    /// png, jpg, tif, webp, pnm, npy, wav or csv [default: by the extension of the output, else as the input].
    #[arg(long, value_name = "FORMAT", value_parser = content::format)]
    format: Option<Format>,
    /// Denoise an endless pipe of lines, CSV or JSON ({"data": [...]}), from standard input to standard output, as they
    /// arrive; needs --model.
    #[arg(long, requires = "model")]
    stream: bool,
    /// Mean and standard deviation of a stream, or of each of its channels, one after the other.
    #[arg(long, value_name = "MEAN,STD", requires = "stream", conflicts_with = "window", allow_hyphen_values = true, value_parser = stats)]
    stats: Vec<Stats>,
    /// Number of lines that the statistics of a stream are taken from.
    #[arg(long, value_name = "STEPS", default_value_t = WINDOW, requires = "stream")]
    window: usize,
    #[command(flatten)]
    forms: Forms,
    #[command(flatten)]
    place: Place,
}

/// Denoises every file.
///
/// # Errors
/// The output does not suit the inputs, the model does not exist, or a file failed.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let wishes = Wishes { strength_chroma: args.strength_chroma, detail: args.detail };
    if args.mode == Mode::Strict && wishes != Wishes::default() {
        let reason =
            "--detail and --strength-chroma act in mode full alone: the strict result is that of the latent";
        return Err(Error::Usage(reason.into()));
    }
    let zoo = Zoo::new(args.place.open(config)?, args.model.clone(), config.server.usual());
    // Loaded now, so that an error is reported once and not for every file.
    let model = zoo.stated().map_err(Error::Failed)?;
    if args.stream {
        return args.stream(model, &config.limits);
    }
    let format = match (args.format, args.files.stated_extension()) {
        (Some(format), _) => Some(format),
        (None, Some(ending)) => Some(content::format(ending).map_err(Error::Usage)?),
        (None, None) => None,
    };
    let task = Task { args: &args, zoo: &zoo, model: model.as_deref(), format, limits: &config.limits };
    args.files.each(config.limits.upload_bytes, content::may_hold_samples, &task)
}

impl Args {
    /// Denoises standard input as it arrives.
    fn stream(&self, model: Option<Arc<Session>>, limits: &Limits) -> Result<(), Error> {
        let session = model.ok_or_else(|| Error::Usage("--stream needs --model".into()))?;
        if !self.files.is_pipe() {
            return Err(Error::Usage(
                "--stream reads standard input and writes standard output: limpid denoise - --stream".into(),
            ));
        }
        let GapRule { missing, sentinel } = self.forms.rule();
        if sentinel.is_some() || missing == Missing::Refuse {
            return Err(Error::Usage(
                "a stream keeps or fills missing numbers (--missing), and none stands for them".into(),
            ));
        }
        let Args { mode, strength, ratio, ensemble, .. } = *self;
        let options = Options { mode, strength, ratio, ensemble };
        let keeps_gaps = missing == Missing::Keep;
        let stats = (!self.stats.is_empty()).then(|| self.stats.clone());
        stream::run(SignalStream::new(session, options, stats, self.window, keeps_gaps)?, keeps_gaps, limits)
    }
}

/// Settings for all files.
struct Task<'a> {
    args: &'a Args,
    zoo: &'a Zoo,
    model: Option<&'a Session>,
    format: Option<Format>,
    limits: &'a Limits,
}

impl Task<'_> {
    /// Denoises a sample; returns also a line with model, reason, noise and familiarity.
    fn denoise(&self, sample: &Sample) -> Result<(Sample, String), String> {
        let Args { mode, strength, ratio, ensemble, strength_chroma, detail, .. } = *self.args;
        let options = Options { mode, strength, ratio, ensemble };
        let is_wanted = mode == Mode::Full && self.zoo.may_take_pages()?;
        let traits = Traits::of(sample).with_page(sample, is_wanted);
        let (session, reason) = self.zoo.for_sample(sample.shape(), &traits, mode)?;
        let wishes = Wishes { strength_chroma, detail };
        let predict = self.args.predict.then_some(PredictOptions { sigma: self.args.sigma });
        let fitted = fit::denoise(&session, sample, &traits, &options, wishes, predict);
        let Fitted { denoised: done, page, prediction } = fitted.map_err(|e| e.to_string())?;
        let sigmas = traits.sigmas(sample.shape().kind());
        let sigma = sigmas.iter().sum::<f32>() / sigmas.len().max(1) as f32;
        let familiarity = done.familiarity.map_or_else(|| "unknown".to_owned(), |f| format!("{f:.2}"));
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let page = page.map_or_else(String::new, |page| {
            format!(", ink kept {:.3}, put back {:.3}, {}", page.ink_kept, page.put_back, page.note)
        });
        let resampled = session.resampling(sample).ok().flatten();
        let resampled = resampled.map_or_else(String::new, |change| {
            format!(", resampled from {} Hz to {} Hz and back", change.from, change.to)
        });
        let prediction = prediction.map_or_else(String::new, |prediction| {
            let removed = residual_correlation(sample, &done.sample);
            let removed = removed.map_or_else(String::new, |r| format!(", residual correlation {r:.3}"));
            format!(", {prediction}{removed}")
        });
        let missing = match sample.missing_count() {
            0 => String::new(),
            count => format!(", {count} of {} numbers missing", sample.shape().numbers()),
        };
        Ok((
            done.sample,
            format!(
                "{}{reason}{page}{resampled}{missing}, sigma {sigma:.3}, familiarity {familiarity}{prediction}",
                session.id()
            ),
        ))
    }
}

impl Work for Task<'_> {
    fn extension(&self, bytes: &[u8]) -> Option<&'static str> {
        let format = self.format.or_else(|| media::settle_format(bytes, None).ok());
        format.map(Format::extension)
    }

    fn run(&self, bytes: &[u8], cores: &Cores) -> Result<Made, String> {
        let content = Content::read(bytes, self.model, &self.args.forms, self.limits)?;
        if content.samples.is_empty() {
            return Err("there is no sample in it".into());
        }
        let format = self.format.unwrap_or(content.format());
        content.check(format, self.args.depth)?;
        let start = Instant::now();
        let one = |sample: &Sample| cores.run(sample.shape().numbers(), || self.denoise(sample));
        let (results, lines): (Vec<_>, Vec<_>) =
            content.samples.iter().map(one).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (depth, ms) = (self.args.depth, start.elapsed().as_millis());
        let about = match lines.as_slice() {
            [line] => format!("{line}, {ms} ms"),
            lines => format!("{} samples, {ms} ms; the first: {}", lines.len(), lines[0]),
        };
        Ok(Made { bytes: content.write(&results, format, depth)?, extension: format.extension(), about })
    }
}

fn stats(text: &str) -> Result<Stats, String> {
    let numbers = text.split_once(',').and_then(|(mean, std)| Some((mean.parse().ok()?, std.parse().ok()?)));
    let stats = numbers.map(|(mean, std)| Stats { mean, std });
    let is_sound = |stats: &Stats| stats.mean.is_finite() && stats.std.is_finite() && stats.std > 0.0;
    stats
        .filter(is_sound)
        .ok_or_else(|| format!("expected a mean and a deviation above 0, as 0.5,2, got {text:?}"))
}

fn mode(text: &str) -> Result<Mode, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("expected full or strict, got {text:?}"))
}

pub(super) fn strength(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|s| (0.0..=1.0).contains(s));
    number.ok_or_else(|| format!("expected 0 to 1, got {text:?}"))
}

/// Parses the standard deviation of noise in levels of 255.
pub(super) fn sigma(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|s| *s > 0.0 && *s <= 255.0);
    number.ok_or_else(|| format!("expected more than 0, at most 255, got {text:?}"))
}

pub(super) fn ensemble(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "8" => Ok(8),
        other => Err(format!("expected 1 or 8, got {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_before_any_file_is_read() {
        assert_eq!((strength("0.7"), ensemble("8")), (Ok(0.7), Ok(8)));
        assert!(["1.5", "-0.1", "nan", "x"].iter().all(|text| strength(text).is_err()));
        assert_eq!(stats("-0.5,2"), Ok(Stats { mean: -0.5, std: 2.0 }));
        assert!(["1", "1,0", "1,nan", "1,2,3", ","].iter().all(|text| stats(text).is_err()));
        assert!(["0", "2", "x"].iter().all(|text| ensemble(text).is_err()));
    }
}
