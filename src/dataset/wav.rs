//! WAV files: signals of one or more channels.

use hound::{SampleFormat, WavReader};

use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// Whether the bytes are a WAV file.
pub(super) fn is_wav(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
}

/// The signal of a WAV file, `(C, L)`: integers on [-1, 1), floats as they are. The rate is not kept.
///
/// # Errors
/// One line: no PCM, cut, empty or over `array_numbers`.
pub(super) fn read_wav(bytes: &[u8], limits: &Limits) -> Result<Sample, String> {
    let mut reader = WavReader::new(bytes).map_err(|e| format!("wav: {e}"))?;
    let (spec, length) = (reader.spec(), reader.duration() as usize);
    let shape = Shape::Signal { channels: spec.channels.into(), length };
    if shape.numbers() > limits.array_numbers {
        return Err(format!(
            "wav: {} numbers are over the limit of {}",
            shape.numbers(),
            limits.array_numbers
        ));
    }
    // The header's word for the length is not enough to allocate by.
    let mut interleaved: Vec<f32> = Vec::new();
    if spec.sample_format == SampleFormat::Float {
        for value in reader.samples::<f32>() {
            interleaved.push(value.map_err(|e| format!("wav: {e}"))?);
        }
    } else {
        let full = (1u64 << (spec.bits_per_sample - 1)) as f32;
        for value in reader.samples::<i32>() {
            interleaved.push(value.map_err(|e| format!("wav: {e}"))? as f32 / full);
        }
    }
    let channel = |c: usize| interleaved.iter().skip(c).step_by(shape.channels()).copied();
    let data = (0..shape.channels()).flat_map(channel).collect();
    Sample::new(shape, data).map_err(|e| format!("wav: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(channels: u16, values: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        values.iter().for_each(|&value| writer.write_sample(value).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn channels_are_told_apart_and_scaled() {
        let bytes = file(2, &[0, 16384, -32768, 8192]);
        assert!(is_wav(&bytes));
        let sample = read_wav(&bytes, &Limits::default()).unwrap();
        assert_eq!(sample.shape(), Shape::Signal { channels: 2, length: 2 });
        assert_eq!(sample.data(), [0.0, -1.0, 0.5, 0.25]);
    }

    #[test]
    fn what_is_cut_empty_or_too_long_is_refused() {
        let bytes = file(1, &[1, 2, 3, 4]);
        for cut in 12..bytes.len() {
            assert!(read_wav(&bytes[..cut], &Limits::default()).is_err(), "cut at {cut}");
        }
        assert!(read_wav(&file(1, &[]), &Limits::default()).is_err());
        let limits = Limits { array_numbers: 3, ..Limits::default() };
        assert!(read_wav(&bytes, &limits).unwrap_err().contains("limit of 3"));
    }
}
