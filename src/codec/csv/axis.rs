//! Time axis: a column with the time of each row, which is not a measurement.

use super::{Result, malformed};

/// Minimum number of rows to take even steps for a counter or a clock and not for chance.
const ENOUGH: usize = 8;

/// Returns `true` if the name of a column means time: `time`, `t [s]`, `Elapsed time`, `timestamp_ms`.
pub(super) fn is_name_of_time(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    const WORDS: [&str; 24] = [
        "time",
        "times",
        "t",
        "timestamp",
        "timestamps",
        "datetime",
        "date",
        "elapsed",
        "zeit",
        "uhrzeit",
        "datum",
        "temps",
        "tiempo",
        "fecha",
        "tempo",
        "data/ora",
        "epoch",
        "utc",
        "unixtime",
        "seconds",
        "secs",
        "millis",
        "ms",
        "hour",
    ];
    words.first().is_some_and(|word| WORDS.contains(word))
        || words.contains(&"time")
        || words.contains(&"timestamp")
}

/// Returns `true` if numbers rise or fall in even steps, as counters and clocks do.
pub(super) fn is_even(numbers: &[f32]) -> bool {
    let [first, second, ..] = numbers else { return false };
    let step = f64::from(*second) - f64::from(*first);
    let expected = |i: usize| f64::from(*first) + step * i as f64;
    numbers.len() >= ENOUGH
        && step != 0.0
        && numbers.iter().enumerate().all(|(i, v)| (f64::from(*v) - expected(i)).abs() <= 0.01 * step.abs())
}

/// Checks that the steps of a time column are about even: a signal with a gap would be processed as continuous.
///
/// # Errors
/// Line of a missing time, or after the gap.
pub(super) fn check_steps(times: &[f32], lines: &[u32]) -> Result<()> {
    if let Some(at) = times.iter().position(|time| !time.is_finite()) {
        return Err(malformed(format!("line {}: the time is missing; fill it in before sending", lines[at])));
    }
    let step = |i: usize| f64::from(times[i]) - f64::from(times[i - 1]);
    let mut steps: Vec<f64> = (1..times.len()).map(step).collect();
    if steps.is_empty() {
        return Ok(());
    }
    let middle = steps.len() / 2;
    let median = *steps.select_nth_unstable_by(middle, f64::total_cmp).1;
    // Tolerance at the resolution of `f32`: timestamps since 1970 have no fractions left.
    let largest = times.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let slack = 0.5 * median.abs() + 2.0 * f64::from(largest) * f64::from(f32::EPSILON);
    match (1..times.len()).find(|&i| (step(i) - median).abs() > slack) {
        None => Ok(()),
        Some(i) => Err(malformed(format!(
            "line {}: the time goes from {} to {}, where the usual step is {median}; fill this gap, or send what is before \
             and behind it alone",
            lines[i],
            times[i - 1],
            times[i]
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_by_name() {
        for name in ["time", "Time (s)", "t", "timestamp_ms", "Elapsed time", "Zeit [s]", "Date", "UTC"] {
            assert!(is_name_of_time(name), "{name}");
        }
        for name in ["MLII", "V5", "lifetime", "temperature", "x", "data", "total"] {
            assert!(!is_name_of_time(name), "{name}");
        }
    }

    #[test]
    fn counters_have_even_steps() {
        assert!(is_even(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]));
        assert!(!is_even(&[0.0, 1.0]) && !is_even(&[1.0; 9]));
        assert!(!is_even(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]));
    }

    #[test]
    fn rounded_times_are_even_and_gaps_are_not() {
        let rounded: Vec<f32> = (0..50).map(|i| (i as f32 / 0.036).round() / 10_000.0).collect();
        let lines: Vec<u32> = (2..52).collect();
        assert!(check_steps(&rounded, &lines).is_ok());
        let mut gap = rounded;
        gap[20..].iter_mut().for_each(|v| *v += 0.0028);
        assert!(check_steps(&gap, &lines).unwrap_err().to_string().contains("line 22"));
    }
}
