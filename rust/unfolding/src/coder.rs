//! Codes of many signals, each to a certificate, by one of the methods that use the Gram matrix.

use sparrot_design::Design;
use sparrot_design::factor::Factor;
use sparrot_foundation::memory::{self, Large};
use sparrot_foundation::{Error, Status, Stop, Team};
use sparrot_simd::panels::{Panels, Product};
use sparrot_simd::reduce;

use crate::batch::{self, Outcome};
use crate::certificate::{Certificate, Point};
use crate::descent::{Limits, descend};
use crate::gram::{Gram, State};
use crate::matrix::{multiply, panels, squared_norms, subtract};
use crate::number::Number;
use crate::penalty::{Penalty, Weighted};
use crate::pursuit::{Span, Target, pursue, refit};

/// Signals that a thread takes at a time.
const BLOCK: usize = 16;

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
    /// A matching pursuit.
    Pursuit(Target),
    /// Least squares on what is not 0 of the codes given.
    Refit,
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
    squared_norms(design, "dictionary", stop)?;
    batch::check("Y", signals, m, T::SQUARES)?;
    let in_panels = match design {
        Design::Sparse(..) | Design::Rows(..) => None,
        Design::Dense(columns) => {
            memory::check("the dictionary", m, n)?;
            Some(panels(m, n, |i, j| columns[j][i].to_f64(), stop)?)
        }
    };
    let gram = Gram::new(design, in_panels.as_deref(), team, stop)?;
    let coder = Coder { design, panels: in_panels, gram: &gram, method };
    let items: Vec<_> = signals.chunks(BLOCK * m).zip(codes.chunks_mut(BLOCK * n)).collect();
    let found = team.run(stop, items, |(signals, codes)| coder.encode(signals, codes, stop))?;
    let mut outcomes = Vec::with_capacity(signals.len() / m);
    for block in found {
        outcomes.extend(block?);
    }
    Ok(outcomes)
}

struct Coder<'a, T> {
    design: &'a Design<'a, T>,
    /// Of a dense matrix.
    panels: Option<Large<Panels<f64>>>,
    gram: &'a Gram,
    method: Method,
}

/// What one signal after the other makes use of.
#[derive(Default)]
struct Room {
    factor: Factor,
    span: Span,
}

/// How a code came about.
struct Ending {
    status: Status,
    iterations: usize,
}

impl<T: Number> Coder<'_, T> {
    /// A block of signals. Products with A are of all of them at once.
    fn encode(
        &self,
        signals: &[T],
        codes: &mut [T],
        stop: &Stop<'_>,
    ) -> Result<Vec<Outcome>, Error> {
        let (m, n) = (self.design.rows(), self.gram.atoms);
        let mut residuals: Vec<f64> = signals.iter().map(|y| y.to_f64()).collect();
        let mut correlations = vec![0.0; codes.len()];
        self.correlate(&residuals, &mut correlations, stop)?;
        let (mut endings, mut found, mut room) = (vec![], vec![], Room::default());
        for ((y, base), code) in
            residuals.chunks_mut(m).zip(correlations.chunks(n)).zip(codes.chunks_mut(n))
        {
            stop.poll()?;
            let mut state = State::new(self.gram, base, reduce::dot(y, y));
            endings.push(self.find(&mut state, code, &mut room, stop)?);
            code.iter_mut().zip(&state.x).for_each(|(c, x)| *c = T::from_f64(*x));
            let (places, values) = entries(code);
            subtract(self.design, &places, &values, y);
            found.push((places, values));
        }
        // Certificates are measured on what is returned.
        if let Method::Descent { .. } = self.method {
            self.correlate(&residuals, &mut correlations, stop)?;
        } else {
            // Nothing but the atoms in use counts.
            let rows = residuals.chunks(m).zip(correlations.chunks_mut(n)).zip(&found);
            for ((residual, correlations), (places, _)) in rows {
                for j in places.iter().map(|j| *j as usize) {
                    correlations[j] = self.design.column_dot(j, residual, 1, 0);
                }
            }
        }
        let rows = signals.chunks(m).zip(residuals.chunks(m)).zip(correlations.chunks(n));
        let all = rows.zip(&found).zip(endings);
        Ok(all
            .map(|((((y, residual), correlations), (places, values)), ending)| {
                let (places, values) = (&places[..], &values[..]);
                self.judge(&Point { places, values, y, residual, correlations }, ending)
            })
            .collect())
    }

    /// A' times signals.
    fn correlate(&self, rows: &[f64], out: &mut [f64], stop: &Stop<'_>) -> Result<(), Error> {
        if let Some(matrix) = &self.panels {
            let product =
                Product { sparse: None, dense: Some(rows), matrix, scale: 1.0, base: None };
            return multiply(&product, 0, out, stop);
        }
        let (m, n) = (self.design.rows(), self.gram.atoms);
        for (y, out) in rows.chunks(m).zip(out.chunks_mut(n)) {
            self.design.transposed_product(y, 1, out, &Team::new(Some(1)), stop)?;
        }
        Ok(())
    }

    /// Finds a code; what is in its place may say where it is not 0.
    fn find(
        &self,
        state: &mut State<'_>,
        given: &[T],
        room: &mut Room,
        stop: &Stop<'_>,
    ) -> Result<Ending, Error> {
        let Room { factor, span } = room;
        let (status, iterations) = match self.method {
            Method::Descent { tol, max_iter, .. } => {
                descend(state, &self.penalty(), Limits { tol, max_iter }, factor, stop)?
            }
            Method::Pursuit(target) => {
                let reached = pursue(state, target, span, stop)?;
                let used = state.x.iter().filter(|x| **x != 0.0).count();
                (if reached { Status::Converged } else { Status::Stalled }, used)
            }
            Method::Refit => {
                let atoms: Vec<usize> = (0..given.len()).filter(|j| given[*j] != T::ZERO).collect();
                refit(state, &atoms, factor, stop)?;
                (Status::Converged, 1)
            }
        };
        Ok(Ending { status, iterations })
    }

    fn penalty(&self) -> Weighted<'_> {
        let (penalty, lambda, positive) = match self.method {
            Method::Descent { penalty, lambda, positive, .. } => (penalty, lambda, positive),
            Method::Pursuit(target) => (Penalty::Largest(target.count), 0.0, target.positive),
            Method::Refit => (Penalty::Largest(self.gram.atoms), 0.0, false),
        };
        let squares = &self.gram.squares;
        Weighted { penalty, lambda, positive, squares, total: squares.iter().sum() }
    }

    fn judge(&self, point: &Point<'_, T>, ending: Ending) -> Outcome {
        let Ending { status, iterations } = ending;
        let step = if self.gram.largest > 0.0 { 1.0 / self.gram.largest } else { 1.0 };
        let Certificate { value, objective } = match self.method {
            Method::Descent { .. } => point.certificate_by_atoms(&self.penalty()),
            Method::Pursuit(_) | Method::Refit => point.orthogonality(&self.gram.squares),
        };
        // What the method believed of it came by way of the Gram matrix, before the code was rounded.
        let is_reached = match self.method {
            Method::Descent { tol, .. } => value <= tol,
            Method::Pursuit(Target { squares, .. }) if squares > 0.0 => 2.0 * objective <= squares,
            Method::Pursuit(_) | Method::Refit => status == Status::Converged,
        };
        let status = match status {
            _ if is_reached => Status::Converged,
            Status::Converged => Status::Stalled,
            status => status,
        };
        Outcome { certificate: value, objective, iterations, step, status, diverged: false }
    }
}

/// Where a code is not 0, and what it is there.
fn entries<T: Number>(code: &[T]) -> (Vec<u32>, Vec<T>) {
    code.iter().enumerate().filter(|(_, x)| **x != T::ZERO).map(|(j, x)| (j as u32, *x)).unzip()
}
