//! Matching pursuits, and least squares on a support, by rows of the Gram matrix.
//!
//! The code is the least-squares code of the atoms that have joined, and the next one to join is
//!
//! ```text
//! omp:  argmax |a_j'r|              (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993)
//! ols:  argmax |a_j'r| / |a_j - P a_j|  (Chen, Billings and Luo, Int. J. Control 50, 1989)
//! ```
//!
//! for the residual r and the projection P on the span of those that have: the second is the one with
//! which the residual becomes smallest. Neither residuals nor projections are formed (Rubinstein,
//! Zibulevsky and Elad, "Efficient implementation of the K-SVD algorithm using batch orthogonal
//! matching pursuit", Technion 2008): see [`Span`].
//!
//! **Cost.** k N for the k-th atom.
//!
//! **What is ours.** Each row of the Gram matrix is read once; what follows is done with the rows of the
//! span, which lie side by side. Correlations are brought up to date with the last of them alone. Who asks
//! for a number of atoms gets fewer if what is left of a signal is its rounding.

use sparrot_design::factor::Factor;
use sparrot_foundation::{Error, Stop};
use sparrot_simd::codes::Element;
use sparrot_simd::linear;

use crate::gram::{Gram, State};

/// Where less than this share of the squares of an atom is outside the span it is rounding.
const DEPENDENT: f64 = 1e-12;
/// Correlations up to this share of the norms of atom and signal are rounding.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Atoms that join between two looks at the clock.
const ATOMS: usize = 4;

/// Which atom joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The one most correlated with the residual.
    Correlation,
    /// The one with which the residual becomes smallest.
    Residual,
}

/// When to stop, and how to get there.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// See above.
    pub rule: Rule,
    /// Atoms, at most.
    pub count: usize,
    /// The squared norm of the residual to reach; 0 for as many atoms as that.
    pub squares: f64,
    /// Whether codes must not be negative.
    pub positive: bool,
}

/// The atoms in use: the rows of U in `G_s = L U`, with `U = D L'` for the columns of these atoms. Column j
/// tells how much of atom j is in their span. Of use for one signal after the other.
#[derive(Debug, Default)]
pub struct Span {
    atoms: Vec<usize>,
    rows: Vec<f64>,
    /// D: the squares of each that are outside the span of those before.
    pivots: Vec<f64>,
    /// The solution of `L D c = A_s'y`.
    along: Vec<f64>,
}

/// A row of U, with its pivot and its number of c.
struct Row<'a> {
    values: &'a [f64],
    pivot: f64,
    along: f64,
}

impl Span {
    fn clear(&mut self) {
        self.atoms.clear();
        self.rows.clear();
        self.pivots.clear();
        self.along.clear();
    }

    /// What the multiple of each row is that atom j has.
    fn shares(&self, n: usize, j: usize) -> impl Iterator<Item = (f64, f64)> {
        self.rows.chunks(n).zip(&self.pivots).map(move |(row, pivot)| (row[j], row[j] / pivot))
    }

    /// The squares of an atom that are outside the span.
    fn outside(&self, gram: &Gram, j: usize) -> f64 {
        gram.squares[j] - self.shares(gram.atoms, j).map(|(u, l)| u * l).sum::<f64>()
    }

    /// Takes an atom in, of whose squares so much is outside, and whose correlation is q. Its row is made
    /// when it is asked for: that of the last one never is.
    fn join(&mut self, j: usize, outside: f64, q: f64) {
        self.atoms.push(j);
        self.pivots.push(outside);
        self.along.push(q / outside);
    }

    fn leave(&mut self) {
        self.atoms.pop();
        self.pivots.pop();
        self.along.pop();
    }

    /// Makes the row of the last atom, if it is not there.
    fn row_of_last(&mut self, gram: &Gram) -> Result<Option<Row<'_>>, Error> {
        let n = gram.atoms;
        let k = self.rows.len() / n;
        let Some(j) = self.atoms.get(k).copied() else { return Ok(None) };
        let shares: Vec<f64> = self.shares(n, j).map(|(_, l)| l).collect();
        let no_room = |_| Error::OutOfMemory { what: "the pursuit", bytes: 8 * n as u64 };
        self.rows.try_reserve(n).map_err(no_room)?;
        self.rows.extend_from_slice(gram.row(j));
        let (before, row) = self.rows.split_at_mut(k * n);
        for (rows, shares) in before.chunks(4 * n).zip(shares.chunks(4)) {
            // The last group is filled up with zeros.
            let alpha = [0, 1, 2, 3].map(|i| shares.get(i).map_or(0.0, |l| -l));
            let rows = [0, 1, 2, 3].map(|i| &rows[i.min(shares.len() - 1) * n..][..n]);
            linear::axpy4(alpha, rows, row);
        }
        Ok(Some(Row { values: row, pivot: self.pivots[k], along: self.along[k] }))
    }

    /// The code of the atoms: the solution of `L'x = c`.
    fn code(&self, n: usize) -> Vec<f64> {
        let mut x = self.along.clone();
        for i in (0..x.len()).rev() {
            let row = &self.rows[i * n..];
            let later: f64 =
                self.atoms[i + 1..].iter().zip(&x[i + 1..]).map(|(j, x)| row[*j] * x).sum();
            x[i] -= later / self.pivots[i];
        }
        x
    }
}

/// Picks atoms until the target; whether it was reached before the atoms left over were of no use.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn pursue(
    state: &mut State<'_>,
    target: Target,
    span: &mut Span,
    stop: &Stop<'_>,
) -> Result<bool, Error> {
    let (gram, n) = (state.gram, state.x.len());
    span.clear();
    let mut outside = match target.rule {
        Rule::Correlation => vec![],
        Rule::Residual => gram.squares.clone(),
    };
    let mut gains = vec![0.0; outside.len()];
    // Atoms in use, whose correlations are 0 but for rounding, and those that are of no use.
    let mut closed: Vec<usize> = vec![];
    let mut left = state.squares;
    while span.atoms.len() < target.count && (target.squares == 0.0 || left > target.squares) {
        if span.atoms.len().is_multiple_of(ATOMS) {
            stop.poll()?;
        }
        if let Some(Row { values, pivot, along }) = span.row_of_last(gram)? {
            linear::axpy(-along, values, &mut state.q);
            outside.iter_mut().zip(values).for_each(|(outside, u)| *outside -= u * u / pivot);
        }
        closed.iter().for_each(|j| state.q[*j] = 0.0);
        let worth = match target.rule {
            Rule::Correlation => &state.q,
            Rule::Residual => {
                gain(&state.q, &outside, target.positive, &mut gains);
                &gains
            }
        };
        let most = f64::largest(worth, target.positive);
        let is_most = |w: &f64| if target.positive { *w == most } else { w.abs() == most };
        let picked = if most > 0.0 { worth.iter().position(is_most) } else { None };
        let Some(j) = picked else { break };
        let is_rounding =
            |j: &usize| state.q[*j].abs() <= ROUNDING * (gram.squares[*j] * state.squares).sqrt();
        if is_rounding(&j) {
            closed.extend((0..n).filter(is_rounding));
            continue;
        }
        closed.push(j);
        let beyond = span.outside(gram, j);
        if beyond <= DEPENDENT * gram.squares[j] {
            continue;
        }
        span.join(j, beyond, state.q[j]);
        if target.positive && span.code(n).iter().any(|x| *x <= 0.0) {
            // The code without the atom was the best with these signs.
            span.leave();
            continue;
        }
        left -= state.q[j] * state.q[j] / beyond;
    }
    span.atoms.iter().zip(span.code(n)).for_each(|(j, x)| state.x[*j] = x);
    Ok(target.squares == 0.0 || left <= target.squares)
}

/// By how much each atom would make the squares of the residual smaller.
fn gain(q: &[f64], outside: &[f64], positive: bool, gains: &mut [f64]) {
    for ((gain, q), outside) in gains.iter_mut().zip(q).zip(outside) {
        let q = if positive { q.max(0.0) } else { *q };
        // What is in the span gains nothing, nor does an atom that is 0.
        let gain_of_it = q * q / outside;
        *gain = if q != 0.0 && *outside > 0.0 { gain_of_it } else { 0.0 };
    }
}

/// Takes an atom into the factor, and into those in use; whether it does not depend on them.
fn join(
    factor: &mut Factor,
    used: &mut Vec<usize>,
    gram: &Gram,
    atom: usize,
) -> Result<bool, Error> {
    let line = gram.row(atom);
    let products = used.iter().map(|i| line[*i]).collect();
    if !factor.push(products, gram.squares[atom])? {
        return Ok(false);
    }
    if factor.pivot(used.len()) <= DEPENDENT * gram.squares[atom] {
        factor.remove(used.len());
        return Ok(false);
    }
    used.push(atom);
    Ok(true)
}

/// The least-squares code of these atoms, without those that depend on atoms before them.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn refit(
    state: &mut State<'_>,
    atoms: &[usize],
    factor: &mut Factor,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let mut used = vec![];
    factor.clear();
    for atom in atoms {
        stop.poll()?;
        join(factor, &mut used, state.gram, *atom)?;
    }
    // The second time for what rounding left of the residual.
    for _ in 0..2 {
        let mut moves: Vec<f64> = used.iter().map(|j| state.q[*j]).collect();
        factor.solve(&mut moves);
        state.add(&used, &moves);
        state.refresh();
    }
    Ok(())
}
