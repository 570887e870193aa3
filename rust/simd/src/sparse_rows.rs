//! Products of sparse rows with a dense matrix, and the pass that finds the next sparse rows.
//!
//! The matrix is kept in panels of columns of [`PANEL_BYTES`] for each row, one panel after the
//! other, so that a tile of rows reads a panel from the first or second cache while the sums of a
//! row stay in registers. Rows with many entries are multiplied as dense ones, a few at a time, which
//! share each load of the matrix.

use crate::dispatch::kernel;
use crate::lanes::Vector;

/// Bytes of a matrix row within a panel: two registers at most, so that a panel of a few hundred rows
/// fits in the first cache.
pub const PANEL_BYTES: usize = 128;

/// Sparse rows one after the other.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a, T> {
    /// Where each row begins among the entries, and where the last one ends.
    pub starts: &'a [usize],
    /// The columns of the entries.
    pub positions: &'a [u32],
    /// Their values.
    pub values: &'a [T],
}

/// Where the entries found by a selection go: slices of the same length, at least that of the row.
#[derive(Debug)]
pub struct Selected<'a, T> {
    /// Their columns.
    pub positions: &'a mut [u32],
    /// The values `x - step c`.
    pub values: &'a mut [T],
    /// The `c`.
    pub slopes: &'a mut [T],
}

/// Rows that are multiplied as dense ones if together they hold more than a share of their entries:
/// then they share the loads of the matrix.
const GROUP: usize = 4;
/// One over that share.
const SHARE: usize = 3;
/// Sums of a sparse row that run side by side, so that an addition need not wait for the last.
const CHAINS: usize = 4;

/// Two registers of a matrix row.
#[inline(always)]
fn load_two<V: Vector>(row: &[V::Elem]) -> [V; 2] {
    let row = &row[..2 * V::LANES];
    [V::load(row), V::load(&row[V::LANES..])]
}

/// Two registers of the product of a sparse row with a panel.
#[inline(always)]
fn sparse_product<V: Vector>(
    positions: &[u32],
    values: &[V::Elem],
    panel: &[V::Elem],
    stride: usize,
    at: usize,
    zero: V,
) -> [V; 2] {
    let mut sums = [[zero; 2]; CHAINS];
    let whole = positions.len() - positions.len() % CHAINS;
    let chunks = positions[..whole].chunks_exact(CHAINS);
    for (j, x) in chunks.zip(values[..whole].chunks_exact(CHAINS)) {
        for c in 0..CHAINS {
            let entries = load_two::<V>(&panel[j[c] as usize * stride + at..]);
            let x = V::splat(x[c]);
            for q in 0..2 {
                sums[c][q] = entries[q].mul_add(x, sums[c][q]);
            }
        }
    }
    for (j, x) in positions[whole..].iter().zip(&values[whole..]) {
        let entries = load_two::<V>(&panel[*j as usize * stride + at..]);
        let x = V::splat(*x);
        for q in 0..2 {
            sums[0][q] = entries[q].mul_add(x, sums[0][q]);
        }
    }
    [0, 1].map(|q| sums[0][q].add(sums[1][q]).add(sums[2][q].add(sums[3][q])))
}

/// The same of a group of dense rows.
#[inline(always)]
fn dense_product<V: Vector>(
    rows: [&[V::Elem]; GROUP],
    panel: &[V::Elem],
    stride: usize,
    at: usize,
    zero: V,
) -> [[V; 2]; GROUP] {
    let height = panel.len() / stride;
    let rows = rows.map(|row| &row[..height]);
    let mut sums = [[zero; 2]; GROUP];
    for (j, row) in panel.chunks_exact(stride).enumerate() {
        let entries = load_two::<V>(&row[at..]);
        for r in 0..GROUP {
            let x = V::splat(rows[r][j]);
            for q in 0..2 {
                sums[r][q] = entries[q].mul_add(x, sums[r][q]);
            }
        }
    }
    sums
}

/// `out = base + factor * sums`, of two registers.
#[inline(always)]
fn store_two<V: Vector>(sums: [V; 2], factor: V, base: &[V::Elem], out: &mut [V::Elem]) {
    let base = load_two::<V>(base);
    for q in 0..2 {
        sums[q].mul_add(factor, base[q]).store(&mut out[q * V::LANES..]);
    }
}

macro_rules! of_type {
    ($float:ident, $register:ident, $times:ident, $select:ident) => {
        kernel! {
            /// `out_i = base_i + scale * x_i matrix` for each row x_i, given as a sparse row and as one
            /// of `dense`, in rows of `stride`; `base` and `out` hold rows of `columns`, a multiple of
            /// a panel's.
            pub fn $times<'a, S>(
                rows: SparseRows<'a, $float>,
                dense: &'a [$float],
                stride: usize,
                panels: &'a [$float],
                columns: usize,
                scale: $float,
                base: &'a [$float],
                out: &'a mut [$float],
            ) {
                const PANEL: usize = PANEL_BYTES / size_of::<$float>();
                let zero = S::$register::splat(0.0);
                let factor = S::$register::splat(scale);
                let height = panels.len() / columns.max(1);
                let count = rows.starts.len() - 1;
                for (p, panel) in panels.chunks_exact((height * PANEL).max(1)).enumerate() {
                    for at in (0..PANEL).step_by(2 * S::$register::LANES) {
                        let first = p * PANEL + at;
                        let mut i = 0;
                        while i < count {
                            let entries = rows.starts[(i + GROUP).min(count)] - rows.starts[i];
                            if i + GROUP <= count && entries > GROUP * height / SHARE {
                                let group = [0, 1, 2, 3].map(|r| &dense[(i + r) * stride..]);
                                let sums = dense_product(group, panel, PANEL, at, zero);
                                for sums in sums {
                                    let place = i * columns + first;
                                    store_two(sums, factor, &base[place..], &mut out[place..]);
                                    i += 1;
                                }
                                continue;
                            }
                            let ends = rows.starts[i]..rows.starts[i + 1];
                            let (j, x) = (&rows.positions[ends.clone()], &rows.values[ends]);
                            let sums = sparse_product(j, x, panel, PANEL, at, zero);
                            let place = i * columns + first;
                            store_two(sums, factor, &base[place..], &mut out[place..]);
                            i += 1;
                        }
                    }
                }
            }
        }

        kernel! {
            /// The entries of `v = x - step c` with `|v| > cut`, in order: how many there are, and
            /// whether all of `v` is finite. The length is a multiple of a panel's.
            pub fn $select<'a, S>(
                x: &'a [$float],
                c: &'a [$float],
                step: $float,
                cut: $float,
                found: Selected<'a, $float>,
            ) -> (usize, bool) {
                let lanes = S::$register::LANES;
                let c = &c[..x.len()];
                let minus = S::$register::splat(-step);
                let threshold = S::$register::splat(cut);
                let zero = S::$register::splat(0.0);
                let mut poison = zero; // 0 times what is not finite is NaN
                let mut count = 0;
                let mut chunk = S::$register::filled_array(0.0);
                for at in (0..x.len()).step_by(lanes) {
                    let slope = S::$register::load(&c[at..]);
                    let v = slope.mul_add(minus, S::$register::load(&x[at..]));
                    poison = v.mul_add(zero, poison);
                    let mut mask = v.abs().mask_gt(threshold);
                    if mask != 0 {
                        v.store(chunk.as_mut());
                        while mask != 0 {
                            let l = mask.trailing_zeros() as usize;
                            found.positions[count] = (at + l) as u32;
                            found.values[count] = chunk.as_ref()[l];
                            found.slopes[count] = c[at + l];
                            count += 1;
                            mask &= mask - 1;
                        }
                    }
                }
                (count, poison.fold(0.0, |a, b| a + b) == 0.0)
            }
        }
    };
}
of_type!(f32, F32, times_panels_f32, select_f32);
of_type!(f64, F64, times_panels_f64, select_f64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    macro_rules! agrees {
        ($name:ident, $float:ident, $times:ident, $select:ident) => {
            #[test]
            fn $name() {
                const PANEL: usize = PANEL_BYTES / size_of::<$float>();
                let height = 37usize;
                let columns = height.next_multiple_of(PANEL);
                const COUNT: usize = 9;
                let entry = |i: usize, j: usize| ((i * 31 + j * 17) % 23) as $float - 11.0;
                let mut panels = Vec::new();
                for p in 0..columns / PANEL {
                    for i in 0..height {
                        panels.extend((0..PANEL).map(|j| entry(i, p * PANEL + j)));
                    }
                }
                // Empty, sparse and full ones; four in a row that count as dense, and one left over.
                let lengths = [0, 3, 5, 9, 2, 30, 37, 0, 36];
                let mut starts = vec![0];
                let (mut positions, mut values) = (Vec::new(), Vec::new());
                let mut dense = vec![0.0; COUNT * columns];
                for (i, length) in lengths.into_iter().enumerate() {
                    for k in 0..length {
                        let j = if length > 10 { k } else { (k * 4 + i) % height };
                        positions.push(j as u32);
                        values.push(((i + 3 * k) % 9) as $float - 3.5);
                        dense[i * columns + j] = values[values.len() - 1];
                    }
                    starts.push(positions.len());
                }
                let rows = SparseRows { starts: &starts, positions: &positions, values: &values };
                let base: Vec<$float> = (0..COUNT * columns).map(|k| (k % 7) as $float).collect();
                for level in Level::available() {
                    let mut out = vec![$float::NAN; COUNT * columns];
                    $times::at(
                        level, rows, &dense, columns, &panels, columns, 2.0, &base, &mut out,
                    );
                    for i in 0..COUNT {
                        for j in 0..columns {
                            let sum: $float = (starts[i]..starts[i + 1])
                                .map(|k| values[k] * entry(positions[k] as usize, j))
                                .sum();
                            let k = i * columns + j;
                            assert_eq!(out[k], base[k] + 2.0 * sum, "{level:?} {i} {j}");
                        }
                    }
                    let x: Vec<$float> = (0..columns).map(|j| entry(1, j)).collect();
                    let c: Vec<$float> = (0..columns).map(|j| entry(2, j)).collect();
                    let (mut at, mut v, mut s) =
                        (vec![0; columns], vec![0.0; columns], vec![0.0; columns]);
                    let found = Selected { positions: &mut at, values: &mut v, slopes: &mut s };
                    let (count, finite) = $select::at(level, &x, &c, 0.5, 6.0, found);
                    let expected: Vec<usize> =
                        (0..columns).filter(|j| (x[*j] - 0.5 * c[*j]).abs() > 6.0).collect();
                    assert!(finite && count == expected.len() && count > 1);
                    for (k, j) in expected.into_iter().enumerate() {
                        assert_eq!((at[k] as usize, v[k], s[k]), (j, x[j] - 0.5 * c[j], c[j]));
                    }
                    for bad in [$float::NAN, $float::INFINITY] {
                        let mut x = x.clone();
                        x[columns - 1] = bad;
                        let found = Selected { positions: &mut at, values: &mut v, slopes: &mut s };
                        assert!(!$select::at(level, &x, &c, 0.5, 6.0, found).1);
                    }
                }
            }
        };
    }
    agrees!(single_precision_agrees_with_the_definition, f32, times_panels_f32, select_f32);
    agrees!(double_precision_agrees_with_the_definition, f64, times_panels_f64, select_f64);
}
