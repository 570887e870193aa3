//! Arrays of any shape and strides as many lines: what is reduced, and what is not.

/// The arrays a job walks through together.
pub const ARRAYS: usize = 4;
/// Which is which: what is read, what is written, which values count, and how much.
pub const SOURCE: usize = 0;
/// See [`SOURCE`].
pub const TARGET: usize = 1;
/// See [`SOURCE`].
pub const MASK: usize = 2;
/// See [`SOURCE`].
pub const WEIGHT: usize = 3;

/// One dimension: its length, and the step of each array, in values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// How many positions there are.
    pub len: usize,
    /// The step of each array; 0 for one that is absent or repeats.
    pub steps: [isize; ARRAYS],
}

/// The lines of a job.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The dimensions that are kept: a line for each of their positions, in C order.
    pub kept: Vec<Axis>,
    /// The dimensions that are reduced: the positions of a line.
    pub reduced: Vec<Axis>,
}

/// How a job is best done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Lines are contiguous.
    Rows,
    /// Lines lie side by side along this kept axis.
    Columns(usize),
    /// Lines are short: many are copied to lie side by side.
    Short,
    /// Lines are copied, in parts, to be contiguous.
    Scattered,
}

/// Lines shorter than this are done many at a time.
const SHORT: usize = 48;
/// So many short lines are worth copying.
const MANY: usize = 8;

impl Layout {
    /// From all dimensions, in C order, and whether each is reduced.
    pub fn new(axes: impl IntoIterator<Item = (Axis, bool)>) -> Layout {
        let (mut kept, mut reduced) = (Vec::new(), Vec::new());
        for (axis, is_reduced) in axes {
            let axes = if is_reduced { &mut reduced } else { &mut kept };
            push_merged(axes, axis);
        }
        Layout { kept, reduced }
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.kept.iter().map(|axis| axis.len).product()
    }

    /// How many values a line has.
    pub fn len(&self) -> usize {
        self.reduced.iter().map(|axis| axis.len).product()
    }

    /// Whether lines have no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the values of a line are written to adjacent places.
    pub fn writes_in_a_row(&self) -> bool {
        let mut step = 1;
        self.reduced.iter().rev().all(|axis| {
            let adjacent = axis.steps[TARGET] == step;
            step *= axis.len as isize;
            adjacent
        })
    }

    /// The layout of what is written, as a source too.
    pub fn target_alone(&self) -> Layout {
        let alone = |axis: &Axis| {
            let step = axis.steps[TARGET];
            Axis { len: axis.len, steps: [step, step, 0, 0] }
        };
        let merged = |axes: &[Axis]| {
            let mut found = Vec::new();
            axes.iter().for_each(|axis| push_merged(&mut found, alone(axis)));
            found
        };
        Layout { kept: merged(&self.kept), reduced: merged(&self.reduced) }
    }

    /// `writes`: the job has a target; `plain`: values count as they are, without mask, weight or
    /// temperature; `weighted`: there are weights.
    pub fn shape(&self, writes: bool, plain: bool, weighted: bool) -> Shape {
        let adjacent = |axis: &Axis| {
            axis.len == 1 || axis.steps[SOURCE] == 1 && (!writes || axis.steps[TARGET] == 1)
        };
        let single = self.reduced.len() <= 1;
        let beside = |axis: &Axis| adjacent(axis) && axis.len >= MANY;
        let columns = self.kept.iter().position(beside);
        if plain && single {
            if self.reduced.iter().all(adjacent) && (self.len() > SHORT || self.lines() < MANY) {
                return Shape::Rows;
            }
            if let Some(axis) = columns {
                return Shape::Columns(axis);
            }
        }
        if self.len() <= SHORT && self.lines() >= MANY && !weighted {
            return Shape::Short;
        }
        Shape::Scattered
    }
}

/// Appends an axis; one that merely continues the last one is merged into it.
fn push_merged(axes: &mut Vec<Axis>, axis: Axis) {
    if axis.len == 1 {
        return;
    }
    if let Some(last) = axes.last_mut() {
        let continues = |k: usize| last.steps[k] == axis.steps[k] * axis.len as isize;
        if (0..ARRAYS).all(continues) {
            *last = Axis { len: last.len * axis.len, steps: axis.steps };
            return;
        }
    }
    axes.push(axis);
}

/// The offset of each array at position `index`, in C order, of the given dimensions.
pub fn offsets(axes: &[Axis], mut index: usize) -> [isize; ARRAYS] {
    if let [axis] = axes {
        return axis.steps.map(|step| step * index as isize);
    }
    let mut offsets = [0; ARRAYS];
    for axis in axes.iter().rev() {
        let at = (index % axis.len) as isize;
        index /= axis.len;
        for (offset, step) in offsets.iter_mut().zip(axis.steps) {
            *offset += at * step;
        }
    }
    offsets
}

/// Calls `visit(position, offsets, run)` for positions `start..start + count` of the dimensions:
/// `run` positions at a time lie one step of the last axis apart.
pub fn runs(
    axes: &[Axis],
    start: usize,
    count: usize,
    mut visit: impl FnMut(usize, [isize; ARRAYS], usize),
) {
    if axes.len() <= 1 {
        // The usual case: nothing to divide by.
        let steps = run_steps(axes);
        return visit(0, steps.map(|step| step * start as isize), count);
    }
    let inner = axes.last().map_or(1, |axis| axis.len);
    let mut done = 0;
    while done < count {
        let index = start + done;
        let run = (inner - index % inner).min(count - done);
        visit(done, offsets(axes, index), run);
        done += run;
    }
}

/// The steps from one position of a run to the next.
pub fn run_steps(axes: &[Axis]) -> [isize; ARRAYS] {
    axes.last().map_or([0; ARRAYS], |axis| axis.steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(len: usize, source: isize, target: isize) -> Axis {
        Axis { len, steps: [source, target, 0, 0] }
    }

    #[test]
    fn contiguous_dimensions_become_one() {
        let axes = [axis(2, 60, 60), axis(3, 20, 20), axis(1, 7, 9), axis(4, 5, 5), axis(5, 1, 1)];
        let all = Layout::new(axes.map(|axis| (axis, true)));
        assert_eq!(all.reduced, [axis(120, 1, 1)]);
        assert_eq!((all.lines(), all.len()), (1, 120));
        let last = Layout::new(axes.into_iter().enumerate().map(|(k, axis)| (axis, k >= 3)));
        assert_eq!(last.kept, [axis(6, 20, 20)]);
        assert_eq!(last.shape(true, true, false), Shape::Rows); // too few to lie side by side
        let rows = Layout::new([(axis(9, 100, 100), false), (axis(100, 1, 1), true)]);
        assert_eq!(rows.shape(true, true, false), Shape::Rows);
        assert_eq!(rows.shape(true, false, false), Shape::Scattered);
        let columns = Layout::new([(axis(100, 9, 9), true), (axis(9, 1, 1), false)]);
        assert_eq!(columns.shape(true, true, false), Shape::Columns(0));
        let short = Layout::new([(axis(50, 5, 5), false), (axis(5, 1, 1), true)]);
        assert_eq!(short.shape(true, true, false), Shape::Short);
    }

    #[test]
    fn runs_visit_every_position_once() {
        let axes = [axis(3, 100, 1), axis(4, -10, 2)];
        for (start, count) in [(0, 12), (2, 7), (5, 1), (3, 0)] {
            let mut seen = Vec::new();
            runs(&axes, start, count, |done, offsets, run| {
                for k in 0..run {
                    let step = run_steps(&axes);
                    seen.push((done + k, offsets[0] + k as isize * step[0]));
                }
            });
            let wanted: Vec<_> = (0..count).map(|k| (k, offsets(&axes, start + k)[0])).collect();
            assert_eq!(seen, wanted);
        }
    }
}
