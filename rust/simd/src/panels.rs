//! Products of sparse rows with a dense matrix.
//!
//! **Layout.** The matrix is cut into panels of columns, 256 bytes wide and contiguous. A product
//! takes a block of rows of a panel, which the first cache about holds, while the
//! rows of numbers go by: each number is multiplied by a row of the block, all of a panel's width at a
//! time, so that what it takes to look up a number is shared; of the rows only what is not 0 is looked
//! at. Crowded rows are multiplied as dense ones, a few at a time, which share each load of the matrix.
//!
//! **Cost.** A load of the matrix for each multiplication of a sparse row, a sixth of one for a dense row.

mod layout;

use std::ops::Range;

use crate::ahead::{Ahead, Lines};
use crate::dispatch::kernel;
use crate::exp::Float;
use crate::lanes::Vector;
use crate::sparse_rows::SparseRows;

pub use layout::Panels;

/// Rows of a panel that are worked on together, 38 KiB;
const BLOCK_ROWS: usize = 150;
/// and where few numbers look at them, or dense rows go by in order: what it takes to begin and end a sum
/// is more there than what a nearer cache saves.
const TALL_ROWS: usize = 300;
/// The share of numbers, one in so many, below which they are few.
const FEW: usize = 8;
/// Sums that run side by side at least, so that an addition need not wait for the last.
const CHAINS: usize = 8;

/// Rows that are multiplied as dense ones together, two registers at a time.
const GROUP: usize = 6;
/// They are if more than this share of their numbers, in fifths, is not 0.
const CROWDED_FIFTHS: usize = 3;

/// Matrices of so many bytes stay in the second cache; of larger ones the next block is asked for while
/// one is worked on,
const NEAR: usize = 1 << 20;
/// if its rows are looked at more often than that: else what is asked for in vain takes more than it saves.
const LOOKS: usize = 2;

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

    /// How often a row of the matrix is looked at, all together.
    fn looks(&self) -> usize {
        let all = self.count() * self.matrix.rows;
        self.sparse.map_or(all, |rows| rows.starts[rows.count()] - rows.starts[0])
    }

    /// Whether its blocks are: see [`TALL_ROWS`].
    fn is_tall(&self) -> bool {
        let (looks, all) = (self.looks(), self.count() * self.matrix.rows);
        FEW * looks < all || self.dense.is_some() && 5 * looks > CROWDED_FIFTHS * all
    }

    fn cuts(&self) -> Cuts {
        let height = self.matrix.rows;
        let rows = if self.is_tall() { TALL_ROWS } else { BLOCK_ROWS };
        let blocks = height.div_ceil(rows).max(1);
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

/// The first registers of the product of a sparse row with a panel.
#[inline(always)]
fn sparse_sums<V: Vector, const WIDTH: usize, const R: usize>(
    mut positions: &[u32],
    mut values: &[V::Elem],
    panel: &[[V::Elem; WIDTH]],
    zero: V,
) -> [V; R] {
    let mut total = [zero; R];
    let mut groups = positions.chunks_exact(2);
    let mut group_values = values.chunks_exact(2);
    if 2 * R <= CHAINS {
        // Numbers at even and at odd places have sums of their own.
        let mut other = [zero; R];
        for (j, x) in (&mut groups).zip(&mut group_values) {
            add_row(x[0], &panel[j[0] as usize], &mut total);
            add_row(x[1], &panel[j[1] as usize], &mut other);
        }
        for q in 0..R {
            total[q] = total[q].add(other[q]);
        }
        (positions, values) = (groups.remainder(), group_values.remainder());
    }
    for (j, x) in positions.iter().zip(values) {
        add_row(*x, &panel[*j as usize], &mut total);
    }
    total
}

/// Adds a multiple of the beginning of a row.
#[inline(always)]
fn add_row<V: Vector, const R: usize>(x: V::Elem, row: &[V::Elem], sums: &mut [V; R]) {
    let x = V::splat(x);
    for (q, sum) in sums.iter_mut().enumerate() {
        *sum = x.mul_add(V::load(&row[q * V::LANES..]), *sum);
    }
}

/// A few registers of the products of dense rows with a panel, from `offset` on.
#[inline(always)]
fn dense_sums<V: Vector, const WIDTH: usize, const ROWS: usize, const R: usize>(
    rows: [&[V::Elem]; ROWS],
    panel: &[[V::Elem; WIDTH]],
    offset: usize,
    ahead: Lines<V::Elem>,
    zero: V,
) -> [[V; R]; ROWS] {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [[zero; R]; ROWS];
    for (j, row) in panel.iter().enumerate() {
        ahead.fetch(j);
        let row = &row[offset..offset + R * V::LANES];
        let mut entries = [zero; R];
        for (q, entry) in entries.iter_mut().enumerate() {
            *entry = V::load(&row[q * V::LANES..]);
        }
        for r in 0..ROWS {
            let x = V::splat(rows[r][j]);
            for q in 0..R {
                sums[r][q] = x.mul_add(entries[q], sums[r][q]);
            }
        }
    }
    sums
}

#[inline(always)]
fn multiply_all<V: Vector, const WIDTH: usize, const R: usize>(
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
    let values = &matrix.values[matrix.start..];
    let (panels, _) = values.as_chunks::<WIDTH>();
    let is_far = size_of_val(values) > NEAR && product.looks() > LOOKS * height;
    for first in columns.step_by(WIDTH) {
        let start = first / WIDTH * height;
        let panel = &panels[start..][..height];
        let width = WIDTH.min(n - first);
        for block in 0..cuts.blocks {
            let lines = block * cuts.block..height.min((block + 1) * cuts.block);
            let place = Place { panel, first, width, block };
            // The next block comes after this one, or is the first of the next panel.
            let next = &panels[start + lines.end..];
            let next = &next[..if is_far { cuts.block.min(next.len()) } else { 0 }];
            let mut ahead = Ahead::new(next.as_flattened(), count);
            for start in (0..count).step_by(GROUP) {
                let group = start..count.min(start + GROUP);
                let crowd = CROWDED_FIFTHS * group.len() * lines.len() / 5;
                match (product.dense, &product.sparse) {
                    (Some(dense), sparse)
                        if sparse.is_none() || cuts.entries(group.clone(), block) > crowd =>
                    {
                        let group = Group { dense, rows: group, lines: lines.clone() };
                        let (group, ahead) = (&group, &mut ahead);
                        match group.rows.len() {
                            0..=2 => place.dense::<V, 2, R>(product, group, ahead, out, nothing),
                            3..=4 => place.dense::<V, 4, R>(product, group, ahead, out, nothing),
                            _ => place.dense::<V, GROUP, R>(product, group, ahead, out, nothing),
                        }
                    }
                    (_, Some(rows)) => {
                        for row in group {
                            if is_far {
                                ahead.next();
                            }
                            let ends = cuts.of(row, block);
                            match width.div_ceil(V::LANES) {
                                0..=2 => {
                                    place.sparse::<V, 2>(product, rows, row, ends, out, nothing)
                                }
                                3 => place.sparse::<V, 3>(product, rows, row, ends, out, nothing),
                                4 => place.sparse::<V, 4>(product, rows, row, ends, out, nothing),
                                5..=6 => {
                                    place.sparse::<V, 6>(product, rows, row, ends, out, nothing)
                                }
                                _ => place.sparse::<V, 8>(product, rows, row, ends, out, nothing),
                            }
                        }
                    }
                    (_, None) => return,
                }
            }
        }
    }
}

/// Dense rows, and a part of each.
struct Group<'a, T> {
    /// All rows,
    dense: &'a [T],
    /// which of them,
    rows: Range<usize>,
    /// and what part.
    lines: Range<usize>,
}

/// A part of a panel.
struct Place<'a, T, const WIDTH: usize> {
    panel: &'a [[T; WIDTH]],
    /// The first of its columns among all of them,
    first: usize,
    /// how many there are,
    width: usize,
    /// and which rows.
    block: usize,
}

impl<T: Copy + Default, const WIDTH: usize> Place<'_, T, WIDTH> {
    /// Its product with a row, of which these entries are in the block.
    #[inline(always)]
    fn sparse<V: Vector<Elem = T>, const R: usize>(
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
        let sums = sparse_sums::<V, WIDTH, R>(positions, values, self.panel, zero);
        self.put(product, row, self.first, sums, out, nothing);
    }

    /// Its product with at most so many rows, R registers at a time: with a few less where that is all.
    #[inline(always)]
    fn dense<V: Vector<Elem = T>, const ROWS: usize, const R: usize>(
        &self,
        product: &Product<'_, T>,
        group: &Group<'_, T>,
        ahead: &mut Ahead<'_, T>,
        out: &mut [T],
        nothing: T,
    ) {
        match self.width.div_ceil(V::LANES) {
            0..=2 if R > 2 => self.dense_part::<V, ROWS, 2>(product, group, ahead, out, nothing),
            3 if R > 3 => self.dense_part::<V, ROWS, 3>(product, group, ahead, out, nothing),
            _ => self.dense_part::<V, ROWS, R>(product, group, ahead, out, nothing),
        }
    }

    #[inline(always)]
    fn dense_part<V: Vector<Elem = T>, const ROWS: usize, const R: usize>(
        &self,
        product: &Product<'_, T>,
        Group { dense, rows, lines }: &Group<'_, T>,
        ahead: &mut Ahead<'_, T>,
        out: &mut [T],
        nothing: T,
    ) {
        let height = product.matrix.rows;
        // They are filled up with the last row.
        let mut group: [&[T]; ROWS] = [&[]; ROWS];
        for (r, row) in group.iter_mut().enumerate() {
            let at = (rows.start + r).min(rows.end - 1) * height;
            *row = &dense[at + lines.start..at + lines.end];
        }
        let panel = &self.panel[lines.clone()];
        for offset in (0..self.width).step_by(R * V::LANES) {
            let (ahead, zero) = (ahead.lines(panel.len()), V::splat(nothing));
            let sums = dense_sums::<V, WIDTH, ROWS, R>(group, panel, offset, ahead, zero);
            for (row, sums) in rows.clone().zip(sums) {
                self.put(product, row, self.first + offset, sums, out, nothing);
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
        mut sums: [V; R],
        out: &mut [T],
        zero: T,
    ) {
        let n = product.matrix.columns;
        let (start, left, whole) = (row * n + first, n - first, R * V::LANES);
        let scale = V::splat(product.scale);
        let base = if self.block == 0 { product.base } else { None };
        if left < whole {
            for (q, sum) in sums.into_iter().enumerate() {
                let at = q * V::LANES;
                if at < left {
                    let (at, left) = (start + at, left - at);
                    let added = match base {
                        _ if self.block > 0 => load_up_to::<V>(&out[at..], left, zero),
                        Some((base, weight)) => {
                            V::splat(weight).mul(load_up_to::<V>(&base[at..], left, zero))
                        }
                        None => V::splat(zero),
                    };
                    store_up_to(scale.mul_add(sum, added), &mut out[at..], left, zero);
                }
            }
            return;
        }
        // Where all registers are whole, sums need not go by way of memory.
        let out = &mut out[start..start + whole];
        match base {
            _ if self.block > 0 => {
                for (sum, there) in sums.iter_mut().zip(out.chunks_exact(V::LANES)) {
                    *sum = scale.mul_add(*sum, V::load(there));
                }
            }
            Some((base, weight)) => {
                let (base, weight) = (&base[start..start + whole], V::splat(weight));
                for (sum, base) in sums.iter_mut().zip(base.chunks_exact(V::LANES)) {
                    *sum = scale.mul_add(*sum, weight.mul(V::load(base)));
                }
            }
            None => {
                for sum in &mut sums {
                    *sum = scale.mul(*sum);
                }
            }
        }
        for (sum, out) in sums.iter().zip(out.chunks_exact_mut(V::LANES)) {
            sum.store(out);
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
                if S::WIDE {
                    multiply_all::<<$float as Float>::Vector<S>, WIDTH, 4>(
                        product, cuts, columns, out, 0.0,
                    );
                } else {
                    multiply_all::<<$float as Float>::Vector<S>, WIDTH, 2>(
                        product, cuts, columns, out, 0.0,
                    );
                }
            }
        }
    };
}
of_type!(f32, multiply_f32, cut_product_f32);
of_type!(f64, multiply_f64, cut_product_f64);

#[cfg(test)]
mod tests;
