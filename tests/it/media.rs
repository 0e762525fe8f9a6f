//! One way in and out: a matrix of files and formats through HTTP and the command line, with the same bytes or the same
//! refusal.

use std::process::Command;

use image::ImageFormat;
use limpid::codec::{self, Carrier, Depth, Format, Wave};
use limpid::sample::{Sample, Shape};

use crate::support::*;

/// A file with the model it is for.
struct Input {
    name: &'static str,
    model: &'static str,
    bytes: Vec<u8>,
}

fn tiff(sample: &Sample, carrier: &Carrier) -> Vec<u8> {
    codec::write_image(sample, carrier, Format::Tiff, None).unwrap()
}

fn inputs() -> Vec<Input> {
    let input = |name, model, bytes| Input { name, model, bytes };
    let numbers: Vec<f32> = (0..24 * 20).map(|i| ((i * 37) % 101) as f32 / 100.0).collect();
    let gray_of = |scale: f32| {
        let data = numbers.iter().map(|v| v * scale).collect();
        Sample::new(Shape::image(1, 20, 24), data).unwrap()
    };
    let float = Carrier::plain(Format::Tiff, Depth::F32);
    let signed = Carrier { numbers: codec::Numbers::I16, ..float.clone() };
    let bit = Carrier { numbers: codec::Numbers::Bit, ..Carrier::plain(Format::Tiff, Depth::U8) };
    let see_through =
        image::RgbaImage::from_fn(24, 20, |x, y| image::Rgba([x as u8, y as u8, 9, (x * 7) as u8]));
    let sound = Sample::new(Shape::Signal { channels: 2, length: 30 }, vec![0.25; 60]).unwrap();
    let row = (0..12).map(|i| format!("0,{i}5")).collect::<Vec<_>>().join(";");
    vec![
        input("gray.png", "photo-gray@1", png(24, 20)),
        input("deep.png", "photo-gray@1", file(&gray(24, 20).into_luma16().into(), ImageFormat::Png)),
        input("opacity.png", "photo-color@1", file(&see_through.into(), ImageFormat::Png)),
        input("color.jpg", "photo-color@1", file(&color(24, 20), ImageFormat::Jpeg)),
        input("color.webp", "photo-color@1", file(&color(24, 20), ImageFormat::WebP)),
        input("gray.pgm", "photo-gray@1", b"P5\n4 3\n255\nabcdefghijkl".to_vec()),
        input("float.tif", "photo-gray@1", tiff(&gray_of(1.0), &float)),
        input("wide.tif", "photo-gray@1", tiff(&gray_of(4095.0), &float)),
        input("signed.tif", "photo-gray@1", tiff(&gray_of(-900.0), &signed)),
        input("bits.tif", "photo-gray@1", tiff(&gray_of(1.0), &bit)),
        input("float.npy", "photo-gray@1", npy_floats(&[20, 24])),
        input("stack.npy", "photo-gray@1", npy_floats(&[2, 20, 24])),
        input("bytes.npy", "photo-gray@1", npy("|u1", &[4, 6], &(0..24).collect::<Vec<u8>>())),
        input("vectors.npy", "table@1", npy_floats(&[3, 12])),
        input(
            "vectors.csv",
            "table@1",
            format!("{}\n{row}\n{row}\n", "a;b;c;d;e;f;g;h;i;j;k;l").into_bytes(),
        ),
        input(
            "sound.wav",
            "table@1",
            codec::write_wav(&sound, Wave { rate: 8000, bits: 16, float: false }).unwrap(),
        ),
        input("cut.png", "photo-gray@1", png(24, 20)[..80].to_vec()),
        input("movie.gif", "photo-gray@1", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
        input("gap.csv", "table@1", b"1,2\n\n3,4\n".to_vec()),
    ]
}

const OUTPUTS: [(&str, &str); 14] = [
    ("", "same"),
    ("png", "same"),
    ("png", "8"),
    ("png", "float"),
    ("jpg", "same"),
    ("jpg", "16"),
    ("tif", "same"),
    ("tif", "16"),
    ("webp", "same"),
    ("pnm", "same"),
    ("npy", "same"),
    ("npy", "8"),
    ("csv", "same"),
    ("wav", "same"),
];

/// What the command says: the file, or the refusal.
fn by_command(folder: &std::path::Path, input: &Input, format: &str, depth: &str) -> Result<Vec<u8>, String> {
    let (from, to) = (folder.join(input.name), folder.join("out/"));
    std::fs::write(&from, &input.bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
    command.args(["denoise", "--threads", "1", "--overwrite", "--model", input.model, "--depth", depth]);
    command.arg("--data-dir").arg(folder).arg("--models").arg(folder.join("models"));
    if !format.is_empty() {
        command.args(["--format", format]);
    }
    let _ = std::fs::remove_dir_all(&to);
    let said = command.arg(&from).arg("-o").arg(&to).output().unwrap();
    if said.status.success() {
        let only = std::fs::read_dir(&to).unwrap().next().unwrap().unwrap();
        return Ok(std::fs::read(only.path()).unwrap());
    }
    Err(String::from_utf8_lossy(&said.stderr).into_owned())
}

#[test]
fn http_and_command_line_agree_on_every_file_and_format() {
    let service = Service::start();
    let desk = tempfile::tempdir().unwrap();
    // The models of the service are the bundled ones of the command.
    let models = std::fs::read_dir(service.folder().join("models")).unwrap();
    assert!(models.count() >= 3);
    std::os::unix::fs::symlink(service.folder().join("models"), desk.path().join("models")).unwrap();
    let mut differences = Vec::new();
    let (mut same, mut refused) = (0, 0);
    for input in inputs() {
        for (format, depth) in OUTPUTS {
            let mut path = format!("/denoise?model={}&depth={depth}", input.model);
            if !format.is_empty() {
                path += &format!("&format={format}");
            }
            let response = service.post(&path, "application/octet-stream", input.bytes.clone());
            let status = response.status();
            let body = response.bytes().unwrap().to_vec();
            let case = format!("{} as {format:?} of depth {depth}", input.name);
            match (status.is_success(), by_command(desk.path(), &input, format, depth)) {
                (true, Ok(bytes)) if bytes == body => same += 1,
                (true, Ok(bytes)) => {
                    differences.push(format!("{case}: {} bytes and {}", body.len(), bytes.len()));
                }
                (false, Err(said)) => {
                    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    let detail = problem["detail"].as_str().unwrap();
                    // Pointers and hints for callers of either face stand around the reason.
                    let reason = detail
                        .split_once(": ")
                        .filter(|(at, _)| at.starts_with('/'))
                        .map_or(detail, |(_, r)| r);
                    let reason = reason.split(';').next().unwrap();
                    match said.contains(reason) {
                        true => refused += 1,
                        false => differences.push(format!("{case}: {detail:?} and {said:?}")),
                    }
                }
                (true, Err(said)) => {
                    differences.push(format!("{case}: HTTP answers, the command says {said:?}"))
                }
                (false, Ok(_)) => {
                    differences.push(format!(
                        "{case}: the command answers, HTTP {}",
                        String::from_utf8_lossy(&body)
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{same} same, {refused} refused alike, but\n{}", differences.join("\n"));
    assert!(same > 60 && refused > 40, "{same} same, {refused} refused alike");
}
