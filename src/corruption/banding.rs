//! Rows and columns that are too dark or too bright, as from sensor readout or dirty scanner lines.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Adds one normal offset to each row and one to each column, the same in all channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BandingCorruption, example = json!({"rows": [5, 20], "columns": [5, 20]}))]
pub struct Banding {
    /// Standard deviation of the rows' offsets, on the 0..255 scale.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub rows: Span,
    /// Standard deviation of the columns' offsets, on the 0..255 scale.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub columns: Span,
    /// Share of lines that are affected, 0 to 1.
    #[serde(default = "all")]
    #[schema(default = all)]
    pub share: Span,
}

fn all() -> Span {
    Span::at(1.0)
}

impl Parameters for Banding {
    const KIND: &'static str = "banding";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("rows", |it| it.rows, 0.0, 1000.0),
        Parameter::new("columns", |it| it.columns, 0.0, 1000.0),
        Parameter::new("share", |it| it.share, 0.0, 1.0),
    ];
}

impl Banding {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (_, height, width) = shape.extents();
        let share = self.share.draw(rng);
        let rows = offsets(height, self.rows.draw(rng) / 255.0, share, rng);
        let columns = offsets(width, self.columns.draw(rng) / 255.0, share, rng);
        for (y, row) in data.chunks_exact_mut(width).enumerate() {
            for (value, column) in row.iter_mut().zip(&columns) {
                *value += rows[y % height] + column;
            }
        }
    }
}

fn offsets(lines: usize, sigma: f32, share: f32, rng: &mut Rng) -> Vec<f32> {
    let mut offsets = vec![0.0; lines];
    rng.fill_normal(&mut offsets);
    for offset in &mut offsets {
        *offset *= if rng.uniform() < share { sigma } else { 0.0 };
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    fn banded(json: &str) -> Vec<f32> {
        let mut data = vec![0.5; 2 * 2000 * 3];
        let kind: Banding = serde_json::from_str(json).unwrap();
        kind.apply(&mut data, Shape::image(2, 2000, 3), &mut Rng::new(1, Purpose::Corrupt, 0));
        data
    }

    #[test]
    fn a_row_moves_as_one_in_all_channels() {
        let data = banded(r#"{"rows": 25.5}"#);
        assert!(data.chunks(3).all(|row| row[0] == row[1] && row[1] == row[2]));
        assert_eq!(data[..6000], data[6000..]);
        assert!((Stats::of(&data).std - 0.1).abs() < 0.005);
    }

    #[test]
    fn columns_move_apart_from_rows() {
        let data = banded(r#"{"columns": 25.5}"#);
        assert!(data.chunks(3).all(|row| row == &data[..3]));
        assert!(data[0] != data[1]);
    }

    #[test]
    fn only_the_stated_share_of_lines_is_hit() {
        let data = banded(r#"{"rows": 25.5, "share": 0.2}"#);
        let hit = data[..6000].chunks(3).filter(|row| row[0] != 0.5).count();
        assert!((hit as f32 / 2000.0 - 0.2).abs() < 0.03);
    }

    #[test]
    fn nothing_asked_nothing_moved() {
        assert!(banded("{}").iter().all(|&v| v == 0.5));
    }
}
