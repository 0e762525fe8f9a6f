//! Decoding of latent files.

use super::{Error, Result};
use super::{FORMAT_VERSION, MAGIC, MAX_PLANE_RANK, MAX_PLANES, check, plane_numbers};
use crate::limits::Limits;
use crate::name::{ModelId, Name};
use crate::sample::{Latent, Plane, Shape, Stats};

/// Decodes a latent file to the latent and the id of the model that made it.
///
/// # Errors
/// [`Error::Malformed`] for anything but an intact latent file: the checksum covers every byte, so truncation and
/// flipped bytes are always detected. [`Error::TooLarge`] if the sample that it decodes to is over the limits;
/// [`Error::NonFinite`]; [`Error::Unsupported`] for another format version.
pub fn read_latent(bytes: &[u8], limits: &Limits) -> Result<(ModelId, Latent)> {
    let mut body = Reader { rest: check_frame(bytes)? };
    let id = read_id(&mut body)?;
    let shape = read_shape(&mut body)?;
    let stats = match body.u8()? {
        0 => Vec::new(),
        1 => vec![body.stats()?],
        2 => (0..body.u16()?).map(|_| body.stats()).collect::<Result<_>>()?,
        other => return Err(malformed(format!("stats flag is {other}, must be 0, 1 or 2"))),
    };
    let count = usize::from(body.u16()?);
    if count > MAX_PLANES {
        return Err(malformed(format!("{count} planes, more than {MAX_PLANES}")));
    }
    let mut extents = Vec::new();
    for _ in 0..count {
        let rank = usize::from(body.u8()?);
        if rank > MAX_PLANE_RANK {
            return Err(malformed(format!("a plane of rank {rank}, more than {MAX_PLANE_RANK}")));
        }
        extents.push(body.dims(rank)?);
    }
    let mut planes = Vec::new();
    for dims in extents {
        let numbers = plane_numbers(&dims, limits)?;
        let payload = body.take(numbers.saturating_mul(4))?;
        let (words, _) = payload.as_chunks::<4>();
        planes.push(Plane { dims, data: words.iter().map(|w| f32::from_le_bytes(*w)).collect() });
    }
    if !body.rest.is_empty() {
        return Err(malformed(format!("{} bytes behind the last plane", body.rest.len())));
    }
    Ok((id, check(Latent { shape, stats, planes }, limits)?))
}

/// Checks magic, version, length and checksum, and returns the bytes between the length field and the checksum.
fn check_frame(bytes: &[u8]) -> Result<&[u8]> {
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(malformed("does not begin as a latent file; POST /encode makes them"));
    };
    let mut head = Reader { rest };
    let version = head.u16()?;
    if version != FORMAT_VERSION {
        let what =
            format!("latent format version {version} is not known; this service reads {FORMAT_VERSION}");
        return Err(Error::unsupported(what));
    }
    let length = head.u64()?;
    if length != bytes.len() as u64 {
        return Err(malformed(format!("states a length of {length} bytes, has {}", bytes.len())));
    }
    let Some((body, &checksum)) = head.rest.split_last_chunk::<4>() else {
        return Err(malformed("cut short"));
    };
    let (stated, seen) = (u32::from_le_bytes(checksum), crc32fast::hash(&bytes[..bytes.len() - 4]));
    if stated != seen {
        return Err(malformed(format!("damaged: checksum {stated:08x} is stated, {seen:08x} is seen")));
    }
    Ok(body)
}

fn read_id(body: &mut Reader) -> Result<ModelId> {
    let length = usize::from(body.u8()?);
    let name = std::str::from_utf8(body.take(length)?).map_err(|e| malformed(format!("model name: {e}")))?;
    let name: Name = name.parse().map_err(|e| malformed(format!("model name: {e}")))?;
    let version = body.u32()?;
    if version == 0 {
        return Err(malformed("model version is 0, must be 1 or more"));
    }
    Ok(ModelId { name, version, digest: body.array()? })
}

fn read_shape(body: &mut Reader) -> Result<Shape> {
    Ok(match body.u8()? {
        1 => {
            let [channels, height, width] = [body.extent()?, body.extent()?, body.extent()?];
            Shape::Image { channels, height, width }
        }
        2 => {
            let [channels, length] = [body.extent()?, body.extent()?];
            Shape::Signal { channels, length }
        }
        3 => Shape::Vector { features: body.extent()? },
        other => return Err(malformed(format!("kind of sample is {other}, must be 1, 2 or 3"))),
    })
}

fn malformed(reason: impl ToString) -> Error {
    Error::malformed("latent file", reason)
}

/// Cursor that takes fields off the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| malformed("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| malformed("cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    fn stats(&mut self) -> Result<Stats> {
        Ok(Stats { mean: self.f32()?, std: self.f32()? })
    }

    fn extent(&mut self) -> Result<usize> {
        usize::try_from(self.u32()?).map_err(malformed)
    }

    fn dims(&mut self, rank: usize) -> Result<Vec<usize>> {
        (0..rank).map(|_| self.extent()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::example;
    use super::super::write_latent;
    use super::*;

    fn file() -> Vec<u8> {
        let (id, latent) = example();
        write_latent(&id, &latent)
    }

    fn read(bytes: &[u8]) -> Result<(ModelId, Latent)> {
        read_latent(bytes, &Limits::default())
    }

    /// Corrects length and checksum, as in a forged file.
    fn forged(mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len() as u64;
        bytes[10..18].copy_from_slice(&length.to_le_bytes());
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_latent_survives_a_round_trip_bit_for_bit() {
        assert_eq!(read(&file()).unwrap(), example());
        let (id, latent) = example();
        for shape in [Shape::Signal { channels: 2, length: 99 }, Shape::Vector { features: 12 }] {
            let latent = Latent { shape, stats: vec![], ..latent.clone() };
            assert_eq!(read(&write_latent(&id, &latent)).unwrap(), (id.clone(), latent));
        }
        let stats = [(20.5, 0.0), (1013.0, 4.0)].map(|(mean, std)| Stats { mean, std }).to_vec();
        let shape = Shape::Signal { channels: 2, length: 99 };
        let latent = Latent { shape, stats, ..latent };
        assert_eq!(read(&write_latent(&id, &latent)).unwrap(), (id.clone(), latent.clone()));
        let odd = Latent { shape: Shape::Signal { channels: 3, length: 99 }, ..latent };
        assert!(matches!(read(&write_latent(&id, &odd)), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_an_error() {
        let whole = file();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&[whole, vec![0]].concat()).is_err());
    }

    #[test]
    fn any_flipped_byte_is_an_error() {
        let whole = file();
        for position in 0..whole.len() {
            for flip in 1..=255u8 {
                let mut bytes = whole.clone();
                bytes[position] ^= flip;
                assert!(read(&bytes).is_err(), "byte {position} ^ {flip}");
            }
        }
    }

    #[test]
    fn a_forged_field_never_panics() {
        let whole = file();
        for position in 18..whole.len() - 4 {
            for value in [0, 1, 2, 4, 127, 128, 255] {
                let mut bytes = whole.clone();
                bytes[position] = value;
                if let Ok((_, latent)) = read(&forged(bytes)) {
                    let numbers =
                        latent.planes.iter().map(|p| p.dims.iter().product::<usize>()).sum::<usize>();
                    assert_eq!(numbers, latent.numbers() - 2 * latent.stats.len());
                }
            }
        }
    }

    #[test]
    fn a_forged_file_cut_at_any_byte_is_an_error() {
        let whole = file();
        for end in 22..whole.len() {
            assert!(read(&forged(whole[..end].to_vec())).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_sample_over_the_limits_is_refused() {
        let (id, mut latent) = example();
        latent.shape = Shape::image(1, 100_000, 100_000);
        let error = read(&write_latent(&id, &latent)).unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "image side", .. }), "{error}");
    }

    #[test]
    fn planes_larger_than_the_file_are_refused() {
        let (id, mut latent) = example();
        latent.planes[0].dims = vec![1000, 1000, 10];
        assert!(matches!(read(&write_latent(&id, &latent)), Err(Error::Malformed { .. })));
        latent.planes[0].dims = vec![u32::MAX as usize; 3];
        assert!(matches!(read(&write_latent(&id, &latent)), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let (id, latent) = example();
        for bad in [f32::NAN, f32::INFINITY] {
            let mut plane = latent.clone();
            plane.planes[1].data[2] = bad;
            assert!(
                matches!(read(&write_latent(&id, &plane)), Err(Error::NonFinite { place, .. }) if place == "number 6")
            );
            let stats = Latent { stats: vec![Stats { mean: 0.0, std: bad }], ..latent.clone() };
            assert!(matches!(read(&write_latent(&id, &stats)), Err(Error::NonFinite { .. })));
        }
    }

    /// Files of format 1, which every later program reads; `fuzz/seeds.py` made them from the layout alone.
    #[test]
    fn golden_files_stay_readable() {
        let ramp = |dims: &[usize]| {
            let numbers = dims.iter().product::<usize>();
            Plane { dims: dims.to_vec(), data: (0..numbers).map(|i| i as f32 / 8.0 - 1.0).collect() }
        };
        let stats = |mean, std| Stats { mean, std };
        let signal = Shape::Signal { channels: 2, length: 12 };
        let golden: [(&[u8], Latent); 3] = [
            (
                include_bytes!("../../../tests/data/format-1-image.latent"),
                Latent {
                    shape: Shape::image(1, 7, 9),
                    stats: vec![stats(0.5, 0.25)],
                    planes: vec![ramp(&[2, 1, 2]), ramp(&[1, 2, 3])],
                },
            ),
            (
                include_bytes!("../../../tests/data/format-1-signal.latent"),
                Latent {
                    shape: signal,
                    stats: vec![stats(0.5, 0.25), stats(-4.0, 8.0)],
                    planes: vec![ramp(&[3, 4])],
                },
            ),
            (
                include_bytes!("../../../tests/data/format-1-vector.latent"),
                Latent { shape: Shape::Vector { features: 6 }, stats: vec![], planes: vec![ramp(&[2])] },
            ),
        ];
        let id = ModelId { name: "photo-gray".parse().unwrap(), version: 3, digest: [7; 32] };
        for (file, latent) in golden {
            assert_eq!(read_latent(file, &Limits::default()), Ok((id.clone(), latent.clone())));
            assert_eq!(write_latent(&id, &latent), file);
        }
    }

    #[test]
    fn a_newer_format_version_is_named() {
        let mut bytes = file();
        bytes[8] = 2;
        let error = read(&forged(bytes)).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}
