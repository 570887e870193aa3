//! A row to read and a row to write, which may be the same.

use std::marker::PhantomData;

use crate::lanes::Vector;

/// `len` values to read and as many to write: apart, or one and the same memory. Position `j` is
/// read before it is written.
pub struct Row<'a, T> {
    source: *const T,
    target: *mut T,
    len: usize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&[T]` and a `&mut [T]`, or for one `&mut [T]`.
unsafe impl<T: Send + Sync> Send for Row<'_, T> {}

impl<'a, T> Row<'a, T> {
    /// Reads `x`, writes `out`.
    pub fn apart(x: &'a [T], out: &'a mut [T]) -> Row<'a, T> {
        assert_eq!(x.len(), out.len());
        Row { source: x.as_ptr(), target: out.as_mut_ptr(), len: x.len(), memory: PhantomData }
    }

    /// Reads and writes `x`.
    pub fn in_place(x: &'a mut [T]) -> Row<'a, T> {
        let target = x.as_mut_ptr();
        Row { source: target, target, len: x.len(), memory: PhantomData }
    }

    /// Reads `x`. For passes that write nothing, which is all that may be done with it.
    pub fn read_only(x: &'a [T]) -> Row<'a, T> {
        let source = x.as_ptr();
        Row { source, target: source.cast_mut(), len: x.len(), memory: PhantomData }
    }

    /// From pointers.
    ///
    /// # Safety
    /// Both lead to `len` values that live for `'a`, which nobody else writes to, nor reads what is
    /// written; they are equal or do not overlap.
    pub unsafe fn from_raw(source: *const T, target: *mut T, len: usize) -> Row<'a, T> {
        Row { source, target, len, memory: PhantomData }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether what is read and what is written are the same memory.
    pub fn is_in_place(&self) -> bool {
        std::ptr::eq(self.source, self.target)
    }

    /// The values to read.
    pub fn source(&self) -> &[T] {
        // SAFETY: alive and, while `self` is borrowed, not written to.
        unsafe { std::slice::from_raw_parts(self.source, self.len) }
    }

    /// The values to write.
    pub fn target(&mut self) -> &mut [T] {
        // SAFETY: alive and, while `self` is borrowed, used by nobody else.
        unsafe { std::slice::from_raw_parts_mut(self.target, self.len) }
    }

    /// The part of both from `start`, of at most `len` values.
    pub fn part(&mut self, start: usize, len: usize) -> Row<'_, T> {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        // SAFETY: within the row, which is borrowed as long as the part lives.
        unsafe { Row::from_raw(self.source.add(start), self.target.add(start), len) }
    }

    /// The part from `start` of at most `len` values, and as many values to read that follow it.
    pub fn part_and_next(&mut self, start: usize, len: usize) -> (Row<'_, T>, &[T]) {
        let start = start.min(self.len);
        let end = (start + len).min(self.len);
        let next = len.min(self.len - end);
        // SAFETY: within the row, and what follows the part is not written through it.
        unsafe {
            let part = Row::from_raw(self.source.add(start), self.target.add(start), end - start);
            (part, std::slice::from_raw_parts(self.source.add(end), next))
        }
    }

    /// Cuts both into parts of `len` values, the last one shorter.
    pub fn into_parts(self, len: usize) -> impl ExactSizeIterator<Item = Row<'a, T>> {
        let count = self.len.div_ceil(len.max(1));
        (0..count).map(move |k| {
            let start = k * len;
            // SAFETY: within the row, and the parts do not overlap.
            unsafe {
                let (source, target) = (self.source.add(start), self.target.add(start));
                Row::from_raw(source, target, len.min(self.len - start))
            }
        })
    }

    #[inline(always)]
    pub(crate) fn load<V: Vector<Elem = T>>(&self, j: usize) -> V {
        debug_assert!(j + V::LANES <= self.len);
        // SAFETY: the callers in this crate keep within the row.
        V::load(unsafe { std::slice::from_raw_parts(self.source.add(j), V::LANES) })
    }

    #[inline(always)]
    pub(crate) fn store<V: Vector<Elem = T>>(&self, j: usize, v: V) {
        debug_assert!(j + V::LANES <= self.len);
        // SAFETY: as in `load`.
        v.store(unsafe { std::slice::from_raw_parts_mut(self.target.add(j), V::LANES) });
    }

    /// The values from `j` on, fewer than a register holds.
    #[inline(always)]
    pub(crate) fn load_tail<V: Vector<Elem = T>>(&self, j: usize, fill: T) -> V {
        debug_assert!(j <= self.len && self.len - j < V::LANES);
        // SAFETY: as in `load`.
        V::load_tail(unsafe { std::slice::from_raw_parts(self.source.add(j), self.len - j) }, fill)
    }

    #[inline(always)]
    pub(crate) fn store_tail<V: Vector<Elem = T>>(&self, j: usize, v: V, zero: T) {
        debug_assert!(j <= self.len && self.len - j < V::LANES);
        let tail =
            // SAFETY: as in `load`.
            unsafe { std::slice::from_raw_parts_mut(self.target.add(j), self.len - j) };
        v.store_tail(tail, zero);
    }

    /// How many values of the target come before the first that is aligned to a register.
    #[inline(always)]
    pub(crate) fn unaligned<V: Vector<Elem = T>>(&self) -> usize {
        (self.target as usize).wrapping_neg() % (V::LANES * size_of::<T>()) / size_of::<T>()
    }

    /// The first `len` values.
    #[inline(always)]
    pub(crate) fn head(&self, len: usize) -> Row<'_, T> {
        debug_assert!(len <= self.len);
        // SAFETY: within the row.
        unsafe { Row::from_raw(self.source, self.target, len) }
    }

    /// Writes past the caches, where the target is aligned.
    #[inline(always)]
    pub(crate) fn stream<V: Vector<Elem = T>>(&self, j: usize, v: V) {
        debug_assert!(j + V::LANES <= self.len);
        // SAFETY: as in `load`.
        v.stream(unsafe { std::slice::from_raw_parts_mut(self.target.add(j), V::LANES) });
    }
}
