//! Model card: training data, method and scores of a version.

use std::fmt::Write as _;

use super::publish;
use super::setup::Setup;
use super::verdict::Compared;
use super::{Run, Scores};
use crate::nn::model::Family;
use crate::sample::Shape;

/// Data of a model card.
pub(super) struct Facts<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) setup: &'a Setup<'a>,
    pub(super) result: &'a publish::Result<'a>,
    pub(super) compared: &'a Compared,
    /// Reason why the version does not become the default by itself.
    pub(super) kept_back: Option<&'a str>,
    /// Size of the weights file in bytes.
    pub(super) bytes: usize,
}

/// Returns the card as Markdown; the registry replaces `{version}`.
pub(super) fn write(facts: &Facts<'_>) -> String {
    let Facts { run, setup, result, bytes, .. } = facts;
    let mut card = format!("# {}, version {{version}}\n\n", run.config.name);
    let (family, shape) = match &setup.model.family {
        Family::Pyramid(c) => (
            format!("`pyramid`, images of any size with {} channel(s)", c.channels),
            Shape::image(c.channels, 1024, 1024),
        ),
        Family::Compact(c) => (
            format!("`compact`, images of {}x{} with {} channel(s)", c.width, c.height, c.channels),
            c.shape(),
        ),
        Family::Signal(c) => (
            format!("`signal`, signals of any length with {} channel(s)", c.channels),
            Shape::Signal { channels: c.channels, length: 4096 },
        ),
        Family::Dense(c) => {
            (format!("`dense`, vectors of {} numbers", c.features), Shape::Vector { features: c.features })
        }
    };
    let latent = setup.model.latent_numbers(shape, setup.model.latent_channels());
    let per_number = setup.model.macs(shape) as f64 / shape.numbers() as f64 / 1000.0;
    let steps = match (result.best_step, result.steps) {
        (best, all) if best == all => format!("{all}"),
        (best, all) => {
            format!("{all}; the weights are those of step {best}, the best on the held-out samples")
        }
    };
    // Writing to a string cannot fail.
    let _ = writeln!(card, "| | |\n|---|---|");
    let _ = writeln!(card, "| family | {family} |");
    let _ = writeln!(card, "| latent | {latent} numbers for one {shape} ({} numbers) |", shape.numbers());
    let _ = writeln!(card, "| arithmetic | {per_number:.1} kMAC per number of the input |");
    let _ = writeln!(card, "| weights | {:.2} MB |", *bytes as f64 / 1e6);
    let _ = writeln!(card, "| trained on | {} |", run.data);
    let _ = writeln!(card, "| scheme | {} ({}) |", setup.scheme.0.name(), setup.scheme.1);
    let _ = writeln!(card, "| steps | {steps} |");
    let _ = writeln!(card, "| seed | {} |", run.config.seed);
    let _ = writeln!(card, "| made by | `{}` |\n", run.recipe);
    card.push_str(&scores(facts));
    if let Some(reason) = facts.kept_back {
        let _ = writeln!(card, "\nThis version was kept back because {reason}.");
    }
    if !result.notes.is_empty() {
        let _ = writeln!(card, "\n## Notes\n");
        result.notes.iter().for_each(|note| {
            let _ = writeln!(card, "- {note}");
        });
    }
    let json = serde_json::to_string_pretty(run.config).unwrap_or_default();
    let _ = writeln!(card, "\n## Training config\n\n```json\n{json}\n```\n");
    card.push_str(
        "An autoencoder is good on data like its training data and poor elsewhere: look at the familiarity\n\
         that comes with each reply.\n",
    );
    card
}

fn scores(facts: &Facts<'_>) -> String {
    let Facts { setup, compared, .. } = facts;
    let Scores { samples, noisy_db, strict_db, full_db, baseline_db, .. } = compared.scores;
    let how = match setup.held_out.is_estimate() {
        false => "with the noise they were trained with",
        true => {
            "estimated without clean samples, from the noise itself (Noise2Self, or Stein's estimate where it is \
             white). Compare them with each other, not with scores against clean samples"
        }
    };
    let mut table = format!(
        "## Scores\n\nMeans over {samples} held-out samples (or windows of large ones) that training never saw, \
         {how}.\n\n| | dB |\n|---|---|\n| noisy input | {noisy_db:.2} |\n"
    );
    if let Some(db) = baseline_db {
        let _ = writeln!(table, "| {}, without learning | {db:.2} |", publish::classical(setup));
    }
    for (what, scored) in
        [("the version before", &compared.before), ("the base it started from", &compared.base)]
    {
        if let Some((name, scores)) = scored {
            let _ = writeln!(table, "| {name}, {what}, denoised | {:.2} |", scores.full_db);
        }
    }
    let _ = writeln!(table, "| from the latent alone (strict) | {strict_db:.2} |");
    let _ = writeln!(table, "| denoised (full) | {full_db:.2} |");
    table
}
