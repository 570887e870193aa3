//! Newton's equations on the semi-dual, and their approximate solution.
//!
//! ```text
//! S x = b - c,   S = diag(c) - P' diag(1/a) P,   c = P' 1
//! ```
//!
//! Where marginals are not fixed, `b` are their targets, the columns' diagonal has `q_b b` on top, and
//! the second term is divided by `1 + q_a` ([`crate::relaxation`]): the graph is grounded.
//!
//! `S` is the Schur complement of the Laplacian of the bipartite plan graph. It is used whole, as
//! `T` and its scalings, one read of `T` for a product; or, where few entries of the plan carry
//! nearly all of its mass, as the Schur complement of those alone, whose rows are then normalised
//! by their own sums and whose missing mass may go back on the diagonal.
//!
//! Conjugate gradients start with the diagonal as preconditioner. Where that takes long the
//! [`crate::laplacian`] factor is made, which later steps start with, old as it is, until making a
//! new one costs less than the iterations it saves.

use sparrot_foundation::Error;
use sparrot_simd::{linear, reduce};

use crate::kernel::Kernel;
use crate::laplacian::Factor;
use crate::relaxation::{COLUMNS, ROWS};
use crate::run::Run;
use crate::scalings::Scalings;
use crate::sparsify::Csr;
use sparrot_sparse::cg::Iterate;

/// Iterations with the diagonal after which the factor is made.
const BEFORE_FACTOR: usize = 40;

/// A new factor takes as long as about so many iterations with it.
const FACTOR_COST: usize = 20;

/// Iterations with one factor, at most.
const MOST_ITERATIONS: usize = 500;

/// Entries of a factor per point, at most.
const FILL: usize = 40;

/// And if the matrix itself has more: solving with the factor may take as long as multiplying by it.
const MOST_FILL: usize = 320;

/// What is added to the diagonal of a row for its factor, as a share: a component of the plan has
/// nothing else to pin it down.
const ROW_SHIFT: f64 = 1e-10;

/// What `S` takes from the two sides besides the plan.
pub struct Sides<'a> {
    /// What the columns should sum to.
    pub targets: &'a [f64],
    /// What they sum to.
    pub columns: &'a [f64],
    /// `q` of rows and columns.
    pub slack: [f64; 2],
}

impl Sides<'_> {
    /// What the row sums are multiplied by.
    fn row_factor(&self) -> f64 {
        1.0 + self.slack[ROWS]
    }

    /// What a diagonal needs for rows and columns that may be missed, and `shift` times the column.
    fn shift_diagonal(&self, diagonal: &mut [f64], shift: f64) {
        for ((d, c), b) in diagonal.iter_mut().zip(self.columns).zip(self.targets) {
            // A point without weight has an empty column: any positive number leaves it alone.
            *d = if *b > 0.0 || *c > 0.0 {
                *d + self.slack[COLUMNS] * b + shift * c.max(*b)
            } else {
                1.0
            };
        }
    }
}

/// `S`.
pub struct Equations<'a, K> {
    matrix: Matrix<'a, K>,
    /// The diagonal of the columns, with what has been added to it.
    diagonal: Vec<f64>,
    /// The diagonal of `S`: the former less `P_ij^2 / a_i`, or what takes its place, where that is
    /// known.
    own: Vec<f64>,
    row_factor: f64,
}

enum Matrix<'a, K> {
    /// The entries worth keeping, and the inverse sums of their rows.
    Kept { plan: &'a Csr, inverse_rows: Vec<f64> },
    /// The stored plan and its scalings, with `u_i^2 / a_i` and room for products.
    Whole { gibbs: &'a mut K, v: &'a [f64], weights: Vec<f64>, room: [Vec<f64>; 2] },
}

impl<'a, K: Kernel> Equations<'a, K> {
    /// From the entries worth keeping. Of what the columns miss without the others `returned` goes
    /// back on the diagonal, and `shift` times the weight of the column on top.
    pub fn kept(plan: &'a Csr, sides: &Sides<'_>, returned: f64, shift: f64) -> Self {
        let mut diagonal = vec![0.0; sides.columns.len()];
        let mut squares = diagonal.clone();
        let row_factor = sides.row_factor();
        let mut inverse_rows = Vec::with_capacity(plan.starts.len());
        for row in plan.starts.windows(2) {
            let (columns, values) = (&plan.columns[row[0]..row[1]], &plan.values[row[0]..row[1]]);
            let sum: f64 = values.iter().sum();
            let inverse = if sum > 0.0 { 1.0 / (row_factor * sum) } else { 0.0 };
            for (j, p) in columns.iter().zip(values) {
                diagonal[*j as usize] += p;
                squares[*j as usize] += p * p * inverse;
            }
            inverse_rows.push(inverse);
        }
        for (d, c) in diagonal.iter_mut().zip(sides.columns) {
            *d += returned * (c - *d).max(0.0);
        }
        sides.shift_diagonal(&mut diagonal, shift);
        let own = diagonal.iter().zip(squares).map(|(d, s)| d - s).collect();
        Equations { matrix: Matrix::Kept { plan, inverse_rows }, diagonal, own, row_factor }
    }

    /// From the stored plan.
    pub fn whole(gibbs: &'a mut K, scalings: &'a Scalings, sides: &Sides<'_>, shift: f64) -> Self {
        let row_factor = sides.row_factor();
        let weight = |(i, u): (usize, &f64)| {
            let target = scalings.row_target(i);
            if target > 0.0 { u * u / (row_factor * target) } else { 0.0 }
        };
        let weights: Vec<f64> = scalings.u.iter().enumerate().map(weight).collect();
        let mut diagonal = sides.columns.to_vec();
        sides.shift_diagonal(&mut diagonal, shift);
        let room = [vec![0.0; weights.len()], vec![0.0; diagonal.len()]];
        let own = diagonal.clone();
        let matrix = Matrix::Whole { gibbs, v: &scalings.v, weights, room };
        Equations { matrix, diagonal, own, row_factor }
    }

    /// `out = S x`.
    fn apply(&mut self, run: &Run<'_>, x: &[f64], out: &mut [f64]) -> Result<(), Error> {
        match &mut self.matrix {
            Matrix::Kept { plan, inverse_rows } => {
                run.stop.poll()?;
                out.fill(0.0);
                for (row, inverse) in plan.starts.windows(2).zip(inverse_rows) {
                    let columns = &plan.columns[row[0]..row[1]];
                    let values = &plan.values[row[0]..row[1]];
                    let product: f64 =
                        columns.iter().zip(values).map(|(j, p)| p * x[*j as usize]).sum();
                    for (j, p) in columns.iter().zip(values) {
                        out[*j as usize] -= p * product * *inverse;
                    }
                }
            }
            Matrix::Whole { gibbs, v, weights, room: [products, scaled] } => {
                scaled.copy_from_slice(x);
                linear::multiply_by(v, scaled);
                gibbs.through_rows(scaled, weights, products, out, run.team, run.stop)?;
                out.iter_mut().zip(*v).for_each(|(out, v)| *out *= -v);
            }
        }
        for ((out, d), x) in out.iter_mut().zip(&self.diagonal).zip(x) {
            *out += d * x;
        }
        Ok(())
    }
}

/// Solves the equations of one step after the other.
#[derive(Default)]
pub struct Solver {
    /// Whether the diagonal alone was too slow.
    wants_factor: bool,
    factor: Option<Factor>,
    /// The iterations that the factor took when it was new, and last.
    fresh: usize,
    last: usize,
}

impl Solver {
    /// Whether it would use a factor from the start.
    pub fn wants_factor(&self) -> bool {
        self.wants_factor
    }

    /// Solves until the L1 norm of the residual is at most `goal`, or as far as it gets.
    /// `strong` gives the larger entries of the plan where `equations` have not got them.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn solve<K: Kernel>(
        &mut self,
        equations: &mut Equations<'_, K>,
        rhs: &[f64],
        goal: f64,
        strong: Option<&Csr>,
        run: &mut Run<'_>,
    ) -> Result<Vec<f64>, Error> {
        let mut iterate = Iterate::new(rhs);
        if !self.wants_factor {
            let done = self.with_diagonal(equations, &mut iterate, goal, BEFORE_FACTOR, run)?;
            self.wants_factor = done >= BEFORE_FACTOR;
        }
        let is_open = |iterate: &Iterate| reduce::l1_norm(&iterate.residual) > goal;
        if is_open(&iterate) && self.factor.is_some() && self.last <= self.fresh + FACTOR_COST {
            let most = self.fresh + 2 * FACTOR_COST;
            self.last = self.with_factor(equations, &mut iterate, goal, most, run)?;
        }
        if is_open(&iterate) {
            self.factor = factored(equations, strong);
            self.fresh = self.with_factor(equations, &mut iterate, goal, MOST_ITERATIONS, run)?;
            self.last = 0;
            if self.factor.is_none() {
                self.with_diagonal(equations, &mut iterate, goal, MOST_ITERATIONS, run)?;
            }
        }
        Ok(iterate.x)
    }

    fn with_diagonal<K: Kernel>(
        &self,
        equations: &mut Equations<'_, K>,
        iterate: &mut Iterate,
        goal: f64,
        most: usize,
        run: &mut Run<'_>,
    ) -> Result<usize, Error> {
        let inverse: Vec<f64> = (equations.own.iter().zip(&equations.diagonal))
            .map(|(own, d)| 1.0 / own.max(1e-3 * d))
            .collect();
        let precondition = |r: &[f64], out: &mut [f64]| {
            out.iter_mut().zip(r).zip(&inverse).for_each(|((out, r), d)| *out = r * d);
        };
        let apply = |x: &[f64], out: &mut [f64]| equations.apply(run, x, out);
        let done = iterate.advance(apply, precondition, goal, most, run.stop)?;
        run.cg_iterations += done;
        Ok(done)
    }

    fn with_factor<K: Kernel>(
        &mut self,
        equations: &mut Equations<'_, K>,
        iterate: &mut Iterate,
        goal: f64,
        most: usize,
        run: &mut Run<'_>,
    ) -> Result<usize, Error> {
        let Some(factor) = &mut self.factor else {
            return Ok(0);
        };
        let precondition = |r: &[f64], out: &mut [f64]| factor.solve_columns(r, out);
        let apply = |x: &[f64], out: &mut [f64]| equations.apply(run, x, out);
        let done = iterate.advance(apply, precondition, goal, most, run.stop)?;
        run.cg_iterations += done;
        Ok(done)
    }
}

fn factored<K>(equations: &Equations<'_, K>, strong: Option<&Csr>) -> Option<Factor> {
    let plan = match &equations.matrix {
        Matrix::Kept { plan, .. } => plan,
        Matrix::Whole { .. } => strong?,
    };
    let factor = equations.row_factor * (1.0 + ROW_SHIFT);
    let rows: Vec<f64> = (plan.starts.windows(2))
        .map(|row| factor * plan.values[row[0]..row[1]].iter().sum::<f64>())
        .collect();
    let points = rows.len() + equations.diagonal.len();
    let cap = plan.nnz().clamp(FILL * points, MOST_FILL * points);
    Factor::new(plan, [&rows, &equations.diagonal], cap)
}
