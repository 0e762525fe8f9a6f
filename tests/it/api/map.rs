//! `GET /models/{name}/{version}/map`.

use limpid::api::keys::Scope;
use limpid::infer::pooled;
use limpid::map::{Entry, Map};
use limpid::name::ModelRef;
use limpid::sample::{Sample, Shape};

use crate::support::*;

const PATH: &str = "/models/table/1/map";

/// Keeps a map of 30 vectors in three groups beside `table@1`.
fn keep(service: &Service) {
    let reference: ModelRef = "table@1".parse().unwrap();
    let registry = service.engine.registry();
    let session = limpid::infer::Session::load(registry.read(&reference).unwrap()).unwrap();
    let vector = |i: usize| {
        let data = (0..12).map(|j| ((i % 3 * 4 + j) % 12) as f32 + (i * 7 + j * 5) as f32 % 11.0 * 0.01);
        Sample::new(Shape::Vector { features: 12 }, data.collect()).unwrap()
    };
    let samples: Vec<Sample> = (0..30).map(vector).collect();
    let entry = |(i, sample): (usize, _)| {
        let latent = pooled(&session.encode(sample, None).unwrap());
        Entry { name: "row", label: Some((i % 3).to_string()), sample, latent }
    };
    let entries: Vec<_> = samples.iter().enumerate().map(entry).collect();
    let (manifest, _) = registry.card(&reference).unwrap();
    let map = Map::build(&entries, manifest.weights.sha256, "rows".into()).unwrap();
    registry.keep_map(&reference, &map).unwrap();
}

#[test]
fn a_kept_map_comes_as_json_svg_or_png() {
    let service = Service::start();
    keep(&service);
    let response = service.get(PATH);
    assert_eq!(header(&response, "content-type"), "application/json");
    let reply = ok_json(response);
    assert_eq!(reply["model"], "table@1");
    let map = &reply["map"];
    // Three numbers in a latent: their components, and those of the vectors.
    assert_eq!(map["projections"][0]["kind"], "latent_pca");
    assert_eq!(map["projections"][1]["kind"], "sample_pca");
    assert_eq!(map["projections"][1]["scores"]["accuracy"], 1.0);
    assert_eq!(map["projections"][0]["places"].as_array().unwrap().len(), 30);
    assert_eq!(
        (&map["points"][4]["label"], map["points"][4]["latent"].as_array().unwrap().len()),
        (&"1".into(), 3)
    );
    assert!(map["thumbnails"].is_null());

    for path in [format!("{PATH}?format=svg"), PATH.to_owned()] {
        let svg = service.request("GET", &path).header("accept", "image/svg+xml").send().unwrap();
        assert_eq!(header(&svg, "content-type"), "image/svg+xml");
        assert!(header(&svg, "content-security-policy").starts_with("default-src 'none'"));
        let svg = String::from_utf8(ok(svg)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.matches("<circle").count() == 60, "{svg}");
    }
    let png = service.request("GET", PATH).header("accept", "image/png, */*;q=0.1").send().unwrap();
    assert_eq!(read(&ok(png), image::ImageFormat::Png).width(), 1032);
}

#[test]
fn a_version_without_a_map_and_what_cannot_be_written_are_refused() {
    let service = Service::start();
    let problem = refused(service.get(PATH), "not_found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("limpid train --map") && detail.contains("limpid map NAME"), "{detail}");
    keep(&service);
    refused(service.get("/models/table/9/map"), "version_not_found");
    refused(service.get("/models/nowhere/1/map"), "model_not_found");
    assert_eq!(pointers(&refused(service.get(&format!("{PATH}?format=gif")), "invalid_input")), ["/format"]);
    refused(service.get(&format!("{PATH}?at=1")), "invalid_input");
    let gif = service.request("GET", PATH).header("accept", "image/gif").send().unwrap();
    refused(gif, "not_acceptable");
}

#[test]
fn a_map_goes_with_its_version_and_a_key_that_may_not_see_the_model_sees_no_map() {
    let keys =
        vec![("reader", vec![Scope::Infer]), ("trainer", vec![Scope::Train]), ("admin", vec![Scope::Admin])];
    let service = Service::with(Setup { keys, ..Setup::default() });
    keep(&service);
    let get = |path: &str, key: usize| {
        service.request("GET", path).header("x-api-key", &service.keys[key]).send().unwrap()
    };
    ok(get(PATH, 0));
    refused(get(PATH, 1), "model_not_found");
    refused(service.get(PATH), "unauthorized");

    let there = Service::start();
    let tar = ok(get("/models/table/1/artifact", 0));
    ok(there.post("/models?name=moved", "application/x-tar", tar));
    let (here, there) = (ok_json(get(PATH, 0)), ok_json(there.get("/models/moved/1/map")));
    assert_eq!(here["map"], there["map"]);
}
