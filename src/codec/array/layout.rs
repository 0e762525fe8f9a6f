//! Layouts: order of the axes of an array, so that a reply has the same axes as its request.

use super::super::{Error, Result};
use super::{Array, Axes, DType, Known, Order};
use crate::sample::{Sample, Shape};

/// Layout of samples in an array: optional leading batch axis, order of axes, dtype.
///
/// Images of dtype `u8` or `u16` have the range 0..255 or 0..65535 in the array and 0..1 in samples; all other numbers
/// are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// `true` if the first axis is the batch axis.
    pub batched: bool,
    /// Order of the axes of one sample.
    pub axes: Axes,
    /// Number type of the array.
    pub dtype: DType,
}

impl Layout {
    /// Returns the layout of a reply to a request without a layout: no batch axis, `(H,W)` or `(H,W,C)`, `(C,L)`,
    /// `(D)`, `f32`.
    pub fn default_for(shape: Shape) -> Self {
        let axes = match shape {
            Shape::Image { channels: 1, .. } => Axes::Hw,
            Shape::Image { .. } => Axes::Hwc,
            Shape::Signal { .. } => Axes::Cl,
            Shape::Vector { .. } => Axes::D,
        };
        Self { batched: false, axes, dtype: DType::F32 }
    }

    /// Returns the factor from the numbers of a sample to those of the array.
    fn scale(&self) -> Option<f32> {
        match self.axes {
            Axes::Hw | Axes::Hwc | Axes::Chw => self.dtype.image_scale(),
            Axes::L | Axes::Cl | Axes::Lc | Axes::D => None,
        }
    }
}

impl Array {
    /// Finds the order of the axes and the shape of one sample, see [`Known::settle`].
    ///
    /// # Errors
    /// As [`Known::settle`].
    pub fn settle(&self, known: &Known) -> Result<(Order, Shape)> {
        known.settle(&self.dims)
    }

    /// Returns the number of samples of an array of this order, so that it can be checked against a limit first.
    pub fn sample_count(&self, order: Order) -> usize {
        if order.batched { self.dims.first().copied().unwrap_or(0) } else { 1 }
    }

    /// Splits the array into samples of `shape`, in the order of [`Array::settle`].
    ///
    /// # Range
    /// `u8` and `u16` images are scaled to 0..1 (divided by 255 or 65535); all other numbers are unchanged.
    ///
    /// # Errors
    /// [`Error::AllMissing`]; [`Error::Shape`] if the numbers are not whole samples.
    pub fn into_samples(mut self, (order, shape): (Order, Shape)) -> Result<(Vec<Sample>, Layout)> {
        let layout = Layout { batched: order.batched, axes: order.axes, dtype: self.dtype };
        if let Some(scale) = layout.scale() {
            self.data.iter_mut().for_each(|v| *v /= scale);
        }
        if !layout.axes.is_interleaved() && self.data.len() == shape.numbers() {
            return Ok((samples_of(shape, self.data)?, layout));
        }
        if layout.axes == Axes::D {
            return Ok((samples_of(shape, self.data)?, layout));
        }
        let one = |numbers: &[f32]| {
            let data = match layout.axes.is_interleaved() {
                true => interleaved_to_planar(numbers, shape.channels()),
                false => numbers.to_vec(),
            };
            Ok(Sample::with_gaps(shape, data)?)
        };
        let samples = self.data.chunks_exact(shape.numbers()).map(one).collect::<Result<_>>()?;
        Ok((samples, layout))
    }

    /// Joins `samples` into an array of `layout`, with numbers of scaled image dtypes scaled back.
    ///
    /// # Errors
    /// [`Error::Shape`]: the samples differ in shape, there are none, there are several but no batch axis, or their
    /// shape does not fit the order of axes.
    pub fn from_samples(samples: &[Sample], layout: &Layout) -> Result<Self> {
        let Some(first) = samples.first() else {
            return Err(Error::shape("1 or more samples for an array", "none"));
        };
        let shape = first.shape();
        if let Some(other) = samples.iter().find(|s| s.shape() != shape) {
            return Err(Error::shape(format!("samples of one shape ({shape}) for one array"), other.shape()));
        }
        if samples.len() > 1 && !layout.batched {
            return Err(Error::shape("1 sample for an array without a batch axis", samples.len()));
        }
        let own = layout.axes.dims(shape);
        let mut dims = own.ok_or_else(|| {
            Error::shape(
                format!("a sample with the axes {:?} (rank {})", layout.axes, layout.axes.rank()),
                shape,
            )
        })?;
        if layout.batched {
            dims.insert(0, samples.len());
        }
        let mut data = Vec::with_capacity(shape.numbers() * samples.len());
        for sample in samples {
            match layout.axes.is_interleaved() {
                true => data.extend(planar_to_interleaved(&sample.written(), shape.channels())),
                false => data.extend_from_slice(&sample.written()),
            }
        }
        if let Some(scale) = layout.scale() {
            data.iter_mut().for_each(|v| *v *= scale);
        }
        Ok(Array { dims, data, dtype: layout.dtype })
    }
}

/// Splits numbers into samples of `shape`, in which some may be missing.
fn samples_of(shape: Shape, data: Vec<f32>) -> Result<Vec<Sample>> {
    Ok(match shape {
        Shape::Vector { features } => Sample::vectors_with_gaps(features, data)?,
        _ => vec![Sample::with_gaps(shape, data)?],
    })
}

/// Converts `(H,W,C)` to `(C,H,W)`, or `(L,C)` to `(C,L)`.
pub(in crate::codec) fn interleaved_to_planar(data: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|c| data.iter().skip(c).step_by(channels).copied()).collect()
}

/// Converts `(C,H,W)` to `(H,W,C)`, or `(C,L)` to `(L,C)`.
pub(in crate::codec) fn planar_to_interleaved(data: &[f32], channels: usize) -> Vec<f32> {
    let pixels = data.len() / channels;
    (0..pixels).flat_map(|p| (0..channels).map(move |c| data[c * pixels + p])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dims_text;
    use super::*;
    use crate::sample::{Kind, Spec};

    fn array(dims: &[usize], dtype: DType) -> Array {
        let numbers: usize = dims.iter().product();
        Array { dims: dims.to_vec(), data: (0..numbers).map(|i| i as f32).collect(), dtype }
    }

    fn spec(kind: Kind, channels: usize) -> Spec {
        Spec { kind, channels, fixed: None }
    }

    fn array_as(array: Array, spec: &Spec) -> Result<(Vec<Sample>, Layout)> {
        let found = array.settle(&Known::of(spec))?;
        array.into_samples(found)
    }

    fn read(dims: &[usize], spec: &Spec) -> Result<(usize, Shape, Layout)> {
        let (samples, layout) = array_as(array(dims, DType::F32), spec)?;
        Ok((samples.len(), samples[0].shape(), layout))
    }

    #[test]
    fn images_come_in_every_order_with_and_without_a_batch() {
        let gray = spec(Kind::Image, 1);
        let color = spec(Kind::Image, 3);
        for (dims, spec, count, batched, axes) in [
            (&[4, 5][..], &gray, 1, false, Axes::Hw),
            (&[4, 5, 1], &gray, 1, false, Axes::Hwc),
            (&[2, 4, 5], &gray, 2, true, Axes::Hw),
            (&[2, 4, 5, 1], &gray, 2, true, Axes::Hwc),
            (&[2, 1, 4, 5], &gray, 2, true, Axes::Chw),
            (&[4, 5, 3], &color, 1, false, Axes::Hwc),
            (&[3, 4, 5], &color, 1, false, Axes::Chw),
            (&[2, 4, 5, 3], &color, 2, true, Axes::Hwc),
            (&[2, 3, 4, 5], &color, 2, true, Axes::Chw),
        ] {
            let (n, shape, layout) = read(dims, spec).unwrap();
            assert_eq!((n, shape), (count, Shape::image(spec.channels, 4, 5)), "{dims:?}");
            assert_eq!((layout.batched, layout.axes), (batched, axes), "{dims:?}");
        }
    }

    #[test]
    fn signals_and_vectors_come_with_and_without_a_batch() {
        for (dims, channels, count, axes) in [
            (&[7][..], 1, 1, Axes::L),
            (&[1, 7], 1, 1, Axes::Cl),
            (&[2, 7], 1, 2, Axes::L),
            (&[2, 7], 2, 1, Axes::Cl),
            (&[3, 2, 7], 2, 3, Axes::Cl),
        ] {
            let (n, shape, layout) = read(dims, &spec(Kind::Signal, channels)).unwrap();
            assert_eq!(
                (n, shape, layout.axes),
                (count, Shape::Signal { channels, length: 7 }, axes),
                "{dims:?}"
            );
        }
        assert_eq!(read(&[9], &spec(Kind::Vector, 1)).unwrap().1, Shape::Vector { features: 9 });
        assert_eq!(read(&[4, 9], &spec(Kind::Vector, 1)).unwrap().0, 4);
    }

    #[test]
    fn a_fixed_shape_decides_between_orders() {
        let fixed = |h, w| Spec { kind: Kind::Image, channels: 1, fixed: Some(Shape::image(1, h, w)) };
        // Without a fixed shape, a last axis of 1 means one image of 28x28.
        assert_eq!(read(&[28, 28, 1], &spec(Kind::Image, 1)).unwrap().0, 1);
        assert_eq!(read(&[28, 28, 1], &fixed(28, 1)).unwrap().0, 28);
        assert_eq!(read(&[1, 28, 28], &fixed(28, 28)).unwrap().1, Shape::image(1, 28, 28));
        assert!(matches!(read(&[28, 29], &fixed(28, 28)), Err(Error::Shape { .. })));
    }

    #[test]
    fn wrong_ranks_and_channels_are_told_what_is_accepted() {
        for (dims, spec) in [
            (&[][..], spec(Kind::Image, 1)),
            (&[7], spec(Kind::Image, 1)),
            (&[4, 5], spec(Kind::Image, 3)),
            (&[4, 5, 5], spec(Kind::Image, 3)),
            (&[5, 4, 5], spec(Kind::Image, 3)),
            (&[4, 5, 0], spec(Kind::Image, 3)),
            (&[0, 4, 5], spec(Kind::Image, 1)),
            (&[1, 2, 3, 4, 5], spec(Kind::Image, 3)),
            (&[5, 7], spec(Kind::Signal, 2)),
            (&[2, 2, 2], spec(Kind::Vector, 1)),
        ] {
            let error = read(dims, &spec).unwrap_err();
            let Error::Shape { expected, got } = error else { panic!("{dims:?}: {error}") };
            assert!(expected.contains('('), "{expected}");
            assert_eq!(got, dims_text(dims));
        }
    }

    #[test]
    fn samples_go_back_to_the_array_they_came_from() {
        for (dims, channels) in
            [(&[2, 3, 4, 3][..], 3), (&[3, 3, 4], 3), (&[3, 4, 3], 3), (&[5, 4, 2], 1), (&[4, 2], 1)]
        {
            for dtype in [DType::F32, DType::U8, DType::U16, DType::I16] {
                let array = array(dims, dtype);
                let (samples, layout) = array_as(array.clone(), &spec(Kind::Image, channels)).unwrap();
                let back = Array::from_samples(&samples, &layout).unwrap();
                assert_eq!((&back.dims, back.dtype), (&array.dims, dtype));
                let near = back.data.iter().zip(&array.data).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(near, "{dims:?} {dtype}");
            }
        }
    }

    #[test]
    fn only_images_of_unsigned_bytes_are_scaled() {
        let one = Array { dims: vec![1, 2], data: vec![0.0, 255.0], dtype: DType::U8 };
        let image = array_as(one.clone(), &spec(Kind::Image, 1)).unwrap().0;
        assert_eq!(image[0].data(), [0.0, 1.0]);
        let signal = array_as(one, &spec(Kind::Signal, 1)).unwrap().0;
        assert_eq!(signal[0].data(), [0.0, 255.0]);
    }

    #[test]
    fn channels_last_becomes_channels_first() {
        let (samples, _) = array_as(array(&[1, 2, 3], DType::F32), &spec(Kind::Image, 3)).unwrap();
        assert_eq!(samples[0].data(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn a_number_that_is_not_finite_is_missing_and_comes_back_so() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let data = vec![0.0, 0.25, 0.5, 0.0, bad, bad];
            let array = Array { dims: vec![1, 2, 3], data, dtype: DType::F32 };
            let error = array.check_finite().unwrap_err();
            assert!(
                matches!(&error, Error::NonFinite { place, count: 2, .. } if place == "index (0, 1, 1)"),
                "{error}"
            );
            let (samples, layout) = array_as(array, &spec(Kind::Image, 3)).unwrap();
            assert_eq!(samples[0].data(), [0.0, 0.0, 0.25, 0.25, 0.5, 0.5]);
            let back = Array::from_samples(&samples, &layout).unwrap();
            assert!(back.data[4].is_nan() && back.data[5].is_nan() && back.data[3] == 0.0);
        }
    }

    #[test]
    fn samples_that_do_not_fit_one_array_are_refused() {
        let a = Sample::new(Shape::image(1, 1, 2), vec![0.0; 2]).unwrap();
        let b = Sample::new(Shape::image(1, 2, 1), vec![0.0; 2]).unwrap();
        let flat = Layout::default_for(a.shape());
        let batched = Layout { batched: true, ..flat };
        assert!(Array::from_samples(&[], &batched).is_err());
        assert!(Array::from_samples(&[a.clone(), b], &batched).is_err());
        assert!(Array::from_samples(&[a.clone(), a.clone()], &flat).is_err());
        assert!(Array::from_samples(&[a], &Layout { axes: Axes::Cl, ..flat }).is_err());
    }
}
