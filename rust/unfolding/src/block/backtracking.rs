//! Steps that are taken back where they are too long, and done again.
//!
//! A step t from z to x is kept if the model it minimises is above the objective,
//!
//! ```text
//! f(x) <= f(z) + <g(z), x - z> + |x - z|^2 / (2 t),   for f quadratic:   t <d, A'A d> <= |d|^2,  d = x - z
//! ```
//!
//! (Beck and Teboulle, SIAM J. Imaging Sci. 2, 2009, section 4.) `A'A d` is the difference of the gradients
//! of x and z, both at hand.
//!
//! **Rounding.** The difference of gradients is known to about the rounding of what they are made of, so
//! that the test allows for that, and a move that is itself of that size is not tested.
//!
//! **What is ours.** A step that was too long is replaced by what the curvature met allows, and is halved at
//! least from the second time on. Until a step has been refused, steps double wherever the move would
//! have allowed it; after that they are never made longer, so that no guess is too small. The momentum
//! follows the lengths (Scheinberg, Goldfarb and Bai, Found. Comput. Math. 14, 2014).
//!
//! **Cost.** Two passes over the codes in an iteration; a gradient for each step that is done again.

use sparrot_foundation::Error;
use sparrot_simd::sparse_rows::Codes;

use super::step::{Lines, Move, Signal};
use super::{Block, SHORTER, TOO_SHORT};
use crate::dictionary::{Dictionary, Rows};
use crate::number::Number;

/// The rounding of a difference of gradients, in units of that of one.
const NOISE: f64 = 8.0;
/// A step whose move overflows is made so many times shorter.
const MUCH_SHORTER: f64 = 1024.0;
/// No step is at fault for what overflows even with this one.
const LEAST: f64 = 1e-300;

impl<T: Number, D: Dictionary<T>> Block<'_, T, D> {
    /// Does the steps again that were too long.
    pub fn backtrack(&mut self, k: usize) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.signals.len()).collect();
        let mut refused = self.refused(&all, 0);
        if refused.is_empty() {
            return Ok(());
        }
        let mut attempt = 0;
        while !refused.is_empty() {
            self.stop.poll()?;
            attempt += 1;
            self.step_again(&refused, k)?;
            refused = self.refused(&refused, attempt);
        }
        self.collect();
        Ok(())
    }

    /// Of some rows those whose steps were too long, which get shorter ones.
    fn refused(&mut self, rows: &[usize], attempt: usize) -> Vec<usize> {
        let n = self.dictionary.atoms();
        let mut refused = vec![];
        for row in rows {
            let range = row * n..(row + 1) * n;
            let (x_old, g_old) = (&self.x_old[range.clone()], &self.g_old[range.clone()]);
            let [x_older, g_older] = self.older.each_ref().map(|older| &older[range.clone()]);
            let signal = &mut self.signals[*row];
            let ahead = |now: T, before: T| {
                now.to_f64() + signal.momentum * (now.to_f64() - before.to_f64())
            };
            let from = |j: usize| [ahead(x_old[j], x_older[j]), ahead(g_old[j], g_older[j])];
            let moved = Move::between(&self.x[range.clone()], &self.g[range], from);
            let Some(shorter) = signal.answer(&moved, attempt) else { continue };
            signal.operator = self.settings.penalty.operator(shorter);
            signal.was_refused = true;
            refused.push(*row);
        }
        refused
    }

    /// Steps of some rows, from where their last ones started.
    fn step_again(&mut self, rows: &[usize], k: usize) -> Result<(), Error> {
        let (m, n) = (self.dictionary.features(), self.dictionary.atoms());
        let mut codes = Codes::default();
        codes.clear(rows.len(), n);
        let gather = |from: &[T], length: usize| -> Vec<T> {
            rows.iter().flat_map(|row| &from[row * length..(row + 1) * length]).copied().collect()
        };
        let (y, base) = (gather(&self.y, m), gather(&self.base, n));
        let [mut x, g_older] = [gather(&self.older[0], n), gather(&self.older[1], n)];
        for (place, row) in rows.iter().enumerate() {
            let (here, range) = (place * n..(place + 1) * n, row * n..(row + 1) * n);
            let lines = Lines {
                x: &self.x_old[range.clone()],
                g: &self.g_old[range],
                old: &mut x[here.clone()],
                g_old: &g_older[here],
            };
            let signal = &mut self.signals[*row];
            (signal.theta, signal.moves) = signal.before;
            signal.step(self.settings, k, lines, &mut codes);
        }
        let mut g = vec![T::ZERO; rows.len() * n];
        let again = Rows { count: rows.len(), x: &x, codes: &codes, y: &y, base: &base };
        self.dictionary.gradients(again, &mut self.room, &mut g)?;
        for (place, row) in rows.iter().enumerate() {
            let (here, range) = (place * n..(place + 1) * n, row * n..(row + 1) * n);
            self.x[range.clone()].copy_from_slice(&x[here.clone()]);
            self.g[range].copy_from_slice(&g[here]);
        }
        Ok(())
    }
}

impl<T: Number> Signal<T> {
    /// The step to try instead of the last one, if that was too long.
    fn answer(&mut self, moved: &Move, attempt: usize) -> Option<f64> {
        let Move { size, squares, curved } = *moved;
        let t = self.operator.size;
        if t < LEAST {
            return None;
        }
        if !(squares.is_finite() && curved.is_finite()) {
            return Some(t / MUCH_SHORTER);
        }
        // What x and the gradient are rounded in, as a length.
        let rounding = T::EPSILON * (size.sqrt() + t * self.pull);
        let noise = NOISE * rounding * squares.sqrt();
        if squares.sqrt() <= TOO_SHORT * rounding || t * curved <= squares + noise {
            let is_told = squares.sqrt() > TOO_SHORT * rounding;
            self.grows = is_told && !self.was_refused && 2.0 * t * curved <= squares;
            return None;
        }
        let shorter = SHORTER * squares / curved;
        Some(if attempt > 0 { shorter.min(0.5 * t) } else { shorter })
    }
}
