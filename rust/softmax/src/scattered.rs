//! Lines that are not contiguous, or whose values are masked, divided or weighted: they are copied
//! to be contiguous. A long one is copied to where its result goes, if that is contiguous, and else a
//! block at a time, for each of the two passes.

use sparrot_foundation::Error;
use sparrot_simd::frame::Reference;
use sparrot_simd::row::Row;
use sparrot_simd::tally::Sum;

use crate::job::{Job, Output, Real};
use crate::pass::{self, Method, PART};
use crate::state::State;

pub(crate) fn lines<T: Real>(job: &Job<'_, T>, states: &mut [State]) -> Result<(), Error> {
    let len = job.layout.len();
    if len > PART {
        let plain_target = job.settings.output != Output::Nothing
            && !job.arrays.is_weighted()
            && !job.arrays.is_in_place()
            && job.layout.writes_in_a_row();
        for line in 0..job.layout.lines() {
            let state =
                if plain_target { long_line_in_place(job, line)? } else { long_line(job, line)? };
            if let Some(slot) = states.get_mut(line) {
                *slot = state;
            }
        }
        return Ok(());
    }
    let method = job.settings.method::<T>(len);
    job.by_lines((PART / len).max(1), states, |first, count, states| {
        let mut copy = vec![T::narrow(0.0); len];
        let mut references = Vec::new();
        for k in 0..count {
            let line = first + k;
            gather(job, line, 0, &mut copy);
            let state = if job.arrays.is_weighted() {
                weighted(job, line, 0, &mut copy)
            } else {
                job.row(Row::in_place(&mut copy), method, &mut references)
            };
            if job.settings.output != Output::Nothing {
                // SAFETY: this item has the line to itself.
                unsafe { job.arrays.scatter(job.layout, line, 0, (&copy, 1)) };
            }
            if let Some(slot) = states.get_mut(k) {
                *slot = state;
            }
        }
    })
}

fn gather<T: Real>(job: &Job<'_, T>, line: usize, start: usize, copy: &mut [T]) {
    job.arrays.gather(job.layout, line, start, (copy, 1), job.settings.temperature);
}

/// A line that is written to adjacent places: it is copied there, and what is left is as for a row.
fn long_line_in_place<T: Real>(job: &Job<'_, T>, line: usize) -> Result<State, Error> {
    let len = job.layout.len();
    let (arrays, layout) = (job.arrays.target_alone(), job.layout.target_alone());
    let there = Job { arrays: &arrays, layout: &layout, ..*job };
    let starts = (0..len).step_by(PART).collect();
    job.team_for(len).run(job.stop, starts, |start| {
        // SAFETY: this item has the part of the line to itself, which is not what is read.
        let mut part = unsafe { arrays.row(&layout, line, start, PART.min(len - start)) };
        gather(job, line, start, part.target());
    })?;
    there.long_row(line, there.settings.method::<T>(len))
}

/// A line that is copied twice, block by block: nothing can be stored in between.
fn long_line<T: Real>(job: &Job<'_, T>, line: usize) -> Result<State, Error> {
    let len = job.layout.len();
    let team = job.team_for(len);
    let starts = || (0..len).step_by(PART).collect::<Vec<_>>();
    let found = team.run(job.stop, starts(), |start| {
        let mut state = State::EMPTY;
        by_blocks(start, len, |at, copy| {
            gather(job, line, at, copy);
            state = state.merge(if job.arrays.is_weighted() {
                weighted(job, line, at, copy)
            } else if job.settings.for_log {
                pass::first_for_log(copy)
            } else {
                pass::first_for_sum(copy)
            });
        });
        state
    })?;
    let total = found.into_iter().fold(State::EMPTY, State::merge);
    if job.settings.output != Output::Nothing {
        team.run(job.stop, starts(), |start| {
            by_blocks(start, len, |at, copy| {
                gather(job, line, at, copy);
                job.finish(Row::in_place(copy), Method::Recompute, &total, &[], len);
                // SAFETY: this item has the part of the line to itself.
                unsafe { job.arrays.scatter(job.layout, line, at, (copy, 1)) };
            });
        })?;
    }
    Ok(total)
}

/// Calls `work(position, room for a block)` for the blocks of the part of a line from `start` on. The
/// room stays in the first cache, and is small enough not to be asked of the system each time.
pub(crate) fn by_blocks<T: Real>(start: usize, len: usize, mut work: impl FnMut(usize, &mut [T])) {
    let mut room = vec![T::narrow(0.0); pass::block_len::<T>()];
    let end = len.min(start + PART);
    for at in (start..end).step_by(room.len()) {
        let size = room.len().min(end - at);
        work(at, &mut room[..size]);
    }
}

/// `sum_j b_j e^(x_j)` of values that have been copied; those with weight 0 do not count at all.
fn weighted<T: Real>(job: &Job<'_, T>, line: usize, start: usize, x: &mut [T]) -> State {
    let mut weights = vec![0.0; x.len()];
    job.arrays.gather_weights(job.layout, line, start, &mut weights);
    for (x, b) in x.iter_mut().zip(&weights) {
        if *b == 0.0 {
            *x = T::narrow(f64::NEG_INFINITY);
        }
    }
    let max = T::max(x);
    if !max.wide().is_finite() {
        let sum = x.iter().zip(&weights).filter(|(x, _)| x.wide() != f64::NEG_INFINITY);
        return State::irregular(max.wide(), sum.map(|(x, b)| x.wide().abs() * b).sum());
    }
    let reference = Reference::new(max);
    T::exp_store_sum(Row::in_place(x), &[], reference, None);
    // In order, with the roundings kept: terms of both signs may cancel.
    let sum = x.iter().zip(&weights).fold(Sum::default(), |sum, (e, b)| {
        let product = e.wide() * b;
        sum.plus(Sum { high: product, low: e.wide().mul_add(*b, -product) })
    });
    State::of_all(max.wide(), reference, sum.times((-T::HEADROOM).exp2()))
}
