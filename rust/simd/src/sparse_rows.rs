//! Rows of numbers of which most are 0, by what is not.

/// Sparse rows one after the other, with their entries in the order of their positions.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a, T> {
    /// Where each row begins among the entries, and where the last one ends.
    pub starts: &'a [usize],
    /// The columns of the entries.
    pub positions: &'a [u32],
    /// Their values.
    pub values: &'a [T],
}

impl<T> SparseRows<'_, T> {
    /// The number of rows.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }
}

/// Sparse rows that grow.
#[derive(Clone, Debug)]
pub struct Codes<T> {
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<T>,
}

impl<T> Default for Codes<T> {
    fn default() -> Codes<T> {
        Codes { starts: vec![0], places: vec![], values: vec![] }
    }
}

/// Room for a register of any level beyond the last entry: they are written whole.
const SPARE: usize = 32;

impl<T: Copy + Default + PartialEq> Codes<T> {
    /// Appends what is not 0 of a row; there must be room.
    pub fn push(&mut self, row: &[T]) {
        let mut count = self.count();
        for (j, v) in row.iter().enumerate() {
            if *v != T::default() {
                self.places[count] = j as u32;
                self.values[count] = *v;
                count += 1;
            }
        }
        self.starts.push(count);
    }

    /// Removes all rows, and makes room for so many of such a length.
    pub fn clear(&mut self, rows: usize, length: usize) {
        self.starts.truncate(1);
        let room = rows * length + SPARE;
        if self.values.len() < room {
            self.places.resize(room, 0);
            self.values.resize(room, T::default());
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.starts[self.rows()]
    }

    /// The places and values of a row.
    pub fn row(&self, row: usize) -> (&[u32], &[T]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.places[range.clone()], &self.values[range])
    }

    /// The same, with values that can be changed.
    pub fn row_mut(&mut self, row: usize) -> (&[u32], &mut [T]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.places[range.clone()], &mut self.values[range])
    }

    /// All of them.
    pub fn view(&self) -> SparseRows<'_, T> {
        SparseRows { starts: &self.starts, positions: &self.places, values: &self.values }
    }

    /// Room for the entries of one more row, to be written from the beginning on.
    pub(crate) fn room(&mut self) -> (&mut [u32], &mut [T]) {
        let count = self.count();
        (&mut self.places[count..], &mut self.values[count..])
    }

    /// Ends a row of so many entries that have been written.
    pub(crate) fn end_row(&mut self, entries: usize) {
        self.starts.push(self.count() + entries);
    }
}
