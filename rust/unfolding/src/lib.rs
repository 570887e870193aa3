//! Sparse codes of many signals that share a dictionary.
//!
//! ```text
//! min over x of  |y - A x|^2 / 2 + sum_j phi(x_j),   for every row y of Y
//! ```

#![forbid(unsafe_code)]
