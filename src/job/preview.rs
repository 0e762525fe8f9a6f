//! Previews: a held-out sample before and after denoising by the model in training, as JSON of an event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::codec::{self, Carrier, Depth, Format};
use crate::sample::{Kind, Sample};
use crate::train::Preview;

/// Returns `{"step", "noisy", "denoised", "clean"}`: images as PNG in base64, other samples as lists of numbers.
pub(super) fn describe(step: u64, preview: &Preview) -> String {
    let Preview { noisy, denoised, clean } = preview;
    let clean = clean.as_ref().map(show);
    json!({ "step": step, "noisy": show(noisy), "denoised": show(denoised), "clean": clean }).to_string()
}

fn show(sample: &Sample) -> Value {
    if sample.shape().kind() != Kind::Image {
        return json!(sample.data());
    }
    let carrier = Carrier::plain(Format::Png, Depth::U8);
    // Cannot fail for the 1 or 3 channels that image models have.
    codec::write_image(sample, &carrier, Format::Png, None)
        .map_or(Value::Null, |png| STANDARD.encode(png).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    #[test]
    fn images_are_pictures_and_vectors_are_numbers() {
        let image = Sample::new(Shape::image(1, 2, 3), vec![0.5; 6]).unwrap();
        let vector = Sample::new(Shape::Vector { features: 2 }, vec![1.0, 2.0]).unwrap();
        let preview = Preview { noisy: image.clone(), denoised: vector, clean: None };
        let value: Value = serde_json::from_str(&describe(7, &preview)).unwrap();
        let png = STANDARD.decode(value["noisy"].as_str().unwrap()).unwrap();
        assert_eq!(codec::read_image(&png, None, &Default::default()).unwrap().sample.shape(), image.shape());
        assert_eq!(
            (&value["denoised"], &value["clean"], &value["step"]),
            (&json!([1.0, 2.0]), &Value::Null, &json!(7))
        );
    }
}
