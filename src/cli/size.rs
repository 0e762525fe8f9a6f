//! Parsing of sizes and durations: `64MiB`, `1.5 GB`, `30s`, `5m`.

const SIZES: [(&str, f64); 13] = [
    ("", 1.0),
    ("b", 1.0),
    ("k", 1024.0),
    ("kib", 1024.0),
    ("m", 1048576.0),
    ("mib", 1048576.0),
    ("g", 1073741824.0),
    ("gib", 1073741824.0),
    ("tib", 1099511627776.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
];

const DURATIONS: [(&str, f64); 9] = [
    ("", 1.0),
    ("ms", 1e-3),
    ("s", 1.0),
    ("sec", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("hours", 3600.0),
    ("d", 86400.0),
];

/// Parses bytes: a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (also `K`, `M`, `G`) or the decimal `kB`, `MB`, `GB`, `TB`.
pub(super) fn bytes(text: &str) -> Option<f64> {
    scaled(text, &SIZES).map(f64::round)
}

/// Parses seconds: a number with `ms`, `s`, `m`, `h` or `d`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    scaled(text, &DURATIONS)
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_or_decimal_by_their_unit() {
        assert_eq!(bytes("64MiB"), Some(67_108_864.0));
        assert_eq!(bytes("1.5 GB"), Some(1.5e9));
        assert_eq!((bytes("4g"), bytes("4096")), (Some(4294967296.0), Some(4096.0)));
    }

    #[test]
    fn durations_end_up_in_seconds() {
        assert_eq!((seconds("30s"), seconds("5m"), seconds("250ms")), (Some(30.0), Some(300.0), Some(0.25)));
    }

    #[test]
    fn anything_else_is_nothing() {
        assert!(
            ["", "MiB", "12 parsecs", "-5s", "1e9"]
                .iter()
                .all(|t| bytes(t).is_none() && seconds(t).is_none())
        );
    }
}
