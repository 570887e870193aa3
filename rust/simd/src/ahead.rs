//! Asking for memory ahead of its use.
//!
//! Blocks of a matrix come from memory in bursts, and the processor waits; while a block is worked on
//! the next can be on its way. A hint only: nothing depends on it but time.

/// Values of a line of the cache.
const LINE: usize = 8;

/// Asks for these values to be brought into the second cache: a few dozen lines at a time, or asking
/// itself has to wait.
#[inline(always)]
pub(crate) fn fetch(values: &[f64]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has it, and it may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, LINE);
}

/// Values that are asked for in so many equal parts.
pub(crate) struct Ahead<'a> {
    values: &'a [f64],
    part: usize,
}

impl<'a> Ahead<'a> {
    #[inline(always)]
    pub(crate) fn new(values: &'a [f64], parts: usize) -> Ahead<'a> {
        Ahead { values, part: values.len().div_ceil(parts.max(1)).next_multiple_of(LINE) }
    }

    /// The next part.
    #[inline(always)]
    pub(crate) fn next(&mut self) {
        let (now, later) = self.values.split_at(self.part.min(self.values.len()));
        fetch(now);
        self.values = later;
    }
}
