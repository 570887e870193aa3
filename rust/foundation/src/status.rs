//! How a solve ended.

/// How a solve ended. Everything but `Converged` comes with the best answer found and its honest
/// certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The certificate is within the tolerance.
    Converged,
    /// The iterations allowed were used up.
    MaxIter,
    /// The time allowed was used up.
    MaxTime,
    /// The callback asked to stop.
    Callback,
    /// No further progress: the tolerance is below what rounding allows, or the problem has no
    /// solution.
    Stalled,
}

impl Status {
    /// The name Python knows the status by.
    pub fn name(self) -> &'static str {
        match self {
            Status::Converged => "converged",
            Status::MaxIter => "max_iter",
            Status::MaxTime => "max_time",
            Status::Callback => "callback",
            Status::Stalled => "stalled",
        }
    }
}
