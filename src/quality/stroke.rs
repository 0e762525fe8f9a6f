//! Strokes: fraction of the lines written on a page that remain, independent of their thickness.

use super::ink::INK;

/// Middle lines of the ink of a clean page, one pixel wide.
///
/// They are found by the thinning of Guo and Hall ("Parallel thinning with two-subiteration algorithms", Communications
/// of the ACM 32(3), 1989, algorithm A1), which keeps every dot; that of Zhang and Suen (CACM 27(3), 1984) loses those
/// of 2 by 2 pixels.
#[derive(Debug, Clone)]
pub struct Strokes {
    /// Indices on the page, ascending.
    middle: Vec<usize>,
}

impl Strokes {
    /// Thins a page of `height` rows of `width` pixels on [0, 1]; pixels darker than half are ink. The time grows with
    /// the pixels, not with the thickness of the ink.
    ///
    /// # Panics
    /// The page does not have this size.
    pub fn of(page: &[f32], height: usize, width: usize) -> Self {
        assert_eq!(page.len(), height * width, "a page of {height} by {width} pixels");
        let mut bitmap = Bitmap::of(page, width);
        bitmap.thin();
        let is_middle = |at: &usize| bitmap.ink[bitmap.framed(*at, width)];
        Self { middle: (0..page.len()).filter(is_middle).collect() }
    }

    /// Returns the fraction of the middle lines that is ink in `other`, 0 to 1; `None` if the page has no ink. A stroke
    /// that is only thinner or thicker counts as whole. This is the pseudo-recall of binarized documents (Pratikakis,
    /// Gatos and Ntirogiannis, "H-DIBCO 2010", ICFHR 2010).
    ///
    /// # Panics
    /// `other` is smaller than the page.
    pub fn recall(&self, other: &[f32]) -> Option<f32> {
        let kept = self.middle.iter().filter(|&&at| other[at] < INK).count();
        (!self.middle.is_empty()).then(|| kept as f32 / self.middle.len() as f32)
    }
}

/// Bitmap of the ink, in a white frame one pixel wide, so that every ink pixel has eight neighbours.
#[derive(Debug, Clone, PartialEq)]
struct Bitmap {
    ink: Vec<bool>,
    pitch: usize,
}

impl Bitmap {
    fn of(page: &[f32], width: usize) -> Self {
        let pitch = width + 2;
        let mut ink = vec![false; pitch];
        for row in page.chunks_exact(width.max(1)) {
            ink.push(false);
            ink.extend(row.iter().map(|&v| v < INK));
            ink.push(false);
        }
        ink.resize(ink.len() + pitch, false);
        Self { ink, pitch }
    }

    /// Returns the index in the frame of an index on the page.
    fn framed(&self, at: usize, width: usize) -> usize {
        (at / width + 1) * self.pitch + at % width + 1
    }

    /// Returns the neighbours of an index, clockwise from the one above.
    fn around(&self, at: usize) -> [usize; 8] {
        let (up, down) = (at - self.pitch, at + self.pitch);
        [up, up + 1, at + 1, down + 1, down, down - 1, at - 1, up - 1]
    }

    /// Removes edges until only lines are left.
    fn thin(&mut self) {
        let is_edge = |at: &usize| self.ink[*at] && self.around(*at).iter().any(|&near| !self.ink[near]);
        let mut live: Vec<usize> = (0..self.ink.len()).filter(is_edge).collect();
        while !live.is_empty() {
            live = self.peel(live);
        }
    }

    /// Removes the removable ones of the indices `live`, first at left edges, then at right ones. Returns the ink
    /// around the removed pixels: only that can be removed next time.
    fn peel(&mut self, mut live: Vec<usize>) -> Vec<usize> {
        let mut next = Vec::new();
        for is_right in [false, true] {
            live.extend(&next);
            let gone: Vec<usize> = live.iter().copied().filter(|&at| self.can_go(at, is_right)).collect();
            gone.iter().for_each(|&at| self.ink[at] = false);
            next.extend(gone.iter().flat_map(|&at| self.around(at)));
        }
        next.sort_unstable();
        next.dedup();
        next.retain(|&at| self.ink[at]);
        next
    }

    /// Returns `true` if the ink at an index is neither the end of a line nor the only link between two parts, and is
    /// at the edge of this subiteration. The names are those of the paper: C, N1, N2.
    fn can_go(&self, at: usize, is_right: bool) -> bool {
        if !self.ink[at] {
            return false;
        }
        let p = self.around(at).map(|near| self.ink[near]);
        let sides = [0, 2, 4, 6];
        let c = sides.iter().filter(|&&i| !p[i] && (p[i + 1] || p[(i + 2) % 8])).count();
        let n1 = sides.iter().filter(|&&i| p[(i + 7) % 8] || p[i]).count();
        let n2 = sides.iter().filter(|&&i| p[i] || p[i + 1]).count();
        let is_other_edge =
            if is_right { (p[0] || p[1] || !p[3]) && p[2] } else { (p[4] || p[5] || !p[7]) && p[6] };
        c == 1 && (2..=3).contains(&n1.min(n2)) && !is_other_edge
    }
}

#[cfg(test)]
mod tests {
    use super::super::ink_recall;
    use super::*;
    use crate::rng::{Purpose, Rng};

    const HEIGHT: usize = 40;
    const WIDTH: usize = 60;

    /// White, with black in the rectangles `[top, left, height, width]`.
    fn page(rectangles: &[[usize; 4]]) -> Vec<f32> {
        let mut page = vec![1.0; HEIGHT * WIDTH];
        for &[top, left, height, width] in rectangles {
            for y in top..top + height {
                page[y * WIDTH + left..][..width].fill(0.0);
            }
        }
        page
    }

    fn strokes(rectangles: &[[usize; 4]]) -> Strokes {
        Strokes::of(&page(rectangles), HEIGHT, WIDTH)
    }

    /// Specks and blots.
    fn scribble(seed: u64) -> Bitmap {
        let mut rng = Rng::new(seed, Purpose::Corrupt, 0);
        let mut rectangles: Vec<[usize; 4]> = Vec::new();
        for _ in 0..40 {
            rectangles.push([rng.below(32), rng.below(52), 1 + rng.below(8), 1 + rng.below(8)]);
        }
        Bitmap::of(&page(&rectangles), WIDTH)
    }

    /// Counts the connected pieces of ink, corners included.
    fn pieces(bitmap: &Bitmap) -> usize {
        let mut left = bitmap.clone();
        let mut count = 0;
        while let Some(first) = left.ink.iter().position(|&ink| ink) {
            count += 1;
            let mut open = vec![first];
            while let Some(at) = open.pop() {
                if std::mem::take(&mut left.ink[at]) {
                    open.extend(left.around(at));
                }
            }
        }
        count
    }

    #[test]
    fn a_bar_becomes_the_line_in_its_middle() {
        let middle = strokes(&[[10, 5, 7, 50]]).middle;
        let rows = middle.iter().map(|at| at / WIDTH);
        assert!(rows.clone().all(|row| (12..=14).contains(&row)), "{middle:?}");
        let mut columns: Vec<usize> = middle.iter().map(|at| at % WIDTH).collect();
        columns.sort_unstable();
        let twice = columns.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert!(twice == 0 && (43..=50).contains(&columns.len()), "{columns:?}");
    }

    #[test]
    fn a_thinner_stroke_is_whole_and_a_missing_one_is_not() {
        let both = [[5, 5, 7, 50], [25, 5, 7, 50]];
        let strokes = strokes(&both);
        let thinner = page(&[[7, 5, 3, 50], [27, 5, 3, 50]]);
        assert_eq!(strokes.recall(&thinner), Some(1.0));
        assert!(ink_recall(&page(&both), &thinner).unwrap() < 0.5);
        assert_eq!(strokes.recall(&page(&[both[0]])), Some(0.5));
        let cut = strokes.recall(&page(&[both[0], [25, 5, 7, 25]])).unwrap();
        assert!((0.7..0.8).contains(&cut), "{cut}");
        assert_eq!(strokes.recall(&page(&[[0, 0, HEIGHT, WIDTH]])), Some(1.0));
    }

    #[test]
    fn dots_are_kept_and_a_page_without_ink_has_no_recall() {
        assert_eq!(strokes(&[[4, 4, 1, 1], [10, 10, 2, 2], [20, 20, 3, 3]]).middle.len(), 3);
        assert_eq!(strokes(&[]).recall(&page(&[])), None);
        assert_eq!(Strokes::of(&[], 0, 0).recall(&[]), None);
        assert_eq!(Strokes::of(&[0.0; 6], 2, 3).recall(&[0.0; 6]), Some(1.0));
    }

    #[test]
    fn thinning_keeps_pieces_apart_and_together() {
        for seed in 0..50 {
            let mut bitmap = scribble(seed);
            let before = bitmap.clone();
            bitmap.thin();
            assert_eq!(pieces(&bitmap), pieces(&before), "seed {seed}");
            assert!(bitmap.ink.iter().zip(&before.ink).all(|(thin, thick)| thick | !thin), "seed {seed}");
        }
    }

    #[test]
    fn looking_where_something_went_is_as_good_as_looking_everywhere() {
        for seed in 0..50 {
            let (mut quick, mut slow) = (scribble(seed), scribble(seed));
            quick.thin();
            let everywhere: Vec<usize> = (0..slow.ink.len()).filter(|&at| slow.ink[at]).collect();
            while !slow.peel(everywhere.clone()).is_empty() {}
            assert_eq!(quick, slow, "seed {seed}");
        }
    }
}
