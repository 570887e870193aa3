//! Orthogonal matching pursuit, and least squares on a support, by rows of the Gram matrix.
//!
//! The atom most correlated with the residual joins, and the code becomes the least-squares code of all that
//! have joined (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993), by a Cholesky factor that grows
//! with them, without ever forming the residual (Rubinstein, Zibulevsky and Elad, "Efficient
//! implementation of the K-SVD algorithm using batch orthogonal matching pursuit", Technion 2008).
//!
//! **Cost.** k N + k^2 for the k-th atom.

use sparrot_design::factor::Factor;
use sparrot_foundation::{Error, Stop};

use crate::gram::{Gram, State};

/// A pivot below this share of its square is rounding: the atom is in the span of others.
const DEPENDENT: f64 = 1e-12;

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
    let gram = state.gram;
    let mut used: Vec<usize> = vec![];
    let mut x: Vec<f64> = vec![];
    factor.clear();
    let mut closed = vec![false; gram.atoms];
    while used.len() < target.count {
        stop.poll()?;
        if state.residual_squares(&used) <= target.squares {
            return Ok(true);
        }
        let size = |j: usize| if target.positive { state.q[j] } else { state.q[j].abs() };
        let (mut most, mut picked) = (0.0, None);
        for j in (0..gram.atoms).filter(|j| !closed[*j]) {
            if size(j) > most {
                (most, picked) = (size(j), Some(j));
            }
        }
        let Some(j) = picked else { return Ok(target.squares == 0.0) };
        closed[j] = true;
        if !join(factor, &mut used, state.gram, j)? {
            continue;
        }
        x.clear();
        x.extend(used.iter().map(|j| state.base[*j]));
        factor.solve(&mut x);
        if target.positive && x.iter().any(|x| *x <= 0.0) {
            // The code without the atom was the best with these signs.
            used.pop();
            factor.remove(used.len());
            continue;
        }
        used.iter().zip(&x).for_each(|(j, x)| state.x[*j] = *x);
        state.refresh();
    }
    Ok(target.squares == 0.0 || state.residual_squares(&used) <= target.squares)
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
