//! Choice: selects the model for a sample if none is named, and states the reason.

use super::Traits;
use crate::infer::Mode;
use crate::name::{ModelRef, Name};
use crate::quality::{Grain, GrainKind};
use crate::registry::Registry;
use crate::sample::{Kind, Shape};

/// Noise from which a page is not for the model of pages, on [0, 1]: its guard takes grain for strokes and gives it back. On
/// made pages with strokes of 2 to 5 pixels both models are equal at about 22 levels of 255; at 35 the paper keeps a deviation
/// of 18 under the model of pages, and 9 under that of pictures.
const DROWNED: f32 = 28.0 / 255.0;

/// Quantisation step, in levels of 255, from which a JPEG file has artefacts to remove: that of quality 90 is 2 to 3, and
/// there the model of JPEG files adds nothing that the default model does not.
const COARSE: f32 = 3.5;
/// Noise, on [0, 1], up to which an image that was a JPEG file goes to the model of those, which was trained with noise of up to 8
/// levels: texture is often taken for noise of this strength, and that model distinguishes them. In colour images noise has
/// colours too, which it does not remove.
const QUIET: [f32; 2] = [8.0 / 255.0, 2.0 / 255.0];

/// Fraction of dead and hot pixels from which they are not the artefacts of a JPEG file, which clips some beside edges.
const HOT: f32 = 0.01;

/// Default models by content of the sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Usual {
    /// Gray images with white noise or without noise.
    pub gray: Name,
    /// Colour images with white noise or without noise.
    pub color: Name,
    /// Gray images with noise of cameras and JPEG files.
    pub camera_gray: Name,
    /// Colour images with noise of cameras and JPEG files.
    pub camera_color: Name,
    /// Images, gray or colour, with the artefacts of a JPEG file and no other noise.
    pub jpeg: Name,
    /// Pages: ink on paper, gray or colour.
    pub page: Name,
}

/// A model and the reason for its choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The model.
    pub model: ModelRef,
    /// Reason, one line of ASCII.
    pub reason: String,
}

/// Error: no model can be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unsure {
    /// The sample is not an image: the right model for a signal depends on its source.
    #[error("no model is the usual one for a {0}; name one")]
    Kind(Shape),
    /// The default model is not installed.
    #[error("{name}, the usual model for a sample like this ({shape}), is not installed; name another")]
    Missing {
        /// Shape of the sample.
        shape: Shape,
        /// Name of the model.
        name: Name,
    },
}

/// Chooses the model for a sample of `shape` with `traits`.
///
/// # Errors
/// The sample is not an image of one or three channels, or the default model is not installed.
pub fn choose(
    registry: &Registry,
    usual: &Usual,
    shape: Shape,
    traits: &Traits,
    mode: Mode,
) -> Result<Choice, Unsure> {
    let is_installed = |name: &Name| registry.get(name).is_ok();
    // A strict result must have the channels of the file, because strict mode does not convert them.
    let is_gray = shape.channels() == 1 || traits.is_gray && mode == Mode::Full;
    let (white, camera) = match (shape.kind(), shape.channels()) {
        (Kind::Image, 1 | 3) if is_gray => (&usual.gray, &usual.camera_gray),
        (Kind::Image, 3) => (&usual.color, &usual.camera_color),
        _ => return Err(Unsure::Kind(shape)),
    };
    let page = traits.page.as_ref().filter(|look| look.is_page() && mode == Mode::Full);
    // Strokes that are mistaken for noise are correlated.
    let is_drowned = traits.grain.sigma() > DROWNED && traits.grain.kind_of_gray() != GrainKind::Correlated;
    if let Some(look) = page.filter(|_| is_installed(&usual.page) && !is_drowned) {
        let model = ModelRef { name: usual.page.clone(), version: None };
        return Ok(Choice { model, reason: format!("page, strokes of {:.1} pixels", look.stroke) });
    }
    let was_jpeg = is_coarse_jpeg(&traits.grain, is_gray) && mode == Mode::Full;
    let content = match (is_gray, shape.channels()) {
        _ if page.is_some() && is_drowned => "page under strong noise",
        (true, 3) => "gray picture in colour channels",
        (true, _) => "gray picture",
        (false, _) => "colour picture",
    };
    if was_jpeg && is_installed(&usual.jpeg) {
        let step = traits.grain.jpeg_step.unwrap_or_default();
        let model = ModelRef { name: usual.jpeg.clone(), version: None };
        return Ok(Choice {
            model,
            reason: format!("{content} of a JPEG file quantised in steps of {step:.0}"),
        });
    }
    let kind = if is_gray { traits.grain.kind_of_gray() } else { traits.grain.kind() };
    // Blocks alone go to the default model, which removes less and is harmless: camera-gray@1 loses up to 1.6 dB there,
    // also if a texture reduced by the blocks looks like correlated noise.
    let is_blocked = kind == GrainKind::Blocked || is_gray && traits.grain.is_blocked();
    let is_usual = kind == GrainKind::White || is_blocked && kind != GrainKind::Impulses;
    let is_camera = mode == Mode::Full && !is_usual && is_installed(camera);
    let name = if is_camera { camera } else { white };
    if !is_installed(name) {
        return Err(Unsure::Missing { shape, name: name.clone() });
    }
    let reason = format!("{content}, {}", noise(kind, traits));
    Ok(Choice { model: ModelRef { name: name.clone(), version: None }, reason })
}

/// Returns `true` if an image was a JPEG file with artefacts to remove, and has little other noise.
fn is_coarse_jpeg(grain: &Grain, is_gray: bool) -> bool {
    let [of_gray, of_color] = QUIET;
    grain.jpeg_step.is_some_and(|step| step >= COARSE)
        && grain.sigma() < if is_gray { of_gray } else { of_color }
        && grain.impulses < HOT
}

fn noise(kind: GrainKind, traits: &Traits) -> String {
    let grain = &traits.grain;
    let sigma = 255.0 * grain.sigma() / traits.full_scale;
    match kind {
        GrainKind::White => format!("white noise of sigma {sigma:.1}"),
        GrainKind::Correlated => {
            format!("noise of sigma {sigma:.1}, adjacent pixels correlated by {:.2}", grain.correlation)
        }
        GrainKind::Shared => {
            format!("noise of sigma {sigma:.1}, channels correlated by {:.2}", grain.between_channels)
        }
        GrainKind::Blocked => format!("JPEG blocks, steps {:.2} times those elsewhere", grain.blocking),
        GrainKind::Impulses => {
            format!("dead and hot pixels, {:.1} % of all", 100.0 * grain.impulses)
        }
    }
}
