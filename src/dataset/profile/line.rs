//! Line: the fit of variance by level.

/// Number of levels that are kept apart.
const LEVELS: usize = 32;

/// Fewest numbers of a level.
const FEWEST: usize = 64;

/// A slope below so many standard errors is 0.
const SIGNIFICANT: f64 = 3.0;

/// Measured variance at a level, and the number of independent numbers behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) level: f64,
    pub(super) variance: f64,
    pub(super) weight: f64,
}

/// Variance as a straight line of the level, and its lowest measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) offset: f64,
    pub(super) least: f64,
}

/// Returns the variance by level of noise at levels: `(level, noise)`.
pub(super) fn points(pairs: &[(f32, f32)]) -> Vec<Point> {
    let mut levels: Vec<f32> = pairs.iter().map(|(level, _)| *level).collect();
    levels.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| levels[((levels.len() - 1) as f64 * share) as usize];
    // Even levels of the bulk, so that rare bright ones count as much as common dark ones.
    let (low, high) = (f64::from(at(0.001)), f64::from(at(0.999)));
    let width = (high - low) / LEVELS as f64;
    let mut sums = [(0.0f64, 0.0f64, 0usize); LEVELS];
    for (level, noise) in pairs {
        let place = if width > 0.0 { (f64::from(*level) - low) / width } else { 0.0 };
        let (levels, squares, count) = &mut sums[place.clamp(0.0, (LEVELS - 1) as f64) as usize];
        *levels += f64::from(*level);
        *squares += f64::from(*noise).powi(2);
        *count += 1;
    }
    let one = |(levels, squares, count): &(f64, f64, usize)| {
        let n = *count as f64;
        Point { level: levels / n, variance: squares / n, weight: n }
    };
    sums.iter().filter(|(_, _, count)| *count >= FEWEST).map(one).collect()
}

/// Fits a line: least squares, each point weighted by the inverse of its variance.
pub(super) fn fit(points: &[Point]) -> Line {
    let mean = points.iter().map(|p| p.weight * p.variance).sum::<f64>()
        / points.iter().map(|p| p.weight).sum::<f64>().max(1.0);
    let mut line = Line { slope: 0.0, offset: mean, least: 0.0 };
    // The variance of a variance of n numbers is 2 / n of its square; that is taken from the last fit.
    for _ in 0..8 {
        let weigh = |p: &Point| {
            p.weight
                / (2.0 * (line.slope * p.level + line.offset).max(0.05 * mean).powi(2)).max(f64::MIN_POSITIVE)
        };
        let all: f64 = points.iter().map(weigh).sum();
        let center = points.iter().map(|p| weigh(p) * p.level).sum::<f64>() / all;
        let height = points.iter().map(|p| weigh(p) * p.variance).sum::<f64>() / all;
        let spread: f64 = points.iter().map(|p| weigh(p) * (p.level - center).powi(2)).sum();
        let slope = points.iter().map(|p| weigh(p) * (p.level - center) * p.variance).sum::<f64>() / spread;
        let error = 1.0 / spread.sqrt();
        let slope = if slope.is_finite() && slope.abs() > SIGNIFICANT * error { slope } else { 0.0 };
        line = Line { slope, offset: height - slope * center, least: 0.0 };
    }
    let lowest = points.iter().map(|p| line.slope * p.level + line.offset).fold(f64::INFINITY, f64::min);
    let least = match (line.slope > 0.0, line.offset > 0.0) {
        // A line of shot and read noise holds at any level.
        (true, true) => line.offset,
        _ => lowest.clamp(0.0, mean),
    };
    Line { least: least.max(0.01 * mean), ..line }
}
