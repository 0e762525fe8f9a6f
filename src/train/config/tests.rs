//! Tests of the training config.

use super::*;
use crate::nn::model::{CompactConfig, DenseConfig};

fn wanted_for(change: impl Fn(&mut Config)) -> Result<Wanted, Error> {
    let mut config = Config::new("a".parse().unwrap());
    change(&mut config);
    config.wanted(&Registry::open(None, None).unwrap())
}

#[test]
fn the_family_says_what_files_are_read_as() {
    let of = |family: &FamilyChoice| wanted_for(|c| c.family = Some(family.clone())).unwrap();
    let wanted = |kind, channels| Wanted { kind: Some(kind), channels, ..Wanted::default() };
    assert_eq!(of(&FamilyChoice::Name(FamilyName::Dense)), wanted(Kind::Vector, None));
    assert_eq!(of(&FamilyChoice::Name(FamilyName::Compact)), wanted(Kind::Image, None));
    let sizes = DenseConfig { features: 4, hidden: vec![], latent: 2 };
    assert_eq!(of(&FamilyChoice::Sizes(Family::Dense(sizes))), wanted(Kind::Vector, None));
    let (widths, blocks) = ([8, 8], [1, 1]);
    let sizes = CompactConfig { channels: 3, height: 8, width: 8, latent: 2, widths, blocks };
    assert_eq!(of(&FamilyChoice::Sizes(Family::Compact(sizes))), wanted(Kind::Image, Some(3)));
    assert_eq!(wanted_for(|_| ()).unwrap(), Wanted::default());
}

#[test]
fn a_base_that_is_not_there_is_an_error() {
    assert!(matches!(wanted_for(|c| c.base = Some("no-such".into())), Err(Error::Registry(_))));
}
