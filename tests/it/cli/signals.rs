//! Signals through every command: WAV, CSV and npy.

use limpid::codec::Wave;
use limpid::limits::Limits;

use super::*;

/// Two channels of a wave.
fn wave(seed: usize, length: usize) -> Sample {
    let value = |i: usize| {
        let (channel, t) = (i / length, (i % length) as f32);
        0.4 * (t * (0.05 + 0.01 * channel as f32) + seed as f32).sin()
    };
    Sample::new(Shape::Signal { channels: 2, length }, (0..2 * length).map(value).collect()).unwrap()
}

fn config() -> String {
    let family = serde_json::json!({ "signal": {
        "channels": 2, "widths": [8, 8, 8], "encoder_blocks": [0, 0, 0], "decoder_blocks": [0, 0, 0],
        "refiner_blocks": 0, "latent": [2, 2, 4],
    }});
    serde_json::json!({ "name": "pulse", "steps": 8, "batch": 4, "crop": 64, "family": family, "promote": "always" })
        .to_string()
}

const WAVE: Wave = Wave { rate: 8000, bits: 16, float: false };

/// A model of signals, trained on WAV files, a table and an array.
fn desk() -> Desk {
    let desk = Desk::new();
    for i in 0..4 {
        desk.write(&format!("clean/{i}.wav"), codec::write_wav(&wave(i, 300 + i), WAVE).unwrap());
    }
    let steps: Vec<[f32; 2]> = (0..200).map(|t| [0, 1].map(|c| wave(5, 200).data()[200 * c + t])).collect();
    desk.write("clean/5.csv", codec::write_csv(steps.iter().map(|step| &step[..])));
    desk.write("clean/6.npy", npy(&[2, 100], wave(6, 100).into_data(), DType::F32));
    desk.write("pulse.json", config());
    let said = desk.run("train --training-config pulse.json --samples clean --models models");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("6 signals of 2 channel(s)"), "{}", said.err);
    desk
}

#[test]
fn a_signal_comes_back_as_it_came_and_its_latent_alone_is_the_strict_result() {
    let desk = desk();
    let steps: Vec<[f32; 2]> = (0..77).map(|t| [0, 1].map(|c| wave(9, 77).data()[77 * c + t])).collect();
    desk.write("a.csv", codec::write_csv(steps.iter().map(|step| &step[..])));
    desk.write("a.wav", codec::write_wav(&wave(9, 77), WAVE).unwrap());
    desk.write("a.npy", npy(&[2, 77], wave(9, 77).into_data(), DType::F32));
    let with = "--model pulse --models models";
    for kind in ["csv", "npy", "wav"] {
        desk.ok(&format!("denoise a.{kind} -o strict.{kind} --mode strict {with}"));
        desk.ok(&format!("denoise a.{kind} -o strict.npy --mode strict --depth float {with}"));
        desk.ok(&format!("encode a.{kind} -o a.latent {with}"));
        desk.ok("decode a.latent -o back.npy --models models");
        assert_eq!(desk.read("back.npy"), desk.read("strict.npy"), "{kind}");
    }
    let (sample, wave) = codec::read_wav(&desk.read("strict.wav"), &Limits::default()).unwrap();
    assert_eq!((sample.shape(), wave), (Shape::Signal { channels: 2, length: 77 }, WAVE));
    let rows = codec::read_csv(&desk.read("strict.csv"), &Limits::default()).unwrap().select(None).unwrap().0;
    assert_eq!((rows[0].len(), rows.len()), (77, 2));
    desk.ok("decode a.latent -o back.wav --models models");
    desk.ok("decode a.latent -o back.csv --models models");
    let (float, _) = codec::read_wav(&desk.read("back.wav"), &Limits::default()).unwrap();
    assert_eq!(float.shape(), sample.shape());
}

#[test]
fn another_count_of_channels_is_refused_by_name() {
    let desk = desk();
    let mono = Sample::new(Shape::Signal { channels: 1, length: 50 }, vec![0.25; 50]).unwrap();
    desk.write("mono.wav", codec::write_wav(&mono, WAVE).unwrap());
    let said = desk.run("denoise mono.wav -o b.wav --model pulse --models models");
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("takes signals of any size with 2 channel(s), got signal of length 50"),
        "{}",
        said.err
    );
}
