//! A rectangle out of each map.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{floats, is_ours, stored};
use crate::kernel;

/// The part `rows` x `cols` of each map of `x`; `x` itself, if that is all of it.
///
/// # Shape
/// `x: (B, C, H, W)` -> `(B, C, rows, cols)`.
///
/// # Errors
/// It lies beyond `x`.
pub fn crop(x: &Tensor, rows: Range<usize>, cols: Range<usize>) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if rows.end > h || cols.end > w {
        bail!("crop: {rows:?} x {cols:?} lies beyond {h} x {w}");
    }
    if (rows.len(), cols.len()) == (h, w) {
        return Ok(x.clone());
    }
    if !is_ours(x) || x.track_op() {
        return x.narrow(2, rows.start, rows.len())?.narrow(3, cols.start, cols.len())?.contiguous();
    }
    x.contiguous()?.apply_op1_no_bwd(&Crop { rows, cols })
}

struct Crop {
    rows: Range<usize>,
    cols: Range<usize>,
}

impl CustomOp1 for Crop {
    fn name(&self) -> &'static str {
        "crop"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self { rows, cols } = self;
        let (b, c, _, w) = layout.shape().dims4()?;
        let part = kernel::crop(floats(x, layout)?, b * c, w, rows.clone(), cols.clone());
        Ok(stored(part, (b, c, rows.len(), cols.len())))
    }
}
