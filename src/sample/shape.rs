//! Shape of a sample: its kind and its extents.

use std::fmt;

/// Kinds of sample, one per layout of axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `(C, H, W)`
    Image,
    /// `(C, L)`
    Signal,
    /// `(D)`
    Vector,
}

/// Extents of one sample, channels first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// An image `(C, H, W)`.
    Image {
        /// Number of channels: 1 gray, 3 colour (red, green, blue).
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// A signal `(C, L)`.
    Signal {
        /// Number of channels, for example leads, axes or sensors.
        channels: usize,
        /// Length in time steps.
        length: usize,
    },
    /// A vector `(D)`.
    Vector {
        /// Number of values.
        features: usize,
    },
}

impl Shape {
    /// Creates an image shape `(C, H, W)`.
    pub fn image(channels: usize, height: usize, width: usize) -> Self {
        Shape::Image { channels, height, width }
    }

    /// Kind of sample.
    pub fn kind(self) -> Kind {
        match self {
            Shape::Image { .. } => Kind::Image,
            Shape::Signal { .. } => Kind::Signal,
            Shape::Vector { .. } => Kind::Vector,
        }
    }

    /// Extents in order, channels first.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Shape::Image { channels, height, width } => vec![channels, height, width],
            Shape::Signal { channels, length } => vec![channels, length],
            Shape::Vector { features } => vec![features],
        }
    }

    /// Number of channels; 1 for a vector.
    pub fn channels(self) -> usize {
        match self {
            Shape::Image { channels, .. } | Shape::Signal { channels, .. } => channels,
            Shape::Vector { .. } => 1,
        }
    }

    /// Channels, height and width; a signal is one row, and a vector is one row of one channel.
    pub fn extents(self) -> (usize, usize, usize) {
        match self {
            Shape::Image { channels, height, width } => (channels, height, width),
            Shape::Signal { channels, length } => (channels, 1, length),
            Shape::Vector { features } => (1, 1, features),
        }
    }

    /// Number of values in a sample of this shape; saturates instead of overflowing, so that an extreme shape fails a
    /// limit check rather than passing it.
    pub fn numbers(self) -> usize {
        self.dims().into_iter().fold(1, usize::saturating_mul)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Image { channels, height, width } => {
                write!(f, "image {width}x{height} with {channels} channel(s)")
            }
            Shape::Signal { channels, length } => {
                write!(f, "signal of length {length} with {channels} channel(s)")
            }
            Shape::Vector { features } => write!(f, "vector of {features} numbers"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Image => "image",
            Kind::Signal => "signal",
            Kind::Vector => "vector",
        })
    }
}
