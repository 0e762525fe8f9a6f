//! Tests of the registry on files only, and with the rows of SQLite and Postgres.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::db::testing::on_each;
use crate::nn::model::{self, DenseConfig, Family, Model, Normalize, SignalConfig};
use crate::nn::{Device, Weights};
use crate::sample::{Shape, Stats};

/// Returns a tiny model; the seed determines the weights.
fn draft(name: &str, seed: u64) -> Draft {
    let model = model::Config {
        family: Family::Dense(DenseConfig { features: 4, hidden: vec![], latent: 2 }),
        normalize: Normalize::Fixed(Stats { mean: 0.0, std: 1.0 }),
        rate: None,
    };
    let weights = Weights::to_train(Default::default(), seed);
    Model::new(&model, weights.builder(&Device::Cpu)).unwrap();
    let tensors: BTreeMap<_, _> =
        weights.vars().into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
    Draft {
        name: name.parse().unwrap(),
        model,
        weights: Weights::write(&tensors).unwrap(),
        training: serde_json::Value::Null,
        scores: serde_json::Value::Null,
        familiarity: None,
        prediction: None,
        kept_back: None,
        compared_with: None,
        map: None,
        card: "version {version}".into(),
    }
}

/// Runs `test` on a registry of each kind; `open` opens another handle, as another program would.
fn on_all(test: impl Fn(&TempDir, &dyn Fn() -> Registry)) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    test(&folder, &|| Registry::open(None, Some(root.clone())).unwrap());
    on_rows(|folder, open| test(folder, open));
}

fn on_rows(test: impl Fn(&TempDir, &dyn Fn() -> Registry)) {
    on_each(|db| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("models");
        test(&folder, &|| Registry::open_with(None, root.clone(), db.clone()).unwrap());
    });
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn state(registry: &Registry, text: &str) -> (u32, Vec<u32>) {
    let summary = registry.get(&name(text)).unwrap();
    (summary.default.unwrap(), summary.versions)
}

#[test]
fn versions_count_up_and_the_default_moves_only_when_it_is_to() {
    on_all(|_, open| {
        let registry = open();
        assert_eq!(registry.publish(draft("a", 1), false).unwrap().version, 1);
        assert_eq!(registry.publish(draft("a", 2), false).unwrap().version, 2);
        assert_eq!(state(&registry, "a"), (1, vec![1, 2]));
        registry.publish(draft("a", 3), true).unwrap();
        assert_eq!(state(&registry, "a"), (3, vec![1, 2, 3]));
        registry.set_default(&name("a"), 2, None).unwrap();
        assert_eq!(state(&open(), "a"), (2, vec![1, 2, 3]));
        let missing = registry.set_default(&name("a"), 9, None);
        assert!(matches!(missing, Err(Error::VersionNotFound { version: 9, .. })));
    });
}

#[test]
fn a_number_is_never_given_twice() {
    on_rows(|_, open| {
        let registry = open();
        registry.publish(draft("a", 1), true).unwrap();
        registry.publish(draft("a", 2), true).unwrap();
        registry.remove(&name("a"), 2).unwrap();
        assert_eq!(state(&registry, "a"), (1, vec![1]));
        assert_eq!(open().publish(draft("a", 3), true).unwrap().version, 3);
        assert!(matches!(registry.remove(&name("a"), 2), Err(Error::VersionNotFound { .. })));
    });
}

#[test]
fn programs_that_publish_at_the_same_time_get_numbers_of_their_own() {
    on_all(|_, open| {
        let registries = [open(), open(), open()];
        std::thread::scope(|scope| {
            for (seed, registry) in registries.iter().enumerate() {
                scope.spawn(move || {
                    (0..4).for_each(|i| {
                        registry.publish(draft("a", 10 * seed as u64 + i), true).unwrap();
                    })
                });
            }
        });
        let registry = open();
        assert_eq!(state(&registry, "a").1, (1..=12).collect::<Vec<_>>());
        registry.check(None).unwrap();
        assert!(registry.quarantined().is_empty());
    });
}

#[test]
fn what_another_program_changes_is_seen_by_refreshing() {
    on_rows(|_, open| {
        let (one, other) = (open(), open());
        one.publish(draft("a", 1), true).unwrap();
        one.publish(draft("a", 2), true).unwrap();
        assert_eq!(other.refresh().unwrap(), [name("a")]);
        assert!(other.refresh().unwrap().is_empty());
        let seen = other.get(&name("a")).unwrap();
        one.set_default(&name("a"), 1, Some(seen.revision)).unwrap();
        // Two programs set the default: one of them has not seen the other's change.
        assert!(matches!(other.set_default(&name("a"), 2, Some(seen.revision)), Err(Error::Changed(_))));
        assert_eq!(state(&other, "a").0, 1);
    });
}

#[test]
fn a_publication_that_was_cut_off_is_finished_or_forgotten() {
    on_rows(|folder, open| {
        let registry = open();
        registry.publish(draft("a", 1), true).unwrap();
        registry.publish(draft("a", 2), true).unwrap();
        let home = folder.path().join("models/a");
        // Interrupted between the transaction and the renaming: the folder is still staged.
        let staged = rows::read(registry.shared.rows.as_ref().unwrap()).unwrap();
        let staged = staged.versions.into_iter().find(|row| row.version == 2).unwrap().staged;
        fs::rename(home.join("2"), home.join(staged)).unwrap();
        // Interrupted before the transaction: there is no row.
        fs::create_dir(home.join(".3-0123")).unwrap();
        let registry = open();
        assert_eq!(state(&registry, "a"), (2, vec![1, 2]));
        assert!(registry.quarantined().is_empty() && home.join("2").is_dir());
        registry.read(&"a@2".parse().unwrap()).unwrap();
    });
}

#[derive(Debug)]
struct Refused;

impl Claim for Refused {
    fn settle<'a>(
        &'a self,
        _: &'a mut crate::db::Conn,
        _: &'a Published,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + 'a>> {
        Box::pin(async { Err(Error::Lost("another has it".into())) })
    }
}

#[test]
fn who_lost_the_claim_publishes_nothing() {
    on_rows(|folder, open| {
        let registry = open();
        let lost = registry.with_claim(Arc::new(Refused)).publish(draft("a", 1), true);
        assert!(matches!(lost, Err(Error::Lost(_))));
        assert!(open().list().is_empty());
        assert_eq!(fs::read_dir(folder.path().join("models/a")).unwrap().count(), 0);
    });
}

#[test]
fn folders_put_there_by_hand_are_taken_in_with_their_default() {
    on_rows(|folder, open| {
        let root = folder.path().join("models");
        let by_hand = Registry::open(None, Some(root)).unwrap();
        for seed in 1..=3 {
            by_hand.publish(draft("a", seed), false).unwrap();
        }
        by_hand.set_default(&name("a"), 2, None).unwrap();
        assert_eq!(state(&open(), "a"), (2, vec![1, 2, 3]));
        open().remove(&name("a"), 3).unwrap();
        assert_eq!(open().publish(draft("a", 4), false).unwrap().version, 4);
    });
}

/// Damages a version in several ways; the one before it serves, and the list gives the reason.
#[test]
fn a_spoiled_version_is_quarantined_and_the_one_before_it_serves() {
    let not_a_number = |weights: &mut Vec<u8>| {
        let end = weights.len();
        weights[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    type Spoil<'a> = &'a dyn Fn(&mut Vec<u8>);
    let ways: [(&str, Spoil); 4] = [
        ("bytes", &|w| w.truncate(w.len() - 5)),
        ("SHA-256", &|w| *w.last_mut().unwrap() ^= 1),
        ("SHA-256", &not_a_number),
        ("SHA-256", &|w| w[0] ^= 0xff),
    ];
    on_rows(|folder, open| {
        for (number, (reason, spoil)) in ways.iter().enumerate() {
            let text = format!("m{number}");
            let registry = open();
            registry.publish(draft(&text, 1), true).unwrap();
            registry.publish(draft(&text, 2), true).unwrap();
            let file = folder.path().join(format!("models/{text}/2/model.safetensors"));
            let mut weights = fs::read(&file).unwrap();
            spoil(&mut weights);
            fs::write(&file, weights).unwrap();
            let registry = open();
            registry.check(None).unwrap();
            assert_eq!(state(&registry, &text), (1, vec![1]), "{reason}");
            let summary = registry.get(&name(&text)).unwrap();
            assert!(summary.quarantined[0].1.contains(reason), "{:?}", summary.quarantined);
            let damaged = registry.read(&format!("{text}@2").parse().unwrap());
            assert!(matches!(damaged, Err(Error::Damaged { .. })));
            registry.remove(&name(&text), 2).unwrap();
            assert!(registry.get(&name(&text)).unwrap().quarantined.is_empty());
        }
    });
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_quarantined_and_keeps_nobody_waiting() {
    on_rows(|folder, open| {
        for (number, name) in ["config.json", "model.safetensors"].into_iter().enumerate() {
            let text = format!("p{number}");
            open().publish(draft(&text, 1), true).unwrap();
            open().publish(draft(&text, 2), true).unwrap();
            let file = folder.path().join(format!("models/{text}/2/{name}"));
            fs::remove_file(&file).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
            let registry = open();
            assert_eq!(state(&registry, &text), (1, vec![1]));
            let (_, reason) = &registry.get(&self::name(&text)).unwrap().quarantined[0];
            assert!(reason.contains(name) && reason.contains("no regular file"), "{reason}");
        }
    });
}

#[test]
fn a_version_that_was_put_right_serves_again() {
    on_rows(|folder, open| {
        let registry = open();
        registry.publish(draft("a", 1), true).unwrap();
        let file = folder.path().join("models/a/1/model.safetensors");
        let good = fs::read(&file).unwrap();
        fs::write(&file, vec![0; good.len()]).unwrap();
        registry.check(None).unwrap();
        assert!(registry.list().is_empty() && registry.quarantined().len() == 1);
        fs::write(&file, good).unwrap();
        registry.check(None).unwrap();
        assert_eq!(state(&registry, "a"), (1, vec![1]));
    });
}

#[test]
fn weights_that_do_not_fit_are_not_published() {
    on_all(|_, open| {
        let mut nan = draft("a", 1);
        let end = nan.weights.len();
        nan.weights[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let mut other = draft("a", 1);
        other.model.family = Family::Dense(DenseConfig { features: 5, hidden: vec![], latent: 2 });
        let mut cut = draft("a", 1);
        cut.weights.truncate(30);
        for (bad, reason) in [(nan, "finite"), (other, "shape"), (cut, "model.safetensors")] {
            let error = open().publish(bad, true).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(open().list().is_empty());
    });
}

#[test]
fn a_bundle_can_be_brought_to_another_place() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(None, Some(folder.path().join("models"))).unwrap();
    registry.publish(draft("a", 1), true).unwrap();
    let artifact = registry.read(&"a".parse().unwrap()).unwrap();
    let tar = bundle::write(&artifact, None).unwrap();
    let moved = bundle::read(&tar, Some(name("b"))).unwrap();
    let id = registry.publish(moved, true).unwrap();
    assert_eq!((id.name.as_str(), id.digest), ("b", artifact.id.digest));
    let mut again = bundle::read(&tar, Some(name("b"))).unwrap();
    assert_eq!(registry.find_same(&again), Some(1));
    again.training = serde_json::json!({"steps": 7});
    assert_eq!(registry.find_same(&again), None, "another config makes another version of the same weights");
    again.name = name("c");
    assert_eq!(registry.find_same(&again), None);
}

#[test]
fn a_bundle_with_anything_else_in_it_is_refused_by_name() {
    let tar_of = |path: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        // Written directly, because the library's own checks would reject these paths.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, &[][..]).unwrap();
        tar.into_inner().unwrap()
    };
    for path in ["../config.json", "/config.json", "x/config.json", "evil.sh"] {
        let refused = bundle::read(&tar_of(path, tar::EntryType::Regular), None).unwrap_err().to_string();
        assert!(refused.contains(path), "{refused}");
    }
    assert!(bundle::read(&tar_of("config.json", tar::EntryType::Symlink), None).is_err());
    assert!(bundle::read(b"no tar at all", None).is_err());
}

/// Returns a tiny model of signals.
fn signals(name: &str, channels: usize, rate: Option<f32>) -> Draft {
    let sizes = SignalConfig { widths: [4; 3], ..SignalConfig::for_channels(channels) };
    let model = model::Config { family: Family::Signal(sizes), normalize: Normalize::Sample, rate };
    let weights = Weights::to_train(Default::default(), 1);
    Model::new(&model, weights.builder(&Device::Cpu)).unwrap();
    let tensors: BTreeMap<_, _> =
        weights.vars().into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
    Draft { model, weights: Weights::write(&tensors).unwrap(), ..draft(name, 1) }
}

#[test]
fn a_signal_without_a_model_goes_to_the_bundled_one_for_any_rate() {
    let folder = tempfile::tempdir().unwrap();
    let [bundled, own] = ["bundled", "own"].map(|name| folder.path().join(name));
    let store = Registry::open(None, Some(bundled.clone())).unwrap();
    let shape = |channels| Shape::Signal { channels, length: 500 };
    let chosen = |registry: &Registry, channels| {
        registry.usual_to_denoise(shape(channels)).map(|model| model.name.as_str().to_owned())
    };
    let open = || Registry::open(Some(bundled.clone()), Some(own.clone())).unwrap();

    store.publish(signals("beat", 1, Some(360.0)), false).unwrap();
    assert_eq!(chosen(&open(), 1), Ok("beat".into()));
    assert!(matches!(chosen(&open(), 3), Err(Unsure::Question { fits: false, .. })), "of one rate");
    store.publish(signals("any", 1, None), false).unwrap();
    assert_eq!(chosen(&open(), 1), Ok("any".into()));
    assert_eq!(chosen(&open(), 3), Ok("any".into()), "each channel alone");
    assert!(open().usual(shape(3)).is_err(), "a latent is of one channel");
    // Own models of all channels come first; two of them are a question again.
    open().publish(signals("three", 3, None), false).unwrap();
    assert_eq!((chosen(&open(), 3), chosen(&open(), 1)), (Ok("three".into()), Ok("any".into())));
    open().publish(signals("drei", 3, None), false).unwrap();
    assert!(matches!(chosen(&open(), 3), Err(Unsure::Question { fits: true, .. })));
}

#[test]
fn a_version_whose_commit_was_not_answered_is_published_once() {
    on_rows(|folder, open| {
        let registry = open();
        registry.shared.rows.as_ref().unwrap().faults().lose_next(1);
        assert_eq!(registry.publish(draft("a", 1), true).unwrap().version, 1);
        assert_eq!(state(&open(), "a"), (1, vec![1]));
        registry.read(&"a@1".parse().unwrap()).unwrap();
        // The folder of the version and the file `default`: nothing is staged any more.
        assert_eq!(fs::read_dir(folder.path().join("models/a")).unwrap().count(), 2);
    });
}

#[test]
fn a_version_whose_commit_is_never_answered_is_found_by_others() {
    on_rows(|_, open| {
        let registry = open();
        let db = registry.shared.rows.as_ref().unwrap();
        db.faults().lose_next(1_000_000);
        let unsure = registry.publish(draft("a", 1), true);
        assert!(matches!(unsure, Err(Error::Db(crate::db::Error::Gone(_)))));
        db.faults().lose_next(0);
        let other = open();
        assert_eq!(state(&other, "a"), (1, vec![1]));
        other.read(&"a@1".parse().unwrap()).unwrap();
    });
}

#[test]
fn a_version_whose_files_come_late_is_taken_in_when_they_are_there() {
    on_rows(|folder, open| {
        let (one, other) = (open(), open());
        one.publish(draft("a", 1), true).unwrap();
        one.publish(draft("a", 2), true).unwrap();
        let (place, away) = (folder.path().join("models/a/2"), folder.path().join("away"));
        fs::rename(&place, &away).unwrap();
        other.refresh().unwrap();
        assert_eq!(state(&other, "a"), (1, vec![1]));
        let reference = "a@2".parse().unwrap();
        assert!(matches!(other.resolve(&reference), Err(Error::Awaited(_))));
        // Its folder first, its files later.
        fs::create_dir(&place).unwrap();
        fs::copy(away.join("config.json"), place.join("config.json")).unwrap();
        other.refresh().unwrap();
        assert!(matches!(other.resolve(&reference), Err(Error::Awaited(_))));
        fs::copy(away.join("model.safetensors"), place.join("model.safetensors")).unwrap();
        assert_eq!(other.refresh().unwrap(), [name("a")]);
        assert_eq!(state(&other, "a"), (2, vec![1, 2]));
        other.read(&reference).unwrap();
    });
}

#[test]
fn a_version_whose_files_never_come_can_be_removed() {
    on_rows(|folder, open| {
        open().publish(draft("a", 1), true).unwrap();
        open().publish(draft("a", 2), true).unwrap();
        fs::remove_dir_all(folder.path().join("models/a/2")).unwrap();
        let registry = open();
        registry.remove(&name("a"), 2).unwrap();
        assert_eq!(state(&registry, "a"), (1, vec![1]));
        assert!(registry.quarantined().is_empty());
    });
}

#[test]
fn a_version_removed_by_another_program_is_missing_rather_than_damaged() {
    on_rows(|_, open| {
        let (one, other) = (open(), open());
        one.publish(draft("a", 1), true).unwrap();
        one.publish(draft("a", 2), false).unwrap();
        other.refresh().unwrap();
        one.remove(&name("a"), 2).unwrap();
        let missing = other.read(&"a@2".parse().unwrap());
        assert!(matches!(missing, Err(Error::VersionNotFound { version: 2, .. })), "{missing:?}");
        assert!(other.quarantined().is_empty());
    });
}

#[test]
fn a_bundle_with_large_or_many_headers_is_refused() {
    let entry = |kind: tar::EntryType, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_cksum();
        let mut block = header.as_bytes().to_vec();
        block.resize(512 + size.next_multiple_of(512), b'a');
        block
    };
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let refused = bundle::read(&entry(kind, 1 << 20), None).unwrap_err().to_string();
        assert!(refused.contains("1048576") && refused.contains("65536"), "{refused}");
    }
    let many = entry(tar::EntryType::XGlobalHeader, 8).repeat(65);
    assert!(bundle::read(&many, None).unwrap_err().to_string().contains("64 entries"));
}
