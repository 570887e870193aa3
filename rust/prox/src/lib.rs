//! Penalties that make solutions sparse, and their proximal operators
//!
//! ```text
//! prox(u) = argmin over x of  (x - u)^2 / (2 t) + phi(x),   t > 0
//! ```
//!
//! - [`scalar`]: penalties of a number: L1, MCP, SCAD, CEL0, L0, the roots L1/2 and L2/3.
//! - [`block`]: penalties of a block of numbers: group, sparse group, and any of a number.
//!
//! Where phi is not convex the minimum is compared with 0, and in a tie it is 0: proximal operators are
//! functions, and odd ones.
//!
//! **Cost.** A few operations for each number; a logarithm and a cosine for the roots.

#![forbid(unsafe_code)]

pub mod block;
pub mod scalar;

pub use block::{BlockPenalty, Cel0OfColumns, Group, OfBlock, Separable, SparseGroup};
pub use scalar::{Cel0, L0, L1, Mcp, Pieces, Power, Scad, ScalarPenalty};
