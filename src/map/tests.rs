//! Tests of maps.

use super::*;
use crate::sample::Shape;

/// Small images whose values are those of the test of trustworthiness in `quality`, without ties.
fn samples() -> Vec<Sample> {
    let number =
        |i: usize, j: usize| ((i * i * 37 + i * j * j * 91 + j * 57 + i * 13) % 1009) as f32 / 1009.0;
    let image = |i| Sample::new(Shape::image(1, 2, 3), (0..6).map(|j| number(i, j)).collect()).unwrap();
    (0..40).map(image).collect()
}

fn place(x: &[f32]) -> Vec<f32> {
    vec![x[0] + 0.3 * x[2] * x[4], x[1] - 0.2 * x[3]]
}

fn entries(samples: &[Sample]) -> Vec<Entry<'_>> {
    let entry = |sample| {
        let data = Sample::data(sample);
        Entry { name: "a/<b>", label: Some(u8::from(data[0] > 0.5).to_string()), sample, latent: place(data) }
    };
    samples.iter().map(entry).collect()
}

fn built() -> Map {
    Map::build(&entries(&samples()), "ab".into(), "waves".into()).unwrap()
}

#[test]
fn a_plane_and_principal_components_have_the_scores_of_scikit_learn() {
    let map = built();
    let near =
        |seen: Option<f64>, right: f64| assert!((seen.unwrap() - right).abs() < 1e-3, "{seen:?}, {right}");
    assert_eq!((map.neighbors, map.reference), (10, Reference::Samples));
    let [plane, linear] = map.projections() else { panic!("{:?}", map.projections()) };
    assert_eq!((plane.kind, linear.kind), (ProjectionKind::Latent, ProjectionKind::SamplePca));
    // sklearn.manifold.trustworthiness with 10 neighbours of the plane and of sklearn.decomposition.PCA(2), both ways;
    // leave-one-out 10-NN.
    near(plane.scores.trustworthiness, 0.711122);
    near(plane.scores.continuity, 0.772449);
    near(plane.scores.accuracy, 0.925);
    near(linear.scores.trustworthiness, 0.806327);
    near(linear.scores.continuity, 0.866429);
    near(linear.scores.accuracy, 0.675);
    // The first point, up to the sign of each axis.
    assert!((linear.places[0][0].abs() - 0.578765).abs() < 1e-3, "{:?}", linear.places[0]);
    assert!((linear.places[0][1].abs() - 0.411024).abs() < 1e-3, "{:?}", linear.places[0]);
}

#[test]
fn longer_latents_are_shown_by_their_components_and_mixed_sizes_are_compared_by_latents() {
    let mut samples = samples();
    samples[3] = Sample::new(Shape::image(1, 3, 2), samples[3].data().to_vec()).unwrap();
    let long = |mut entry: Entry<'_>| {
        entry.latent = entry.sample.data().to_vec();
        Entry { name: "x", label: None, sample: &samples[0], latent: entry.latent }
    };
    let mut all: Vec<Entry<'_>> = entries(&samples).into_iter().map(long).collect();
    all[3].sample = &samples[3];
    let map = Map::build(&all, "ab".into(), String::new()).unwrap();
    let [plane] = map.projections() else { panic!("{:?}", map.projections()) };
    assert_eq!((plane.kind, map.reference), (ProjectionKind::LatentPca, Reference::Latents));
    assert!((plane.scores.trustworthiness.unwrap() - 0.806327).abs() < 1e-3);
    assert_eq!(plane.scores.accuracy, None);
}

#[test]
fn what_makes_no_map_is_refused_with_the_reason() {
    let samples = samples();
    let build = |entries: &[Entry<'_>]| Map::build(entries, "ab".into(), String::new()).map(|_| ());
    assert!(build(&entries(&samples[..2])).unwrap_err().contains("3 samples or more, got 2"));
    let same: Vec<Sample> = (0..5).map(|_| samples[0].clone()).collect();
    assert!(build(&entries(&same)).unwrap_err().contains("all 5 samples are the same"));
    let mut uneven = entries(&samples);
    uneven[7].latent.push(0.0);
    assert!(build(&uneven).unwrap_err().contains("3 numbers beside others of 2"));
    let many: Vec<Entry<'_>> = (0..26).flat_map(|_| entries(&samples)).collect();
    assert!(build(&many).unwrap_err().contains("takes 1000 samples, got 1040"));
    assert!(build(&entries(&samples[..3])).is_ok());
}

#[test]
fn constant_images_with_latents_that_differ_are_compared_by_their_latents() {
    let samples: Vec<Sample> =
        (0..4).map(|_| Sample::new(Shape::image(1, 1, 2), vec![0.5; 2]).unwrap()).collect();
    let entry = |(i, sample)| Entry { name: "a", label: None, sample, latent: vec![i as f32, 0.0, 0.0] };
    let entries: Vec<Entry<'_>> = samples.iter().enumerate().map(entry).collect();
    let map = Map::build(&entries, "ab".into(), String::new()).unwrap();
    assert_eq!(map.reference, Reference::Latents);
    assert_eq!(map.projections()[0].scores.trustworthiness, Some(1.0));
}

#[test]
fn a_file_is_read_back_and_a_damaged_one_or_one_of_other_weights_is_refused() {
    let map = built();
    let bytes = map.write();
    assert_eq!(Map::parse(&bytes, "ab").unwrap(), map);
    assert!(Map::parse(&bytes, "cd").unwrap_err().contains("SHA-256 ab"));
    assert!(Map::parse(&bytes[..bytes.len() / 2], "ab").is_err());
    let with = |change: &dyn Fn(&mut Map)| {
        let mut map = map.clone();
        change(&mut map);
        Map::parse(&map.write(), "ab").unwrap_err()
    };
    assert!(with(&|map| map.format = 2).contains("format 2"));
    assert!(with(&|map| map.projections[0].places.truncate(39)).contains("40 points"));
    assert!(with(&|map| map.projections = vec![map.projections[0].clone(); 5]).contains("5 planes"));
    assert!(with(&|map| map.projections.clear()).contains("40 points"));
    assert!(with(&|map| map.thumbnails.as_mut().unwrap().columns = usize::MAX).contains("thumbnails"));
    assert!(with(&|map| map.thumbnails.as_mut().unwrap().width = 31).contains("sheet"));
    assert!(with(&|map| map.thumbnails.as_mut().unwrap().png = "AAAA".into()).contains("thumbnails"));
}

#[test]
fn drawings_hold_every_point_and_escape_names() {
    let map = built();
    let svg = map.svg("m@1 & <x>");
    assert!(svg.contains("m@1 &amp; &lt;x&gt;") && svg.contains("a/&lt;b&gt;: 1") && !svg.contains("<b>"));
    // Each point of both planes is a dot or a thumbnail.
    assert_eq!(svg.matches("<circle").count() + svg.matches("<use").count(), 80);
    assert!(svg.contains("10-NN accuracy 0.925, trustworthiness 0.711, continuity 0.772"), "{svg}");
    let png = crate::codec::read_image(&map.png().unwrap(), None, &Default::default()).unwrap();
    assert_eq!(png.sample.shape(), Shape::image(3, 528, 1032));
    assert_eq!((svg, map.png()), (map.svg("m@1 & <x>"), map.png()));
}

#[test]
fn thumbnails_keep_small_images_reduce_large_ones_and_draw_signals() {
    let sheet = |samples: &[Sample]| Thumbnails::draw(samples.iter()).unwrap();
    let ramp = |width: usize| {
        Sample::new(Shape::image(1, 1, width), (0..width).map(|v| v as f32 / 255.0).collect()).unwrap()
    };
    let small = sheet(&[ramp(20), ramp(20)]).unwrap();
    assert_eq!((small.width, small.height), (20, 1));
    assert_eq!(small.sheet().unwrap().data()[20..], *ramp(20).data());
    let large = sheet(&[ramp(64)]).unwrap();
    assert_eq!((large.width, large.height), (32, 1));
    // Mean of the last two pixels, 62 and 63, rounded half away from zero.
    assert_eq!(large.sheet().unwrap().data()[31], 63.0 / 255.0);
    let signal = Sample::new(Shape::Signal { channels: 1, length: 64 }, (0..64).map(|v| v as f32).collect());
    let drawn = sheet(&[signal.unwrap()]).unwrap().sheet().unwrap();
    // From the lower left to the upper right.
    assert_eq!((drawn.data()[31 * 32], drawn.data()[31], drawn.data()[0]), (0.0, 0.0, 1.0));
    assert_eq!(sheet(&[Sample::new(Shape::Vector { features: 2 }, vec![0.0; 2]).unwrap()]), None);
}

#[test]
fn samples_of_a_map_are_spread_within_the_budget() {
    let items: Vec<usize> = (0..5000).collect();
    assert_eq!(Map::choose(&items, usize::MAX, |_| 1).len(), 1000);
    let few = Map::choose(&items, 100, |_| 10);
    assert_eq!(few, (0..10).map(|i| &items[i * 500]).collect::<Vec<_>>());
    assert_eq!(Map::choose(&items[..2], 100, |_| 10).len(), 2);
    assert_eq!(Map::choose(&items, 1, |_| 10).len(), 3);
}
