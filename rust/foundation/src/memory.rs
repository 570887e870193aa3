//! Allocations that fail with an error, not an abort, and are given back while nobody waits.

use std::alloc::{Layout, alloc_zeroed};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::thread;

use crate::{Error, Scalar};

/// `rows * columns` zeros, or [`Error::OutOfMemory`] if the product overflows or the memory is not
/// there.
///
/// The pages come from the system as they are first written, so that this takes no time and cannot
/// keep an interrupt waiting, however large the array.
pub fn zeros<T: Scalar>(what: &'static str, rows: usize, columns: usize) -> Result<Vec<T>, Error> {
    let layout = layout::<T>(what, rows, columns)?;
    let count = rows * columns;
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout is not empty. The pointer is checked before use; it was allocated by the
    // global allocator with the layout of `count` floats, for which all-zero bytes are the value 0.
    unsafe {
        let first = alloc_zeroed(layout).cast::<T>();
        if first.is_null() {
            return Err(Error::OutOfMemory { what, bytes: layout.size() as u64 });
        }
        ask_for_large_pages(first.cast::<u8>(), layout.size());
        Ok(Vec::from_raw_parts(first, count, count))
    }
}

/// A hint, for what is large and has not been written: whether it is heeded does not matter.
#[cfg(target_os = "linux")]
fn ask_for_large_pages(first: *mut u8, bytes: usize) {
    /// Memory of so many bytes is asked for in large pages: to get and to give back a megabyte in small ones
    /// takes as long as to write it several times. Not more: the system may have to make room for large pages
    /// first, and an interrupt would wait for that.
    const LARGE: std::ops::RangeInclusive<usize> = 1 << 22..=1 << 27;
    /// What addresses have to be multiples of: at least the size of a page.
    const PAGE: usize = 1 << 16;
    if !LARGE.contains(&bytes) {
        return;
    }
    let skipped = first.align_offset(PAGE);
    // SAFETY: what is left of the allocation after the next multiple of the size of a page. The advice
    // changes how its pages are made, not what is in them.
    unsafe {
        libc::madvise(first.add(skipped).cast(), bytes - skipped, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_first: *mut u8, _bytes: usize) {}

/// Whether the system would give the memory for [`zeros`] now.
///
/// # Errors
/// [`Error::OutOfMemory`], as [`zeros`].
pub fn check(what: &'static str, rows: usize, columns: usize) -> Result<(), Error> {
    // Hidden from the optimiser, which would see that nobody uses the memory and not ask for it.
    zeros::<f64>(what, rows, columns).map(|room| drop(std::hint::black_box(room)))
}

/// An empty vector with room for `count` items, or [`Error::OutOfMemory`].
pub fn room<T>(what: &'static str, count: usize) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    items.try_reserve_exact(count).map_err(|_| {
        let bytes = count.checked_mul(size_of::<T>()).map_or(u64::MAX, |bytes| bytes as u64);
        Error::OutOfMemory { what, bytes }
    })?;
    Ok(items)
}

/// Something that is given back to the system by a thread of its own, if it is large: that takes about
/// 0.2 ms for a megabyte, and an interrupt must not have to wait for it.
#[derive(Debug)]
pub struct Large<T: Send + 'static> {
    value: ManuallyDrop<T>,
    bytes: usize,
}

/// Up to here whoever drops it waits, for 7 ms at most.
const SMALL: usize = 1 << 25;

impl<T: Send + 'static> Large<T> {
    /// What takes so many bytes.
    pub fn new(value: T, bytes: usize) -> Large<T> {
        Large { value: ManuallyDrop::new(value), bytes }
    }
}

impl<T: Send + 'static> Deref for Large<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Send + 'static> DerefMut for Large<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Send + 'static> Drop for Large<T> {
    fn drop(&mut self) {
        // SAFETY: nobody uses the value after this, the only place that takes it.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        if self.bytes > SMALL {
            // If there is no thread to be had the value is dropped here, with the closure.
            let _ = thread::Builder::new().spawn(move || drop(value));
        }
    }
}

fn layout<T>(what: &'static str, rows: usize, columns: usize) -> Result<Layout, Error> {
    let count = rows.checked_mul(columns);
    let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
    count
        .and_then(|count| Layout::array::<T>(count).ok())
        .ok_or(Error::OutOfMemory { what, bytes: bytes.map_or(u64::MAX, |bytes| bytes as u64) })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_large_is_given_back_elsewhere() {
        struct Told(mpsc::Sender<thread::ThreadId>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(thread::current().id()).unwrap();
            }
        }
        for (bytes, is_here) in [(8, true), (SMALL + 1, false)] {
            let (sender, receiver) = mpsc::channel();
            drop(Large::new(Told(sender), bytes));
            let by = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!(by == thread::current().id(), is_here);
            assert!(receiver.recv().is_err(), "dropped once");
        }
    }

    #[test]
    fn too_much_is_an_error_that_says_how_much() {
        assert_eq!(zeros("x", 2, 3), Ok(vec![0.0; 6]));
        assert_eq!(zeros::<f64>("x", 0, 9), Ok(vec![]));
        assert_eq!(zeros("x", 1, 3), Ok(vec![0.0f32; 3]));
        let overflow = zeros::<f64>("the plan", usize::MAX, 3);
        assert_eq!(overflow, Err(Error::OutOfMemory { what: "the plan", bytes: u64::MAX }));
        assert!(room::<u64>("x", 5).unwrap().capacity() >= 5);
        let overflow = room::<u64>("x", usize::MAX);
        assert_eq!(overflow, Err(Error::OutOfMemory { what: "x", bytes: u64::MAX }));
        let huge = Err(Error::OutOfMemory { what: "the plan", bytes: 1 << 59 });
        assert_eq!(check("the plan", 1 << 40, 1 << 16), huge);
    }
}
