//! Codes of many signals, each to a certificate, by one of the methods that use the Gram matrix.

use sparrot_design::Design;
use sparrot_foundation::{Error, Status, Stop, Team};

use crate::batch::{Outcome, squared_norms};
use crate::certificate::{Certificate, Point};
use crate::descent::{Limits, descend};
use crate::dictionary::Number;
use crate::gram::{Gram, State};
use crate::penalty::{Penalty, Weighted};
use crate::pursuit::{Target, pursue};

/// Signals that a thread takes at a time.
const BLOCK: usize = 8;

/// How to code.
#[derive(Clone, Copy, Debug)]
pub enum Method {
    /// Coordinate descent, for a penalty with a weight.
    Descent {
        /// The penalty.
        penalty: Penalty,
        /// Its weight.
        lambda: f64,
        /// Whether codes must not be negative.
        positive: bool,
        /// The certificate to reach.
        tol: f64,
        /// Looks at all atoms, at most.
        max_iter: usize,
    },
    /// Orthogonal matching pursuit.
    Pursuit(Target),
}

/// Writes the codes of all signals.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::OutOfMemory`]; [`Error::InvalidInput`] if squares over- or underflow.
pub fn encode<T: Number>(
    design: &Design<'_, T>,
    signals: &[T],
    method: Method,
    codes: &mut [T],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Vec<Outcome>, Error> {
    let (m, n) = (design.rows(), design.columns());
    squared_norms(design)?;
    crate::batch::check(signals, m)?;
    let gram = Gram::new(design, team, stop)?;
    let coder = Coder { design, gram: &gram, method };
    let items: Vec<_> = signals.chunks(BLOCK * m).zip(codes.chunks_mut(BLOCK * n)).collect();
    let found = team.run(stop, items, |(signals, codes)| {
        let pairs = signals.chunks(m).zip(codes.chunks_mut(n));
        pairs.map(|(y, code)| coder.encode(y, code, stop)).collect::<Result<Vec<Outcome>, Error>>()
    })?;
    let mut outcomes = Vec::with_capacity(signals.len() / m);
    for block in found {
        outcomes.extend(block?);
    }
    Ok(outcomes)
}

struct Coder<'a, T> {
    design: &'a Design<'a, T>,
    gram: &'a Gram,
    method: Method,
}

impl<T: Number> Coder<'_, T> {
    fn encode(&self, y: &[T], code: &mut [T], stop: &Stop<'_>) -> Result<Outcome, Error> {
        stop.poll()?;
        let wide: Vec<f64> = y.iter().map(|y| y.to_f64()).collect();
        let mut base = vec![0.0; self.gram.atoms];
        self.design.transposed_product(&wide, 1, &mut base, &Team::new(Some(1)), stop)?;
        let squares = wide.iter().map(|y| y * y).sum();
        let mut state = State::new(self.gram, &base, squares);
        let (penalty, lambda, positive, tol) = match self.method {
            Method::Descent { penalty, lambda, positive, tol, .. } => {
                (penalty, lambda, positive, tol)
            }
            Method::Pursuit(target) => (Penalty::Largest(target.count), 0.0, target.positive, 0.0),
        };
        let weighted = Weighted { penalty, lambda, positive, squares: &self.gram.squares };
        let (mut status, iterations) = match self.method {
            Method::Descent { max_iter, .. } => {
                descend(&mut state, &weighted, Limits { tol, max_iter }, stop)?
            }
            Method::Pursuit(target) => {
                let reached = pursue(&mut state, target);
                let used = state.x.iter().filter(|x| **x != 0.0).count();
                (if reached { Status::Converged } else { Status::Stalled }, used)
            }
        };
        stop.poll()?;
        let mut places = vec![];
        let mut values = vec![];
        code.fill(T::from_f64(0.0));
        for (j, x) in state.x.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            code[j] = T::from_f64(*x);
            places.push(j as u32);
            values.push(code[j]);
        }
        // Measured on what is returned.
        let mut residual = wide;
        for (j, v) in places.iter().zip(&values) {
            let v = v.to_f64();
            self.design.for_column(*j as usize, |i, a| residual[i] -= v * a);
        }
        let mut correlations = vec![0.0; self.gram.atoms];
        self.design.transposed_product(
            &residual,
            1,
            &mut correlations,
            &Team::new(Some(1)),
            stop,
        )?;
        let point = Point {
            places: &places,
            values: &values,
            y,
            residual: &residual,
            correlations: &correlations,
        };
        let largest = self.gram.squares.iter().copied().fold(0.0, f64::max);
        let step = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let certificate = match self.method {
            Method::Descent { .. } => point.certificate(&weighted, step),
            Method::Pursuit(_) => point.orthogonality(&self.gram.squares),
        };
        if status == Status::Converged && tol > 0.0 && certificate.value > tol {
            status = Status::Stalled;
        }
        let Certificate { value, objective } = certificate;
        Ok(Outcome { certificate: value, objective, iterations, step, status, diverged: false })
    }
}
