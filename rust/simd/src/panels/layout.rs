//! The matrix that rows are multiplied with, as it lies in memory.

/// The width of a panel: four registers of the widest level.
const PANEL_BYTES: usize = 256;
/// Rows of a panel that are written between two looks at the clock.
const ROWS_AT_ONCE: usize = 256;

/// A matrix, cut into panels of columns: of each, one row after the other, filled up with 0.
#[derive(Debug)]
pub struct Panels<T> {
    pub(super) values: Vec<T>,
    /// Where the first panel starts: at a line of the cache, so that no load crosses one.
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl<T: Copy + Default> Panels<T> {
    /// Columns of a panel.
    pub(super) const WIDTH: usize = PANEL_BYTES / size_of::<T>();

    /// How many numbers are stored for a matrix of that shape.
    pub fn count(rows: usize, columns: usize) -> usize {
        columns.div_ceil(Self::WIDTH).saturating_mul(rows).saturating_mul(Self::WIDTH)
    }

    /// Room for a matrix, to be filled.
    pub fn new(rows: usize, columns: usize) -> Panels<T> {
        const LINE: usize = 64;
        let spare = LINE / size_of::<T>();
        let mut values: Vec<T> = Vec::with_capacity(Self::count(rows, columns) + spare);
        let start = values.as_ptr().align_offset(LINE).min(spare);
        values.resize(start, T::default());
        Panels { values, start, rows, columns }
    }

    /// Writes the entries down; until `poll` says something, which is asked now and then.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn fill<E>(
        &mut self,
        entry: impl Fn(usize, usize) -> T,
        poll: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let Panels { values, start, rows, columns } = self;
        values.truncate(*start);
        for first in (0..*columns).step_by(Self::WIDTH) {
            for i in 0..*rows {
                if i.is_multiple_of(ROWS_AT_ONCE) {
                    poll()?;
                }
                for j in first..first + Self::WIDTH {
                    values.push(if j < *columns { entry(i, j) } else { T::default() });
                }
            }
        }
        Ok(())
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}
