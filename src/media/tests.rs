//! Tests of reading and writing files of samples.

use super::*;
use crate::codec::{self, Depth, Format, Wave};
use crate::limits::Limits;
use crate::sample::{GapRule, Kind, Missing, Sample, Shape, Spec};

fn read_as(bytes: &[u8], spec: Option<&Spec>) -> Result<Content> {
    let format = settle_format(bytes, None)?;
    read(bytes, format, &Reading { spec, ..Reading::default() }, &Limits::default())
}

fn floats(values: &[f32]) -> Content {
    let array = codec::Array { dims: vec![1, values.len()], data: values.to_vec(), dtype: codec::DType::F32 };
    Content::of_array(array, Format::Npy, &Reading::default(), &Limits::default()).unwrap()
}

const ONE: Spec = Spec { kind: Kind::Signal, channels: 1, fixed: None };

#[test]
fn floats_become_16_bits_or_are_refused_with_their_range() {
    let content = floats(&[0.0, 0.25, 1.0]);
    for format in [Format::Png, Format::Pnm] {
        assert_eq!(content.carrier.depth(format, None), Depth::U16);
        let file = content.carrier.write(&content.samples, format, None).unwrap();
        let again = read_as(&file.bytes, None).unwrap();
        assert_eq!(again.samples[0].depth(), Depth::U16);
    }
    let wide = floats(&[-3.0, 0.0, 250.0]);
    let error = wide.carrier.check(&wide.samples, Format::Png, None).unwrap_err();
    assert!(matches!(error, Error::Range { low: -3.0, high: 250.0, most: 255, .. }), "{error}");
    assert!(wide.carrier.check(&wide.samples, Format::Npy, Some(Depth::U8)).is_err());
    assert!(wide.carrier.check(&wide.samples, Format::Tiff, None).is_ok());
    // Overshoot of a result is clipped.
    let over = floats(&[-0.1, 1.1]).samples;
    let file = content.carrier.write(&over, Format::Pnm, None).unwrap();
    assert_eq!(read_as(&file.bytes, None).unwrap().samples[0].data(), [0.0, 1.0]);
}

#[test]
fn channels_of_a_sound_are_samples_and_one_sound_again() {
    let sample = Sample::new(Shape::Signal { channels: 2, length: 2 }, vec![0.5, -0.5, 0.25, 0.0]).unwrap();
    let wave = codec::write_wav(&sample, Wave { rate: 8000, bits: 16, float: false }).unwrap();
    let content = read_as(&wave, Some(&ONE)).unwrap();
    assert_eq!(content.samples.len(), 2);
    let write = |format| content.carrier.write(&content.samples, format, None).unwrap().bytes;
    assert_eq!(write(Format::Wav), wave);
    assert_eq!(write(Format::Csv), b"0.5,0.25\n-0.5,0\n");
    assert_eq!(content.carrier.array(&content.samples, None).unwrap().dims, [2, 2]);
    assert!(matches!(content.carrier.check(&content.samples, Format::Png, None), Err(Error::Kind { .. })));
}

#[test]
fn a_table_is_vectors_or_one_signal() {
    let table = b"a;b\n0,5;1\n0,25;2\n";
    let vectors = read_as(table, None).unwrap();
    assert_eq!(vectors.samples[1].data(), [0.25, 2.0]);
    let signal = read_as(table, Some(&Spec { channels: 2, ..ONE })).unwrap();
    assert_eq!(signal.samples[0].data(), [0.5, 0.25, 1.0, 2.0]);
    let alone = read_as(table, Some(&ONE)).unwrap();
    assert_eq!(alone.samples.len(), 2);
    for content in [vectors, signal, alone] {
        let file = content.carrier.write(&content.samples, Format::Csv, None).unwrap();
        assert_eq!(file.bytes, table);
    }
}

#[test]
fn a_depth_or_a_count_that_a_format_cannot_hold_is_refused() {
    let content = floats(&[0.0, 1.0]);
    let check = |format, depth| content.carrier.check(&content.samples, format, depth);
    assert!(matches!(check(Format::Jpeg, Some(Depth::U16)), Err(Error::Depth { .. })));
    assert!(matches!(check(Format::Png, Some(Depth::F32)), Err(Error::Depth { .. })));
    assert!(check(Format::Tiff, Some(Depth::F32)).is_ok());
    let two = [content.samples[0].clone(), content.samples[0].clone()];
    assert!(matches!(content.carrier.check(&two, Format::Png, None), Err(Error::Several { count: 2, .. })));
}

#[test]
fn bytes_decide_and_words_help_where_they_do_not() {
    assert_eq!(settle_format(b"\x89PNG\r\n\x1a\n", Some(Format::Jpeg)), Ok(Format::Png));
    assert_eq!(settle_format(b"a,b\n1,2\n", None), Ok(Format::Csv));
    assert_eq!(settle_format(b"hello", Some(Format::Csv)), Ok(Format::Csv));
    assert!(settle_format(b"hello", None).is_err());
    assert!(settle_format(b"%PDF-1.7", None).unwrap_err().to_string().contains("PDF"));
}

/// Reads two channels of three steps each, of which the first lacks the second step.
fn with_a_gap(rule: GapRule) -> Result<[Content; 3]> {
    let spec = Spec { channels: 2, ..ONE };
    let reading = Reading { spec: Some(&spec), gaps: rule, order: None };
    let lost = rule.sentinel.unwrap_or(f32::NAN);
    let data = vec![1.0, lost, 3.0, 4.0, 5.0, 6.0];
    let array = codec::Array { dims: vec![2, 3], data: data.clone(), dtype: codec::DType::F32 };
    let table = match rule.sentinel {
        None => "a,b\n1,4\n,5\n3,6\n",
        Some(_) => "a,b\n1,4\n-9999,5\n3,6\n",
    };
    let shape = Shape::Signal { channels: 2, length: 3 };
    let sound = Sample::with_gaps(shape, vec![1.0, f32::NAN, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let wave = codec::write_wav(&sound.ruled(rule), Wave::float(8000))?;
    let file = codec::write_npy(&array, array.dtype)?;
    let read = |bytes: &[u8], format| read(bytes, format, &reading, &Limits::default());
    Ok([read(&file, Format::Npy)?, read(table.as_bytes(), Format::Csv)?, read(&wave, Format::Wav)?])
}

#[test]
fn missing_numbers_are_filled_in_and_stay_missing_or_filled_as_asked() {
    for sentinel in [None, Some(-9999.0)] {
        let kept = with_a_gap(GapRule { missing: Missing::Keep, sentinel }).unwrap();
        let filled = with_a_gap(GapRule { missing: Missing::Fill, sentinel }).unwrap();
        for (kept, filled) in kept.iter().zip(&filled) {
            let sample = &kept.samples[0];
            assert_eq!((sample.data(), sample.missing_count()), (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..], 1));
            let write = |content: &Content, format| {
                content.carrier.write(&content.samples, format, None).unwrap().bytes
            };
            let again = |bytes: &[u8], format| {
                let spec = Spec { channels: 2, ..ONE };
                let gaps = GapRule { sentinel, ..GapRule::default() };
                let reading = Reading { spec: Some(&spec), gaps, order: None };
                read(bytes, format, &reading, &Limits::default()).unwrap().samples
            };
            for format in [Format::Npy, Format::Csv, Format::Wav] {
                assert_eq!(again(&write(kept, format), format)[0].missing(), sample.missing(), "{format}");
                assert_eq!(again(&write(filled, format), format)[0].missing_count(), 0, "{format}");
            }
        }
    }
    let refused = with_a_gap(GapRule { missing: Missing::Refuse, sentinel: None }).unwrap_err();
    assert!(refused.to_string().contains("row 0, column 1"), "{refused}");
}

#[test]
fn whole_numbers_cannot_say_what_is_missing() {
    let [array, table, _] = with_a_gap(GapRule::default()).unwrap();
    for content in [array, table] {
        let check = |format, depth| content.carrier.check(&content.samples, format, depth);
        let error = check(Format::Wav, Some(Depth::U16)).unwrap_err();
        assert!(matches!(error, Error::Gaps { count: 1, .. }), "{error}");
        assert!(check(Format::Wav, None).is_ok() && check(Format::Csv, None).is_ok());
    }
    let image = Sample::with_gaps(Shape::image(1, 1, 3), vec![0.0, f32::NAN, 1.0]).unwrap();
    let carrier = Carrier::Bare(Format::Npy);
    let check = |sample: Sample, format| carrier.check(&[sample], format, None);
    assert!(matches!(check(image.clone(), Format::Png), Err(Error::Gaps { .. })));
    assert!(check(image.clone(), Format::Tiff).is_ok());
    assert!(check(image.ruled(GapRule { missing: Missing::Fill, sentinel: None }), Format::Png).is_ok());
}

#[test]
fn a_signal_with_time_first_comes_back_so_through_a_model_of_one_channel_too() {
    for channels in [1, 2] {
        let spec = Spec { channels, ..ONE };
        let data: Vec<f32> = (0..600).map(|i| i as f32).collect();
        let array = codec::Array { dims: vec![300, 2], data, dtype: codec::DType::F32 };
        let file = codec::write_npy(&array, array.dtype).unwrap();
        let content = read_as(&file, Some(&spec)).unwrap();
        assert_eq!((content.samples.len(), content.samples[0].data()[1]), (2 / channels, 2.0));
        assert_eq!(content.carrier.write(&content.samples, Format::Npy, None).unwrap().bytes, file);
    }
}

/// Gray and colour become bits by their brightness, in each format that has some, and TIFF packs them as Group 4.
#[test]
fn pictures_are_written_as_bits_where_the_format_has_them() {
    // Red and blue are dark, yellow and white are light.
    let color = [[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]];
    let color = Sample::new(Shape::image(3, 1, 4), color.concat()).unwrap();
    let gray = Sample::new(Shape::image(1, 1, 4), vec![0.2, 0.6, 0.4, 1.0]).unwrap();
    for sample in [gray, color] {
        let carrier = |format| codec::Carrier::plain(format, Depth::U8);
        for format in [Format::Png, Format::Tiff, Format::Pnm] {
            let bits = Carrier::Pictures(vec![carrier(Format::Jpeg)]).into_bits(format, 1).unwrap();
            let file = bits.write(std::slice::from_ref(&sample), format, None).unwrap();
            let again = read_as(&file.bytes, None).unwrap();
            assert_eq!(again.samples[0].data(), [0.0, 1.0, 0.0, 1.0], "{format}");
            let Carrier::Pictures(carriers) = &again.carrier else { panic!("{format} is no picture") };
            assert_eq!(carriers[0].numbers, codec::Numbers::Bit, "{format}");
        }
        let refused = |carrier: Carrier, format| matches!(carrier.into_bits(format, 1), Err(Error::Bits(_)));
        assert!(refused(Carrier::Pictures(vec![carrier(Format::Png)]), Format::Jpeg));
        assert!(refused(Carrier::Wave(Wave::float(8_000)), Format::Png));
    }
}
