//! Sketches of tall matrices, and least squares on top.
//!
//! ```text
//! S A, S random with few rows, E[S'S] = I;     minimise |W^1/2 (b - A x - c)|^2 + ridge |x|^2
//! ```
//!
//! The starting point is arXiv 2302.00248 (ICML 2023): with a dense sketch such as the subsampled
//! Hadamard transform the solution of the sketched problem is near in each coordinate, where sparse
//! sketches fail. Two of its authors have shown since (August 2026) that the proof of its bound on the
//! rows does not hold. So [`sketch()`] promises what is proven, by others ([`srht`], [`pooled`]), and what
//! [`solve()`] promises is computed from its answer ([`certificate`]).
//!
//! | file | what is in it |
//! |---|---|
//! | [`rows`] | a matrix by blocks of rows: dense in either order, or compressed rows |
//! | [`draws`] | random numbers by seed, purpose and place |
//! | [`kind`] | the kinds of sketches, and one call for all |
//! | [`srht`], [`pooled`] | by the fast Hadamard transform: subsampled; pooled with normal weights |
//! | [`circulant`], [`cyclic`] | by a random circulant matrix; convolutions, by Fourier transforms |
//! | [`gaussian`], [`scattered`] | normal numbers; sparse signs and CountSketch |
//! | [`tiles`] | passes by tiles of columns, which is how threads share them |
//! | [`model`] | weights, the shift by means, the column of ones; slabs of rows |
//! | [`moments`] | one pass for the products of all columns to twice the working precision; mergeable |
//! | [`normal`], [`twofold_matrix`] | the solution from those; small matrices to that precision |
//! | [`mod@start`] | which rows a preconditioner is made from; how it is mended |
//! | [`mod@precondition`] | rank, condition number and preconditioner from those |
//! | [`mod@triangle`] | the triangle of QR factors, interruptible |
//! | [`mod@products`] | the pass for `Y'Y`, Y = A or A X |
//! | [`gradient`] | the pass for residual and gradient to twice the working precision |
//! | [`refine`] | corrections, look after look |
//! | [`answer`] | what comes of it |
//! | [`certificate`] | the proof of the bounds |
//! | [`mod@solve`] | the order of things |
//! | [`mod@sketch_solve`] | the sketched problem's solution, in one pass, with intervals |
//! | [`leverage`] | leverage scores |
//! | [`mod@softmax_regression`], [`softmax_passes`] | the nearest softmax, experimental; its passes |

#![forbid(unsafe_code)]

pub mod answer;
pub mod certificate;
pub mod circulant;
pub mod cyclic;
pub mod draws;
pub mod gaussian;
pub mod gradient;
pub mod kind;
pub mod leverage;
pub mod model;
pub mod moments;
pub mod normal;
pub mod pooled;
pub mod precondition;
pub mod products;
pub mod refine;
pub mod rows;
pub mod scattered;
pub mod sketch_solve;
pub mod softmax_passes;
pub mod softmax_regression;
pub mod solve;
pub mod srht;
pub mod start;
pub mod steps;
pub mod tiles;
pub mod triangle;
pub mod twofold_matrix;

pub use answer::Answer;
pub use kind::{Kind, sketch};
pub use leverage::leverage_scores;
pub use model::Problem;
pub use rows::{Dense, Rows, Sparse, SparseRows};
pub use sketch_solve::sketch_solve;
pub use softmax_regression::{SoftmaxAnswer, SoftmaxProblem, SoftmaxSettings, softmax_regression};
pub use solve::{Settings, solve};
