//! The memory of a job, shared by its threads.

use std::marker::PhantomData;

use sparrot_foundation::Scalar;
use sparrot_simd::row::Row;

use crate::layout::{Axis, Layout, MASK, SOURCE, TARGET, WEIGHT, offsets, run_steps, runs};

/// The arrays of a job: pointers to their first values.
///
/// Lines are disjoint, in what is written, so that each may be handed to another thread.
#[derive(Clone, Copy)]
pub struct Arrays<'a, T> {
    source: *const T,
    target: *mut T,
    mask: *const bool,
    weight: *const f64,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: threads write to different lines only, which is what `line` and the like ask for.
unsafe impl<T: Send + Sync> Send for Arrays<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arrays<'_, T> {}

impl<'a, T: Scalar> Arrays<'a, T> {
    /// From pointers; those of absent arrays are null.
    ///
    /// # Safety
    /// For `'a`, every position of the layout that is used with these arrays leads to a live value
    /// of each array that is present; nobody else writes to them or reads the target; different
    /// positions are different places of the target; source and target are the same values in the
    /// same places or do not overlap, and the target overlaps neither mask nor weights.
    pub unsafe fn from_raw(
        source: *const T,
        target: *mut T,
        mask: *const bool,
        weight: *const f64,
    ) -> Arrays<'a, T> {
        Arrays { source, target, mask, weight, memory: PhantomData }
    }

    /// Arrays to read from only.
    pub fn reading(x: &'a [T]) -> Arrays<'a, T> {
        // SAFETY: there is no target.
        unsafe {
            Arrays::from_raw(x.as_ptr(), std::ptr::null_mut(), std::ptr::null(), std::ptr::null())
        }
    }

    /// Whether there is something to write.
    pub fn writes(&self) -> bool {
        !self.target.is_null()
    }

    /// Whether what is written replaces what is read.
    pub fn is_in_place(&self) -> bool {
        std::ptr::eq(self.source, self.target)
    }

    /// Whether there is neither a mask nor a weight.
    pub fn is_plain(&self) -> bool {
        self.mask.is_null() && self.weight.is_null()
    }

    /// Whether there are weights.
    pub fn is_weighted(&self) -> bool {
        !self.weight.is_null()
    }

    /// Values `start..start + len` of a line whose values are adjacent.
    ///
    /// # Safety
    /// Nobody else uses those of the target meanwhile.
    pub unsafe fn row(&self, layout: &Layout, line: usize, start: usize, len: usize) -> Row<'a, T> {
        let at = offsets(&layout.kept, line);
        // SAFETY: positions of the layout; the rest is the caller's promise.
        unsafe {
            let source = self.source.offset(at[SOURCE]).add(start);
            let target = if self.writes() {
                self.target.offset(at[TARGET]).add(start)
            } else {
                source.cast_mut()
            };
            Row::from_raw(source, target, len)
        }
    }

    /// Where the line and the position lead in the source and in the target.
    pub fn pointers(&self, layout: &Layout, line: usize, position: usize) -> (*const T, *mut T) {
        let (a, b) = (offsets(&layout.kept, line), offsets(&layout.reduced, position));
        let source = self.source.wrapping_offset(a[SOURCE] + b[SOURCE]);
        let target = self.target.wrapping_offset(a[TARGET] + b[TARGET]);
        (source, if self.writes() { target } else { source.cast_mut() })
    }

    /// What is written, to be read and written again.
    pub fn target_alone(&self) -> Arrays<'a, T> {
        let source = self.target.cast_const();
        Arrays { source, mask: std::ptr::null(), weight: std::ptr::null(), ..*self }
    }

    /// Copies values `start..` of a line to `out`, `step` apart: over `temperature`, and `-inf`
    /// where they are masked.
    pub fn gather(
        &self,
        layout: &Layout,
        line: usize,
        start: usize,
        (out, step): (&mut [T], usize),
        temperature: f64,
    ) {
        let base = offsets(&layout.kept, line);
        let steps = run_steps(&layout.reduced);
        let count = out.len().div_ceil(step);
        let divide = temperature != 1.0;
        let plain = self.mask.is_null() && !divide;
        runs(&layout.reduced, start, count, |done, at, run| {
            let to = |array: usize| base[array] + at[array];
            let first = self.source.wrapping_offset(to(SOURCE));
            let out = &mut out[done * step..];
            if plain {
                let place = |k: usize| first.wrapping_offset(k as isize * steps[SOURCE]);
                if step == 1 {
                    for (k, out) in out[..run].iter_mut().enumerate() {
                        // SAFETY: positions of the layout.
                        *out = unsafe { *place(k) };
                    }
                } else {
                    for (k, out) in out.iter_mut().step_by(step).take(run).enumerate() {
                        // SAFETY: as above.
                        *out = unsafe { *place(k) };
                    }
                }
                return;
            }
            for k in 0..run {
                // SAFETY: positions of the layout.
                let x = unsafe { *first.offset(k as isize * steps[SOURCE]) };
                let mask = self.mask.wrapping_offset(to(MASK) + k as isize * steps[MASK]);
                // SAFETY: as above.
                let counts = self.mask.is_null() || unsafe { *mask };
                let x = if divide { T::from_f64(x.to_f64() / temperature) } else { x };
                out[k * step] = if counts { x } else { T::from_f64(f64::NEG_INFINITY) };
            }
        });
    }

    /// Copies the weights of values `start..` of a line to `out`.
    pub fn gather_weights(&self, layout: &Layout, line: usize, start: usize, out: &mut [f64]) {
        let base = offsets(&layout.kept, line)[WEIGHT];
        let step = run_steps(&layout.reduced)[WEIGHT];
        runs(&layout.reduced, start, out.len(), |done, at, run| {
            for (k, out) in out[done..done + run].iter_mut().enumerate() {
                // SAFETY: positions of the layout.
                *out = unsafe { *self.weight.offset(base + at[WEIGHT] + k as isize * step) };
            }
        });
    }

    /// Copies `values`, `step` apart, to values `start..` of a line of the target.
    ///
    /// # Safety
    /// Nobody else uses those meanwhile.
    pub unsafe fn scatter(
        &self,
        layout: &Layout,
        line: usize,
        start: usize,
        (values, step): (&[T], usize),
    ) {
        let base = offsets(&layout.kept, line)[TARGET];
        let stride = run_steps(&layout.reduced)[TARGET];
        let count = values.len().div_ceil(step);
        runs(&layout.reduced, start, count, |done, at, run| {
            let first = self.target.wrapping_offset(base + at[TARGET]);
            let values = values[done * step..].iter().step_by(step).take(run);
            for (k, value) in values.enumerate() {
                // SAFETY: positions of the layout; the rest is the caller's promise.
                unsafe { *first.wrapping_offset(k as isize * stride) = *value };
            }
        });
    }

    /// The step of source and target along an axis.
    pub fn steps(&self, axis: Option<&Axis>) -> (isize, isize) {
        let steps = axis.map_or([0; 4], |axis| axis.steps);
        (steps[SOURCE], if self.writes() { steps[TARGET] } else { steps[SOURCE] })
    }
}
