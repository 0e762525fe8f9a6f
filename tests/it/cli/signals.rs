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

#[test]
fn gaps_are_kept_filled_or_refused_and_no_model_learns_from_them() {
    let desk = Desk::new();
    let text = |seed: usize, gap: &str| {
        let sample = wave(seed, 200);
        let line = |t: usize| {
            let (a, b) = (sample.data()[t], sample.data()[200 + t]);
            if (60..70).contains(&t) { format!("{t},{gap},{b}\n") } else { format!("{t},{a},{b}\n") }
        };
        (0..200).map(line).collect::<String>()
    };
    for (i, gap) in ["", "NaN", "-999", ""].into_iter().enumerate() {
        desk.write(&format!("clean/{i}.csv"), text(i, gap));
    }
    desk.write("pulse.json", config());
    let said =
        desk.run("train --training-config pulse.json --samples clean --models models --missing-value -999");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("40 numbers are missing, in 4 sample(s)"), "{}", said.err);
    let said = desk.run("train --training-config pulse.json --samples clean --models other --missing refuse --missing-value -999");
    assert!(said.code != 0 && said.err.contains("not finite"), "{}", said.err);

    desk.write("a.csv", text(9, "NA"));
    let with = "--model pulse --models models";
    desk.ok(&format!("denoise a.csv -o kept.csv {with}"));
    desk.ok(&format!("denoise a.csv -o filled.csv --missing fill {with}"));
    let lines = |name: &str| {
        String::from_utf8(desk.read(name)).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (kept, filled) = (lines("kept.csv"), lines("filled.csv"));
    assert_eq!((kept.len(), filled.len()), (200, 200));
    for (t, (kept, filled)) in kept.iter().zip(&filled).enumerate() {
        let [kept, filled] = [kept, filled].map(|line| line.split(',').collect::<Vec<_>>());
        assert_eq!(kept[0], t.to_string());
        assert_eq!(kept[1] == "NA", (60..70).contains(&t));
        assert!(filled[1].parse::<f32>().unwrap().is_finite() && kept[2] == filled[2]);
    }
    let said = desk.run(&format!("denoise a.csv -o b.csv --missing refuse {with}"));
    assert!(said.code == 1 && said.err.contains("line 61 of the file"), "{}", said.err);
    let said = desk.run(&format!("denoise a.csv -o b.wav --depth 16 {with}"));
    assert!(said.code == 1 && said.err.contains("missing=fill"), "{}", said.err);
}

#[test]
fn a_pipe_of_lines_is_denoised_as_it_arrives() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let desk = desk();
    let sample = wave(9, 3000);
    let line = |t: usize| format!("{};{};{}\n", t * 5, sample.data()[t], sample.data()[3000 + t]);
    let start = |flags: &str| {
        let mut command =
            desk.command(&format!("denoise - --stream --window 500 --model pulse --models models {flags}"));
        command.stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut child = start("");
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut output = BufReader::new(output).lines().map(Result::unwrap);
    input.write_all(b"ms;a;b\n").unwrap();
    (0..2500).for_each(|t| input.write_all(line(t).as_bytes()).unwrap());
    input.flush().unwrap();
    // These come back while the pipe is still open.
    assert_eq!(output.next().unwrap(), "ms;a;b");
    let mut lines: Vec<String> = output.by_ref().take(1000).collect();
    (2500..3000).for_each(|t| input.write_all(line(t).as_bytes()).unwrap());
    drop(input);
    lines.extend(output);
    assert!(child.wait().unwrap().success());
    assert_eq!(lines.len(), 3000);
    assert!(lines.iter().enumerate().all(|(t, line)| line.starts_with(&format!("{};", t * 5))));

    // All at once, with gaps: each line is where it was.
    let mut child = start("");
    let mut input = child.stdin.take().unwrap();
    let text: String = (0..3000)
        .map(|t| if (700..710).contains(&t) { format!("{};;NA\n", t * 5) } else { line(t) })
        .collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let holed: Vec<String> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(out.status.success() && holed.len() == 3000);
    assert!(
        (700..710).all(|t| holed[t] == format!("{};;NA", t * 5)) && holed[710].split(';').nth(1) != Some("")
    );

    let said = desk.run("denoise a.csv -o b.csv --stream --model pulse --models models");
    assert!(said.code == 2 && said.err.contains("standard input"), "{}", said.err);
}

#[test]
fn evaluation_scores_what_denoise_returns() {
    let desk = Desk::new();
    for i in 0..4 {
        desk.write(&format!("clean/{i}.npy"), npy(&[2, 300], wave(i, 300).into_data(), DType::F32));
    }
    desk.write("pulse.json", config().replace("\"steps\":8", "\"steps\":150"));
    desk.ok("train --training-config pulse.json --samples clean --models models --corruption {\"gaussian\":{\"sigma\":0.5}}");
    let clean = wave(9, 400).into_data();
    let noisy = clean.iter().enumerate().map(|(i, v)| v + if i % 3 == 0 { 0.2 } else { -0.1 }).collect();
    desk.write("pairs/noisy/a.npy", npy(&[2, 400], noisy, DType::F32));
    desk.write("pairs/clean/a.npy", npy(&[2, 400], clean.clone(), DType::F32));
    desk.write("served/noisy/.keep", "");
    desk.write("served/clean/a.npy", npy(&[2, 400], clean, DType::F32));
    let with = "--model pulse --models models";
    let mut results = Vec::new();
    for floor in ["", "\"floor\": 0.05,"] {
        let path = "models/pulse/1/config.json";
        let text = String::from_utf8(desk.read(path)).unwrap();
        desk.write(path, text.replacen("\"training\": {", &format!("\"training\": {{{floor}"), 1));
        desk.ok(&format!("denoise pairs/noisy/a.npy -o served/noisy/a.npy {with}"));
        let score = |folder: &str, row: &str| {
            let said = desk.ok(&format!("evaluate {folder} --json --no-baseline {with}"));
            let report: serde_json::Value = serde_json::from_str(&said).unwrap();
            report["noises"][0]["summary"][row]["db"]["mean"].as_f64().unwrap()
        };
        assert_eq!(score("pairs", "full"), score("served", "noisy"), "floor {floor:?}");
        results.push(desk.read("served/noisy/a.npy"));
    }
    assert_ne!(results[0], results[1], "the floor bounds the change");
}

#[test]
fn a_pipe_of_json_lines_gives_the_numbers_of_a_pipe_of_csv() {
    use std::io::Write as _;
    let desk = desk();
    let sample = wave(9, 3000);
    let stats = "--stats 0.1,0.3 --stats -0.1,0.3";
    let through = |flags: &str, text: String| {
        let mut command = desk.command(&format!("denoise - --stream --model pulse --models models {flags}"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // A program that refuses a line reads no more of them.
        let writer = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    };
    let table: String =
        (0..3000).map(|t| format!("{},{}\n", sample.data()[t], sample.data()[3000 + t])).collect();
    let (code, csv, said) = through(stats, table);
    assert_eq!(code, Some(0), "{said}");
    let expected: Vec<Vec<f32>> =
        csv.lines().map(|line| line.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    let chunk = |range: std::ops::Range<usize>| {
        let channels = [0, 3000].map(|at| &sample.data()[at + range.start..at + range.end]);
        format!("{}\n", serde_json::json!({ "data": channels }))
    };
    let chunks = chunk(0..7) + &chunk(7..1000) + "\n" + &chunk(1000..3000);
    let (code, lines, said) = through(stats, chunks);
    assert_eq!(code, Some(0), "{said}");
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["start"], seen.len());
        let channels: [Vec<f32>; 2] = serde_json::from_value(line["data"].clone()).unwrap();
        seen.extend(channels[0].iter().zip(&channels[1]).map(|(a, b)| vec![*a, *b]));
    }
    assert_eq!(seen, expected);

    for (text, reason) in [
        (chunk(0..9) + "{\"data\": [1, 2]}\n", "line 2"),
        (chunk(0..9) + &chunk(9..12) + "{\"data\": [[1], [true]]}\n", "line 3"),
        ("{\"model\": \"pulse\"}\n".to_owned(), "line 1: chunk: expected {\"data\": [...]}"),
        ("1,2\n3\n".to_owned(), "line 2 has 1 field(s)"),
    ] {
        let (code, _, said) = through("", text);
        assert!(code == Some(1) && said.contains(reason), "{reason}: {said}");
    }
    let (code, _, said) = through("--stats 1,0", String::new());
    assert!(code == Some(2) && said.contains("deviation above 0"), "{said}");
}
