//! Scalings on top of a stored plan: `P = diag(u) T diag(v)`, with rows that sum to their targets.
//!
//! A sweep costs one read of `T` and no exponential. Scalings that have grown large are absorbed
//! into the potentials, after which the plan has to be stored anew.
//!
//! Targets are the weights where marginals are fixed, and follow the potentials where they are not
//! ([`crate::relaxation`]). Then a sweep also moves all potentials by what is best for the dual value,
//! `psi` up and `phi` down by `tau`, after which the rows are made exact again, all by one factor:
//! with `M` the mass of the plan and `N` that of the columns' targets it ends with both equal, by
//! `tau = log(N / M) / (q_a / (1 + q_a) + q_b)`.

use sparrot_foundation::Error;

use crate::kernel::Kernel;
use crate::relaxation::{COLUMNS, ROWS};
use crate::run::Run;

/// The largest scaling that is left on top of the stored plan, and the inverse of the smallest:
/// products of several are far from what the type cannot hold.
const LARGEST: f64 = 1e22;

/// The scalings and what the last sweep found.
#[derive(Clone, Debug)]
pub struct Scalings {
    /// Of the rows: `a_i / (T v)_i`, or what makes them exact where they may be missed.
    pub u: Vec<f64>,
    /// Of the columns.
    pub v: Vec<f64>,
    /// `T' u`: column j of the plan sums to `acc_j v_j`.
    pub acc: Vec<f64>,
    /// The targets of rows and columns at `u = 1` and `v = 1`.
    targets: [Vec<f64>; 2],
    /// The logarithms of those of the columns, where these may be missed: a target may be as good as
    /// nothing while its potential still has far to go.
    log_targets: Vec<f64>,
    /// `q` of rows and columns.
    pub slack: [f64; 2],
    /// What has been moved from the potentials of the rows to those of the columns.
    pub tau: f64,
}

impl Scalings {
    /// All ones, for n rows and m columns.
    pub fn new(n: usize, m: usize) -> Scalings {
        Scalings {
            u: vec![1.0; n],
            v: vec![1.0; m],
            acc: vec![0.0; m],
            targets: [vec![0.0; n], vec![0.0; m]],
            log_targets: vec![],
            slack: [0.0; 2],
            tau: 0.0,
        }
    }

    /// All ones again, for a plan just stored whose rows are exact; on to the best mass of it.
    pub fn reset<K: Kernel>(&mut self, run: &Run<'_>, gibbs: &K) {
        self.u.fill(1.0);
        self.v.fill(1.0);
        self.acc.copy_from_slice(gibbs.column_sums());
        for (side, potentials) in [(ROWS, &run.phi), (COLUMNS, &run.psi)] {
            self.slack[side] = run.problem.slack(side);
            for (i, (target, x)) in self.targets[side].iter_mut().zip(potentials).enumerate() {
                *target = run.problem.target(side, i, *x);
            }
        }
        self.log_targets.clear();
        if self.slack[COLUMNS] > 0.0 {
            let logs = run.psi.iter().enumerate();
            self.log_targets.extend(logs.map(|(j, x)| run.problem.log_target(COLUMNS, j, *x)));
        }
        self.tau = 0.0;
        self.translate();
    }

    /// Makes the rows exact for the present `v`, in one read of `T`, and gives the plan the best mass.
    /// Rows without weight get `u = 0`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn sweep<K: Kernel>(&mut self, run: &Run<'_>, gibbs: &mut K) -> Result<(), Error> {
        let moved = self.row_factor(self.tau);
        let Scalings { u, v, acc, targets: [targets, _], slack, .. } = self;
        let ratio = |i: usize, sum: f64| if targets[i] > 0.0 { targets[i] / sum } else { 0.0 };
        let exponent = 1.0 / (1.0 + slack[ROWS]);
        let (team, stop) = (run.team, run.stop);
        if slack[ROWS] == 0.0 {
            gibbs.fused(v, &|i, sum| (ratio(i, sum), ratio(i, sum)), u, acc, team, stop)?;
        } else {
            let row = |i, sum| {
                let scaling = moved * ratio(i, sum).powf(exponent);
                (scaling, scaling)
            };
            gibbs.fused(v, &row, u, acc, team, stop)?;
        }
        self.translate();
        Ok(())
    }

    /// What the scalings of exact rows are multiplied by when potentials are moved by `tau`.
    fn row_factor(&self, tau: f64) -> f64 {
        let slack = self.slack[ROWS];
        (tau * slack / (1.0 + slack)).exp()
    }

    fn translate(&mut self) {
        let [row_slack, column_slack] = self.slack;
        let give = row_slack / (1.0 + row_slack) + column_slack;
        if give == 0.0 {
            return;
        }
        let targets: f64 = (0..self.v.len()).map(|j| self.column_target(j)).sum();
        let tau = (targets / self.mass()).ln() / give;
        if !tau.is_finite() {
            return; // no mass at all, or a potential far off: sweeps will tell
        }
        self.tau += tau;
        let grown = self.row_factor(tau);
        self.u.iter_mut().chain(&mut self.acc).for_each(|x| *x *= grown);
    }

    /// What row i sums to.
    pub fn row_target(&self, i: usize) -> f64 {
        let (slack, target) = (self.slack[ROWS], self.targets[ROWS][i]);
        if slack == 0.0 || target == 0.0 {
            target
        } else {
            target * (-slack * (self.u[i].ln() - self.tau)).exp()
        }
    }

    /// What column j should sum to.
    pub fn column_target(&self, j: usize) -> f64 {
        if self.slack[COLUMNS] == 0.0 {
            self.targets[COLUMNS][j]
        } else {
            self.log_column_target(j).exp()
        }
    }

    /// Its logarithm, where columns may be missed.
    fn log_column_target(&self, j: usize) -> f64 {
        let log = self.log_targets[j];
        if log == f64::NEG_INFINITY {
            return log; // no weight, or no edge
        }
        log - self.slack[COLUMNS] * (self.v[j].ln() + self.tau)
    }

    /// What all columns should sum to.
    pub fn column_targets(&self) -> Vec<f64> {
        (0..self.v.len()).map(|j| self.column_target(j)).collect()
    }

    /// The mass of the plan.
    pub fn mass(&self) -> f64 {
        self.acc.iter().zip(&self.v).map(|(acc, v)| acc * v).sum()
    }

    /// The change of `log v_j` that makes column j exact for the present `u`.
    pub fn column_step(&self, j: usize) -> f64 {
        let (slack, sum) = (self.slack[COLUMNS], self.acc[j] * self.v[j]);
        if slack == 0.0 {
            let target = self.targets[COLUMNS][j];
            return if target > 0.0 { (target / sum).ln() } else { 0.0 };
        }
        let log = self.log_column_target(j);
        if log > f64::NEG_INFINITY && sum > 0.0 {
            (log - sum.ln()) / (1.0 + slack)
        } else {
            0.0 // nothing to move, or too little to be told from nothing
        }
    }

    /// Makes columns whose marginal is fixed exact for the present `u`, which the rows then are not
    /// any more.
    pub fn balance_columns(&mut self, b: &[f64]) {
        for ((v, acc), b) in self.v.iter_mut().zip(&self.acc).zip(b) {
            *v = if *b > 0.0 { b / acc } else { 0.0 };
        }
    }

    /// The L1 error of the columns as a share of the mass, rows being exact.
    pub fn error(&self) -> f64 {
        let sums = self.acc.iter().zip(&self.v).map(|(acc, v)| acc * v);
        let (mut error, mut mass) = (0.0, 0.0);
        if self.slack[COLUMNS] == 0.0 {
            for (sum, target) in sums.zip(&self.targets[COLUMNS]) {
                error += (sum - target).abs();
                mass += sum;
            }
        } else {
            for (j, sum) in sums.enumerate() {
                error += (sum - self.column_target(j)).abs();
                mass += sum;
            }
        }
        if error == 0.0 { 0.0 } else { error / mass }
    }

    /// The largest `|log(sum / target)|` of a column, rows being exact.
    pub fn farthest_column(&self) -> f64 {
        let farthest = (0..self.v.len()).map(|j| self.column_step(j).abs()).fold(0.0, f64::max);
        farthest * (1.0 + self.slack[COLUMNS])
    }

    /// Whether all are within bounds.
    pub fn are_moderate(&self) -> bool {
        let moderate = |scalings: &[f64], weights: &[f64]| {
            let within = |s: f64| s < LARGEST && s * LARGEST > 1.0;
            scalings.iter().zip(weights).all(|(s, w)| within(*s) || *w == 0.0)
        };
        moderate(&self.u, &self.targets[ROWS]) && moderate(&self.v, &self.targets[COLUMNS])
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
        run.problem.translate(self.tau);
    }
}
