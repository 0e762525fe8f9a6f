//! Bounds: the interval of numbers that a parameter takes. Its check, the contract and the documentation read the same one.

use std::collections::BTreeMap;
use std::fmt;

use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// Schemas by name, as the contract holds them.
pub type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Interval of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: f64,
    high: f64,
    is_open: bool,
    multiple: u32,
}

impl Bounds {
    /// Every finite number of 32 bits.
    pub const ANY: Self = Self::closed(f32::MIN as f64, f32::MAX as f64);

    /// The numbers from `low` to `high`, both included.
    pub const fn closed(low: f64, high: f64) -> Self {
        Self { low, high, is_open: false, multiple: 0 }
    }

    /// The numbers above `low`, up to `high`.
    pub const fn above(low: f64, high: f64) -> Self {
        Self { low, high, is_open: true, multiple: 0 }
    }

    /// Only the multiples of `step` among them.
    pub const fn multiples_of(self, step: u32) -> Self {
        Self { multiple: step, ..self }
    }

    /// Smallest number, or the one below all of them.
    pub fn low(self) -> f64 {
        self.low
    }

    /// Largest number.
    pub fn high(self) -> f64 {
        self.high
    }

    /// Returns `true` for a number of the interval; `false` for NaN.
    pub fn hold(self, number: f64) -> bool {
        let is_above = if self.is_open { number > self.low } else { number >= self.low };
        let is_multiple = self.multiple == 0 || number % f64::from(self.multiple) == 0.0;
        is_above && number <= self.high && is_multiple
    }

    /// Writes the interval into the schema of a number.
    pub fn describe(self, schema: &mut utoipa::openapi::Object) {
        if self.is_open {
            schema.exclusive_minimum = Some(number(self.low));
        } else {
            schema.minimum = Some(number(self.low));
        }
        schema.maximum = Some(number(self.high));
        schema.multiple_of = (self.multiple > 0).then(|| number(self.multiple.into()));
    }

    /// Schema of one number of the interval, or of a range `[low, high]` within it.
    pub fn range_schema(self) -> OneOfBuilder {
        let one = || {
            let mut schema = ObjectBuilder::new().schema_type(Type::Number).build();
            self.describe(&mut schema);
            schema
        };
        let pair = ArrayBuilder::new().items(one()).min_items(Some(2)).max_items(Some(2));
        OneOfBuilder::new().item(one()).item(pair)
    }
}

/// Adds the schema of `T`, with the meaning of each choice in its description.
pub fn describe_choices<T: ToSchema + clap::ValueEnum>(schemas: &mut Schemas) {
    schemas.insert(T::name().into_owned(), T::schema());
    let Some(RefOr::T(Schema::Object(object))) = schemas.get_mut(T::name().as_ref()) else { return };
    let choices = T::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
    let line = |choice: clap::builder::PossibleValue| {
        let help = choice.get_help().map(ToString::to_string).unwrap_or_default();
        format!("\n- `{}`: {help}.", choice.get_name())
    };
    let lines: String = choices.map(line).collect();
    object.description = Some(format!("{}\n{lines}", object.description.take().unwrap_or_default()));
}

/// Whole numbers are written without a point.
fn number(value: f64) -> utoipa::Number {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        utoipa::Number::Int(value as isize)
    } else {
        utoipa::Number::Float(value)
    }
}

/// As it stands in an error: `0..=1`, `more than 0 and at most 1`, `a multiple of 8 in 16..=512`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, high, is_open, multiple } = self;
        if *multiple > 0 {
            write!(f, "a multiple of {multiple} in ")?;
        }
        match is_open {
            true => write!(f, "more than {low} and at most {high}"),
            false => write!(f, "{low}..={high}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_belong_to_a_closed_interval_and_the_low_one_not_to_an_open_one() {
        let closed = Bounds::closed(0.0, 1.0);
        assert_eq!(
            [-0.1, 0.0, 1.0, 1.1, f64::NAN].map(|v| closed.hold(v)),
            [false, true, true, false, false]
        );
        let open = Bounds::above(0.0, 1.0);
        assert_eq!([0.0, 1e-9, 1.0, 1.1].map(|v| open.hold(v)), [false, true, true, false]);
        let crop = Bounds::closed(16.0, 512.0).multiples_of(8);
        assert_eq!([8.0, 16.0, 20.0, 24.0].map(|v| crop.hold(v)), [false, true, false, true]);
        assert_eq!(crop.to_string(), "a multiple of 8 in 16..=512");
        assert_eq!(open.to_string(), "more than 0 and at most 1");
    }
}
