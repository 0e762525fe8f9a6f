//! SVG of a map: one panel a plane, dots coloured by label, and thumbnails where they have room.

use std::fmt::Write as _;

use super::Map;
use super::draw::{COLORS, MARGIN, Mark, PANEL, PICTURE, marks};

/// Height of the title, and of the lines above each panel.
const HEAD: usize = 84;
/// Height of the legend.
const LEGEND: usize = 28;
/// Distance of two labels in the legend.
const PITCH: usize = 84;

/// Returns the drawing. It holds neither scripts nor references to anything outside.
pub(super) fn write(map: &Map, title: &str) -> String {
    let panels = map.projections.len();
    let width = panels * PANEL + (panels + 1) * MARGIN;
    let labels = map.labels();
    let legend_rows = labels.len().div_ceil(((width - 2 * MARGIN) / PITCH).max(1));
    let height = HEAD + PANEL + MARGIN + legend_rows * LEGEND;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"14\">\n<title>{}</title>\n",
        escaped(title)
    );
    if let Some(thumbnails) = &map.thumbnails {
        let (sheet_width, rows) =
            (thumbnails.columns * thumbnails.width, map.points.len().div_ceil(thumbnails.columns));
        let sheet_height = rows * thumbnails.height;
        let _ = writeln!(
            svg,
            "<defs><image id=\"sheet\" width=\"{sheet_width}\" height=\"{sheet_height}\" style=\"image-rendering:pixelated\" \
             href=\"data:image/png;base64,{}\"/></defs>",
            escaped(&thumbnails.png)
        );
    }
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"28\" font-weight=\"bold\">{}</text>", escaped(title));
    for plane in 0..panels {
        panel(&mut svg, map, plane);
    }
    legend(&mut svg, &labels, width);
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, map: &Map, plane: usize) {
    let projection = &map.projections[plane];
    let left = MARGIN + plane * (PANEL + MARGIN);
    let scores = projection.scores.line(map.neighbors);
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"52\">{}</text>", projection.kind.label());
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"72\" font-size=\"12\">{scores}</text>");
    let _ = writeln!(svg, "<g transform=\"translate({left} {HEAD})\">");
    let _ = writeln!(svg, "<rect width=\"{PANEL}\" height=\"{PANEL}\" fill=\"none\" stroke=\"#ccc\"/>");
    let marks = marks(map, plane);
    // Thumbnails lie over the dots that they would hide anyway.
    for (at, mark) in marks.iter().enumerate().filter(|(_, mark)| !mark.is_pictured) {
        let Mark { x, y, color, .. } = mark;
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"><title>{}</title></circle>",
            hex(*color),
            about(map, at)
        );
    }
    for (at, mark) in marks.iter().enumerate().filter(|(_, mark)| mark.is_pictured) {
        picture(svg, map, at, mark);
    }
    svg.push_str("</g>\n");
}

fn picture(svg: &mut String, map: &Map, at: usize, mark: &Mark) {
    let Some(sheet) = &map.thumbnails else { return };
    let (left, top) = (at % sheet.columns * sheet.width, at / sheet.columns * sheet.height);
    let (x, y) = (mark.x - PICTURE as f32 / 2.0, mark.y - PICTURE as f32 / 2.0);
    let (w, h) = (sheet.width, sheet.height);
    let _ = writeln!(
        svg,
        "<g><title>{}</title><svg x=\"{x:.1}\" y=\"{y:.1}\" width=\"{PICTURE}\" height=\"{PICTURE}\" \
         viewBox=\"{left} {top} {w} {h}\"><use href=\"#sheet\"/></svg><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{PICTURE}\" \
         height=\"{PICTURE}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/></g>",
        about(map, at),
        hex(mark.color)
    );
}

fn legend(svg: &mut String, labels: &[&str], width: usize) {
    let columns = ((width - 2 * MARGIN) / PITCH).max(1);
    for (at, label) in labels.iter().enumerate() {
        let (x, y) = (MARGIN + at % columns * PITCH, HEAD + PANEL + MARGIN + at / columns * LEGEND);
        let color = hex(COLORS[at % COLORS.len()]);
        let shown: String = label.chars().take(8).collect();
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/><text x=\"{}\" y=\"{y}\" \
             font-size=\"12\">{}</text>",
            y - 11,
            x + 17,
            escaped(&shown)
        );
    }
}

/// Returns name and label of a point, escaped.
fn about(map: &Map, at: usize) -> String {
    let point = &map.points[at];
    let label = point.label.as_ref().map(|label| format!(": {label}")).unwrap_or_default();
    escaped(&format!("{}{label}", point.name))
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Returns text as XML holds it; control characters, which it cannot hold, become blanks.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
