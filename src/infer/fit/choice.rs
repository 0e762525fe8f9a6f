//! Choice: selects the model for a sample if none is named, and states the reason.

use super::Traits;
use crate::infer::Mode;
use crate::name::{ModelRef, Name};
use crate::quality::GrainKind;
use crate::registry::Registry;
use crate::sample::{Kind, Shape};

/// Noise from which a page is not for the model of pages, on [0, 1]: its guard takes grain for strokes and gives it back. On
/// made pages with strokes of 2 to 5 pixels both models are equal at about 22 levels of 255; at 35 the paper keeps a deviation
/// of 18 under the model of pages, and 9 under that of pictures.
const DROWNED: f32 = 28.0 / 255.0;

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
    let content = match (is_gray, shape.channels()) {
        _ if page.is_some() && is_drowned => "page under strong noise",
        (true, 3) => "gray picture in colour channels",
        (true, _) => "gray picture",
        (false, _) => "colour picture",
    };
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
