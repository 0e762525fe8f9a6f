//! Negotiation: choice of the media type of a reply by `Accept` (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::error::{Code, Problem};

/// Media types that a client accepts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Accept(Vec<Range>);

#[derive(Debug, Clone, PartialEq)]
struct Range {
    kind: String,
    subtype: String,
    /// Quality in thousandths; 0 refuses.
    quality: u16,
}

impl Accept {
    /// The ranges of the headers; without any, everything is accepted. Parts that cannot be read are left out.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self(values.flat_map(|value| value.split(',')).filter_map(Range::parse).collect())
    }

    /// The offer of the highest quality; among equals the first.
    ///
    /// # Errors
    /// 406 with the list of offers.
    pub(super) fn pick<T: Copy>(&self, offers: &[(T, &'static str)]) -> Result<T, Problem> {
        let mut best: Option<(u16, T)> = None;
        for &(offer, media_type) in offers {
            let quality = self.quality(media_type);
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, offer));
            }
        }
        best.map(|(_, offer)| offer).ok_or_else(|| {
            let list: Vec<_> = offers.iter().map(|&(_, media_type)| media_type).collect();
            let detail = format!("this reply can be written as one of: {}", list.join(", "));
            Problem::new(Code::NotAcceptable, detail)
        })
    }

    /// The quality of a media type by its most specific range.
    fn quality(&self, media_type: &str) -> u16 {
        if self.0.is_empty() {
            return 1000;
        }
        let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
        let matching =
            self.0.iter().filter_map(|range| Some((range.specificity(kind, subtype)?, range.quality)));
        matching.max().map_or(0, |(_, quality)| quality)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())?
        });
        let quality = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16;
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), quality })
    }

    /// Precision with which the range names the type; `None` where it does not cover it.
    fn specificity(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => Some(0),
            (own, "*") if own == kind => Some(1),
            (own, sub) if own == kind && sub == subtype => Some(2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(accept: &str) -> Result<&'static str, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        let offers = ["image/png", "image/tiff", "application/json"].map(|t| (t, t));
        Accept::of(&headers).pick(&offers)
    }

    #[test]
    fn nothing_said_gives_the_first_offer() {
        assert_eq!(Accept::of(&HeaderMap::new()).pick(&[(1, "a/b"), (2, "c/d")]), Ok(1));
        assert_eq!(pick("*/*"), Ok("image/png"));
    }

    #[test]
    fn quality_decides_and_order_breaks_ties() {
        assert_eq!(pick("application/json, image/png;q=0.5"), Ok("application/json"));
        assert_eq!(pick("image/tiff, image/png"), Ok("image/png"));
        assert_eq!(pick("image/*;q=0.2, application/json;q=0.1"), Ok("image/png"));
    }

    #[test]
    fn the_most_specific_range_counts() {
        assert_eq!(pick("image/*, image/png;q=0"), Ok("image/tiff"));
        assert_eq!(pick("*/*;q=0.1, application/json"), Ok("application/json"));
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_the_list() {
        let problem = pick("audio/ogg").unwrap_err();
        assert_eq!(problem.code(), Code::NotAcceptable);
        assert!(problem.detail().contains("image/tiff"), "{problem}");
        assert!(pick("*/*;q=0").is_err());
    }
}
