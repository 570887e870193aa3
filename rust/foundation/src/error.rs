//! Why a solve could not be run, or was abandoned.

/// Why there is no answer. Non-convergence is not an error: see [`crate::Status`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An argument is not what it must be.
    #[error("{argument}: {message}")]
    InvalidInput {
        /// The argument's name, as the caller knows it.
        argument: &'static str,
        /// What was found and what is needed.
        message: String,
    },
    /// No point satisfies the constraints.
    #[error("{0}")]
    Infeasible(String),
    /// The memory for the work arrays cannot be had.
    #[error("cannot allocate {bytes} bytes for {what}")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// How much was asked for (`u64::MAX` if the count overflows).
        bytes: u64,
    },
    /// The user interrupted (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An [`Error::InvalidInput`].
    pub fn invalid(argument: &'static str, message: impl Into<String>) -> Error {
        Error::InvalidInput { argument, message: message.into() }
    }
}
