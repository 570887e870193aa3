//! A matrix by compressed rows or columns (CSR, CSC), borrowed.

use sparrot_foundation::Scalar;

/// A matrix by its lines: the rows (CSR) or the columns (CSC). Indices in a line are distinct.
#[derive(Clone, Copy, Debug)]
pub struct Compressed<'a, T> {
    /// Line i has the entries `starts[i]..starts[i + 1]`.
    pub starts: &'a [u32],
    /// Where in its line each entry is.
    pub indices: &'a [u32],
    /// The entries.
    pub values: &'a [T],
}

impl<'a, T: Scalar> Compressed<'a, T> {
    /// The number of lines.
    pub fn lines(&self) -> usize {
        self.starts.len() - 1
    }

    /// The indices and values of a line.
    pub fn line(&self, i: usize) -> (&'a [u32], &'a [T]) {
        let range = self.starts[i] as usize..self.starts[i + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The neighbours of a node in the graph of a symmetric matrix: where its line has entries
    /// other than 0, off the diagonal.
    pub fn neighbours(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + 'a {
        let (indices, values) = self.line(i);
        (indices.iter().zip(values))
            .map(|(j, v)| (*j as usize, v.to_f64()))
            .filter(move |(j, v)| *j != i && *v != 0.0)
    }

    /// The diagonal entry of a line, 0 if there is none.
    pub fn diagonal(&self, i: usize) -> f64 {
        let (indices, values) = self.line(i);
        indices.iter().position(|j| *j as usize == i).map_or(0.0, |k| values[k].to_f64())
    }

    /// The product of a line with a vector, by sums side by side: one alone would wait for each addition.
    pub fn dot(&self, i: usize, x: &[f64]) -> f64 {
        const SUMS: usize = 4;
        let (indices, values) = self.line(i);
        let (indices, last_indices) = indices.as_chunks::<SUMS>();
        let (values, last_values) = values.as_chunks::<SUMS>();
        let mut sums = [0.0; SUMS];
        for (j, v) in indices.iter().zip(values) {
            for q in 0..SUMS {
                sums[q] += v[q].to_f64() * x[j[q] as usize];
            }
        }
        let last = last_indices.iter().zip(last_values);
        let last: f64 = last.map(|(j, v)| v.to_f64() * x[*j as usize]).sum();
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + last
    }

    /// A copy in double precision.
    pub fn widened(&self) -> Owned<f64> {
        Owned {
            starts: self.starts.to_vec(),
            indices: self.indices.to_vec(),
            values: self.values.iter().map(|v| v.to_f64()).collect(),
        }
    }

    /// The same matrix by its other lines, of which there are `lines`; indices increase.
    pub fn transposed(&self, lines: usize) -> Owned<T> {
        let mut starts = vec![0u32; lines + 1];
        for j in self.indices {
            starts[*j as usize + 1] += 1;
        }
        for j in 0..lines {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let mut indices = vec![0u32; self.indices.len()];
        let mut values = self.values.to_vec();
        for i in 0..self.lines() {
            let (there, here) = self.line(i);
            for (j, v) in there.iter().zip(here) {
                let place = &mut next[*j as usize];
                indices[*place as usize] = i as u32;
                values[*place as usize] = *v;
                *place += 1;
            }
        }
        Owned { starts, indices, values }
    }
}

/// A matrix by compressed lines that owns its arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned<T> {
    /// See [`Compressed::starts`].
    pub starts: Vec<u32>,
    /// See [`Compressed::indices`].
    pub indices: Vec<u32>,
    /// See [`Compressed::values`].
    pub values: Vec<T>,
}

impl<T> Owned<T> {
    /// A view.
    pub fn view(&self) -> Compressed<'_, T> {
        Compressed { starts: &self.starts, indices: &self.indices, values: &self.values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_gives_the_matrix_back() {
        // [[1, 0, 2], [0, 0, 3]] by rows
        let matrix =
            Owned { starts: vec![0, 2, 3], indices: vec![0, 2, 2], values: vec![1.0f32, 2.0, 3.0] };
        let columns = matrix.view().transposed(3);
        assert_eq!(columns.starts, [0, 1, 1, 3]);
        assert_eq!(columns.indices, [0, 0, 1]);
        assert_eq!(columns.values, [1.0, 2.0, 3.0]);
        assert_eq!(columns.view().transposed(2), matrix);
        assert_eq!(matrix.view().dot(0, &[1.0, 10.0, 100.0]), 201.0);
        assert_eq!(matrix.view().diagonal(0), 1.0);
        assert_eq!(matrix.view().diagonal(1), 0.0);
        assert_eq!(matrix.view().neighbours(0).collect::<Vec<_>>(), [(2, 2.0)]);
    }
}
