//! Trustworthiness: agreement of the neighbours in a map with those in the space that it shows.

use super::neighbors::{nearest, squared};

/// Points of `n` numbers each, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    data: &'a [f32],
    n: usize,
}

impl<'a> Points<'a> {
    /// Creates a view of points with `n` numbers each.
    ///
    /// # Panics
    /// `n` is 0, or `data` is not a whole number of points.
    pub fn new(data: &'a [f32], n: usize) -> Self {
        assert!(n > 0 && data.len().is_multiple_of(n), "{} numbers in points of {n}", data.len());
        Self { data, n }
    }

    /// Returns the number of points.
    pub fn len(&self) -> usize {
        self.data.len() / self.n
    }

    /// Returns `true` if all points are equal, so that none is nearer than another.
    pub fn is_one_point(&self) -> bool {
        self.data.chunks_exact(self.n).all(|point| point == &self.data[..self.n])
    }

    fn at(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.n..][..self.n]
    }
}

/// Returns the trustworthiness of `map` as a picture of `space`, 0 to 1: 1 if the `k` nearest points of each point in the map are
/// its nearest in the space too. With both exchanged it is the continuity: 1 if neighbours in the space stay neighbours in
/// the map. `None` unless `0 < k < n / 2`, for which the sum is normalised. Distances are Euclidean; among equal ones the point
/// with the lower index is nearer.
///
/// # Source
/// J. Venna and S. Kaski, "Neighborhood preservation in nonlinear projection methods: an experimental study", ICANN 2001.
///
/// # Panics
/// The numbers of points differ.
pub fn trustworthiness(space: Points<'_>, map: Points<'_>, k: usize) -> Option<f64> {
    let n = space.len();
    assert!(n == map.len(), "{n} points in the space, {} in the map", map.len());
    if k == 0 || 2 * k >= n {
        return None;
    }
    let mut intruders = 0;
    for i in 0..n {
        let distances: Vec<f32> = (0..n).map(|j| squared(space.at(i), space.at(j))).collect();
        for (_, j) in nearest(map.data, map.n, i, k) {
            let is_nearer = |l: &usize| (distances[*l], *l) < (distances[j], j);
            let rank = 1 + (0..n).filter(|l| *l != i).filter(is_nearer).count();
            intruders += rank.saturating_sub(k);
        }
    }
    let most = (n * k * (2 * n - 3 * k - 1)) as f64 / 2.0;
    Some(1.0 - intruders as f64 / most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points without ties: 40 of 6 numbers, and a plane of 2 of them with a little of others.
    fn example() -> (Vec<f32>, Vec<f32>) {
        let number =
            |i: usize, j: usize| ((i * i * 37 + i * j * j * 91 + j * 57 + i * 13) % 1009) as f32 / 1009.0;
        let space = (0..40).flat_map(|i| (0..6).map(move |j| number(i, j))).collect::<Vec<_>>();
        let place = |x: &[f32]| [x[0] + 0.3 * x[2] * x[4], x[1] - 0.2 * x[3]];
        let map = space.chunks_exact(6).flat_map(place).collect();
        (space, map)
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        let (space, map) = example();
        let (space, map) = (Points::new(&space, 6), Points::new(&map, 2));
        // sklearn.manifold.trustworthiness 1.9.1: of the map, and with both exchanged.
        for (k, trust, continuity) in [
            (1, 0.702632, 0.843421),
            (5, 0.701875, 0.772813),
            (10, 0.711122, 0.772449),
            (19, 0.693900, 0.723325),
        ] {
            assert!((trustworthiness(space, map, k).unwrap() - trust).abs() < 1e-5, "trustworthiness, {k}");
            assert!((trustworthiness(map, space, k).unwrap() - continuity).abs() < 1e-5, "continuity, {k}");
        }
    }

    #[test]
    fn a_space_is_a_perfect_map_of_itself_and_too_many_neighbours_have_no_score() {
        let (space, _) = example();
        let space = Points::new(&space, 6);
        assert_eq!(trustworthiness(space, space, 7), Some(1.0));
        assert_eq!((trustworthiness(space, space, 0), trustworthiness(space, space, 20)), (None, None));
    }
}
