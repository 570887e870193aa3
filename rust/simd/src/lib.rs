//! Vector primitives, written once and compiled for every instruction set.
//!
//! A kernel is a generic function over `lanes::Simd`; the `kernel!` macro compiles it for each
//! level of [`Level`] and picks the best one the processor has, once per process. Set
//! `SPARROT_SIMD=baseline|avx2|avx512` to force a level.
//!
//! | file | what is in it |
//! |---|---|
//! | [`level`] | which levels exist, which one is active |
//! | `lanes` | the vector operations a kernel may use |
//! | `dispatch` | the macro that compiles a kernel for each level, and the choice among them |
//! | `portable`, `x86` | those operations for plain arrays (SSE2, NEON), AVX2+FMA and AVX-512 |
//! | `ahead` | asking for memory ahead of its use |
//! | [`exp`] | the exponential, for f32 and f64, at most 1 unit in the last place from the truth |
//! | [`frame`] | exponentials relative to a power of two near the maximum |
//! | [`tally`] | sums that lose nothing, whatever their order |
//! | [`softmax`], [`columns`], [`row`] | the passes of a softmax over a contiguous row; over many side by side |
//! | [`extexp`] | the one-pass sum of exponentials of the two-pass softmax |
//! | [`relatives`] | the passes of softmax's gradient, stablemax and sparsemax |
//! | [`reduce`] | dot products, sums, maxima, L1 distances, each in a fixed order |
//! | [`sparse_rows`], [`panels`] | rows by what is not 0; their products with a matrix |
//! | [`codes`] | a proximal step that collects what is left of each row |
//! | [`linear`] | axpy and the blocked matrix-vector products of a fused sweep |
//! | [`gibbs`] | rows of `exp(phi_i + psi_j - c_ij)`, the kernel of entropic transport |
//! | [`gram`] | products of columns to twice the working precision, at half the speed of plain ones |
//! | [`hadamard`] | the fast Walsh-Hadamard transform of the columns of a block, signed sums of rows |
//! | [`points`] | a row of distances from one point to many |
//! | [`tall`] | `Y = A X` and `Y'Y` of blocks of rows of a tall matrix |
//! | [`twofold`] | residuals and gradients of least squares to twice the working precision |
//! | [`row_moments`] | sums over the rows of a matrix, of all its columns side by side |
//! | [`select`] | the k-th largest of many values, and collecting what exceeds a threshold |
//!
//! Those of softmax and its sums give the same bits at every level. Other reductions run in an order
//! fixed by the length of the data and the level, never by the number of threads, so that the same
//! input gives the same bits.

mod ahead;
mod dispatch;
mod lanes;
pub mod level;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub mod codes;
pub mod columns;
pub mod exp;
pub mod extexp;
pub mod frame;
pub mod gibbs;
pub mod gram;
pub mod hadamard;
pub mod linear;
pub mod panels;
pub mod points;
pub mod reduce;
pub mod relatives;
pub mod row;
pub mod row_moments;
pub mod select;
pub mod softmax;
pub mod sparse_rows;
pub mod tall;
pub mod tally;
pub mod twofold;

pub use level::Level;
