//! Neighbours: agreement of the labels of neighbouring points, for example latents.

/// Number of points compared at once: a block of them stays in the cache.
const BLOCK: usize = 256;

/// Returns how many of the points `of` have the most frequent label among their `k` nearest other points. `points`
/// holds `n` numbers per point. Distances are Euclidean; in a tie the label of the nearest point wins.
///
/// # Source
/// Leave-one-out k-nearest-neighbour classification (T. Cover and P. Hart, 1967).
///
/// # Panics
/// The numbers of points and labels differ, or `n` is 0.
pub fn knn_agrees(points: &[f32], n: usize, labels: &[u32], k: usize, of: std::ops::Range<usize>) -> usize {
    assert!(n > 0 && points.len() == n * labels.len(), "{} numbers, {} labels", points.len(), labels.len());
    of.filter(|&at| {
        let nearest = nearest(points, n, at, k);
        vote(nearest.iter().map(|&(_, other)| labels[other])) == Some(labels[at])
    })
    .count()
}

/// Returns the `k` points nearest to point `at`, excluding itself: squared distance and index, nearest first.
pub(super) fn nearest(points: &[f32], n: usize, at: usize, k: usize) -> Vec<(f32, usize)> {
    let own = &points[at * n..(at + 1) * n];
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(k + 1);
    for (block, part) in points.chunks(n * BLOCK).enumerate() {
        for (i, other) in part.chunks_exact(n).enumerate() {
            let index = block * BLOCK + i;
            let far = squared(own, other);
            if index != at && (best.len() < k || far < best[best.len() - 1].0) {
                let place = best.partition_point(|&(d, _)| d <= far);
                best.insert(place, (far, index));
                best.truncate(k);
            }
        }
    }
    best
}

/// Returns the squared distance of two points.
pub(super) fn squared(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Returns the most frequent label; in a tie the one that comes first.
fn vote(labels: impl Iterator<Item = u32>) -> Option<u32> {
    let mut counts: Vec<(u32, usize)> = Vec::new();
    for label in labels {
        match counts.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1,
            None => counts.push((label, 1)),
        }
    }
    let most = counts.iter().map(|&(_, count)| count).max()?;
    counts.into_iter().find(|&(_, count)| count == most).map(|(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn points_in_clusters_agree_and_points_at_random_do_not() {
        let mut rng = Rng::new(1, Purpose::Evaluate, 0);
        let labels: Vec<u32> = (0..300).map(|i| i % 3).collect();
        let near: Vec<f32> =
            labels.iter().flat_map(|&l| [l as f32 * 9.0 + rng.normal(), rng.normal()]).collect();
        let far: Vec<f32> = (0..600).map(|_| rng.normal()).collect();
        assert_eq!(knn_agrees(&near, 2, &labels, 10, 0..300), 300);
        let chance = knn_agrees(&far, 2, &labels, 10, 0..300);
        assert!((60..140).contains(&chance), "{chance}");
    }

    #[test]
    fn a_point_is_not_its_own_neighbour_and_ties_go_to_the_nearest() {
        // The only other point has another label.
        assert_eq!(knn_agrees(&[0.0, 1.0], 1, &[0, 1], 1, 0..2), 0);
        assert_eq!(vote([4, 7, 7, 4].into_iter()), Some(4));
        assert_eq!(vote(std::iter::empty()), None);
    }
}
