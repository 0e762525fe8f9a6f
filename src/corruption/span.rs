//! Range of a parameter, from which each crop draws its own value.

use std::fmt;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Error;
use crate::bounds::Bounds;
use crate::rng::Rng;

/// Range from `low` to `high`; written `[low, high]`, or read from a single number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    low: f32,
    high: f32,
}

impl Span {
    /// Creates the range from `low` to `high`.
    pub const fn new(low: f32, high: f32) -> Self {
        Self { low, high }
    }

    /// Creates the range of one value.
    pub const fn at(value: f32) -> Self {
        Self { low: value, high: value }
    }

    /// Smallest value.
    pub fn low(self) -> f32 {
        self.low
    }

    /// Largest value.
    pub fn high(self) -> f32 {
        self.high
    }

    /// Draws a value, uniformly. Also draws from `rng` if the range has only one value, so that widening one range
    /// does not change other draws.
    pub fn draw(self, rng: &mut Rng) -> f32 {
        rng.range(self.low, self.high)
    }

    /// Draws a whole number of the range, both ends included.
    pub(super) fn draw_whole(self, rng: &mut Rng) -> usize {
        let (low, high) = (self.low.ceil() as usize, self.high.floor() as usize);
        low + rng.below(high.saturating_sub(low) + 1)
    }

    /// Checks that the range is within `bounds`.
    pub(super) fn check(self, field: &str, bounds: Bounds) -> Result<(), Error> {
        let (low, high) = (bounds.low() as f32, bounds.high() as f32);
        // Written so that NaN fails too.
        let is_ordered = self.low <= self.high;
        if !is_ordered {
            return Err(Error::Order { field: field.to_owned(), seen: self });
        }
        if !(self.low >= low && self.high <= high) {
            return Err(Error::Range { field: field.to_owned(), low, high, seen: self });
        }
        Ok(())
    }
}

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        Schema::OneOf(Bounds::ANY.range_schema().build()).into()
    }
}

impl ToSchema for Span {}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            return self.low.fmt(f);
        }
        write!(f, "[{}, {}]", self.low, self.high)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        [self.low, self.high].serialize(to)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrPair;

        impl<'de> Visitor<'de> for NumberOrPair {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a pair [low, high]")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Span, E> {
                Ok(Span::at(value as f32))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Span, E> {
                Ok(Span::at(value as f32))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Span, E> {
                Ok(Span::at(value as f32))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, pair: A) -> Result<Span, A::Error> {
                let [low, high] = <[f32; 2]>::deserialize(SeqAccessDeserializer::new(pair))?;
                Ok(Span::new(low, high))
            }
        }

        from.deserialize_any(NumberOrPair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn a_single_number_is_a_range_of_one_value() {
        for (json, span) in [("25", Span::at(25.0)), ("0.5", Span::at(0.5)), ("[0,55]", Span::new(0.0, 55.0))]
        {
            assert_eq!(serde_json::from_str::<Span>(json).unwrap(), span);
        }
        assert!(serde_json::from_str::<Span>("[1,2,3]").is_err());
        assert!(serde_json::from_str::<Span>("[1]").is_err());
    }

    #[test]
    fn whole_draws_reach_both_ends_and_nothing_else() {
        let mut rng = Rng::new(1, Purpose::Corrupt, 0);
        let draws: std::collections::BTreeSet<_> =
            (0..200).map(|_| Span::new(2.0, 4.0).draw_whole(&mut rng)).collect();
        assert_eq!(draws.into_iter().collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn a_range_with_nan_does_not_pass() {
        assert!(Span::new(f32::NAN, 1.0).check("x", Bounds::closed(0.0, 1.0)).is_err());
        assert!(Span::new(0.0, f32::NAN).check("x", Bounds::closed(0.0, 1.0)).is_err());
    }
}
