//! The gradient of softmax, stablemax, sparsemax, and the k largest probabilities.
//!
//! Each is two passes over a line, [`Relative::first`] over its parts and, once what they found is
//! merged, [`Relative::last`]; the parts are copied to be contiguous.
//!
//! - Gradient: `dL/dx = p (g - <p, g>) / temperature` for `p = softmax(x / temperature)`.
//! - Stablemax (Prieto et al., "Grokking at the Edge of Numerical Stability", arXiv 2501.04697,
//!   equation 6): `s(x_i) / sum_j s(x_j)` with `s(x) = x + 1` for `x >= 0`, `1 / (1 - x)` below.
//! - Sparsemax (Martins and Astudillo, arXiv 1602.02068, algorithm 1): the projection onto the
//!   simplex, `max(x_i - tau, 0)`. Only values within 1 of the maximum can be above `tau`: those
//!   are collected and sorted, mostly a handful.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::relatives::Relatives;
use sparrot_simd::row::Row;
use sparrot_simd::tally::Sum;

use crate::arrays::Arrays;
use crate::job::{Job, Masked, Output, Real, Settings};
use crate::layout::Layout;
use crate::pass::{self, Method, PART};
use crate::state::{Kind, State};

/// A function of lines that needs something of the whole line first.
pub trait Relative<T>: Sync {
    /// What the first pass finds.
    type Found: Send + Sync;
    /// The first pass over positions `start..` of a line.
    fn first(&self, line: usize, start: usize, x: &[T]) -> Self::Found;
    /// What was found in two parts, in order.
    fn merge(&self, a: Self::Found, b: Self::Found) -> Self::Found;
    /// The last pass, which replaces `x`.
    fn last(&self, line: usize, start: usize, x: &mut [T], found: &Self::Found);
}

/// Runs both passes over every line; returns what was found of each, if `keep` is set.
///
/// # Errors
/// [`Error::Interrupted`], with some lines not done.
///
/// # Safety
/// The arrays fit the layout, see [`Arrays::from_raw`].
pub unsafe fn run<T: Real, R: Relative<T>>(
    relative: &R,
    arrays: &Arrays<'_, T>,
    layout: &Layout,
    team: &Team,
    stop: &Stop<'_>,
    keep: bool,
) -> Result<Vec<R::Found>, Error> {
    let (lines, len) = (layout.lines(), layout.len());
    if lines == 0 || len == 0 {
        return Ok(Vec::new());
    }
    let settings = Settings {
        output: Output::Nothing,
        for_log: false,
        method: None,
        masked: Masked::Nan,
        temperature: 1.0,
    };
    let job = Job { arrays, layout, settings: &settings, team, stop };
    let copied = |line, start| {
        let mut copy = vec![T::narrow(0.0); PART.min(len - start)];
        arrays.gather(layout, line, start, (&mut copy, 1), 1.0);
        copy
    };
    let write = |line, start, mut copy: Vec<T>, found: &R::Found| {
        if arrays.writes() {
            relative.last(line, start, &mut copy, found);
            // SAFETY: each item has its part of the line to itself.
            unsafe { arrays.scatter(layout, line, start, (&copy, 1)) };
        }
    };
    let team = job.team_for(lines.saturating_mul(len));
    let mut all = Vec::new();
    if len <= PART {
        let per_item = (PART / len).max(1);
        let items = (0..lines).step_by(per_item).collect();
        let kept = team.run(stop, items, |first: usize| {
            let mut kept = Vec::new();
            for line in first..(first + per_item).min(lines) {
                let copy = copied(line, 0);
                let found = relative.first(line, 0, &copy);
                write(line, 0, copy, &found);
                if keep {
                    kept.push(found);
                }
            }
            kept
        })?;
        return Ok(kept.into_iter().flatten().collect());
    }
    let starts = || (0..len).step_by(PART).collect::<Vec<_>>();
    for line in 0..lines {
        let found =
            team.run(stop, starts(), |start| relative.first(line, start, &copied(line, start)))?;
        let Some(found) = found.into_iter().reduce(|a, b| relative.merge(a, b)) else { continue };
        if arrays.writes() {
            team.run(stop, starts(), |start| write(line, start, copied(line, start), &found))?;
        }
        all.extend(keep.then_some(found));
    }
    Ok(all)
}

/// The gradient of softmax: lines are of probabilities.
pub struct PullBack<'a, T> {
    /// The gradients with respect to the probabilities.
    pub gradient: Arrays<'a, T>,
    /// Their layout: positions are as those of the probabilities.
    pub layout: Layout,
    /// What the gradient is multiplied by.
    pub scale: f64,
}

impl<T: Real> PullBack<'_, T> {
    fn gradient(&self, line: usize, start: usize, len: usize) -> Vec<T> {
        let mut copy = vec![T::narrow(0.0); len];
        self.gradient.gather(&self.layout, line, start, (&mut copy, 1), 1.0);
        copy
    }
}

impl<T: Real + Relatives> Relative<T> for PullBack<'_, T> {
    type Found = Sum;

    fn first(&self, line: usize, start: usize, p: &[T]) -> Sum {
        T::inner(p, &self.gradient(line, start, p.len()))
    }
    fn merge(&self, a: Sum, b: Sum) -> Sum {
        a.plus(b)
    }
    fn last(&self, line: usize, start: usize, p: &mut [T], found: &Sum) {
        let gradient = self.gradient(line, start, p.len());
        T::pull_back(p, &gradient, found.high, self.scale);
    }
}

/// Stablemax.
pub struct Stablemax;

/// Sums over values near the largest double would overflow; these do not.
const SMALL: f64 = 1.0 / 18446744073709551616.0;

impl<T: Real + Relatives> Relative<T> for Stablemax {
    /// The sum, and the sum of terms times `SMALL`.
    type Found = [Sum; 2];

    fn first(&self, _: usize, _: usize, x: &[T]) -> [Sum; 2] {
        let sum = T::stable_sum(x, 1.0);
        let overflows = sum.high == f64::INFINITY || sum.high > f64::MAX / 1e9;
        [sum, if overflows { T::stable_sum(x, SMALL) } else { sum.times(SMALL) }]
    }
    fn merge(&self, a: [Sum; 2], b: [Sum; 2]) -> [Sum; 2] {
        [a[0].plus(b[0]), a[1].plus(b[1])]
    }
    fn last(&self, _: usize, _: usize, x: &mut [T], found: &[Sum; 2]) {
        if found[0].high == f64::INFINITY {
            T::stable_share(x, SMALL, found[1].high);
        } else {
            T::stable_share(x, 1.0, found[0].high);
        }
    }
}

/// Sparsemax.
pub struct Sparsemax;

/// The values of a part that may be in the support.
pub struct Candidates<T> {
    max: T,
    nan: bool,
    values: Vec<T>,
}

impl<T: Real + Relatives> Relative<T> for Sparsemax {
    type Found = Candidates<T>;

    fn first(&self, _: usize, _: usize, x: &[T]) -> Candidates<T> {
        let max = T::max(x);
        let (_, nan) = T::census(x, max);
        let near = |x: &T| x.wide() - max.wide() > -1.0;
        Candidates { max, nan, values: x.iter().copied().filter(near).collect() }
    }
    fn merge(&self, a: Candidates<T>, b: Candidates<T>) -> Candidates<T> {
        let max = if b.max > a.max { b.max } else { a.max };
        let near = |x: &T| x.wide() - max.wide() > -1.0;
        let values = a.values.into_iter().chain(b.values).filter(near).collect();
        Candidates { max, nan: a.nan || b.nan, values }
    }
    fn last(&self, _: usize, _: usize, x: &mut [T], found: &Candidates<T>) {
        let max = found.max.wide();
        if found.nan || !max.is_finite() {
            return x.fill(T::narrow(f64::NAN));
        }
        let mut above: Vec<f64> = found.values.iter().map(|x| x.wide() - max).collect();
        above.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut sum = 0.0;
        let mut threshold = -1.0;
        for (k, z) in above.iter().enumerate() {
            sum += z;
            let count = (k + 1) as f64;
            if 1.0 + count * z <= sum {
                break;
            }
            threshold = (sum - 1.0) / count;
        }
        T::above(x, found.max, threshold);
    }
}

/// The `k` largest values, and the sum of all exponentials.
pub struct Largest {
    /// How many.
    pub k: usize,
}

/// What [`Largest`] finds: values in falling order, and where they are.
#[derive(Clone, Debug)]
pub struct Top<T> {
    /// Of all values of the line.
    pub state: State,
    /// `(value, position)`; of equal values the first ones.
    pub values: Vec<(T, usize)>,
}

/// Values that are skipped at once if none of them is large.
const SKIP: usize = 256;

/// The larger one first, and of equal values (as are both zeros) the one that comes first.
fn falling<T: Real>(a: &(T, usize), b: &(T, usize)) -> std::cmp::Ordering {
    (b.0.wide() + 0.0).total_cmp(&(a.0.wide() + 0.0)).then(a.1.cmp(&b.1))
}

/// Leaves the `k` largest values in any order, but with the least of them last.
fn keep_largest<T: Real>(values: &mut Vec<(T, usize)>, k: usize) {
    if values.len() > k && k > 0 {
        values.select_nth_unstable_by(k - 1, falling);
    }
    values.truncate(k);
}

impl<T: Real> Relative<T> for Largest {
    type Found = Top<T>;

    fn first(&self, _: usize, start: usize, x: &[T]) -> Top<T> {
        // Up to twice as many as are wanted, of which half are dropped when there is no more room.
        let room = self.k.saturating_mul(2).min(x.len());
        let mut values: Vec<(T, usize)> = Vec::with_capacity(room);
        let mut least = None;
        for (block, at) in x.chunks(SKIP).zip((start..).step_by(SKIP)) {
            if least.is_some_and(|least| T::max(block) <= least) {
                continue;
            }
            for (j, value) in block.iter().enumerate() {
                if least.is_some_and(|least| *value <= least) {
                    continue;
                }
                values.push((*value, at + j));
                if values.len() > self.k && values.len() == room {
                    keep_largest(&mut values, self.k);
                    least = values.last().map(|(value, _)| *value);
                }
            }
        }
        keep_largest(&mut values, self.k);
        values.sort_unstable_by(falling);
        Top { state: pass::first_for_sum(x), values }
    }
    fn merge(&self, a: Top<T>, b: Top<T>) -> Top<T> {
        let mut values = a.values;
        values.extend(b.values);
        keep_largest(&mut values, self.k);
        values.sort_unstable_by(falling);
        Top { state: a.state.merge(b.state), values }
    }
    fn last(&self, _: usize, _: usize, _: &mut [T], _: &Top<T>) {}
}

impl<T: Real> Top<T> {
    /// The probabilities of the values found: among all, or among themselves.
    pub fn probabilities(&self, renormalise: bool) -> Vec<T> {
        let mut values: Vec<T> = self.values.iter().map(|(value, _)| *value).collect();
        let total = match (renormalise, self.state.kind()) {
            // With a NaN or an infinity anywhere nothing is known, renormalised or not.
            (true, Kind::Regular) => pass::first_for_sum(&values),
            _ => self.state,
        };
        match total.kind() {
            Kind::Regular => {
                let row = Row::in_place(&mut values);
                pass::second(Method::Recompute, row, &total, &[], self.values.len());
            }
            _ => values.fill(T::narrow(f64::NAN)),
        }
        values
    }
}
