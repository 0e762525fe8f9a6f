//! Latents in JSON: `{"model", "version", "digest", "shape", "stats", "planes": [{"dims", "data"}]}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::array::{DType, array_from_json, read_raw};
use super::{Error, MAX_PLANES, Result, check, plane_numbers};
use crate::hex::hex;
use crate::limits::Limits;
use crate::name::{ModelId, Name};
use crate::sample::{Latent, Plane, Stats};

/// Encodes `latent` as JSON. `digest` is hexadecimal; `data` of each plane is base64 of little-endian `f32`, so that
/// decoding gives identical bits.
pub fn latent_to_json(id: &ModelId, latent: &Latent) -> Value {
    let plane = |plane: &Plane| {
        let bytes: Vec<u8> = plane.data.iter().flat_map(|v| v.to_le_bytes()).collect();
        json!({ "dims": plane.dims, "data": STANDARD.encode(bytes) })
    };
    let digest = hex(id.digest);
    json!({
        "model": id.name,
        "version": id.version,
        "digest": digest,
        "shape": latent.shape,
        "stats": stats_to_json(&latent.stats),
        "planes": latent.planes.iter().map(plane).collect::<Vec<_>>(),
    })
}

/// Encodes statistics as `null`, one object, or a list with one object per channel.
fn stats_to_json(stats: &[Stats]) -> Value {
    let one = |s: &Stats| json!({"mean": f64::from(s.mean), "std": f64::from(s.std)});
    match stats {
        [] => Value::Null,
        [only] => one(only),
        several => several.iter().map(one).collect(),
    }
}

/// Decodes a latent in JSON, and the id of the model that made it. `data` of a plane is base64 of little-endian `f32`,
/// nested numbers with the extents `dims`, or a flat list of numbers.
///
/// # Errors
/// [`Error::Json`] with the pointer of a missing or wrong member; otherwise as for latent files.
pub fn latent_from_json(value: &Value, limits: &Limits) -> Result<(ModelId, Latent)> {
    if !value.is_object() {
        return Err(wrong("", "not an object with model, version, digest, shape, stats and planes"));
    }
    let id = ModelId { name: read_name(value)?, version: read_version(value)?, digest: read_digest(value)? };
    let shape = member(value, "shape")?;
    let shape = serde_json::from_value(shape.clone()).map_err(|e| wrong("/shape", &e.to_string()))?;
    let stats = match value.get("stats") {
        None | Some(Value::Null) => Vec::new(),
        Some(stats) => {
            let parsed = match stats.is_array() {
                true => serde_json::from_value(stats.clone()),
                false => serde_json::from_value(stats.clone()).map(|one| vec![one]),
            };
            parsed.map_err(|e| wrong("/stats", &e.to_string()))?
        }
    };
    let planes = member(value, "planes")?.as_array().ok_or_else(|| wrong("/planes", "not a list"))?;
    if planes.len() > MAX_PLANES {
        return Err(wrong("/planes", &format!("{} planes, more than {MAX_PLANES}", planes.len())));
    }
    let planes =
        planes.iter().enumerate().map(|(at, plane)| read_plane(plane, at, limits)).collect::<Result<_>>()?;
    Ok((id, check(Latent { shape, stats, planes }, limits)?))
}

fn read_name(value: &Value) -> Result<Name> {
    let name = member(value, "model")?.as_str().ok_or_else(|| wrong("/model", "not a string"))?;
    name.parse().map_err(|e: crate::name::Error| wrong("/model", &e.to_string()))
}

fn read_version(value: &Value) -> Result<u32> {
    let version = member(value, "version")?.as_u64().and_then(|v| u32::try_from(v).ok()).filter(|&v| v > 0);
    version.ok_or_else(|| wrong("/version", "not a whole number from 1 up"))
}

fn read_digest(value: &Value) -> Result<[u8; 32]> {
    let text = member(value, "digest")?.as_str().unwrap_or_default().as_bytes();
    let bad = || wrong("/digest", "not 64 hexadecimal digits");
    let (pairs, []) = text.as_chunks::<2>() else { return Err(bad()) };
    let nibble = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[a, b]| Some(nibble(a)? << 4 | nibble(b)?)).collect();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)
}

fn read_plane(plane: &Value, at: usize, limits: &Limits) -> Result<Plane> {
    let here = |name: &str| format!("/planes/{at}{name}");
    let dims = plane.get("dims").and_then(|dims| serde_json::from_value::<Vec<usize>>(dims.clone()).ok());
    let dims = dims.ok_or_else(|| wrong(&here("/dims"), "missing, or not a list of whole numbers"))?;
    let numbers = plane_numbers(&dims, limits)?;
    let data = match plane.get("data") {
        Some(Value::String(text)) => {
            let bytes = super::super::decode_base64(text).map_err(|reason| wrong(&here("/data"), &reason))?;
            read_raw(&bytes, &dims, DType::F32, limits)?.data
        }
        Some(nested @ Value::Array(_)) => {
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
        _ => return Err(wrong(&here("/data"), "missing, or neither base64 nor nested numbers")),
    };
    Ok(Plane { dims, data })
}

fn member<'a>(value: &'a Value, name: &str) -> Result<&'a Value> {
    value.get(name).ok_or_else(|| wrong(&format!("/{name}"), "missing"))
}

fn wrong(pointer: &str, reason: &str) -> Error {
    Error::Json { pointer: pointer.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::example;
    use super::*;

    fn value() -> Value {
        let (id, latent) = example();
        latent_to_json(&id, &latent)
    }

    fn read(value: &Value) -> Result<(ModelId, Latent)> {
        latent_from_json(value, &Limits::default())
    }

    #[test]
    fn a_latent_survives_json_bit_for_bit() {
        let text = value().to_string();
        assert_eq!(read(&serde_json::from_str(&text).unwrap()).unwrap(), example());
        let (id, latent) = example();
        let latent = Latent { stats: vec![], ..latent };
        assert_eq!(read(&latent_to_json(&id, &latent)).unwrap(), (id, latent));
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
            ("/shape", json!({"image": {"height": 3}}), "/shape"),
            ("/stats", json!({"mean": "x"}), "/stats"),
            ("/planes", json!(7), "/planes"),
            ("/planes/1/dims", json!([-1]), "/planes/1/dims"),
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
