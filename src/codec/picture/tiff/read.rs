//! Decoding of TIFF files, page by page according to their storage.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult};

use super::super::super::{Error, Format, Result, check_shape, within};
use super::super::directory::Directory;
use super::super::plane::Planes;
use super::super::read::{Page, one_line};
use super::super::tag::{MOST_TAG_BYTES, Tag, resolution};
use super::super::{Origin, Picture};
use super::storage::{Color, Compression, Opacity, Storage, camera_raw, refused, tag};
use super::{Numbers, Packing, fax};
use crate::limits::Limits;
use crate::sample::{Number, Shape};

/// Maximum number of subdirectories of a page.
const MOST_BELOW: usize = 64;

/// A page that is not a smaller copy of another.
struct Leaf {
    /// Index among all directories.
    index: usize,
    directory: Directory,
    storage: Storage,
}

/// Decodes the pages of a TIFF.
pub(in crate::codec::picture) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Picture>> {
    let leaves = leaves(bytes, limits)?;
    if let [leaf] = leaves.as_slice()
        && let Some(count) = hidden_frames(leaf, bytes)?
    {
        return frames(leaf, bytes, count);
    }
    let prepared = prepare(&leaves, bytes);
    let mut decoder =
        Decoder::new(Cursor::new(&*prepared)).map_err(failed)?.with_limits(memory_limit(limits));
    let mut at = 0;
    let mut pictures = Vec::with_capacity(leaves.len());
    for leaf in &leaves {
        if matches!(leaf.storage.compression, Compression::Huffman | Compression::Fax3) {
            pictures.push(fax_page(leaf, bytes)?);
            continue;
        }
        while at < leaf.index {
            decoder.next_image().map_err(failed)?;
            at += 1;
        }
        pictures.push(decoded_page(leaf, bytes, &mut decoder)?);
    }
    Ok(pictures)
}

/// Returns the decoded size of all pages, in bytes.
pub(in crate::codec::picture) fn decoded_bytes(bytes: &[u8], limits: &Limits) -> Result<usize> {
    let leaves = leaves(bytes, limits)?;
    let frames = match leaves.as_slice() {
        [leaf] => hidden_frames(leaf, bytes)?.unwrap_or(1),
        _ => 1,
    };
    let each = leaves.iter().map(|leaf| leaf.storage.decoded_bytes());
    Ok(each.fold(0, usize::saturating_add).saturating_mul(frames))
}

/// Returns the pages that are not smaller copies of others, checked against the limits with all pixels counted
/// together.
fn leaves(bytes: &[u8], limits: &Limits) -> Result<Vec<Leaf>> {
    let broken = || Error::malformed(Format::Tiff.media_type(), "a directory is cut or damaged");
    let most = limits.samples.saturating_mul(4).saturating_add(64);
    let directories = Directory::chain(bytes, most).filter(|all| !all.is_empty()).ok_or_else(broken)?;
    check_no_raw(&directories, bytes)?;
    let is_smaller = |d: &Directory| d.number(bytes, tag::SUBFILE).unwrap_or(0) & 1 == 1;
    let has_whole = directories.iter().any(|d| !is_smaller(d));
    let is_alone = directories.len() == 1;
    let (mut leaves, mut pixels, mut tags) = (Vec::new(), 0usize, 0);
    for (index, directory) in directories.into_iter().enumerate() {
        // If all are marked as smaller copies, the first is the image itself.
        if is_smaller(&directory) && (has_whole || index > 0) {
            continue;
        }
        let storage = Storage::of(&directory, bytes)?;
        check_shape(Shape::image(1, storage.height, storage.width), limits)?;
        // One profile may be shared by all pages, and is copied for each.
        tags += Tag::bytes_of_all(&directory, bytes).min(u64::from(u32::MAX))
            + directory.bytes(tag::ICC).min(u64::from(u32::MAX));
        within("image bytes of metadata", tags as usize, MOST_TAG_BYTES as usize)?;
        check_strips(&directory, &storage)?;
        let count = is_alone.then(|| hidden_count(&directory, &storage, bytes)).flatten().unwrap_or(1);
        pixels = pixels.saturating_add(storage.width.saturating_mul(storage.height).saturating_mul(count));
        within("image pages", leaves.len().saturating_add(count), limits.samples)?;
        within("image pixels of all pages", pixels, limits.image_pixels)?;
        leaves.push(Leaf { index, directory, storage });
    }
    Ok(leaves)
}

/// Checks that a page has no more strips than rows.
fn check_strips(directory: &Directory, storage: &Storage) -> Result<()> {
    let most = storage.height.saturating_mul(storage.samples.max(1));
    let strips = directory.count(tag::STRIP_OFFSETS).max(directory.count(tag::STRIP_BYTES)).unwrap_or(0);
    within("image strips", usize::try_from(strips).unwrap_or(usize::MAX), most)
}

/// Rejects camera raw files, whose first directory is often only a preview.
fn check_no_raw(directories: &[Directory], bytes: &[u8]) -> Result<()> {
    let is_sensor = |d: &Directory| matches!(d.number(bytes, tag::PHOTOMETRIC), Some(32803 | 34892));
    let below = |d: &Directory| -> Vec<Directory> {
        let positions = d.numbers(bytes, tag::SUB_DIRECTORIES).unwrap_or_default();
        positions
            .into_iter()
            .take(MOST_BELOW)
            .filter_map(|at| Directory::read(bytes, d.order(), at))
            .collect()
    };
    for directory in directories {
        let count = directory.count(tag::SUB_DIRECTORIES).unwrap_or(0);
        within("image subdirectories", usize::try_from(count).unwrap_or(usize::MAX), MOST_BELOW)?;
        let is_raw =
            directory.has(tag::DNG) || is_sensor(directory) || below(directory).iter().any(is_sensor);
        if is_raw || bytes.get(8..10) == Some(b"CR") {
            return Err(camera_raw());
        }
        // Levels of a pyramid are marked as smaller copies; any other image in a subdirectory would be lost.
        let is_lost = |d: &Directory| {
            d.number(bytes, tag::SUBFILE).unwrap_or(0) & 1 == 0
                && d.has(tag::WIDTH)
                && d.has(tag::PHOTOMETRIC)
        };
        let width = directory.number(bytes, tag::WIDTH);
        if below(directory).iter().any(|d| is_lost(d) && d.number(bytes, tag::WIDTH) >= width) {
            return Err(refused("further images in SubIFDs"));
        }
    }
    Ok(())
}

/// Returns the number of images in a file with one directory, if its metadata states it.
///
/// # Source
/// ImageJ's TIFF encoder (`images=` in the description), MetaMorph's STK (tag UIC2), `truncate` of tifffile.
fn hidden_count(directory: &Directory, storage: &Storage, bytes: &[u8]) -> Option<usize> {
    if let Some(planes) = directory.count(tag::STK_PLANES) {
        return usize::try_from(planes).ok();
    }
    let text = directory.text(bytes, tag::DESCRIPTION)?;
    if text.starts_with("ImageJ=") {
        let images = text.lines().find_map(|line| line.strip_prefix("images="));
        return images.and_then(|count| count.trim().parse().ok());
    }
    let shaped: serde_json::Value = serde_json::from_str(text).ok()?;
    if shaped.get("truncated")?.as_bool()? {
        let dims = shaped.get("shape")?.as_array()?;
        let numbers =
            dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(d.as_u64()?).ok()?))?;
        return numbers.checked_div(storage.width * storage.height * storage.samples);
    }
    None
}

/// Returns [`hidden_count`] if it is more than the one page of the directory.
///
/// # Errors
/// The file does not hold that number of consecutive images.
fn hidden_frames(leaf: &Leaf, bytes: &[u8]) -> Result<Option<usize>> {
    let Some(count) = hidden_count(&leaf.directory, &leaf.storage, bytes).filter(|&count| count > 1) else {
        return Ok(None);
    };
    let storage = &leaf.storage;
    let frame = storage.decoded_bytes();
    let (offsets, sizes) = (
        leaf.directory.numbers(bytes, tag::STRIP_OFFSETS).unwrap_or_default(),
        leaf.directory.numbers(bytes, tag::STRIP_BYTES).unwrap_or_default(),
    );
    let follows = |i: usize| Some(offsets[i]) == offsets[i - 1].checked_add(sizes[i - 1]);
    let is_one_run = offsets.len() == sizes.len() && (1..offsets.len()).all(follows);
    let end =
        offsets.first().map_or(u64::MAX, |first| first.saturating_add((frame.saturating_mul(count)) as u64));
    let is_plain =
        storage.compression == Compression::None && storage.color == Color::Plain && !storage.is_packed;
    if is_plain && is_one_run && !storage.is_planar && end <= bytes.len() as u64 {
        return Ok(Some(count));
    }
    Err(refused(&format!("one page where its description tells of {count} images")))
}

/// Decodes images that follow the first one without directories of their own.
fn frames(leaf: &Leaf, bytes: &[u8], count: usize) -> Result<Vec<Picture>> {
    let storage = &leaf.storage;
    let start = leaf.directory.number(bytes, tag::STRIP_OFFSETS).unwrap_or(0) as usize;
    let length = storage.decoded_bytes();
    let is_big = leaf.directory.order().is_big_endian;
    let is_float = leaf.directory.number(bytes, tag::FORMAT) == Some(3);
    let each = bytes[start..start + length * count].chunks_exact(length);
    let read = |frame: &[u8]| {
        let page = page(leaf, bytes);
        let words = frame.as_chunks::<2>().0.iter();
        let wide = frame.as_chunks::<4>().0.iter();
        let pixels = match (storage.bits, is_float) {
            (8, false) => DecodingResult::U8(frame.to_vec()),
            (16, false) if is_big => DecodingResult::U16(words.map(|w| u16::from_be_bytes(*w)).collect()),
            (16, false) => DecodingResult::U16(words.map(|w| u16::from_le_bytes(*w)).collect()),
            (32, true) if is_big => DecodingResult::F32(wide.map(|w| f32::from_be_bytes(*w)).collect()),
            (32, true) => DecodingResult::F32(wide.map(|w| f32::from_le_bytes(*w)).collect()),
            (bits, _) => return Err(refused(&format!("frames of {bits} bits behind one page"))),
        };
        finish(page, storage, pixels)
    };
    each.map(read).collect()
}

/// Modifies pages that the decoder does not support so that it can decode them: rows of packed bits become gray rows of
/// bytes, and palette indices become gray.
fn prepare<'a>(leaves: &[Leaf], bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let mut prepared = Cow::Borrowed(bytes);
    for Leaf { directory, storage, .. } in leaves {
        let is_fax = storage.compression == Compression::Fax4;
        if storage.is_reversed && storage.bits < 8 {
            let own = prepared.to_mut();
            let offsets = directory.numbers(bytes, tag::STRIP_OFFSETS).unwrap_or_default();
            let sizes = directory.numbers(bytes, tag::STRIP_BYTES).unwrap_or_default();
            for (start, size) in offsets.iter().zip(&sizes) {
                let end = start.saturating_add(*size).min(own.len() as u64) as usize;
                let strip = own.get_mut(*start as usize..end).unwrap_or_default();
                strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
        }
        if !storage.is_packed || is_fax {
            continue;
        }
        let own = prepared.to_mut();
        directory.put(own, tag::PHOTOMETRIC, 1);
        // The decoder returns rows of few bits unchanged; it supports no other rows of numbers that are not whole
        // bytes.
        if storage.bits == 16 || storage.bits <= 8 && storage.samples == 1 {
            continue;
        }
        let bytes_of = |pixels: usize| (pixels * storage.bits * storage.samples).div_ceil(8) as u32;
        directory.put(own, tag::WIDTH, bytes_of(storage.width));
        if let Some(tile) = directory.number(bytes, tag::TILE_WIDTH) {
            directory.put(own, tag::TILE_WIDTH, bytes_of(tile as usize));
        }
        directory.put(own, tag::BITS, 8);
        directory.put(own, tag::SAMPLES, 1);
        directory.hide(own, tag::EXTRA);
        directory.hide(own, tag::FORMAT);
    }
    prepared
}

fn page(leaf: &Leaf, bytes: &[u8]) -> Page {
    let Leaf { directory, storage, .. } = leaf;
    let packing = match storage.compression {
        Compression::None => Packing::None,
        Compression::Lzw => Packing::Lzw,
        Compression::PackBits => Packing::PackBits,
        _ => Packing::Deflate,
    };
    let orientation = directory.number(bytes, tag::ORIENTATION).unwrap_or(1).try_into().unwrap_or(1);
    let mut tags = Tag::all(directory, bytes);
    tags.retain(|tag| orientation < 5 || !tag.is_resolution());
    Page {
        icc: directory.value(bytes, tag::ICC).map(|(_, value)| value.to_vec()),
        orientation,
        resolution: resolution(directory, bytes),
        numbers: Numbers::Plain,
        is_premultiplied: storage.opacity == Some(Opacity::Premultiplied),
        exif: None,
        origin: Origin::Tiff { tags, packing },
        format: Format::Tiff,
    }
}

fn decoded_page(leaf: &Leaf, bytes: &[u8], decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Picture> {
    let storage = &leaf.storage;
    let mut buffer = DecodingResult::U8(Vec::new());
    let order = decoder.read_image_to_buffer(&mut buffer).map_err(failed)?;
    if buffer.as_buffer(0).as_bytes().len() < order.complete_len {
        return Err(refused("planes too large to be decoded at once"));
    }
    let page = page(leaf, bytes);
    match buffer {
        // For Group 4, the decoder has already made white the highest number.
        DecodingResult::U8(rows) if storage.compression == Compression::Fax4 => {
            finish_packed(page, &Storage { color: Color::Plain, ..storage.clone() }, leaf, bytes, &rows)
        }
        DecodingResult::U8(rows) if storage.is_packed => finish_packed(page, storage, leaf, bytes, &rows),
        DecodingResult::U16(places) if storage.is_packed => {
            let places: Vec<u32> = places.into_iter().map(u32::from).collect();
            from_palette(page, storage, leaf, bytes, &places)
        }
        pixels => finish(page, storage, pixels),
    }
}

/// Decodes a page with a fax compression that the decoder does not support.
fn fax_page(leaf: &Leaf, bytes: &[u8]) -> Result<Picture> {
    let Leaf { directory, storage, .. } = leaf;
    let broken = || Error::malformed(Format::Tiff.media_type(), "a strip of run lengths is cut or damaged");
    if directory.number(bytes, tag::T4_OPTIONS).unwrap_or(0) & 1 == 1 {
        return Err(refused("two-dimensional Group 3 fax compression"));
    }
    let offsets = directory.numbers(bytes, tag::STRIP_OFFSETS).ok_or_else(broken)?;
    let sizes = directory.numbers(bytes, tag::STRIP_BYTES).ok_or_else(broken)?;
    let each = directory.number(bytes, tag::ROWS).map_or(storage.height, |rows| rows as usize).max(1);
    let mut rows = Vec::new();
    for (strip, (start, size)) in offsets.iter().zip(sizes).enumerate() {
        let height = storage.height.saturating_sub(strip.saturating_mul(each)).min(each);
        let end = start.saturating_add(size).min(bytes.len() as u64) as usize;
        let mut strip = bytes.get(*start as usize..end).ok_or_else(broken)?.to_vec();
        if storage.is_reversed {
            strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let read = if storage.compression == Compression::Fax3 { fax::group3 } else { fax::huffman };
        rows.extend(read(&strip, storage.width, height).ok_or_else(broken)?);
    }
    if rows.len() != storage.width.div_ceil(8) * storage.height {
        return Err(broken());
    }
    finish_packed(page(leaf, bytes), storage, leaf, bytes, &rows)
}

/// Builds a page from rows of packed numbers, highest bit first, each row at a whole byte.
fn finish_packed(page: Page, storage: &Storage, leaf: &Leaf, bytes: &[u8], rows: &[u8]) -> Result<Picture> {
    let (bits, across) = (storage.bits, storage.width * storage.samples);
    let stride = (across * bits).div_ceil(8);
    if rows.len() < stride * storage.height {
        return Err(Error::malformed(Format::Tiff.media_type(), "fewer numbers than pixels"));
    }
    let most = (1u32 << bits) - 1;
    let number = |row: &[u8], i: usize| {
        let first = i * bits;
        // Numbers have at most 16 bits, so three bytes cover one at any bit offset.
        let word =
            (0..3).fold(0u32, |word, k| word << 8 | u32::from(row.get(first / 8 + k).copied().unwrap_or(0)));
        word >> (24 - first % 8 - bits) & most
    };
    let numbers = rows.chunks_exact(stride).take(storage.height);
    let numbers: Vec<u32> = numbers.flat_map(|row| (0..across).map(move |i| number(row, i))).collect();
    if storage.color == Color::Palette {
        return from_palette(page, storage, leaf, bytes, &numbers);
    }
    let is_inverted = storage.color == Color::WhiteIsZero;
    let upright = |v: u32| if is_inverted { most - v } else { v };
    let size = (storage.width, storage.height);
    let layout = (storage.channels, storage.opacity.is_some());
    if bits <= 8 {
        let numbers = numbers.into_iter().map(|v| (upright(v) * 255 / most) as u8).collect();
        let kept = if bits == 1 && storage.channels == 1 { Numbers::Bit } else { Numbers::Plain };
        return Page { numbers: kept, ..page }.finish(Planes::split(numbers, layout, size));
    }
    let scaled = |v: u32| ((u64::from(upright(v)) * 65535 + u64::from(most) / 2) / u64::from(most)) as u16;
    page.finish(Planes::split(numbers.into_iter().map(scaled).collect(), layout, size))
}

/// Builds a page from palette indices; 8 bits if all colours of the palette fit, including palettes that old programs
/// write with 8-bit values.
fn from_palette(page: Page, storage: &Storage, leaf: &Leaf, bytes: &[u8], places: &[u32]) -> Result<Picture> {
    let map = leaf.directory.numbers(bytes, tag::COLOR_MAP).unwrap_or_default();
    let count = 1usize << storage.bits;
    if map.len() != 3 * count {
        return Err(Error::malformed(
            Format::Tiff.media_type(),
            "its palette is missing or of another length",
        ));
    }
    let (is_low, is_wide) = (map.iter().all(|v| *v < 256), map.iter().any(|v| v / 256 != v % 256));
    let color = |channel: usize, place: &u32| map[channel * count + *place as usize];
    let planes = |channel: usize| places.iter().map(move |place| color(channel, place));
    let (height, width) = (storage.height, storage.width);
    if is_wide && !is_low {
        let color = (0..3).flat_map(planes).map(|v| v as u16).collect();
        return page.finish(Planes { channels: 3, height, width, color, alpha: None });
    }
    let color = (0..3).flat_map(planes).map(|v| if is_low { v as u8 } else { (v / 256) as u8 }).collect();
    page.finish(Planes { channels: 3, height, width, color, alpha: None })
}

/// Builds a page from numbers in pixel or plane order.
fn finish(page: Page, storage: &Storage, pixels: DecodingResult) -> Result<Picture> {
    let whole = |page: Page, numbers| Page { numbers, ..page };
    match pixels {
        DecodingResult::U8(v) if storage.color == Color::YCbCr => page.finish(arrange(rgb(v), storage)?),
        _ if storage.color == Color::YCbCr => Err(refused("luma and chroma of more than 8 bits")),
        DecodingResult::U8(v) => page.finish(arrange(v, storage)?),
        DecodingResult::U16(v) => page.finish(arrange(v, storage)?),
        DecodingResult::F32(v) => page.finish(arrange(v, storage)?),
        DecodingResult::F16(v) => {
            page.finish(arrange(v.into_iter().map(half::f16::to_f32).collect(), storage)?)
        }
        DecodingResult::F64(v) => {
            whole(page, Numbers::F64).finish(arrange(v.into_iter().map(|v| v as f32).collect(), storage)?)
        }
        _ if storage.channels == 3 => Err(refused("RGB of signed or of wide whole numbers")),
        DecodingResult::I8(v) => whole(page, Numbers::I8).finish(arrange(exact(v)?, storage)?),
        DecodingResult::I16(v) => whole(page, Numbers::I16).finish(arrange(exact(v)?, storage)?),
        DecodingResult::I32(v) => whole(page, Numbers::I32).finish(arrange(exact(v)?, storage)?),
        DecodingResult::U32(v) => whole(page, Numbers::U32).finish(arrange(exact(v)?, storage)?),
        DecodingResult::I64(v) => {
            whole(page, Numbers::I64).finish(arrange(exact(v.into_iter().map(i128::from))?, storage)?)
        }
        DecodingResult::U64(v) => {
            whole(page, Numbers::U64).finish(arrange(exact(v.into_iter().map(i128::from))?, storage)?)
        }
    }
}

/// Converts integers to floats, with an error if one is not exact.
fn exact<T: Into<i128>>(numbers: impl IntoIterator<Item = T>) -> Result<Vec<f32>> {
    let float = |v: T| {
        let v: i128 = v.into();
        let float = v as f32;
        if float as i128 == v { Ok(float) } else { Err(Error::inexact(v)) }
    };
    numbers.into_iter().map(float).collect()
}

/// Converts interleaved luma and chroma to red, green and blue.
///
/// # Source
/// ITU-T T.871 (JFIF), section 7: full-range BT.601, the default of TIFF's YCbCrCoefficients.
fn rgb(mut pixels: Vec<u8>) -> Vec<u8> {
    for pixel in pixels.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = pixel.map(f32::from);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        let color = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        *pixel = color.map(|v| v.round().clamp(0.0, 255.0) as u8);
    }
    pixels
}

/// Splits numbers in pixel or plane order into planes.
fn arrange<T: Number>(mut values: Vec<T>, storage: &Storage) -> Result<Planes<T>> {
    let (width, height) = (storage.width, storage.height);
    let (pixels, layout) = (width * height, (storage.channels, storage.opacity.is_some()));
    if values.len() != pixels * storage.samples {
        let reason = format!("{} values for {width}x{height} pixels of {}", values.len(), storage.samples);
        return Err(Error::malformed(Format::Tiff.media_type(), reason));
    }
    if !storage.is_planar {
        return Ok(Planes::split(values, layout, (width, height)));
    }
    let alpha = layout.1.then(|| values.split_off(pixels * layout.0));
    Ok(Planes { channels: layout.0, height, width, color: values, alpha })
}

fn memory_limit(limits: &Limits) -> tiff::decoder::Limits {
    let mut memory = tiff::decoder::Limits::default();
    let largest = limits.image_pixels.saturating_mul(16);
    memory.decoding_buffer_size = largest;
    memory.intermediate_buffer_size = largest;
    memory.ifd_value_size = 16 << 20;
    memory
}

fn failed(error: TiffError) -> Error {
    match error {
        TiffError::UnsupportedError(e) => refused(&one_line(&e.to_string())),
        TiffError::LimitsExceeded => Error::malformed(
            Format::Tiff.media_type(),
            "needs more memory to decode than an image of its size may",
        ),
        other => Error::malformed(Format::Tiff.media_type(), one_line(&other.to_string())),
    }
}
