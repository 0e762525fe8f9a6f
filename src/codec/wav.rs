//! WAV files: signals of one or more channels, with the sample rate and depth that the result keeps.

use std::borrow::Cow;
use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::{Error, Result, within};
use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// Format of a WAV file: sample rate and number type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wave {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Bits per number: 8, 16, 24 or 32.
    pub bits: u16,
    /// `true` if the numbers are 32-bit floats.
    pub float: bool,
}

impl Wave {
    /// 32-bit floats at `rate`, for signals of which only the rate is known.
    pub fn float(rate: u32) -> Self {
        Self { rate, bits: 32, float: true }
    }
}

/// Decodes a WAV file to a signal `(C, L)`: integers are scaled to [-1, 1), floats are unchanged. A file written
/// through a pipe, which does not have its final length in the header, is read to its end. Floats that are not finite are
/// missing.
///
/// # Errors
/// [`Error::Malformed`] if it is neither PCM nor float, truncated or empty; [`Error::TooLarge`] over `array_numbers`;
/// [`Error::AllMissing`].
pub fn read_wav(bytes: &[u8], limits: &Limits) -> Result<(Sample, Wave)> {
    let fault = |e: hound::Error| Error::malformed("wav", e);
    let whole = settle(bytes);
    let mut reader = WavReader::new(&*whole).map_err(fault)?;
    let (spec, length) = (reader.spec(), reader.duration() as usize);
    if !is_rate(spec) {
        return Err(Error::malformed("wav", format!("a sampling rate of {} Hz", spec.sample_rate)));
    }
    let shape = Shape::Signal { channels: spec.channels.into(), length };
    within("array numbers", shape.numbers(), limits.array_numbers)?;
    let wave = Wave {
        rate: spec.sample_rate,
        bits: spec.bits_per_sample,
        float: spec.sample_format == SampleFormat::Float,
    };
    // No capacity is reserved, because the length in the header is untrusted.
    let mut interleaved: Vec<f32> = Vec::new();
    if wave.float {
        for value in reader.samples::<f32>() {
            interleaved.push(value.map_err(fault)?);
        }
    } else {
        let full = full_scale(wave.bits);
        for value in reader.samples::<i32>() {
            interleaved.push((f64::from(value.map_err(fault)?) / full) as f32);
        }
    }
    let channel = |c: usize| interleaved.iter().skip(c).step_by(shape.channels()).copied();
    let data = (0..shape.channels()).flat_map(channel).collect();
    Ok((Sample::with_gaps(shape, data)?.with_rate(Some(wave.rate as f32)), wave))
}

/// Returns `true` if a header can state the sampling rate: it states the bytes per second too, in 32 bits.
fn is_rate(spec: WavSpec) -> bool {
    let frame = u64::from(spec.bits_per_sample).div_ceil(8) * u64::from(spec.channels);
    (1..=u64::from(u32::MAX)).contains(&(u64::from(spec.sample_rate) * frame))
}

/// Encodes a signal as a WAV file. Numbers outside [-1, 1) are clipped if the file holds integers.
///
/// # Errors
/// [`Error::Shape`] if the sample is not a signal; [`Error::Unsupported`] for a depth, a number of channels or a sampling rate that
/// WAV does not support.
pub fn write_wav(sample: &Sample, wave: Wave) -> Result<Vec<u8>> {
    let Shape::Signal { channels, length } = sample.shape() else {
        return Err(Error::shape("a signal for a WAV file", sample.shape()));
    };
    let count = u16::try_from(channels);
    let count =
        count.map_err(|_| Error::unsupported(format!("WAV holds no {channels} channels; use npy")))?;
    let sample_format = if wave.float { SampleFormat::Float } else { SampleFormat::Int };
    let spec = WavSpec { channels: count, sample_rate: wave.rate, bits_per_sample: wave.bits, sample_format };
    if !is_rate(spec) {
        return Err(Error::unsupported(format!("WAV holds no sampling rate of {} Hz; use npy", wave.rate)));
    }
    let fault = |e: hound::Error| Error::unsupported(format!("wav: {e}"));
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).map_err(fault)?;
    let full = full_scale(wave.bits);
    let data = sample.written();
    for t in 0..length {
        for value in data.iter().skip(t).step_by(length) {
            let written = if wave.float {
                writer.write_sample(*value)
            } else {
                writer.write_sample((f64::from(*value) * full).round().clamp(-full, full - 1.0) as i32)
            };
            written.map_err(fault)?;
        }
    }
    writer.finalize().map_err(fault)?;
    Ok(bytes.into_inner())
}

/// Sets the actual length in the header if the file was written through a pipe, and converts 64-bit floats, which the
/// reader does not support, to 32-bit floats.
fn settle(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (mut at, mut format) = (12usize, None);
    loop {
        let word = |at: usize| bytes.get(at..at + 4)?.first_chunk::<4>().map(|w| u32::from_le_bytes(*w));
        let (Some(kind), Some(length)) = (bytes.get(at..at + 4), word(at + 4)) else { return bytes.into() };
        if kind == b"fmt " {
            format = Some(at + 8);
        }
        if kind == b"data" {
            let rest = &bytes[at + 8..];
            let unknown = [0, 0x7fff_f000, 0x7fff_ffff, u32::MAX];
            let is_piped = unknown.iter().any(|&open| length == open || open > 0 && length == open - 36);
            let is_wide = format.is_some_and(|fmt| {
                bytes.get(fmt..fmt + 2) == Some(&[3, 0]) && bytes.get(fmt + 14..fmt + 16) == Some(&[64, 0])
            });
            return match (is_piped && length as usize != rest.len(), is_wide, format) {
                (true, _, Some(fmt)) => with_length(bytes, at, fmt),
                (false, true, Some(fmt)) => narrowed(bytes, at, fmt, length as usize),
                _ => bytes.into(),
            };
        }
        // Chunks are aligned to even offsets.
        at = at.saturating_add(8).saturating_add(length as usize).saturating_add(length as usize % 2);
    }
}

/// Sets the length of the chunk at offset `data` to the number of whole frames after it.
fn with_length(bytes: &[u8], data: usize, format: usize) -> Cow<'_, [u8]> {
    let step = bytes
        .get(format + 12..format + 14)
        .map_or(1, |w| usize::from(u16::from_le_bytes([w[0], w[1]])).max(1));
    let length = (bytes.len() - data - 8) / step * step;
    let mut own = bytes[..data + 8 + length].to_vec();
    own[data + 4..data + 8].copy_from_slice(&(u32::try_from(length).unwrap_or(u32::MAX)).to_le_bytes());
    let all = u32::try_from(own.len() - 8).unwrap_or(u32::MAX);
    own[4..8].copy_from_slice(&all.to_le_bytes());
    own.into()
}

/// Converts 64-bit floats to 32-bit floats.
fn narrowed(bytes: &[u8], data: usize, format: usize, length: usize) -> Cow<'_, [u8]> {
    let Some(numbers) = bytes.get(data + 8..(data + 8).saturating_add(length)) else { return bytes.into() };
    let mut own = bytes[..data + 8].to_vec();
    let narrow = |word: &[u8; 8]| (f64::from_le_bytes(*word) as f32).to_le_bytes();
    own.extend(numbers.as_chunks::<8>().0.iter().flat_map(narrow));
    let half = |own: &mut Vec<u8>, at: usize, width: usize| {
        let value = own[at..at + width].iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)) / 2;
        own[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    half(&mut own, data + 4, 4);
    // Bytes per second, bytes per frame, bits per number.
    half(&mut own, format + 8, 4);
    half(&mut own, format + 12, 2);
    half(&mut own, format + 14, 2);
    own.into()
}

/// Returns the largest integer of `bits` bits plus one.
fn full_scale(bits: u16) -> f64 {
    (1u64 << (bits.clamp(1, 32) - 1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(channels: usize, data: &[f32]) -> Sample {
        Sample::new(Shape::Signal { channels, length: data.len() / channels }, data.to_vec()).unwrap()
    }

    #[test]
    fn channels_rate_and_depth_are_kept() {
        let sample = signal(2, &[0.0, 0.5, -1.0, 0.25]);
        for (bits, float) in [(16, false), (24, false), (32, true)] {
            let wave = Wave { rate: 8000, bits, float };
            let bytes = write_wav(&sample, wave).unwrap();
            assert_eq!(read_wav(&bytes, &Limits::default()), Ok((sample.clone(), wave)));
        }
        let bytes = write_wav(&signal(1, &[2.0, -3.0]), Wave { rate: 8000, bits: 16, float: false }).unwrap();
        let (clipped, _) = read_wav(&bytes, &Limits::default()).unwrap();
        assert_eq!(clipped.data(), [32767.0 / 32768.0, -1.0]);
    }

    #[test]
    fn a_file_of_a_pipe_is_read_to_its_end() {
        let sample = signal(2, &[0.0, 0.5, -1.0, 0.25]);
        let wave = Wave { rate: 8000, bits: 16, float: false };
        let whole = write_wav(&sample, wave).unwrap();
        let data = whole.windows(4).position(|w| w == b"data").unwrap();
        for open in [u32::MAX, 0, 0x7fff_f000, u32::MAX - 36] {
            let mut piped = whole.clone();
            piped[data + 4..data + 8].copy_from_slice(&open.to_le_bytes());
            piped[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
            // An incomplete frame at the end is dropped.
            piped.push(7);
            assert_eq!(read_wav(&piped, &Limits::default()), Ok((sample.clone(), wave)), "{open}");
        }
    }

    #[test]
    fn floats_of_64_bits_are_read() {
        let mut file =
            b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x40\x1f\0\0\0\xfa\0\0\x08\0\x40\0data\x10\0\0\0"
                .to_vec();
        file.extend([0.5f64, -0.25].iter().flat_map(|v| v.to_le_bytes()));
        let (sample, wave) = read_wav(&file, &Limits::default()).unwrap();
        assert_eq!((sample.data(), wave), (&[0.5, -0.25][..], Wave::float(8000)));
        (0..file.len()).for_each(|end| assert!(read_wav(&file[..end], &Limits::default()).is_err(), "{end}"));
    }

    #[test]
    fn rates_that_no_header_holds_are_refused() {
        let sample = signal(2, &[0.0, 0.5, -1.0, 0.25]);
        for rate in [0, u32::MAX / 8 + 1, u32::MAX] {
            let error = write_wav(&sample, Wave::float(rate)).unwrap_err();
            assert!(error.to_string().contains(&format!("{rate} Hz")), "{error}");
        }
        // Of the rate and the bytes per second, which must agree.
        let mut file = write_wav(&sample, Wave::float(8000)).unwrap();
        file[24..32].fill(0);
        let error = read_wav(&file, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("a sampling rate of 0 Hz"), "{error}");
        assert!(write_wav(&sample, Wave::float(u32::MAX / 8)).is_ok());
    }

    #[test]
    fn what_is_cut_empty_or_too_long_is_refused() {
        let bytes = write_wav(&signal(1, &[0.1, 0.2, 0.3, 0.4]), Wave::float(8000)).unwrap();
        for cut in 12..bytes.len() {
            assert!(read_wav(&bytes[..cut], &Limits::default()).is_err(), "cut at {cut}");
        }
        let limits = Limits { array_numbers: 3, ..Limits::default() };
        assert!(read_wav(&bytes, &limits).unwrap_err().to_string().contains("limit of 3"));
        let image = Sample::new(Shape::image(1, 1, 2), vec![0.0; 2]).unwrap();
        assert!(write_wav(&image, Wave::float(8000)).is_err());
    }
}
