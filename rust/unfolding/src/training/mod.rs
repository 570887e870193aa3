//! Iterative thresholding unrolled into layers, with parameters of each layer that are trained.
//!
//! ```text
//! x_0 = 0,   x_{t+1} = S(x_t - gamma_t A'(A x_t - y), theta_t)
//! ISTA:  S soft thresholding,  theta_t = gamma_t alpha_t
//! IHT:   S hard thresholding,  theta_t = sqrt(2 gamma_t alpha_t)
//! ```
//!
//! With `gamma_t = 1/|A|^2` and `alpha_t` that of the objective these are the plain algorithms. Steps,
//! penalties or both are learned, so that after T layers either the mean squared error to known codes
//! is small (supervised) or the objective `|y - A x|^2 / 2 + alpha |x|_1` (or `|x|_0`) is.
//!
//! **Source.** Nagahisa, Hayakawa and Iiguni: *Comparison between Supervised and Unsupervised Learning
//! in Deep Unfolded Sparse Signal Recovery*, arXiv 2509.01331, of which we know the abstracts and a
//! summary that says that steps alone are learned; layers are added one by one as in Ito, Takabe and
//! Wadayama (*Trainable ISTA*, IEEE Trans. Signal Process. 67, 2019). What follows is ours.
//!
//! **Gradients** are those of the unrolled network, by hand. With `c = A'(A x_t - y)`,
//! `v = x_t - gamma c`, `D = dS/dv`, `E = dS/dtheta` and `g` the derivative of the loss by `x_{t+1}`,
//!
//! ```text
//! dL/d log gamma = sum g (k theta E - gamma c D),   dL/d log alpha = sum g k theta E,
//! g <- s - gamma A'A s,  s = g D,   k = 1 (ISTA), 1/2 (IHT).
//! ```
//!
//! `D` and `E` are 0 wherever `x_{t+1}` is: nothing but its non-zeros is kept of a layer, or worked with.
//! With the Gram matrix `A'A` both directions of a layer are then products of sparse rows with a matrix,
//! `nnz N` operations a signal where products with A and A' take `2 M N`; with more than two atoms to a
//! feature and dense codes those are fewer, and are what is done.
//!
//! **Parameters** are logarithms: positive whatever the step, and a learning rate is a relative change,
//! which makes training independent of the scale of signals and dictionary.
//!
//! **Hard thresholding** has no derivative by its threshold. Training runs on a network whose threshold
//! is smoothed, and the objective counts smoothly: see [`shrinkage`] and [`loss`]. What is trained is
//! then used with the exact threshold.
//!
//! **Cost.** A batch of B signals and T layers takes `2 (T - 1) B nnz N` multiply-adds, and memory for
//! the non-zeros of the layers. Once: `N^2 M / 2` for the Gram matrix and `n M N` for `A'y`. Signals go
//! in tiles of a fixed size, summed in order: the same bits for any number of threads.
//!
//! | file | what is in it |
//! |---|---|
//! | [`network`] | the parameters of the layers |
//! | [`shrinkage`] | thresholds, exact and smoothed, with their derivatives |
//! | [`loss`] | what is minimised, with its derivative |
//! | [`objective`] | both together |
//! | [`tile`] | a few signals through all layers and back |
//! | [`gradient`] | a batch of signals: tiles, side by side |
//! | [`adam`] | the step of the parameters |
//! | [`mod@fit`] | layer by layer, batch by batch |
//! | [`mod@transform`] | the trained network on new signals |

pub mod adam;
pub mod fit;
pub mod gradient;
pub mod loss;
pub mod network;
pub mod objective;
pub mod shrinkage;
pub mod tile;
pub mod transform;

pub use fit::{Ending, Fitted, Schedule, fit};
pub use gradient::{Gradient, Signals};
pub use loss::{Count, Loss};
pub use network::{Network, plain_step};
pub use objective::Objective;
pub use shrinkage::{Gate, Shrinkage};
pub use transform::{Coded, transform};

use sparrot_foundation::{Stop, Team};

/// Who works, and until when.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The threads.
    pub team: &'a Team,
    /// Ctrl-C, time, and who is watching.
    pub stop: &'a Stop<'a>,
}
