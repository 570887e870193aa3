//! The passes over the rows that [`mod@crate::softmax_regression`] needs.
//!
//! Sums are formed over blocks of rows, those over slabs, which threads take: the same bits for any
//! number of them.

use std::ops::Range;

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use sparrot_foundation::{Error, Stop, Team, memory};
use sparrot_simd::{exp, linear, reduce};

use crate::model::{BLOCK, slabs};
use crate::rows::Rows;

/// Half a unit in the last place of 1.
pub const U: f64 = f64::EPSILON / 2.0;
/// Rows that a thread takes at a time where nothing is added up.
const SHARE: usize = 16 * BLOCK;

/// The rows `(a_i - origin) - centre`; as a matrix, with factors. The origin is the row with the largest
/// probability: where that is nearly 1 the row less its mean is a small number, which would be lost in
/// the rounding of the mean.
#[derive(Clone, Copy)]
pub struct Centred<'a> {
    /// The matrix.
    pub a: &'a dyn Rows,
    /// One for each row.
    pub factors: &'a [f64],
    /// One for each column.
    pub origin: &'a [f64],
    /// And again.
    pub centre: &'a [f64],
}

impl Centred<'_> {
    /// Some rows, without their factors.
    fn plain(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        self.a.fill(first, columns.clone(), out);
        for row in out.chunks_exact_mut(columns.len().max(1)) {
            let shifts = self.origin[columns.clone()].iter().zip(&self.centre[columns.clone()]);
            row.iter_mut().zip(shifts).for_each(|(v, (o, c))| *v = (*v - o) - c);
        }
    }
}

impl Rows for Centred<'_> {
    fn rows(&self) -> usize {
        self.a.rows()
    }

    fn columns(&self) -> usize {
        self.a.columns()
    }

    fn fill(&self, first: usize, columns: Range<usize>, out: &mut [f64]) {
        self.plain(first, columns.clone(), out);
        for (row, factor) in out.chunks_exact_mut(columns.len().max(1)).zip(&self.factors[first..])
        {
            row.iter_mut().for_each(|v| *v *= factor);
        }
    }
}

/// How many terms a sum over the rows adds up one after the other.
pub fn summed(n: usize) -> usize {
    let slabs = slabs(n, 1);
    BLOCK + slabs.first().map_or(0, |slab| slab.len().div_ceil(BLOCK)) + 16
}

/// `A x`.
pub fn products(a: &dyn Rows, x: &[f64], team: &Team, stop: &Stop<'_>) -> Result<Vec<f64>, Error> {
    let (n, d) = (a.rows(), a.columns());
    let mut all: Vec<f64> = memory::zeros("the products", n, 1)?;
    let items: Vec<(usize, &mut [f64])> = all.chunks_mut(SHARE).enumerate().collect();
    let done = team.for_work(n * d).run(stop, items, |(k, out)| {
        let mut room = vec![0.0; BLOCK * d];
        for (q, out) in out.chunks_mut(BLOCK).enumerate() {
            stop.poll()?;
            let block = &mut room[..out.len() * d];
            a.fill(k * SHARE + q * BLOCK, 0..d, block);
            out.iter_mut().zip(block.chunks_exact(d)).for_each(|(o, row)| *o = reduce::dot(row, x));
        }
        Ok(())
    })?;
    done.into_iter().collect::<Result<(), Error>>()?;
    Ok(all)
}

/// `exp(z) / sum exp(z)`.
pub fn softmax(z: &[f64], f: &mut [f64], stop: &Stop<'_>) -> Result<(), Error> {
    let most = reduce::max(z);
    let mut total = 0.0;
    for (f, z) in f.chunks_mut(SHARE).zip(z.chunks(SHARE)) {
        stop.poll()?;
        f.iter_mut().zip(z).for_each(|(f, z)| *f = z - most);
        exp::exp_f64(f);
        total += f.chunks(BLOCK).map(reduce::sum).sum::<f64>();
    }
    f.iter_mut().for_each(|f| *f /= total);
    Ok(())
}

/// `|f - b|^2`.
pub fn distance(f: &[f64], b: &[f64]) -> f64 {
    let one =
        |(f, b): (&[f64], &[f64])| f.iter().zip(b).map(|(f, b)| (f - b) * (f - b)).sum::<f64>();
    f.chunks(BLOCK).zip(b.chunks(BLOCK)).map(one).sum()
}

/// `f'(f - b)`.
pub fn shift(f: &[f64], b: &[f64]) -> f64 {
    let one = |(f, b): (&[f64], &[f64])| f.iter().zip(b).map(|(f, b)| f * (f - b)).sum::<f64>();
    f.chunks(BLOCK).zip(b.chunks(BLOCK)).map(one).sum()
}

/// The weights of the rows in the Hessian.
pub fn curvatures(f: &[f64], b: &[f64]) -> Vec<f64> {
    let s = shift(f, b);
    f.iter().zip(b).map(|(f, b)| f * (2.0 * f - b - s)).collect()
}

/// Those of what they are made of, without signs.
pub fn sizes(f: &[f64], b: &[f64]) -> Vec<f64> {
    let one = |(f, b): (&f64, &f64)| f * (f + b.abs());
    let s: f64 = f.iter().zip(b).map(one).sum();
    f.iter().zip(b).map(|(f, b)| f * (2.0 * f + b.abs() + s)).collect()
}

/// Sums over the rows, where softmax is f.
pub struct Moments {
    /// The row of the largest probability.
    pub origin: Vec<f64>,
    /// `A'f` less that.
    pub centre: Vec<f64>,
    /// `sum_i f_i (f_i - b_i) e_i`, e_i the rows less the centre.
    pub gradient: Vec<f64>,
    /// `sum_i f_i^2 e_ij^2`.
    pub squares: Vec<f64>,
    /// `sum_i f_i |e_ij|`.
    pub spread: Vec<f64>,
    /// `max_i |e_ij|`.
    pub reach: Vec<f64>,
}

/// Two passes.
pub fn moments(
    a: &dyn Rows,
    f: &[f64],
    b: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Moments, Error> {
    let d = a.columns();
    let top = (1..f.len()).fold(0, |top, i| if f[i] > f[top] { i } else { top });
    let (mut origin, none) = (vec![0.0; d], vec![0.0; d]);
    a.fill(top, 0..d, &mut origin);
    let from = Centred { a, factors: f, origin: &origin, centre: &none };
    let sums = over_slabs(&from, d, team, stop, |rows, block, sums: &mut Vec<f64>| {
        for (row, f) in block.chunks_exact(d).zip(&f[rows]) {
            linear::axpy(*f, row, sums);
        }
    })?;
    let mut centre = vec![0.0; d];
    sums.iter().for_each(|sums| linear::add_to(sums, &mut centre));
    let rows = Centred { centre: &centre, ..from };
    let parts = over_slabs(&rows, 4 * d, team, stop, |rows, block, sums: &mut Vec<f64>| {
        let (gradient, rest) = sums.split_at_mut(d);
        let (squares, rest) = rest.split_at_mut(d);
        let (spread, reach) = rest.split_at_mut(d);
        for ((row, f), b) in block.chunks_exact(d).zip(&f[rows.clone()]).zip(&b[rows]) {
            let (slope, weight) = (f * (f - b), f * f);
            for (j, e) in row.iter().enumerate() {
                gradient[j] += slope * e;
                squares[j] += weight * e * e;
                spread[j] += f * e.abs();
                // What is not a number is found in the sums.
                reach[j] = reach[j].max(e.abs());
            }
        }
    })?;
    let mut all = Moments {
        gradient: vec![0.0; d],
        squares: vec![0.0; d],
        spread: vec![0.0; d],
        reach: vec![0.0; d],
        origin: vec![],
        centre: vec![],
    };
    for part in &parts {
        linear::add_to(&part[..d], &mut all.gradient);
        linear::add_to(&part[d..2 * d], &mut all.squares);
        linear::add_to(&part[2 * d..3 * d], &mut all.spread);
        all.reach.iter_mut().zip(&part[3 * d..]).for_each(|(r, v)| *r = r.max(*v));
    }
    (all.origin, all.centre) = (origin, centre);
    Ok(all)
}

/// `sum_i factor_i e_ij^2`.
pub fn diagonal(rows: &Centred<'_>, team: &Team, stop: &Stop<'_>) -> Result<Vec<f64>, Error> {
    let d = rows.columns();
    let parts = over_slabs(rows, d, team, stop, |range, block, sums: &mut Vec<f64>| {
        for (row, factor) in block.chunks_exact(d).zip(&rows.factors[range]) {
            sums.iter_mut().zip(row).for_each(|(s, e)| *s += factor * e * e);
        }
    })?;
    let mut all = vec![0.0; d];
    parts.iter().for_each(|part| linear::add_to(part, &mut all));
    Ok(all)
}

/// `sum_i factor_i e_i e_i'`; factors may be negative.
pub fn gram(rows: &Centred<'_>, team: &Team, stop: &Stop<'_>) -> Result<Mat<f64>, Error> {
    let d = rows.columns();
    let parts = over_slabs(rows, d * d, team, stop, |range, block, sums: &mut Vec<f64>| {
        let mut weighted = block.to_vec();
        for (row, factor) in weighted.chunks_exact_mut(d).zip(&rows.factors[range]) {
            row.iter_mut().for_each(|v| *v *= factor);
        }
        add_products(block, &weighted, d, sums);
    })?;
    let mut all = vec![0.0; d * d];
    parts.iter().for_each(|part| linear::add_to(part, &mut all));
    Ok(Mat::from_fn(d, d, |i, j| all[i.max(j) * d + i.min(j)]))
}

/// `K'K` of a small matrix, row-major.
pub fn square(k: &[f64], d: usize) -> Mat<f64> {
    let mut all = vec![0.0; d * d];
    add_products(k, k, d, &mut all);
    Mat::from_fn(d, d, |i, j| all[i.max(j) * d + i.min(j)])
}

/// The lower triangle of `X'Y`.
fn add_products(x: &[f64], y: &[f64], d: usize, out: &mut [f64]) {
    let count = x.len() / d;
    triangular::matmul(
        MatMut::from_row_major_slice_mut(out, d, d),
        BlockStructure::TriangularLower,
        Accum::Add,
        MatRef::from_row_major_slice(x, count, d).transpose(),
        BlockStructure::Rectangular,
        MatRef::from_row_major_slice(y, count, d),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// Gives the centred blocks of each slab to `add`, with `count` numbers that begin as 0.
fn over_slabs(
    rows: &Centred<'_>,
    count: usize,
    team: &Team,
    stop: &Stop<'_>,
    add: impl Fn(Range<usize>, &[f64], &mut Vec<f64>) + Sync,
) -> Result<Vec<Vec<f64>>, Error> {
    let (n, d) = (rows.rows(), rows.columns());
    let work = n * (d + count / 16);
    let parts = team.for_work(work).run(stop, slabs(n, count), |slab| {
        let mut sums = memory::zeros("sums over the rows", count, 1)?;
        let mut room = vec![0.0; BLOCK * d];
        for first in slab.clone().step_by(BLOCK) {
            stop.poll()?;
            let rows_here = first..(first + BLOCK).min(slab.end);
            let block = &mut room[..rows_here.len() * d];
            rows.plain(first, 0..d, block);
            add(rows_here, block, &mut sums);
        }
        Ok(sums)
    })?;
    parts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use sparrot_foundation::stop::Unobserved;

    use super::*;
    use crate::rows::Dense;

    #[test]
    fn sums_are_those_of_their_definitions() {
        let (n, d) = (700, 3);
        let a: Vec<f64> = (0..n * d).map(|k| ((k * k * 7 + k) % 23) as f64 / 4.0).collect();
        let b: Vec<f64> = (0..n).map(|i| (i % 5) as f64 / 1000.0).collect();
        let rows = Dense::new(&a, n, d, false);
        let (team, stop) = (Team::new(Some(2)), Stop::new(&Unobserved, None));
        let z = products(&rows, &[0.1, -0.2, 0.3], &team, &stop).unwrap();
        let mut f = vec![0.0; n];
        softmax(&z, &mut f, &stop).unwrap();
        assert!((f.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let near = |x: f64, y: f64| (x - y).abs() <= 1e-13 * (x.abs() + y.abs() + 1e-3);
        assert!((0..n).all(|i| near(f[i] / f[0], (z[i] - z[0]).exp())));
        let found = moments(&rows, &f, &b, &team, &stop).unwrap();
        let centre = |j: usize| (0..n).map(|i| f[i] * a[i * d + j]).sum::<f64>();
        let e = |i: usize, j: usize| a[i * d + j] - centre(j);
        let weights = curvatures(&f, &b);
        let (origin, shift) = (&found.origin, &found.centre);
        let centred = Centred { a: &rows, factors: &weights, origin, centre: shift };
        let hessian = gram(&centred, &team, &stop).unwrap();
        let diagonal = diagonal(&centred, &team, &stop).unwrap();
        for j in 0..d {
            let sum = |term: &dyn Fn(usize) -> f64| (0..n).map(term).sum::<f64>();
            assert!(near(origin[j] + shift[j], centre(j)));
            assert!(near(found.gradient[j], sum(&|i| f[i] * (f[i] - b[i]) * e(i, j))));
            assert!(near(found.squares[j], sum(&|i| (f[i] * e(i, j)).powi(2))));
            assert!(near(diagonal[j], hessian[(j, j)]));
            for k in 0..d {
                assert!(near(hessian[(j, k)], sum(&|i| weights[i] * e(i, j) * e(i, k))));
            }
        }
    }
}
