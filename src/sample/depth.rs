//! Bit depth of the numbers of a sample, and their representation in memory.

use super::{Error, Sample, Shape};

/// Bit depth of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// 8 bits or fewer: 0..255 maps to 0..1.
    U8,
    /// 16 bits: 0..65535 maps to 0..1.
    U16,
    /// 32-bit float, not converted.
    F32,
}

impl Depth {
    /// Number of bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Depth::U8 => 1,
            Depth::U16 => 2,
            Depth::F32 => 4,
        }
    }
}

/// Number type in which a sample can store its values.
pub trait Number: Copy + Send + Sync + 'static {
    /// Bit depth of the type.
    const DEPTH: Depth;

    /// Converts from the sample's scale; whole numbers clamp to 0..1 and round half away from zero.
    fn from_f32(v: f32) -> Self;

    /// Converts to the sample's scale.
    fn to_f32(self) -> f32;

    /// Returns the stored numbers of a sample, if they have this type.
    fn of(sample: &Sample) -> Option<&[Self]>;

    /// Creates a sample that stores these numbers.
    ///
    /// # Errors
    /// As for [`Sample::new`].
    fn sample(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error>;

    /// Creates a sample in which numbers that are not finite are missing.
    ///
    /// # Errors
    /// As for [`Sample::with_gaps`].
    fn sample_with_gaps(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error> {
        Self::sample(shape, numbers)
    }
}

impl Number for u8 {
    const DEPTH: Depth = Depth::U8;

    fn from_f32(v: f32) -> Self {
        round(v.clamp(0.0, 1.0) * 255.0) as u8
    }

    fn to_f32(self) -> f32 {
        f32::from(self) / 255.0
    }

    fn of(sample: &Sample) -> Option<&[Self]> {
        sample.bytes()
    }

    fn sample(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error> {
        Sample::from_bytes(shape, numbers)
    }
}

impl Number for u16 {
    const DEPTH: Depth = Depth::U16;

    fn from_f32(v: f32) -> Self {
        round(v.clamp(0.0, 1.0) * 65535.0) as u16
    }

    fn to_f32(self) -> f32 {
        f32::from(self) / 65535.0
    }

    fn of(sample: &Sample) -> Option<&[Self]> {
        sample.words()
    }

    fn sample(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error> {
        Sample::from_words(shape, numbers)
    }
}

impl Number for f32 {
    const DEPTH: Depth = Depth::F32;

    fn from_f32(v: f32) -> Self {
        v
    }

    fn to_f32(self) -> f32 {
        self
    }

    fn of(sample: &Sample) -> Option<&[Self]> {
        (sample.depth() == Depth::F32).then(|| sample.data())
    }

    fn sample(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error> {
        Sample::new(shape, numbers)
    }

    fn sample_with_gaps(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error> {
        Sample::with_gaps(shape, numbers)
    }
}

/// Rounds a non-negative number to the nearest whole one, half up. `f32::round` is a library call on older machines,
/// not an instruction.
fn round(v: f32) -> i32 {
    let whole = v as i32;
    whole + i32::from(v - whole as f32 >= 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_value_survives() {
        (0..=u8::MAX).for_each(|v| assert_eq!(u8::from_f32(v.to_f32()), v));
        (0..=u16::MAX).for_each(|v| assert_eq!(u16::from_f32(v.to_f32()), v));
    }

    #[test]
    fn values_outside_the_range_are_clamped() {
        assert_eq!([-0.5, 0.5, 7.0].map(u8::from_f32), [0, 128, 255]);
        assert_eq!([-0.5, 7.0].map(u16::from_f32), [0, 65535]);
    }
}
