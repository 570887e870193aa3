//! From a problem to a measured answer, by the method asked for or by the one likely to be
//! fastest.
//!
//! Which one that is depends on the graph: conjugate gradients win on one right-hand side with
//! many fixed nodes, a factor on many right-hand sides, or few fixed nodes, of graphs that are
//! nearly planar, elimination on graphs with nearly all edges. "auto" looks three times whether a
//! factor is the better way: before it starts, by the iterations that are usual; after
//! [`crate::cg::TRIAL`] iterations on the first group of right-hand sides, by the rate seen; and when that
//! group is done and others are left. If even ordering could pay, it orders; then the fill is
//! known, and it factors or goes on. All costs are counts times constants (see `costs`), never
//! times measured, so that the same problem is solved in the same way every time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sparrot_foundation::{Error, Scalar, Status, Stop, Team};
use sparrot_sparse::cholesky::{Lower, Ordered};

use crate::cg::{self, Limits, Solved, WIDEST};
use crate::factor::Factor;
use crate::problem::{self, Problem};
use crate::sweeps::Sweeps;
use crate::system::System;
use crate::{certificate, dense, direct};

/// How to solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// [`Method::Cg`] or [`Method::Cholesky`], as said above.
    Auto,
    /// Conjugate gradients with an incomplete factor.
    Cg,
    /// A sparse factor.
    Cholesky,
    /// Elimination that only adds.
    Dense,
    /// Block descent on forests.
    Forest,
    /// Conjugate gradients with a sweep of block descent as preconditioner.
    ForestCg,
}

impl Method {
    /// The methods by the names that Python knows them by.
    pub const NAMES: [(&str, Method); 6] = [
        ("auto", Method::Auto),
        ("cg", Method::Cg),
        ("cholesky", Method::Cholesky),
        ("dense", Method::Dense),
        ("forest", Method::Forest),
        ("forest_cg", Method::ForestCg),
    ];

    /// The name that Python knows it by.
    pub fn name(self) -> &'static str {
        Method::NAMES.iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }
}

/// What there is to say of an answer.
#[derive(Clone, Debug)]
pub struct Solution {
    /// How the solve ended.
    pub status: Status,
    /// What it was solved with: never [`Method::Auto`].
    pub method: Method,
    /// Iterations or sweeps; of a factor those that were made before it was thought better.
    pub iterations: usize,
    /// The relative residual of each column, measured: see [`certificate::residuals`].
    pub residuals: Vec<f64>,
    /// Nodes whose value nothing determines.
    pub unreached: Vec<u32>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Solves, and measures the answer. `x` (n x k by rows) has the values of fixed nodes; those of
/// unreached nodes are left as they are, all others are written.
///
/// # Errors
/// [`Error::InvalidInput`] for what [`problem::check`] refuses and for sources where nothing is
/// held; [`Error::Interrupted`]; [`Error::OutOfMemory`].
pub fn solve<T: Scalar>(
    problem: &Problem<'_, T>,
    x: &mut [f64],
    method: Method,
    limits: Limits<'_>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Solution, Error> {
    problem::check("W", problem.weights, false, stop)?;
    let k = problem.k;
    let mut system = System::new(problem, x, stop)?;
    let unreached = std::mem::take(&mut system.unreached);
    if let Some(node) = unreached.iter().find(|i| problem.source(**i as usize).any(|b| b != 0.0)) {
        return Err(Error::invalid(
            "source",
            format!("is not 0 at node {node}, from which no fixed node can be reached"),
        ));
    }
    let (method, solved) = if system.is_empty() {
        let nothing = Solved { x: vec![], iterations: 0, status: Status::Converged };
        (if method == Method::Auto { Method::Cg } else { method }, nothing)
    } else {
        match method {
            Method::Auto => automatic(&mut system, limits, team, stop)?,
            Method::Cg => (method, cg::solve(&Factor::new(&mut system), 0..k, limits, team, stop)?),
            Method::Cholesky => (method, factored(&system, stop)?),
            Method::Dense => (method, eliminated(&system, team, stop)?),
            Method::Forest => (method, sweeps(&system, stop)?.descend(&system.rhs, limits, stop)?),
            Method::ForestCg => {
                (method, sweeps(&system, stop)?.conjugate(&system.rhs, limits, stop)?)
            }
        }
    };
    if solved.x.iter().any(|x| !x.is_finite()) {
        let what = format!("weights differ too much for method='{}': use ", method.name());
        return Err(Error::invalid("W", what + "method='dense', or drop small ones"));
    }
    for (node, values) in system.nodes.iter().zip(solved.x.chunks_exact(k)) {
        x[*node as usize * k..][..k].copy_from_slice(values);
    }
    let (residuals, is_rounding) = certificate::residuals(problem, &system.nodes, x, stop)?;
    // Elimination is right whatever the residual says, which rounding to the nearest double alone
    // can make large where weights differ.
    let is_right = method == Method::Dense && is_rounding;
    let status = if is_right || residuals.iter().all(|residual| *residual <= limits.tol) {
        Status::Converged
    } else if solved.status == Status::Converged {
        Status::Stalled // by the measure of the method, not by that of the answer
    } else {
        solved.status
    };
    let iterations = solved.iterations;
    Ok(Solution { status, method, iterations, residuals, unreached, seconds: stop.seconds() })
}

fn sweeps(system: &System, stop: &Stop<'_>) -> Result<Sweeps, Error> {
    Sweeps::new("W", system.matrix(), stop)
}

fn eliminated(system: &System, team: &Team, stop: &Stop<'_>) -> Result<Solved, Error> {
    let x = dense::solve(system, team, stop)?;
    Ok(Solved { x, iterations: 0, status: Status::Converged })
}

fn factored(system: &System, stop: &Stop<'_>) -> Result<Solved, Error> {
    let matrix = direct::lower(system);
    let ordered = direct::order(matrix.clone(), stop)?;
    let x = direct::solve(system, matrix, ordered, stop)?;
    Ok(Solved { x, iterations: 0, status: Status::Converged })
}

/// Nanoseconds of one thread: fits, good to a factor of 2, to lattices of 2,500 to 90,000 nodes
/// and 5-neighbour graphs of 2,000 to 200,000 with one to a hundred right-hand sides (Intel Xeon,
/// AVX-512).
mod costs {
    use sparrot_sparse::cholesky::Ordered;

    use crate::system::System;

    fn edges(system: &System) -> f64 {
        (system.lower.indices.len() + system.upper.indices.len()) as f64
    }

    /// One iteration for that many right-hand sides side by side.
    pub fn iteration(system: &System, width: usize) -> f64 {
        let width = width as f64;
        system.len() as f64 * (3.0 + 2.0 * width) + 0.7 * edges(system) * width
    }

    /// Ordering for a factor.
    pub fn ordering(system: &System) -> f64 {
        65.0 * edges(system)
    }

    /// The factor and its solves.
    pub fn factor(ordered: &Ordered, columns: usize) -> f64 {
        ordered.entries() as f64 * (35.0 + 2.0 * columns as f64) + 0.15 * ordered.work()
    }
}

/// A factor that is ordered already, or not yet.
struct Candidate<'a> {
    system: &'a System,
    stop: &'a Stop<'a>,
    columns: usize,
    found: Option<(Lower, Ordered)>,
}

impl Candidate<'_> {
    /// Whether a factor takes less than what is ahead otherwise; orders only if that may be.
    fn is_cheaper(&mut self, ahead: f64) -> bool {
        // A factor takes about as long as its ordering, at least.
        if self.found.is_none() && 2.0 * costs::ordering(self.system) < ahead {
            let matrix = direct::lower(self.system);
            let ordered = direct::order(matrix.clone(), self.stop);
            self.found = ordered.ok().map(|ordered| (matrix, ordered));
        }
        let cost = self.found.as_ref().map(|(_, ordered)| costs::factor(ordered, self.columns));
        cost.is_some_and(|cost| cost < ahead)
    }
}

fn automatic(
    system: &mut System,
    limits: Limits<'_>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(Method, Solved), Error> {
    /// What graphs with one label in 20 nodes take.
    const USUAL: usize = 30;
    if dense::is_best(system) {
        return Ok((Method::Dense, eliminated(system, team, stop)?));
    }
    let k = system.rhs.len() / system.len();
    let first = k.min(WIDEST);
    let factor = Factor::new(system);
    let system = factor.system;
    // What `now` iterations of the first group of right-hand sides, and `later` of each to come,
    // take.
    let ahead = |now: usize, later: usize| {
        let groups = (k - first).div_ceil(WIDEST);
        costs::iteration(system, first) * now as f64
            + costs::iteration(system, WIDEST) * (later * groups) as f64
    };
    let candidate = Mutex::new(Candidate { system, stop, columns: k, found: None });
    // A poisoned lock is a panic on its way out.
    let is_cheaper = |ahead| candidate.lock().is_ok_and(|mut c| c.is_cheaper(ahead));
    let nothing = Solved { x: vec![], iterations: 0, status: Status::Converged };
    let (mut solved, mut gives_up) = (nothing, is_cheaper(ahead(USUAL, USUAL)));
    stop.poll()?;
    if !gives_up {
        let has_given_up = AtomicBool::new(false);
        let on_trial = |more: usize| {
            let gives_up = is_cheaper(ahead(more, more + cg::TRIAL));
            has_given_up.store(gives_up, Ordering::Relaxed);
            gives_up
        };
        let trial = Limits { give_up: Some(&on_trial), ..limits };
        solved = cg::solve(&factor, 0..first, trial, team, stop)?;
        stop.poll()?;
        gives_up =
            has_given_up.into_inner() || (first < k && is_cheaper(ahead(0, solved.iterations)));
    }
    if gives_up && let Some((matrix, ordered)) = candidate.into_inner().ok().and_then(|c| c.found) {
        match direct::solve(system, matrix, ordered, stop) {
            Ok(mut x) => {
                for (row, s) in x.chunks_exact_mut(k).zip(&factor.scale) {
                    row.iter_mut().for_each(|x| *x *= s);
                }
                let iterations = solved.iterations;
                let done = Solved { x, iterations, status: Status::Converged };
                return Ok((Method::Cholesky, done));
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            // Rounding, or no memory for it.
            Err(_) => return Ok((Method::Cg, cg::solve(&factor, 0..k, limits, team, stop)?)),
        }
    }
    if first < k {
        let rest = cg::solve(&factor, first..k, limits, team, stop)?;
        let rows = solved.x.chunks_exact(first).zip(rest.x.chunks_exact(k - first));
        solved.x = rows.flat_map(|(head, tail)| head.iter().chain(tail)).copied().collect();
        solved.iterations = solved.iterations.max(rest.iterations);
        if solved.status == Status::Converged {
            solved.status = rest.status;
        }
    }
    Ok((Method::Cg, solved))
}
