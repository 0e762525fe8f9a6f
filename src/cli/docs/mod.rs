//! `limpid docs`: reference pages from the code that they describe.

mod metrics;
mod settings;
mod training;

use super::config::Config;
use super::{Error, out};

const EXAMPLES: &str = "\
Examples:
  limpid docs settings > docs/settings.md
  limpid docs training > docs/training.md
  limpid docs metrics > docs/metrics.md";

/// Print a reference page of this version, as Markdown.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Page to print.
    page: Page,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Page {
    /// Every setting: name, variable, default, meaning.
    Settings,
    /// The training config: every member, scheme, family, loss and corruption.
    Training,
    /// Every metric: name, kind, labels, meaning.
    Metrics,
}

/// Runs the command.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: Args, _config: &Config) -> Result<(), Error> {
    out(&match args.page {
        Page::Settings => settings::page(),
        Page::Training => training::page(),
        Page::Metrics => metrics::page(),
    })
}

/// A row of a table; no cell breaks it.
fn row<const N: usize>(cells: [&str; N]) -> String {
    let cells = cells.map(|cell| cell.replace('\n', " ").replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
fn head<const N: usize>(cells: [&str; N]) -> String {
    row(cells) + "|" + &"---|".repeat(N) + "\n"
}
