//! `limpid encode` and `limpid decode`, each in a process of its own.

use serde_json::Value;

use super::*;

#[test]
fn decoding_an_encoded_sample_is_strict_denoising_bit_for_bit() {
    let desk = Desk::new();
    desk.model();
    for (name, height, width) in [("even.png", 64, 48), ("odd.png", 37, 29)] {
        desk.image(name, 5, height, width);
        let models = "--models models";
        desk.ok(&format!("denoise {name} -o strict.npy --mode strict --depth float --model tiny {models}"));
        desk.ok(&format!("encode {name} -o a.latent --model tiny {models}"));
        desk.ok(&format!("decode a.latent -o a.npy {models}"));
        desk.ok(&format!("encode {name} -o a.json --json --model tiny {models}"));
        desk.ok(&format!("decode a.json -o b.npy {models}"));
        assert_eq!(desk.read("strict.npy"), desk.read("a.npy"), "{name}");
        assert_eq!(desk.read("strict.npy"), desk.read("b.npy"), "{name}");
    }
}

#[test]
fn a_smaller_ratio_gives_a_smaller_file() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 5, 64, 64);
    desk.ok("encode a.png -o whole.latent --model tiny --models models");
    desk.ok("encode a.png -o part.latent --ratio 8 --model tiny --models models");
    assert!(desk.read("part.latent").len() * 3 < desk.read("whole.latent").len());
    desk.ok("decode part.latent -o part.png --models models");
}

#[test]
fn folders_of_latents_go_back_to_images() {
    let desk = Desk::new();
    desk.model();
    desk.image("in/a.png", 1, 24, 24);
    desk.image("in/b/c.png", 2, 24, 24);
    desk.ok("encode in -o latents --model tiny --models models");
    assert!(desk.path("latents/a.latent").exists());
    desk.ok("decode latents -o out --models models");
    desk.ok("denoise in -o strict --mode strict --model tiny --models models");
    for name in ["a.png", "b/c.png"] {
        assert_eq!(desk.read(&format!("out/{name}")), desk.read(&format!("strict/{name}")), "{name}");
    }
}

#[test]
fn several_samples_are_a_list_of_json() {
    let desk = Desk::new();
    desk.model();
    let stack: Vec<f32> = (0..3).flat_map(|i| image(i, 16, 24).into_data()).collect();
    desk.write("stack.npy", npy(&[3, 16, 24], stack, DType::F32));
    desk.ok("encode stack.npy -o latents.json --json --model tiny --models models");
    let list: Value = serde_json::from_slice(&desk.read("latents.json")).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    desk.ok("decode latents.json -o back.npy --models models");
    desk.ok("denoise stack.npy -o strict.npy --mode strict --model tiny --models models");
    assert_eq!(desk.read("back.npy"), desk.read("strict.npy"));
    let said = desk.run("encode stack.npy -o latents.latent --model tiny --models models");
    assert!(said.code == 1 && said.err.contains("--json"), "{}", said.err);
}

#[test]
fn a_latent_of_another_model_version_or_weights_is_refused() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 1, 24, 24);
    desk.ok("encode a.png -o a.latent --model tiny --models models");
    // The same name and version elsewhere, with other weights.
    desk.write("other.json", tiny("tiny", 3));
    desk.ok("train --training-config other.json --samples clean --models others");
    desk.ok("train --training-config other.json --samples clean --models models");
    for (line, hint) in [
        ("decode a.latent -o b.png --models others", "with weights"),
        ("decode a.latent -o b.png --model tiny@2 --models models", "was made by tiny@1, not by tiny@2"),
    ] {
        let said = desk.run(line);
        assert_eq!(said.code, 1);
        assert!(said.err.contains(hint), "{line}: {}", said.err);
    }
    // The version that serves is another by now; the latent still finds its own.
    desk.ok("decode a.latent -o b.png --models models");
}

#[test]
fn a_damaged_latent_is_named() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 1, 24, 24);
    desk.ok("encode a.png -o a.latent --model tiny --models models");
    let mut bytes = desk.read("a.latent");
    bytes[200] ^= 1;
    desk.write("bad.latent", bytes);
    desk.write("bad.json", "[1]");
    for bad in ["bad.latent", "bad.json"] {
        let said = desk.run(&format!("decode {bad} -o b.png --models models"));
        assert_eq!(said.code, 1);
        assert!(said.err.starts_with(&format!("{bad}: ")), "{}", said.err);
    }
}
