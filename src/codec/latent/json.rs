//! Latents in JSON: `{"model", "version", "digest", "shape", "stats", "planes": [{"dims", "data"}]}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::array::{DType, array_from_json, read_raw};
use super::{Error, MAX_PLANES, Result, check, plane_numbers};
use crate::hex::hex;
use crate::limits::Limits;
use crate::name::{ModelId, Name};
use crate::sample::{Latent, Plane, Shape, Stats};

/// Latent in JSON. Decoding gives the same bits as the latent file does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Latent)]
pub struct JsonLatent {
    /// Model that made it.
    #[schema(example = "photo-gray")]
    pub model: Name,
    /// Version of the model, from 1 up.
    #[schema(minimum = 1, example = 1)]
    pub version: u32,
    /// SHA-256 of the weights, 64 hexadecimal digits.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub digest: String,
    /// Shape of the sample that it decodes to.
    pub shape: Shape,
    /// Mean and standard deviation of the sample, or of each of its channels; absent for models that take none.
    #[serde(default)]
    pub stats: Option<JsonStats>,
    /// Maps of the latent, coarsest first; 1 to 64.
    #[schema(min_items = 1, max_items = 64)]
    pub planes: Vec<JsonPlane>,
}

/// Statistics of a sample in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = LatentStats)]
pub enum JsonStats {
    /// Of the whole sample.
    One(JsonMoments),
    /// Of each channel.
    Each(Vec<JsonMoments>),
}

/// Mean and standard deviation, each the exact value of a `float32`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LatentMoments, example = json!({"mean": 0.5, "std": 0.2}))]
pub struct JsonMoments {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}

/// Map of a latent in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LatentPlane)]
pub struct JsonPlane {
    /// Extents, channels first: `(Z, H, W)`, `(Z, L)` or `(Z)`.
    #[schema(example = json!([2, 4, 4]))]
    pub dims: Vec<usize>,
    /// Base64 of little-endian `float32`, or nested numbers whose extents are `dims` (flat numbers are read too).
    pub data: Value,
}

impl JsonLatent {
    /// `latent` of the model `id`.
    pub fn of(id: &ModelId, latent: &Latent) -> Self {
        let plane = |plane: &Plane| {
            let bytes: Vec<u8> = plane.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            JsonPlane { dims: plane.dims.clone(), data: STANDARD.encode(bytes).into() }
        };
        let moments = |stats: &Stats| JsonMoments { mean: stats.mean.into(), std: stats.std.into() };
        Self {
            model: id.name.clone(),
            version: id.version,
            digest: hex(id.digest),
            shape: latent.shape,
            stats: match latent.stats.as_slice() {
                [] => None,
                [only] => Some(JsonStats::One(moments(only))),
                several => Some(JsonStats::Each(several.iter().map(moments).collect())),
            },
            planes: latent.planes.iter().map(plane).collect(),
        }
    }

    /// The latent, and the model that made it.
    ///
    /// # Errors
    /// [`Error::Json`] with the pointer of a member that does not fit; else as for the file.
    pub fn read(self, limits: &Limits) -> Result<(ModelId, Latent)> {
        if self.version == 0 {
            return Err(wrong("/version", "not a whole number from 1 up"));
        }
        if self.planes.len() > MAX_PLANES {
            return Err(wrong("/planes", &format!("{} planes, more than {MAX_PLANES}", self.planes.len())));
        }
        let id = ModelId { name: self.model, version: self.version, digest: read_digest(&self.digest)? };
        let moments = match self.stats {
            None => Vec::new(),
            Some(JsonStats::One(moments)) => vec![moments],
            Some(JsonStats::Each(moments)) => moments,
        };
        let stats = moments.iter().map(|of| Stats { mean: of.mean as f32, std: of.std as f32 }).collect();
        let planes = self.planes.iter().enumerate().map(|(at, plane)| read_plane(plane, at, limits));
        let latent = Latent { shape: self.shape, stats, planes: planes.collect::<Result<_>>()? };
        Ok((id, check(latent, limits)?))
    }
}

fn read_digest(text: &str) -> Result<[u8; 32]> {
    let bad = || wrong("/digest", "not 64 hexadecimal digits");
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(bad()) };
    let nibble = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[a, b]| Some(nibble(a)? << 4 | nibble(b)?)).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)
}

fn read_plane(plane: &JsonPlane, at: usize, limits: &Limits) -> Result<Plane> {
    let here = |name: &str| format!("/planes/{at}{name}");
    let dims = plane.dims.clone();
    let numbers = plane_numbers(&dims, limits)?;
    let data = match &plane.data {
        Value::String(text) => {
            let bytes = super::super::decode_base64(text).map_err(|reason| wrong(&here("/data"), &reason))?;
            read_raw(&bytes, &dims, DType::F32, limits)?.data
        }
        nested @ Value::Array(_) => {
            let array = array_from_json(nested, limits).map_err(|error| match error {
                Error::Json { pointer, reason } => wrong(&here(&format!("/data{pointer}")), &reason),
                other => other,
            })?;
            if array.dims != dims && array.dims != [numbers] {
                return Err(wrong(
                    &here("/data"),
                    &format!("has extents {:?}, dims are {dims:?}", array.dims),
                ));
            }
            array.data
        }
        _ => return Err(wrong(&here("/data"), "neither base64 nor nested numbers")),
    };
    Ok(Plane { dims, data })
}

fn wrong(pointer: &str, reason: &str) -> Error {
    Error::Json { pointer: pointer.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::example;
    use super::*;

    fn value() -> Value {
        let (id, latent) = example();
        serde_json::to_value(JsonLatent::of(&id, &latent)).unwrap()
    }

    fn read(value: &Value) -> Result<(ModelId, Latent)> {
        crate::pointer::read::<JsonLatent>(value.clone())?.read(&Limits::default())
    }

    #[test]
    fn a_latent_survives_json_bit_for_bit() {
        let text = value().to_string();
        assert_eq!(read(&serde_json::from_str(&text).unwrap()).unwrap(), example());
        let (id, latent) = example();
        let latent = Latent { stats: vec![], ..latent };
        assert_eq!(read(&serde_json::to_value(JsonLatent::of(&id, &latent)).unwrap()).unwrap(), (id, latent));
    }

    #[test]
    fn planes_may_be_nested_or_flat_numbers() {
        for data in [json!([[[0.5, -1.25]], [[3.0, 1e-7]]]), json!([0.5, -1.25, 3.0, 1e-7])] {
            let mut value = value();
            value["planes"][0]["data"] = data;
            assert_eq!(read(&value).unwrap(), example());
        }
    }

    #[test]
    fn a_wrong_member_is_pointed_at() {
        for (pointer, wrong, at) in [
            ("/model", json!("../x"), "/model"),
            ("/version", json!(0), "/version"),
            ("/digest", json!("07"), "/digest"),
            ("/digest", json!("0".repeat(63) + "é"), "/digest"),
            ("/shape", json!({"image": {"height": 3}}), "/shape/image/channels"),
            ("/stats", json!({"mean": "x"}), "/stats"),
            ("/planes", json!(7), "/planes"),
            ("/planes/1/dims", json!([-1]), "/planes/1/dims/0"),
            ("/planes/1/data", json!("*"), "/planes/1/data"),
            ("/planes/1/data", json!([[1], [2, 3]]), "/planes/1/data/1"),
            ("/planes/1/data", json!([1, 2]), "/planes/1/data"),
        ] {
            let mut value = value();
            *value.pointer_mut(pointer).unwrap() = wrong.clone();
            let error = read(&value).unwrap_err();
            let Error::Json { pointer, .. } = error else { panic!("{wrong}: {error}") };
            assert_eq!(pointer, at, "{wrong}");
        }
    }

    #[test]
    fn a_missing_member_is_an_error() {
        for name in ["model", "version", "digest", "shape", "planes"] {
            let mut value = value();
            value.as_object_mut().unwrap().remove(name);
            assert!(matches!(read(&value), Err(Error::Json { .. })), "{name}");
        }
        assert!(read(&json!([])).is_err());
    }

    #[test]
    fn a_spread_that_cannot_be_is_refused() {
        for std in [json!(0.0), json!(-1.0), json!(1e39)] {
            let mut value = value();
            value["stats"]["std"] = std;
            assert!(read(&value).is_err());
        }
    }

    #[test]
    fn extents_over_the_limits_are_refused() {
        let mut value = value();
        value["planes"][0]["dims"] = json!([1u64 << 40, 1u64 << 40]);
        assert!(matches!(read(&value), Err(Error::TooLarge { .. })));
    }
}
