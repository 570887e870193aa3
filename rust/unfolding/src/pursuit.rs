//! Orthogonal matching pursuit, by rows of the Gram matrix.
//!
//! The atom most correlated with the residual joins, and the code becomes the least-squares code of all that
//! have joined (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993), by a Cholesky factor that grows
//! with them, without ever forming the residual (Rubinstein, Zibulevsky and Elad, "Efficient
//! implementation of the K-SVD algorithm using batch orthogonal matching pursuit", Technion 2008).
//!
//! **Cost.** k N + k^2 for the k-th atom.

use sparrot_simd::reduce;

use crate::gram::State;

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
pub fn pursue(state: &mut State<'_>, target: Target) -> bool {
    let gram = state.gram;
    let (mut used, mut rows): (Vec<usize>, Vec<Vec<f64>>) = (vec![], vec![]);
    let mut reduced: Vec<f64> = vec![];
    let mut closed = vec![false; gram.atoms];
    while used.len() < target.count {
        if state.residual_squares() <= target.squares {
            return true;
        }
        let size = |j: usize| if target.positive { state.q[j] } else { state.q[j].abs() };
        let (mut most, mut picked) = (0.0, None);
        for j in (0..gram.atoms).filter(|j| !closed[*j]) {
            if size(j) > most {
                (most, picked) = (size(j), Some(j));
            }
        }
        let Some(j) = picked else { return target.squares == 0.0 };
        closed[j] = true;
        let line = gram.row(j);
        let mut row: Vec<f64> = Vec::with_capacity(used.len() + 1);
        for (i, before) in rows.iter().enumerate() {
            row.push((line[used[i]] - reduce::dot(&before[..i], &row)) / before[i]);
        }
        let pivot = gram.squares[j] - reduce::dot(&row, &row);
        if pivot <= DEPENDENT * gram.squares[j] {
            continue;
        }
        row.push(pivot.sqrt());
        let k = row.len() - 1;
        reduced.push((state.base[j] - reduce::dot(&row[..k], &reduced)) / row[k]);
        used.push(j);
        rows.push(row);
        let mut x = reduced.clone();
        for i in (0..=k).rev() {
            x[i] /= rows[i][i];
            let (value, row) = (x[i], &rows[i]);
            x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= value * l);
        }
        if target.positive && x.iter().any(|x| *x <= 0.0) {
            // The code without the atom was the best with these signs.
            used.pop();
            rows.pop();
            reduced.pop();
            continue;
        }
        used.iter().zip(&x).for_each(|(j, x)| state.x[*j] = *x);
        state.refresh();
    }
    target.squares == 0.0 || state.residual_squares() <= target.squares
}
