//! Tests of streams: a signal in pieces gives the numbers of the whole.

use super::outliers::with_gaps;
use super::*;

/// Streams a signal in chunks of these lengths, again and again.
fn streamed(stream: SignalStream, sample: &Sample, lengths: &[usize]) -> (Vec<Vec<f32>>, usize) {
    let (channels, _, length) = sample.shape().extents();
    let known = sample.known();
    let (mut stream, mut all, mut at, mut most) = (stream, vec![Vec::new(); channels], 0, 0);
    let latency = stream.latency();
    let mut add = |piece: Option<Piece>, all: &mut Vec<Vec<f32>>, arrived: usize| {
        let Some(Piece { start, channels }) = piece else { return };
        assert_eq!(start, all[0].len(), "no step is lost or returned twice");
        all.iter_mut().zip(channels).for_each(|(all, own)| all.extend(own));
        most = most.max(arrived.saturating_sub(all[0].len()));
    };
    for count in lengths.iter().cycle() {
        let end = length.min(at + count);
        let chunk: Vec<Vec<f32>> =
            (0..channels).map(|c| known[c * length + at..c * length + end].to_vec()).collect();
        add(stream.push(&chunk).unwrap(), &mut all, end);
        at = end;
        if at == length {
            break;
        }
    }
    add(stream.finish().unwrap(), &mut all, length);
    assert!(most <= latency + lengths.iter().max().unwrap() + 1, "{most} steps late, {latency} stated");
    (all, most)
}

#[test]
fn a_stream_gives_what_the_whole_gives_with_the_same_statistics_bit_for_bit() {
    for (session, channels) in [(signals(1), 1), (signals(2), 2)] {
        let session = std::sync::Arc::new(session);
        let sample = signal(channels, 5003);
        let stats = vec![Stats { mean: 0.45, std: 0.3 }];
        for options in [Options::default(), STRICT, Options { strength: 0.5, ..Options::default() }] {
            let whole = session.denoise_scaled(&sample, &options, &Scale::all(stats[0])).unwrap();
            for lengths in [&[1000][..], &[7, 640, 1, 333], &[5003], &[512]] {
                let new = |stats| SignalStream::new(session.clone(), options, stats, WINDOW, true).unwrap();
                let (parts, _) = streamed(new(Some(stats.clone())), &sample, lengths);
                assert_eq!(parts.concat(), whole, "{channels} channels, chunks of {lengths:?}");
            }
        }
    }
}

#[test]
fn statistics_of_a_stream_are_those_of_its_first_steps_and_stay() {
    let session = std::sync::Arc::new(signals(1));
    let sample = signal(1, 3000);
    let stats = Stats::of(&sample.data()[..700]);
    let own = SignalStream::new(session.clone(), Options::default(), None, 700, true).unwrap();
    let told = SignalStream::new(session.clone(), Options::default(), Some(vec![stats]), 1, true).unwrap();
    assert_eq!(streamed(own, &sample, &[100]).0, streamed(told, &sample, &[999]).0);
    // A signal shorter than the window is the whole: as if it were sent at once.
    let short = signal(1, 300);
    let own = SignalStream::new(session.clone(), Options::default(), None, WINDOW, true).unwrap();
    let whole = session.denoise(&short, &Options::default()).unwrap().sample;
    assert_eq!(streamed(own, &short, &[64]).0[0], whole.data());
}

#[test]
fn gaps_of_a_stream_are_those_of_the_signal() {
    let session = std::sync::Arc::new(signals(2));
    let sample = with_gaps(&signal(2, 4000), |i| {
        i < 3 || (900..1700).contains(&i) || (5500..5503).contains(&i) || i == 7999
    });
    let scale = Scale::all(Stats { mean: 0.5, std: 0.3 });
    let whole = session.denoise_scaled(&sample, &Options::default(), &scale).unwrap();
    for (keeps, lengths) in [(false, &[64][..]), (true, &[1000]), (false, &[4000])] {
        let stream =
            SignalStream::new(session.clone(), Options::default(), Some(scale.stats()), 9, keeps).unwrap();
        let parts = streamed_with_gaps(stream, &sample, lengths).concat();
        for (i, (part, whole)) in parts.iter().zip(&whole).enumerate() {
            let is_missing = sample.missing().unwrap()[i];
            assert!(if keeps && is_missing { part.is_nan() } else { part == whole }, "{i}: {part} {whole}");
        }
    }
    let mut endless = SignalStream::new(session, Options::default(), None, 9, true).unwrap();
    endless.push(&[vec![1.0], vec![2.0]]).unwrap();
    let lost = [vec![f32::NAN; 70_000], vec![0.0; 70_000]];
    assert!(endless.push(&lost).unwrap_err().to_string().contains("lacks its numbers from step 1"));
}

/// [`streamed`] without the latency, which a gap lengthens.
fn streamed_with_gaps(mut stream: SignalStream, sample: &Sample, lengths: &[usize]) -> Vec<Vec<f32>> {
    let (channels, _, length) = sample.shape().extents();
    let (known, mut all) = (sample.known(), vec![Vec::new(); channels]);
    for at in (0..length).step_by(lengths[0]) {
        let end = length.min(at + lengths[0]);
        let chunk: Vec<Vec<f32>> =
            (0..channels).map(|c| known[c * length + at..c * length + end].to_vec()).collect();
        if let Some(piece) = stream.push(&chunk).unwrap() {
            all.iter_mut().zip(piece.channels).for_each(|(all, own)| all.extend(own));
        }
    }
    if let Some(piece) = stream.finish().unwrap() {
        all.iter_mut().zip(piece.channels).for_each(|(all, own)| all.extend(own));
    }
    all
}

#[test]
fn a_stream_is_for_signals_and_their_statistics() {
    let new = |session: Session, stats| {
        SignalStream::new(std::sync::Arc::new(session), Options::default(), stats, WINDOW, true)
    };
    assert!(new(pyramid(1), None).unwrap_err().to_string().contains("only signals"));
    let two = vec![Stats { mean: 0.0, std: 1.0 }; 2];
    assert!(new(signals(1), Some(two)).unwrap_err().to_string().contains("expected 1"));
    assert!(new(signals(1), Some(vec![Stats { mean: 0.0, std: 0.0 }])).is_err());
    let mut stream = new(signals(2), None).unwrap();
    assert!(stream.push(&[vec![1.0]]).is_err() && stream.push(&[vec![1.0], vec![]]).is_err());
}
