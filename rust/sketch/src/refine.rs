//! Coefficients corrected, look after look at residual and gradient, until their bounds are small enough.
//!
//! A look ([`crate::gradient`]) tells where one is, and where the step leads to ([`crate::certificate`]).
//! Who looks, and through which rows, does not matter here: one machine, or many that each have some.

use sparrot_foundation::{Error, Status};

use crate::answer::{Answer, Point, assemble};
use crate::certificate::Certificate;
use crate::gradient::{Gradient, Twofold};

/// Coefficients that explain less of a right-hand side than this are measured by it.
pub const NOTHING: f64 = 1e-8;

/// What bounds have to know of a problem besides its certificate.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Columns of A.
    pub d: usize,
    /// The penalty.
    pub ridge: f64,
    /// By what columns are shifted, if there is an intercept.
    pub means: Option<&'a [f64]>,
}

/// Where to look next.
pub enum Next {
    /// Here.
    Look(Vec<Twofold>),
    /// Nowhere: it ended so.
    Done(Status),
}

/// What the looks so far have found.
pub struct Refinement<'a> {
    /// Of any X.
    pub certificate: &'a Certificate,
    /// Of the problem.
    pub frame: Frame<'a>,
    /// Which right-hand sides are 0: so are their coefficients, exactly.
    pub zero: &'a [bool],
    /// For the bounds.
    pub tol: f64,
    /// How large the last step was, in the norm of `X'g`; infinite before.
    pub size: f64,
    /// Looks so far.
    pub looks: usize,
    /// The best answer so far.
    pub best: Option<Answer>,
}

impl Refinement<'_> {
    /// Takes what was found at x, gradients wrong by so much ([`crate::gradient::gradient_error`]).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if squares of residuals overflow.
    pub fn take(
        &mut self,
        x: Vec<Twofold>,
        found: &[Gradient],
        accuracy: f64,
    ) -> Result<Next, Error> {
        let (certificate, frame, d) = (self.certificate, &self.frame, self.frame.d);
        if !found.iter().all(|g| g.residual.is_finite() && g.target.is_finite()) {
            return Err(Error::invalid("b", "has residuals whose squares overflow: scale it"));
        }
        self.looks += 1;
        let mut steps: Vec<_> =
            x.iter().zip(found).map(|(x, g)| certificate.step(frame, x, g, accuracy)).collect();
        for (step, _) in steps.iter_mut().zip(self.zero).filter(|(_, zero)| **zero) {
            step.bounds.fill(0.0);
            step.after.fill(0.0);
        }
        let all = || x.iter().zip(&steps).zip(found);
        let next: Vec<Point> = all().map(|((x, s), g)| Point::after(frame, x, s, g)).collect();
        let here: Vec<Point> = all().map(|((x, s), g)| Point::at(x.clone(), s, g)).collect();
        let error = |points: &[Point]| {
            let one = |(point, found): (&Point, &Gradient)| {
                let least = NOTHING * found.target.sqrt();
                certificate.relative(&point.bounds[..d], &point.x.high[..d], least)
            };
            points.iter().zip(found).map(one).fold(0.0, f64::max)
        };
        // What the step leads to is known as well as it will be, unless hardly anything is left of
        // the residual's norm to tell it from.
        let is_known = next.iter().zip(&here).all(|(n, h)| n.residual >= 0.5 * h.residual);
        for (points, _) in [(&here, true), (&next, is_known)].iter().filter(|(_, known)| *known) {
            let error = error(points);
            if self.best.as_ref().is_none_or(|a| error <= a.error || a.error.is_nan()) {
                let better = assemble(d, frame.means.is_some(), points);
                self.best = Some(Answer { error, ..better });
            }
        }
        if self.best.as_ref().is_some_and(|a| a.error <= self.tol) {
            return Ok(Next::Done(Status::Converged));
        }
        // What is left no longer falls: neither the bounds nor the gradient get better.
        let size: f64 = steps.iter().map(|s| s.size * s.size).sum::<f64>().sqrt();
        let falls = size < 0.5 * self.size;
        let is_rounding = steps.iter().all(|step| step.size <= step.doubt);
        if (self.looks > 2 && !falls) || is_rounding {
            return Ok(Next::Done(Status::Stalled));
        }
        self.size = size;
        Ok(Next::Look(next.into_iter().map(|point| point.x).collect()))
    }
}
