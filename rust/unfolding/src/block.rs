//! A block of signals, from the first step to the last certificate.

use std::mem::swap;

use sparrot_foundation::{Error, Scalar, Status, Stop};
use sparrot_simd::codes::Step;
use sparrot_simd::sparse_rows::Codes;

use crate::batch::{Momentum, Outcome, Settings, Steps};
use crate::certificate::{Certificate, Point};
use crate::dictionary::{Dictionary, Rows};
use crate::number::Number;
use crate::penalty::Operator;

/// Iterations between two looks at the certificate.
const CHECK_EVERY: usize = 5;
/// An adaptive step is that much shorter than the curvature met allows.
const SHORTER: f64 = 0.95;
/// Moves below this share of the code, in units of the rounding, tell nothing about curvature.
const TOO_SHORT: f64 = 1e3;

/// What a block is made of.
pub struct Signals<'a, T> {
    /// By rows.
    pub y: &'a [T],
    /// Where the codes start, if not at 0.
    pub start: Option<&'a [T]>,
    /// Where they go.
    pub codes: &'a mut [T],
}

/// A signal that is being worked on.
struct Signal<T> {
    index: usize,
    operator: Operator<T>,
    /// `|y|^2`.
    squares: f64,
    /// An objective above this is of iterates that grow without bound.
    limit: f64,
    /// The number from which the momentum follows.
    theta: f64,
    /// The length of the last move, and of the one before.
    moves: [f64; 2],
    /// Not before this iteration is the certificate measured again.
    next_look: usize,
}

/// See the module. Arrays have a row for each signal; those of the first `signals.len()` are in use.
pub struct Block<'a, T, D> {
    dictionary: &'a D,
    settings: &'a Settings<'a>,
    stop: &'a Stop<'a>,
    given: Signals<'a, T>,
    outcomes: Vec<Option<Outcome>>,
    signals: Vec<Signal<T>>,
    y: Vec<T>,
    base: Vec<T>,
    x: Vec<T>,
    x_old: Vec<T>,
    g: Vec<T>,
    g_old: Vec<T>,
    codes: Codes<T>,
    room: Vec<T>,
}

impl<'a, T: Number, D: Dictionary<T>> Block<'a, T, D> {
    /// At its start.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        dictionary: &'a D,
        settings: &'a Settings<'a>,
        given: Signals<'a, T>,
        stop: &'a Stop<'a>,
    ) -> Result<Block<'a, T, D>, Error> {
        let (m, n) = (dictionary.features(), dictionary.atoms());
        let count = given.y.len() / m;
        let zeros = || vec![T::default(); count * n];
        let mut base = zeros();
        dictionary.correlations(count, given.y, &mut base)?;
        let x = given.start.map_or_else(zeros, <[T]>::to_vec);
        let mut block = Block {
            dictionary,
            settings,
            stop,
            outcomes: vec![None; count],
            signals: vec![],
            y: given.y.to_vec(),
            base,
            x_old: x.clone(),
            x,
            g: zeros(),
            g_old: zeros(),
            codes: Codes::default(),
            room: vec![],
            given,
        };
        let steps = block.first_steps(count)?;
        for (index, y) in block.given.y.chunks(m).enumerate() {
            block.signals.push(Signal {
                index,
                operator: settings.penalty.operator(steps[index]),
                squares: y.iter().map(|y| y.to_f64().powi(2)).sum(),
                limit: 0.0,
                theta: 1.0,
                moves: [f64::INFINITY; 2],
                next_look: 0,
            });
        }
        block.collect();
        block.gradients()?;
        block.g_old.copy_from_slice(&block.g);
        for row in 0..count {
            // Twice what it starts from; momentum may climb a little.
            let objective = block.cheap_objective(row).max(0.5 * block.signals[row].squares);
            block.signals[row].limit = 2.0 * objective;
        }
        Ok(block)
    }

    /// The steps to begin with: those given, or `|b|^2 / |A b|^2` for `b = A'y`.
    fn first_steps(&mut self, count: usize) -> Result<Vec<f64>, Error> {
        let n = self.dictionary.atoms();
        if let Steps::Fixed(step) = self.settings.steps {
            return Ok(vec![step; count]);
        }
        // The gradient at b for signals that are 0 is A'A b.
        let zeros = vec![T::default(); self.y.len().max(self.base.len())];
        let mut codes = Codes::default();
        collect(&self.base, n, count, &mut codes);
        let mut image = vec![T::default(); count * n];
        let rows =
            Rows { count, x: &self.base, codes: &codes, y: &zeros, base: &zeros[..count * n] };
        self.dictionary.gradients(rows, &mut self.room, &mut image)?;
        let step = |(b, image): (&[T], &[T])| {
            let squares: f64 = b.iter().map(|b| b.to_f64().powi(2)).sum();
            let curved: f64 = b.iter().zip(image).map(|(b, i)| b.to_f64() * i.to_f64()).sum();
            if squares > 0.0 && curved > 0.0 { squares / curved } else { 1.0 }
        };
        Ok(self.base.chunks(n).zip(image.chunks(n)).map(step).collect())
    }

    /// Works until every signal has its code.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn run(mut self) -> Result<Vec<Outcome>, Error> {
        let checks = self.settings.tol > 0.0;
        let mut k = 0;
        while !self.signals.is_empty() {
            self.stop.poll()?;
            if k == self.settings.max_iter || self.stop.is_late() {
                let late = k < self.settings.max_iter;
                let status = if late { Status::MaxTime } else { Status::MaxIter };
                let all: Vec<usize> = (0..self.signals.len()).collect();
                self.collect();
                self.judge(&all, k, Some(status))?;
                break;
            }
            k += 1;
            self.step(k);
            self.gradients()?;
            if self.settings.steps == Steps::Adaptive {
                self.adapt();
            }
            if checks {
                let due = k.is_multiple_of(CHECK_EVERY);
                let worth = |row: &usize| self.is_worth_a_look(*row, k, due);
                let chosen: Vec<usize> = (0..self.signals.len()).filter(worth).collect();
                self.judge(&chosen, k, None)?;
            }
        }
        Ok(self.outcomes.into_iter().flatten().collect())
    }

    /// A step of every signal, the k-th.
    fn step(&mut self, k: usize) {
        let n = self.dictionary.atoms();
        let measure = self.settings.tol > 0.0 || self.settings.momentum == Momentum::Restarted;
        self.codes.clear(self.signals.len(), n);
        for (row, signal) in self.signals.iter_mut().enumerate() {
            let range = row * n..(row + 1) * n;
            let mut momentum = 0.0;
            if self.settings.momentum != Momentum::None {
                let next = 0.5 * (1.0 + (1.0 + 4.0 * signal.theta * signal.theta).sqrt());
                momentum = (signal.theta - 1.0) / next;
                signal.theta = next;
            }
            let step = Step {
                size: T::from_f64(signal.operator.size),
                momentum: T::from_f64(momentum),
                measure: measure && signal.operator.is_whole,
            };
            let (x, g, g_old) =
                (&self.x[range.clone()], &self.g[range.clone()], &self.g_old[range.clone()]);
            let x_old = &mut self.x_old[range];
            let mut z: Vec<T> = vec![];
            if measure && !signal.operator.is_whole {
                let ahead = |(x, old): (&T, &T)| {
                    T::from_f64(x.to_f64() + momentum * (x.to_f64() - old.to_f64()))
                };
                z = x.iter().zip(x_old.iter()).map(ahead).collect();
            }
            let shrinkage = signal.operator.shrinkage;
            let mut sums = T::step(step, shrinkage, x, g, x_old, g_old, &mut self.codes);
            if !signal.operator.is_whole {
                self.settings.penalty.finish(signal.operator.size, &mut self.codes, x_old);
                sums = measured(x, x_old, &z);
            }
            if self.settings.momentum == Momentum::Restarted && sums[1] > 0.0 && k > 1 {
                signal.theta = 1.0;
            }
            signal.moves = [sums[0].sqrt(), signal.moves[0]];
        }
        swap(&mut self.x, &mut self.x_old);
        swap(&mut self.g, &mut self.g_old);
    }

    fn gradients(&mut self) -> Result<(), Error> {
        let count = self.signals.len();
        let rows = Rows { count, x: &self.x, codes: &self.codes, y: &self.y, base: &self.base };
        self.dictionary.gradients(rows, &mut self.room, &mut self.g)
    }

    /// The codes as they are.
    fn collect(&mut self) {
        collect(&self.x, self.dictionary.atoms(), self.signals.len(), &mut self.codes);
    }

    /// Makes steps shorter whose length the curvature of the last move does not allow.
    fn adapt(&mut self) {
        let n = self.dictionary.atoms();
        for (row, signal) in self.signals.iter_mut().enumerate() {
            let range = row * n..(row + 1) * n;
            let (x, x_old) = (&self.x[range.clone()], &self.x_old[range.clone()]);
            let (g, g_old) = (&self.g[range.clone()], &self.g_old[range]);
            let [mut size, mut squares, mut curved] = [0.0; 3];
            for j in 0..n {
                let moved = x[j].to_f64() - x_old[j].to_f64();
                size += x[j].to_f64() * x[j].to_f64();
                squares += moved * moved;
                curved += moved * (g[j].to_f64() - g_old[j].to_f64());
            }
            let least = TOO_SHORT * T::EPSILON;
            if squares > least * least * size && curved * signal.operator.size > squares {
                let step = SHORTER * squares / curved;
                signal.operator = self.settings.penalty.operator(step);
                signal.theta = 1.0;
            }
        }
    }

    /// Whether the certificate of a signal may have been reached, or nothing changes any more.
    fn is_worth_a_look(&self, row: usize, k: usize, due: bool) -> bool {
        let signal = &self.signals[row];
        let stands = signal.moves == [0.0; 2] || signal.moves[0] == 0.0 && signal.theta == 1.0;
        if stands || (due && !signal.moves[0].is_finite()) {
            return true;
        }
        due && k >= signal.next_look && self.cheap_certificate(row) <= self.settings.tol
    }

    /// From the gradient at hand, whose rounding it has.
    fn cheap_objective(&self, row: usize) -> f64 {
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
    fn judge(&mut self, chosen: &[usize], k: usize, end: Option<Status>) -> Result<(), Error> {
        if chosen.is_empty() {
            return Ok(());
        }
        let (m, n) = (self.dictionary.features(), self.dictionary.atoms());
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
            let stands = signal.moves[0] == 0.0;
            if is_reached {
                self.finish(*row, certificate, k, Status::Converged);
            } else if diverged {
                self.give_up(*row, k)?;
            } else if let Some(status) = end {
                self.finish(*row, certificate, k, status);
            } else if stands {
                self.finish(*row, certificate, k, Status::Stalled);
            } else {
                self.signals[*row].next_look = k + k / 8 + CHECK_EVERY;
            }
        }
        Ok(())
    }

    /// Writes a code down, and puts the last signal in the place of its own.
    fn finish(&mut self, row: usize, certificate: Certificate, k: usize, status: Status) {
        let n = self.dictionary.atoms();
        let signal = &self.signals[row];
        let out = &mut self.given.codes[signal.index * n..(signal.index + 1) * n];
        out.fill(T::default());
        let (places, values) = self.codes.row(row);
        places.iter().zip(values).for_each(|(j, v)| out[*j as usize] = *v);
        self.outcomes[signal.index] = Some(Outcome {
            certificate: certificate.value,
            objective: certificate.objective,
            iterations: k,
            step: signal.operator.size,
            status,
            diverged: false,
        });
        self.remove(row);
    }

    /// Gives a signal whose iterates have grown without bound the code it started from.
    fn give_up(&mut self, row: usize, k: usize) -> Result<(), Error> {
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
        let point = Point { places, values, y, residual: &residual, correlations: &correlations };
        let certificate = point.certificate(&self.settings.penalty, signal.operator.size);
        self.outcomes[signal.index] = Some(Outcome {
            certificate: certificate.value,
            objective: certificate.objective,
            iterations: k,
            step: signal.operator.size,
            status: Status::Stalled,
            diverged: true,
        });
        self.remove(row);
        Ok(())
    }

    fn remove(&mut self, row: usize) {
        let (m, n) = (self.dictionary.features(), self.dictionary.atoms());
        let last = self.signals.len() - 1;
        let arrays = [&mut self.base, &mut self.x, &mut self.x_old, &mut self.g, &mut self.g_old];
        for array in arrays {
            array.copy_within(last * n..(last + 1) * n, row * n);
        }
        self.y.copy_within(last * m..(last + 1) * m, row * m);
        self.signals.swap_remove(row);
    }
}

/// What is not 0 of so many rows.
fn collect<T: Scalar + Default>(x: &[T], n: usize, count: usize, codes: &mut Codes<T>) {
    codes.clear(count, n);
    x.chunks(n).take(count).for_each(|row| codes.push(row));
}

/// As the vectorised step measures it.
fn measured<T: Scalar>(x: &[T], new: &[T], z: &[T]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for ((x, new), z) in x.iter().zip(new).zip(z) {
        let (moved, back) = (new.to_f64() - x.to_f64(), z.to_f64() - new.to_f64());
        sums[0] += moved * moved;
        sums[1] += moved * back;
    }
    sums
}
