//! Allocations that fail with an error, not an abort.

use crate::Error;

/// `rows * columns` copies of `value`, or [`Error::OutOfMemory`] if the product overflows or the
/// memory is not there.
pub fn filled<T: Copy>(
    what: &'static str,
    rows: usize,
    columns: usize,
    value: T,
) -> Result<Vec<T>, Error> {
    let mut values = reserved(what, rows, columns)?;
    values.resize(rows * columns, value);
    Ok(values)
}

/// Room for `rows * columns` values, none of them written yet.
///
/// # Errors
/// [`Error::OutOfMemory`], as [`filled`].
pub fn reserved<T>(what: &'static str, rows: usize, columns: usize) -> Result<Vec<T>, Error> {
    let size = size_of::<T>() as u64;
    let bytes = (rows as u64)
        .checked_mul(columns as u64)
        .and_then(|count| count.checked_mul(size))
        .ok_or(Error::OutOfMemory { what, bytes: u64::MAX })?;
    let count = rows.checked_mul(columns).ok_or(Error::OutOfMemory { what, bytes })?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { what, bytes })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_an_error_that_says_how_much() {
        assert_eq!(filled("x", 2, 3, 1.5), Ok(vec![1.5; 6]));
        assert_eq!(filled::<f64>("x", 0, 9, 0.0), Ok(vec![]));
        let overflow = filled("the plan", usize::MAX, 3, 0.0f64);
        assert_eq!(overflow, Err(Error::OutOfMemory { what: "the plan", bytes: u64::MAX }));
        let huge = filled("the plan", 1 << 40, 1 << 20, 0.0f64);
        assert_eq!(huge, Err(Error::OutOfMemory { what: "the plan", bytes: 1 << 63 }));
    }
}
