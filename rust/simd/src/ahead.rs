//! Asking for memory ahead of its use.
//!
//! Blocks of a matrix come from memory in bursts, and the processor waits; while a block is worked on
//! the next can be on its way. A hint only: nothing depends on it but time.

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Asks for the line at this address, which need not be one of ours, to be brought into the second cache.
#[inline(always)]
fn fetch_line<T>(line: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has it, and it may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// Asks for these values: a few dozen lines at a time, or asking itself has to wait.
#[inline(always)]
pub(crate) fn fetch<T>(values: &[T]) {
    values.chunks(LINE / size_of::<T>()).for_each(|line| fetch_line(line.as_ptr()));
}

/// Values that are asked for part by part.
pub(crate) struct Ahead<'a, T> {
    values: &'a [T],
    part: usize,
}

impl<'a, T> Ahead<'a, T> {
    /// In so many equal parts.
    #[inline(always)]
    pub(crate) fn new(values: &'a [T], parts: usize) -> Ahead<'a, T> {
        let part = values.len().div_ceil(parts.max(1));
        Ahead { values, part: part.next_multiple_of(LINE / size_of::<T>()) }
    }

    /// Asks for the next part.
    #[inline(always)]
    pub(crate) fn next(&mut self) {
        fetch(self.take(self.part));
    }

    /// So many lines of what is left, or all of it, for a loop to ask for.
    #[inline(always)]
    pub(crate) fn lines(&mut self, count: usize) -> Lines<T> {
        let values = self.take(count * (LINE / size_of::<T>()));
        let step = if values.is_empty() { 0 } else { LINE / size_of::<T>() };
        Lines { first: values.as_ptr(), step }
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> &'a [T] {
        let (now, later) = self.values.split_at(count.min(self.values.len()));
        self.values = later;
        now
    }
}

/// Lines of the cache that a loop asks for, one each time round; without any it asks for the same again
/// and again, which is cheaper than to look.
pub(crate) struct Lines<T> {
    first: *const T,
    step: usize,
}

impl<T> Lines<T> {
    /// Asks for a line.
    #[inline(always)]
    pub(crate) fn fetch(&self, k: usize) {
        fetch_line(self.first.wrapping_add(k * self.step));
    }
}
