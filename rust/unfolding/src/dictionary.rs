//! A dictionary as the proximal steps see it: a matrix in memory, or functions from outside.

use sparrot_foundation::Error;
use sparrot_simd::sparse_rows::Codes;

/// The rows of a block that are being worked on.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    /// How many.
    pub count: usize,
    /// Their codes, dense,
    pub x: &'a [T],
    /// and by what is not 0.
    pub codes: &'a Codes<T>,
    /// The signals.
    pub y: &'a [T],
    /// `A'y`.
    pub base: &'a [T],
}

/// A matrix whose columns are atoms.
pub trait Dictionary<T>: Sync {
    /// The length of a signal.
    fn features(&self) -> usize;
    /// The length of a code.
    fn atoms(&self) -> usize;
    /// Of so many signals, how many are worked on together; `None` for all of them, by one thread.
    fn block(&self, signals: usize) -> Option<usize>;
    /// `A'y` of so many signals.
    ///
    /// # Errors
    /// [`Error::Interrupted`], if it is had from outside.
    fn correlations(&self, count: usize, y: &[T], out: &mut [T]) -> Result<(), Error>;
    /// `A'(A x - y)`; `room` is for what comes in between.
    ///
    /// # Errors
    /// As above.
    fn gradients(&self, rows: Rows<'_, T>, room: &mut Vec<T>, out: &mut [T]) -> Result<(), Error>;
    /// `y - A x` of some of the rows, and A' times that, in double precision.
    ///
    /// # Errors
    /// As above.
    fn exact(
        &self,
        chosen: &[usize],
        codes: &Codes<T>,
        y: &[T],
        residuals: &mut [f64],
        correlations: &mut [f64],
    ) -> Result<(), Error>;
}
