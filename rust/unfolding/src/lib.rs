//! Sparse codes of many signals that share a dictionary.
//!
//! ```text
//! min over x of  |y - A x|^2 / 2 + sum_j phi(x_j),   for every row y of Y
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | [`batch`] | ISTA, FISTA and IHT: what is asked, and what is answered |
//! | [`block`] | their iterations, on a block of signals: steps, backtracking, judgement |
//! | [`dictionary`] | what they ask of A |
//! | [`matrix`] | products with a matrix in memory, by the route with the fewer operations |
//! | [`number`] | f32 or f64 |
//! | [`penalty`] | the penalties, and their proximal steps on whole rows |
//! | [`norm`] | a certified bound of the squared norm of A |
//! | [`coder`] | codes by methods that use the Gram matrix, each to its certificate |
//! | [`gram`] | that matrix, and the state of a code |
//! | [`descent`] | coordinate descent with a greedy start |
//! | [`signs`] | the minimum for the signs of a code |
//! | [`pursuit`] | matching pursuits |
//! | [`certificate`] | duality gaps, and residuals of fixed points |
//! | [`training`] | iterations unrolled into layers, whose parameters are trained |

#![forbid(unsafe_code)]

pub mod batch;
pub mod block;
pub mod certificate;
pub mod coder;
pub mod descent;
pub mod dictionary;
pub mod gram;
pub mod matrix;
pub mod norm;
pub mod number;
pub mod penalty;
pub mod pursuit;
pub mod signs;
pub mod training;

pub use batch::{Momentum, Outcome, Request, Settings, Solution, Steps, solve, solve_with_matrix};
pub use coder::{Method, encode};
pub use dictionary::Dictionary;
pub use matrix::Matrix;
pub use norm::squared_norm_bound;
pub use number::Number;
pub use penalty::{Penalty, Weighted};
pub use pursuit::{Rule, Target};
