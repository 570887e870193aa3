//! A block of signals, from the first step to the last certificate.

mod backtracking;
mod judgement;
mod step;

use std::mem::swap;

use sparrot_foundation::{Error, Scalar, Status, Stop};
use sparrot_simd::sparse_rows::Codes;

use crate::batch::{Outcome, Settings, Steps};
use crate::dictionary::{Dictionary, Rows};
use crate::number::Number;

pub use judgement::Figures;
use step::{Lines, Move, Signal};

/// Iterations between two looks at the certificate.
pub const CHECK_EVERY: usize = 5;
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
    /// x and g of two steps ago, for steps that are done again.
    older: [Vec<T>; 2],
    /// Iterations done.
    iterations: usize,
    /// Numbers that are not 0 in the codes that are done.
    entries_done: usize,
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
            older: [vec![], vec![]],
            iterations: 0,
            entries_done: 0,
            given,
        };
        let steps = block.first_steps(count)?;
        let squares_of = |x: &[T]| x.iter().map(|x| x.to_f64().powi(2)).sum::<f64>();
        let all = block.given.y.chunks(m).zip(block.base.chunks(n)).zip(steps);
        for (index, ((y, base), step)) in all.enumerate() {
            let pull = squares_of(base).sqrt();
            block.signals.push(Signal::new(settings, index, squares_of(y), pull, step));
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
        if let Steps::Fixed(step) | Steps::Backtracking(Some(step)) = self.settings.steps {
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
        while !self.is_done() {
            self.advance(CHECK_EVERY)?;
        }
        Ok(self.into_outcomes())
    }

    /// Whether every signal has its code.
    pub fn is_done(&self) -> bool {
        self.signals.is_empty()
    }

    /// What is told of each.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes.into_iter().flatten().collect()
    }

    /// Goes on for so many iterations, or until every signal has its code.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn advance(&mut self, iterations: usize) -> Result<(), Error> {
        let checks = self.settings.tol > 0.0;
        self.end_if_over()?;
        for _ in 0..iterations {
            if self.is_done() {
                break;
            }
            self.stop.poll()?;
            self.iterations += 1;
            let k = self.iterations;
            self.step(k);
            self.gradients()?;
            match self.settings.steps {
                Steps::Fixed(_) => {}
                Steps::Adaptive => self.adapt(),
                Steps::Backtracking(_) => self.backtrack(k)?,
            }
            if checks {
                let due = k.is_multiple_of(CHECK_EVERY);
                let worth = |row: &usize| self.is_worth_a_look(*row, k, due);
                let chosen: Vec<usize> = (0..self.signals.len()).filter(worth).collect();
                self.judge(&chosen, None)?;
            }
            self.end_if_over()?;
        }
        Ok(())
    }

    /// Ends with the codes there are if no iterations or no time are left.
    fn end_if_over(&mut self) -> Result<(), Error> {
        if self.iterations >= self.settings.max_iter {
            self.end(Status::MaxIter)
        } else if self.stop.is_late() {
            self.end(Status::MaxTime)
        } else {
            Ok(())
        }
    }

    /// Ends with the codes there are.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn end(&mut self, status: Status) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.signals.len()).collect();
        self.collect();
        self.judge(&all, Some(status))
    }

    /// A step of every signal, the k-th.
    fn step(&mut self, k: usize) {
        let n = self.dictionary.atoms();
        self.codes.clear(self.signals.len(), n);
        if matches!(self.settings.steps, Steps::Backtracking(_)) {
            self.older[0].clone_from(&self.x_old);
            self.older[1].clone_from(&self.g_old);
        }
        for (row, signal) in self.signals.iter_mut().enumerate() {
            let range = row * n..(row + 1) * n;
            let lines = Lines {
                x: &self.x[range.clone()],
                g: &self.g[range.clone()],
                old: &mut self.x_old[range.clone()],
                g_old: &self.g_old[range],
            };
            signal.begin(&self.settings.penalty);
            signal.step(self.settings, k, lines, &mut self.codes);
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
            let (x_old, g_old) = (&self.x_old[range.clone()], &self.g_old[range.clone()]);
            let from = |j: usize| [x_old[j].to_f64(), g_old[j].to_f64()];
            let moved = Move::between(&self.x[range.clone()], &self.g[range], from);
            let least = TOO_SHORT * T::EPSILON;
            let is_told = moved.squares > least * least * moved.size;
            if is_told && moved.curved * signal.operator.size > moved.squares {
                let step = SHORTER * moved.squares / moved.curved;
                signal.operator = self.settings.penalty.operator(step);
                signal.theta = 1.0;
            }
        }
    }

    /// Puts the last signal in the place of one that is done.
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
