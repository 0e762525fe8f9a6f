//! Pages: processing of a page by a model that knows strokes of some thickness.

use super::{Traits, Wishes};
use crate::infer::{Mode, Options, Session};
use crate::page::{Passage, Report, Unchanged};
use crate::sample::{Depth, Kind, Sample, Shape};

/// A page prepared for a model of pages.
#[derive(Debug)]
pub enum Paged {
    /// To be processed.
    Passes(Box<Passage>),
    /// To be returned unchanged.
    Stays(Unchanged),
}

/// Report on the processing of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageNote {
    /// Fraction of the ink that is ink in the result, 0 to 1.
    pub ink_kept: f32,
    /// Fraction of the ink that the model removed and that was restored, 0 to 1.
    pub put_back: f32,
    /// Further processing, one line of ASCII.
    pub note: String,
}

/// Returns `true` if `session` processes a sample as a page: never in strict mode, which only runs the model.
pub fn takes_pages(session: &Session, shape: Shape, mode: Mode) -> bool {
    let is_image = shape.kind() == Kind::Image && matches!(shape.channels(), 1 | 3);
    is_image && mode == Mode::Full && session.manifest().strokes().is_some() && session.input().channels == 1
}

/// Prepares `sample` as a page for `session`; `None` if the model is not one of pages.
pub fn page(session: &Session, sample: &Sample, traits: &Traits, mode: Mode) -> Option<Paged> {
    let strokes = session.manifest().strokes()?;
    if !takes_pages(session, sample.shape(), mode) || traits.full_scale != 1.0 {
        return None;
    }
    let look = traits.page.clone().or_else(|| crate::page::Look::of(sample))?;
    Some(match Passage::of(sample, look, strokes) {
        Ok(passage) => Paged::Passes(Box::new(passage)),
        Err(reason) => Paged::Stays(reason),
    })
}

/// Returns the options for the model: full strength, because the page is blended at the end.
pub fn ask_of_page(options: &Options) -> Options {
    Options { strength: 1.0, ..*options }
}

/// Returns the wish that pages do not support, and the reason: strokes of pages are kept by other means.
pub fn refused_for_page(wishes: Wishes) -> Option<(&'static str, &'static str)> {
    let name = match wishes {
        Wishes { detail, .. } if detail > 0.0 => "detail",
        Wishes { strength_chroma: Some(_), .. } => "strength_chroma",
        _ => return None,
    };
    Some((name, "acts on pictures alone, and this goes as a page; leave it out, or name a photo model"))
}

/// Returns the memory for processing a page in bytes, without the page itself and its result.
pub fn bytes_of_page(shape: Shape, depth: Depth) -> usize {
    let (_, height, width) = shape.extents();
    // At worst the model processes it at full size: input, tones, result, brightness around strokes, lost strokes, and the
    // planes that they are computed from.
    height
        .saturating_mul(width)
        .saturating_mul(10 * size_of::<f32>())
        .saturating_add(shape.numbers() * depth.bytes())
}

impl From<Unchanged> for PageNote {
    fn from(reason: Unchanged) -> Self {
        let note = match reason {
            Unchanged::Empty => "unchanged: no ink is found",
            Unchanged::Clean => "unchanged: the paper is even",
            Unchanged::NoPage => "unchanged: it does not look like a page",
        };
        Self { ink_kept: 1.0, put_back: 0.0, note: note.into() }
    }
}

impl From<Report> for PageNote {
    fn from(report: Report) -> Self {
        let (back, inked) = report.tiles;
        let mut note = match report.scale {
            1.0 => "cleaned at its own size".to_owned(),
            scale => format!("cleaned at 1/{scale:.1} of its size"),
        };
        if back > 0 {
            note += &format!("; {back} of {inked} tiles with ink as they were");
        }
        if report.pictures > 0.0 {
            note += &format!("; pictures, {:.0} % of the page, as they were", 100.0 * report.pictures);
        }
        Self { ink_kept: report.kept, put_back: report.put_back, note }
    }
}
