//! Tests of reading and writing files of samples.

use super::*;
use crate::codec::{self, Depth, Format, Wave};
use crate::limits::Limits;
use crate::sample::{Kind, Sample, Shape, Spec};

fn read_as(bytes: &[u8], spec: Option<&Spec>) -> Result<Content> {
    let format = settle_format(bytes, None)?;
    read(bytes, format, spec, &Limits::default())
}

fn floats(values: &[f32]) -> Content {
    let array = codec::Array { dims: vec![1, values.len()], data: values.to_vec(), dtype: codec::DType::F32 };
    Content::of_array(array, Format::Npy, None, &Limits::default()).unwrap()
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
