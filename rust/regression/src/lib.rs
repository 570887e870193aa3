//! Sparse linear regression, to a certified duality gap.
//!
//! ```text
//! min over w, b of  sum_i w_i (y_i - x_i'w - b)^2 / 2 + lambda sum_j v_j |w_j| + mu |w|^2 / 2,
//!                   l_j <= w_j <= u_j where asked for, with l_j <= 0 <= u_j
//! ```
//!
//! The greedy choice of variables and the Newton step on the identified support are the two ideas
//! of Nutini, Laradji and Schmidt (JMLR 23, 2022, arXiv 1712.08859) that pay in time; between them
//! stands a working set, so that the choice is made once for many steps.
//!
//! | file | what is in it |
//! |---|---|
//! | [`data`] | centring and weighting without a copy |
//! | [`centred`] | products with centred columns, and their rounding |
//! | [`bounds`] | which values coefficients may take |
//! | [`working_set`] | the columns worked with, and their Gram matrix |
//! | [`active`] | the problem of the set: an active set with Newton steps |
//! | [`certificate`] | the duality gap |
//! | [`model`] | what is asked, and what is answered |
//! | [`progress`] | the rounds of a solver, and when they are over |
//! | [`solve`] | the outer loop for least squares |
//! | [`glm`] | other losses: proximal Newton steps, each of them such a problem |
//! | [`glm::multinomial`] | several classes together: such a model for each, in turn |
//! | [`structure`] | what their penalty makes of the columns: each by itself, |
//! | [`grouped`] | or groups of them |
//! | [`row_descent`] | descent on the residual, for large models that are solved once |
//! | [`extrapolation`] | of the iterates of both descents |
//! | [`sqrt_lasso`] | the root of the squares instead of them |
//! | [`groups`] | which columns form a group |
//! | [`block_solver`] | penalties of groups and penalties that are not convex, of several responses |
//! | [`subset`] | the best subset of columns, up to exchanges |
//! | [`tableau`] | least squares on supports that differ by a column or two |
//! | [`convex_start`] | where descent on penalties that are not convex starts |
//! | [`block_descent`] | the problem of a set of groups: descent by blocks, extrapolated |
//!
//! **Cost.** A pass over the columns for each growth of the set, less what is screened; products of
//! new columns with the set (m^2 n); O(m^2) for each change of the support. The Gram matrix of the
//! set and, of dense data, a block of rows of its columns are the memory beyond the data.

#![forbid(unsafe_code)]

pub mod active;
pub mod block_descent;
pub mod block_solver;
pub mod bounds;
pub mod centred;
pub mod certificate;
pub mod convex_start;
pub mod data;
pub mod extrapolation;
pub mod glm;
pub mod grouped;
pub mod groups;
pub mod model;
pub mod progress;
pub mod row_descent;
pub mod solve;
pub mod sqrt_lasso;
pub mod structure;
pub mod subset;
pub mod tableau;
pub mod working_set;

pub use block_solver::{BlockSolver, Limits};
pub use bounds::{Bounds, Interval};
pub use convex_start::from_lassos;
pub use data::Data;
pub use glm::Glm;
pub use glm::multinomial::Multinomial;
pub use grouped::Grouped;
pub use groups::Groups;
pub use model::{Model, Point, Settings};
pub use solve::Solver;
pub use sqrt_lasso::SqrtLasso;
pub use structure::{Single, Structure};
pub use subset::{Rule, best_subset};
