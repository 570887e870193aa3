//! What every sparrot solver stands on, and nothing that knows of Python or of a method.
//!
//! | file | what is in it |
//! |---|---|
//! | [`scalar`] | the element types of input and output: f32 and f64 |
//! | [`team`] | the threads of a solve; the pool behind them survives `fork` |
//! | [`stop`] | the stop token: Ctrl-C, `max_time`, a callback |
//! | [`status`] | how a solve ended |
//! | [`trace`] | what is recorded of each iteration |
//! | [`error`] | why a solve could not be run |
//! | [`memory`] | allocations that fail with an error, not an abort |
//! | [`random`] | counter-based random numbers |

pub mod error;
pub mod memory;
pub mod random;
pub mod scalar;
pub mod status;
pub mod stop;
pub mod team;
pub mod trace;

pub use error::Error;
pub use scalar::Scalar;
pub use status::Status;
pub use stop::Stop;
pub use team::Team;
pub use trace::{Record, Trace};
