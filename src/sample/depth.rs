//! Depth: how fine the numbers of a sample are, and how they are kept in memory.

use super::{Error, Sample, Shape};

/// How fine numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// 8 bits or fewer: 0..255 is 0..1.
    U8,
    /// 16 bits: 0..65535 is 0..1.
    U16,
    /// 32-bit float, kept as it is.
    F32,
}

impl Depth {
    /// Bytes that one number takes.
    pub fn bytes(self) -> usize {
        match self {
            Depth::U8 => 1,
            Depth::U16 => 2,
            Depth::F32 => 4,
        }
    }
}

/// A number as a sample may keep it.
pub trait Number: Copy + Send + Sync + 'static {
    /// Its depth.
    const DEPTH: Depth;

    /// From the sample's scale; whole numbers clamp to 0..1 and round half away from zero.
    fn from_f32(v: f32) -> Self;

    /// To the sample's scale.
    fn to_f32(self) -> f32;

    /// The numbers of a sample that keeps them like this, as they are kept.
    fn of(sample: &Sample) -> Option<&[Self]>;

    /// A sample that keeps its numbers like this.
    ///
    /// # Errors
    /// As for [`Sample::new`].
    fn sample(shape: Shape, numbers: Vec<Self>) -> Result<Sample, Error>;
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
}

/// The nearest whole number of one that is not negative, half up. `f32::round` is a call into a library and no
/// instruction on older machines.
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
