//! One sparse Cholesky factor for all right-hand sides.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sparrot_foundation::{Error, Stop, memory};
use sparrot_sparse::cholesky::{Lower, NoFactor, Ordered};

use crate::system::System;

/// Right-hand sides between two looks at the stop token.
const BLOCK: usize = 16;

/// How long the calling thread sleeps at most while it waits for a factor.
const NAP: Duration = Duration::from_millis(5);

/// The lower triangle of A.
pub fn lower(system: &System) -> Lower {
    let mut matrix = Lower::default();
    let mut column: Vec<(u32, f64)> = vec![];
    for i in 0..system.len() {
        matrix.indices.push(i as u32);
        matrix.values.push(system.diagonal[i]);
        column.clear();
        column.extend(system.upper.row(i).map(|(j, w)| (j as u32, -w)));
        column.sort_unstable_by_key(|(j, _)| *j);
        matrix.indices.extend(column.iter().map(|(j, _)| j));
        matrix.values.extend(column.iter().map(|(_, a)| a));
        matrix.starts.push(matrix.indices.len() as u32);
    }
    matrix
}

/// Orders a matrix, by minimum degree.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn order(matrix: Lower, stop: &Stop<'_>) -> Result<Ordered, Error> {
    let bytes = 16 * matrix.indices.len() as u64;
    watched(stop, move || Ordered::new(&matrix))?
        .map_err(|_| Error::OutOfMemory { what: "the order of a Cholesky factor", bytes })
}

/// Solves for all right-hand sides: n x k by rows.
///
/// # Errors
/// [`Error::InvalidInput`] if rounding spoils a pivot, [`Error::Interrupted`],
/// [`Error::OutOfMemory`].
pub fn solve(
    system: &System,
    matrix: Lower,
    ordered: Ordered,
    stop: &Stop<'_>,
) -> Result<Vec<f64>, Error> {
    let n = system.len();
    let k = system.rhs.len() / n;
    let bytes = 8 * ordered.entries() as u64;
    memory::check("a Cholesky factor", ordered.entries(), 1)?;
    let mut factor = watched(stop, move || ordered.factor(&matrix))?.map_err(|_| {
        let what = "weights differ too much for a Cholesky factor in double precision: use ";
        Error::invalid("W", what.to_owned() + "method='dense', or 'cg'")
    })?;
    let failed = |_: NoFactor| Error::OutOfMemory { what: "solves with a factor", bytes };
    let mut x = system.rhs.clone();
    let mut block = vec![];
    for first in (0..k).step_by(BLOCK) {
        stop.poll()?;
        let columns = first..k.min(first + BLOCK);
        block.clear();
        block.extend(columns.clone().flat_map(|c| (0..n).map(move |i| system.rhs[i * k + c])));
        factor.solve_many(&mut block, columns.len()).map_err(failed)?;
        for (c, column) in columns.zip(block.chunks_exact(n)) {
            (0..n).for_each(|i| x[i * k + c] = column[i]);
        }
    }
    Ok(x)
}

/// Does work that cannot be interrupted on a thread of its own, while this one looks at the stop
/// token. Interrupted, it leaves the work alone, to end unheeded.
fn watched<R: Send + 'static>(
    stop: &Stop<'_>,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Error> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // Nobody listens any more after an interrupt.
        let _ = sender.send(result);
    });
    loop {
        if let Ok(result) = receiver.recv_timeout(NAP) {
            return result.or_else(|panic| resume_unwind(panic));
        }
        stop.poll()?;
    }
}
