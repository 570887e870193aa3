//! Products of blocks of rows of a tall matrix: `Y = A X` and `Y'Y`.
//!
//! **Layout.** A block of Y is cut into panels of 8 columns, one row after the other, the last filled up
//! with 0: every load is aligned alike and none is strided. X comes in such panels, too.
//!
//! **Kernel.** A tile of the result stays in registers, 8 by 24 with AVX-512: a row of Y, or of X, is
//! loaded once for 8 rows of the result, whose factors are broadcast. Of `Y'Y` only tiles on and below
//! the diagonal are formed; of X only those rows are looked at that are not 0 in all columns of a tile,
//! which halves the work where X is triangular.

use std::ops::Range;

use crate::ahead::Ahead;
use crate::dispatch::kernel;
use crate::lanes::{Simd, Vector};

/// Columns of a panel.
pub const PANEL: usize = 8;
/// Columns of A that are summed up before they are added to what there is.
pub const RUN: usize = 16;
/// Panels of a tile, where the registers are as wide as a panel.
const WIDE: usize = 3;

type Line = [f64; PANEL];

/// How many numbers so many columns take for each row.
pub fn padded(columns: usize) -> usize {
    columns.next_multiple_of(PANEL)
}

/// Rows that are packed together.
const PACKED: usize = 8;

/// Puts a row-major block into panels of as many rows.
pub fn pack(block: &[f64], columns: usize, panels: &mut [f64]) {
    let rows = block.len() / columns.max(1);
    let panels = panels.as_chunks_mut::<PANEL>().0;
    for (k, group) in block.chunks(PACKED * columns).enumerate() {
        for (c, panel) in panels.chunks_exact_mut(rows).enumerate() {
            let width = PANEL.min(columns - c * PANEL);
            let rows = group.chunks_exact(columns).map(|row| &row[c * PANEL..]);
            for (line, row) in panel[k * PACKED..].iter_mut().zip(rows) {
                if width == PANEL {
                    line.copy_from_slice(&row[..PANEL]);
                } else {
                    *line = [0.0; PANEL];
                    line[..width].copy_from_slice(&row[..width]);
                }
            }
        }
    }
}

kernel! {
    /// Adds `Y'Y` to `gram`, row-major with [`padded`] columns: on and below the diagonal, and what else
    /// is in the tiles there. Y is given by panels of so many rows. What comes next is asked for
    /// meanwhile.
    pub fn add_gram<'a, S>(panels: &'a [f64], rows: usize, gram: &'a mut [f64], next: &'a [f64]) {
        let (lines, _) = panels.as_chunks::<PANEL>();
        let count = lines.len() / rows;
        let groups = count.div_ceil(WIDE);
        let mut ahead = Ahead::new(next, WIDE * groups * (groups + 1) / 2);
        let size = count * PANEL;
        let panel = |c: usize| &lines[c * rows..(c + 1) * rows];
        let mut group = 0;
        while group < count {
            // A group of panels stays in the first cache for all tiles below.
            let end = (group + WIDE).min(count);
            for j in group..count {
                let mut k = group;
                let left = panel(j);
                ahead.next();
                while k <= j && k < end {
                    let width = (j + 1).min(end) - k;
                    let out = &mut gram[j * PANEL * size + k * PANEL..];
                    if S::F64::LANES < PANEL {
                        narrow_tiles::<S, 4>(left, panel(k), out, size);
                        k += 1;
                    } else if !S::WIDE {
                        narrow_tiles::<S, 2>(left, panel(k), out, size);
                        k += 1;
                    } else if width == 3 {
                        tile::<S, 8, 3>(left, 0, [panel(k), panel(k + 1), panel(k + 2)], [0; 3], out, size);
                        k += 3;
                    } else if width == 2 {
                        tile::<S, 8, 2>(left, 0, [panel(k), panel(k + 1)], [0; 2], out, size);
                        k += 2;
                    } else {
                        tile::<S, 8, 1>(left, 0, [panel(k)], [0], out, size);
                        k += 1;
                    }
                }
            }
            group = end;
        }
    }
}

/// All of a tile of 8 by 8, by J of its rows at a time.
#[inline(always)]
fn narrow_tiles<S: Simd, const J: usize>(
    left: &[Line],
    right: &[Line],
    out: &mut [f64],
    size: usize,
) {
    for first in (0..PANEL).step_by(J) {
        let out = &mut out[first * size..];
        if S::F64::LANES < PANEL {
            tile::<S, J, 2>(left, first, [right, right], [0, S::F64::LANES], out, size);
        } else {
            tile::<S, J, 1>(left, first, [right], [0], out, size);
        }
    }
}

/// J rows of a tile, from `first` on, of V registers each.
#[inline(always)]
fn tile<S: Simd, const J: usize, const V: usize>(
    left: &[Line],
    first: usize,
    right: [&[Line]; V],
    offsets: [usize; V],
    out: &mut [f64],
    size: usize,
) {
    let lanes = S::F64::LANES;
    let right = right.map(|r| &r[..left.len()]);
    let mut sums = [[S::F64::splat(0.0); V]; J];
    for (i, line) in left.iter().enumerate() {
        let mut entries = [S::F64::splat(0.0); V];
        for v in 0..V {
            entries[v] = S::F64::load(&right[v][i][offsets[v]..]);
        }
        let factors = &line[first..first + J];
        for q in 0..J {
            let factor = S::F64::splat(factors[q]);
            for v in 0..V {
                sums[q][v] = factor.mul_add(entries[v], sums[q][v]);
            }
        }
    }
    for (q, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            let at = q * size + v * lanes;
            S::F64::load(&out[at..]).add(sum).store(&mut out[at..]);
        }
    }
}

kernel! {
    /// Adds to `sums`, of [`padded`] columns, the rows of Y times these factors.
    pub fn add_multiples<'a, S>(panels: &'a [f64], factors: &'a [f64], sums: &'a mut [f64]) {
        let (lines, _) = panels.as_chunks::<PANEL>();
        let lanes = S::F64::LANES;
        for (panel, sums) in lines.chunks_exact(factors.len()).zip(sums.chunks_exact_mut(PANEL)) {
            for offset in (0..PANEL).step_by(lanes) {
                // Four sums, so that an addition need not wait for the last.
                let mut parts = [S::F64::splat(0.0); 4];
                for (four, factors) in panel.chunks(4).zip(factors.chunks(4)) {
                    for q in 0..four.len() {
                        let factor = S::F64::splat(factors[q]);
                        parts[q] = factor.mul_add(S::F64::load(&four[q][offset..]), parts[q]);
                    }
                }
                let [a, b, c, d] = parts;
                let sum = a.add(b).add(c.add(d));
                let sums = &mut sums[offset..offset + lanes];
                S::F64::load(sums).add(sum).store(sums);
            }
        }
    }
}

/// Rows whose squares are added up together.
const SQUARED: usize = 4;

kernel! {
    /// Adds the squares of the entries of a row-major block to sums, one for each of its columns.
    pub fn add_squares<'a, S>(block: &'a [f64], sums: &'a mut [f64]) {
        let (n, lanes) = (sums.len(), S::F64::LANES);
        // A few rows at a time, in the order in which they are stored.
        for rows in block.chunks(SQUARED * n) {
            let mut j = 0;
            while j < n {
                let end = (j + lanes).min(n);
                let mut sum = S::F64::load_tail(&sums[j..end], 0.0);
                for row in rows.chunks_exact(n) {
                    let v = S::F64::load_tail(&row[j..end], 0.0);
                    sum = v.mul_add(v, sum);
                }
                sum.store_tail(&mut sums[j..end], 0.0);
                j = end;
            }
        }
    }
}

/// A matrix on the right of products: by panels of all its rows, and which of them are not all 0.
#[derive(Debug)]
pub struct Right {
    values: Vec<f64>,
    spans: Vec<Range<usize>>,
    rows: usize,
}

impl Right {
    /// The matrix with these entries.
    pub fn new(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Right {
        let mut values = Vec::with_capacity(rows * padded(columns));
        let mut spans = Vec::new();
        for first in (0..columns).step_by(PANEL) {
            let mut span = rows..0;
            for i in 0..rows {
                for j in first..first + PANEL {
                    let value = if j < columns { entry(i, j) } else { 0.0 };
                    if value != 0.0 {
                        span = span.start.min(i)..i + 1;
                    }
                    values.push(value);
                }
            }
            spans.push(if span.is_empty() { 0..0 } else { span });
        }
        Right { values, spans, rows }
    }

    /// Some rows of a panel.
    #[inline(always)]
    fn part(&self, c: usize, rows: &Range<usize>) -> &[Line] {
        let start = c * self.rows;
        &self.values.as_chunks::<PANEL>().0[start + rows.start..start + rows.end]
    }
}

/// Rows of A that are multiplied together.
const TOGETHER: usize = 8;

kernel! {
    /// Y = A X, by panels, of a row-major block of A. Sums go over runs of [`RUN`] rows of X, then over
    /// these.
    pub fn multiply<'a, S>(block: &'a [f64], x: &'a Right, panels: &'a mut [f64]) {
        let rows = block.len() / x.rows.max(1);
        let (out, _) = panels.as_chunks_mut::<PANEL>();
        let count = x.spans.len();
        let mut c = 0;
        while c < count {
            // What is not a whole tile comes first, where a triangular X is short.
            let width = match count - c {
                _ if !S::WIDE => 1,
                left if left % WIDE == 0 => WIDE,
                left => left % WIDE,
            };
            let (mut start, mut end) = (x.rows, 0);
            for span in &x.spans[c..c + width] {
                start = start.min(span.start);
                end = end.max(span.end);
            }
            let out = &mut out[c * rows..(c + width) * rows];
            out.fill([0.0; PANEL]);
            let mut i = 0;
            while i < rows {
                let together = TOGETHER.min(rows - i);
                // The last rows are filled up with the very last.
                let mut group: [&[f64]; TOGETHER] = [&[]; TOGETHER];
                for (q, row) in group.iter_mut().enumerate() {
                    let at = (i + q).min(rows - 1) * x.rows;
                    *row = &block[at..at + x.rows];
                }
                let mut j = start;
                while j < end {
                    let run = j..(j + RUN).min(end);
                    let to = To { out: &mut *out, rows, first: i, stored: together };
                    if width == 3 {
                        let right = [x.part(c, &run), x.part(c + 1, &run), x.part(c + 2, &run)];
                        product_tile::<S, 8, 3>(&group, &run, right, [0; 3], to);
                    } else if width == 2 {
                        let right = [x.part(c, &run), x.part(c + 1, &run)];
                        product_tile::<S, 8, 2>(&group, &run, right, [0; 2], to);
                    } else if S::WIDE {
                        product_tile::<S, 8, 1>(&group, &run, [x.part(c, &run)], [0], to);
                    } else {
                        narrow_products::<S>(&group, &run, x.part(c, &run), to);
                    }
                    j = run.end;
                }
                i += together;
            }
            c += width;
        }
    }
}

/// Where products are added: to rows `first` on of some panels, the first `stored` of those there are.
struct To<'a> {
    out: &'a mut [Line],
    rows: usize,
    first: usize,
    stored: usize,
}

/// A few rows at a time.
#[inline(always)]
fn narrow_products<S: Simd>(
    group: &[&[f64]; TOGETHER],
    run: &Range<usize>,
    right: &[Line],
    to: To<'_>,
) {
    const FEW: usize = 4;
    for q in (0..to.stored).step_by(FEW) {
        let some: [&[f64]; FEW] = [group[q], group[q + 1], group[q + 2], group[q + 3]];
        let stored = FEW.min(to.stored - q);
        let to = To { out: &mut *to.out, rows: to.rows, first: to.first + q, stored };
        if S::F64::LANES < PANEL {
            product_tile::<S, FEW, 2>(&some, run, [right, right], [0, S::F64::LANES], to);
        } else {
            product_tile::<S, FEW, 1>(&some, run, [right], [0], to);
        }
    }
}

/// Adds the products of I rows of A with V registers of X over a run.
#[inline(always)]
fn product_tile<S: Simd, const I: usize, const V: usize>(
    rows: &[&[f64]; I],
    run: &Range<usize>,
    right: [&[Line]; V],
    offsets: [usize; V],
    to: To<'_>,
) {
    let mut left: [&[f64]; I] = [&[]; I];
    for q in 0..I {
        left[q] = &rows[q][run.start..run.end];
    }
    let right = right.map(|r| &r[..run.len()]);
    let mut sums = [[S::F64::splat(0.0); V]; I];
    for j in 0..run.len() {
        let mut entries = [S::F64::splat(0.0); V];
        for v in 0..V {
            entries[v] = S::F64::load(&right[v][j][offsets[v]..]);
        }
        for q in 0..I {
            let factor = S::F64::splat(left[q][j]);
            for v in 0..V {
                sums[q][v] = factor.mul_add(entries[v], sums[q][v]);
            }
        }
    }
    for (q, sums) in sums.into_iter().enumerate().take(to.stored) {
        for (v, sum) in sums.into_iter().enumerate() {
            let panel = if S::F64::LANES < PANEL { 0 } else { v };
            let line = &mut to.out[panel * to.rows + to.first + q][offsets[v]..];
            S::F64::load(line).add(sum).store(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    fn whole(k: usize) -> f64 {
        ((k * 7919) % 31) as f64 - 15.0
    }

    #[test]
    fn products_of_all_shapes_at_every_level() {
        // Small integers: every sum is exact.
        for (rows, p, r) in [(1, 1, 1), (5, 3, 7), (16, 40, 8), (33, 70, 70), (20, 17, 27)] {
            let block: Vec<f64> = (0..rows * p).map(whole).collect();
            for triangular in [false, true] {
                let x =
                    |i: usize, j: usize| if triangular && i > j { 0.0 } else { whole(i * r + j) };
                let right = Right::new(p, r, x);
                let y = |i: usize, k: usize| -> f64 {
                    (0..p).map(|j| block[i * p + j] * x(j, k)).sum()
                };
                let dense: Vec<f64> = (0..rows * r).map(|k| y(k / r, k % r)).collect();
                let mut packed = vec![f64::NAN; rows * padded(r)];
                pack(&dense, r, &mut packed);
                for level in Level::available() {
                    let mut panels = vec![f64::NAN; rows * padded(r)];
                    multiply::at(level, &block, &right, &mut panels);
                    assert_eq!(panels, packed);
                    let m = padded(r);
                    let mut gram = vec![1.0; m * m];
                    add_gram::at(level, &panels, rows, &mut gram, &block);
                    let factors: Vec<f64> = (0..rows).map(|i| whole(i + 5)).collect();
                    let mut sums = vec![2.0; m];
                    add_multiples::at(level, &panels, &factors, &mut sums);
                    let mut squares = vec![3.0; r];
                    add_squares::at(level, &dense, &mut squares);
                    for j in 0..r {
                        let column = |k: usize| (0..rows).map(move |i| (i, k));
                        for k in 0..=j {
                            let sum: f64 = column(j).map(|(i, _)| y(i, j) * y(i, k)).sum();
                            assert_eq!(gram[j * m + k], 1.0 + sum);
                        }
                        let sum: f64 = column(j).map(|(i, j)| factors[i] * y(i, j)).sum();
                        assert_eq!(sums[j], 2.0 + sum);
                        let sum: f64 = column(j).map(|(i, j)| y(i, j).powi(2)).sum();
                        assert_eq!(squares[j], 3.0 + sum);
                    }
                }
            }
        }
    }
}
