//! Allocations that fail with an error, not an abort.

use std::alloc::{Layout, alloc_zeroed};

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
        Ok(Vec::from_raw_parts(first, count, count))
    }
}

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

fn layout<T>(what: &'static str, rows: usize, columns: usize) -> Result<Layout, Error> {
    let count = rows.checked_mul(columns);
    let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
    count
        .and_then(|count| Layout::array::<T>(count).ok())
        .ok_or(Error::OutOfMemory { what, bytes: bytes.map_or(u64::MAX, |bytes| bytes as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;

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
