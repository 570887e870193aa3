//! The minimum of the L1 problem among codes with the signs there are.
//!
//! ```text
//! G_ss d = q_s - lambda sign(x_s),   x_s <- x_s + t d,   t <= 1 the largest for which no sign changes
//! ```
//!
//! An atom whose number becomes 0 leaves, and the step is taken again: the step of the feature-sign search
//! (Lee, Battle, Raina and Ng, *Efficient sparse coding algorithms*, NIPS 2006).
//!
//! **What is ours.** The Cholesky factor of `G_ss` is kept while atoms come and go, k^2 for each, and made
//! anew where many come at once. Its diagonal is raised a little, by a share of each atom's own square
//! (atoms may be far smaller than others), so that there is a factor also for atoms that depend on each
//! other: the direction still leads down, and far along it one of them leaves. Atoms for which there is
//! none move by coordinate descent.

use sparrot_design::factor::Factor;
use sparrot_foundation::{Error, Stop};

use crate::descent::cycle;
use crate::gram::State;
use crate::penalty::Weighted;

/// What each entry of the diagonal is raised by, as a share of it, for each atom of the dictionary.
const RAISED: f64 = 1e-14;
/// Where more than one atom comes for so many that are there the factor is made anew.
const FEW: usize = 8;
/// Steps of atoms without a factor.
const CYCLES: usize = 5;

/// The atoms in use.
pub struct Support<'a> {
    /// Those that the factor is of, in its order.
    atoms: Vec<usize>,
    /// Whether an atom is one of them.
    is_member: Vec<bool>,
    factor: &'a mut Factor,
    /// The direction.
    moves: Vec<f64>,
}

impl Support<'_> {
    /// Nothing is in use of so many atoms; the factor is room.
    pub fn new(atoms: usize, factor: &mut Factor) -> Support<'_> {
        factor.clear();
        Support { atoms: vec![], is_member: vec![false; atoms], factor, moves: vec![] }
    }

    /// Goes to the minimum for the signs of the atoms in use and those of what is new among them, and
    /// removes those that have become 0.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn descend(
        &mut self,
        state: &mut State<'_>,
        penalty: &Weighted<'_>,
        used: &mut Vec<usize>,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        // New atoms get their signs by a step of their own.
        let new: Vec<usize> = used.iter().filter(|j| state.x[**j] == 0.0).copied().collect();
        cycle(state, penalty, &new);
        used.retain(|j| state.x[*j] != 0.0);
        let without = self.join(state, used, stop)?;
        while self.step(state, penalty.lambda, stop)? {
            stop.poll()?;
        }
        if !without.is_empty() {
            (0..CYCLES).for_each(|_| cycle(state, penalty, used));
        }
        self.leave_zeros(state, stop)?;
        used.retain(|j| state.x[*j] != 0.0);
        Ok(())
    }

    /// Takes the atoms in use into the factor; those for which there is none are left.
    fn join(
        &mut self,
        state: &State<'_>,
        used: &[usize],
        stop: &Stop<'_>,
    ) -> Result<Vec<usize>, Error> {
        let mut new: Vec<usize> = used.iter().filter(|j| !self.is_member[**j]).copied().collect();
        let gram = state.gram;
        let raised = 1.0 + RAISED * gram.atoms as f64;
        if new.len() * FEW > self.atoms.len() {
            let all = [&self.atoms[..], &new].concat();
            let fill = |i: usize, out: &mut [f64]| {
                let row = gram.row(all[i]);
                out.iter_mut().zip(&all[i..]).for_each(|(out, j)| *out = row[*j]);
                out[0] *= raised;
            };
            if self.factor.rebuild_while(all.len(), fill, || stop.poll())? {
                all.iter().for_each(|j| self.is_member[*j] = true);
                self.atoms = all;
                return Ok(vec![]);
            }
            all.iter().for_each(|j| self.is_member[*j] = false);
            self.atoms.clear();
            new = all;
        }
        let mut without = vec![];
        for j in new {
            stop.poll()?;
            let row = gram.row(j);
            let products = self.atoms.iter().map(|i| row[*i]).collect();
            if self.factor.push(products, row[j] * raised)? {
                self.atoms.push(j);
                self.is_member[j] = true;
            } else {
                without.push(j);
            }
        }
        Ok(without)
    }

    /// Removes the atoms whose numbers are 0; whether there are any.
    fn leave_zeros(&mut self, state: &State<'_>, stop: &Stop<'_>) -> Result<bool, Error> {
        let before = self.atoms.len();
        for place in (0..before).rev() {
            if state.x[self.atoms[place]] == 0.0 {
                stop.poll()?;
                self.factor.remove(place);
                self.is_member[self.atoms.remove(place)] = false;
            }
        }
        Ok(self.atoms.len() < before)
    }

    /// A step; whether a sign would have changed, whose atom has left.
    fn step(&mut self, state: &mut State<'_>, lambda: f64, stop: &Stop<'_>) -> Result<bool, Error> {
        let slope = |j: &usize| state.q[*j] - lambda * state.x[*j].signum();
        self.moves.clear();
        self.moves.extend(self.atoms.iter().map(slope));
        self.factor.solve(&mut self.moves);
        if self.moves.iter().any(|d| !d.is_finite()) {
            return Ok(false);
        }
        let until = |(j, d): (&usize, &f64)| -state.x[*j] / d;
        let all = self.atoms.iter().zip(&self.moves);
        let share = all.map(until).filter(|u| *u > 0.0).fold(1.0, f64::min);
        for (j, d) in self.atoms.iter().zip(&mut self.moves) {
            // Several may become 0 at once, and rounding must not carry one of them beyond.
            let ends = until((j, d)) == share && share < 1.0;
            *d *= share;
            if ends || (state.x[*j] + *d) * state.x[*j] < 0.0 {
                *d = -state.x[*j];
            }
        }
        state.add(&self.atoms, &self.moves);
        self.leave_zeros(state, stop)
    }
}
