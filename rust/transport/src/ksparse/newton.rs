//! Semismooth Newton steps on the smooth dual.
//!
//! The dual of a proximal problem is concave and piecewise quadratic. A step solves the equations of
//! the piece it is on ([`super::graph`]), to a share of the error that shrinks with it, and goes as
//! far along the solution as the dual rises: where that is not all the way, to where the slopes at
//! both ends of what was tried say that the top is. After a failure, or a step cut short, the
//! diagonal is raised so that the next step is about as short by itself (Levenberg).

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::reduce;

use super::graph::Graph;
use super::lines::{Lines, Smooth};

/// Trials of a line search, at most; how much of the predicted gain one must bring; and what the
/// next one's length is at least and at most, as a share.
const TRIALS: usize = 12;
const ARMIJO: f64 = 1e-4;
const SHORTER: [f64; 2] = [0.1, 0.5];

/// A full step after which the dual rises by this share of its first slope still is made longer, by
/// that factor, as long as it helps: some points had nothing yet that told how far to go.
const FAR: f64 = 0.5;
const LONGER: f64 = 4.0;

/// The equations are solved to this share of the error at most.
const LOOSEST: f64 = 0.1;

/// How the damping shrinks after a full step, and grows after one cut short or a failure; and what it
/// is then at least, as a share of what would have made the step that short by itself.
const SHRINK: f64 = 0.2;
const GROWTH: f64 = 4.0;
const AS_SHORT: f64 = 0.3;

/// Points that nothing holds are lifted once they miss this share of the error, or a step has failed;
/// beyond their kinks by these shares, one after the other, of what would give them all they miss.
/// Several may get it from the same line; a little beyond their kinks the dual is higher in any case.
const LIFTED: f64 = 0.1;
const BEYOND: [f64; 4] = [1.0, 0.1, 1e-3, 1e-6];

/// Where the dual is climbed from.
pub struct Climb {
    /// Potentials of the points, `-inf` for those without weight.
    pub alpha: Vec<f64>,
    /// The smooth dual there.
    pub smooth: Smooth,
    damping: f64,
    has_failed: bool,
    /// The equations' solution is shortened to this where it is longer.
    reach: f64,
    /// Conjugate gradient iterations so far.
    pub cg_iterations: usize,
    /// Entries of the plan that the last step worked with.
    pub entries: usize,
}

impl Climb {
    /// Starts at those potentials; the first trial of a step changes none by more than `reach`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        alpha: Vec<f64>,
        reach: f64,
        lines: &mut Lines<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Climb, Error> {
        lines.anchor(&alpha);
        let smooth = lines.evaluate(&alpha, team, stop)?;
        Ok(Climb {
            alpha,
            smooth,
            damping: 0.0,
            has_failed: false,
            reach,
            cg_iterations: 0,
            entries: 0,
        })
    }

    /// The same place after the function has changed.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn renew(
        &mut self,
        lines: &mut Lines<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(), Error> {
        self.damping = 0.0;
        self.smooth = lines.evaluate(&self.alpha, team, stop)?;
        Ok(())
    }

    /// What the points' marginals are wrong by, in total.
    pub fn error(&self) -> f64 {
        reduce::l1_norm(&self.smooth.gradient)
    }

    /// With 0 for points without weight, which stay where they are.
    fn weighty(&self, x: &[f64]) -> Vec<f64> {
        let of = |(x, alpha): (&f64, &f64)| if alpha.is_finite() { *x } else { 0.0 };
        x.iter().zip(&self.alpha).map(of).collect()
    }

    /// Without its mean, which makes no difference to the dual; 0 for points without weight, which
    /// stay where they are.
    fn centred(&self, x: &[f64]) -> Vec<f64> {
        let moves = |alpha: &f64| if alpha.is_finite() { 1.0 } else { 0.0 };
        let count: f64 = self.alpha.iter().map(moves).sum();
        let sum: f64 = x.iter().zip(&self.alpha).map(|(x, alpha)| x * moves(alpha)).sum();
        x.iter().zip(&self.alpha).map(|(x, alpha)| moves(alpha) * (x - sum / count)).collect()
    }

    /// Raises points that miss mass, and that nothing holds, to where the first line that gives them
    /// nothing would begin to; the graph there, and whether the dual has risen. How far that is no
    /// derivative says.
    fn lifted(
        &mut self,
        lines: &mut Lines<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(Graph, bool), Error> {
        let graph = lines.graph();
        let misses = |(i, g): (usize, &f64)| {
            (*g > 0.0 && self.alpha[i].is_finite() && !graph.holds(i)).then_some((i, *g))
        };
        let points: Vec<(usize, f64)> =
            self.smooth.gradient.iter().enumerate().filter_map(misses).collect();
        let missed: f64 = points.iter().map(|(_, g)| g).sum();
        if points.is_empty() || (missed < LIFTED * self.error() && !self.has_failed) {
            return Ok((graph, false));
        }
        let kinks = lines.kinks(&self.alpha, &points, team, stop)?;
        if kinks.iter().all(|[kink, _]| kink.is_infinite()) {
            return Ok((graph, false));
        }
        for beyond in BEYOND {
            let mut alpha = self.alpha.clone();
            for ((i, _), [kink, distance]) in points.iter().zip(&kinks) {
                if kink.is_finite() {
                    alpha[*i] = kink + beyond * distance;
                }
            }
            let trial = lines.evaluate(&alpha, team, stop)?;
            if trial.value > self.smooth.value {
                (self.alpha, self.smooth) = (alpha, trial);
                lines.anchor(&self.alpha);
                return Ok((lines.graph(), true));
            }
        }
        self.smooth = lines.evaluate(&self.alpha, team, stop)?;
        Ok((lines.graph(), false))
    }

    /// One step, for masses that sum to `mass`; whether it got anywhere.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn step(
        &mut self,
        lines: &mut Lines<'_>,
        mass: f64,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<bool, Error> {
        let (graph, has_risen) = self.lifted(lines, team, stop)?;
        let error = self.error();
        let mut rhs = self.smooth.gradient.clone();
        for (i, g) in rhs.iter_mut().enumerate() {
            if !self.alpha[i].is_finite() || !graph.holds(i) {
                *g = 0.0;
            }
        }
        let held = reduce::l1_norm(&rhs);
        let goal = held * (error / mass).min(LOOSEST);
        let largest = rhs.iter().fold(0.0f64, |most, g| most.max(g.abs()));
        let (direction, done) = graph.solve(&rhs, self.damping, goal, stop)?;
        let direction = self.centred(&direction);
        let longest = direction.iter().fold(0.0f64, |most, d| most.max(d.abs()));
        self.cg_iterations += done;
        self.entries = graph.entries();
        if longest == 0.0 {
            return Ok(has_risen); // nothing is wrong with the points that something holds
        }
        let slope = reduce::dot(&self.weighty(&self.smooth.gradient), &direction);
        let mut length = if longest > self.reach { self.reach / longest } else { 1.0 };
        let mut found: Option<(Vec<f64>, Smooth)> = None;
        let mut is_beyond = false;
        for _ in 0..TRIALS {
            let alpha: Vec<f64> =
                self.alpha.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let trial = lines.evaluate(&alpha, team, stop)?;
            if let Some((_, best)) = &found
                && trial.value <= best.value
            {
                length /= LONGER;
                is_beyond = true;
                break;
            }
            let gained = trial.value - self.smooth.value;
            let rounding = 8.0 * f64::EPSILON * trial.value.abs();
            let error_now = reduce::l1_norm(&trial.gradient);
            let enough = gained >= ARMIJO * length * slope && gained > rounding;
            let closer = error_now < 0.5 * error || (gained >= -rounding && error_now < error);
            let slope_there = reduce::dot(&self.weighty(&trial.gradient), &direction);
            if enough || closer {
                let is_far = length >= 1.0 && enough && slope_there > FAR * slope;
                found = Some((alpha, trial));
                if !is_far {
                    break;
                }
                length *= LONGER;
            } else {
                let top = if slope > slope_there { slope / (slope - slope_there) } else { 0.0 };
                length *= top.clamp(SHORTER[0], SHORTER[1]);
            }
        }
        let shorter = (GROWTH * self.damping).max(AS_SHORT * largest / (length * longest));
        let Some((alpha, trial)) = found else {
            (self.damping, self.has_failed) = (shorter, true);
            self.smooth = lines.evaluate(&self.alpha, team, stop)?;
            return Ok(false);
        };
        (self.alpha, self.smooth, self.has_failed) = (alpha, trial, false);
        if is_beyond {
            // The lines are to be those of the step that is made.
            self.smooth = lines.evaluate(&self.alpha, team, stop)?;
        }
        lines.anchor(&self.alpha);
        self.damping = if length < 1.0 { shorter } else { SHRINK * self.damping };
        Ok(true)
    }
}
