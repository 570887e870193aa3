//! Orthogonal matching pursuit, and least squares on a support, by rows of the Gram matrix.
//!
//! The atom most correlated with the residual joins, and the code becomes the least-squares code of all that
//! have joined (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993), by a Cholesky factor that grows
//! with them, without ever forming the residual (Rubinstein, Zibulevsky and Elad, "Efficient
//! implementation of the K-SVD algorithm using batch orthogonal matching pursuit", Technion 2008).
//!
//! **Cost.** k N + k^2 for the k-th atom. What the factor makes of the products with the signal grows with
//! it, and its squares are what the atoms explain of the signal's.

use sparrot_design::factor::Factor;
use sparrot_foundation::{Error, Stop};

use crate::gram::{Gram, State};
use sparrot_simd::codes::Element;

/// A pivot below this share of its square is rounding: the atom is in the span of others.
const DEPENDENT: f64 = 1e-12;

/// Atoms that join between two looks at the clock.
const ATOMS: usize = 4;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Atoms, at most.
    pub count: usize,
    /// The squared norm of the residual to reach.
    pub squares: f64,
    /// Whether codes must not be negative.
    pub positive: bool,
}

/// Picks atoms until the target; whether it was reached before the atoms left over were of no use.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn pursue(
    state: &mut State<'_>,
    target: Target,
    factor: &mut Factor,
    stop: &Stop<'_>,
) -> Result<bool, Error> {
    let mut used: Vec<usize> = vec![];
    // The code is the backward solution of z, whose squares are what the atoms explain.
    let (mut x, mut z): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
    factor.clear();
    // Atoms in use, whose correlations are 0 but for rounding, and those that are of no use.
    let mut closed: Vec<usize> = vec![];
    let mut left = state.squares;
    // Correlations are those of the code before; nobody asks for those of the last.
    let mut is_stale = false;
    while used.len() < target.count {
        if used.len().is_multiple_of(ATOMS) {
            stop.poll()?;
        }
        if left <= target.squares {
            return Ok(true);
        }
        if is_stale {
            state.refresh_with(&used);
            is_stale = false;
        }
        closed.iter().for_each(|j| state.q[*j] = 0.0);
        let most = f64::largest(&state.q, target.positive);
        let is_most = |q: &f64| if target.positive { *q == most } else { q.abs() == most };
        let picked = if most > 0.0 { state.q.iter().position(is_most) } else { None };
        let Some(j) = picked else { return Ok(target.squares == 0.0) };
        closed.push(j);
        if !join(factor, &mut used, state.gram, j)? {
            continue;
        }
        factor.forward_last(&mut z, state.base[j]);
        x.clone_from(&z);
        factor.backward(&mut x);
        if target.positive && x.iter().any(|x| *x <= 0.0) {
            // The code without the atom was the best with these signs.
            used.pop();
            z.pop();
            factor.remove(used.len());
            continue;
        }
        left -= z.last().map_or(0.0, |z| z * z);
        is_stale = true;
        used.iter().zip(&x).for_each(|(j, x)| state.x[*j] = *x);
    }
    Ok(target.squares == 0.0 || left <= target.squares)
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
