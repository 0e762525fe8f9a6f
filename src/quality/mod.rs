//! Quality: scores of results, and the classical methods they are compared with.
//!
//! | quantity | function |
//! |---|---|
//! | distance from the clean sample | [`Reference::nearness`]: [`psnr`], [`ssim`], [`snr`], [`rmse`] |
//! | fraction of the writing that remains | [`Strokes`], [`ink_recall`] |
//! | agreement of the labels of neighbouring latents | [`knn_agrees`] |
//! | agreement of neighbours in a map and in the space that it shows | [`trustworthiness`] |
//! | summary over many samples | [`Summary`] |
//! | strength of white noise | [`estimate_sigma`] |
//! | strength and kind of any noise | [`Grain`] |
//! | correlation of noise | [`noise_correlation`] |
//! | strength of noise by brightness | [`NoiseCurve`] |
//! | examples of the noise | [`Patches`] |
//! | evenness of noise: dark and bright places, outliers | [`noise_evenness`] |
//! | error of a result without the clean sample | [`Response`] |
//! | correlation of what was removed | [`residual_correlation`] |
//! | result of a denoiser without learning | [`denoise_dct`]; of signals [`moving_average`], [`savitzky_golay`], [`denoise_wavelet`] |
//! | result of JPEG in as many bytes | [`jpeg_at_bytes`] |
//! | result of PCA in as many numbers | [`Pca`] |
//!
//! Similarity of input and output is not quality: a perfect denoiser differs from its input by all of the noise.

mod clipping;
mod correlation;
mod curve;
mod dct;
mod evenness;
mod flat;
mod grain;
mod history;
mod ink;
mod jpeg;
mod nearness;
mod neighbors;
mod noise;
mod patches;
mod pca;
mod psnr;
mod report;
mod residual;
mod risk;
mod smooth;
mod ssim;
mod stroke;
mod trust;
mod wavelet;

pub use clipping::clipped_mean;
pub use correlation::{Correlation, noise_correlation};
pub use curve::NoiseCurve;
pub use dct::denoise_dct;
pub use evenness::{Evenness, noise_evenness};
pub use grain::{Grain, GrainKind};
pub use ink::ink_recall;
pub use jpeg::jpeg_at_bytes;
pub use nearness::{Nearness, Reference};
pub use neighbors::knn_agrees;
pub use noise::{estimate_noise, estimate_sigma};
pub use patches::{Patches, neighbor_correlation};
pub use pca::Pca;
pub use psnr::{mse, psnr, rmse, snr};
pub use report::Summary;
pub use residual::residual_correlation;
pub use risk::{Response, mean_response};
pub use smooth::{moving_average, savitzky_golay};
pub use ssim::ssim;
pub use stroke::Strokes;
pub use trust::{Points, trustworthiness};
pub use wavelet::{Shrinkage, denoise_wavelet};

/// Returns the median, the upper of two.
///
/// # Panics
/// `values` is empty.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
