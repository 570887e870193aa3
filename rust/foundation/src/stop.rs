//! The stop token: Ctrl-C, `max_time`, a callback.
//!
//! The thread that called the solver is the one that asks: in it [`Stop::poll`], called between
//! blocks of work, asks at most every [`POLL_EVERY`]; in other threads it only reads a flag. An
//! interrupt abandons the pass under way (there is no answer to return); time and callbacks are
//! looked at between iterations, where there is an answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::{Error, Record, Status};

/// The longest a calling thread that is at work goes without asking for interrupts.
pub const POLL_EVERY: Duration = Duration::from_millis(10);

/// What an observer makes of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// End with the answer so far.
    End,
    /// Abandon the solve: there is to be no answer.
    Abandon,
}

/// The outside world, as a solver sees it.
pub trait Observer: Sync {
    /// Whether the user wants the solve abandoned.
    fn interrupted(&self) -> bool {
        false
    }
    /// Sees an iteration.
    fn observe(&self, _record: &Record) -> Verdict {
        Verdict::Continue
    }
}

/// Nobody is watching.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Decides whether a solve goes on.
pub struct Stop<'a> {
    observer: &'a dyn Observer,
    started: Instant,
    max_time: Duration,
    interrupted: AtomicBool,
    next_poll: AtomicU64,
    caller: ThreadId,
}

impl<'a> Stop<'a> {
    /// The clock starts now; the calling thread is this one.
    pub fn new(observer: &'a dyn Observer, max_time: Option<f64>) -> Stop<'a> {
        let max_time = max_time.and_then(|s| Duration::try_from_secs_f64(s).ok());
        Stop {
            observer,
            started: Instant::now(),
            max_time: max_time.unwrap_or(Duration::MAX),
            interrupted: AtomicBool::new(false),
            next_poll: AtomicU64::new(0),
            caller: thread::current().id(),
        }
    }

    /// Seconds since the solve began.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Seconds until the time allowed is used up; `None` if it is not limited.
    pub fn seconds_left(&self) -> Option<f64> {
        let limited = self.max_time < Duration::MAX;
        limited.then(|| self.max_time.saturating_sub(self.started.elapsed()).as_secs_f64())
    }

    /// Whether the solve is being abandoned. Cheap; for any thread.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Whether the solve goes on: the calling thread asks for interrupts, if it is time to.
    pub fn poll(&self) -> Result<(), Error> {
        let now = self.started.elapsed();
        if thread::current().id() == self.caller
            && now.as_micros() as u64 >= self.next_poll.load(Ordering::Relaxed)
        {
            self.next_poll.store((now + POLL_EVERY).as_micros() as u64, Ordering::Relaxed);
            if self.observer.interrupted() {
                self.interrupted.store(true, Ordering::Relaxed);
            }
        }
        if self.is_interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Whether the time allowed is used up: for the loops inside an iteration, to end it early.
    pub fn is_late(&self) -> bool {
        self.started.elapsed() >= self.max_time
    }

    /// Shows an iteration to the observer; says why to end there, if there is a reason.
    pub fn after(&self, record: &Record) -> Result<Option<Status>, Error> {
        let verdict = self.observer.observe(record);
        if verdict == Verdict::Abandon {
            self.interrupted.store(true, Ordering::Relaxed);
        }
        self.poll()?;
        Ok(if verdict == Verdict::End {
            Some(Status::Callback)
        } else if self.is_late() {
            Some(Status::MaxTime)
        } else {
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At2(Verdict);
    impl Observer for At2 {
        fn observe(&self, record: &Record) -> Verdict {
            if record.iteration == 2 { self.0 } else { Verdict::Continue }
        }
    }

    struct Impatient;
    impl Observer for Impatient {
        fn interrupted(&self) -> bool {
            true
        }
    }

    fn record(iteration: usize) -> Record {
        Record { iteration, time: 0.0, objective: 0.0, certificate: 0.0, sparsity: 0, phase: 0 }
    }

    #[test]
    fn each_reason_to_stop_is_told_apart() {
        assert_eq!(Stop::new(&Unobserved, None).after(&record(1)), Ok(None));
        assert_eq!(Stop::new(&Unobserved, Some(0.0)).after(&record(1)), Ok(Some(Status::MaxTime)));
        assert_eq!(Stop::new(&Unobserved, Some(f64::INFINITY)).after(&record(1)), Ok(None));
        assert_eq!(Stop::new(&Unobserved, Some(0.0)).seconds_left(), Some(0.0));
        assert_eq!(Stop::new(&Unobserved, None).seconds_left(), None);
        assert_eq!(Stop::new(&Impatient, None).poll(), Err(Error::Interrupted));
        let ending = At2(Verdict::End);
        assert_eq!(Stop::new(&ending, None).after(&record(1)), Ok(None));
        assert_eq!(Stop::new(&ending, None).after(&record(2)), Ok(Some(Status::Callback)));
        let abandoning = At2(Verdict::Abandon);
        assert_eq!(Stop::new(&abandoning, None).after(&record(2)), Err(Error::Interrupted));
    }
}
