//! Products of sparse rows with a dense matrix.
//!
//! **Layout.** The matrix is cut into panels of columns, 256 bytes wide and contiguous. A product
//! takes a block of at most a hundred rows of a panel, which the first cache holds, while the
//! rows of numbers go by: each number is multiplied by a row of the block into one of two sets of
//! registers, and of the rows only what is not 0 is looked at. Crowded rows are multiplied as dense
//! ones, four at a time, which share each load of the matrix.
//!
//! **Cost.** A load of the matrix for each multiplication of a sparse row, a quarter of one for a dense row.

mod layout;

use std::ops::Range;

use crate::dispatch::kernel;
use crate::exp::Float;
use crate::lanes::Vector;
use crate::sparse_rows::SparseRows;

pub use layout::Panels;

/// Rows of a panel that are worked on together, 25 KiB.
const BLOCK_ROWS: usize = 100;
/// Sums of a sparse row that run side by side, so that an addition need not wait for the last.
const CHAINS: usize = 2;
/// Registers of a panel that a sparse row is multiplied with at a time, so that what it takes to look up a
/// number is shared.
const REGISTERS: usize = 4;

/// Rows that are multiplied as dense ones together.
const GROUP: usize = 4;
/// They are if more than this share of their numbers, in quarters, is not 0.
const CROWDED_QUARTERS: usize = 3;

/// Multiplications between them, about.
const WORK_AT_ONCE: usize = 1 << 26;

/// `scale * rows matrix + weight * base`, where `base` and the result have rows of the matrix's length.
///
/// The rows are given by what is not 0 of them, as they are, or both ways: crowded ones are then taken as
/// they are.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a, T> {
    /// The rows by what is not 0, if that is known.
    pub sparse: Option<SparseRows<'a, T>>,
    /// The rows as they are, if they are at hand.
    pub dense: Option<&'a [T]>,
    /// The matrix.
    pub matrix: &'a Panels<T>,
    /// See above.
    pub scale: T,
    /// The base, if there is one, and its weight.
    pub base: Option<(&'a [T], T)>,
}

impl<T: Copy + Default> Product<'_, T> {
    fn count(&self) -> usize {
        match (&self.sparse, self.dense) {
            (Some(rows), _) => rows.count(),
            (None, Some(dense)) => dense.len() / self.matrix.rows.max(1),
            (None, None) => 0,
        }
    }

    /// Columns that are multiplied between two looks at the clock: whole panels.
    fn columns_at_once(&self) -> usize {
        let panel = Panels::<T>::WIDTH * self.count().max(1) * self.matrix.rows.max(1);
        (WORK_AT_ONCE / panel).max(1) * Panels::<T>::WIDTH
    }

    fn cuts(&self) -> Cuts {
        let height = self.matrix.rows;
        let blocks = height.div_ceil(BLOCK_ROWS).max(1);
        let block = height.div_ceil(blocks).max(1);
        let mut places = Vec::new();
        if let Some(rows) = &self.sparse {
            places.reserve_exact(rows.count() * (blocks + 1));
            for ends in rows.starts.windows(2) {
                let [start, end] = [ends[0], ends[1]];
                let positions = &rows.positions[start..end];
                let before = |b: usize| positions.partition_point(|j| (*j as usize) < b * block);
                places.push(start);
                places.extend((1..blocks).map(|b| start + before(b)));
                places.push(end);
            }
        }
        Cuts { places, blocks, block }
    }
}

/// Where the entries of each sparse row for each block of the matrix begin, and where the last end.
#[derive(Debug)]
pub struct Cuts {
    places: Vec<usize>,
    /// How many blocks there are.
    blocks: usize,
    /// Rows of a block.
    block: usize,
}

impl Cuts {
    #[inline(always)]
    fn of(&self, row: usize, block: usize) -> [usize; 2] {
        let at = row * (self.blocks + 1) + block;
        [self.places[at], self.places[at + 1]]
    }

    /// How many entries some rows have for a block.
    #[inline(always)]
    fn entries(&self, rows: Range<usize>, block: usize) -> usize {
        rows.map(|row| self.of(row, block)).map(|[start, end]| end - start).sum()
    }
}

/// Registers of the product of a sparse row with a panel, from `offset` on.
#[inline(always)]
fn sparse_sums<V: Vector, const WIDTH: usize, const R: usize>(
    positions: &[u32],
    values: &[V::Elem],
    panel: &[[V::Elem; WIDTH]],
    offset: usize,
    zero: V,
) -> [V; R] {
    let mut sums = [[zero; R]; CHAINS];
    let mut groups = positions.chunks_exact(CHAINS);
    let mut group_values = values.chunks_exact(CHAINS);
    for (j, x) in (&mut groups).zip(&mut group_values) {
        for c in 0..CHAINS {
            let row = &panel[j[c] as usize][offset..offset + R * V::LANES];
            let x = V::splat(x[c]);
            for q in 0..R {
                sums[c][q] = x.mul_add(V::load(&row[q * V::LANES..]), sums[c][q]);
            }
        }
    }
    for (j, x) in groups.remainder().iter().zip(group_values.remainder()) {
        let row = &panel[*j as usize][offset..offset + R * V::LANES];
        let x = V::splat(*x);
        for q in 0..R {
            sums[0][q] = x.mul_add(V::load(&row[q * V::LANES..]), sums[0][q]);
        }
    }
    let [mut total, other] = sums;
    for q in 0..R {
        total[q] = total[q].add(other[q]);
    }
    total
}

/// The same of a group of dense rows.
#[inline(always)]
fn dense_sums<V: Vector, const WIDTH: usize>(
    rows: [&[V::Elem]; GROUP],
    panel: &[[V::Elem; WIDTH]],
    offset: usize,
    zero: V,
) -> [[V; 2]; GROUP] {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [[zero; 2]; GROUP];
    for (j, row) in panel.iter().enumerate() {
        let row = &row[offset..offset + 2 * V::LANES];
        let entries = [V::load(row), V::load(&row[V::LANES..])];
        for r in 0..GROUP {
            let x = V::splat(rows[r][j]);
            for q in 0..2 {
                sums[r][q] = x.mul_add(entries[q], sums[r][q]);
            }
        }
    }
    sums
}

#[inline(always)]
fn multiply_all<V: Vector, const WIDTH: usize>(
    product: &Product<'_, V::Elem>,
    cuts: &Cuts,
    columns: Range<usize>,
    out: &mut [V::Elem],
    nothing: V::Elem,
) where
    V::Elem: Copy + Default,
{
    let matrix = product.matrix;
    let (height, n, count) = (matrix.rows, matrix.columns, product.count());
    let (panels, _) = matrix.values[matrix.start..].as_chunks::<WIDTH>();
    for first in columns.step_by(REGISTERS * V::LANES) {
        let (panel, offset) = (first / WIDTH, first % WIDTH);
        let panel = &panels[panel * height..(panel + 1) * height];
        for block in 0..cuts.blocks {
            let lines = block * cuts.block..height.min((block + 1) * cuts.block);
            let crowd = CROWDED_QUARTERS * GROUP * lines.len() / 4;
            let place = Place { panel, offset, first, block };
            let mut i = 0;
            while i < count {
                let group = i..count.min(i + GROUP);
                match (product.dense, &product.sparse) {
                    (Some(dense), None) => {
                        place.dense_group::<V>(
                            product,
                            dense,
                            group.clone(),
                            lines.clone(),
                            out,
                            nothing,
                        );
                        i = group.end;
                    }
                    (Some(dense), Some(_))
                        if group.len() == GROUP && cuts.entries(group.clone(), block) > crowd =>
                    {
                        place.dense_group::<V>(
                            product,
                            dense,
                            group.clone(),
                            lines.clone(),
                            out,
                            nothing,
                        );
                        i = group.end;
                    }
                    (_, Some(rows)) => {
                        let ends = cuts.of(i, block);
                        if n - first > REGISTERS / 2 * V::LANES {
                            place.sparse_row::<V, REGISTERS>(product, rows, i, ends, out, nothing);
                        } else {
                            place.sparse_row::<V, { REGISTERS / 2 }>(
                                product, rows, i, ends, out, nothing,
                            );
                        }
                        i += 1;
                    }
                    (None, None) => return,
                }
            }
        }
    }
}

/// A part of a panel.
struct Place<'a, T, const WIDTH: usize> {
    panel: &'a [[T; WIDTH]],
    /// Where it begins in a row of the panel,
    offset: usize,
    /// and among all columns.
    first: usize,
    /// Which rows.
    block: usize,
}

impl<T: Copy + Default, const WIDTH: usize> Place<'_, T, WIDTH> {
    /// Its product with a row, of which these entries are in the block.
    #[inline(always)]
    fn sparse_row<V: Vector<Elem = T>, const R: usize>(
        &self,
        product: &Product<'_, T>,
        rows: &SparseRows<'_, T>,
        row: usize,
        [start, end]: [usize; 2],
        out: &mut [T],
        nothing: T,
    ) {
        let (positions, values) = (&rows.positions[start..end], &rows.values[start..end]);
        let zero = V::splat(nothing);
        let sums = sparse_sums::<V, WIDTH, R>(positions, values, self.panel, self.offset, zero);
        self.put(product, row, self.first, sums, out, nothing);
    }

    /// Its product with a few rows, two registers at a time.
    #[inline(always)]
    fn dense_group<V: Vector<Elem = T>>(
        &self,
        product: &Product<'_, T>,
        dense: &[T],
        rows: Range<usize>,
        lines: Range<usize>,
        out: &mut [T],
        nothing: T,
    ) {
        let (height, n) = (product.matrix.rows, product.matrix.columns);
        // The last group is filled up with its last row.
        let mut group: [&[T]; GROUP] = [&[]; GROUP];
        for (r, row) in group.iter_mut().enumerate() {
            let at = (rows.start + r).min(rows.end - 1) * height;
            *row = &dense[at + lines.start..at + lines.end];
        }
        let panel = &self.panel[lines];
        for shift in (0..REGISTERS * V::LANES).step_by(2 * V::LANES) {
            if self.first + shift < n {
                let (offset, zero) = (self.offset + shift, V::splat(nothing));
                let sums = dense_sums::<V, WIDTH>(group, panel, offset, zero);
                for (row, sums) in rows.clone().zip(sums) {
                    self.put(product, row, self.first + shift, sums, out, nothing);
                }
            }
        }
    }

    /// Adds sums to what there is; the first block to the base.
    #[inline(always)]
    fn put<V: Vector<Elem = T>, const R: usize>(
        &self,
        product: &Product<'_, T>,
        row: usize,
        first: usize,
        sums: [V; R],
        out: &mut [T],
        zero: T,
    ) {
        let n = product.matrix.columns;
        let scale = V::splat(product.scale);
        for (q, sum) in sums.into_iter().enumerate() {
            let column = first + q * V::LANES;
            if column >= n {
                return;
            }
            let (at, left) = (row * n + column, n - column);
            let added = match product.base {
                _ if self.block > 0 => load_up_to::<V>(&out[at..], left, zero),
                Some((base, weight)) => {
                    V::splat(weight).mul(load_up_to::<V>(&base[at..], left, zero))
                }
                None => V::splat(zero),
            };
            store_up_to(scale.mul_add(sum, added), &mut out[at..], left, zero);
        }
    }
}

/// The first `n` values, then 0.
#[inline(always)]
pub(crate) fn load_up_to<V: Vector>(x: &[V::Elem], n: usize, zero: V::Elem) -> V {
    if n >= V::LANES { V::load(x) } else { V::load_tail(&x[..n], zero) }
}

/// The first `n` values.
#[inline(always)]
pub(crate) fn store_up_to<V: Vector>(v: V, x: &mut [V::Elem], n: usize, zero: V::Elem) {
    if n >= V::LANES { v.store(x) } else { v.store_tail(&mut x[..n], zero) }
}

macro_rules! of_type {
    ($float:ident, $multiply:ident, $kernel:ident) => {
        /// See [`Product`]; of the columns from the panel of `from` on. `goes_on` is asked now and then, and
        /// whether it was true to the end is told.
        pub fn $multiply(
            product: &Product<'_, $float>,
            from: usize,
            out: &mut [$float],
            goes_on: &dyn Fn() -> bool,
        ) -> bool {
            const WIDTH: usize = Panels::<$float>::WIDTH;
            let (cuts, n, step) =
                (product.cuts(), product.matrix.columns, product.columns_at_once());
            for first in (from / WIDTH * WIDTH..n).step_by(step) {
                if !goes_on() {
                    return false;
                }
                $kernel(product, &cuts, first..n.min(first + step), out);
            }
            true
        }

        kernel! {
            /// Some columns of a product, whose rows are cut.
            pub fn $kernel<'a, S>(
                product: &'a Product<'a, $float>,
                cuts: &'a Cuts,
                columns: Range<usize>,
                out: &'a mut [$float],
            ) {
                const WIDTH: usize = Panels::<$float>::WIDTH;
                multiply_all::<<$float as Float>::Vector<S>, WIDTH>(
                    product, cuts, columns, out, 0.0,
                );
            }
        }
    };
}
of_type!(f32, multiply_f32, cut_product_f32);
of_type!(f64, multiply_f64, cut_product_f64);

#[cfg(test)]
mod tests;
