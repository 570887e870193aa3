//! Least squares from [`Moments`] alone.
//!
//! 1. `G = [A, 1]'W[A, 1] + ridge [I, 0]`, to twice the precision; columns scaled to about unit norm.
//! 2. Its triangular factor T, the column of ones first, then by the largest share of a column that
//!    others leave ([`factor`]). Rank, condition number and X, with `T X = I`, come from it as from that
//!    of a sketch ([`crate::precondition`]); with an intercept from what belongs to centred columns.
//! 3. `C = X'G X`, twice with products of twofold numbers, and what is proven of it.
//! 4. `x += X C^-1 X'(A'Wb - G x)` until the bounds of its errors no longer fall.
//!
//! What is proven: with `e u^2 n_i n_j` a bound of what is wrong in entry (i, j) of the moments, X'G X is
//! off by at most `e u^2 | |X|'n |^2` in norm, and the gradient by `e u^2 n_j (|b| + sum_l n_l |x_l|)`; what
//! arithmetic adds has the same form. So the error of x is of the order of `e u^2` times the condition
//! number squared: all digits up to 10^7 or so, and some up to 10^12. [`crate::solve()`] has them all, in
//! several passes.

use faer::Mat;
use sparrot_foundation::{Error, Status, Stop};
use sparrot_simd::twofold::{multiple, sum};

use crate::answer::{Answer, Point, assemble};
use crate::certificate::{Certificate, SLACK, Step, TINY, VANISHED};
use crate::gradient::{Look, Twofold, U};
use crate::moments::Moments;
use crate::precondition::{condition, require_norm, restricted_inverse, unit};
use crate::refine::{Frame, NOTHING, Next, Refinement};
use crate::solve::Settings;
use crate::steps::upper_inverse;
use crate::twofold_matrix::{Factor, TwofoldMatrix, factor, product_error, times};

/// Corrections, at most.
const MOST: usize = 6;

/// Coefficients and what is proven of them.
pub struct Normal {
    /// For each right-hand side.
    pub points: Vec<Point>,
    /// Of X and C.
    pub certificate: Certificate,
    /// The largest bound in the measure of the tolerance.
    pub error: f64,
    /// Independent columns of A, centred with an intercept.
    pub rank: usize,
    /// Of A, centred with an intercept, with the ridge.
    pub condition: f64,
    /// Columns that are zero.
    pub zero: Vec<usize>,
    /// Whether all of those are independent.
    pub is_full: bool,
}

/// G and what goes with it.
struct System<'a> {
    moments: &'a Moments,
    ridge: f64,
    /// Unknowns.
    p: usize,
    /// Norms of the columns of A and ones, with the ridge.
    norms: Vec<f64>,
}

/// Solves for all right-hand sides.
///
/// # Errors
/// [`Error::InvalidInput`] for a column whose norm is out of range; [`Error::Interrupted`].
pub fn solve(
    moments: &Moments,
    ridge: f64,
    intercept: bool,
    settings: &Settings,
    stop: &Stop<'_>,
) -> Result<Normal, Error> {
    let p = moments.d + usize::from(intercept);
    let mut system = System { moments, ridge, p, norms: vec![] };
    system.norms = (0..p).map(|j| system.at(j, j).0.max(0.0).sqrt()).collect();
    for j in 0..p {
        if moments.largest[j] != 0.0 && j < moments.d {
            require_norm(j, moments.at(j, j).0.max(0.0).sqrt())?;
        }
    }
    let active: Vec<usize> = (0..p).filter(|j| system.norms[*j] > 0.0).collect();
    let scales: Vec<f64> = active.iter().map(|j| unit(system.norms[*j])).collect();
    let a = active.len();
    let g = TwofoldMatrix::from_fn(a, a, |i, j| {
        let (high, low) = system.at(active[i], active[j]);
        (scales[i] * high * scales[j], scales[i] * low * scales[j])
    });
    let leading: Vec<usize> = if intercept { vec![a - 1] } else { vec![] };
    let mut noise = moments.error * U * U;
    let mut normal = loop {
        let least = |left: f64| (settings.rcond * settings.rcond * left).max(noise);
        let found = factor(&g, &leading, least, stop)?;
        let (x, condition) = inverse(&found, &scales, leading.len(), stop)?;
        if let Some(certificate) = system.certificate(&g, &active, &scales, &x, &found, stop)? {
            break Normal {
                points: vec![],
                certificate,
                error: 0.0,
                rank: found.t.nrows() - leading.len(),
                condition,
                is_full: found.t.nrows() == a,
                zero: (0..p).filter(|j| !active.contains(j)).collect(),
            };
        }
        // Pivots that were noise: more of what is left is taken for dependent.
        noise *= 16.0;
        if noise > 1e3 {
            return Err(Error::invalid("A", "has products that are not finite: scale it"));
        }
    };
    for t in 0..moments.k {
        stop.poll()?;
        let (x, bounds, error) = system.refined(&normal.certificate, t, settings);
        let residual = system.residual(&x, t);
        normal.error = normal.error.max(error);
        normal.points.push(Point { x, bounds, residual });
    }
    Ok(normal)
}

impl Normal {
    /// As the answer of one pass.
    pub fn answer(&self, moments: &Moments, intercept: bool, settings: &Settings) -> Answer {
        let mut answer = assemble(moments.d, intercept, &self.points);
        answer.error = self.error;
        answer.status =
            if self.error <= settings.tol { Status::Converged } else { Status::Stalled };
        answer.rank = self.rank;
        answer.condition = self.condition;
        answer.method = "twofold-gram";
        answer.passes = 1;
        answer.undetermined(&self.zero, self.is_full, intercept);
        answer
    }

    /// The better of where the looks so far have been and where they lead to, and where to look next;
    /// found at x, after so many looks, the last step so large ([`Refinement`]).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if squares of residuals overflow.
    pub fn corrected(
        &self,
        moments: &Moments,
        (ridge, intercept): (f64, bool),
        settings: &Settings,
        x: Vec<Twofold>,
        look: &Look,
        (looks, size): (usize, f64),
    ) -> Result<Corrected, Error> {
        let d = moments.d;
        let means = vec![0.0; d];
        let zero: Vec<bool> = (0..moments.k).map(|t| moments.largest[d + 1 + t] == 0.0).collect();
        let mut refinement = Refinement {
            certificate: &self.certificate,
            frame: Frame { d, ridge, means: intercept.then_some(&means[..]) },
            zero: &zero,
            tol: settings.tol,
            size,
            looks,
            best: None,
        };
        let next = refinement.take(x, &look.all, look.error)?;
        let size = refinement.size;
        let (status, next) = match next {
            Next::Done(status) => (status, None),
            Next::Look(next) => (Status::MaxIter, Some(next)),
        };
        let found = refinement.best.unwrap_or_else(|| assemble(d, intercept, &[]));
        let mut answer = Answer {
            rank: self.rank,
            condition: self.condition,
            method: "twofold-gram",
            passes: looks + 2,
            status,
            ..found
        };
        answer.undetermined(&self.zero, self.is_full, intercept);
        Ok(Corrected { answer, next, size })
    }
}

/// What comes of a look.
pub struct Corrected {
    /// The best answer.
    pub answer: Answer,
    /// Where to look next, if that is worth it.
    pub next: Option<Vec<Twofold>>,
    /// How large the step there is.
    pub size: f64,
}

/// X with `T X = I` for the columns as they are, and the condition number of what is not the column of
/// ones, if that leads.
///
/// # Errors
/// [`Error::Interrupted`].
fn inverse(
    found: &Factor,
    scales: &[f64],
    ones: usize,
    stop: &Stop<'_>,
) -> Result<(Mat<f64>, f64), Error> {
    let (rank, a) = found.t.shape();
    let order = &found.order;
    // Without the scales: those columns, in the order of G, and of the column of ones.
    let t = Mat::from_fn(rank, a, |i, j| found.t[(i, j)] / scales[j]);
    let rest: Vec<usize> = (0..a).filter(|j| ones == 0 || *j != order[0]).collect();
    let t_rest = Mat::from_fn(rank - ones, rest.len(), |i, j| t[(i + ones, rest[j])]);
    let x_rest = if rank == a {
        // In the order of the pivots T is triangular.
        let pivots = &order[ones..];
        let triangle = Mat::from_fn(rank - ones, rank - ones, |i, j| {
            if i <= j { found.t[(i + ones, pivots[j])] } else { 0.0 }
        });
        let inverse = upper_inverse(triangle.as_ref(), stop)?;
        let mut x = Mat::zeros(rest.len(), rank - ones);
        for (i, column) in pivots.iter().enumerate() {
            let row = rest.iter().position(|j| j == column).unwrap_or(0);
            (i..rank - ones).for_each(|j| x[(row, j)] = scales[*column] * inverse[(i, j)]);
        }
        x
    } else {
        restricted_inverse(&t_rest)
    };
    let condition = condition(t_rest.as_ref(), x_rest.as_ref(), stop)?;
    if ones == 0 {
        return Ok((x_rest, condition));
    }
    // The intercept makes up for the means of the columns.
    let mut x = Mat::zeros(a, rank);
    let (first, root) = (order[0], t[(0, order[0])]);
    x[(first, 0)] = 1.0 / root;
    for j in 0..rank - ones {
        let mut shift = 0.0;
        for (i, column) in rest.iter().enumerate() {
            x[(*column, j + 1)] = x_rest[(i, j)];
            shift += t[(0, *column)] * x_rest[(i, j)];
        }
        x[(first, j + 1)] = -shift / root;
    }
    Ok((x, condition))
}

impl System<'_> {
    /// An entry of G.
    fn at(&self, i: usize, j: usize) -> (f64, f64) {
        let entry = self.moments.at(i, j);
        if i == j && i < self.moments.d { sum(entry, (self.ridge, 0.0)) } else { entry }
    }

    /// An entry of `A'Wb`.
    fn cross(&self, j: usize, t: usize) -> (f64, f64) {
        self.moments.at(j, self.moments.d + 1 + t)
    }

    /// `b'Wb`.
    fn target(&self, t: usize) -> f64 {
        let column = self.moments.d + 1 + t;
        self.moments.at(column, column).0.max(0.0)
    }

    /// What an entry of G or of `G x` is wrong by, relative to norms: of the data, and of p sums.
    fn accuracy(&self) -> f64 {
        (self.moments.error + 8.0 * self.p as f64 + 32.0) * U * U
    }

    fn certificate(
        &self,
        g: &TwofoldMatrix,
        active: &[usize],
        scales: &[f64],
        x: &Mat<f64>,
        found: &Factor,
        stop: &Stop<'_>,
    ) -> Result<Option<Certificate>, Error> {
        let (a, r) = x.shape();
        let scaled = Mat::from_fn(a, r, |i, j| x[(i, j)] / scales[i]);
        let half = g.after(&scaled, stop)?.top(r, a);
        let turned = TwofoldMatrix {
            high: half.high.transpose().to_owned(),
            low: half.low.transpose().to_owned(),
        };
        let c = turned.after(&scaled, stop)?.top(r, r).high;
        let c = Mat::from_fn(r, r, |i, j| c[(i.max(j), i.min(j))]);
        let reach: f64 = (0..r)
            .map(|i| (0..a).map(|j| x[(j, i)].abs() * self.norms[active[j]]).sum::<f64>().powi(2))
            .sum();
        let size = scaled.norm_l2();
        let products =
            product_error(a) * U * U * size * (size * g.high.norm_l2() + turned.high.norm_l2());
        let delta = (self.accuracy() * reach + products + U * c.norm_l2()) * SLACK;
        let mut all = Mat::zeros(self.p, r);
        for (row, column) in active.iter().enumerate() {
            all.row_mut(*column).copy_from(x.row(row));
        }
        let squares: Vec<f64> = (0..self.p).map(|j| self.moments.at(j, j).0.max(0.0)).collect();
        let total = self.moments.at(self.moments.d, self.moments.d).0;
        let made = Certificate::new(&[], total, all, c, [delta, 0.0], &squares, stop)?;
        Ok(made.map(|mut certificate| {
            // Of centred columns, if there is an intercept.
            certificate.scales = vec![0.0; self.p];
            for (place, column) in active.iter().enumerate() {
                certificate.scales[*column] = found.left[place].sqrt() / scales[place];
            }
            certificate
        }))
    }

    /// `A'Wb - G x`.
    fn gradient(&self, x: &Twofold, t: usize) -> Twofold {
        let mut g = Twofold::zeros(self.p);
        for j in 0..self.p {
            g.add(j, self.cross(j, t));
            for l in 0..self.p {
                let (high, low) = times(self.at(j, l), x.at(l));
                g.add(j, (-high, -low));
            }
        }
        g
    }

    /// `|b| + sum_l n_l |x_l|`.
    fn reach(&self, x: &Twofold, t: usize) -> f64 {
        let fitted: f64 = x.high.iter().zip(&self.norms).map(|(x, n)| x.abs() * n).sum();
        (self.target(t).sqrt() + fitted) * SLACK + VANISHED
    }

    /// Bounds at x, and a step from there.
    fn step(&self, certificate: &Certificate, x: &Twofold, t: usize) -> Step {
        let share = self.accuracy() * self.reach(x, t);
        let wrong: Vec<f64> = self.norms.iter().map(|n| n * share + TINY * (1.0 + n)).collect();
        certificate.step_by(&self.gradient(x, t), &wrong, 0.0, x, None)
    }

    /// Coefficients, their bounds and the largest of those, in the measure of the tolerance.
    fn refined(
        &self,
        certificate: &Certificate,
        t: usize,
        settings: &Settings,
    ) -> (Twofold, Vec<f64>, f64) {
        let d = self.moments.d;
        if self.target(t) == 0.0 && self.moments.largest[d + 1 + t] == 0.0 {
            return (Twofold::zeros(self.p), vec![0.0; self.p], 0.0);
        }
        let least = NOTHING * self.target(t).sqrt();
        let mut best = (Twofold::zeros(self.p), vec![f64::INFINITY; self.p], f64::INFINITY);
        let mut x = best.0.clone();
        for _ in 0..MOST {
            let step = self.step(certificate, &x, t);
            let error = certificate.relative(&step.bounds[..d], &x.high[..d], least);
            let falls = error < 0.9 * best.2;
            let mut next = x.clone();
            (0..self.p).for_each(|j| next.add(j, (step.change[j], 0.0)));
            if falls || best.2.is_infinite() {
                best = (std::mem::replace(&mut x, next), step.bounds, error);
            }
            if (error.is_finite() && !falls) || error <= 0.01 * settings.tol {
                break;
            }
        }
        best
    }

    /// The norm of the weighted residual: its square is `b'Wb - x'(A'Wb + g) - ridge |x|^2`, g the gradient
    /// at x.
    fn residual(&self, x: &Twofold, t: usize) -> f64 {
        let column = self.moments.d + 1 + t;
        let mut total = self.moments.at(column, column);
        let g = self.gradient(x, t);
        for j in 0..self.p {
            let both = sum(self.cross(j, t), g.at(j));
            let (high, low) = times(both, x.at(j));
            total = sum(total, (-high, -low));
            if j < self.moments.d {
                let (high, low) = multiple(times(x.at(j), x.at(j)), self.ridge);
                total = sum(total, (-high, -low));
            }
        }
        (total.0 + total.1).max(0.0).sqrt()
    }
}
