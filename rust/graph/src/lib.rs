//! Harmonic functions on weighted graphs: label propagation, interpolation, potentials.
//!
//! Given a symmetric matrix of weights `w_ij >= 0`, values at some nodes, and k right-hand sides,
//!
//! ```text
//! minimise   1/2 sum_{i<j} w_ij (x_i - x_j)^2 + 1/2 sum_i c_i x_i^2 - sum_i b_i x_i
//! subject to x_i = values_i at the fixed nodes,
//! ```
//!
//! which is a linear system `A x = rhs` in the free nodes, with the Laplacian's rows as A (X. Zhu,
//! Z. Ghahramani, J. Lafferty, ICML 2003; data sets D and E of arXiv 1712.08859). A is an M-matrix:
//! solutions stay within the values that hold them, and errors have bounds that can be checked.
//!
//! | file | what is in it |
//! |---|---|
//! | [`problem`] | what is given, and the test that weights are symmetric, finite and non-negative |
//! | [`system`] | which nodes can be reached, and their equations in an order by search |
//! | [`factor`] | an incomplete factor, and Eisenstat's products with the matrix between its halves |
//! | [`cg`] | conjugate gradients on them, for up to eight right-hand sides at once |
//! | [`direct`] | a sparse Cholesky factor |
//! | [`dense`] | elimination that only adds, for weights of any size |
//! | [`sweeps`] | block descent by message passing on forests; as a preconditioner |
//! | [`forests`] | forests of a graph, and systems whose graph is one |
//! | [`mod@solve`] | the choice among them |
//! | [`certificate`] | residuals, and a bound of the error at each node |
//!
//! Costs: everything is linear in the edges but the number of iterations and the fill of a factor.

#![forbid(unsafe_code)]

pub mod certificate;
pub mod cg;
pub mod dense;
pub mod direct;
pub mod factor;
pub mod forests;
pub mod problem;
pub mod solve;
pub mod sweeps;
pub mod system;

pub use problem::Problem;
pub use solve::{Method, Solution, solve};
