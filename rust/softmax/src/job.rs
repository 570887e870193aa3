//! A job: one function of every line of an array.

use sparrot_foundation::{Error, Scalar, Stop, Team};
use sparrot_simd::columns::Columns;
use sparrot_simd::extexp::ExtExp;
use sparrot_simd::frame::{Framed, Reference};
use sparrot_simd::row::Row;
use sparrot_simd::softmax::Factor;

use crate::arrays::Arrays;
use crate::layout::{Layout, Shape};
use crate::pass::{self, Method, PART};
use crate::state::{Kind, State};
use crate::{beside, scattered};

/// f32 or f64.
pub trait Real: Scalar + ExtExp + Columns {}
impl<T: Scalar + ExtExp + Columns> Real for T {}

/// What is computed of each line, besides its [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nothing.
    Nothing,
    /// The softmax.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
}

/// What becomes of a line that holds nothing above `-inf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    /// NaN: 0 / 0.
    Nan,
    /// Probability 0 everywhere.
    Zero,
    /// The same probability everywhere.
    Uniform,
}

/// How a job is done.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What is computed.
    pub output: Output,
    /// Whether the states are to be good for logarithms: the maximum is counted apart.
    pub for_log: bool,
    /// How; the fastest, if not told.
    pub method: Option<Method>,
    /// What becomes of lines without a value.
    pub masked: Masked,
    /// What the values are divided by.
    pub temperature: f64,
}

impl Settings {
    pub(crate) fn method<T: Framed>(&self, len: usize) -> Method {
        self.method.unwrap_or_else(|| Method::fastest::<T>(len))
    }
}

/// Does the job; `states` is empty or has room for one state of each line.
///
/// # Errors
/// [`Error::Interrupted`], with some lines not done.
///
/// # Safety
/// The arrays fit the layout, see [`Arrays::from_raw`].
pub unsafe fn run<T: Real>(
    arrays: &Arrays<'_, T>,
    layout: &Layout,
    settings: &Settings,
    states: &mut [State],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    assert!(states.is_empty() || states.len() == layout.lines());
    if layout.lines() == 0 || layout.is_empty() {
        states.fill(State::EMPTY);
        return Ok(());
    }
    let job = Job { arrays, layout, settings, team, stop };
    let plain = arrays.is_plain() && settings.temperature == 1.0;
    match layout.shape(arrays.writes(), plain, arrays.is_weighted()) {
        Shape::Rows => job.rows(states),
        Shape::Columns(axis) => beside::columns(&job, axis, states),
        Shape::Short => beside::short(&job, states),
        Shape::Scattered => scattered::lines(&job, states),
    }
}

/// Writes the softmax, or its logarithm, of values of which the states of the whole lines are
/// already known.
///
/// # Errors
/// [`Error::Interrupted`], with some lines not done.
///
/// # Safety
/// As [`run`].
pub unsafe fn normalise<T: Real>(
    arrays: &Arrays<'_, T>,
    layout: &Layout,
    settings: &Settings,
    totals: &[State],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let (lines, len) = (layout.lines(), layout.len());
    assert_eq!(totals.len(), lines);
    let job = Job { arrays, layout, settings, team, stop };
    let parts = (0..lines).flat_map(|line| (0..len).step_by(PART).map(move |at| (line, at)));
    job.team_for(lines.saturating_mul(len)).run(stop, parts.collect(), |(line, at)| {
        scattered::by_blocks(at, len, |at, copy| {
            arrays.gather(layout, line, at, (copy, 1), settings.temperature);
            job.finish(Row::in_place(copy), Method::Recompute, &totals[line], &[], len);
            // SAFETY: this item has the part of the line to itself.
            unsafe { arrays.scatter(layout, line, at, (copy, 1)) };
        });
    })?;
    Ok(())
}

/// What the parts of this crate need to know of a job.
pub(crate) struct Job<'a, T> {
    pub arrays: &'a Arrays<'a, T>,
    pub layout: &'a Layout,
    pub settings: &'a Settings,
    pub team: &'a Team,
    pub stop: &'a Stop<'a>,
}

/// A line longer than this is always done in parts, so that an interrupt is seen in between.
const LONGEST_AT_ONCE: usize = 1 << 22;

/// Picoseconds that four bytes take, roughly, in all passes and in each of them: whether helpers are
/// worth waking.
const ALL_PASSES: usize = 500;
const FIND_MAX: usize = 50;
const FIRST_PASS: usize = 300;
const LAST_PASS: usize = 150;

impl<T: Real> Job<'_, T> {
    /// The team for all passes over so many values.
    pub fn team_for(&self, values: usize) -> Team {
        self.team_for_pass(values, ALL_PASSES)
    }

    fn team_for_pass(&self, values: usize, picoseconds: usize) -> Team {
        self.team
            .for_work(values.saturating_mul(size_of::<T>() / 4).saturating_mul(picoseconds) / 1000)
    }

    /// Does `work` on groups of so many lines: `(first line, how many, their states or none)`.
    pub fn by_lines(
        &self,
        per_item: usize,
        states: &mut [State],
        work: impl Fn(usize, usize, &mut [State]) + Sync,
    ) -> Result<(), Error> {
        let lines = self.layout.lines();
        let team = self.team_for(lines.saturating_mul(self.layout.len()));
        let mut rest = states;
        let items = (0..lines.div_ceil(per_item)).map(|k| {
            let count = per_item.min(lines - k * per_item);
            let taken = count.min(rest.len());
            (k * per_item, count, rest.split_off_mut(..taken).unwrap_or_default())
        });
        if lines <= per_item {
            // The usual small call: nothing is allocated for it, nobody is asked.
            items.for_each(|(first, count, states)| work(first, count, states));
            return Ok(());
        }
        team.run(self.stop, items.collect(), |(first, count, states)| work(first, count, states))?;
        Ok(())
    }

    /// Whether lines are done one after another, each in parts by all threads.
    pub fn splits_lines(&self) -> bool {
        let len = self.layout.len();
        len > LONGEST_AT_ONCE || len > PART && self.layout.lines() < self.team.threads()
    }

    fn rows(&self, states: &mut [State]) -> Result<(), Error> {
        let len = self.layout.len();
        let method = self.settings.method::<T>(len);
        if self.splits_lines() {
            for line in 0..self.layout.lines() {
                let state = self.long_row(line, method)?;
                if let Some(slot) = states.get_mut(line) {
                    *slot = state;
                }
            }
            return Ok(());
        }
        self.by_lines((PART / len).max(1), states, |first, count, states| {
            // SAFETY: this item has its lines to itself.
            let row = |k| unsafe { self.arrays.row(self.layout, first + k, 0, len) };
            if method == Method::Blocked && len <= pass::block_len::<T>() {
                return self.small_rows(row, count, states);
            }
            let mut references = Vec::new();
            for k in 0..count {
                let row = row(k);
                let state = self.row(row, method, &mut references);
                if let Some(slot) = states.get_mut(k) {
                    *slot = state;
                }
            }
        })
    }

    /// Rows of a block each: every pass over several of them, so that the end of one row, where
    /// few operations depend on one another, overlaps with the beginning of the next.
    fn small_rows<'b>(&self, row: impl Fn(usize) -> Row<'b, T>, count: usize, states: &mut [State])
    where
        T: 'b,
    {
        const TOGETHER: usize = 16;
        let len = self.layout.len();
        let together = (2 * pass::block_len::<T>() / len).clamp(1, TOGETHER);
        let store = self.settings.output == Output::Softmax;
        let mut found = [State::EMPTY; TOGETHER];
        let mut max = [T::narrow(0.0); TOGETHER];
        for start in (0..count).step_by(together) {
            let lines = start..(start + together).min(count);
            for (k, max) in lines.clone().zip(&mut max) {
                *max = pass::max(row(k).source());
            }
            for ((k, max), found) in lines.clone().zip(max).zip(&mut found) {
                *found = pass::block(&mut row(k), &[], max, store, self.settings.for_log).0;
            }
            for (k, found) in lines.zip(&found) {
                self.finish(row(k), Method::Blocked, found, &[found.reference], len);
                if let Some(slot) = states.get_mut(k) {
                    *slot = *found;
                }
            }
        }
    }

    /// All passes over one row, part by part.
    pub fn row(
        &self,
        mut row: Row<'_, T>,
        method: Method,
        references: &mut Vec<Reference>,
    ) -> State {
        let len = row.len();
        let softmax = self.settings.output == Output::Softmax;
        let max = (softmax && method.needs_max()).then(|| pass::max(row.source()));
        references.clear();
        if len <= PART {
            let total = self.first(&mut row, method, max, references);
            self.finish(row, method, &total, references, len);
            return total;
        }
        let mut total = State::EMPTY;
        let mut firsts = [0; LONGEST_AT_ONCE / PART];
        for (start, first) in (0..len).step_by(PART).zip(&mut firsts) {
            *first = references.len();
            let mut part = row.part(start, PART);
            total = total.merge(self.first(&mut part, method, max, references));
        }
        for (start, first) in (0..len).step_by(PART).zip(firsts) {
            self.finish(row.part(start, PART), method, &total, &references[first..], len);
        }
        total
    }

    fn first(
        &self,
        part: &mut Row<'_, T>,
        method: Method,
        max: Option<T>,
        references: &mut Vec<Reference>,
    ) -> State {
        match self.settings.output {
            Output::Softmax => pass::first(method, part, max, self.settings.for_log, references),
            _ if self.settings.for_log => pass::first_for_log(part.source()),
            _ => pass::first_for_sum(part.source()),
        }
    }

    /// All passes over one row, whose parts are shared out among the threads.
    pub fn long_row(&self, line: usize, method: Method) -> Result<State, Error> {
        let len = self.layout.len();
        let starts = || (0..len).step_by(PART).collect::<Vec<_>>();
        // SAFETY: each item has its part of the line to itself.
        let part =
            |start| unsafe { self.arrays.row(self.layout, line, start, PART.min(len - start)) };
        let mut max = None;
        if self.settings.output == Output::Softmax && method.needs_max() {
            let team = self.team_for_pass(len, FIND_MAX);
            let all = team.run(self.stop, starts(), |start| pass::max(part(start).source()))?;
            max = all.into_iter().reduce(|a, b| if a > b { a } else { b });
        }
        let found = self.team_for_pass(len, FIRST_PASS).run(self.stop, starts(), |start| {
            let mut references = Vec::new();
            (start, self.first(&mut part(start), method, max, &mut references), references)
        })?;
        let total = found.iter().fold(State::EMPTY, |total, (_, state, _)| total.merge(*state));
        if self.settings.output != Output::Nothing {
            self.team_for_pass(len, LAST_PASS).run(
                self.stop,
                found,
                |(start, _, references)| {
                    self.finish(part(start), method, &total, &references, len);
                },
            )?;
        }
        Ok(total)
    }

    /// The last pass over a part of a row of `len` values.
    pub fn finish(
        &self,
        mut part: Row<'_, T>,
        method: Method,
        total: &State,
        references: &[Reference],
        len: usize,
    ) {
        match (self.settings.output, total.kind()) {
            (Output::Nothing, _) => {}
            (Output::Softmax, Kind::Regular) => {
                pass::second(method, part, total, references, len);
            }
            (Output::LogSoftmax, Kind::Regular) => pass::second_for_log(part, total),
            (Output::LogSoftmax, Kind::Infinite) => {
                // x - inf
                let log = Factor { high: T::narrow(f64::INFINITY), low: T::narrow(0.0) };
                T::log_shift(part, T::narrow(0.0), log);
            }
            (Output::Softmax, kind) => part.target().fill(self.settings.irregular(kind, len)),
            (Output::LogSoftmax, kind) => {
                let probability: T = self.settings.irregular(kind, len);
                part.target().fill(T::narrow(probability.wide().ln()));
            }
        }
    }
}

impl Settings {
    /// The probabilities of an irregular line of `len` values.
    pub(crate) fn irregular<T: Framed>(&self, kind: Kind, len: usize) -> T {
        T::narrow(match (kind, self.masked) {
            (Kind::Empty, Masked::Zero) => 0.0,
            (Kind::Empty, Masked::Uniform) => 1.0 / len as f64,
            _ => f64::NAN,
        })
    }
}
