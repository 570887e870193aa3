//! The kernels of f32 and f64.

use std::ops::{Add, Div, Mul, Neg, Sub};

use faer::traits::ComplexField;
use sparrot_foundation::Scalar;
use sparrot_simd::sparse_rows::{self, PANEL_BYTES, Selected, SparseRows};

/// f32 or f64, with the passes over a tile.
pub trait Element:
    Scalar
    + ComplexField
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Columns of a panel of the Gram matrix.
    const PANEL: usize = PANEL_BYTES / size_of::<Self>();
    /// 0.
    const ZERO: Self;

    /// `out_i = base_i + scale * x_i matrix` for rows that are sparse, or dense; see [`sparse_rows`].
    #[allow(clippy::too_many_arguments, reason = "as the kernel")]
    fn times_panels(
        rows: SparseRows<'_, Self>,
        dense: &[Self],
        stride: usize,
        panels: &[Self],
        columns: usize,
        scale: Self,
        base: &[Self],
        out: &mut [Self],
    );

    /// The entries of `x - step c` above `cut`; see [`sparse_rows`].
    fn select(
        x: &[Self],
        c: &[Self],
        step: Self,
        cut: Self,
        found: Selected<'_, Self>,
    ) -> (usize, bool);
}

macro_rules! element {
    ($float:ty, $times:ident, $select:ident) => {
        impl Element for $float {
            const ZERO: $float = 0.0;

            fn times_panels(
                rows: SparseRows<'_, $float>,
                dense: &[$float],
                stride: usize,
                panels: &[$float],
                columns: usize,
                scale: $float,
                base: &[$float],
                out: &mut [$float],
            ) {
                sparse_rows::$times(rows, dense, stride, panels, columns, scale, base, out);
            }

            fn select(
                x: &[$float],
                c: &[$float],
                step: $float,
                cut: $float,
                found: Selected<'_, $float>,
            ) -> (usize, bool) {
                sparse_rows::$select(x, c, step, cut, found)
            }
        }
    };
}
element!(f32, times_panels_f32, select_f32);
element!(f64, times_panels_f64, select_f64);
