//! Softmax regression: coefficients whose softmax is nearest to given numbers. Experimental.
//!
//! ```text
//! minimise  L(x) = 1/2 |f - b|^2 + ridge/2 |x|^2,      f = softmax(A x)
//! ```
//!
//! The problem of "The Closeness of In-Context Learning and Weight Shifting for Softmax Regression"
//! (arXiv 2304.13276). It is not convex: what is found is a point where the gradient is nearly 0, and
//! whether the Hessian is positive definite there is told. With `c = f - b`, `s = f'c` and the rows less
//! their mean under f, `e_i = a_i - A'f`,
//!
//! ```text
//! gradient  sum_i f_i c_i e_i + ridge x
//! Hessian   sum_i f_i (2 f_i - b_i - s) e_i e_i' + ridge I
//! Gauss-Newton matrix   sum_i f_i^2 e_i e_i' + ridge I
//! ```
//!
//! (the terms of rank 1 that one finds with a_i in place of e_i vanish, as softmax does not see what is
//! added to all of `A x`). Newton's method, damped by halving steps until the objective falls (Armijo);
//! where the Hessian is not positive definite, the Gauss-Newton matrix takes its place. "Sketched" is
//! always the latter, from a sketch of the rows `f_i e_i` with new random numbers each time; that the
//! Hessian may be sketched is the idea of Deng, Li and Song (arXiv 2304.10411), who sample rows by
//! leverage scores under conditions that make it positive definite.
//!
//! A is read by blocks of rows; four passes for a step, one of which costs n d^2 / 2 operations, or that
//! of the sketch. Steps are tried without reading A.

use std::ops::Range;

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use sparrot_foundation::{Error, Status, Stop, Team, memory};

use crate::kind::{Kind, sketch};
use crate::rows::{Rows, not_finite};
use crate::softmax_passes::{self as passes, Centred, Moments, U};

/// A problem.
#[derive(Clone, Copy)]
pub struct SoftmaxProblem<'a> {
    /// The matrix, (n, d).
    pub a: &'a dyn Rows,
    /// n numbers.
    pub b: &'a [f64],
    /// Not negative.
    pub ridge: f64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxSettings {
    /// The sketch and its size; none for exact Hessians.
    pub sketch: Option<(Kind, usize)>,
    /// Of the sketches.
    pub seed: u64,
    /// For the scaled gradient.
    pub tol: f64,
    /// Steps, at most.
    pub max_iter: usize,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct SoftmaxAnswer {
    /// d.
    pub x: Vec<f64>,
    /// L(x).
    pub objective: f64,
    /// `|f - b|`.
    pub residual: f64,
    /// The largest entry of the gradient, each as a share of what it could be.
    pub stationarity: f64,
    /// The smallest eigenvalue of the Hessian, its columns scaled by those of the Gauss-Newton matrix.
    pub curvature: f64,
    /// Whether a Cholesky factorisation proves that the Hessian is positive definite, rounding included.
    pub is_positive: bool,
    /// How it ended.
    pub status: Status,
    /// Passes over the rows.
    pub passes: usize,
    /// The objective and the stationarity before each step and at the end.
    pub trace: Vec<[f64; 2]>,
}

/// The share of the decrease that the gradient promises.
const ARMIJO: f64 = 1e-4;
/// What a step may change the logarithm of a ratio of two probabilities by, at most.
const REACH: f64 = 10.0;
/// Halvings of a step, at most.
const HALVINGS: usize = 50;
/// Added to the diagonal of a scaled Gauss-Newton matrix, which may be singular.
const DAMPING: f64 = 1e-10;
/// Columns whose entries differ by less or more would over- or underflow.
const SPREADS: Range<f64> = 1e-100..1e100;

/// x, and what softmax makes of it.
struct Point {
    x: Vec<f64>,
    z: Vec<f64>,
    f: Vec<f64>,
    objective: f64,
    residual: f64,
}

struct Run<'a, 'b> {
    problem: SoftmaxProblem<'a>,
    settings: &'b SoftmaxSettings,
    team: &'b Team,
    stop: &'b Stop<'b>,
    passes: usize,
}

fn centred<'a>(a: &'a dyn Rows, factors: &'a [f64], moments: &'a Moments) -> Centred<'a> {
    Centred { a, factors, origin: &moments.origin, centre: &moments.centre }
}

/// A bound of the relative error of f, by the rounding of `A x`, of the exponential and of sums.
fn error_of_f(point: &Point, moments: &Moments) -> f64 {
    let (n, d) = (point.f.len(), point.x.len());
    let of_column =
        |j: usize| (2.0 * moments.reach[j] + moments.origin[j].abs()) * point.x[j].abs();
    let of_z: f64 = (0..d).map(of_column).sum();
    2.0 * U * ((d + 8) as f64 * of_z + passes::summed(n) as f64 + 16.0)
}

/// From a start.
///
/// # Errors
/// [`Error::InvalidInput`] names an entry that is not finite or a column whose scale is out of range, or
/// says what the size of the sketch must be; [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn softmax_regression(
    problem: SoftmaxProblem<'_>,
    start: &[f64],
    settings: &SoftmaxSettings,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<SoftmaxAnswer, Error> {
    Run { problem, settings, team, stop, passes: 0 }.solve(start)
}

impl Run<'_, '_> {
    fn solve(mut self, start: &[f64]) -> Result<SoftmaxAnswer, Error> {
        let mut here = self.point(start.to_vec())?;
        let mut moments = self.moments(&here)?;
        for (j, reach) in moments.reach.iter().enumerate() {
            if *reach != 0.0 && !SPREADS.contains(reach) {
                let message =
                    format!("has a column, {j}, whose entries differ by {reach:e}: scale it");
                return Err(Error::invalid("A", message));
            }
        }
        let mut stationarity = self.stationarity(&here, &moments);
        let mut trace = vec![[here.objective, stationarity]];
        let mut status = Status::Converged;
        while stationarity > self.settings.tol {
            if trace.len() > self.settings.max_iter {
                status = Status::MaxIter;
                break;
            }
            let direction = self.direction(&here, &moments, trace.len() as u64)?;
            let Some((next, falls)) = self.step(&here, &moments, &direction)? else {
                status = Status::Stalled;
                break;
            };
            let found = self.moments(&next)?;
            let reached = self.stationarity(&next, &found);
            // Where rounding hides whether the objective falls the gradient must.
            if !falls && reached > 0.5 * stationarity {
                status = Status::Stalled;
                break;
            }
            (here, moments, stationarity) = (next, found, reached);
            trace.push([here.objective, stationarity]);
        }
        self.finish(here, status, trace)
    }

    /// What is told of the answer, computed from x alone.
    fn finish(
        mut self,
        here: Point,
        mut status: Status,
        mut trace: Vec<[f64; 2]>,
    ) -> Result<SoftmaxAnswer, Error> {
        let here = self.point(here.x)?;
        let moments = self.moments(&here)?;
        let stationarity = self.stationarity(&here, &moments);
        if status == Status::Converged && stationarity > self.settings.tol {
            status = Status::Stalled; // by the rounding of the steps' sum
        }
        if let Some(last) = trace.last_mut() {
            *last = [here.objective, stationarity];
        }
        let (curvature, is_positive) = self.curvature(&here, &moments)?;
        Ok(SoftmaxAnswer {
            x: here.x,
            objective: here.objective,
            residual: here.residual,
            stationarity,
            curvature,
            is_positive,
            status,
            passes: self.passes,
            trace,
        })
    }

    fn point(&mut self, x: Vec<f64>) -> Result<Point, Error> {
        let z = passes::products(self.problem.a, &x, self.team, self.stop)?;
        self.passes += 1;
        // 0 times an infinity is not a number, so that every entry of A is seen.
        if !z.iter().all(|v| v.is_finite()) {
            return Err(not_finite(self.problem.a, "A"));
        }
        self.at(x, z)
    }

    fn at(&self, x: Vec<f64>, z: Vec<f64>) -> Result<Point, Error> {
        let mut f: Vec<f64> = memory::zeros("probabilities", z.len(), 1)?;
        passes::softmax(&z, &mut f, self.stop)?;
        let squares = passes::distance(&f, self.problem.b);
        let penalty: f64 = x.iter().map(|x| x * x).sum();
        let objective = 0.5 * (squares + self.problem.ridge * penalty);
        Ok(Point { x, z, f, objective, residual: squares.sqrt() })
    }

    fn moments(&mut self, point: &Point) -> Result<Moments, Error> {
        let found =
            passes::moments(self.problem.a, &point.f, self.problem.b, self.team, self.stop)?;
        self.passes += 2;
        let mut values = found.gradient.iter().chain(&found.squares).chain(&found.reach);
        if values.all(|v| v.is_finite()) { Ok(found) } else { Err(not_finite(self.problem.a, "A")) }
    }

    fn gradient(&self, point: &Point, moments: &Moments) -> Vec<f64> {
        let pairs = moments.gradient.iter().zip(&point.x);
        pairs.map(|(g, x)| g + self.problem.ridge * x).collect()
    }

    /// The largest share that an entry of the gradient is of what Cauchy's inequality allows for, with
    /// `|f| + |b|` for the residual: where that is 0 the gradient tends to 0 faster than it. What rounding
    /// may hide of it is added, to first order: f is wrong by a share, in the factors and in the mean.
    fn stationarity(&self, point: &Point, moments: &Moments) -> f64 {
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let size = norm(&point.f) + norm(self.problem.b);
        let gradient = self.gradient(point, moments);
        let wrong = error_of_f(point, moments);
        let s = passes::shift(&point.f, self.problem.b).abs();
        let share = |j: usize| {
            let most = moments.squares[j].sqrt() * size + self.problem.ridge * point.x[j].abs();
            let hidden = wrong * (3.0 * most + s * moments.spread[j]);
            if most == 0.0 && gradient[j] == 0.0 {
                0.0
            } else {
                (gradient[j].abs() + hidden) / most
            }
        };
        (0..gradient.len()).map(share).fold(0.0, f64::max)
    }

    /// The factors that scale the columns; 0 for those that do nothing.
    fn scales(&self, moments: &Moments) -> Vec<f64> {
        let scale = |s: &f64| {
            let size = s + self.problem.ridge;
            if size > 0.0 { 1.0 / size.sqrt() } else { 0.0 }
        };
        moments.squares.iter().map(scale).collect()
    }

    /// A matrix with the ridge, scaled; with 1 where nothing is.
    fn scaled(&self, gram: &Mat<f64>, scales: &[f64]) -> Mat<f64> {
        Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| {
            let ridge = if i == j { self.problem.ridge } else { 0.0 };
            let empty = if i == j && scales[i] == 0.0 { 1.0 } else { 0.0 };
            scales[i] * (gram[(i, j)] + ridge) * scales[j] + empty
        })
    }

    /// Where to go.
    fn direction(
        &mut self,
        point: &Point,
        moments: &Moments,
        iteration: u64,
    ) -> Result<Vec<f64>, Error> {
        let scales = self.scales(moments);
        let gradient = self.gradient(point, moments);
        let right = Mat::from_fn(gradient.len(), 1, |j, _| -scales[j] * gradient[j]);
        let a = self.problem.a;
        let factor = match self.settings.sketch {
            None => {
                let weights = passes::curvatures(&point.f, self.problem.b);
                let gram = passes::gram(&centred(a, &weights, moments), self.team, self.stop)?;
                self.passes += 1;
                self.scaled(&gram, &scales).llt(Side::Lower).ok()
            }
            Some((kind, size)) => {
                let seed = self.settings.seed.wrapping_add(iteration);
                let k = sketch(
                    &centred(a, &point.f, moments),
                    kind,
                    size,
                    seed,
                    0,
                    self.team,
                    self.stop,
                )?;
                self.passes += 1;
                self.damped(&passes::square(&k, gradient.len()), &scales)
            }
        };
        let factor = match factor {
            Some(factor) => factor,
            None => {
                let weights: Vec<f64> = point.f.iter().map(|f| f * f).collect();
                let gram = passes::gram(&centred(a, &weights, moments), self.team, self.stop)?;
                self.passes += 1;
                self.damped(&gram, &scales).ok_or_else(|| {
                    Error::invalid("A", "has columns that cannot be told apart: raise ridge")
                })?
            }
        };
        let step = factor.solve(right);
        Ok((0..gradient.len()).map(|j| scales[j] * step[(j, 0)]).collect())
    }

    fn damped(&self, gram: &Mat<f64>, scales: &[f64]) -> Option<faer::linalg::solvers::Llt<f64>> {
        let mut scaled = self.scaled(gram, scales);
        (0..scaled.nrows()).for_each(|j| scaled[(j, j)] += DAMPING);
        scaled.llt(Side::Lower).ok()
    }

    /// The next point, and whether the objective is seen to fall; none if it is seen to rise only.
    fn step(
        &mut self,
        here: &Point,
        moments: &Moments,
        direction: &[f64],
    ) -> Result<Option<(Point, bool)>, Error> {
        let change = passes::products(self.problem.a, direction, self.team, self.stop)?;
        self.passes += 1;
        let most = change.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = change.iter().copied().fold(f64::INFINITY, f64::min);
        let gradient = self.gradient(here, moments);
        let slope: f64 = gradient.iter().zip(direction).map(|(g, p)| g * p).sum();
        let first = (REACH / (most - least)).min(1.0);
        if !(slope < 0.0 && first > 0.0) {
            return Ok(None);
        }
        let tried = |t: f64| {
            let along = |(v, p): (&f64, &f64)| v + t * p;
            let x = here.x.iter().zip(direction).map(along).collect();
            self.at(x, here.z.iter().zip(&change).map(along).collect())
        };
        let mut t = first;
        for _ in 0..HALVINGS {
            self.stop.poll()?;
            let next = tried(t)?;
            if next.objective <= here.objective + ARMIJO * t * slope
                && next.objective < here.objective
            {
                return Ok(Some((next, true)));
            }
            t *= 0.5;
        }
        let next = tried(first)?;
        let squares: f64 = self.problem.b.iter().map(|b| b * b).sum();
        let rounding = 16.0 * U * (here.objective + squares);
        Ok((next.objective <= here.objective + rounding).then_some((next, false)))
    }

    /// The smallest eigenvalue of the scaled Hessian, and whether it is proven to be positive.
    ///
    /// What is computed may be wrong, relative to the sizes of its terms, by the rounding of sums and
    /// products and by twice the relative error of f, which is that of `A x`; a centre that is wrong by
    /// a share of the reach of its column leaves that much of the terms that ought to vanish. A Cholesky
    /// factorisation of what is less by all that, and by its own rounding (Rump, "Verification of
    /// positive definiteness", BIT 2006), is the proof.
    fn curvature(&mut self, point: &Point, moments: &Moments) -> Result<(f64, bool), Error> {
        let (n, d) = (point.f.len(), point.x.len());
        let weights = passes::curvatures(&point.f, self.problem.b);
        let sizes = passes::sizes(&point.f, self.problem.b);
        let a = self.problem.a;
        let gram = passes::gram(&centred(a, &weights, moments), self.team, self.stop)?;
        let bulk = passes::diagonal(&centred(a, &sizes, moments), self.team, self.stop)?;
        self.passes += 2;
        let scales = self.scales(moments);
        let mut scaled = self.scaled(&gram, &scales);
        let values = scaled.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        let curvature = values.iter().copied().fold(f64::INFINITY, f64::min);
        let sum = |term: &dyn Fn(usize) -> f64| (0..d).map(term).sum::<f64>();
        let of_f = error_of_f(point, moments);
        let terms = sum(&|j| scales[j].powi(2) * (bulk[j] + self.problem.ridge));
        let total: f64 = sizes.iter().sum();
        let left = total * sum(&|j| scales[j] * moments.reach[j]).powi(2);
        let trace = sum(&|j| scaled[(j, j)].abs());
        let rounding = U * (passes::summed(n) + 2 * d + 16) as f64;
        let wrong = 4.0 * ((of_f + rounding) * (terms + left) + U * (d + 4) as f64 * trace);
        (0..d).for_each(|j| scaled[(j, j)] -= wrong);
        let determined = scales.iter().all(|s| *s > 0.0) && wrong.is_finite();
        Ok((curvature, determined && scaled.llt(Side::Lower).is_ok()))
    }
}
