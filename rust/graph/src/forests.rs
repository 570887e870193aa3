//! Forests of a graph, and systems whose graph is one: [`sparrot_sparse`] under the stop token,
//! with errors that name nodes.

use sparrot_foundation::{Error, Scalar, Stop};
use sparrot_sparse::elimination::{Elimination, NoElimination, Places};
use sparrot_sparse::{Compressed, forest};

use crate::problem::{LINES, check};

/// See [`forest::partition`]: the matrix is checked first.
///
/// # Errors
/// [`Error::InvalidInput`] of "A", [`Error::Interrupted`].
pub fn partition<T: Scalar>(
    matrix: Compressed<'_, T>,
    order: &[u32],
    stop: &Stop<'_>,
) -> Result<Vec<Vec<u32>>, Error> {
    check("A", matrix, true, stop)?;
    let forests = forest::partition(matrix, polled(order, stop));
    stop.poll().map(|()| forests)
}

/// See [`forest::greedy`]: the matrix is checked first.
///
/// # Errors
/// [`Error::InvalidInput`] of "A", [`Error::Interrupted`].
pub fn greedy<T: Scalar>(
    matrix: Compressed<'_, T>,
    order: &[u32],
    stop: &Stop<'_>,
) -> Result<Vec<u32>, Error> {
    check("A", matrix, true, stop)?;
    let forest = forest::greedy(matrix, polled(order, stop));
    stop.poll().map(|()| forest)
}

/// The order, ending early if the solve is interrupted.
fn polled(order: &[u32], stop: &Stop<'_>) -> impl Iterator<Item = u32> {
    let goes_on = |at: usize| !at.is_multiple_of(LINES) || stop.poll().is_ok();
    order.iter().enumerate().map_while(move |(at, node)| goes_on(at).then_some(*node))
}

/// Solves `A x = b` in place, for k right-hand sides by rows.
///
/// # Errors
/// [`Error::InvalidInput`] of "A" if it is not symmetric, its graph has a cycle or it is not
/// positive definite; [`Error::Interrupted`].
pub fn solve<T: Scalar>(
    matrix: Compressed<'_, T>,
    x: &mut [f64],
    k: usize,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    check("A", matrix, true, stop)?;
    let n = matrix.lines();
    let all: Vec<u32> = (0..n as u32).collect();
    let factor = Elimination::new(matrix, &all, &mut Places::new(n)).map_err(|no| {
        Error::invalid(
            "A",
            match no {
                NoElimination::Cycle(node) => format!(
                    "node {node} lies on a cycle or leads to one: needs a graph without cycles; \
                     forest_partition(A) cuts one into such graphs"
                ),
                NoElimination::NotPositive(node) => format!(
                    "the pivot of node {node} is not above 0: needs a positive definite matrix"
                ),
            },
        )
    })?;
    stop.poll()?;
    let mut sorted = Vec::with_capacity(n * k);
    for node in factor.nodes() {
        sorted.extend_from_slice(&x[*node as usize * k..][..k]);
    }
    stop.poll()?;
    factor.solve_many(&mut sorted, k);
    stop.poll()?;
    for (node, values) in factor.nodes().iter().zip(sorted.chunks_exact(k)) {
        x[*node as usize * k..][..k].copy_from_slice(values);
    }
    Ok(())
}
