//! The model card: what a version was trained on, how, and how well it does there.

use std::fmt::Write as _;

use super::{Facts, Scores};
use crate::nn::model::Family;
use crate::sample::Shape;

/// The card as Markdown; `{version}` is left for the registry to fill in.
pub(super) fn write(facts: &Facts<'_>) -> String {
    let Facts { config, model, .. } = facts;
    let mut card = format!("# {}, version {{version}}\n\n", config.name);
    let family = match &model.family {
        Family::Pyramid(c) => format!("`pyramid`, images of any size with {} channel(s)", c.channels),
        Family::Compact(c) => {
            format!("`compact`, images of {}x{} with {} channel(s)", c.width, c.height, c.channels)
        }
        Family::Signal(c) => format!("`signal`, signals of any length with {} channel(s)", c.channels),
        Family::Dense(c) => format!("`dense`, vectors of {} numbers", c.features),
    };
    let shape = match &model.family {
        Family::Pyramid(c) => Shape::image(c.channels, 1024, 1024),
        Family::Compact(c) => c.shape(),
        Family::Signal(c) => Shape::Signal { channels: c.channels, length: 4096 },
        Family::Dense(c) => Shape::Vector { features: c.features },
    };
    let latent = model.latent_numbers(shape, model.latent_channels());
    // Writing to a string cannot fail.
    let _ = writeln!(card, "| | |\n|---|---|");
    let _ = writeln!(card, "| family | {family} |");
    let _ = writeln!(card, "| latent | {latent} numbers for one {shape} ({} numbers) |", shape.numbers());
    let _ = writeln!(card, "| arithmetic | {:.1} kMAC per number of the input |", per_number(facts, shape));
    let _ = writeln!(card, "| trained on | {} |", facts.data);
    let _ = writeln!(card, "| scheme | {} ({}) |", facts.scheme.0, facts.scheme.1);
    let _ = writeln!(card, "| steps | {} |", facts.steps);
    let _ = writeln!(card, "| seed | {} |", config.seed);
    let _ = writeln!(card, "| made by | `{}` |\n", facts.recipe);
    card.push_str(&scores(facts));
    let json = serde_json::to_string_pretty(config).unwrap_or_default();
    let _ = writeln!(card, "\n## Training config\n\n```json\n{json}\n```\n");
    card.push_str(
        "An autoencoder is good on data like its training data and poor elsewhere: look at the familiarity\n\
         that comes with each reply.\n",
    );
    card
}

fn per_number(facts: &Facts<'_>, shape: Shape) -> f64 {
    facts.model.macs(shape) as f64 / shape.numbers() as f64 / 1000.0
}

fn scores(facts: &Facts<'_>) -> String {
    let Scores { samples, noisy_db, strict_db, full_db } = facts.scores;
    let mut table = format!(
        "## Scores\n\nMeans over {samples} held-out samples (or windows of large ones) that training never saw, with the training's own corruption.\n\n\
         | | dB |\n|---|---|\n| noisy input | {noisy_db:.2} |\n| from the latent alone (strict) | {strict_db:.2} |\n\
         | denoised (full) | {full_db:.2} |\n"
    );
    if let Some((name, before)) = &facts.reference {
        let _ = writeln!(table, "| {name}, the version before, denoised | {:.2} |", before.full_db);
    }
    table
}
