//! Sparse matrices, and linear systems with them, for every solver that has one.
//!
//! | file | what is in it |
//! |---|---|
//! | [`compressed`] | a matrix by compressed rows or columns, borrowed; its transpose |
//! | [`union_find`] | disjoint sets |
//! | [`forest`] | sets of nodes without a cycle: greedy, and partitions into them |
//! | [`colouring`] | sets of nodes without an edge |
//! | [`elimination`] | message passing: systems on forests in linear time |
//! | [`cholesky`] | sparse factors, with a bound on their fill |
//! | [`cg`] | conjugate gradients |
//!
//! Forests, partitions and elimination are those of Nutini, Laradji and Schmidt, "Let's Make Block
//! Coordinate Descent Converge Faster", JMLR 23 (2022), arXiv 1712.08859, section 5.

#![forbid(unsafe_code)]

pub mod cg;
pub mod cholesky;
pub mod colouring;
pub mod compressed;
pub mod elimination;
pub mod forest;
pub mod union_find;

pub use compressed::Compressed;
