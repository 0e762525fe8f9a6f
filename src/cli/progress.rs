//! Progress on standard error: bars on a terminal, otherwise JSON lines.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::train::Progress;

/// Shortest interval between JSON lines, except after validations.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Progress display of a training run.
#[derive(Debug)]
pub struct Training {
    /// Progress bar; none if standard error is not a terminal.
    bar: Option<ProgressBar>,
    told: Option<Instant>,
    score: Option<f32>,
}

impl Training {
    /// Starts the display, before the first step.
    pub fn start() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.set_style(style("{spinner} step {pos}/{len} {bar:24} {msg}"));
            bar
        });
        Self { bar, told: None, score: None }
    }

    /// Updates the display after a step.
    pub fn show(&mut self, at: &Progress) {
        if let Some(bar) = &self.bar {
            if at.total_steps != u64::MAX {
                bar.set_length(at.total_steps);
            }
            bar.set_position(at.step);
            bar.set_message(message(at));
            return;
        }
        let is_validation = at.psnr_db != self.score;
        let is_due = self.told.is_none_or(|told| told.elapsed() >= LINE_EVERY);
        if is_validation || is_due || at.step == at.total_steps {
            self.told = Some(Instant::now());
            self.score = at.psnr_db;
            eprintln!("{}", line(at));
        }
    }

    /// Ends the display after the last step.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Creates a bar over `count` files; hidden if standard error is not a terminal or there is only one file.
pub fn files(count: usize) -> ProgressBar {
    if count < 2 || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    bar.set_style(style("{pos}/{len} {bar:30} {elapsed} gone, {eta} left  {msg}"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well formed")
}

fn message(at: &Progress) -> String {
    let mut text = format!(
        "loss {:.6}  {:.1} steps/s  {:.0} crops/s",
        at.loss, at.steps_per_second, at.crops_per_second
    );
    // Writing to a string cannot fail.
    if let Some(db) = at.psnr_db {
        let _ = write!(text, "  {db:.2} dB");
    }
    if at.total_steps != u64::MAX && at.eta_seconds.is_finite() {
        let _ = write!(text, "  {} left", duration(at.eta_seconds));
    }
    text
}

/// Formats one JSON line; an unknown total is null.
fn line(at: &Progress) -> String {
    let mut json = serde_json::json!(at);
    tidy(&mut json);
    if at.total_steps == u64::MAX {
        json["total_steps"] = serde_json::Value::Null;
        json["eta_seconds"] = serde_json::Value::Null;
    }
    json.to_string()
}

/// Rounds every fraction to the digits of a 32-bit float: all values come from 32-bit floats, so further digits are noise.
pub fn tidy(json: &mut serde_json::Value) {
    use serde_json::Value;
    match json {
        Value::Number(number) if number.is_f64() => {
            let short = number.as_f64().and_then(|v| (v as f32).to_string().parse::<f64>().ok());
            if let Some(short) = short.and_then(serde_json::Number::from_f64) {
                *number = short;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => members.values_mut().for_each(tidy),
        _ => {}
    }
}

fn duration(seconds: f32) -> String {
    let whole = seconds.max(0.0).ceil() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(total_steps: u64) -> Progress {
        Progress {
            step: 3,
            total_steps,
            loss: 0.25,
            psnr_db: Some(30.0),
            steps_per_second: 2.0,
            crops_per_second: 32.0,
            eta_seconds: 3_725.0,
            checkpoint_seconds: None,
            preview: None,
        }
    }

    #[test]
    fn a_line_is_one_json_object_with_the_progress() {
        let json: serde_json::Value = serde_json::from_str(&line(&progress(10))).unwrap();
        assert_eq!(
            (&json["step"], &json["total_steps"], &json["psnr_db"]),
            (&3.into(), &10.into(), &30.0.into())
        );
    }

    #[test]
    fn fractions_are_written_as_short_as_they_are() {
        let mut json = serde_json::json!({ "a": [0.1f32, 2, "x"] });
        tidy(&mut json);
        assert_eq!(json.to_string(), r#"{"a":[0.1,2,"x"]}"#);
    }

    #[test]
    fn a_total_that_is_not_known_yet_is_null() {
        let json: serde_json::Value = serde_json::from_str(&line(&progress(u64::MAX))).unwrap();
        assert!(json["total_steps"].is_null() && json["eta_seconds"].is_null());
    }

    #[test]
    fn the_message_tells_loss_speed_score_and_time_left() {
        assert_eq!(
            message(&progress(10)),
            "loss 0.250000  2.0 steps/s  32 crops/s  30.00 dB  1 h 02 min left"
        );
    }
}
