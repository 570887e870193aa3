//! The problem of the working set, by an active set with a factor of its Gram matrix:
//!
//! ```text
//! min over w of  w'(G + mu I) w / 2 - c'w + sum_j lambda_j |w_j|,   l <= w <= u where asked for
//! ```
//!
//! On a set of variables with signs the minimum is one solve, `(G + mu I)_SS w = c - lambda s`. The
//! step there is taken as far as no sign changes; those that would change are left out, all at once
//! if that decreases the objective as well as stopping at the first (which is what makes it fast:
//! at a tenth of a percent of lambda_max hundreds change), else the first alone. At the minimum
//! of a face the variables whose gradient exceeds lambda join. Where a coefficient may not go beyond u,
//! it ends there as it does at 0: it keeps that value outside the support, and joins again when its
//! gradient pulls it inwards. Every move decreases the objective
//! and there are finitely many faces; a factor with up- and downdates makes each O(m^2).
//!
//! Coordinate descent, which others use here, needs as many sweeps as the condition of the support
//! asks for; this needs none. Near-singular supports (more variables than rows) are handled by a
//! nudge of the factor's diagonal: the step in a direction without curvature is then very long, and
//! ends where the first variable reaches 0.

use sparrot_foundation::{Error, Stop};
use sparrot_simd::{linear, reduce};

use crate::bounds::Interval;
use crate::certificate::{self, Variable};
use crate::working_set::WorkingSet;
use sparrot_design::factor::Factor;

/// The nudge of the diagonal of the factored matrix, as a share of it.
const NUDGE: f64 = 1e-11;
/// If that does not make it positive definite, it is multiplied by this.
const MORE: f64 = 100.0;
/// A gradient exceeds lambda if by more than this share.
const EXCESS: f64 = 1e-12;
/// Variables that join at once, at least; and otherwise a share of those that are there.
const JOIN: usize = 64;
/// After so many rounds they join one at a time, which rules out going around in circles.
const ROUNDS_TOGETHER: usize = 40;
/// Rounds at most.
const ROUNDS: usize = 10_000;
/// A gradient is what it has to be if it is off by no more than this share of it, or of what it was at 0.
const SETTLED: f64 = 1e-10;
/// The steps that mend the rounding of the last one go on while the gap becomes less than this share.
const REFINED: f64 = 0.5;
/// If more than one in so many leave at once, the factor is made anew.
const ANEW: usize = 24;

/// The variables' penalties.
#[derive(Clone, Debug)]
pub struct Penalties {
    /// `lambda_j` of each variable of the working set.
    pub lambda: Vec<f64>,
    /// mu.
    pub mu: f64,
    /// What each coefficient may be.
    pub bounds: Vec<Interval>,
}

/// Where a variable leaves the support.
struct Crossing {
    /// Its place there.
    place: usize,
    /// The share of the step that takes it to the end,
    share: f64,
    /// which is 0 or a bound.
    end: f64,
}

/// The solution so far.
#[derive(Default)]
pub struct Active {
    /// Coefficients, of each variable of the working set.
    pub w: Vec<f64>,
    /// `c - (G + mu I) w`,
    pub q: Vec<f64>,
    /// for so many variables: for what has joined since, not yet.
    known: usize,
    /// Whether the support has been at the minimum with its signs and some penalties.
    is_solved: bool,
    /// Newton steps.
    pub steps: usize,
    /// Products with the response.
    c: Vec<f64>,
    /// The variables that may be other than 0 or a bound, in the order of the factor, and their signs.
    support: Vec<usize>,
    signs: Vec<f64>,
    is_in: Vec<bool>,
    factor: Factor,
    nudge: f64,
    /// Whether it is that of the Gram matrix, but for the nudge.
    is_of_gram: bool,
    /// The mu of the factor.
    mu: f64,
}

impl Active {
    /// Takes in variables that have joined the working set, with their products with the response.
    pub fn extend(&mut self, products: impl Iterator<Item = f64>) {
        self.c.extend(products);
        let size = self.c.len();
        self.w.resize(size, 0.0);
        self.q.resize(size, 0.0);
        self.signs.resize(size, 0.0);
        self.is_in.resize(size, false);
    }

    /// Takes over coefficients for all variables of a working set, with its products with the
    /// response.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn resume(
        &mut self,
        set: &WorkingSet,
        products: Vec<f64>,
        w: &[f64],
        mu: f64,
    ) -> Result<(), Error> {
        self.extend(products.into_iter());
        self.w.copy_from_slice(w);
        for (k, w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            self.support.push(k);
            self.signs[k] = w.signum();
            self.is_in[k] = true;
        }
        self.mu = mu;
        self.is_solved = false;
        self.rebuild(set)?;
        self.update_gradient(set);
        Ok(())
    }

    /// How many variables may be other than 0.
    pub fn support_size(&self) -> usize {
        self.support.len() + self.held().count()
    }

    /// The variables at a bound other than 0.
    fn held(&self) -> impl Iterator<Item = usize> {
        (0..self.w.len()).filter(|k| self.w[*k] != 0.0 && !self.is_in[*k])
    }

    /// Solves until the gap of this problem is at most `target`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn solve(
        &mut self,
        set: &WorkingSet,
        penalties: &Penalties,
        yy: f64,
        target: f64,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        if self.mu != penalties.mu {
            self.mu = penalties.mu;
            self.rebuild(set)?;
            self.known = 0;
        }
        let has_new = self.known < self.q.len();
        self.complete_gradient(set);
        let mut last = f64::INFINITY;
        for round in 0..ROUNDS {
            // What is at its minimum from before need not go there first, if others are to join; if not, it
            // is to come nearer.
            if round > 0 || !has_new || !self.is_settled(penalties) {
                self.descend(set, penalties, stop)?;
            }
            let gap = self.gap(penalties, yy);
            if gap <= target || stop.is_late() {
                break;
            }
            let most = if round < ROUNDS_TOGETHER { JOIN.max(self.support.len() / 2) } else { 1 };
            // If none join, what is left is rounding of the step, which another one mends, up to a point.
            if !self.join(set, penalties, most)? && gap > REFINED * last {
                break;
            }
            last = gap;
        }
        Ok(())
    }

    /// By how much the objective is above a bound of its minimum, from q alone:
    /// `|y - X w|^2 = y'y - c'w - q'w`, with mu's part.
    pub fn gap(&self, penalties: &Penalties, yy: f64) -> f64 {
        let (cw, qw) = (reduce::dot(&self.c, &self.w), reduce::dot(&self.q, &self.w));
        let mut l1 = 0.0;
        let mut scale = 1.0f64;
        let mut held = vec![];
        let lambdas = penalties.lambda.iter().copied();
        for (k, ((w, q), lambda)) in self.w.iter().zip(&self.q).zip(lambdas).enumerate() {
            if lambda == 0.0 && self.is_in[k] {
                continue; // q is 0 but for rounding
            }
            let mut interval = penalties.bounds[k];
            if *w != 0.0 {
                l1 += lambda * w.abs();
                if interval.holds_at_end(*w) {
                    held.push(Variable { h: q * w.signum(), lambda, reach: w.abs() });
                    interval = interval.open_at(*w);
                }
            }
            let excess = interval.pull(*q);
            if excess > lambda {
                scale = scale.min(lambda / excess);
            }
        }
        let squared = yy - cw - qw;
        let charge = certificate::charge(held.into_iter(), scale, 0.0);
        0.5 * squared + l1 + charge - scale * (yy - cw - 0.5 * scale * squared)
    }

    /// For variables that have joined the set.
    fn complete_gradient(&mut self, set: &WorkingSet) {
        if self.known == 0 {
            return self.update_gradient(set);
        }
        for k in self.known..self.q.len() {
            self.q[k] = self.c[k] - reduce::dot(set.gram(k), &self.w);
        }
        self.known = self.q.len();
    }

    /// Whether the support is still at the minimum with its signs, but for rounding.
    fn is_settled(&self, penalties: &Penalties) -> bool {
        let size = |k: usize| self.c[k].abs().max(penalties.lambda[k]);
        let off = |k: usize| (self.q[k] - penalties.lambda[k] * self.signs[k]).abs();
        self.is_solved && self.support.iter().all(|k| off(*k) <= SETTLED * size(*k))
    }

    fn update_gradient(&mut self, set: &WorkingSet) {
        self.known = self.q.len();
        self.q.copy_from_slice(&self.c);
        let used = self.support.iter().copied().filter(|k| self.w[*k] != 0.0);
        let terms: Vec<(usize, f64)> = used.chain(self.held()).map(|k| (k, -self.w[k])).collect();
        add_products(set, self.mu, &terms, &mut self.q);
    }

    /// To the minimum over the support with its signs, leaving out what does not keep its sign or
    /// comes to a bound. On the way the gradient is that of the support alone, by the system that the
    /// factor solves: columns of the Gram matrix are needed of what leaves, not of all that moves.
    fn descend(
        &mut self,
        set: &WorkingSet,
        penalties: &Penalties,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        let lambda = &penalties.lambda;
        while !self.support.is_empty() {
            stop.poll()?;
            self.steps += 1;
            let rhs: Vec<f64> =
                (self.support.iter()).map(|k| self.q[*k] - lambda[*k] * self.signs[*k]).collect();
            let mut d = rhs.clone();
            self.factor.solve(&mut d);
            let crossing = self.crossing(&d, penalties);
            if crossing.is_empty() {
                for (k, d) in self.support.iter().zip(&d) {
                    self.w[*k] += d;
                }
                break;
            }
            let image = self.image(set, &rhs, &d);
            // All that would cross stop at their ends.
            let (mut clipped, mut clipped_image) = (d.clone(), image.clone());
            for c in &crossing {
                let k = self.support[c.place];
                let less = c.end - self.w[k] - d[c.place];
                clipped[c.place] += less;
                let column = set.gram(k);
                let rows = clipped_image.iter_mut().zip(&self.support);
                rows.for_each(|(image, i)| *image += less * column[*i]);
                clipped_image[c.place] += less * self.mu;
            }
            let change = 0.5 * reduce::dot(&clipped, &clipped_image) - reduce::dot(&rhs, &clipped);
            let share = crossing.iter().map(|c| c.share).fold(1.0, f64::min);
            let to_first = share * (0.5 * share - 1.0) * reduce::dot(&rhs, &d);
            if change < to_first {
                self.move_by((&clipped, &clipped_image), 1.0, penalties);
                self.leave(set, &crossing)?;
                continue;
            }
            let first: Vec<Crossing> = crossing.into_iter().filter(|c| c.share == share).collect();
            if share > 0.0 {
                self.move_by((&d, &image), share, penalties);
            }
            self.leave(set, &first)?;
        }
        self.update_gradient(set);
        self.is_solved = true;
        Ok(())
    }

    /// The products of the support with a step that solves `(G + mu I + nudge) d = rhs`.
    fn image(&self, set: &WorkingSet, rhs: &[f64], d: &[f64]) -> Vec<f64> {
        if !self.is_of_gram {
            let of = |k: &usize| {
                let column = set.gram(*k);
                self.support.iter().zip(d).map(|(i, d)| column[*i] * d).sum::<f64>()
            };
            return self.support.iter().zip(d).map(|(k, d)| of(k) + self.mu * d).collect();
        }
        let of = |((k, rhs), d): ((&usize, &f64), &f64)| {
            rhs - self.nudge * (set.gram(*k)[*k] + self.mu) * d
        };
        self.support.iter().zip(rhs).zip(d).map(of).collect()
    }

    /// The variables of the support that a full step takes through 0 or a bound.
    fn crossing(&self, d: &[f64], penalties: &Penalties) -> Vec<Crossing> {
        let of = |(place, k): (usize, &usize)| {
            let (w, d, bounds) = (self.w[*k], d[place], penalties.bounds[*k]);
            let is_kinked = penalties.lambda[*k] != 0.0;
            let face = if is_kinked { bounds.of_sign(self.signs[*k]) } else { bounds };
            let end = if w + d <= face.lower {
                face.lower
            } else if w + d >= face.upper {
                face.upper
            } else {
                return None;
            };
            Some(Crossing { place, share: if w == end { 0.0 } else { (end - w) / d }, end })
        };
        self.support.iter().enumerate().filter_map(of).collect()
    }

    /// Moves the support by a share of a step with these products, and its gradient.
    fn move_by(&mut self, (d, image): (&[f64], &[f64]), share: f64, penalties: &Penalties) {
        for (k, (d, image)) in self.support.iter().zip(d.iter().zip(image)) {
            // A share of a step may go beyond a bound by rounding.
            self.w[*k] = penalties.bounds[*k].nearest(self.w[*k] + share * d);
            self.q[*k] -= share * image;
        }
    }

    /// Variables, ascending by their places, leave the support for their ends.
    fn leave(&mut self, set: &WorkingSet, crossing: &[Crossing]) -> Result<(), Error> {
        let is_many = crossing.len() * ANEW > self.support.len();
        for c in crossing.iter().rev() {
            let k = self.support.remove(c.place);
            self.is_in[k] = false;
            self.w[k] = c.end;
            if !is_many {
                self.factor.remove(c.place);
            }
        }
        if is_many { self.rebuild(set) } else { Ok(()) }
    }

    /// The `most` variables whose gradient exceeds lambda by most join, or falls short of it by most
    /// where they are at a bound; whether there were any.
    fn join(
        &mut self,
        set: &WorkingSet,
        penalties: &Penalties,
        most: usize,
    ) -> Result<bool, Error> {
        let excess = |k: &usize| {
            let (w, q, lambda) = (self.w[*k], self.q[*k], penalties.lambda[*k]);
            if w == 0.0 {
                penalties.bounds[*k].pull(q) - lambda * (1.0 + EXCESS)
            } else {
                lambda * (1.0 - EXCESS) - q * w.signum()
            }
        };
        let is_new = |k: &usize| !self.is_in[*k] && set.gram(*k)[*k] > 0.0 && excess(k) > 0.0;
        let mut new: Vec<usize> = (0..self.q.len()).filter(is_new).collect();
        new.sort_by(|a, b| excess(b).total_cmp(&excess(a)).then(a.cmp(b)));
        new.truncate(most);
        for k in &new {
            let w = self.w[*k];
            self.signs[*k] = if w == 0.0 { self.q[*k].signum() } else { w.signum() };
            self.is_in[*k] = true;
        }
        if new.len() * ANEW > self.support.len() {
            self.support.extend(&new);
            self.rebuild(set)?;
            return Ok(!new.is_empty());
        }
        for k in &new {
            let products = self.support.iter().map(|j| set.gram(*k)[*j]).collect();
            let diagonal = self.diagonal(set, *k);
            self.support.push(*k);
            if !self.factor.push(products, diagonal)? {
                self.rebuild(set)?;
            }
        }
        Ok(!new.is_empty())
    }

    fn diagonal(&self, set: &WorkingSet, k: usize) -> f64 {
        (set.gram(k)[k] + self.mu) * (1.0 + self.nudge)
    }

    fn rebuild(&mut self, set: &WorkingSet) -> Result<(), Error> {
        self.nudge = self.nudge.max(NUDGE);
        loop {
            let (support, mu, more) = (&self.support, self.mu, 1.0 + self.nudge);
            let fill = |j: usize, out: &mut [f64]| {
                let column = set.gram(support[j]);
                out.iter_mut().zip(&support[j..]).for_each(|(o, i)| *o = column[*i]);
                out[0] = (out[0] + mu) * more;
            };
            self.is_of_gram = self.factor.rebuild(support.len(), fill)?;
            if self.is_of_gram {
                return Ok(());
            }
            if self.nudge >= 1.0 {
                break;
            }
            self.nudge *= MORE;
        }
        // Products that rounding has made no Gram matrix at all: a diagonal above them, for steps that
        // are short but go down.
        let (support, mu) = (&self.support, self.mu);
        let fill = |j: usize, out: &mut [f64]| {
            let column = set.gram(support[j]);
            out.fill(0.0);
            out[0] = support.iter().map(|i| column[*i].abs()).sum::<f64>() + mu;
        };
        if self.factor.rebuild(support.len(), fill)? {
            return Ok(());
        }
        Err(Error::invalid("X", "has columns whose products over- or underflow: scale it"))
    }
}

/// Adds `(G + mu I) d` for the d with these entries: columns four at a time share each load and store
/// of the sum.
fn add_products(set: &WorkingSet, mu: f64, d: &[(usize, f64)], out: &mut [f64]) {
    for four in d.chunks(4) {
        // The last ones are filled up with a column, 0 times.
        let at = |q: usize| four.get(q).copied().unwrap_or((four[0].0, 0.0));
        let entries = [at(0), at(1), at(2), at(3)];
        linear::axpy4(entries.map(|(_, d)| d), entries.map(|(k, _)| set.gram(k)), out);
    }
    d.iter().for_each(|(k, d)| out[*k] += mu * d);
}
