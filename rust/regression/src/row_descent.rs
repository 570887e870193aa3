//! A Lasso of some columns by coordinate descent on its residual:
//!
//! ```text
//! min over w of  |y - B w|^2 / 2 + sum_j lambda_j |w_j| + mu |w|^2 / 2,   l <= w <= u where asked for
//! ```
//!
//! for where the products of all pairs of columns, which [`crate::active`] works with, cost more than
//! the sweeps: many columns, a model that is solved once and not to the last digit. A sweep over all
//! columns is followed by sweeps over those in use; the last iterates are extrapolated
//! ([`crate::extrapolation`]). It ends at a duality gap of this problem.
//!
//! **Cost** of a sweep: 2 n operations for a column and 2 n more if its coefficient changes; of sparse
//! data its entries instead of n, centring being implicit.

use sparrot_design::Element;
use sparrot_foundation::{Error, Stop, memory};
use sparrot_simd::{linear, reduce};
use sparrot_sparse::compressed::Owned;

use crate::active::Penalties;
use crate::certificate::{self, Variable};
use crate::data::Data;
use crate::extrapolation::mixture;

/// Sweeps over the columns in use for one over all: at first, and at most. They become more by twos, as
/// a model that is nearly solved needs few.
const IN_USE: (usize, usize) = (2, 10);
/// Iterates that are extrapolated.
const HISTORY: usize = 5;
/// Sweeps over all at most.
const SWEEPS: usize = 1000;

/// The columns, weighted, as copies: they are read many times.
enum Columns {
    /// Centred.
    Dense(Vec<f64>),
    /// With what centring still has to take from each.
    Sparse(Owned<f64>, Vec<f64>),
}

impl Columns {
    fn new<T: Element>(data: &Data<'_, T>, variables: &[u32]) -> Result<Columns, Error> {
        let n = data.y.len();
        if !data.design.is_sparse() {
            let mut columns = memory::zeros("the columns of the working set", n, variables.len())?;
            data.arrange(variables, 0..n, n, &mut columns);
            return Ok(Columns::Dense(columns));
        }
        let (mut starts, mut indices, mut values, mut means) = (vec![0], vec![], vec![], vec![]);
        for j in variables {
            means.push(data.columns().entries(*j as usize, |i, x| {
                indices.push(i as u32);
                values.push(data.roots[i] * x);
            }));
            starts.push(indices.len() as u32);
        }
        Ok(Columns::Sparse(Owned { starts, indices, values }, means))
    }

    /// The squares of a column.
    fn squares(&self, k: usize, n: usize, total: f64) -> f64 {
        match self {
            Columns::Dense(columns) => {
                let column = &columns[k * n..(k + 1) * n];
                reduce::dot(column, column)
            }
            Columns::Sparse(columns, means) => {
                let (_, values) = columns.view().line(k);
                (reduce::dot(values, values) - total * means[k] * means[k]).max(0.0)
            }
        }
    }
}

/// The columns, the residual and the coefficients.
pub struct RowDescent<'a, T> {
    data: &'a Data<'a, T>,
    columns: Columns,
    squares: Vec<f64>,
    /// The coefficients.
    pub w: Vec<f64>,
    /// The residual is this and `shift` times the roots of the weights: what centring takes from
    /// sparse columns.
    residual: Vec<f64>,
    shift: f64,
    /// The last iterates: coefficients, residual, shift.
    history: Vec<Vec<f64>>,
}

impl<'a, T: Element> RowDescent<'a, T> {
    /// At these coefficients, whose residual this is.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(
        data: &'a Data<'a, T>,
        variables: &[u32],
        w: Vec<f64>,
        residual: Vec<f64>,
    ) -> Result<RowDescent<'a, T>, Error> {
        let columns = Columns::new(data, variables)?;
        let squares = |k| columns.squares(k, residual.len(), data.total);
        Ok(RowDescent {
            squares: (0..variables.len()).map(squares).collect(),
            data,
            columns,
            w,
            residual,
            shift: 0.0,
            history: vec![],
        })
    }

    /// The product of a column with the residual.
    fn product(&self, k: usize) -> f64 {
        let n = self.residual.len();
        match &self.columns {
            Columns::Dense(columns) => reduce::dot(&columns[k * n..(k + 1) * n], &self.residual),
            // The weighted sum of the residual is 0.
            Columns::Sparse(columns, means) => {
                columns.view().dot(k, &self.residual) + self.shift * self.data.total * means[k]
            }
        }
    }

    fn change(&mut self, k: usize, d: f64) {
        self.w[k] += d;
        let n = self.residual.len();
        match &self.columns {
            Columns::Dense(columns) => {
                linear::axpy(-d, &columns[k * n..(k + 1) * n], &mut self.residual);
            }
            Columns::Sparse(columns, means) => {
                let (rows, values) = columns.view().line(k);
                for (i, x) in rows.iter().zip(values) {
                    self.residual[*i as usize] -= d * x;
                }
                self.shift += d * means[k];
            }
        }
    }

    /// Minimises over each column in turn, of all or of those in use.
    fn sweep(&mut self, penalties: &Penalties, is_full: bool) {
        for k in 0..self.w.len() {
            let (w, squares) = (self.w[k], self.squares[k]);
            if squares <= 0.0 || (w == 0.0 && !is_full) {
                continue;
            }
            let u = self.product(k) + squares * w;
            let shrunk = (u.abs() - penalties.lambda[k]).max(0.0).copysign(u);
            let d = penalties.bounds[k].nearest(shrunk / (squares + penalties.mu)) - w;
            if d != 0.0 {
                self.change(k, d);
            }
        }
    }

    /// Solves until the gap is at most `target`, or a share of what it is now if that is less.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn solve(
        &mut self,
        penalties: &Penalties,
        target: f64,
        share: f64,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let target = target.min(share * self.gap(penalties));
        let (mut in_use, most) = IN_USE;
        for _ in 0..SWEEPS {
            self.sweep(penalties, true);
            for _ in 0..in_use {
                stop.poll()?;
                self.sweep(penalties, false);
                self.extrapolate(penalties);
            }
            if self.gap(penalties) <= target || stop.is_late() {
                break;
            }
            in_use = most.min(2 * in_use);
        }
        Ok(())
    }

    /// `|r|^2`.
    fn residual_squares(&self) -> f64 {
        let Data { roots, total, .. } = self.data;
        let cross = if self.shift == 0.0 { 0.0 } else { reduce::dot(roots, &self.residual) };
        reduce::dot(&self.residual, &self.residual)
            + self.shift * (2.0 * cross + self.shift * total)
    }

    fn objective(&self, penalties: &Penalties) -> f64 {
        let used = self.w.iter().zip(&penalties.lambda).filter(|(w, _)| **w != 0.0);
        let l1: f64 = used.map(|(w, lambda)| lambda * w.abs()).sum();
        0.5 * (self.residual_squares() + penalties.mu * reduce::dot(&self.w, &self.w)) + l1
    }

    /// By how much the objective is above a bound of its minimum, that of the residual scaled.
    fn gap(&self, penalties: &Penalties) -> f64 {
        let mu = penalties.mu;
        let mut scale = 1.0f64;
        let mut held = vec![];
        // |y|^2 = |r + B w|^2, and y'r of it, from products.
        let mut fitted = 0.0;
        for (k, (w, lambda)) in self.w.iter().zip(penalties.lambda.iter().copied()).enumerate() {
            let product = self.product(k);
            fitted += w * product;
            let h = product - mu * w;
            let mut interval = penalties.bounds[k];
            let is_held = interval.holds_at_end(*w);
            if is_held {
                held.push(Variable { h: h * w.signum(), lambda, reach: w.abs() });
                interval = interval.open_at(*w);
            }
            let excess = interval.pull(h);
            let is_free = lambda == 0.0 && *w != 0.0 && !is_held;
            if excess > lambda && !is_free {
                scale = scale.min(lambda / excess);
            }
        }
        let squares = self.residual_squares();
        let ridge = mu * reduce::dot(&self.w, &self.w);
        let linear = squares + fitted;
        let charge = certificate::charge(held.into_iter(), scale, 0.0);
        self.objective(penalties) + charge - scale * (linear - 0.5 * scale * (squares + ridge))
    }

    fn extrapolate(&mut self, penalties: &Penalties) {
        let (m, n) = (self.w.len(), self.residual.len());
        self.history.push([&self.w[..], &self.residual, &[self.shift]].concat());
        if self.history.len() <= HISTORY {
            return;
        }
        let iterates: Vec<Vec<f64>> = std::mem::take(&mut self.history);
        let Some(mixed) = mixture(&iterates, m) else { return };
        let admitted = mixed[..m].iter().zip(&penalties.bounds).map(|(w, b)| b.admitted(*w));
        let Some(admitted) = admitted.collect::<Option<Vec<f64>>>() else { return };
        let before = self.objective(penalties);
        let old = (std::mem::replace(&mut self.w, admitted), self.residual.clone(), self.shift);
        self.residual.copy_from_slice(&mixed[m..m + n]);
        self.shift = mixed[m + n];
        if self.objective(penalties) >= before {
            (self.w, self.residual, self.shift) = old;
        }
    }
}
