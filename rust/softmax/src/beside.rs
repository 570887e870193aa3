//! Lines that lie side by side: a lane for each.
//!
//! A tile is as wide as [`WIDTH`] lines and as long as keeps it in the second cache; long lines are
//! cut into tiles whose states are merged. A tile is copied while its maxima are found: where rows
//! are a power of two apart, few of them fit into a cache at their own addresses. Short lines that
//! do not lie side by side are copied so that they do: one at a time they would leave most lanes
//! empty.

use sparrot_foundation::Error;
use sparrot_simd::columns::{PerColumn, Tile, WIDTH};
use sparrot_simd::frame::Reference;
use sparrot_simd::softmax::Factor;
use sparrot_simd::tally::Sum;

use crate::job::{Job, Masked, Output, Real};
use crate::layout::{Axis, Layout};
use crate::pass::{PART, nearest, scaled, split};
use crate::state::{Kind, State};

/// Rows of a tile.
const ROWS: usize = PART / WIDTH;

/// What the first pass over a tile has found.
struct Found {
    states: Vec<State>,
    references: Vec<Reference>,
}

/// Lines of which axis `beside` of the kept ones has step 1.
pub(crate) fn columns<T: Real>(
    job: &Job<'_, T>,
    beside: usize,
    states: &mut [State],
) -> Result<(), Error> {
    // The lines of each tile, and the step between lines in C order.
    let width = job.layout.kept[beside].len;
    let step: usize = job.layout.kept[beside + 1..].iter().map(|axis| axis.len).product();
    let len = job.layout.len();
    let others: Vec<Axis> = job
        .layout
        .kept
        .iter()
        .enumerate()
        .map(|(k, axis)| if k == beside { Axis { len: 1, ..*axis } } else { *axis })
        .collect();
    let outer = Layout { kept: others, reduced: Vec::new() }.lines();
    let first_line = |outer: usize| outer / step * step * width + outer % step;
    let tiles: Vec<(usize, usize)> = (0..outer)
        .flat_map(|outer| (0..width).step_by(WIDTH).map(move |start| (outer, start)))
        .map(|(outer, start)| (first_line(outer) + start * step, WIDTH.min(width - start)))
        .collect();
    let (source_step, target_step) = job.arrays.steps(job.layout.reduced.first());
    let place = |line, start| {
        let (source, target) = job.arrays.pointers(job.layout, line, start);
        ((source, source_step), (target, target_step))
    };
    // What the tile at `start` reads, copied; and from there what it writes.
    let copied = |line, start, rows, width, copy: &mut Vec<T>| {
        copy.resize(rows * width, T::narrow(0.0));
        let scratch = (copy.as_mut_ptr(), width as isize);
        let (source, target) = place(line, start);
        // SAFETY: `width` lines, side by side, of the layout; each item has them to itself.
        unsafe {
            let read = Tile::from_raw(source, scratch, rows, width);
            let max = T::column_max_copied(&read);
            (max, Tile::from_raw((scratch.0.cast_const(), scratch.1), target, rows, width))
        }
    };
    // The tile at `start`, to be finished where it is.
    let at = |line, start, rows, width| {
        let (source, target) = place(line, start);
        // SAFETY: as above.
        unsafe { Tile::from_raw(source, target, rows, width) }
    };
    let starts = || (0..len).step_by(ROWS);
    let rows = |start: usize| ROWS.min(len - start);
    let team = job.team_for(job.layout.lines().saturating_mul(len));
    let finish_part = |line, start, width, totals: &[State], references: &[Reference]| {
        let mut tile = at(line, start, rows(start), width);
        if job.settings.output == Output::Softmax {
            tile = tile.into_written();
        }
        finish(job, &mut tile, totals, references, len);
    };
    let totals: Vec<Vec<State>> = if len <= ROWS {
        team.run(job.stop, tiles.clone(), |(line, width)| {
            let mut copy = Vec::new();
            let (max, mut tile) = copied(line, 0, len, width, &mut copy);
            // What is stored stays in the copy until it is finished.
            let mut work = Tile::in_place(&mut copy, width);
            let found = first(job, &mut work, &max);
            finish(job, &mut tile, &found.states, &found.references, len);
            found.states
        })?
    } else if tiles.len() >= team.threads() && len <= 64 * ROWS {
        team.run(job.stop, tiles.clone(), |(line, width)| {
            let mut copy = Vec::new();
            let part = |start| {
                let (max, mut tile) = copied(line, start, rows(start), width, &mut copy);
                first(job, &mut tile, &max)
            };
            let found: Vec<Found> = starts().map(part).collect();
            let totals = merged(&found, width);
            for (start, found) in starts().zip(&found) {
                finish_part(line, start, width, &totals, &found.references);
            }
            totals
        })?
    } else {
        let mut all = Vec::new();
        for &(line, width) in &tiles {
            let found = team.run(job.stop, starts().collect(), |start| {
                let mut copy = Vec::new();
                let (max, mut tile) = copied(line, start, rows(start), width, &mut copy);
                first(job, &mut tile, &max)
            })?;
            let totals = merged(&found, width);
            team.run(job.stop, starts().zip(&found).collect(), |(start, found)| {
                finish_part(line, start, width, &totals, &found.references);
            })?;
            all.push(totals);
        }
        all
    };
    if !states.is_empty() {
        for ((line, _), totals) in tiles.into_iter().zip(totals) {
            for (k, total) in totals.into_iter().enumerate() {
                states[line + k * step] = total;
            }
        }
    }
    Ok(())
}

/// Short lines, wherever they are.
pub(crate) fn short<T: Real>(job: &Job<'_, T>, states: &mut [State]) -> Result<(), Error> {
    let len = job.layout.len();
    job.by_lines(8 * WIDTH, states, |first_line, count, states| {
        let mut scratch = vec![T::narrow(0.0); len * WIDTH.min(count)];
        for start in (0..count).step_by(WIDTH) {
            let width = WIDTH.min(count - start);
            let values = &mut scratch[..len * width];
            for j in 0..width {
                let line = first_line + start + j;
                let temperature = job.settings.temperature;
                job.arrays.gather(job.layout, line, 0, (&mut values[j..], width), temperature);
            }
            let mut tile = Tile::in_place(values, width);
            let max = T::column_max(&tile);
            let found = first(job, &mut tile, &max);
            finish(job, &mut tile, &found.states, &found.references, len);
            if job.settings.output != Output::Nothing {
                for j in 0..width {
                    let line = first_line + start + j;
                    // SAFETY: this item has the line to itself.
                    unsafe { job.arrays.scatter(job.layout, line, 0, (&values[j..], width)) };
                }
            }
            if !states.is_empty() {
                states[start..start + width].copy_from_slice(&found.states);
            }
        }
    })
}

fn merged(found: &[Found], width: usize) -> Vec<State> {
    let total = |j: usize| found.iter().fold(State::EMPTY, |sum, f| sum.merge(f.states[j]));
    (0..width).map(total).collect()
}

/// The first pass over a tile, of which the largest value of each column is known.
fn first<T: Real>(job: &Job<'_, T>, tile: &mut Tile<'_, T>, max: &PerColumn<T>) -> Found {
    let width = tile.width();
    let none = Reference { shift: 0.0, exponent: 0.0 };
    let references: Vec<Reference> = (max[..width].iter())
        .map(|max| if max.wide().is_finite() { Reference::new(*max) } else { none })
        .collect();
    let store = job.settings.output == Output::Softmax;
    let for_log = job.settings.for_log;
    let has_nan = |j| (0..tile.rows()).any(|i| tile.get(i, j).wide().is_nan());
    let undefined: Vec<bool> =
        (0..width).map(|j| max[j].wide() == f64::INFINITY && has_nan(j)).collect();
    let mut sums = vec![Sum::default(); width];
    let mut tops = vec![Sum::default(); width];
    if for_log {
        let mut row = *max;
        let row = Tile::in_place(&mut row[..width], width);
        T::column_exp_sums(&row, &references, None, false, &mut tops);
    }
    // Before the values are overwritten, which they may be by their exponentials.
    let mut below = (for_log && store).then(|| T::column_count_below(tile, max));
    T::column_exp_sums(tile, &references, below.is_some().then_some(max), store, &mut sums);
    let splits = |j: usize| {
        let finite = max[j].wide().is_finite() && !sums[j].high.is_nan();
        !finite || State::split(0.0, references[j], sums[j], || tops[j].high).is_some()
    };
    if for_log && !store && !(0..width).all(splits) {
        below = Some(T::column_count_below(tile, max));
        T::column_exp_sums(tile, &references, Some(max), false, &mut sums);
    }
    let states = (0..width).map(|j| {
        let (max, sum) = (max[j].wide(), sums[j]);
        if max == f64::INFINITY {
            State::irregular(max, if undefined[j] { f64::NAN } else { f64::INFINITY })
        } else if max == f64::NEG_INFINITY {
            State::irregular(max, if sum.high.is_nan() { f64::NAN } else { 0.0 })
        } else if let Some(below) = &below {
            let ties = tile.rows() - below[j].wide() as usize;
            State::of_others(max, references[j], sum, ties, tops[j].high)
        } else {
            let split = || State::split(max, references[j], sum, || tops[j].high);
            let split = if for_log { split() } else { None };
            split.unwrap_or_else(|| State::of_all(max, references[j], sum))
        }
    });
    Found { states: states.collect(), references }
}

/// The last pass over a tile: from the exponentials stored, or from the values themselves for a
/// logarithm. `len` is that of the whole lines.
fn finish<T: Real>(
    job: &Job<'_, T>,
    tile: &mut Tile<'_, T>,
    totals: &[State],
    references: &[Reference],
    len: usize,
) {
    let settings = job.settings;
    match settings.output {
        Output::Nothing => return,
        Output::Softmax => {
            let mut exponents = [T::narrow(0.0); WIDTH];
            let mut far = false;
            let shares: Vec<(Factor<T>, f64)> = totals
                .iter()
                .zip(references)
                .map(|(total, reference)| match total.kind() {
                    Kind::Regular => total.share(*reference),
                    // What was stored is 0, or will be NaN.
                    kind => (split(settings.irregular::<T>(kind, len).wide()), 0.0),
                })
                .collect();
            for (exponent, (_, share)) in exponents.iter_mut().zip(&shares) {
                far |= *share < nearest::<T>();
                *exponent = T::narrow(share.max(-2.0 * T::BIAS));
            }
            let factors: Vec<Factor<T>> =
                shares.iter().map(|(f, e)| if far { *f } else { scaled(*f, *e) }).collect();
            T::column_scale(tile, &factors, far.then_some(&exponents));
        }
        Output::LogSoftmax => {
            let mut max: PerColumn<T> = [T::narrow(0.0); WIDTH];
            let logs: Vec<Factor<T>> = (totals.iter().zip(&mut max))
                .map(|(total, max)| match total.kind() {
                    Kind::Regular => {
                        *max = T::narrow(total.max);
                        split(total.log_rest())
                    }
                    Kind::Infinite => infinite(),
                    Kind::Empty if settings.masked == Masked::Zero => infinite(),
                    _ => Factor { high: T::narrow(f64::NAN), low: T::narrow(0.0) },
                })
                .collect();
            T::column_log_shift(tile, &max, &logs);
        }
    }
    if settings.masked == Masked::Uniform {
        for (j, total) in totals.iter().enumerate() {
            if total.kind() == Kind::Empty {
                let probability = 1.0 / len as f64;
                let log = settings.output == Output::LogSoftmax;
                tile.fill(j, T::narrow(if log { probability.ln() } else { probability }));
            }
        }
    }
}

/// What makes `-inf` of every finite value, and NaN of `+inf`.
fn infinite<T: Real>() -> Factor<T> {
    Factor { high: T::narrow(f64::INFINITY), low: T::narrow(0.0) }
}
