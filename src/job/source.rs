//! What the samples of a job should be read as.

use crate::dataset::Wanted;
use crate::nn::model::Family;
use crate::registry::Registry;
use crate::sample::Kind;
use crate::train::{self, Config, FamilyChoice, FamilyName};

/// What the model that `config` asks for takes: its base's input, or what its family is for.
///
/// # Errors
/// The base model cannot be had.
pub fn wanted(config: &Config, registry: &Registry) -> Result<Wanted, train::Error> {
    if let Some(base) = &config.base {
        let invalid =
            |e: crate::name::Error| train::Error::Invalid { field: "base".into(), reason: e.to_string() };
        let (manifest, _) = registry.card(&base.parse().map_err(invalid)?)?;
        let input = manifest.input();
        let channels = (input.kind != Kind::Vector).then_some(input.channels);
        return Ok(Wanted { kind: Some(input.kind), channels });
    }
    let kind = match config.family {
        Some(FamilyChoice::Name(FamilyName::Pyramid | FamilyName::Compact)) => Some(Kind::Image),
        Some(FamilyChoice::Name(FamilyName::Signal)) => Some(Kind::Signal),
        Some(FamilyChoice::Name(FamilyName::Dense)) => Some(Kind::Vector),
        Some(FamilyChoice::Sizes(Family::Signal(_))) => Some(Kind::Signal),
        Some(FamilyChoice::Sizes(_)) | None => None,
    };
    Ok(Wanted { kind, channels: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_for(family: Option<FamilyName>) -> Wanted {
        let mut config = Config::new("a".parse().unwrap());
        config.family = family.map(FamilyChoice::Name);
        wanted(&config, &Registry::open(None, None).unwrap()).unwrap()
    }

    #[test]
    fn the_family_says_what_files_are_read_as() {
        assert_eq!(wanted_for(Some(FamilyName::Dense)).kind, Some(Kind::Vector));
        assert_eq!(wanted_for(Some(FamilyName::Compact)).kind, Some(Kind::Image));
        assert_eq!(wanted_for(None).kind, None);
    }

    #[test]
    fn a_base_that_is_not_there_is_an_error() {
        let mut config = Config::new("a".parse().unwrap());
        config.base = Some("no-such".into());
        let result = wanted(&config, &Registry::open(None, None).unwrap());
        assert!(matches!(result, Err(train::Error::Registry(_))));
    }
}
