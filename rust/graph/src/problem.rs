//! The problem as it is handed over, and what must hold of its matrix.

use sparrot_foundation::{Error, Scalar, Stop};
use sparrot_sparse::Compressed;

/// Lines between two looks at the stop token: some 100 microseconds.
pub const LINES: usize = 1 << 13;

/// Weights of edges, nodes that are fixed, and `k` right-hand sides. See the front page.
#[derive(Clone, Copy)]
pub struct Problem<'a, T> {
    /// w, which [`check`] has passed. Self-loops have no effect.
    pub weights: Compressed<'a, T>,
    /// Which nodes have a value already.
    pub fixed: &'a [bool],
    /// c, not negative; 0 if there is none.
    pub diagonal: Option<&'a [f64]>,
    /// b, n x k by rows; 0 if there is none.
    pub source: Option<&'a [f64]>,
    /// Right-hand sides.
    pub k: usize,
}

impl<T: Scalar> Problem<'_, T> {
    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.weights.lines()
    }

    /// c of a node.
    pub fn diagonal(&self, i: usize) -> f64 {
        self.diagonal.map_or(0.0, |c| c[i])
    }

    /// b of a node, for each right-hand side.
    pub fn source(&self, i: usize) -> impl Iterator<Item = f64> {
        let given = self.source.map(|b| &b[i * self.k..(i + 1) * self.k]);
        (0..self.k).map(move |c| given.map_or(0.0, |b| b[c]))
    }
}

/// Whether lines are sorted, entries finite and the matrix symmetric, to the last bit: otherwise
/// an error that names the entry. O(nnz): as the lines come in order, so do the entries below the
/// diagonal of each line, and one pointer for each finds them.
///
/// # Errors
/// [`Error::InvalidInput`] of that argument, [`Error::Interrupted`].
pub fn check<T: Scalar>(
    argument: &'static str,
    matrix: Compressed<'_, T>,
    may_be_negative: bool,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let n = matrix.lines();
    let starts = matrix.starts;
    let is_whole = starts[0] == 0
        && starts.is_sorted()
        && starts[n] as usize == matrix.indices.len()
        && matrix.indices.len() == matrix.values.len();
    if !is_whole {
        return Err(Error::invalid(argument, "indptr does not fit indices and data"));
    }
    let mut next = starts[..n].to_vec();
    for i in 0..n {
        if i % LINES == 0 {
            stop.poll()?;
        }
        let (indices, values) = matrix.line(i);
        let unmatched = next[i] as usize;
        let mut last = None;
        for (j, v) in indices.iter().zip(values) {
            let (j, value) = (*j as usize, v.to_f64());
            if j >= n || last.is_some_and(|last| last >= j) {
                return Err(Error::invalid(
                    argument,
                    format!("row {i} has column {j} out of order or beyond {n} columns"),
                ));
            }
            last = Some(j);
            if !value.is_finite() || (value < 0.0 && !may_be_negative && i != j) {
                let needed =
                    if value.is_finite() { "non-negative weights" } else { "finite values" };
                return Err(Error::invalid(
                    argument,
                    format!("entry ({i}, {j}) is {value}: needs {needed}"),
                ));
            }
            if j > i {
                let place = next[j] as usize;
                let found =
                    (place < starts[j + 1] as usize).then(|| matrix.indices[place] as usize);
                if found != Some(i) || matrix.values[place].to_f64() != value {
                    return Err(asymmetric(argument, matrix, i, j));
                }
                next[j] += 1;
            }
        }
        if unmatched < starts[i + 1] as usize && (matrix.indices[unmatched] as usize) < i {
            return Err(asymmetric(argument, matrix, i, matrix.indices[unmatched] as usize));
        }
    }
    Ok(())
}

fn asymmetric<T: Scalar>(
    argument: &'static str,
    matrix: Compressed<'_, T>,
    i: usize,
    j: usize,
) -> Error {
    let entry = |i: usize, j: usize| {
        let (indices, values) = matrix.line(i);
        indices.iter().position(|c| *c as usize == j).map_or(0.0, |k| values[k].to_f64())
    };
    // The one that the pointers stopped at may be a later one than the pair that differs.
    let (indices, _) = matrix.line(j);
    let culprit = (indices.iter().map(|l| *l as usize).take_while(|l| *l < i))
        .find(|l| entry(j, *l) != entry(*l, j));
    let (i, j) = culprit.map_or((i, j), |l| (l, j));
    Error::invalid(
        argument,
        format!(
            "entry ({i}, {j}) is {} but entry ({j}, {i}) is {}: needs a symmetric matrix, such as \
             ({argument} + {argument}.T) / 2",
            entry(i, j),
            entry(j, i)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sparrot_foundation::stop::Unobserved;

    fn verdict(n: usize, dense: &[f64]) -> Result<(), Error> {
        let (mut starts, mut indices, mut values) = (vec![0u32], vec![], vec![]);
        for i in 0..n {
            for j in (0..n).filter(|j| dense[i * n + j] != 0.0) {
                indices.push(j as u32);
                values.push(dense[i * n + j]);
            }
            starts.push(indices.len() as u32);
        }
        let matrix = Compressed { starts: &starts, indices: &indices, values: &values };
        check("W", matrix, true, &Stop::new(&Unobserved, None))
    }

    proptest! {
        #[test]
        fn finds_what_is_not_symmetric(
            (n, mut dense) in (1usize..8).prop_flat_map(|n| {
                (Just(n), prop::collection::vec(0..3i32, n * n))
            }),
            upset in any::<Option<(usize, usize)>>(),
        ) {
            for i in 0..n {
                for j in 0..i {
                    dense[i * n + j] = dense[j * n + i];
                }
            }
            if let Some((i, j)) = upset {
                dense[(i % n) * n + j % n] += 1;
            }
            let dense: Vec<f64> = dense.into_iter().map(f64::from).collect();
            let pair = (0..n * n).find(|at| dense[*at] != dense[(at % n) * n + at / n]);
            match (verdict(n, &dense), pair) {
                (Ok(()), None) => {}
                (Err(Error::InvalidInput { message, .. }), Some(at)) => {
                    let (i, j) = (at / n, at % n);
                    let named = message.starts_with(&format!("entry ({i}, {j})"))
                        || message.starts_with(&format!("entry ({j}, {i})"));
                    prop_assert!(named, "{message}: {i} {j}");
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
