//! Signals over HTTP: trained on a table, denoised as WAV, CSV, npy and JSON.

use std::time::{Duration, Instant};

use limpid::codec::{self, Wave};
use limpid::limits::Limits;
use limpid::sample::{Sample, Shape};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::json;

use crate::support::*;

fn value(t: usize) -> f32 {
    0.5 * (0.1 * t as f32).sin()
}

fn table(steps: usize) -> Vec<u8> {
    let rows: Vec<[f32; 1]> = (0..steps).map(|t| [value(t)]).collect();
    codec::write_csv(rows.iter().map(|row| &row[..]))
}

/// The columns of a table.
fn rows(bytes: &[u8]) -> Vec<Vec<f32>> {
    codec::read_csv(bytes, &Limits::default()).unwrap().select(None).unwrap().0
}

#[test]
fn a_signal_model_is_trained_and_serves_every_form_of_signal() {
    let service = Service::that_trains();
    let family =
        json!({"signal": {"widths": [8, 8, 8], "encoder_blocks": [0, 0, 0], "decoder_blocks": [0, 0, 0]}});
    let config = json!({"name": "pulse", "family": family, "steps": 4, "crop": 64, "promote": "always"});
    let mut form =
        Form::new().part("config", Part::text(config.to_string()).mime_str("application/json").unwrap());
    for i in 0..3 {
        form = form.part("samples", Part::bytes(table(200 + i)).file_name(format!("{i}.csv")));
    }
    let job = ok_json(service.request("POST", "/train").multipart(form).send().unwrap());
    let path = format!("/train/{}", job["id"].as_str().unwrap());
    let begun = Instant::now();
    let job = loop {
        let job = ok_json(service.get(&path));
        if ["succeeded", "failed", "cancelled"].contains(&job["status"].as_str().unwrap()) {
            break job;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(job["status"], "succeeded", "{job}");

    let denoise = "/denoise?model=pulse";
    let response = service.post(denoise, "text/csv", table(50));
    assert_eq!((header(&response, "content-type"), header(&response, "x-model")), ("text/csv", "pulse@1"));
    let columns = rows(&ok(response));
    assert_eq!((columns[0].len(), columns.len()), (50, 1));

    let shape = Shape::Signal { channels: 1, length: 50 };
    let signal = Sample::new(shape, (0..50).map(value).collect()).unwrap();
    let wave = Wave { rate: 8000, bits: 16, float: false };
    let response = service.post(denoise, "audio/wav", codec::write_wav(&signal, wave).unwrap());
    assert_eq!(header(&response, "content-type"), "audio/wav");
    let (back, kept) = codec::read_wav(&ok(response), &Limits::default()).unwrap();
    assert_eq!((back.shape(), kept), (shape, wave));

    let (head, numbers) = read_npy(&ok(service.post(denoise, "application/x-npy", npy_floats(&[1, 50]))));
    assert!(head.contains("(1, 50") && numbers.len() == 50, "{head}");
    let body = json!({"data": (0..50).map(value).collect::<Vec<f32>>()});
    assert_eq!(ok_json(service.post_json(denoise, &body))["data"].as_array().unwrap().len(), 50);

    let latent = ok(service.post("/encode?model=pulse", "text/csv", table(50)));
    let response = service.post("/decode?format=csv", "application/vnd.limpid.latent", latent);
    let decoded = rows(&ok(response));
    let strict = ok(service.post("/denoise?model=pulse&mode=strict", "text/csv", table(50)));
    assert_eq!(decoded, rows(&strict));
}
