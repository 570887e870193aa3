//! Optimal transport with at most k entries in every line of the plan.
//!
//! **Problem.** Costs `C` between n points and m *lines* (the columns of the plan, or its rows),
//! weights `a` (n) and `b` (m) of equal mass, `gamma > 0` and `k >= 1`:
//!
//! ```text
//! minimise  <C, P> + gamma/2 |P|^2   over P >= 0 with marginals a, b and at most k entries a line.
//! ```
//!
//! **Source.** Liu, Puigcerver, Blondel: *Sparsity-constrained optimal transport*, ICLR 2023, arXiv
//! 2209.15466. The dual and the semi-dual are concave, and bound the problem from below:
//!
//! ```text
//! dual       alpha.a + beta.b - sum_j 1/(2 gamma) sum of the k largest [alpha_i + beta_j - C_ij]_+^2
//! semi-dual  alpha.a - sum_j max { s.t - gamma/2 |t|^2 : t >= 0, sum t = b_j, at most k entries },
//!            s_i = alpha_i - C_ij: the k largest, projected onto the simplex of mass b_j.
//! ```
//!
//! **What we changed and why.** With few entries allowed, the maximum of these functions is a kink,
//! where their gradients, and the marginals of the plan made from them, jump: gradient methods end
//! with marginals wrong by 10 % and more. But both functions are the dual of a convex problem, the
//! same with `|p|^2` of a line replaced by its biconjugate, the square of the k-support norm
//! (Argyriou, Foygel, Srebro, *Sparse prediction with the k-support norm*, 2012), which is the same
//! number wherever at most k entries are positive:
//!
//! ```text
//! minimise  <C, P> + gamma/2 sum_j |p_j|_k^2   over P >= 0 with marginals a, b.
//! ```
//!
//! We solve that one, to any accuracy: its plans have exact marginals, and their value less the dual
//! is a gap that goes to zero. A plan with at most k entries in each line solves the original
//! problem; a vertex has about k + 1 a line when n = m. For `k = 1` it is transport without
//! regularisation, for `k = n` transport with the squared norm.
//!
//! The solver is the proximal point method with semismooth Newton steps on the smooth dual of each of
//! its problems ([`proximal`]); as everything is piecewise quadratic, a handful of problems with a
//! handful of steps each is enough.
//!
//! | file | what it does | in the paper |
//! |---|---|---|
//! | [`oracle`] | value, gradient and plan of both | dual and semi-dual |
//! | [`norm`] | the k-support norm | - |
//! | [`line`](mod@line) | the proximal problem of one line, solved exactly | - |
//! | [`lines`] | all lines: the entries that may matter, value and gradient of the smooth dual | - |
//! | [`newton`] | a semismooth Newton step | - |
//! | [`graph`] | its equations: the Laplacian of a graph | - |
//! | [`proximal`] | the proximal point method | - |
//! | [`correction`] | the last digits of a plan's marginals | - |
//! | [`rounding`] | exact marginals for any sparse plan, with few entries more | - |
//! | [`solve`](mod@solve) | settings, starts, recovery, certificate | - |

pub mod correction;
pub mod graph;
pub mod line;
pub mod lines;
pub mod newton;
pub mod norm;
pub mod oracle;
pub mod proximal;
pub mod rounding;
pub mod solve;

pub use solve::{Recover, Settings, Solution, solve};

use crate::geometry::Cost;

/// A k-sparse transport problem. Weights are finite, non-negative and of equal mass.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// Row j has the costs of line j to all points.
    pub lines: &'a dyn Cost,
    /// Weights of the points.
    pub a: &'a [f64],
    /// Weights of the lines.
    pub b: &'a [f64],
    /// The weight of the squared norm, in the units of cost over mass.
    pub gamma: f64,
    /// Entries a line may have.
    pub k: usize,
    /// What points and lines are called in messages.
    pub sides: [&'static str; 2],
}

impl Problem<'_> {
    /// Points, lines.
    pub fn shape(&self) -> (usize, usize) {
        (self.a.len(), self.b.len())
    }
}

/// The lines of a pass, cut into blocks by the shape of the problem alone.
fn lines_per_block(n: usize, m: usize) -> usize {
    const ENTRIES: usize = 16 * 1024;
    const MOST: usize = 64;
    m.div_ceil((n.saturating_mul(m) / ENTRIES).clamp(1, MOST))
}
