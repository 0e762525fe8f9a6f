//! Parameters of the operations: the same names and values as query parameters, form fields and JSON
//! members.

use crate::codec::{Depth, Format, Order};
use crate::corruption::Method;
use crate::infer::fit::Wishes;
use crate::infer::{Mode, Options};
use crate::name::{ModelRef, Name};
use crate::sample::{GapRule, Kind, Missing};

use super::error::Problem;

/// What an operation may be told.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Params {
    /// The model; chosen by the kind of sample when absent.
    pub(super) model: Option<ModelRef>,
    /// How to denoise.
    pub(super) options: Options,
    /// Wishes for the finish of the result.
    pub(super) wishes: Wishes,
    /// How fine the values of the reply are; as fine as those of the request when absent.
    pub(super) depth: Option<Depth>,
    /// The format of each sample of the reply; that of the request when absent.
    pub(super) format: Option<Format>,
    /// Rule for missing numbers.
    pub(super) gaps: GapRule,
    /// Order of the axes of arrays.
    pub(super) order: Option<Order>,
    /// Name of a noise profile.
    pub(super) name: Option<Name>,
    /// Samples that a noise profile is measured on.
    pub(super) method: Option<Method>,
    /// Kind of samples.
    pub(super) kind: Option<Kind>,
}

/// The parameters of `/denoise`.
pub(super) const DENOISE: &[&str] = &[
    "model",
    "mode",
    "strength",
    "strength_chroma",
    "detail",
    "ratio",
    "ensemble",
    "depth",
    "format",
    "layout",
    "missing",
    "missing_value",
];
/// The parameters of `/encode`.
pub(super) const ENCODE: &[&str] = &["model", "ratio", "layout", "missing", "missing_value"];
/// The parameters of `/decode`.
pub(super) const DECODE: &[&str] = &["model", "depth", "format"];
/// The parameters of `/evaluate`.
pub(super) const EVALUATE: &[&str] =
    &["model", "mode", "strength", "ratio", "ensemble", "layout", "missing", "missing_value"];
/// The parameters of a stream to `/denoise`.
pub(super) const STREAM: &[&str] = &["model", "mode", "strength", "ratio", "missing", "missing_value"];
/// The parameters of `/noise-profiles`.
pub(super) const PROFILE: &[&str] = &["name", "method", "kind", "layout", "missing", "missing_value"];

/// Fields that are looked at; more than any operation takes, so that each that is wrong can be named.
const MOST_FIELDS: usize = 32;

impl Params {
    /// The parameters in `fields`, of which `known` are taken.
    ///
    /// # Errors
    /// 400 with a pointer to each field that is unknown, given twice or out of its range.
    pub(super) fn parse(fields: &[(String, String)], known: &[&str]) -> Result<Self, Problem> {
        if fields.len() > MOST_FIELDS {
            let (count, known) = (fields.len(), known.join(", "));
            return Err(Problem::invalid(format!("{count} parameters, where there are only {known}")));
        }
        let mut params = Self::default();
        let mut problem: Option<Problem> = None;
        for (at, (name, value)) in fields.iter().enumerate() {
            let fault = if !known.contains(&name.as_str()) {
                Err(format!("not a parameter here; there are {}", known.join(", ")))
            } else if fields[..at].iter().any(|(earlier, _)| earlier == name) {
                Err("given twice".to_owned())
            } else {
                params.set(name, value.trim())
            };
            if let Err(detail) = fault {
                let pointer = format!("/{}", escape(name));
                problem = Some(match problem {
                    None => Problem::invalid_at(pointer, detail),
                    Some(problem) => problem.at(pointer, detail),
                });
            }
        }
        if problem.is_none() && params.options.mode == Mode::Strict && params.wishes != Wishes::default() {
            let name = if params.wishes.detail > 0.0 { "detail" } else { "strength_chroma" };
            let detail = format!("{name} acts in mode full alone: the strict result is decode(encode(x))");
            return Err(Problem::invalid_at(format!("/{name}"), detail));
        }
        problem.map_or(Ok(params), Err)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "model" => self.model = Some(value.parse().map_err(|e: crate::name::Error| e.to_string())?),
            "mode" => {
                self.options.mode = match value {
                    "full" => Mode::Full,
                    "strict" => Mode::Strict,
                    _ => return Err(format!("expected full or strict, got {}", shown(value))),
                }
            }
            "strength" => self.options.strength = number(value, 0.0, 1.0)?,
            "strength_chroma" => self.wishes.strength_chroma = Some(number(value, 0.0, 1.0)?),
            "detail" => self.wishes.detail = number(value, 0.0, 1.0)?,
            "ratio" => self.options.ratio = Some(number(value, f32::MIN_POSITIVE, 1e6)?),
            "ensemble" => {
                self.options.ensemble = match value {
                    "1" => 1,
                    "8" => 8,
                    _ => return Err(format!("expected 1 or 8, got {}", shown(value))),
                }
            }
            "depth" => {
                self.depth = match value {
                    "same" => None,
                    "8" => Some(Depth::U8),
                    "16" => Some(Depth::U16),
                    "float" => Some(Depth::F32),
                    _ => return Err(format!("expected same, 8, 16 or float, got {}", shown(value))),
                }
            }
            "format" => self.format = Some(format(value)?),
            "name" => self.name = Some(value.parse().map_err(|e: crate::name::Error| e.to_string())?),
            "method" => self.method = Some(word(value, "flat, repeats or noisy")?),
            "kind" => self.kind = Some(word(value, "image, signal or vector")?),
            "layout" if value == "auto" => self.order = None,
            "layout" => self.order = Some(value.parse()?),
            "missing" => {
                let missing = Missing::from_name(value);
                self.gaps.missing =
                    missing.ok_or_else(|| format!("expected keep, fill or refuse, got {}", shown(value)))?;
            }
            "missing_value" => {
                let number = value.parse::<f32>().ok().filter(|number| number.is_finite());
                self.gaps.sentinel =
                    Some(number.ok_or_else(|| format!("expected a number, got {}", shown(value)))?);
            }
            _ => unreachable!("only known names come here"),
        }
        Ok(())
    }
}

/// One of a few words.
fn word<T: serde::de::DeserializeOwned>(value: &str, expected: &str) -> Result<T, String> {
    serde_json::from_value(value.into()).map_err(|_| format!("expected {expected}, got {}", shown(value)))
}

fn format(value: &str) -> Result<Format, String> {
    let found = Format::from_extension(value).or_else(|| Format::from_media_type(value));
    found.filter(|format| *format != Format::Latent).ok_or_else(|| {
        let names = Format::ALL.into_iter().filter(|f| *f != Format::Latent).map(Format::extension);
        format!("expected one of {}, got {}", names.collect::<Vec<_>>().join(", "), shown(value))
    })
}

fn number(value: &str, low: f32, high: f32) -> Result<f32, String> {
    let number = value.parse::<f32>().ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| match low {
        0.0 => format!("expected a number in 0..{high}, got {}", shown(value)),
        _ => format!("expected a number above 0 and at most {high}, got {}", shown(value)),
    })
}

/// What a caller wrote, quoted and never longer than a line.
fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(40).collect::<String>())
}

/// A name as a token of a JSON Pointer, never longer than a line.
pub(super) fn escape(name: &str) -> String {
    name.chars().take(80).collect::<String>().replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &[(&str, &str)]) -> Result<Params, Problem> {
        let fields: Vec<_> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Params::parse(&fields, DENOISE)
    }

    #[test]
    fn every_parameter_is_read() {
        let params = parse(&[
            ("model", "photo-gray@2"),
            ("mode", "strict"),
            ("strength", "0.5"),
            ("ratio", "4"),
            ("ensemble", "8"),
            ("depth", "16"),
            ("format", "tiff"),
        ])
        .unwrap();
        assert_eq!(params.model.unwrap().to_string(), "photo-gray@2");
        let options = Options { mode: Mode::Strict, strength: 0.5, ratio: Some(4.0), ensemble: 8 };
        assert_eq!(params.options, options);
        assert_eq!((params.depth, params.format), (Some(Depth::U16), Some(Format::Tiff)));
    }

    #[test]
    fn bad_values_are_refused_one_by_one() {
        for (name, value) in [
            ("model", "../x"),
            ("mode", "Full"),
            ("strength", "1.01"),
            ("strength", "nan"),
            ("strength", ""),
            ("ratio", "0"),
            ("ratio", "inf"),
            ("ensemble", "2"),
            ("depth", "12"),
            ("format", "gif"),
            ("format", "latent"),
            ("sigma", "3"),
        ] {
            assert!(parse(&[(name, value)]).is_err(), "{name}={value}");
        }
        assert!(parse(&[("mode", "full"), ("mode", "full")]).is_err());
    }

    #[test]
    fn a_flood_of_fields_is_refused_as_one() {
        let problem = parse(&[("a", "1"); MOST_FIELDS + 1]).unwrap_err();
        assert!(problem.detail().contains("33 parameters") && problem.detail().len() < 200, "{problem}");
        assert!(parse(&[("a", "1"); MOST_FIELDS]).unwrap_err().detail().contains("/a"));
    }

    #[test]
    fn every_fault_is_named() {
        let problem = parse(&[("strength", "3"), ("a/b", "1")]).unwrap_err();
        let text = format!("{problem:?}");
        assert!(text.contains("\"/strength\"") && text.contains("\"/a~1b\""), "{text}");
    }
}
