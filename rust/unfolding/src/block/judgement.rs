//! What is known of the codes of a block, and which of them are done.

use sparrot_foundation::{Error, Status};
use sparrot_simd::sparse_rows::Codes;

use super::{Block, CHECK_EVERY, collect};
use crate::batch::Outcome;
use crate::certificate::{Certificate, Point};
use crate::dictionary::Dictionary;
use crate::number::Number;

/// What is told of a block under way: of signals that are done what was measured, of the others what
/// the gradient at hand tells, with its rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Iterations done.
    pub iterations: usize,
    /// The sum of all objectives.
    pub objective: f64,
    /// The largest certificate.
    pub certificate: f64,
    /// How many numbers of all codes are not 0.
    pub entries: usize,
    /// How many signals are being worked on.
    pub running: usize,
}

impl Figures {
    /// Of two blocks together.
    pub fn and(self, other: Figures) -> Figures {
        Figures {
            iterations: self.iterations.max(other.iterations),
            objective: self.objective + other.objective,
            certificate: self.certificate.max(other.certificate),
            entries: self.entries + other.entries,
            running: self.running + other.running,
        }
    }
}

impl<T: Number, D: Dictionary<T>> Block<'_, T, D> {
    /// What is known now.
    pub fn figures(&self) -> Figures {
        let mut all = Figures {
            iterations: self.iterations,
            entries: self.entries_done + self.codes_of_running(),
            running: self.signals.len(),
            ..Figures::default()
        };
        let done = self.outcomes.iter().flatten().map(|o| (o.objective, o.certificate));
        let running = (0..self.signals.len())
            .map(|row| (self.cheap_objective(row), self.known_certificate(row)));
        for (objective, certificate) in done.chain(running) {
            all.objective += objective;
            all.certificate = all.certificate.max(certificate);
        }
        all
    }

    /// Numbers that are not 0.
    fn codes_of_running(&self) -> usize {
        (0..self.signals.len()).map(|row| nonzeros(self.codes.row(row).1)).sum()
    }

    /// The cheap certificate, where it is not a number infinity, and never below 0.
    fn known_certificate(&self, row: usize) -> f64 {
        let found = self.cheap_certificate(row);
        if self.signals[row].squares == 0.0 && self.cheap_objective(row) == 0.0 {
            0.0
        } else if found.is_nan() {
            f64::INFINITY
        } else {
            found.max(0.0)
        }
    }

    /// Whether the certificate of a signal may have been reached, or nothing changes any more.
    pub fn is_worth_a_look(&self, row: usize, k: usize, due: bool) -> bool {
        let signal = &self.signals[row];
        if signal.stands() || (due && !signal.moves[0].is_finite()) {
            return true;
        }
        due && k >= signal.next_look && self.cheap_certificate(row) <= self.settings.tol
    }

    /// From the gradient at hand, whose rounding it has.
    pub fn cheap_objective(&self, row: usize) -> f64 {
        let n = self.dictionary.atoms();
        let (places, values) = self.codes.row(row);
        let mut sum = 0.5 * self.signals[row].squares;
        for (j, v) in places.iter().zip(values) {
            let at = row * n + *j as usize;
            let slope = self.g[at].to_f64() - self.base[at].to_f64();
            sum += 0.5 * v.to_f64() * slope + self.settings.penalty.value(*j as usize, v.to_f64());
        }
        sum
    }

    /// From the gradient at hand, whose rounding it has.
    fn cheap_certificate(&self, row: usize) -> f64 {
        let (n, signal) = (self.dictionary.atoms(), &self.signals[row]);
        let penalty = &self.settings.penalty;
        if !penalty.is_convex() {
            let moved =
                signal.moves[0].max(if signal.theta == 1.0 { 0.0 } else { signal.moves[1] });
            return moved / (penalty.unit(signal.operator.size) * signal.squares.sqrt());
        }
        let (g, base) = (&self.g[row * n..(row + 1) * n], &self.base[row * n..(row + 1) * n]);
        let (places, values) = self.codes.row(row);
        let [mut slope, mut along, mut size] = [0.0; 3];
        for (j, v) in places.iter().zip(values) {
            let v = v.to_f64();
            slope += v * g[*j as usize].to_f64();
            along += v * base[*j as usize].to_f64();
            size += v.abs();
        }
        let most = if penalty.positive {
            let least = |g: &T| -g.to_f64();
            g.iter().map(least).fold(0.0, f64::max)
        } else {
            T::largest(g, false)
        };
        let rr = signal.squares - along + slope;
        let s = if most > penalty.lambda { penalty.lambda / most } else { 1.0 };
        let dual = s * (signal.squares - along) - 0.5 * s * s * rr;
        (0.5 * rr + penalty.lambda * size - dual) / (0.5 * signal.squares)
    }

    /// Measures certificates, and takes out the signals that are done: those within the tolerance,
    /// those that stand, and all of them if there is a status to end with.
    pub fn judge(&mut self, chosen: &[usize], end: Option<Status>) -> Result<(), Error> {
        if chosen.is_empty() {
            return Ok(());
        }
        let (m, n, k) = (self.dictionary.features(), self.dictionary.atoms(), self.iterations);
        let mut residuals = vec![0.0; chosen.len() * m];
        let mut correlations = vec![0.0; chosen.len() * n];
        self.dictionary.exact(chosen, &self.codes, &self.y, &mut residuals, &mut correlations)?;
        // From the last on, for whoever leaves is replaced by the last.
        for (place, row) in chosen.iter().enumerate().rev() {
            let signal = &self.signals[*row];
            let (places, values) = self.codes.row(*row);
            let point = Point {
                places,
                values,
                y: &self.y[row * m..(row + 1) * m],
                residual: &residuals[place * m..(place + 1) * m],
                correlations: &correlations[place * n..(place + 1) * n],
            };
            let certificate = point.certificate(&self.settings.penalty, signal.operator.size);
            let is_reached = self.settings.tol > 0.0 && certificate.value <= self.settings.tol;
            let objective = certificate.objective;
            let is_lost = k > 0 && !signal.moves[0].is_finite();
            let diverged = is_lost || objective.is_nan() || objective > signal.limit;
            let stands = signal.stands();
            if is_reached {
                self.finish(*row, certificate, Status::Converged);
            } else if diverged {
                self.give_up(*row)?;
            } else if let Some(status) = end {
                self.finish(*row, certificate, status);
            } else if stands {
                self.finish(*row, certificate, Status::Stalled);
            } else {
                self.signals[*row].next_look = k + k / 8 + CHECK_EVERY;
            }
        }
        Ok(())
    }

    /// Writes a code down, and puts the last signal in the place of its own.
    fn finish(&mut self, row: usize, certificate: Certificate, status: Status) {
        let n = self.dictionary.atoms();
        let signal = &self.signals[row];
        let out = &mut self.given.codes[signal.index * n..(signal.index + 1) * n];
        out.fill(T::default());
        let (places, values) = self.codes.row(row);
        places.iter().zip(values).for_each(|(j, v)| out[*j as usize] = *v);
        self.entries_done += nonzeros(values);
        self.outcomes[signal.index] = Some(Outcome {
            certificate: certificate.value,
            objective: certificate.objective,
            iterations: self.iterations,
            step: signal.operator.size,
            status,
            diverged: false,
        });
        self.remove(row);
    }

    /// Gives a signal whose iterates have grown without bound the code it started from.
    fn give_up(&mut self, row: usize) -> Result<(), Error> {
        let (m, n) = (self.dictionary.features(), self.dictionary.atoms());
        let signal = &self.signals[row];
        let range = signal.index * n..(signal.index + 1) * n;
        let out = &mut self.given.codes[range.clone()];
        match self.given.start {
            Some(start) => out.copy_from_slice(&start[range]),
            None => out.fill(T::default()),
        }
        let mut codes = Codes::default();
        collect(out, n, 1, &mut codes);
        let (mut residual, mut correlations) = (vec![0.0; m], vec![0.0; n]);
        let y = &self.y[row * m..(row + 1) * m];
        self.dictionary.exact(&[0], &codes, y, &mut residual, &mut correlations)?;
        let (places, values) = codes.row(0);
        self.entries_done += nonzeros(values);
        let point = Point { places, values, y, residual: &residual, correlations: &correlations };
        let certificate = point.certificate(&self.settings.penalty, signal.operator.size);
        self.outcomes[signal.index] = Some(Outcome {
            certificate: certificate.value,
            objective: certificate.objective,
            iterations: self.iterations,
            step: signal.operator.size,
            status: Status::Stalled,
            diverged: true,
        });
        self.remove(row);
        Ok(())
    }
}

/// How many are not 0: operators that are not all of the vectorised step may have made some of what it
/// left 0.
fn nonzeros<T: Number>(values: &[T]) -> usize {
    values.iter().filter(|v| **v != T::ZERO).count()
}
