//! Block coordinate descent for convex functions with L1 norms and bounds.
//!
//! ```text
//! min over x of  F(x) = f(x) + sum_i lambda_i |x_i|,   lower <= x <= upper
//! ```
//!
//! After Nutini, Laradji and Schmidt, "Let's Make Block Coordinate Descent Converge Faster: Faster
//! Greedy Rules, Message-Passing, Active-Set Complexity, and Superlinear Convergence", JMLR 23
//! (2022), arXiv 1712.08859. An iteration chooses a block of variables and updates it; which blocks
//! there are, which one is chosen, and what is done with it are three independent choices.
//!
//! | file | what is in it | in the paper |
//! |---|---|---|
//! | [`problem`] | f: linear models and quadratics; the protocol for others | section 6 |
//! | [`penalty`] | L1 norms and bounds, by their linear pieces | section 7 |
//! | [`partition`] | which blocks there are | sections 2, 5.2 |
//! | [`selection`] | which one is chosen | section 3 |
//! | [`update`](mod@update) | what is done with it | sections 4, 5.1 |
//! | [`solve`](mod@solve) | the iteration, its trace, its certificate | section 2 |
//! | [`tournament`], [`sum_tree`] | greedy and weighted choices in logarithmic time | - |
//! | [`dense`] | systems and eigenvalues of a block | - |
//!
//! **Cost** of an iteration with blocks of tau: tau columns (rows of a quadratic's matrix) for the
//! step; for a greedy rule also the rows that the step touches, to keep the gradient, and
//! O(log n) for each of its entries that changed: on sparse data far less than a pass. GSQ on free
//! blocks takes 20 passes, tau^3 goes into a matrix update, and message passing is linear in tau.
//!
//! **What we changed, and why**, is said where it is done: [`selection::hard_threshold`] (starts
//! from GSD's step), [`update::two_metric`] and [`update::gradient`] (no thresholds in the units of
//! x), [`update::model`] (an active-set solver for the block problem),
//! [`sparrot_design::Design::gram_row_sums`] (row sums of `|A|'|A|`, not of `|A'A|`, which would
//! cost p^2 products).

#![forbid(unsafe_code)]

pub mod dense;
pub mod partition;
pub mod penalty;
pub mod problem;
pub mod selection;
pub mod solve;
pub mod sum_tree;
pub mod tournament;
pub mod update;

pub use partition::Partition;
pub use penalty::{Penalty, PerCoordinate};
pub use selection::Selection;
pub use solve::{Settings, Solution, solve};
pub use sparrot_foundation::Status;
pub use update::UpdateRule;
