//! Evaluation report: a table for people, JSON and CSV for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::progress::tidy;
use super::beside::{Beside, PcaScores};
use super::map::Map;
use super::score::{METHODS, Noise, Score};
use crate::dataset::Dataset;
use crate::infer::{Options, Session};
use crate::quality::{Nearness, Summary};
use crate::sample::Kind;

/// All results.
pub(super) struct Report {
    model: String,
    kind: Kind,
    names: Vec<String>,
    options: Options,
    seed: u64,
    /// `true` to show the shares of ink and strokes.
    ink: bool,
    parts: Vec<Part>,
}

/// Results for one noise.
struct Part {
    label: String,
    scores: Vec<Score>,
    beside: Option<Beside>,
    map: Option<Map>,
}

/// Row of the table: a method, with the scores of all samples.
struct Row {
    name: &'static str,
    nearness: Vec<Nearness>,
}

impl Report {
    /// Creates an empty report.
    pub(super) fn new(session: &Session, dataset: &Dataset, options: &Options, seed: u64, ink: bool) -> Self {
        Self {
            model: session.id().to_string(),
            kind: dataset.kind().unwrap_or(Kind::Image),
            names: dataset.items.iter().map(|item| item.name.clone()).collect(),
            options: *options,
            seed,
            ink,
            parts: Vec::new(),
        }
    }

    /// Adds the results for one noise, in the order of the samples.
    pub(super) fn add(
        &mut self,
        noise: &Noise,
        scores: Vec<Score>,
        beside: Option<Beside>,
        map: Option<Map>,
    ) {
        self.parts.push(Part { label: noise.label(), scores, beside, map });
    }

    /// Formats the report for people.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}, {} {}(s), ensemble {}, seed {}; full is what limpid denoise returns\n",
            self.model,
            self.names.len(),
            self.kind,
            self.options.ensemble,
            self.seed
        );
        // Writing to a string cannot fail.
        for part in &self.parts {
            let _ = writeln!(
                text,
                "\n{:<24}{:>9}{:>9}{:>9}{:>9}{:>9}{}   worst sample",
                part.label,
                self.unit(),
                "spread",
                "worst",
                "SSIM",
                "RMSE",
                if self.ink { "      ink  strokes" } else { "" },
            );
            for row in part.rows() {
                text += &self.line(&row);
            }
            text += &part.foot();
        }
        text
    }

    fn line(&self, row: &Row) -> String {
        let db = row.db();
        let (ssim, rmse) = (row.mean(|n| n.ssim), row.mean(|n| Some(n.rmse)));
        let recalls = [row.mean(|n| n.ink_recall), row.mean(|n| n.stroke_recall)];
        let ink = if self.ink { recalls.map(|recall| cell(recall, 4)).concat() } else { String::new() };
        let worst = db.lowest_at.and_then(|at| self.names.get(at)).map_or("", String::as_str);
        format!(
            "  {:<22}{}{}{}{}{}{ink}   {worst}\n",
            row.name,
            cell(db.mean, 2),
            cell(db.spread, 2),
            cell(db.lowest, 2),
            cell(ssim, 4),
            cell(rmse, 4)
        )
    }

    fn unit(&self) -> &'static str {
        if self.kind == Kind::Image { "PSNR dB" } else { "SNR dB" }
    }

    /// Formats the report as JSON. Everything except `seconds_per_megapixel` is the same in every run.
    pub(super) fn json(&self) -> String {
        let parts: Vec<Value> = self.parts.iter().map(|part| part.json(&self.names)).collect();
        let mut report = json!({
            "model": self.model,
            "full": "as served",
            "samples": self.names.len(),
            "unit": if self.kind == Kind::Image { "psnr_db" } else { "snr_db" },
            "ratio": self.options.ratio,
            "ensemble": self.options.ensemble,
            "seed": self.seed,
            "noises": parts,
        });
        tidy(&mut report);
        format!("{report:#}\n")
    }

    /// Formats one line per noise and sample; the same in every run.
    pub(super) fn csv(&self) -> String {
        let mut text = String::from(
            "noise,sample,noisy_db,dct_db,strict_db,full_db,noisy_ssim,dct_ssim,strict_ssim,full_ssim,numbers,latent_numbers,familiarity\n",
        );
        for part in &self.parts {
            for (name, score) in self.names.iter().zip(&part.scores) {
                let ways = [Some(score.noisy), score.dct, Some(score.strict), Some(score.full)];
                let mut cells = vec![quote(&part.label), quote(name)];
                cells.extend(ways.iter().map(|way| field(way.map(|n| n.db))));
                cells.extend(ways.iter().map(|way| field(way.and_then(|n| n.ssim))));
                cells.extend([score.numbers.to_string(), score.latent.to_string(), field(score.familiarity)]);
                text += &(cells.join(",") + "\n");
            }
        }
        text
    }
}

impl Row {
    /// Returns the name in JSON: the first word, or all of a classical method.
    fn key(&self) -> String {
        match METHODS.contains(&self.name) {
            true => self.name.to_lowercase().replace([' ', '-'], "_"),
            false => self.name.split([' ', ',']).next().unwrap_or_default().to_lowercase(),
        }
    }

    fn db(&self) -> Summary {
        Summary::of(&self.nearness.iter().map(|n| n.db).collect::<Vec<_>>())
    }

    /// Summarizes a score that some samples may not have.
    fn summary(&self, of: fn(&Nearness) -> Option<f32>) -> Option<Summary> {
        let all: Vec<f32> = self.nearness.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| Summary::of(&all))
    }

    fn mean(&self, of: fn(&Nearness) -> Option<f32>) -> Option<f32> {
        self.summary(of).and_then(|summary| summary.mean)
    }
}

impl Part {
    fn rows(&self) -> Vec<Row> {
        let all = |of: fn(&Score) -> Nearness| self.scores.iter().map(of).collect();
        let mut rows = vec![Row { name: "noisy input", nearness: all(|s| s.noisy) }];
        let dct: Option<Vec<Nearness>> = self.scores.iter().map(|s| s.dct).collect();
        rows.extend(dct.map(|nearness| Row { name: "DCT baseline", nearness }));
        for (at, name) in METHODS.into_iter().enumerate() {
            let nearness: Option<Vec<Nearness>> =
                self.scores.iter().map(|s| s.classical.get(at).copied()).collect();
            rows.extend(nearness.map(|nearness| Row { name, nearness }));
        }
        rows.push(Row { name: "strict (latent alone)", nearness: all(|s| s.strict) });
        rows.push(Row { name: "full", nearness: all(|s| s.full) });
        if let Some(pca) = self.pca() {
            rows.push(Row { name: "PCA, as many numbers", nearness: pca.nearness.clone() });
        }
        rows
    }

    fn pca(&self) -> Option<&PcaScores> {
        self.beside.as_ref()?.pca.as_ref()
    }

    /// Formats the size of the latent, the JPEG comparison, and the time.
    fn foot(&self) -> String {
        let (numbers, latent) = self.sizes();
        let mut text = format!(
            "  latent: {latent} of {numbers} numbers, {:.2} to 1",
            numbers as f64 / latent.max(1) as f64
        );
        if let Some(beside) = &self.beside {
            let _ = match &beside.pca {
                Some(pca) => write!(text, "; PCA keeps {} of the first sample", pca.numbers),
                None => write!(text, "; PCA is left out: with samples of this size it would take too long"),
            };
            let scores: Vec<f32> = beside.jpeg.iter().map(|j| j.psnr_db).collect();
            if let (Some(db), Some(first)) = (Summary::of(&scores).mean, beside.jpeg.first()) {
                let _ = write!(
                    text,
                    "\n  JPEG in the latent's bytes (32 bits a number): {db:.2} dB over {} images, quality {} and {} \
                     bytes for the first",
                    scores.len(),
                    first.quality,
                    first.bytes
                );
            }
        }
        if let Some(Map { numbers, neighbors, latent, pca }) = self.map {
            let _ = write!(
                text,
                "\n  labels: {latent:.4} of the samples have that of most of their {neighbors} nearest latents ({numbers} \
                 numbers)"
            );
            if let Some(pca) = pca {
                let _ = write!(text, "; {pca:.4} for as many principal components");
            }
        }
        let _ =
            writeln!(text, "\n  time: {:.2} s per million pixels or values, one sample a core", self.pace());
        text
    }

    fn sizes(&self) -> (usize, usize) {
        (self.scores.iter().map(|s| s.numbers).sum(), self.scores.iter().map(|s| s.latent).sum())
    }

    fn pace(&self) -> f64 {
        let seconds: f64 = self.scores.iter().map(|s| s.seconds).sum();
        let places: usize = self.scores.iter().map(|s| s.places).sum();
        seconds / places.max(1) as f64 * 1e6
    }

    fn json(&self, names: &[String]) -> Value {
        let (numbers, latent) = self.sizes();
        let mut ways = serde_json::Map::new();
        for row in self.rows() {
            let key = row.key();
            ways.insert(
                key,
                json!({
                    "db": row.db(), "ssim": row.summary(|n| n.ssim), "rmse": row.summary(|n| Some(n.rmse)),
                    "ink_recall": row.summary(|n| n.ink_recall),
                    "stroke_recall": row.summary(|n| n.stroke_recall),
                }),
            );
        }
        let sample = |(name, score): (&String, &Score)| {
            json!({
                "name": name, "noisy": score.noisy, "dct": score.dct, "strict": score.strict, "full": score.full,
                "numbers": score.numbers, "latent_numbers": score.latent, "familiarity": score.familiarity,
            })
        };
        json!({
            "noise": self.label,
            "summary": ways,
            "numbers": numbers,
            "latent_numbers": latent,
            "pca_numbers_of_first": self.pca().map(|pca| pca.numbers),
            "jpeg": self.beside.as_ref().map(|b| &b.jpeg),
            "map": self.map,
            "seconds_per_megapixel": self.pace(),
            "samples": names.iter().zip(&self.scores).map(sample).collect::<Vec<_>>(),
        })
    }
}

fn cell(value: Option<f32>, digits: usize) -> String {
    value.map_or_else(|| format!("{:>9}", "-"), |value| format!("{value:>9.digits$}"))
}

fn field(value: Option<f32>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Quotes a CSV field (RFC 4180).
fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let near = |db| Nearness {
            db,
            ssim: Some(0.5),
            rmse: 0.1,
            ink_recall: Some(0.25),
            stroke_recall: Some(0.75),
        };
        let score = |db| Score {
            noisy: near(20.0),
            dct: None,
            classical: Vec::new(),
            strict: near(db),
            full: near(db + 1.0),
            numbers: 100,
            places: 100,
            latent: 50,
            familiarity: None,
            seconds: 1e-4,
        };
        let part = Part {
            label: "sigma 25".into(),
            scores: vec![score(28.0), score(24.0)],
            beside: None,
            map: None,
        };
        Report {
            model: "m@1".into(),
            kind: Kind::Image,
            names: vec!["a,b".into(), "c".into()],
            options: Options::default(),
            seed: 0,
            ink: false,
            parts: vec![part],
        }
    }

    #[test]
    fn the_table_tells_mean_spread_worst_and_size() {
        let table = report().table();
        let full = table.lines().find(|line| line.trim_start().starts_with("full")).unwrap();
        let words: Vec<&str> = full.split_whitespace().collect();
        assert_eq!(words, ["full", "27.00", "2.00", "25.00", "0.5000", "0.1000", "c"]);
        assert!(table.contains("100 of 200 numbers, 2.00 to 1"), "{table}");
        assert!(table.contains("1.00 s per million pixels") && !table.contains("DCT"), "{table}");
    }

    #[test]
    fn ink_and_strokes_are_shown_if_asked_for() {
        let table = Report { ink: true, ..report() }.table();
        let words = |start: &str| -> Vec<&str> {
            table
                .lines()
                .find(|line| line.trim_start().starts_with(start))
                .unwrap()
                .split_whitespace()
                .collect()
        };
        assert_eq!(words("sigma")[8..], ["ink", "strokes", "worst", "sample"]);
        assert_eq!(words("full")[6..], ["0.2500", "0.7500", "c"]);
        assert!(!report().table().contains("strokes"));
    }

    #[test]
    fn csv_has_a_line_a_sample_and_no_time() {
        let csv = report().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "sigma 25,\"a,b\",20,,28,29,0.5,,0.5,0.5,100,50,");
    }

    #[test]
    fn json_has_a_summary_a_way() {
        let json: Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["noises"][0]["summary"]["strict"]["db"]["mean"], 26.0);
        assert_eq!(json["noises"][0]["summary"]["full"]["stroke_recall"]["mean"], 0.75);
        assert_eq!(json["noises"][0]["samples"][1]["full"]["db"], 25.0);
    }
}
