//! The rounds of a solver: what each has found, and when they are over.

use sparrot_foundation::{Error, Record, Status, Stop, Trace};

/// So many rounds in a row that change little are the last,
const IDLE: usize = 3;
/// which is to leave more than this share of the certificate.
const LITTLE: f64 = 0.9;

/// What has been found so far.
pub struct Progress<'a, 's> {
    stop: &'a Stop<'s>,
    tol: f64,
    max_iter: usize,
    /// Of all rounds.
    pub trace: Trace,
    idle: usize,
    last: f64,
}

impl<'a, 's> Progress<'a, 's> {
    /// Nothing yet, until a certificate of `tol` or so many rounds.
    pub fn new(tol: f64, max_iter: usize, stop: &'a Stop<'s>) -> Progress<'a, 's> {
        Progress { stop, tol, max_iter, trace: Trace::default(), idle: 0, last: f64::INFINITY }
    }

    /// Takes in a round; how they end, if it is the last. One that has changed the problem, as by a set
    /// that grew, may well leave the certificate where it was.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn end_of(&mut self, record: Record, has_changed: bool) -> Result<Option<Status>, Error> {
        self.trace.0.push(record);
        let ended = self.stop.after(&record)?;
        if record.certificate <= self.tol {
            return Ok(Some(Status::Converged));
        }
        if ended.is_some() {
            return Ok(ended);
        }
        if record.iteration >= self.max_iter {
            return Ok(Some(Status::MaxIter));
        }
        let is_idle = !has_changed && record.certificate > LITTLE * self.last;
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        self.last = record.certificate;
        Ok((self.idle == IDLE).then_some(Status::Stalled))
    }
}
