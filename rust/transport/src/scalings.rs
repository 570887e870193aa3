//! Scalings on top of a stored plan: `P = diag(u) T diag(v)`, with rows that sum to their weight.
//!
//! A sweep costs one read of `T` and no exponential. Scalings that have grown large are absorbed
//! into the potentials, after which the plan has to be stored anew.

use sparrot_foundation::Error;

use crate::kernel::Kernel;
use crate::problem::Problem;
use crate::run::Run;

/// The largest scaling that is left on top of the stored plan, and the inverse of the smallest:
/// products of several are far from what the type cannot hold.
const LARGEST: f64 = 1e22;

/// The scalings and what the last sweep found.
#[derive(Clone, Debug)]
pub struct Scalings {
    /// Of the rows: `a_i / (T v)_i`.
    pub u: Vec<f64>,
    /// Of the columns.
    pub v: Vec<f64>,
    /// `T' u`: column j of the plan sums to `acc_j v_j`.
    pub acc: Vec<f64>,
}

impl Scalings {
    /// All ones, for n rows and m columns.
    pub fn new(n: usize, m: usize) -> Scalings {
        Scalings { u: vec![1.0; n], v: vec![1.0; m], acc: vec![0.0; m] }
    }

    /// All ones again, for a plan just stored whose rows are exact.
    pub fn reset<K: Kernel>(&mut self, gibbs: &K) {
        self.u.fill(1.0);
        self.v.fill(1.0);
        self.acc.copy_from_slice(gibbs.column_sums());
    }

    /// Makes the rows exact for the present `v`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sweep<K: Kernel>(&mut self, run: &Run<'_>, gibbs: &mut K) -> Result<(), Error> {
        gibbs.sweep(run.problem.a, &self.v, &mut self.u, &mut self.acc, run.team, run.stop)
    }

    /// Makes the columns exact for the present `u`, which the rows then are not any more.
    pub fn balance_columns(&mut self, b: &[f64]) {
        for ((v, acc), b) in self.v.iter_mut().zip(&self.acc).zip(b) {
            *v = if *b > 0.0 { b / acc } else { 0.0 };
        }
    }

    /// The L1 error of the columns, rows being exact.
    pub fn column_error(&self, b: &[f64]) -> f64 {
        self.acc.iter().zip(&self.v).zip(b).map(|((acc, v), b)| (acc * v - b).abs()).sum()
    }

    /// The largest `|log(sum / weight)|` of a column, rows being exact.
    pub fn farthest_column(&self, b: &[f64]) -> f64 {
        let factors = self.acc.iter().zip(&self.v).zip(b).filter(|(_, b)| **b > 0.0);
        factors.map(|((acc, v), b)| (acc * v / b).ln().abs()).fold(0.0, f64::max)
    }

    /// Whether all are within bounds.
    pub fn are_moderate(&self, problem: &Problem<'_>) -> bool {
        let moderate = |scalings: &[f64], weights: &[f64]| {
            let within = |s: f64| s < LARGEST && s * LARGEST > 1.0;
            scalings.iter().zip(weights).all(|(s, w)| within(*s) || *w == 0.0)
        };
        moderate(&self.u, problem.a) && moderate(&self.v, problem.b)
    }

    /// Moves the scalings into the potentials. One that underflow made meaningless is dropped.
    pub fn absorb(&self, run: &mut Run<'_>) {
        let into = |potentials: &mut [f64], scalings: &[f64]| {
            for (potential, scaling) in potentials.iter_mut().zip(scalings) {
                if *scaling > 0.0 && scaling.is_finite() {
                    *potential += scaling.ln();
                }
            }
        };
        into(&mut run.phi, &self.u);
        into(&mut run.psi, &self.v);
    }
}
