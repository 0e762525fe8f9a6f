//! Tiny untrained models: real artifacts whose numbers are drawn from a seed.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use limpid::nn::Weights;
use limpid::nn::model::{Config, DenseConfig, Family, Model, Normalize, PyramidConfig};
use limpid::registry::{Draft, Registry};

/// `photo-gray` in two versions (1 serves), `photo-color`, and `table` for vectors of 12.
pub fn publish_all(registry: &Registry) {
    publish(registry, "photo-gray", pyramid(1), 1);
    publish(registry, "photo-gray", pyramid(1), 2);
    publish(registry, "photo-color", pyramid(3), 3);
    let table =
        Config { family: Family::Dense(DenseConfig::new(12, 3)), normalize: Normalize::Sample, rate: None };
    publish(registry, "table", table, 4);
}

fn pyramid(channels: usize) -> Config {
    let sizes = PyramidConfig {
        widths: [4, 4, 4],
        encoder_blocks: [1, 0, 0],
        decoder_blocks: [1, 0, 0],
        ..PyramidConfig::for_channels(channels)
    };
    Config { family: Family::Pyramid(sizes), normalize: Normalize::Sample, rate: None }
}

fn publish(registry: &Registry, name: &str, model: Config, seed: u64) {
    let drawn = Weights::to_train(HashMap::new(), seed);
    Model::new(&model, drawn.builder(&Device::Cpu)).expect("a network");
    let tensors: BTreeMap<String, Tensor> =
        drawn.vars().into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
    let draft = Draft {
        name: name.parse().unwrap(),
        model,
        weights: Weights::write(&tensors).expect("weights"),
        training: serde_json::json!({"seed": seed}),
        scores: serde_json::json!({}),
        familiarity: None,
        prediction: None,
        kept_back: None,
        compared_with: None,
        map: None,
        card: format!("# {name} {{version}}\n\nUntrained, for tests."),
    };
    registry.publish(draft, false).expect("a version");
}
