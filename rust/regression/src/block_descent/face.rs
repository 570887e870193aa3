//! The minimum over a block whose penalty is of norms, whatever the scales of its columns:
//!
//! ```text
//! min over v of  v'Gv / 2 - b'v + lambda_g |v|_2 + lambda |v|_1
//! ```
//!
//! Proximal steps have one length for all columns: it is that of the largest, and too short for others.
//! Where v is not 0 only the signs of its numbers are in the way of exact steps. On a face, numbers that
//! are not 0 and keep their signs, the L1 norm is linear, and with `c = b - lambda sign(v)` the minimum is
//!
//! ```text
//! v = rho u,    u = (rho G + lambda_g I)^-1 c,    rho >= 0 such that |u| = 1
//! ```
//!
//! or 0 if `|c| <= lambda_g`. `1 / |u|` is concave in rho, so that Newton's method comes to the root from
//! below, as for the radius of a trust region (J. More and D. Sorensen, SIAM J. Sci. Stat. Comput. 4,
//! 1983). Its Cholesky factors do not mind how columns are scaled. A number that comes to 0 on the way to
//! the minimum leaves the face; then the one joins that is pulled off 0 most.
//!
//! **Cost.** m^3 / 3 operations for each of some Newton steps, for m numbers on a face.

use sparrot_design::factor::Factor;
use sparrot_foundation::Error;
use sparrot_simd::{linear, reduce};

/// Faces, at most: the sweeps over blocks come back.
const FACES: usize = 50;
/// Newton steps for the norm, at most: more only if it has no bound.
const NEWTON: usize = 100;
/// The norm is right up to rounding.
const ROUNDING: f64 = 4.0 * f64::EPSILON;
/// A pull is above lambda if it is so by more than this share, which is rounding.
const PULLED: f64 = 1e-12;

/// A penalty of a block: `group |v|_2 + single |v|_1`, perhaps of numbers that must not be negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norms {
    pub(super) group: f64,
    pub(super) single: f64,
    pub(super) positive: bool,
}

/// The part of G of a block, by columns.
pub(super) struct Part<'a> {
    pub(super) gram: &'a [f64],
    pub(super) count: usize,
}

impl Part<'_> {
    fn column(&self, k: usize) -> &[f64] {
        &self.gram[k * self.count..(k + 1) * self.count]
    }

    /// Goes from v, with its slope `q = b - G v`, to the minimum over the block, unless that is 0 or v
    /// is; whether it has not been kept from it by factors without digits.
    pub(super) fn minimise(
        &self,
        norms: Norms,
        v: &mut [f64],
        q: &mut [f64],
    ) -> Result<bool, Error> {
        let has_signs = norms.single > 0.0 || norms.positive;
        let is_in = |i: usize, v: f64| if has_signs { v != 0.0 } else { self.column(i)[i] > 0.0 };
        let mut signs: Vec<f64> = v
            .iter()
            .enumerate()
            .map(|(i, v)| if is_in(i, *v) { v.signum() } else { 0.0 })
            .collect();
        for _ in 0..FACES {
            let face: Vec<usize> = (0..self.count).filter(|i| signs[*i] != 0.0).collect();
            let mut b = q.to_vec();
            (0..self.count).for_each(|k| linear::axpy(v[k], self.column(k), &mut b));
            let c: Vec<f64> = face.iter().map(|i| b[*i] - norms.single * signs[*i]).collect();
            let Some(end) = self.minimum_on(&face, &c, norms.group)? else { return Ok(false) };
            let (mut share, mut left) = (1.0, None);
            for (i, end) in face.iter().zip(&end).filter(|_| has_signs) {
                let reached = v[*i] / (v[*i] - end);
                if end * signs[*i] <= 0.0 && reached < share {
                    (share, left) = (reached, Some(*i));
                }
            }
            for (i, end) in face.into_iter().zip(end) {
                let to = match left {
                    Some(out) if out == i => 0.0,
                    Some(_) => v[i] + share * (end - v[i]),
                    None => end,
                };
                linear::axpy(v[i] - to, self.column(i), q);
                v[i] = to;
                signs[i] = if has_signs && to == 0.0 { 0.0 } else { signs[i] };
            }
            if left.is_some() {
                continue;
            }
            let Some((i, sign)) = self.pulled(norms, v, q) else { return Ok(true) };
            signs[i] = sign;
        }
        Ok(true)
    }

    /// The number at 0 that is pulled off it most, in units of what it may change the residual by, and
    /// where to; none if v is 0, where numbers do not move one by one.
    fn pulled(&self, norms: Norms, v: &[f64], q: &[f64]) -> Option<(usize, f64)> {
        let (mut most, mut found) = (0.0, None);
        if v.iter().all(|v| *v == 0.0) {
            return None;
        }
        for (i, (_, q)) in v.iter().zip(q).enumerate().filter(|(_, (v, _))| **v == 0.0) {
            let pull = if norms.positive { *q } else { q.abs() };
            let excess = (pull - norms.single * (1.0 + PULLED)) / self.column(i)[i].sqrt();
            // Not NaN either, of a column of zeros.
            if excess > most {
                (most, found) = (excess, Some((i, q.signum())));
            }
        }
        found
    }

    /// `argmin v'Gv / 2 - c'v + lambda |v|` over the numbers of a face; `None` if G has too few digits.
    fn minimum_on(
        &self,
        face: &[usize],
        c: &[f64],
        lambda: f64,
    ) -> Result<Option<Vec<f64>>, Error> {
        let mut factor = Factor::default();
        let factored = |factor: &mut Factor, rho: f64, ridge: f64| {
            factor.rebuild(face.len(), |j, out| {
                let column = self.column(face[j]);
                out.iter_mut().zip(&face[j..]).for_each(|(o, i)| *o = rho * column[*i]);
                out[0] += ridge;
            })
        };
        let norm = |x: &[f64]| reduce::dot(x, x).sqrt();
        if norm(c) <= lambda {
            return Ok(Some(vec![0.0; c.len()]));
        }
        let mut u = c.to_vec();
        if lambda == 0.0 {
            let is_exact = factored(&mut factor, 1.0, 0.0)?;
            return Ok(is_exact.then(|| {
                factor.solve(&mut u);
                u
            }));
        }
        let mut rho = 0.0;
        for _ in 0..NEWTON {
            if !factored(&mut factor, rho, lambda)? {
                return Ok(None);
            }
            u.copy_from_slice(c);
            factor.solve(&mut u);
            let length = norm(&u);
            let product = |i: &usize| {
                let column = self.column(*i);
                face.iter().zip(&u).map(|(k, u)| column[*k] * u).sum()
            };
            let mut image: Vec<f64> = face.iter().map(product).collect();
            factor.solve(&mut image);
            let step = length * length * (length - 1.0) / reduce::dot(&u, &image);
            if length - 1.0 <= ROUNDING || step <= f64::EPSILON * rho {
                return Ok(Some(u.iter().map(|u| rho * u).collect()));
            }
            rho += step;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Norms, Part};
    use proptest::prelude::*;

    const COUNT: usize = 4;

    proptest! {
        /// The conditions of optimality hold, in units of each column, however differently they are scaled.
        #[test]
        fn scales_do_not_matter(
            x in prop::collection::vec(-1.0..1.0f64, 7 * COUNT),
            y in prop::collection::vec(-1.0..1.0f64, 7),
            powers in prop::collection::vec(-5..5i32, COUNT),
            group in prop_oneof![Just(0.0), 0.01..1.0f64],
            single in prop_oneof![Just(0.0), 0.01..0.5f64],
            positive: bool,
        ) {
            let scales: Vec<f64> = powers.iter().map(|k| 10f64.powi(*k)).collect();
            let columns: Vec<Vec<f64>> = x.chunks(7).zip(&scales)
                .map(|(x, s)| x.iter().map(|x| s * x).collect()).collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let pairs = columns.iter().flat_map(|a| columns.iter().map(|b| dot(a, b)));
            let gram: Vec<f64> = pairs.collect();
            let b: Vec<f64> = columns.iter().map(|a| dot(a, &y)).collect();
            // In the units of the largest scale: then neither penalty is always too little.
            let unit = scales.iter().copied().fold(0.0, f64::max);
            let norms = Norms { group: group * unit, single: single * unit, positive };
            prop_assume!(norms.group + norms.single > 0.0);
            // A step from 0, as far as the objective falls.
            let soft = |b: &f64| {
                let pull = if positive { *b } else { b.abs() };
                (pull - norms.single).max(0.0) * b.signum()
            };
            let d: Vec<f64> = b.iter().map(soft).collect();
            let size = dot(&d, &d).sqrt();
            prop_assume!(size > norms.group * (1.0 + 1e-6));
            let image = |v: &[f64]| -> Vec<f64> { gram.chunks(COUNT).map(|g| dot(g, v)).collect() };
            let length = size * (size - norms.group) / dot(&d, &image(&d));
            let mut v: Vec<f64> = d.iter().map(|d| length * d).collect();
            let mut q: Vec<f64> = b.iter().zip(image(&v)).map(|(b, g)| b - g).collect();
            Part { gram: &gram, count: COUNT }.minimise(norms, &mut v, &mut q).unwrap();
            let size = dot(&v, &v).sqrt();
            for (i, (v, q)) in v.iter().zip(&q).enumerate() {
                let pull = if positive { *q } else { q.abs() };
                let off = if *v == 0.0 {
                    (pull - norms.single).max(0.0)
                } else {
                    prop_assert!(!positive || *v > 0.0);
                    (q - norms.single * v.signum() - norms.group * v / size).abs()
                };
                prop_assert!(off <= 1e-8 * (b[i].abs() + unit), "{} of {}: {:?}", off, i, v);
            }
        }
    }
}
