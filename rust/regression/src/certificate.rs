//! How far coefficients are from the optimum, at most: the duality gap.
//!
//! For a vector r, h_j = x_j'r and a share s in [0, 1]
//!
//! ```text
//! D(s) = (|y|^2 - |y - s r|^2) / 2 - sum_j max over w of (s h_j w - lambda_j |w| - mu w^2 / 2)
//! ```
//!
//! is a lower bound of the minimum, w being what the coefficient may be. On a side without an end the
//! maximum is `(s |h_j| - lambda_j)_+^2 / (2 mu)`; without mu it is infinite unless `s |h_j| <=
//! lambda_j`, which s sees to. On a side with an end u it is never more than `u (s |h_j| - lambda_j)_+`.
//! That is made use of where the coefficient is at u, and only there: elsewhere the solution has no
//! excess, and an end that is far away would multiply the rounding of h. r is the residual; without mu it is first made orthogonal to the
//! columns without a penalty ([`Free`]), which a solve does up to the rounding of its equations: for
//! columns that are nearly dependent that is far from enough.
//!
//! At coefficients w, whose residual as it is without rounding be q, the objective less D(s) is
//!
//! ```text
//! |q - s r|^2 / 2 + sum_j (lambda_j |w_j| + mu w_j^2 / 2 - s w_j h_j) + the sum of D(s)
//! ```
//!
//! for any r, so that nothing of the size of |y|^2 cancels, and what rounding does to the residual
//! ([`rounding`]) counts squared. What it does to h is added to h, and to the sum times w.

use faer::linalg::solvers::ColPivQr;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatRef, Par};
use sparrot_foundation::{Error, memory};

/// What an iteration finds.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The objective,
    pub primal: f64,
    /// and how much of it may be rounding.
    pub rounding: f64,
    /// How far it is above the minimum, at most.
    pub gap: f64,
    /// By how much the residual is multiplied for the dual.
    pub share: f64,
    /// How far the certified residual is from that whose products are known.
    pub away: f64,
}

impl Seen {
    /// What the minimum is at least,
    pub fn dual(&self) -> f64 {
        self.primal - self.rounding - self.gap
    }

    /// and the objective at most.
    pub fn most(&self) -> f64 {
        self.primal + self.rounding
    }

    /// The gap, or less if the minimum is known to be at least that.
    pub fn gap_above(&self, dual: f64) -> f64 {
        self.gap.min(gap(self.most(), dual))
    }
}

/// What a certificate needs to know of a column.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// What h pulls to a side of 0, or to that with more ([`crate::bounds::Interval::pull`]); or a
    /// bound of it.
    pub h: f64,
    /// lambda.
    pub lambda: f64,
    /// How far the coefficient may be on that side: infinity, or where it is if that is the end.
    pub reach: f64,
}

/// The share s: 1, or as much less as the variables ask for.
pub fn share(variables: impl Iterator<Item = Variable>) -> f64 {
    let has_excess = |v: &Variable| v.h > v.lambda && v.reach == f64::INFINITY;
    let asked = |v: Variable| if has_excess(&v) { v.lambda / v.h } else { 1.0 };
    variables.map(asked).fold(1.0, f64::min)
}

/// The sum of D(s); without mu, s must be no more than [`share`].
pub fn charge(variables: impl Iterator<Item = Variable>, share: f64, mu: f64) -> f64 {
    let of = |v: Variable| {
        let over = (share * v.h - v.lambda).max(0.0);
        if v.reach < f64::INFINITY {
            let w = if over < mu * v.reach { over / mu } else { v.reach };
            w * (over - 0.5 * mu * w)
        } else if mu > 0.0 {
            0.5 * (over / mu.sqrt()).powi(2)
        } else {
            0.0
        }
    };
    variables.map(of).sum()
}

/// What a penalty adds to the gap, rounding included: of the penalty, of w times the product with a column
/// and its room for all in use, and of what is asked of columns.
pub fn of_penalty(
    penalty: f64,
    used: impl Iterator<Item = (f64, f64)>,
    asked: &[Variable],
    (share, mu): (f64, f64),
) -> f64 {
    let (mut along, mut sizes, mut room, mut terms) = (0.0, 0.0, 0.0, 0);
    for (product, off) in used {
        along += product;
        sizes += product.abs();
        room += off;
        terms += 1;
    }
    let charge = charge(asked.iter().copied(), share, mu);
    terms += asked.iter().filter(|v| share * v.h > v.lambda).count();
    // A penalty and a term that is charged have some roundings of their own.
    let lost = rounding(terms + 6) * (penalty + share * sizes + charge);
    (penalty - share * along + charge).max(0.0) + room + lost
}

/// What rounding takes from a sum of so many terms, at most, as a share of the sum of their sizes; each
/// has up to two roundings of its own.
pub fn rounding(terms: usize) -> f64 {
    (terms as f64 + 2.0) * f64::EPSILON / 2.0
}

/// A sum whose rounding is that of a term or two, however many there are: each addition's is added up,
/// too.
pub fn compensated(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0f64, 0.0);
    for term in terms {
        let next = sum + term;
        let part = next - sum;
        rest += (sum - (next - part)) + (term - part);
        sum = next;
    }
    sum + rest
}

/// A gap: infinite where it cannot be told.
pub fn gap(primal: f64, dual: f64) -> f64 {
    let gap = primal - dual;
    if gap.is_nan() { f64::INFINITY } else { gap.max(0.0) }
}

/// A certificate as a share of a unit, which is 0 where the solution is known to be 0.
pub fn relative(certificate: f64, unit: f64) -> f64 {
    if unit > 0.0 {
        certificate / unit
    } else if certificate == 0.0 {
        0.0
    } else {
        f64::INFINITY
    }
}

/// A column is in the span of others if this share of it, times the root of its length, is not.
const DEPENDENT: f64 = 1e-15;

/// Of more columns than so many times the rows it is not asked what they span: everything.
pub const MANY: usize = 2;

/// The span of the columns without a penalty, by a QR factorisation of those of them that are
/// independent.
pub struct Free {
    /// The places of those in what was given, and their norms.
    kept: Vec<usize>,
    norms: Vec<f64>,
    basis: Mat<f64>,
    factor: Mat<f64>,
    /// The norms of the rows of the columns, each over its norm,
    rows: Vec<f64>,
    /// and of the inverse of the factor.
    spread: f64,
    /// By what share of its norm a projection may be off: rounding turns the span, the more the nearer the
    /// columns are to dependent ones.
    pub blur: f64,
}

impl Free {
    /// Of so many columns of length n, whose values `fill` gives.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        count: usize,
        n: usize,
        mut fill: impl FnMut(usize, &mut [f64]),
    ) -> Result<Free, Error> {
        let mut values: Vec<f64> = memory::zeros("the columns without a penalty", n, count)?;
        let (mut norms, mut squares) = (vec![], vec![0.0; n]);
        for (k, column) in values.chunks_mut(n.max(1)).enumerate() {
            fill(k, column);
            let norm = column.iter().map(|x| x * x).sum::<f64>().sqrt();
            norms.push(norm);
            if norm > 0.0 {
                column.iter_mut().for_each(|x| *x /= norm);
            }
            squares.iter_mut().zip(&*column).for_each(|(sum, x)| *sum += x * x);
        }
        let qr = ColPivQr::new(MatRef::from_column_major_slice(&values, n, count));
        let upper = qr.thin_R();
        let least = DEPENDENT * (n as f64).sqrt();
        let rank = (0..upper.nrows().min(count)).take_while(|k| upper[(*k, *k)].abs() > least);
        let rank = rank.count();
        let kept: Vec<usize> = qr.P().arrays().0[..rank].to_vec();
        let factor = upper.submatrix(0, 0, rank, rank).to_owned();
        let mut inverse = Mat::<f64>::identity(rank, rank);
        solve_upper_triangular_in_place(factor.as_ref(), inverse.as_mut(), Par::Seq);
        let spread = inverse.norm_l2();
        Ok(Free {
            norms: kept.iter().map(|k| norms[*k]).collect(),
            kept,
            basis: qr.compute_thin_Q().subcols(0, rank).to_owned(),
            factor,
            rows: squares.into_iter().map(f64::sqrt).collect(),
            spread,
            blur: f64::EPSILON * (n as f64).sqrt() * spread,
        })
    }

    /// Whether it is all there is.
    pub fn is_everything(&self) -> bool {
        self.kept.len() >= self.basis.nrows()
    }

    /// Subtracts from r what is in the span, twice for what the first time leaves by rounding; the
    /// norm of what was subtracted.
    pub fn project(&self, r: &mut [f64]) -> f64 {
        let mut norm = 0.0;
        for _ in 0..2 {
            let at = MatRef::from_column_major_slice(r, r.len(), 1);
            let inside = &self.basis * (self.basis.transpose() * at);
            r.iter_mut().enumerate().for_each(|(i, r)| *r -= inside[(i, 0)]);
            norm += inside.norm_l2();
        }
        norm
    }

    /// How far a vector is at most, and how far in each row, from one that is orthogonal to the columns,
    /// if its products with them are no more than these; `None` if rounding has turned the span so much
    /// that it cannot be told.
    pub fn apart(&self, products: &[f64]) -> Option<(f64, Vec<f64>)> {
        /// What the norm of the inverse may be more than computed.
        const ROUNDING: f64 = 1.2;
        const TURNED: f64 = 0.1;
        let shares = self.kept.iter().zip(&self.norms).map(|(k, norm)| products[*k] / norm);
        let apart = ROUNDING * self.spread * shares.map(|share| share * share).sum::<f64>().sqrt();
        let basis = &self.basis;
        let square = |i: usize| (0..basis.ncols()).map(|k| basis[(i, k)].powi(2)).sum::<f64>();
        // Of rows that are small the basis has no digits.
        let rounding = f64::EPSILON * (basis.nrows() as f64).sqrt();
        let part = |i: usize| (square(i).sqrt() + rounding).min(self.rows[i] * self.spread);
        let of = |i: usize| ROUNDING * apart * part(i);
        (self.blur < TURNED).then(|| (apart, (0..basis.nrows()).map(of).collect()))
    }

    /// A solution of `X'X c = g`.
    pub fn solve(&self, g: &[f64]) -> Vec<f64> {
        let of = |k: usize| g[self.kept[k]] / self.norms[k];
        let mut c = Mat::from_fn(self.kept.len(), 1, |k, _| of(k));
        solve_lower_triangular_in_place(self.factor.transpose(), c.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(self.factor.as_ref(), c.as_mut(), Par::Seq);
        let mut all = vec![0.0; g.len()];
        for (k, place) in self.kept.iter().enumerate() {
            all[*place] = c[(k, 0)] / self.norms[k];
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_dependent_columns_are_told_from_dependent_ones() {
        let x = [1.0, 2.0, -1.0, 0.5, 3.0];
        let z = [0.3, -1.0, 2.0, 0.7, -0.2];
        let columns = |k: usize, out: &mut [f64]| {
            for i in 0..5 {
                out[i] = [x[i], x[i] + 1e-10 * z[i], 7.0 * x[i]][k];
            }
        };
        let free = Free::new(3, 5, columns).unwrap();
        assert_eq!(free.kept.len(), 2);
        let mut r = z;
        free.project(&mut r);
        assert!(r.iter().all(|r| r.abs() < 1e-4), "{r:?}");
    }

    #[test]
    fn what_products_leave_is_bounded() {
        let columns = |k: usize, out: &mut [f64]| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = ((i * 3 + k * 5) as f64).cos() + 2.0 * (k as f64 + 1.0);
            }
        };
        let free = Free::new(3, 6, columns).unwrap();
        let mut v = [1.0, -2.0, 0.5, 3.0, 1.0, -0.7];
        let before = v;
        let mut column = vec![0.0; 6];
        let products: Vec<f64> = (0..3)
            .map(|k| {
                columns(k, &mut column);
                column.iter().zip(&before).map(|(x, v)| x * v).sum()
            })
            .collect();
        free.project(&mut v);
        let (apart, rows) = free.apart(&products).unwrap();
        let moved: Vec<f64> = v.iter().zip(&before).map(|(v, b)| (v - b).abs()).collect();
        assert!(moved.iter().map(|d| d * d).sum::<f64>().sqrt() <= apart);
        assert!(moved.iter().zip(&rows).all(|(d, row)| d <= row));
    }

    #[test]
    fn sums_lose_nothing() {
        let terms = [1.0, 1e100, 1.0, -1e100, 3.0 * f64::EPSILON];
        assert_eq!(compensated(terms.into_iter()), 2.0 + 3.0 * f64::EPSILON);
        assert_eq!(compensated(std::iter::repeat_n(0.1, 1000)), 100.0);
    }

    #[test]
    fn systems_are_solved() {
        const N: usize = 7;
        let entry = |i: usize, k: usize| ((i * 5 + k * k * 3 + i * k) as f64).sin() + k as f64;
        for count in 1..6 {
            let free = Free::new(count, N, |k, out| {
                out.iter_mut().enumerate().for_each(|(i, x)| *x = entry(i, k));
            })
            .unwrap();
            let g: Vec<f64> = (0..count).map(|k| 1.0 + k as f64).collect();
            let c = free.solve(&g);
            for (k, g) in g.iter().enumerate() {
                let image = |i| (0..count).map(|l| entry(i, l) * c[l]).sum::<f64>();
                let product: f64 = (0..N).map(|i| entry(i, k) * image(i)).sum();
                assert!((product - g).abs() < 1e-8, "{count} {k}: {product}");
            }
        }
    }
}
