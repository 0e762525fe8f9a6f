//! Names of models, as written by a client (`photo-gray`, `photo-gray@3`) and as stated in a reply.

use std::fmt;
use std::str::FromStr;

/// Reference to a model by a client: `name`, or `name@version`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ModelRef {
    /// Name of the model.
    pub name: Name,
    /// Version, or `None` for the default one.
    pub version: Option<u32>,
}

/// Identity of one version of a model, with the digest of its weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId {
    /// Name of the model.
    pub name: Name,
    /// Version, from 1 up.
    pub version: u32,
    /// SHA-256 of the weights file.
    pub digest: [u8; 32],
}

/// Name of a model: `[a-z0-9][a-z0-9._-]{0,63}`, without `..`, so that it is safe as a folder name, in a URL and in a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$", example = "my-scans")]
pub struct Name(String);

/// Error of a text that is not a model reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name has an invalid character or length.
    #[error(
        "{0:?} is not a model name: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter \
         or digit, without '..'"
    )]
    Name(String),
    /// The part after `@` is not a version.
    #[error("{0:?} is not a version: a whole number from 1 up")]
    Version(String),
}

impl Name {
    /// Name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
        let starts_well = text.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if text.len() <= 64 && starts_well && text.bytes().all(is_inner) && !text.contains("..") {
            Ok(Name(text.to_owned()))
        } else {
            // The message shows the text, but never an unbounded echo of it.
            Err(Error::Name(text.chars().take(80).collect()))
        }
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for ModelRef {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl TryFrom<String> for ModelRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl utoipa::PartialSchema for ModelRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let text = utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[a-z0-9][a-z0-9._-]{0,63}(@[1-9][0-9]*)?$"))
            .description(Some("A model by name, or a version of it as name@version."));
        utoipa::openapi::Schema::Object(text.build()).into()
    }
}

impl utoipa::ToSchema for ModelRef {}

impl FromStr for ModelRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, version)) = text.split_once('@') else {
            return Ok(Self { name: text.parse()?, version: None });
        };
        let number = version.parse().ok().filter(|&v| v > 0);
        let number = number.ok_or_else(|| Error::Version(version.chars().take(80).collect()))?;
        Ok(Self { name: name.parse()?, version: Some(number) })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_folders() {
        for good in ["a", "photo-gray", "9x", "a.b_c-d"] {
            assert_eq!(good.parse::<Name>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", ".a", "a..b", "A", "a/b", "../a", "a\0", "ä", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reference_has_an_optional_version() {
        assert_eq!("a@3".parse::<ModelRef>().map(|r| r.version), Ok(Some(3)));
        assert_eq!("a".parse::<ModelRef>().map(|r| r.version), Ok(None));
        for bad in ["a@", "a@0", "a@-1", "a@1@2", "a@x", "@1"] {
            assert!(bad.parse::<ModelRef>().is_err(), "{bad:?}");
        }
    }
}
