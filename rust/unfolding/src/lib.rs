//! Sparse codes of many signals that share a dictionary.
//!
//! ```text
//! min over x of  |y - A x|^2 / 2 + sum_j phi(x_j),   for every row y of Y
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | [`batch`] | ISTA, FISTA and IHT: what is asked, and what is answered |
//! | [`block`] | their iterations, on a block of signals |
//! | [`dictionary`] | products with A, by the route with the fewest operations |
//! | [`penalty`] | the penalties, and their proximal steps on whole rows |
//! | [`norm`] | a certified bound of the squared norm of A |
//! | [`certificate`] | duality gaps, and residuals of fixed points |

#![forbid(unsafe_code)]

pub mod batch;
pub mod block;
pub mod certificate;
pub mod dictionary;
pub mod norm;
pub mod penalty;

pub use batch::{Momentum, Outcome, Request, Settings, Steps, solve, solve_with_matrix};
pub use dictionary::{Dictionary, Matrix, Number};
pub use norm::squared_norm_bound;
pub use penalty::{Penalty, Weighted};
