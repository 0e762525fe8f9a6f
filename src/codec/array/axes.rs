//! Axes: the order of the axes of an array, stated or found by their extents, the same for training, evaluation and
//! serving.

use std::fmt;
use std::str::FromStr;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::{Error, Result};
use super::dims_text;
use crate::sample::{Kind, Shape, Spec};

/// Largest extent of an axis that is taken for channels of a signal.
const MOST_CHANNELS: usize = 64;

/// An axis is taken for channels if it is shorter than this
const NARROW: usize = 16;

/// and the other, the time, is at least this long: images do not have these proportions.
const LONG: usize = 256;

/// Ratio of time to channels from which an axis of up to [`MOST_CHANNELS`] is taken for channels of a signal.
const SLIM: usize = 4;

/// The same where images and vectors are possible too.
const SLIMMER: usize = 16;

/// Order of the axes of one sample in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axes {
    /// `(H, W)`: an image of one channel.
    Hw,
    /// `(H, W, C)`: an image, channels last.
    Hwc,
    /// `(C, H, W)`: an image, channels first.
    Chw,
    /// `(L)`: a signal of one channel.
    L,
    /// `(C, L)`: a signal.
    Cl,
    /// `(L, C)`: a signal, one step in time after the other.
    Lc,
    /// `(D)`: a vector.
    D,
}

/// Order of all axes of an array: those of a sample, and a batch axis before them if there is one.
///
/// Written as one letter per axis: `N` (or `B`, `Z`) samples, `C` channels, `H` and `W` (or `Y` and `X`) rows and columns
/// of an image, `L` steps in time, `D` numbers of a vector; `T` is the frames of images and the steps of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    /// `true` if the first axis counts samples.
    pub batched: bool,
    /// Order of the axes of one sample.
    pub axes: Axes,
}

/// Order of axes as the user states it, or `auto`: found by the extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayoutChoice(pub Option<Order>);

/// Knowledge of an array besides its extents.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Known {
    /// Kind of the samples.
    pub kind: Option<Kind>,
    /// Channels of the samples.
    pub channels: Option<usize>,
    /// Shape of each sample.
    pub fixed: Option<Shape>,
    /// Order of the axes, as the user states it.
    pub order: Option<Order>,
}

impl Axes {
    const ALL: [Axes; 7] = [Axes::Hw, Axes::Hwc, Axes::Chw, Axes::L, Axes::Cl, Axes::Lc, Axes::D];

    pub(super) fn rank(self) -> usize {
        match self {
            Axes::L | Axes::D => 1,
            Axes::Hw | Axes::Cl | Axes::Lc => 2,
            Axes::Hwc | Axes::Chw => 3,
        }
    }

    fn letters(self) -> &'static str {
        match self {
            Axes::Hw => "HW",
            Axes::Hwc => "HWC",
            Axes::Chw => "CHW",
            Axes::L => "L",
            Axes::Cl => "CL",
            Axes::Lc => "LC",
            Axes::D => "D",
        }
    }

    /// Kind of the samples.
    pub fn kind(self) -> Kind {
        match self {
            Axes::Hw | Axes::Hwc | Axes::Chw => Kind::Image,
            Axes::L | Axes::Cl | Axes::Lc => Kind::Signal,
            Axes::D => Kind::Vector,
        }
    }

    /// Returns the shape of a sample with extents `dims` in this order of axes.
    pub(super) fn shape(self, dims: &[usize]) -> Option<Shape> {
        Some(match (self, dims) {
            (Axes::Hw, &[height, width]) => Shape::image(1, height, width),
            (Axes::Hwc, &[height, width, channels]) => Shape::image(channels, height, width),
            (Axes::Chw, &[channels, height, width]) => Shape::image(channels, height, width),
            (Axes::L, &[length]) => Shape::Signal { channels: 1, length },
            (Axes::Cl, &[channels, length]) => Shape::Signal { channels, length },
            (Axes::Lc, &[length, channels]) => Shape::Signal { channels, length },
            (Axes::D, &[features]) => Shape::Vector { features },
            _ => return None,
        })
    }

    /// Returns the extents of a sample of `shape` in this order of axes.
    pub(super) fn dims(self, shape: Shape) -> Option<Vec<usize>> {
        Some(match (self, shape) {
            (Axes::Hw, Shape::Image { channels: 1, height, width }) => vec![height, width],
            (Axes::Hwc, Shape::Image { channels, height, width }) => vec![height, width, channels],
            (Axes::L, Shape::Signal { channels: 1, length }) => vec![length],
            (Axes::Lc, Shape::Signal { channels, length }) => vec![length, channels],
            (Axes::Chw, Shape::Image { .. })
            | (Axes::Cl, Shape::Signal { .. })
            | (Axes::D, Shape::Vector { .. }) => shape.dims(),
            _ => return None,
        })
    }

    /// Returns `true` if channels are the last axis, so that their numbers are interleaved.
    pub(super) fn is_interleaved(self) -> bool {
        matches!(self, Axes::Hwc | Axes::Lc)
    }
}

impl Order {
    /// Returns the shape of one sample of an array with extents `dims`.
    fn shape(self, dims: &[usize]) -> Option<Shape> {
        self.axes.shape(if self.batched { dims.get(1..)? } else { dims })
    }

    /// Describes what an array with extents `dims` is in this order.
    fn describe(self, dims: &[usize]) -> String {
        let shape = self.shape(dims).map_or_else(String::new, |shape| shape.to_string());
        let count = if self.batched { dims[0] } else { 1 };
        format!("{self} ({count} {shape})")
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.batched { "N" } else { "" }, self.axes.letters())
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let marks = |c: &char| !matches!(c, '(' | ')' | ',' | ' ');
        let is_image = upper.contains(['H', 'Y', 'W', 'X']);
        let letter = |c| match c {
            'Y' => 'H',
            'X' => 'W',
            'B' | 'Z' => 'N',
            'T' if is_image => 'N',
            'T' => 'L',
            'F' => 'D',
            other => other,
        };
        let letters: String = upper.chars().filter(marks).map(letter).collect();
        let (batched, own) = letters.strip_prefix('N').map_or((false, letters.as_str()), |own| (true, own));
        let axes = Axes::ALL.into_iter().find(|axes| axes.letters() == own);
        axes.map(|axes| Self { batched, axes }).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!(
                "expected the axes of an array, such as HW, HWC, CHW, TYX (images), L, CL, LC (signals) or D (vectors), with N \
                 before them for several samples, got {shown:?}"
            )
        })
    }
}

impl LayoutChoice {
    /// Returns `true` for `auto`.
    pub fn is_auto(&self) -> bool {
        self.0.is_none()
    }
}

impl FromStr for LayoutChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "auto" { Ok(Self(None)) } else { text.parse().map(|order| Self(Some(order))) }
    }
}

impl TryFrom<String> for LayoutChoice {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<LayoutChoice> for String {
    fn from(LayoutChoice(order): LayoutChoice) -> Self {
        order.map_or_else(|| "auto".to_owned(), |order| order.to_string())
    }
}

impl PartialSchema for LayoutChoice {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).description(Some(
            "Axes of an array, one letter each: HW, HWC, CHW, TYX (images), L, CL, LC (signals) or D (vectors), with N \
             before them for several samples; auto finds them by the extents.",
        ));
        Schema::Object(text.examples(["auto", "LC", "TYX"]).build()).into()
    }
}

impl ToSchema for LayoutChoice {}

impl Known {
    /// Returns the knowledge from a model with input `spec`; its channels are unknown if 0.
    pub fn of(spec: &Spec) -> Self {
        let channels = (spec.channels > 0 && spec.kind != Kind::Vector).then_some(spec.channels);
        Self { kind: Some(spec.kind), channels, fixed: spec.fixed, order: None }
    }

    /// Finds the order of the axes of an array with extents `dims`, and the shape of one sample.
    ///
    /// A stated order is checked. Otherwise kind, channels and shape of the samples decide as far as they are known, then
    /// the extents: an axis shorter than 16 beside one of at least 256 is channels beside time, a last axis of 3 is colour.
    /// For a model of one channel, two axes are signals one after the other unless the second is too short for one.
    ///
    /// # Errors
    /// [`Error::Unsure`] with the possible orders, if several are likely; [`Error::Shape`] if none is possible.
    pub fn settle(&self, dims: &[usize]) -> Result<(Order, Shape)> {
        let possible = self.possible(dims);
        let found = match self.order {
            Some(order) => match possible.iter().find(|(other, _)| *other == order) {
                Some(found) => vec![*found],
                None => {
                    return Err(Error::shape(
                        format!("{} in the order {order}", self.expected()),
                        dims_text(dims),
                    ));
                }
            },
            None => self.likely(dims, &possible),
        };
        match found.as_slice() {
            [] => Err(Error::shape(self.expected(), dims_text(dims))),
            [only] => Ok(*only),
            several => Err(Error::Unsure {
                got: dims_text(dims),
                options: several.iter().map(|(order, _)| order.describe(dims)).collect(),
            }),
        }
    }

    /// Returns all orders that the kind, the channels and the shape allow.
    fn possible(&self, dims: &[usize]) -> Vec<(Order, Shape)> {
        if dims.contains(&0) {
            return Vec::new();
        }
        let orders =
            [false, true].into_iter().flat_map(|batched| Axes::ALL.map(|axes| Order { batched, axes }));
        let fits = |order: Order, shape: &Shape| match (self.fixed, self.kind) {
            (Some(fixed), _) => fixed == *shape,
            (None, Some(kind)) if kind != shape.kind() => false,
            (None, _) => match (shape, self.channels) {
                (Shape::Vector { .. }, _) => true,
                // A signal of several channels is as many of one.
                (Shape::Signal { channels, .. }, Some(1)) if !order.batched => *channels <= MOST_CHANNELS,
                (Shape::Image { channels, .. }, Some(1)) => matches!(channels, 1 | 3),
                (_, Some(known)) => shape.channels() == known,
                (Shape::Image { channels, .. }, None) => matches!(channels, 1 | 3),
                (Shape::Signal { channels, .. }, None) => *channels <= MOST_CHANNELS,
            },
        };
        let orders = orders.filter(|order| order.axes.rank() + usize::from(order.batched) == dims.len());
        orders
            .filter_map(|order| Some((order, order.shape(dims).filter(|shape| fits(order, shape))?)))
            .collect()
    }

    /// Returns the likely ones of the `possible` orders: one if the extents leave no doubt.
    fn likely(&self, dims: &[usize], possible: &[(Order, Shape)]) -> Vec<(Order, Shape)> {
        let wanted: &[&str] = match (self.kind, self.channels, dims) {
            // What is known of the samples leaves one.
            _ if possible.len() == 1 && self.channels.is_some() => return possible.to_vec(),
            // The fixed shape leaves several only for equal extents.
            _ if self.fixed.is_some() => {
                &["HW", "HWC", "NHW", "CHW", "NHWC", "NCHW", "L", "CL", "NL", "NCL", "D", "ND"]
            }
            (Some(Kind::Image), Some(1), [_, _, 1]) => &["HWC"],
            // A model of one channel takes colours one after the other, too.
            (Some(Kind::Image), Some(1), [_, _, 3]) => &["?", "HWC", "NHW"],
            (Some(Kind::Image), Some(1), [_, _, _]) => &["NHW"],
            (Some(Kind::Image), Some(_), _) => &["HW", "HWC", "CHW", "NHWC", "NCHW"],
            (Some(Kind::Signal), Some(1), [a, b]) => lines(*a, *b),
            (Some(Kind::Signal), Some(1), _) => &["NCL", "NLC"],
            (Some(Kind::Signal), _, &[a, b]) if is_slim(a, b, SLIM) => {
                if a <= b {
                    &["CL"]
                } else {
                    &["LC"]
                }
            }
            (Some(Kind::Signal), _, &[_, a, b]) if is_slim(a, b, SLIM) => {
                if a <= b {
                    &["NCL"]
                } else {
                    &["NLC"]
                }
            }
            (Some(Kind::Signal), ..) => return possible.to_vec(),
            (Some(Kind::Vector), ..) => &["D", "ND"],
            (None | Some(Kind::Image), _, dims) => images(self.kind.is_none(), dims),
        };
        // In the order of `wanted`, of which the first that is possible counts, unless there is a question mark.
        let of = |name: &str| possible.iter().find(|(order, _)| order.to_string() == name).copied();
        match wanted.split_first() {
            Some((&"?", options)) => options.iter().filter_map(|name| of(name)).collect(),
            _ => wanted.iter().find_map(|name| of(name)).into_iter().collect(),
        }
    }

    /// Returns the accepted orders as text for an error.
    fn expected(&self) -> String {
        let c = self.channels.unwrap_or(0);
        let orders = match (self.kind, c) {
            (None, _) => "(D), (H,W), (H,W,3), (C,L), or a batch of these".to_owned(),
            (Some(Kind::Image), 1) => {
                "(H,W), (H,W,1), (1,H,W), or a batch (B,H,W), (B,H,W,1), (B,1,H,W)".to_owned()
            }
            (Some(Kind::Image), 0) => "(H,W), (H,W,3), (3,H,W), or a batch of these".to_owned(),
            (Some(Kind::Image), _) => format!("(H,W,{c}), ({c},H,W), or a batch (B,H,W,{c}), (B,{c},H,W)"),
            (Some(Kind::Signal), 1) => "(L), (1,L), or a batch (B,L), (B,1,L)".to_owned(),
            (Some(Kind::Signal), 0) => "(L), (C,L), (L,C), or a batch of these".to_owned(),
            (Some(Kind::Signal), _) => format!("({c},L), (L,{c}), or a batch (B,{c},L), (B,L,{c})"),
            (Some(Kind::Vector), _) => "(D), or a batch (B,D)".to_owned(),
        };
        match self.fixed {
            Some(fixed) => format!("one {fixed} as {orders}"),
            None => orders,
        }
    }
}

/// Returns `true` if the shorter of two axes is short enough for channels beside `times` as many steps in time.
fn is_slim(a: usize, b: usize, times: usize) -> bool {
    let (short, long) = (a.min(b), a.max(b));
    short < NARROW && long > short || short <= MOST_CHANNELS && long >= times * short
}

/// Returns the order of signals of one channel with two axes.
fn lines(a: usize, b: usize) -> &'static [&'static str] {
    match b {
        1 => &["LC"],
        _ if a == 1 => &["CL"],
        // Rows this short are no signals but steps in time of several channels.
        _ if b < NARROW && a >= NARROW => &["LC"],
        _ if b <= MOST_CHANNELS && a >= SLIM * b => &["?", "NL", "LC"],
        _ => &["NL"],
    }
}

/// Returns the order of images of unknown channels, or of samples of an unknown kind if `is_any`.
fn images(is_any: bool, dims: &[usize]) -> &'static [&'static str] {
    match *dims {
        [_] => &["D"],
        [a, b] if is_any && a.min(b) < NARROW && a.max(b) >= LONG => {
            if a <= b {
                &["CL"]
            } else {
                &["LC"]
            }
        }
        [a, b] if is_any && is_slim(a, b, SLIMMER) && a.min(b) >= NARROW => &["?", "HW", "CL", "LC", "ND"],
        [_, _] => &["HW"],
        [_, _, 1 | 3] => &["HWC"],
        [_, a, b] if is_any && a < NARROW && b >= LONG => &["NCL"],
        [_, a, b] if is_any && b < NARROW && a >= LONG => &["NLC"],
        [3, _, _] => &["?", "CHW", "NHW"],
        // Channels of another number, last: no image that is known here.
        [n, h, w] if w < NARROW && w < n.min(h) => &[],
        [_, _, _] => &["NHW"],
        [_, 1 | 3, _, 1 | 3] => &["?", "NHWC", "NCHW"],
        _ => &["NHWC", "NCHW"],
    }
}

#[cfg(test)]
mod tests;
