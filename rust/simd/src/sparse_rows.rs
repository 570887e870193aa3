//! Products of sparse rows with a dense matrix, and the pass that finds the next sparse rows.
//!
//! The matrix is kept in panels of columns of [`PANEL_BYTES`] for each row, one panel after the
//! other, so that a tile of rows reads a panel from the first or second cache while the sums of a
//! row stay in registers: no store, and one load for each multiply-add.

use crate::dispatch::kernel;
use crate::lanes::Vector;

/// Bytes of a matrix row within a panel: four cache lines.
pub const PANEL_BYTES: usize = 256;

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

macro_rules! of_type {
    ($float:ident, $register:ident, $times:ident, $select:ident) => {
        kernel! {
            /// `out_i = base_i + scale * sum_k values_ik matrix[positions_ik]` for each sparse row;
            /// `base` and `out` hold as many rows of `columns`, a multiple of a panel's.
            pub fn $times<'a, S>(
                rows: SparseRows<'a, $float>,
                panels: &'a [$float],
                columns: usize,
                scale: $float,
                base: &'a [$float],
                out: &'a mut [$float],
            ) {
                const REGISTERS: usize = 4;
                const PANEL: usize = PANEL_BYTES / size_of::<$float>();
                let lanes = S::$register::LANES;
                let group = (REGISTERS * lanes).min(PANEL);
                let registers = group / lanes;
                let zero = S::$register::splat(0.0);
                let factor = S::$register::splat(scale);
                let height = panels.len() / columns.max(1);
                for (p, panel) in panels.chunks_exact((height * PANEL).max(1)).enumerate() {
                    for at in (0..PANEL).step_by(group) {
                        for (i, ends) in rows.starts.windows(2).enumerate() {
                            let positions = &rows.positions[ends[0]..ends[1]];
                            let values = &rows.values[ends[0]..ends[1]];
                            // Two chains of sums, so that an addition need not wait for the last.
                            let mut sums = [[zero; REGISTERS]; 2];
                            let mut pairs = positions.chunks_exact(2).zip(values.chunks_exact(2));
                            for (j, x) in &mut pairs {
                                for half in 0..2 {
                                    let row = &panel[j[half] as usize * PANEL + at..][..group];
                                    let x = S::$register::splat(x[half]);
                                    for q in 0..registers {
                                        let entry = S::$register::load(&row[q * lanes..]);
                                        sums[half][q] = entry.mul_add(x, sums[half][q]);
                                    }
                                }
                            }
                            if positions.len() % 2 == 1 {
                                let last = positions.len() - 1;
                                let row = &panel[positions[last] as usize * PANEL + at..][..group];
                                let x = S::$register::splat(values[last]);
                                for q in 0..registers {
                                    let entry = S::$register::load(&row[q * lanes..]);
                                    sums[0][q] = entry.mul_add(x, sums[0][q]);
                                }
                            }
                            let place = i * columns + p * PANEL + at;
                            let (base, out) =
                                (&base[place..][..group], &mut out[place..][..group]);
                            for q in 0..registers {
                                let sum = sums[0][q].add(sums[1][q]);
                                let base = S::$register::load(&base[q * lanes..]);
                                sum.mul_add(factor, base).store(&mut out[q * lanes..]);
                            }
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
                let (height, columns) = (37usize, 2 * PANEL);
                let entry = |i: usize, j: usize| ((i * 31 + j * 17) % 23) as $float - 11.0;
                let mut panels = Vec::new();
                for p in 0..2 {
                    for i in 0..height {
                        panels.extend((0..PANEL).map(|j| entry(i, p * PANEL + j)));
                    }
                }
                let starts = [0, 0, 3, 7, 9];
                let positions = [4, 9, 36, 0, 1, 2, 3, 30, 31];
                let values = [1.0, -2.0, 3.0, 0.5, 4.0, -1.0, 2.0, 8.0, -8.0];
                let rows = SparseRows { starts: &starts, positions: &positions, values: &values };
                let base: Vec<$float> = (0..4 * columns).map(|k| (k % 7) as $float).collect();
                for level in Level::available() {
                    let mut out = vec![$float::NAN; 4 * columns];
                    $times::at(level, rows, &panels, columns, 2.0, &base, &mut out);
                    for i in 0..4 {
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
                    assert!(finite && count == expected.len() && count > 3);
                    for (k, j) in expected.into_iter().enumerate() {
                        assert_eq!((at[k] as usize, v[k], s[k]), (j, x[j] - 0.5 * c[j], c[j]));
                    }
                    for bad in [$float::NAN, $float::INFINITY] {
                        let mut x = x.clone();
                        x[PANEL + 3] = bad;
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
