//! Many small problems of one shape: each is solved by one thread, and none waits for another.

use std::thread::{self, ThreadId};

use sparrot_foundation::stop::Observer;
use sparrot_foundation::{Error, Scalar, Stop, Team};

use crate::geometry::{Element, MatrixView};
use crate::plan::{self, Potentials};
use crate::problem::Problem;
use crate::solve::{Method, SMALL, Settings, Solution, solve};

/// Problems of shape (n, m), one after the other in memory.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    /// The cost matrices, by rows.
    pub costs: &'a [T],
    /// Weights of the rows, n for each problem.
    pub a: &'a [f64],
    /// Weights of the columns, m for each problem.
    pub b: &'a [f64],
    /// The regularisation of each problem.
    pub regs: &'a [f64],
    /// What rows and columns are called in messages.
    pub sides: [&'static str; 2],
}

/// Problems that a thread takes at a time, by the entries of their matrices.
const ENTRIES_AT_A_TIME: usize = 1 << 14;

/// What a solve costs for each entry, roughly.
const NANOSECONDS: usize = 20;

impl<T: Element> Batch<'_, T> {
    /// Calls `work` for each problem, with its view and its share of `shares`; the results in order.
    fn each<P: Send, R: Send>(
        &self,
        shares: Vec<P>,
        team: &Team,
        stop: &Stop<'_>,
        work: impl Fn(usize, &Problem<'_>, P) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let count = self.regs.len();
        let (n, m) = (self.a.len() / count, self.b.len() / count);
        let at_a_time = (ENTRIES_AT_A_TIME / (n * m)).max(1);
        let mut shares = shares.into_iter().enumerate();
        let items: Vec<Vec<(usize, P)>> = (0..count)
            .step_by(at_a_time)
            .map(|_| shares.by_ref().take(at_a_time).collect())
            .collect();
        let nanoseconds = NANOSECONDS.saturating_mul(self.costs.len());
        let results = team.for_work(nanoseconds).run(stop, items, |item| {
            let one = |(k, share): (usize, P)| {
                let cost = MatrixView::row_major(&self.costs[k * n * m..(k + 1) * n * m], m);
                let problem = Problem {
                    cost: &cost,
                    a: &self.a[k * n..(k + 1) * n],
                    b: &self.b[k * m..(k + 1) * m],
                    reg: self.regs[k],
                    sides: self.sides,
                    relaxation: None,
                };
                work(k, &problem, share).map_err(|error| in_problem(k, error))
            };
            item.into_iter().map(one).collect::<Result<Vec<R>, Error>>()
        })?;
        Ok(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Solves every problem to the marginal error `tol`; `stop` keeps the time of all of them. The
    /// plans are kept where all of them together are small.
    ///
    /// # Errors
    /// As [`solve`], for the first problem that has one.
    pub fn solve(
        &self,
        method: &Method,
        tol: f64,
        max_iter: usize,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<Solution>, Error> {
        let caller = thread::current().id();
        let keeps_plan = self.costs.len() <= SMALL;
        self.each(vec![(); self.regs.len()], team, stop, |_, problem, ()| {
            let method = method.clone();
            let settings = Settings { method, init: None, tol, max_iter, keeps_plan };
            let observer = Outer { stop, caller };
            let own_stop = Stop::new(&observer, stop.seconds_left());
            solve(problem, &settings, &Team::new(Some(1)), &own_stop)
        })
    }

    /// Writes the plans of the potentials (n and m for each problem), one after the other.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn plans<U: Scalar>(
        &self,
        (f, g): (&[f64], &[f64]),
        out: &mut [U],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let caller = thread::current().id();
        let shares = out.chunks_mut(out.len() / self.regs.len()).collect();
        self.each(shares, team, stop, |k, problem, out| {
            let (n, m) = (problem.a.len(), problem.b.len());
            let (f, g) = (&f[k * n..(k + 1) * n], &g[k * m..(k + 1) * m]);
            let potentials = Potentials::scaled(f, g, problem.reg);
            let observer = Outer { stop, caller };
            let own_stop = Stop::new(&observer, None);
            plan::dense(problem, &potentials, out, &Team::new(Some(1)), &own_stop)
        })?;
        Ok(())
    }
}

fn in_problem(k: usize, error: Error) -> Error {
    match error {
        Error::Infeasible(message) => Error::Infeasible(format!("problem {k}: {message}")),
        other => other,
    }
}

/// The stop of all problems, as one of them sees it: only the calling thread may ask the user.
pub(crate) struct Outer<'a> {
    pub stop: &'a Stop<'a>,
    pub caller: ThreadId,
}

impl Observer for Outer<'_> {
    fn interrupted(&self) -> bool {
        if thread::current().id() == self.caller {
            self.stop.poll().is_err()
        } else {
            self.stop.is_interrupted()
        }
    }
}
