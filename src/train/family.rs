//! Families of networks as a training config names them.

use std::fmt;

use clap::ValueEnum;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::nn::model::Family;

/// A family by name, or with all its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum FamilyChoice {
    /// With the default sizes.
    Name(FamilyName),
    /// With stated sizes.
    Sizes(Family),
}

/// The names of the families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum FamilyName {
    /// Images of any size.
    Pyramid,
    /// Images of one small size.
    Compact,
    /// Signals of any length.
    Signal,
    /// Vectors.
    Dense,
}

/// Size of a latent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LatentSizes)]
pub struct LatentChoice {
    /// Numbers of a latent vector (compact, dense); an eighth of the sample's numbers, at most 32 (compact), or a quarter, at
    /// most 64 (dense), when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub numbers: Option<usize>,
    /// Channels of the latent maps, finest first: at 1/2, 1/4 and 1/8 of the size (pyramid), or at 1/4, 1/8 and 1/16 of the
    /// length (signal); 1 to 4096 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<[usize; 3]>,
}

impl<'de> Deserialize<'de> for FamilyChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameOrSizes;

        impl<'de> Visitor<'de> for NameOrSizes {
            type Value = FamilyChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a family, or an object of its sizes keyed by its name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<FamilyChoice, E> {
                FamilyName::deserialize(name.into_deserializer()).map(FamilyChoice::Name)
            }

            fn visit_map<A: MapAccess<'de>>(self, sizes: A) -> Result<FamilyChoice, A::Error> {
                Family::deserialize(MapAccessDeserializer::new(sizes)).map(FamilyChoice::Sizes)
            }
        }

        from.deserialize_any(NameOrSizes)
    }
}
