//! The two halves of a proximal gradient step on many sparse rows: their products with a matrix, and
//! the step itself, which collects what is left of each row.
//!
//! **Products.** The matrix is cut into panels of columns, [`PANEL_BYTES`] wide and contiguous, so
//! that a panel of some hundred rows stays in the first cache while the rows of codes go by. Each
//! number of a code is multiplied by a row of the panel into one of four sets of registers; of the
//! codes only what is not 0 is looked at.

use std::ops::Range;

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::lanes::{Simd, Vector};

/// The width of a panel: two registers of the widest level.
pub const PANEL_BYTES: usize = 128;
/// Products that are summed apart, to hide the time that one addition takes.
const CHAINS: usize = 4;

/// A matrix, cut into panels of columns: of each, one row after the other, filled up with 0.
#[derive(Debug)]
pub struct Panels<T> {
    values: Vec<T>,
    /// Where the first panel starts: at a line of the cache, so that no load crosses one.
    start: usize,
    rows: usize,
    columns: usize,
}

impl<T: Copy + Default> Panels<T> {
    const WIDTH: usize = PANEL_BYTES / size_of::<T>();

    /// How many numbers are stored for a matrix of that shape.
    pub fn count(rows: usize, columns: usize) -> usize {
        columns.div_ceil(Self::WIDTH).saturating_mul(rows).saturating_mul(Self::WIDTH)
    }

    /// The matrix with these entries.
    pub fn new(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> T) -> Panels<T> {
        const LINE: usize = 64;
        let spare = LINE / size_of::<T>();
        let mut values: Vec<T> = Vec::with_capacity(Self::count(rows, columns) + spare);
        let start = values.as_ptr().align_offset(LINE).min(spare);
        values.resize(start, T::default());
        for first in (0..columns).step_by(Self::WIDTH) {
            for i in 0..rows {
                for j in first..first + Self::WIDTH {
                    values.push(if j < columns { entry(i, j) } else { T::default() });
                }
            }
        }
        Panels { values, start, rows, columns }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// Rows of numbers of which most are 0: for each row the places of the others, and what they are.
#[derive(Clone, Debug)]
pub struct Codes<T> {
    ends: Vec<usize>,
    places: Vec<u32>,
    values: Vec<T>,
}

impl<T> Default for Codes<T> {
    fn default() -> Codes<T> {
        Codes { ends: vec![], places: vec![], values: vec![] }
    }
}

impl<T: Copy + Default + PartialEq> Codes<T> {
    /// Appends what is not 0 of a row; there must be room.
    pub fn push(&mut self, row: &[T]) {
        let mut count = self.count();
        for (j, v) in row.iter().enumerate() {
            if *v != T::default() {
                self.places[count] = j as u32;
                self.values[count] = *v;
                count += 1;
            }
        }
        self.ends.push(count);
    }

    /// Removes all rows, and makes room for so many of such a length.
    pub fn clear(&mut self, rows: usize, length: usize) {
        self.ends.clear();
        // A register more than there can be: they are written whole.
        let room = rows * length + PANEL_BYTES / size_of::<T>();
        if self.values.len() < room {
            self.places.resize(room, 0);
            self.values.resize(room, T::default());
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn range(&self, row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start..self.ends[row]
    }

    /// The places and values of a row.
    pub fn row(&self, row: usize) -> (&[u32], &[T]) {
        let range = self.range(row);
        (&self.places[range.clone()], &self.values[range])
    }

    /// The same, with values that can be changed.
    pub fn row_mut(&mut self, row: usize) -> (&[u32], &mut [T]) {
        let range = self.range(row);
        (&self.places[range.clone()], &mut self.values[range])
    }
}

/// Shrinks magnitudes u: to 0 up to `cut`, beyond it to the least of u and the larger of the lines
/// `(u - shift) slope`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrinkage<T> {
    /// Up to here the result is 0.
    pub cut: T,
    /// The first line.
    pub first: [T; 2],
    /// The second line; a slope of 0 for none.
    pub second: [T; 2],
    /// Whether negative numbers become 0.
    pub positive: bool,
}

/// A step: `v = z - t h` with the extrapolations `z = x + beta (x - x_old)`, `h = g + beta (g - g_old)`.
#[derive(Clone, Copy, Debug)]
pub struct Step<T> {
    /// t.
    pub size: T,
    /// beta.
    pub momentum: T,
    /// Whether to measure how far it went.
    pub measure: bool,
}

/// f32 or f64, with the kernels.
pub trait Element: Copy + Default + PartialEq + Send + Sync {
    /// `out = codes matrix - base`, by rows; `out` and `base` have rows of the matrix's length.
    fn products(codes: &Codes<Self>, matrix: &Panels<Self>, base: &[Self], out: &mut [Self]);

    /// Does a step for a row: from x and g, and in `old` and `g_old` those of the step before, to
    /// `old`. What is not 0 of it becomes the next row of `codes`. If it is measured: the squared
    /// length of the move from x, and the product of it with the way back from there to z.
    fn step(
        step: Step<Self>,
        shrinkage: Shrinkage<Self>,
        x: &[Self],
        g: &[Self],
        old: &mut [Self],
        g_old: &[Self],
        codes: &mut Codes<Self>,
    ) -> [f64; 2];

    /// `max |x_j|`; of the numbers themselves if `positive`, and then at least 0.
    fn largest(x: &[Self], positive: bool) -> f64;
}

/// What the kernels need of a type besides.
trait Number: Float + Default {
    const ZERO: Self;
    /// The lanes in double precision, in two registers.
    fn widened<S: Simd>(x: Self::Vector<S>) -> [S::F64; 2];
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    #[inline(always)]
    fn widened<S: Simd>(x: S::F32) -> [S::F64; 2] {
        S::widen(x)
    }
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    #[inline(always)]
    fn widened<S: Simd>(x: S::F64) -> [S::F64; 2] {
        [x, S::F64::splat(0.0)]
    }
}

/// The first `n` values, then 0.
#[inline(always)]
fn load_up_to<V: Vector>(x: &[V::Elem], n: usize, zero: V::Elem) -> V {
    if n >= V::LANES { V::load(x) } else { V::load_tail(&x[..n], zero) }
}

#[inline(always)]
fn store_up_to<V: Vector>(v: V, x: &mut [V::Elem], n: usize, zero: V::Elem) {
    if n >= V::LANES { v.store(x) } else { v.store_tail(&mut x[..n], zero) }
}

/// The sums of `values` times two registers of rows of a panel, from `offset` on.
#[inline(always)]
fn panel_sums<V: Vector, const WIDTH: usize>(
    places: &[u32],
    values: &[V::Elem],
    panel: &[[V::Elem; WIDTH]],
    offset: usize,
    zero: V::Elem,
) -> [V; 2] {
    let mut sums = [[V::splat(zero); 2]; CHAINS];
    let mut place_groups = places.chunks_exact(CHAINS);
    let mut value_groups = values.chunks_exact(CHAINS);
    for (p, v) in (&mut place_groups).zip(&mut value_groups) {
        for q in 0..CHAINS {
            let row = &panel[p[q] as usize][offset..offset + 2 * V::LANES];
            let v = V::splat(v[q]);
            sums[q][0] = v.mul_add(V::load(row), sums[q][0]);
            sums[q][1] = v.mul_add(V::load(&row[V::LANES..]), sums[q][1]);
        }
    }
    for (p, v) in place_groups.remainder().iter().zip(value_groups.remainder()) {
        let row = &panel[*p as usize][offset..offset + 2 * V::LANES];
        let v = V::splat(*v);
        sums[0][0] = v.mul_add(V::load(row), sums[0][0]);
        sums[0][1] = v.mul_add(V::load(&row[V::LANES..]), sums[0][1]);
    }
    [0, 1].map(|k| sums[0][k].add(sums[1][k]).add(sums[2][k].add(sums[3][k])))
}

#[inline(always)]
fn all_products<V: Vector, const WIDTH: usize>(
    codes: &Codes<V::Elem>,
    matrix: &Panels<V::Elem>,
    base: &[V::Elem],
    out: &mut [V::Elem],
    zero: V::Elem,
) where
    V::Elem: Default + PartialEq,
{
    let n = matrix.columns;
    let (panels, _) = matrix.values[matrix.start..].as_chunks::<WIDTH>();
    for (p, panel) in panels.chunks_exact(matrix.rows).enumerate() {
        let mut offset = 0;
        while offset < WIDTH && p * WIDTH + offset < n {
            let first = p * WIDTH + offset;
            for row in 0..codes.rows() {
                let (places, values) = codes.row(row);
                let sums = panel_sums::<V, WIDTH>(places, values, panel, offset, zero);
                for (k, sum) in sums.into_iter().enumerate() {
                    let at = first + k * V::LANES;
                    if at < n {
                        let place = row * n + at;
                        let base = load_up_to::<V>(&base[place..], n - at, zero);
                        store_up_to(sum.sub(base), &mut out[place..], n - at, zero);
                    }
                }
            }
            offset += 2 * V::LANES;
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "as the kernel")]
fn whole_step<S: Simd, T: Number>(
    step: Step<T>,
    shrinkage: Shrinkage<T>,
    x: &[T],
    g: &[T],
    old: &mut [T],
    g_old: &[T],
    codes: &mut Codes<T>,
) -> [f64; 2] {
    let lanes = T::Vector::<S>::LANES;
    let n = x.len();
    let (g, g_old, old) = (&g[..n], &g_old[..n], &mut old[..n]);
    let splat = |x: T| T::Vector::<S>::splat(x);
    let (size, momentum, zero) = (splat(step.size), splat(step.momentum), splat(T::ZERO));
    let minus = zero.sub(size);
    let cut = splat(shrinkage.cut);
    let [first_shift, first_slope] = shrinkage.first.map(splat);
    let [second_shift, second_slope] = shrinkage.second.map(splat);
    let mut sums = [[S::F64::splat(0.0); 2]; 2];
    let mut count = codes.ends.last().copied().unwrap_or(0);
    let room = count + n + lanes;
    let (places, values) = (&mut codes.places[..room], &mut codes.values[..room]);
    let mut j = 0;
    while j < n {
        let left = n - j;
        let load = |x: &[T]| load_up_to::<T::Vector<S>>(&x[j..], left, T::ZERO);
        let (here, slope) = (load(x), load(g));
        let z = momentum.mul_add(here.sub(load(old)), here);
        let h = momentum.mul_add(slope.sub(load(g_old)), slope);
        let v = minus.mul_add(h, z);
        // A NaN comes second in these, and so stays.
        let size = if shrinkage.positive { zero.max(v) } else { v.abs() };
        let kept = size.zero_up_to(cut);
        let lines = kept.sub(first_shift).mul(first_slope);
        let lines = lines.max(kept.sub(second_shift).mul(second_slope));
        let new = zero.max(lines.min(kept)).with_sign_of(v);
        store_up_to(new, &mut old[j..], left, T::ZERO);
        if step.measure {
            let moved = T::widened::<S>(new.sub(here));
            let back = T::widened::<S>(z.sub(new));
            for k in 0..2 {
                sums[0][k] = moved[k].mul_add(moved[k], sums[0][k]);
                sums[1][k] = moved[k].mul_add(back[k], sums[1][k]);
            }
        }
        // The registers written beyond what is kept are overwritten by what comes next.
        let (places, values) = (&mut places[count..], &mut values[count..]);
        count += new.compress(size.mask_gt(cut), j as u32, places, values, T::ZERO);
        j += lanes;
    }
    codes.ends.push(count);
    sums.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b))
}

#[inline(always)]
fn largest_of<S: Simd, T: Number>(x: &[T], positive: bool) -> T {
    let mut most = T::Vector::<S>::splat(T::ZERO);
    let mut j = 0;
    while j < x.len() {
        let v = load_up_to::<T::Vector<S>>(&x[j..], x.len() - j, T::ZERO);
        most = most.max(if positive { v } else { v.abs() });
        j += T::Vector::<S>::LANES;
    }
    most.largest()
}

macro_rules! element {
    ($float:ident, $module:ident) => {
        mod $module {
            use super::*;

            kernel! {
                /// See [`Element::products`].
                pub fn products<'a, S>(
                    codes: &'a Codes<$float>,
                    matrix: &'a Panels<$float>,
                    base: &'a [$float],
                    out: &'a mut [$float],
                ) {
                    const WIDTH: usize = Panels::<$float>::WIDTH;
                    all_products::<<$float as Float>::Vector<S>, WIDTH>(codes, matrix, base, out, 0.0);
                }
            }
            kernel! {
                /// See [`Element::step`].
                pub fn step<'a, S>(
                    step: Step<$float>,
                    shrinkage: Shrinkage<$float>,
                    x: &'a [$float],
                    g: &'a [$float],
                    old: &'a mut [$float],
                    g_old: &'a [$float],
                    codes: &'a mut Codes<$float>,
                ) -> [f64; 2] {
                    whole_step::<S, $float>(step, shrinkage, x, g, old, g_old, codes)
                }
            }
            kernel! {
                /// See [`Element::largest`].
                pub fn largest<'a, S>(x: &'a [$float], positive: bool) -> $float {
                    largest_of::<S, $float>(x, positive)
                }
            }
        }

        impl Element for $float {
            fn products(codes: &Codes<$float>, matrix: &Panels<$float>, base: &[$float], out: &mut [$float]) {
                $module::products(codes, matrix, base, out);
            }
            fn step(
                step: Step<$float>,
                shrinkage: Shrinkage<$float>,
                x: &[$float],
                g: &[$float],
                old: &mut [$float],
                g_old: &[$float],
                codes: &mut Codes<$float>,
            ) -> [f64; 2] {
                $module::step(step, shrinkage, x, g, old, g_old, codes)
            }
            fn largest(x: &[$float], positive: bool) -> f64 {
                f64::from($module::largest(x, positive))
            }
        }
    };
}
element!(f32, single);
element!(f64, double);

#[cfg(test)]
mod tests;
