//! `limpid models calibrate`: measures how far predicted quality is from the truth, on clean images.

use std::path::PathBuf;

use super::place::{self, Place};
use super::workers::{Cores, each};
use super::{Config, Error, out, progress, samples};
use crate::corruption::Corruption;
use crate::dataset::{Item, Wanted};
use crate::infer::fit::Traits;
use crate::infer::{self, NoiseLevel, Options, Probe, Session, Steady};
use crate::name::ModelRef;
use crate::quality::psnr;
use crate::registry::{Calibration, Spread};
use crate::sample::Kind;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// NAME or NAME@VERSION, a model of images of any size.
    model: ModelRef,
    /// Clean images that the model has not been tested on: a folder, an archive, or files; at least ten.
    #[arg(long, required = true, value_name = "PATH")]
    samples: Vec<PathBuf>,
    /// Strengths of the noise on the 0..255 scale.
    #[arg(long, value_name = "S,S,...", value_delimiter = ',', default_value = "5,15,25,50", value_parser = super::denoise::sigma)]
    sigma: Vec<f32>,
    /// Seed of the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    place: Place,
}

/// Deviations of one image under noise of one strength, for known and for estimated noise.
type Deviations = [Option<f32>; 2];

/// Measures, prints a table, and writes the calibration into the config of the version.
///
/// # Errors
/// The model is not one of images of any size, or is bundled; there are too few images, or a file cannot be written.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    let registry = args.place.open_to_write(config)?;
    let session = place::load(&registry, &args.model)?;
    registry.check_own(&args.model)?;
    let input = session.input();
    if input.kind != Kind::Image || input.fixed.is_some() {
        let what =
            format!("{} takes no images of any size, and PSNR is predicted for those alone", session.id());
        return Err(Error::Usage(what));
    }
    let wanted = Wanted { kind: Some(input.kind), channels: Some(input.channels), ..Wanted::default() };
    let dataset = samples::gather(&args.samples, &config.limits, wanted)?;
    samples::describe(&dataset, |line| eprintln!("{line}"));
    let tasks: Vec<(f32, usize)> =
        args.sigma.iter().flat_map(|sigma| (0..dataset.items.len()).map(|at| (*sigma, at))).collect();
    let (bar, cores) = (progress::files(tasks.len()), Cores::for_count(tasks.len()));
    let measure = |_: usize, (sigma, at): &(f32, usize)| {
        let item = &dataset.items[*at];
        cores.run(item.clean.shape().numbers(), || deviations(&session, item, *sigma, args.seed))
    };
    let measured = each(&tasks, measure, |_, _| bar.inc(1));
    bar.finish_and_clear();
    let measured = measured.into_iter().collect::<infer::Result<Vec<Deviations>>>()?;

    let mut rows = Vec::new();
    for sigma in &args.sigma {
        let of = |way: usize| {
            let own = tasks.iter().zip(&measured).filter(|((other, _), _)| other == sigma);
            let all: Vec<f32> = own.filter_map(|(_, deviations)| deviations[way]).collect();
            let count = all.len();
            Spread::of(all).ok_or_else(|| {
                Error::Failed(format!(
                    "only {count} images show noise of sigma {sigma}; at least 10 are needed"
                ))
            })
        };
        rows.push((*sigma, of(0)?, of(1)?));
    }
    let line = |(sigma, told, blind): &(f32, Spread, Spread)| {
        let one = |s: &Spread| format!("{:>7.3} {:>7.3} {:>7.3}", s.bias, s.low, s.high);
        format!("{sigma:>6} {} {}\n", one(told), one(blind))
    };
    let head = "true minus predicted PSNR: median, 10 % and 90 % quantile\n sigma  known, in deviations    estimated, dB\n";
    let table = head.to_owned() + &rows.iter().map(line).collect::<String>();
    let calibration =
        Calibration::new(rows).ok_or_else(|| Error::Usage("--sigma: each strength once".into()))?;
    registry.calibrate(&args.model, calibration)?;
    out(&table)
}

/// Denoises an image under white noise and compares the true PSNR with the predicted ones.
fn deviations(session: &Session, item: &Item, sigma: f32, seed: u64) -> infer::Result<Deviations> {
    let (noisy, clean) = item.corrupted(&Corruption::white(sigma), seed, u64::from(crc(item)));
    let (options, kind) = (Options::default(), clean.shape().kind());
    let result = session.denoise(&noisy, &options)?.sample;
    let true_db = psnr(clean.data(), result.data());
    let traits = Traits::of(&noisy);
    let mut deviations = [None; 2];
    for (way, told) in [Some(sigma), None].into_iter().enumerate() {
        // Noise that a service would call unknown is not calibrated for.
        let Ok(level) = NoiseLevel::of(&traits, kind, told) else { continue };
        let probe = Probe::of_noise(level.sigma());
        let response = session.respond_at(&noisy, &result, &options, probe, &Steady)?;
        let deviation = level.deviation(&response, 1.0, true_db);
        deviations[way] = Some(deviation).filter(|deviation| deviation.is_finite());
    }
    Ok(deviations)
}

/// Returns a number that depends on the image alone, so that its noise does not depend on the others.
fn crc(item: &Item) -> u32 {
    let mut bytes = crc32fast::Hasher::new();
    item.clean.data().iter().for_each(|v| bytes.update(&v.to_le_bytes()));
    bytes.finalize()
}
