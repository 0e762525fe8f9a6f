//! `limpid denoise`.

use std::io::Write as _;

use limpid::limits::Limits;

use super::*;

#[test]
fn a_folder_is_denoised_with_its_paths_and_bad_files_are_named() {
    let desk = Desk::new();
    desk.model();
    desk.image("in/a.png", 3, 37, 29);
    desk.image("in/deep/b.tif", 4, 21, 50);
    desk.write("in/deep/cut.png", &image_file("c.png", &image(5, 30, 30))[..60]);
    desk.write("in/notes.txt", "not for us");
    let said = desk.run("denoise in -o out --model tiny --models models -v");
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("in/deep/cut.png: ") && said.err.contains("1 of 3 files failed"),
        "{}",
        said.err
    );
    assert!(said.err.contains("in/a.png -> out/a.png: tiny@1, sigma "), "{}", said.err);
    for (name, height, width) in [("out/a.png", 37, 29), ("out/deep/b.tif", 21, 50)] {
        let picture = codec::read_image(&desk.read(name), None, &Limits::default()).unwrap();
        assert_eq!(picture.sample.shape(), Shape::image(1, height, width));
        assert_eq!(picture.carrier.depth, Depth::U8);
    }
    assert!(!desk.path("out/notes.txt").exists() && !desk.path("out/deep/cut.png").exists());
}

#[test]
fn standard_input_becomes_standard_output() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 2, 24, 24);
    desk.ok("denoise a.png -o b.png --model tiny --models models");
    let mut command = desk.command("denoise - -o - --model tiny --models models");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&desk.read("a.png")).unwrap();
    let said: Said = child.wait_with_output().unwrap().into();
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(said.out, desk.read("b.png"));
}

#[test]
fn an_array_keeps_its_axes_and_its_type() {
    let desk = Desk::new();
    desk.model();
    let stack: Vec<f32> = (0..3).flat_map(|i| image(i, 16, 24).into_data()).collect();
    desk.write("stack.npy", npy(&[3, 16, 24], stack, DType::F32));
    desk.ok("denoise stack.npy -o clean.npy --model tiny --models models");
    let array = codec::read_npy(&desk.read("clean.npy"), &Limits::default()).unwrap();
    assert_eq!((array.dims, array.dtype), (vec![3, 16, 24], DType::F32));
    // Each as if it were alone.
    desk.write("one.npy", npy(&[16, 24], image(1, 16, 24).into_data(), DType::F32));
    desk.ok("denoise one.npy -o one-clean.npy --model tiny --models models");
    let one = codec::read_npy(&desk.read("one-clean.npy"), &Limits::default()).unwrap();
    assert_eq!(array.data[16 * 24..2 * 16 * 24], one.data);
}

#[test]
fn strength_0_gives_the_input_back() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 2, 24, 24);
    desk.ok("denoise a.png -o b.png --strength 0 --model tiny --models models");
    let pixels = |name: &str| codec::read_image(&desk.read(name), None, &Limits::default()).unwrap().sample;
    assert_eq!(pixels("a.png"), pixels("b.png"));
}

#[test]
fn an_input_is_never_replaced_and_a_stated_file_is() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 2, 24, 24);
    let before = desk.read("a.png");
    let said = desk.run("denoise a.png -o a.png --model tiny --models models");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("never replace inputs"), "{}", said.err);
    assert_eq!(desk.read("a.png"), before);
    desk.write("b.png", "old");
    desk.ok("denoise a.png -o b.png --model tiny --models models");
    assert_ne!(desk.read("b.png"), b"old");
}

#[test]
fn mistakes_are_named_in_a_line() {
    let desk = Desk::new();
    desk.model();
    desk.image("a.png", 2, 24, 24);
    for (line, code, hint) in [
        ("denoise a.png", 2, "-o FILE"),
        ("denoise a.png -o b.gif --model tiny --models models", 2, "is no format for samples"),
        (
            "denoise a.png -o b.png --model other --models models",
            1,
            "there is no model other; there are tiny",
        ),
        ("denoise a.png -o b.png --models models", 1, "photo-gray, the usual model"),
        ("denoise a.png -o b.png --model tiny@7 --models models", 1, "no version 7"),
        ("denoise a.png -o b.png --model tiny --models nowhere", 1, "nowhere"),
        ("denoise a.png -o b.png --model tiny --models models --ratio 1e9", 1, "ratio"),
        ("denoise a.png -o b.png --model tiny --models models --strength 2", 2, "strength"),
        ("denoise a.png -o b.png --model tiny --models models --depth float", 1, "ask for tiff or npy"),
        ("denoise none.png -o b.png --model tiny --models models", 1, "none.png: "),
    ] {
        let said = desk.run(line);
        assert_eq!(said.code, code, "{line}: {}", said.err);
        assert!(said.err.contains(hint), "{line}: {}", said.err);
        assert!(!desk.path("b.png").exists(), "{line}");
    }
}
