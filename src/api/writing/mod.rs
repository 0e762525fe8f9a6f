//! Writing: samples and latents as the reply, in the kind of the request or as `Accept` asks.

mod about;
mod entity;
mod reply;

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};

pub(super) use about::{About, HEADERS, round};
pub(super) use entity::Payload;
pub(super) use reply::JsonReply;

use about::Facts;
use entity::Entity;
use reply::{JsonResult, Results};

use super::choice::ReplyDepth;
use super::clock::Times;
use super::error::{Code, Problem};
use super::extract::Form;
use super::negotiate::Accept;
use super::reading::Group;
use crate::codec::{self, Array, DType, Depth, Format};
use crate::media::Carrier;
use crate::sample::{Kind, Latent, Sample};

const MULTIPART: &str = "multipart/form-data";
const ZIP: &str = "application/zip";

/// Result of an operation on one part of the request.
#[derive(Debug)]
pub(super) struct Output {
    /// The name of the file it came in.
    pub(super) name: Option<String>,
    /// The result.
    pub(super) payload: Payload,
    /// Facts about each of its samples.
    pub(super) about: Vec<About>,
}

/// Style of a reply, decided before anything is computed, so that a request whose reply the client cannot read costs nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    shape: Whole,
    /// The format of each sample; its own when absent.
    format: Option<Format>,
    depth: Option<Depth>,
}

/// The reply as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whole {
    /// One file.
    Bare(Format),
    /// One JSON object; for several results a list in it.
    Json { is_list: bool },
    /// A form with a file for each result.
    Multipart,
    /// An archive with a file for each result.
    Zip,
    /// One npy array with a row for each latent.
    Rows,
}

impl Style {
    /// The style for the results of some groups of samples.
    ///
    /// # Errors
    /// 406 with what could be written instead.
    pub(super) fn for_samples(
        accept: &Accept,
        form: Form,
        groups: &[Subject],
        format: Option<Format>,
        depth: Option<Depth>,
    ) -> Result<Self, Problem> {
        let shape = match groups {
            [one] => {
                let own = format.unwrap_or_else(|| one.carrier.format());
                let is_json = form == Form::Json || form == Form::JsonList || own == Format::Json;
                let formats = one.formats().into_iter().filter(|other| format.is_none_or(|f| f == *other));
                let bare = formats.filter(|f| *f != own).map(Whole::Bare);
                let json = Whole::Json { is_list: form == Form::JsonList };
                let first = if is_json { json } else { Whole::Bare(own) };
                let own = (own != Format::Json).then_some(Whole::Bare(own));
                let all =
                    [first].into_iter().chain(own).chain(bare).chain([json, Whole::Multipart, Whole::Zip]);
                pick(accept, all.collect())?
            }
            _ => several(accept, form, None)?,
        };
        let style = Self { shape, format, depth };
        groups.iter().try_for_each(|group| group.check(style.format_of(group.carrier), depth))?;
        Ok(style)
    }

    /// Format of each file of results of samples that came in `carrier`.
    fn format_of(self, carrier: &Carrier) -> Format {
        match self.shape {
            Whole::Bare(format) => format,
            Whole::Json { .. } | Whole::Multipart | Whole::Zip | Whole::Rows => {
                self.format.unwrap_or_else(|| carrier.format())
            }
        }
    }

    /// The carrier of `count` results at the depth that a request asks for.
    ///
    /// # Errors
    /// Single bits cannot be written in this style.
    pub(super) fn carry(self, carrier: Carrier, depth: ReplyDepth, count: usize) -> Result<Carrier, Problem> {
        let format = self.format_of(&carrier);
        if depth == ReplyDepth::One { Ok(carrier.into_bits(format, count)?) } else { Ok(carrier) }
    }

    /// The style for `count` latents.
    ///
    /// # Errors
    /// 406 with what could be written instead.
    pub(super) fn for_latents(accept: &Accept, form: Form, count: usize) -> Result<Self, Problem> {
        let shape = match count {
            1 if form != Form::JsonList => {
                let json = Whole::Json { is_list: false };
                let one = Whole::Bare(Format::Latent);
                pick(accept, vec![one, json, Whole::Multipart, Whole::Zip, Whole::Rows])?
            }
            _ => several(accept, form, Some(Whole::Rows))?,
        };
        Ok(Self { shape, format: None, depth: None })
    }

    /// Depth of results of samples that came in `carrier`: at most that of the file that they are written to.
    pub(super) fn depth_of(self, carrier: &Carrier) -> Depth {
        carrier.depth(self.format_of(carrier), self.depth)
    }

    /// Bytes of memory that writing takes at most, about, with the results.
    pub(super) fn bytes_to_write(self, outputs: &[Output]) -> usize {
        let is_json = matches!(self.shape, Whole::Json { .. });
        let bytes = |output: &Output| {
            let format = match self.shape {
                Whole::Bare(format) => format,
                _ => self.format.unwrap_or_else(|| output.payload.format()),
            };
            match format {
                // Values in lists, and their text.
                Format::Json | Format::Csv => output.payload.numbers().saturating_mul(96),
                // The file; its base64, and that within the text.
                _ if is_json => output.payload.bytes().saturating_mul(5),
                // The file, and all files together.
                _ => output.payload.bytes().saturating_mul(3),
            }
        };
        outputs.iter().map(bytes).fold(0, usize::saturating_add)
    }

    /// Writes the whole reply: its headers and its body. Blocks for as long as compressing images takes.
    ///
    /// # Errors
    /// A sample cannot be held by the format.
    pub(super) fn write(
        self,
        outputs: Vec<Output>,
        request_id: &str,
        mut times: Times,
    ) -> Result<(HeaderMap, Vec<u8>), Problem> {
        let mut headers = HeaderMap::new();
        let about: Vec<About> = outputs.iter().flat_map(|output| output.about.clone()).collect();
        let body = match self.shape {
            Whole::Bare(format) => {
                let entity = outputs[0].payload.entity(Some(format), self.depth)?;
                entity.describe(&mut headers);
                entity.bytes
            }
            Whole::Json { is_list } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Json.media_type()));
                let results = self.json(&outputs, is_list)?;
                times.lap("write");
                let reply = JsonReply { results, request_id: request_id.to_owned(), timing: times.timing() };
                serde_json::to_vec(&reply).map_err(Problem::internal)?
            }
            Whole::Multipart => {
                let boundary = format!("limpid-{}", uuid::Uuid::now_v7().simple());
                let kind = format!("{MULTIPART}; boundary={boundary}");
                headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).map_err(Problem::internal)?);
                self.multipart(&outputs, &boundary)?
            }
            Whole::Zip => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(ZIP));
                headers.insert(
                    CONTENT_DISPOSITION,
                    HeaderValue::from_static("attachment; filename=\"limpid.zip\""),
                );
                self.zip(&outputs)?
            }
            Whole::Rows => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(Format::Npy.media_type()));
                rows(&outputs)?
            }
        };
        if !matches!(self.shape, Whole::Json { .. }) {
            times.lap("write");
        }
        headers.insert(VARY, HeaderValue::from_static("accept"));
        headers.extend(about::headers(&about));
        headers.extend([times.to_header()]);
        Ok((headers, body))
    }

    fn json(self, outputs: &[Output], is_list: bool) -> Result<Results, Problem> {
        let one = |output: &Output| {
            let latent = match &output.payload {
                Payload::Latent(_, latent) => Some(latent),
                Payload::Samples(..) => None,
            };
            Ok(JsonResult {
                sample: output.payload.json(self.format, self.depth)?,
                about: Facts::of(&output.about),
                numbers: latent.map(|latent| latent.numbers()),
                sample_numbers: latent.map(|latent| latent.shape.numbers()),
            })
        };
        if !is_list {
            return one(&outputs[0]).map(Box::new).map(Results::One);
        }
        let samples = outputs.iter().map(one).collect::<Result<_, Problem>>()?;
        Ok(Results::Several { samples })
    }

    fn multipart(self, outputs: &[Output], boundary: &str) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        for (name, entity, output) in self.files(outputs)? {
            let mut headers = HeaderMap::new();
            entity.describe(&mut headers);
            headers.extend(about::headers(&output.about));
            body.extend(format!("--{boundary}\r\n").bytes());
            body.extend(
                format!("content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n").bytes(),
            );
            for (name, value) in &headers {
                body.extend(name.as_str().bytes().chain(*b": ").chain(value.as_bytes().iter().copied()));
                body.extend(b"\r\n");
            }
            body.extend(b"\r\n");
            body.extend(&entity.bytes);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").bytes());
        Ok(body)
    }

    fn zip(self, outputs: &[Output]) -> Result<Vec<u8>, Problem> {
        let files = self.files(outputs)?.into_iter().map(|(name, entity, _)| (name, entity.bytes));
        Ok(codec::write_zip(&files.collect::<Vec<_>>())?)
    }

    /// Every result as a file with a name of its own.
    fn files(self, outputs: &[Output]) -> Result<Vec<(String, Entity, &Output)>, Problem> {
        let mut files: Vec<(String, Entity, &Output)> = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            let entity = output.payload.entity(self.format, self.depth)?;
            let (stem, ending) = named(output.name.as_deref(), entity.format);
            let stem = if stem.is_empty() { format!("{}", index + 1) } else { stem };
            let mut name = format!("{stem}.{ending}");
            for number in index + 1.. {
                if files.iter().all(|(other, ..)| !other.eq_ignore_ascii_case(&name)) {
                    break;
                }
                name = format!("{stem}-{number}.{ending}");
            }
            files.push((name, entity, output));
        }
        Ok(files)
    }
}

/// Stem and ending of the file of a result: those of the file its samples came in where that had an ending of the same
/// format.
fn named(name: Option<&str>, format: Format) -> (String, String) {
    let (stem, ending) = name.map_or(("", None), |name| match name.rsplit_once('.') {
        Some((stem, ending)) => (stem, Some(ending)),
        None => (name, None),
    });
    let kept = ending.filter(|ending| Format::from_extension(ending) == Some(format)).map(safe);
    (safe(stem), kept.unwrap_or_else(|| format.extension().to_owned()))
}

/// The first of `offers` that is accepted, those written twice counted once.
fn pick(accept: &Accept, offers: Vec<Whole>) -> Result<Whole, Problem> {
    let mut list: Vec<(Whole, &'static str)> = Vec::new();
    for offer in offers {
        if list.iter().all(|(_, media_type)| *media_type != offer.media_type()) {
            list.push((offer, offer.media_type()));
        }
    }
    accept.pick(&list)
}

fn several(accept: &Accept, form: Form, last: Option<Whole>) -> Result<Whole, Problem> {
    let json = Whole::Json { is_list: true };
    let first = match form {
        Form::Json | Form::JsonList => [json, Whole::Multipart, Whole::Zip],
        Form::Multipart | Form::Bare => [Whole::Multipart, json, Whole::Zip],
    };
    pick(accept, first.into_iter().chain(last).collect())
}

/// One array with the numbers of each latent in a row, map by map, coarsest first.
fn rows(outputs: &[Output]) -> Result<Vec<u8>, Problem> {
    let latents: Vec<&Latent> = outputs
        .iter()
        .filter_map(|output| match &output.payload {
            Payload::Latent(_, latent) => Some(latent),
            Payload::Samples(..) => None,
        })
        .collect();
    let length = |latent: &Latent| latent.planes.iter().map(|plane| plane.data.len()).sum::<usize>();
    let numbers = latents.first().map_or(0, |latent| length(latent));
    if let Some(other) = latents.iter().find(|latent| length(latent) != numbers) {
        let detail = format!(
            "latents of {numbers} and of {} numbers are no rows of one array; send samples of one size, or accept {ZIP}",
            length(other)
        );
        return Err(Problem::new(Code::NotAcceptable, detail));
    }
    let data = latents.iter().flat_map(|latent| &latent.planes).flat_map(|plane| plane.data.iter().copied());
    let array = Array { dims: vec![latents.len(), numbers], data: data.collect(), dtype: DType::F32 };
    Ok(codec::write_npy(&array, DType::F32)?)
}

impl Whole {
    fn media_type(self) -> &'static str {
        match self {
            Whole::Bare(format) => format.media_type(),
            Whole::Json { .. } => Format::Json.media_type(),
            Whole::Multipart => MULTIPART,
            Whole::Zip => ZIP,
            Whole::Rows => Format::Npy.media_type(),
        }
    }
}

/// Facts about a group of results before they are computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Carrier that they are written in unless another is requested.
    pub(super) carrier: &'a Carrier,
    pub(super) kind: Kind,
    /// Samples.
    pub(super) count: usize,
    /// The samples, where they are there already.
    pub(super) samples: &'a [Sample],
}

impl Group {
    pub(super) fn subject(&self) -> Subject<'_> {
        let samples = self.samples.as_slice();
        Subject { carrier: &self.carrier, kind: samples[0].shape().kind(), count: samples.len(), samples }
    }
}

impl Subject<'_> {
    /// The formats of one file that can hold all samples.
    fn formats(&self) -> Vec<Format> {
        let can = |format: &Format| self.carrier.check_kind(self.kind, self.count, *format, None).is_ok();
        Format::ALL.into_iter().filter(can).collect()
    }

    /// Checks that a file of `format` can hold the results.
    fn check(&self, format: Format, depth: Option<Depth>) -> Result<(), Problem> {
        self.carrier.check_kind(self.kind, self.count, format, depth)?;
        Ok(self.carrier.check(self.samples, format, depth)?)
    }
}

/// The characters of a name that are safe in every file system and header.
fn safe(name: &str) -> String {
    let is_safe = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let text: String = name.chars().filter(is_safe).take(100).collect();
    text.trim_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT;

    use super::*;
    use crate::api::error::Code;
    use crate::codec::Layout;
    use crate::sample::{Sample, Shape};

    fn accept(text: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().unwrap());
        Accept::of(&headers)
    }

    fn group(format: Format) -> Group {
        let sample = Sample::new(Shape::image(1, 2, 2), vec![0.0, 0.25, 0.5, 1.0]).unwrap();
        let carrier = match format {
            Format::Npy | Format::Raw | Format::Json => {
                Carrier::Array(Layout::default_for(sample.shape()), format)
            }
            image => Carrier::Pictures(vec![codec::Carrier::plain(image, Depth::U8)]),
        };
        Group { name: None, carrier, samples: vec![sample] }
    }

    fn shape(text: &str, form: Form, format: Format) -> Option<Whole> {
        let group = group(format);
        let style = Style::for_samples(&accept(text), form, &[group.subject()], None, None);
        style.ok().map(|style| style.shape)
    }

    #[test]
    fn the_reply_has_the_kind_of_the_request() {
        assert_eq!(shape("*/*", Form::Bare, Format::Tiff), Some(Whole::Bare(Format::Tiff)));
        assert_eq!(shape("*/*", Form::Bare, Format::Raw), Some(Whole::Bare(Format::Raw)));
        assert_eq!(shape("*/*", Form::Json, Format::Png), Some(Whole::Json { is_list: false }));
        assert_eq!(shape("*/*", Form::Multipart, Format::Png), Some(Whole::Bare(Format::Png)));
    }

    #[test]
    fn accept_decides() {
        assert_eq!(shape("image/png", Form::Bare, Format::Npy), Some(Whole::Bare(Format::Png)));
        assert_eq!(shape("application/zip", Form::Bare, Format::Npy), Some(Whole::Zip));
        assert_eq!(shape("audio/ogg", Form::Bare, Format::Npy), None);
    }

    #[test]
    fn several_cannot_be_one_image() {
        let group = group(Format::Png);
        let groups = [group.subject(), group.subject()];
        let style = |text| Style::for_samples(&accept(text), Form::Multipart, &groups, None, None);
        assert_eq!(style("*/*").unwrap().shape, Whole::Multipart);
        assert_eq!(style("image/png").unwrap_err().code(), Code::NotAcceptable);
    }

    #[test]
    fn names_are_made_safe_and_single() {
        assert_eq!(safe("../a b\"\r\n.x"), "ab.x");
        let output = |name: &str| Output {
            name: Some(name.into()),
            payload: Payload::Samples(group(Format::Png).carrier, group(Format::Png).samples),
            about: Vec::new(),
        };
        let style = Style { shape: Whole::Zip, format: None, depth: None };
        let outputs = [output("a"), output("a-3"), output("a"), output("..")];
        let files = style.files(&outputs).unwrap();
        let names: Vec<_> = files.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["a.png", "a-3.png", "a-4.png", "4.png"]);
    }
}
