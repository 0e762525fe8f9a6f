//! WAV files: signals of one or more channels, with the rate and depth that a result keeps.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::{Error, Result, within};
use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// What a WAV file says beside its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wave {
    /// Steps in a second.
    pub rate: u32,
    /// Bits of a number: 8, 16, 24 or 32.
    pub bits: u16,
    /// Whether the numbers are 32-bit floats.
    pub float: bool,
}

impl Wave {
    /// 32-bit floats, for signals whose rate is all that is known.
    pub fn float(rate: u32) -> Self {
        Self { rate, bits: 32, float: true }
    }
}

/// The signal of a WAV file, `(C, L)`: integers on [-1, 1), floats as they are.
///
/// # Errors
/// [`Error::Malformed`] where it is no PCM, cut or empty; [`Error::TooLarge`] over `array_numbers`;
/// [`Error::NonFinite`].
pub fn read_wav(bytes: &[u8], limits: &Limits) -> Result<(Sample, Wave)> {
    let fault = |e: hound::Error| Error::malformed("wav", e);
    let mut reader = WavReader::new(bytes).map_err(fault)?;
    let (spec, length) = (reader.spec(), reader.duration() as usize);
    let shape = Shape::Signal { channels: spec.channels.into(), length };
    within("array numbers", shape.numbers(), limits.array_numbers)?;
    let wave = Wave {
        rate: spec.sample_rate,
        bits: spec.bits_per_sample,
        float: spec.sample_format == SampleFormat::Float,
    };
    // The header's word for the length is not enough to allocate by.
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
    Ok((Sample::new(shape, data)?, wave))
}

/// The WAV file of a signal. Numbers beyond [-1, 1) are clipped where the file holds integers.
///
/// # Errors
/// [`Error::Shape`] for what is no signal; [`Error::Unsupported`] for a depth or a count of channels that WAV
/// has not.
pub fn write_wav(sample: &Sample, wave: Wave) -> Result<Vec<u8>> {
    let Shape::Signal { channels, length } = sample.shape() else {
        return Err(Error::shape("a signal for a WAV file", sample.shape()));
    };
    let count = u16::try_from(channels);
    let count =
        count.map_err(|_| Error::unsupported(format!("WAV holds no {channels} channels; use npy")))?;
    let sample_format = if wave.float { SampleFormat::Float } else { SampleFormat::Int };
    let spec = WavSpec { channels: count, sample_rate: wave.rate, bits_per_sample: wave.bits, sample_format };
    let fault = |e: hound::Error| Error::unsupported(format!("wav: {e}"));
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).map_err(fault)?;
    let full = full_scale(wave.bits);
    for t in 0..length {
        for value in sample.data().iter().skip(t).step_by(length) {
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

/// One more than the largest integer.
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
