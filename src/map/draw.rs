//! Drawing of a map: places, colours and thumbnails, for SVG and PNG alike.

use super::Map;

/// Side of a panel in pixels.
pub(super) const PANEL: usize = 480;
/// Margin around the points of a panel, and gap between panels.
pub(super) const MARGIN: usize = 24;
/// Side of a drawn thumbnail.
pub(super) const PICTURE: usize = 26;

/// Colours of labels (M. Okabe and K. Ito's palette, which people of all colour vision tell apart, and two grays); without labels the
/// first.
pub(super) const COLORS: [[u8; 3]; 10] = [
    [0, 114, 178],
    [230, 159, 0],
    [0, 158, 115],
    [213, 94, 0],
    [204, 121, 167],
    [86, 180, 233],
    [240, 228, 66],
    [0, 0, 0],
    [120, 120, 120],
    [180, 140, 100],
];

/// One point of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    /// Place in the panel, in pixels from its top left corner.
    pub x: f32,
    pub y: f32,
    pub color: [u8; 3],
    /// `true` if its thumbnail is shown: no other one covers it.
    pub is_pictured: bool,
}

/// Returns the marks of one plane, in the order of the points. Both axes have one scale.
pub(super) fn marks(map: &Map, plane: usize) -> Vec<Mark> {
    let places = &map.projections[plane].places;
    let span = |axis: usize| {
        let values = places.iter().map(|place| f64::from(place[axis]));
        values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)))
    };
    let spans = [span(0), span(1)];
    let widest = spans.iter().map(|(low, high)| high - low).fold(0.0, f64::max);
    let inside = (PANEL - 2 * MARGIN) as f64;
    let along = |axis: usize, v: f32| {
        let (low, high) = spans[axis];
        let middle = low + (high - low) / 2.0;
        let from_middle = if widest > 0.0 { (f64::from(v) - middle) / widest } else { 0.0 };
        (MARGIN as f64 + inside * (0.5 + from_middle)) as f32
    };
    let labels = map.labels();
    let mut shown: Vec<(f32, f32)> = Vec::new();
    let mut mark = |(place, point): (&[f32; 2], &super::Point)| {
        let (x, y) = (along(0, place[0]), PANEL as f32 - along(1, place[1]));
        let size = PICTURE as f32;
        let is_free = shown.iter().all(|(a, b)| (a - x).abs() >= size || (b - y).abs() >= size);
        let is_pictured = map.thumbnails.is_some() && is_free;
        if is_pictured {
            shown.push((x, y));
        }
        let label = labels.iter().position(|label| Some(*label) == point.label.as_deref());
        Mark { x, y, color: COLORS[label.unwrap_or(0) % COLORS.len()], is_pictured }
    };
    places.iter().zip(&map.points).map(&mut mark).collect()
}
