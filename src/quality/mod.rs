//! Quality: how good a result is, with the classical methods it is held against.
//!
//! | question | function |
//! |---|---|
//! | how near is it to the clean sample? | [`psnr`], [`ssim`], [`snr`], [`rmse`] |
//! | is the writing still there? | [`Strokes`], [`ink_recall`] |
//! | do latents of one name lie together? | [`knn_agrees`] |
//! | how is it over many samples? | [`Summary`] |
//! | how strong is the noise? | [`estimate_sigma`] |
//! | how strong is noise that is not white, and what kind is it? | [`Grain`] |
//! | is the noise correlated? | [`noise_correlation`] |
//! | how strong is it in the dark, and how strong in the light? | [`NoiseCurve`] |
//! | what does the noise look like? | [`Patches`] |
//! | is the noise even: in dark as in bright places, without outliers? | [`noise_evenness`] |
//! | what would a denoiser without learning give? | [`denoise_dct`] |
//! | what would JPEG give in as many bytes? | [`jpeg_at_bytes`] |
//! | what would PCA give in as many numbers? | [`Pca`] |
//!
//! Likeness of input and output is not quality: a perfect denoiser differs from its input by all of the
//! noise.

mod clipping;
mod correlation;
mod curve;
mod dct;
mod evenness;
mod flat;
mod grain;
mod ink;
mod jpeg;
mod neighbors;
mod noise;
mod patches;
mod pca;
mod psnr;
mod report;
mod ssim;
mod stroke;

pub use clipping::clipped_mean;
pub use correlation::{Correlation, noise_correlation};
pub use curve::NoiseCurve;
pub use dct::denoise_dct;
pub use evenness::{Evenness, noise_evenness};
pub use grain::{Grain, GrainKind};
pub use ink::ink_recall;
pub use jpeg::{JpegPoint, jpeg_at_bytes};
pub use neighbors::knn_agrees;
pub use noise::{estimate_noise, estimate_sigma};
pub use patches::{Patches, neighbor_correlation};
pub use pca::Pca;
pub use psnr::{mse, psnr, rmse, snr};
pub use report::Summary;
pub use ssim::ssim;
pub use stroke::Strokes;

/// The middle one by size, the upper of two.
///
/// # Panics
/// There is none.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
