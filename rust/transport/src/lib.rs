//! Optimal transport with a certificate: entropic, and in rooms of their own [`ksparse`] and
//! [`router`].
//!
//! **Problem.** Given costs `C` (n x m), weights `a` (n) and `b` (m) of equal mass, and `reg > 0`,
//!
//! ```text
//! minimise  <C, P> + reg sum_ij P_ij log P_ij   over P >= 0 with  P 1 = a,  P' 1 = b.
//! ```
//!
//! Its dual is unconstrained, and the plan is a function of the potentials `f`, `g`:
//!
//! ```text
//! maximise  D(f, g) = f.a + g.b + reg (mass - sum_ij P_ij),   P_ij = exp((f_i + g_j - C_ij) / reg).
//! ```
//!
//! **Source.** Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao, Ying: *Accelerating
//! Sinkhorn Algorithm with Sparse Newton Iterations*, ICLR 2024, arXiv 2401.12253 (SNS). The paper
//! writes `eta = 1/reg`, `x`, `y` for the potentials and `exp(eta (x_i + y_j - C_ij) - 1)` for the
//! plan; here the `-1` is absorbed in `f`. Inside this crate potentials and costs are in units of
//! `reg` (`phi = f/reg`, `psi = g/reg`, `c = C/reg`), so nothing depends on the scale of the cost.
//!
//! Two families of methods share the rooms below. SNS is the paper's. The method "auto" lowers the
//! regularisation in steps and works on the **semi-dual**: with rows exact the dual is a function of
//! the column potentials alone,
//!
//! ```text
//! maximise  sum_j b_j psi_j - sum_i a_i log sum_j exp(psi_j - c_ij),
//! -Hessian = diag(P'1) - P' diag(1/a) P,
//! ```
//!
//! finite everywhere, and with the Schur complement of a graph Laplacian for a Hessian, which a
//! sparse factor of the strongest entries of the plan preconditions.
//!
//! | file | what it does | in the paper |
//! |---|---|---|
//! | [`geometry`] | rows of the cost, from a matrix or from points | - |
//! | [`problem`] | the problem and its first look at the data | (1), section 2 |
//! | [`relaxation`] | marginals that may be missed at a price | - |
//! | [`kernel`] | what sweeps and Newton steps need of a stored plan | - |
//! | [`gibbs`] | the plan of given potentials, stored in either precision; sweeps over it | (3), section 2 |
//! | [`candidates`] | the same, thinned out to the entries that matter | - |
//! | [`scalings`] | scalings on top of a stored plan | section 2 |
//! | [`acceleration`] | sweeps that learn from those before them | - |
//! | [`log_domain`] | Sinkhorn updates by log-sum-exp, for where sweeps would underflow | section 2 |
//! | [`sinkhorn`] | stabilised Sinkhorn: stage 1, and a method by itself | Algorithm 1, lines 3-8 |
//! | [`sparsify`] | the largest entries of the plan | Algorithm 1, `Sparsify` |
//! | [`hessian`] | the Hessian of the dual, sparse or whole, and its equations | (5), section 3 |
//! | [`sns`] | the Newton stage, its line search, and what happens when a step fails | Algorithm 1, lines 9-15 |
//! | [`anneal`] | "auto": the levels of regularisation | - |
//! | [`subset`] | coarse levels of large problems, on some of the points | - |
//! | [`level`] | one level: sweeps, then Newton steps | - |
//! | [`newton`] | a Newton step on the semi-dual | - |
//! | [`equations`] | its equations, and their solution | - |
//! | [`laplacian`] | the sparse factor that preconditions them | - |
//! | [`certificate`] | marginal error, rounding, duality gap, bounds, from the final potentials | - |
//! | [`relaxed_certificate`] | the same where marginals may be missed | - |
//! | [`feasibility`] | whether forbidden edges leave any plan | - |
//! | [`plan`] | the plan as a matrix, sparse, or applied to vectors; the map to new points | - |
//! | [`run`] | a solve under way: potentials, counts, trace | - |
//! | [`solve`](mod@solve) | settings, choice of method, paths, solution | - |
//! | [`batch`] | many small problems | - |
//! | [`ksparse`] | at most k entries per column or row | arXiv 2209.15466 |
//! | [`router`] | a problem of its own: tokens to experts with capacities, exactly | - |
//!
//! **Cost.** A Sinkhorn sweep reads the n x m plan once. A Newton step of "auto" reads it two or
//! three times and solves with as many entries as matter; one of SNS costs a pass of exponentials
//! per trial of its line search. One n x m matrix is held, of f32 while that is precise enough and
//! of f64 otherwise, and a second one of the costs between points of more than eight coordinates;
//! plans between points with more than 2^26 entries are thinned out instead.

#![forbid(unsafe_code)]

pub mod acceleration;
pub mod anneal;
pub mod batch;
pub mod candidates;
pub mod certificate;
pub mod equations;
pub mod feasibility;
pub mod geometry;
pub mod gibbs;
pub mod hessian;
pub mod kernel;
pub mod ksparse;
pub mod laplacian;
pub mod level;
pub mod log_domain;
pub mod newton;
pub mod plan;
pub mod problem;
pub mod relaxation;
pub mod relaxed_certificate;
pub mod router;
pub mod run;
pub mod scalings;
pub mod sinkhorn;
pub mod sns;
pub mod solve;
pub mod sparsify;
pub mod subset;

pub use batch::Batch;
pub use certificate::Certificate;
pub use geometry::{Cost, MatrixView, Metric, Points};
pub use problem::Problem;
pub use solve::{Method, Settings, Solution, solve, solve_path};
