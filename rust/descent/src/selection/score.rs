//! How much a variable promises.
//!
//! | rule | score of variable i |
//! |---|---|
//! | GS | `abs(s_i)` |
//! | GSL on free blocks | `abs(s_i) / sqrt(sum_j abs(H_ij))` |
//! | GSD | `abs(s_i) / sqrt(L_i)` |
//! | GSQ with a penalty | `max_d -(g_i d + L_i d^2 / 2 + h_i(x_i + d) - h_i(x_i))` |
//!
//! s is the gradient, and with a penalty the subgradient of least norm: 0 where a variable stays at
//! a kink or a bound. Variables that f does not depend on have no weight.

use super::Selection;
use crate::Penalty;
use crate::problem::Smooth;

/// The scores of all variables.
#[derive(Clone, Debug)]
pub enum Score {
    /// The magnitude of the subgradient, times these.
    Subgradient(Vec<f64>),
    /// The progress of a step with these constants.
    Progress(Vec<f64>),
}

impl Score {
    /// The scores of a greedy rule.
    pub fn new(selection: Selection, problem: &dyn Smooth) -> Score {
        let lipschitz = problem.lipschitz();
        let over_root = |of: &[f64]| {
            let weight = |(w, l): (&f64, &f64)| if *l > 0.0 { 1.0 / w.sqrt() } else { 0.0 };
            Score::Subgradient(of.iter().zip(lipschitz).map(weight).collect())
        };
        match selection {
            Selection::Gsl => over_root(&problem.row_sums()),
            Selection::Gsd => over_root(lipschitz),
            Selection::Gsq => Score::Progress(lipschitz.to_vec()),
            _ => over_root(&vec![1.0; lipschitz.len()]),
        }
    }

    /// The score of a variable at x, where f has the derivative g.
    #[inline]
    pub fn of(&self, i: usize, x: f64, g: f64, penalty: &Penalty<'_>) -> f64 {
        match self {
            Score::Subgradient(weights) if penalty.is_uniform_none() => g.abs() * weights[i],
            Score::Subgradient(weights) => penalty.subgradient(i, x, g).abs() * weights[i],
            Score::Progress(lipschitz) if lipschitz[i] > 0.0 => {
                penalty.progress(i, x, g, lipschitz[i])
            }
            Score::Progress(_) => 0.0,
        }
    }
}
