//! What is recorded of each iteration: for the user's eyes, plots, and callbacks.

/// One iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Iterations done, over all phases.
    pub iteration: usize,
    /// Seconds since the solve began.
    pub time: f64,
    /// The objective the method climbs or descends (for transport, the dual value).
    pub objective: f64,
    /// The certificate's figure as the iteration knows it (for transport, the marginal error).
    pub certificate: f64,
    /// How many entries the method worked with (for Newton steps, those of the sparse Hessian).
    pub sparsity: usize,
    /// The part of the method: an index into its own list of names; or a count of its own, such as the
    /// layers that are trained, or the problems of a batch that are being worked on.
    pub phase: u32,
}

/// All iterations, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace(pub Vec<Record>);

impl Trace {
    /// One value of every record.
    pub fn column<T>(&self, value: impl Fn(&Record) -> T) -> Vec<T> {
        self.0.iter().map(value).collect()
    }
}
