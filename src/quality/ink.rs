//! Ink: fraction of the ink of a page that remains after cleaning.

/// Threshold on [0, 1] below which a pixel is ink.
pub(super) const INK: f32 = 0.5;

/// Returns the fraction of the ink pixels of the clean page that are ink in `other`, 0 to 1; `None` if the page has no
/// ink. The fraction of lost ink is 1 minus this.
///
/// # Panics
/// The lengths differ.
pub fn ink_recall(clean: &[f32], other: &[f32]) -> Option<f32> {
    assert_eq!(clean.len(), other.len(), "pages of two sizes");
    let ink = || clean.iter().zip(other).filter(|(clean, _)| **clean < INK);
    let all = ink().count();
    (all > 0).then(|| ink().filter(|(_, other)| **other < INK).count() as f32 / all as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fades_counts_and_what_is_added_does_not() {
        assert_eq!(ink_recall(&[0.0, 0.1, 0.9, 1.0], &[0.2, 0.8, 0.1, 1.0]), Some(0.5));
        assert_eq!(ink_recall(&[0.9, 1.0], &[0.0, 0.0]), None);
    }
}
