//! Shapes: samples, options and latents that a session accepts, their scale, and the memory that they take.

use super::{Error, Mode, Options, Result, Scale, Session, dihedral};
use crate::nn::model::Normalize;
use crate::registry::Input;
use crate::sample::{Depth, Kind, Latent, Sample, Shape, Stats};

impl Session {
    /// Returns the maximum memory for denoising a sample of this shape and depth, in bytes, including input and output
    /// of depth `to`.
    pub fn bytes_to_denoise(&self, shape: Shape, from: Depth, to: Depth, options: &Options) -> usize {
        let numbers = shape.numbers();
        let mut each = from.bytes() + to.bytes();
        let mut network = self.bytes_of_network(shape);
        if options.ensemble > 1 {
            // A transformed copy, its result, and the sum.
            each += from.bytes() + 2 * size_of::<f32>();
            // The memory of streaming inference depends on the orientation of the image.
            network = network.max(self.bytes_of_network(dihedral::quarter(shape)));
        }
        if options.mode == Mode::Strict && !self.is_whole(shape) {
            // The latent is stored as a whole; it has fewer numbers than the sample.
            each += size_of::<f32>();
        }
        numbers.saturating_mul(each).saturating_add(network)
    }

    /// Returns the maximum working memory for any operation on a sample of this shape, in bytes, including the output.
    pub fn working_bytes(&self, shape: Shape) -> usize {
        let whole = shape.numbers().saturating_mul(6 * size_of::<f32>());
        whole.saturating_add(self.bytes_of_network(shape))
    }

    /// Checks strength and ensemble size, and returns the number of dihedral transforms.
    pub(super) fn turns(&self, options: &Options) -> Result<usize> {
        if !(0.0..=1.0).contains(&options.strength) {
            let reason = format!("expected 0..1, got {}", options.strength);
            return Err(Error::Parameter { name: "strength", reason });
        }
        match options.ensemble {
            1 => Ok(1),
            dihedral::COUNT if self.can_turn() => Ok(dihedral::COUNT),
            other => {
                let reason = format!("expected 1, or 8 for images that may be turned, got {other}");
                Err(Error::Parameter { name: "ensemble", reason })
            }
        }
    }

    /// Returns `depth` for images; signals and vectors are always `f32`.
    pub(super) fn depth(&self, depth: Depth) -> Depth {
        if self.input.kind == Kind::Image { depth } else { Depth::F32 }
    }

    /// Returns the number of latent channels to keep so that the latent is at least `ratio` times smaller than the
    /// sample.
    pub(super) fn keep(&self, shape: Shape, ratio: Option<f32>) -> Result<usize> {
        self.check(shape)?;
        let config = &self.manifest.model;
        let Some(ratio) = ratio else { return Ok(config.latent_channels()) };
        let most = shape.numbers() as f32 / ratio;
        let prefixes = config.prefixes();
        let fits = prefixes.iter().rev().find(|keep| config.latent_numbers(shape, **keep) as f32 <= most);
        fits.copied().filter(|_| ratio > 0.0).ok_or_else(|| {
            let smallest = config.latent_numbers(shape, prefixes[0]);
            let best = shape.numbers() as f32 / smallest as f32;
            let reason = format!("model {} reaches at most {best:.1} for {shape}, got {ratio}", self.id);
            Error::Parameter { name: "ratio", reason }
        })
    }

    pub(super) fn check(&self, shape: Shape) -> Result<()> {
        let Input { kind, channels, fixed } = &self.input;
        let fits = match fixed {
            Some(fixed) => *fixed == shape,
            None => shape.kind() == *kind && shape.channels() == *channels,
        };
        if fits && shape.numbers() > 0 {
            return Ok(());
        }
        let expected = match fixed {
            Some(fixed) => format!("one {fixed}"),
            None => format!("{kind}s of any size with {channels} channel(s)"),
        };
        Err(Error::Shape { model: self.id.clone(), expected, got: shape })
    }

    pub(super) fn can_turn(&self) -> bool {
        let square = match self.input.fixed {
            Some(Shape::Image { height, width, .. }) => height == width,
            _ => true,
        };
        self.input.kind == Kind::Image && square
    }

    /// Returns height and width inside the network, padded to whole strides.
    pub(super) fn padded(&self, shape: Shape) -> (usize, usize) {
        let stride = self.manifest.model.stride();
        let (_, height, width) = shape.extents();
        match shape.kind() {
            Kind::Image => (height.next_multiple_of(stride), width.next_multiple_of(stride)),
            Kind::Signal => (height, width.next_multiple_of(stride)),
            Kind::Vector => (height, width),
        }
    }

    /// Returns `true` if a sample of this shape is computed in one piece.
    pub fn is_whole(&self, shape: Shape) -> bool {
        self.passing(shape).is_none()
    }

    /// Returns the memory of the network, in bytes, for a sample of this shape or for the strip of it that is computed
    /// at a time.
    pub(super) fn bytes_of_network(&self, shape: Shape) -> usize {
        if let Some(passing) = self.passing(shape) {
            return passing.bytes();
        }
        let (height, width) = self.padded(shape);
        // At the end these are in memory: the latent, its decoding, the refinement folded and unfolded, and the sum.
        let sample = [5, shape.channels(), height, width].into_iter().fold(1, usize::saturating_mul);
        self.manifest.model.floats(height, width).saturating_add(sample).saturating_mul(size_of::<f32>())
    }

    /// Checks that a latent has the shape, statistics and maps of this model.
    ///
    /// # Errors
    /// The latent does not fit the model.
    pub(super) fn check_latent(&self, latent: &Latent) -> Result<()> {
        self.check(latent.shape)?;
        let misfit = |reason: String| Err(Error::Latent { model: self.id.clone(), reason });
        let config = &self.manifest.model;
        if latent.stats.len() != config.normalize.kept(latent.shape.channels()) {
            return misfit("statistics of the sample are missing or too many".into());
        }
        let seen: Vec<&Vec<usize>> = latent.planes.iter().map(|p| &p.dims).collect();
        let fits = |keep: &usize| config.latent_dims(latent.shape, *keep).iter().eq(seen.iter().copied());
        if !config.prefixes().iter().any(fits) {
            let whole = config.latent_dims(latent.shape, config.latent_channels());
            return misfit(format!("expected maps {whole:?} or a prefix of their channels, got {seen:?}"));
        }
        Ok(())
    }

    /// Returns the normalisation applied to a sample before the network.
    pub(super) fn scale_for(&self, sample: &Sample) -> Scale {
        match &self.manifest.model.normalize {
            Normalize::Sample => {
                let (stats, bounds) = sample.robust_stats();
                Scale::all(stats).within(bounds)
            }
            Normalize::Channel => Scale::channels(sample.channel_stats()),
            Normalize::Fixed(stats) => Scale::all(*stats),
            Normalize::Columns(columns) => Scale::columns(columns.clone()),
        }
    }

    /// Returns the normalisation to invert on the sample decoded from a latent; its statistics must be checked.
    pub(super) fn scale_of(&self, latent: &Latent) -> Scale {
        match (&self.manifest.model.normalize, latent.stats.as_slice()) {
            (Normalize::Sample, [stats, ..]) | (Normalize::Fixed(stats), _) => Scale::all(*stats),
            (Normalize::Sample, []) => Scale::all(Stats { mean: 0.0, std: 1.0 }),
            (Normalize::Channel, stats) => Scale::channels(stats.to_vec()),
            (Normalize::Columns(columns), _) => Scale::columns(columns.clone()),
        }
    }
}
