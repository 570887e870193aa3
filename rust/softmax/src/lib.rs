//! Softmax, log-softmax and logsumexp.
//!
//! ```text
//! softmax(x)_i = e^(x_i) / sum_j e^(x_j),    logsumexp(x) = log sum_j e^(x_j)
//! ```
//!
//! After Dukhan and Ablavatski, "Two-Pass Softmax Algorithm", arXiv 2001.04438: keep `e^x` as a
//! mantissa and an integer exponent, and the maximum need not be known before the sum is begun.
//!
//! | file | what is in it |
//! |---|---|
//! | [`state`] | the sum of exponentials as a mergeable state, relative to an integer exponent |
//! | [`pass`] | the passes over a contiguous row, by each method: the paper's algorithms 1 to 3 and ours |
//! | [`job`] | all lines of an array; rows |
//! | `beside` | lines that lie side by side, and short lines |
//! | `scattered` | lines of any strides, masked, divided by a temperature, weighted |
//! | [`layout`], [`arrays`] | shapes and strides; the memory |
//! | [`relatives`] | gradients, stablemax, sparsemax, the k largest |
//!
//! Cost per value, in memory: two reads and a write (two-pass), or two of each (blocked), against
//! three reads and one or two writes for the methods that look for the maximum first.
//!
//! What we changed, and why:
//! - A *blocked* method: find the maximum of a block that fits in the first cache, sum and store
//!   its exponentials, look ahead for the maximum of the next block meanwhile; in the second pass
//!   multiply what was stored. One exponential per value, not two, which is what decides wherever
//!   the exponential is slower than the memory. It is the default for rows of one block and for
//!   those beyond the caches; in between it is the reload of the paper's third algorithm, and
//!   for float32 beyond the caches, with AVX-512, the paper's own method.
//! - Exponentials are taken relative to the integer `round(max / ln 2)`, not to the maximum:
//!   `x - max` is never rounded ([`sparrot_simd::frame`]).
//! - Sums keep their accuracy in rows of any length, and do not depend on their order
//!   ([`sparrot_simd::tally`]); the factor `1 / sum` is applied to twice the precision. A probability
//!   has then the error of two exponentials, its own and the sum's, 1.4 units of rounding each
//!   (`sparrot_simd::exp`), and of its own rounding: 3.3 units in the last place, and 4.1
//!   where maxima of blocks beyond 1491 have to be compared ([`state`]); 2.6 were found.
//! - `-inf`, `+inf`, NaN and values of any magnitude give what scipy gives.

pub mod arrays;
mod beside;
pub mod job;
pub mod layout;
pub mod pass;
pub mod relatives;
mod scattered;
pub mod state;
