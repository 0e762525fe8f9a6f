//! Parameters of a corruption: one table that its check and its description read.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{Error, Span};
use crate::bounds::{Bounds, Schemas};

/// A range that a corruption draws from.
pub struct Parameter<T> {
    /// Its member in JSON.
    name: &'static str,
    of: fn(&T) -> Span,
    bounds: Bounds,
}

impl<T> Parameter<T> {
    /// The member `name`, whose range lies within `[low, high]`.
    pub const fn new(name: &'static str, of: fn(&T) -> Span, low: f64, high: f64) -> Self {
        Self { name, of, bounds: Bounds::closed(low, high) }
    }
}

/// A corruption with parameters.
pub trait Parameters: ToSchema + Sized + 'static {
    /// Its key in JSON.
    const KIND: &'static str;
    /// Its ranges, each with the interval that it must lie in.
    const PARAMETERS: &'static [Parameter<Self>];

    /// Checks all ranges.
    ///
    /// # Errors
    /// The first range that is out of its interval.
    fn check_ranges(&self) -> Result<(), Error> {
        Self::PARAMETERS.iter().try_for_each(|parameter| {
            let field = format!("{}.{}", Self::KIND, parameter.name);
            (parameter.of)(self).check(&field, parameter.bounds)
        })
    }
}

/// A range in JSON with the shortest decimals of its numbers: 0.05, not 0.05000000074505806.
fn short(range: &Value) -> Value {
    let number = |value: &Value| (value.as_f64().unwrap_or_default() as f32).to_string().parse::<f64>();
    range.as_array().into_iter().flatten().filter_map(|value| number(value).ok()).collect()
}

/// Adds the schema of `T`, with the interval of each range.
pub fn describe<T: Parameters>(schemas: &mut Schemas) {
    schemas.insert(T::name().into_owned(), T::schema());
    let Some(RefOr::T(Schema::Object(object))) = schemas.get_mut(T::name().as_ref()) else { return };
    for Parameter { name, bounds, .. } in T::PARAMETERS {
        if let Some(RefOr::Ref(general)) = object.properties.get(*name) {
            let description = Some(general.description.clone());
            let schema =
                bounds.range_schema().description(description).default(general.default.as_ref().map(short));
            object.properties.insert((*name).to_owned(), Schema::OneOf(schema.build()).into());
        }
    }
}
