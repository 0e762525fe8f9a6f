//! Uploads: streamed to the disk, looked into, and refused by name.

use std::fs;

use reqwest::blocking::multipart::{Form, Part};
use serde_json::json;

use super::train::table;
use crate::support::*;

fn send(service: &Service, files: Vec<(&str, Vec<u8>)>) -> reqwest::blocking::Response {
    let form = Form::new().text("config", json!({"name": "x", "family": "dense", "steps": 5}).to_string());
    let part = |form: Form, (name, bytes): (&str, Vec<u8>)| {
        form.part("samples", Part::bytes(bytes).file_name(name.to_owned()))
    };
    service.request("POST", "/train").multipart(files.into_iter().fold(form, part)).send().unwrap()
}

fn tar(path: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, content).unwrap();
    tar.into_inner().unwrap()
}

fn stored(service: &Service) -> usize {
    fs::read_dir(service.folder().join("samples")).unwrap().count()
}

#[test]
fn what_was_sent_lies_on_the_disk_once_by_its_content() {
    let service = Service::start();
    let rows = table(50).into_bytes();
    let job = ok_json(send(&service, vec![("a.csv", rows.clone()), ("b.csv", rows.clone())]));
    ok_json(send(&service, vec![("c.csv", rows.clone())]));
    assert_eq!((stored(&service), &job["status"]), (1, &json!("queued")));
    let file = fs::read_dir(service.folder().join("samples")).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), rows);
}

#[test]
fn archives_that_leave_their_place_are_refused_by_name_before_there_is_a_job() {
    let service = Service::start();
    for (path, kind, content) in [
        ("../../evil.csv", tar::EntryType::Regular, &b"1"[..]),
        ("/etc/evil.csv", tar::EntryType::Regular, b"1"),
        ("evil.csv", tar::EntryType::Symlink, b""),
        ("inner.tar", tar::EntryType::Regular, &tar("a.csv", tar::EntryType::Regular, b"1")),
    ] {
        let problem = refused(
            send(&service, vec![("good.csv", b"1,2".to_vec()), ("set.tar", tar(path, kind, content))]),
            "invalid_input",
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("set.tar") && detail.contains(path), "{detail}");
        assert_eq!(pointers(&problem), ["/samples/1"]);
    }
    assert_eq!(ok_json(service.get("/train"))["jobs"], json!([]));
}

#[test]
fn an_upload_that_breaks_off_or_is_refused_leaves_no_part_behind() {
    let mut setup = Setup::default();
    // What is beyond it is small enough to be heard out, so that the answer is seen.
    setup.limits.upload_bytes = 600_000;
    let service = Service::with(setup);
    refused(send(&service, vec![("a.csv", vec![b'1'; 1_000_000])]), "payload_too_large");
    // Without a stated length, so that the limit is met on the way.
    let body = reqwest::blocking::Body::new(std::io::Read::chain(
        &b"--x\r\ncontent-disposition: form-data; name=\"samples\"; filename=\"a.csv\"\r\n\r\n"[..],
        std::io::Read::take(std::io::repeat(b'1'), 1_000_000),
    ));
    let request = service.request("POST", "/train").header("content-type", "multipart/form-data; boundary=x");
    refused(request.body(body).send().unwrap(), "payload_too_large");
    let begun = std::time::Instant::now();
    while stored(&service) > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "a part stayed behind");
    }
}

#[test]
fn a_config_that_cannot_be_trained_is_refused_before_its_samples_are_taken() {
    let service = Service::start();
    let form = Form::new()
        .text("config", json!({"name": "x", "base": "nowhere"}).to_string())
        .part("samples", Part::bytes(vec![b'1'; 1 << 19]).file_name("a.csv"));
    refused(service.request("POST", "/train").multipart(form).send().unwrap(), "model_not_found");
    assert_eq!(stored(&service), 0);
}
