//! The Cholesky factor of a Gram matrix whose variables come and go.
//!
//! A variable is appended by one forward substitution and removed by Givens rotations of what
//! comes after it, O(m^2) each; where many come or go at once faer factors anew.

use faer::MatMut;
use sparrot_foundation::{Error, memory};
use sparrot_simd::{linear, reduce};

use crate::cholesky::cholesky;

/// The factor, lower triangular, by columns.
#[derive(Debug, Default)]
pub struct Factor {
    stride: usize,
    size: usize,
    values: Vec<f64>,
}

/// A pivot below this share of its diagonal entry is rounding.
const NO_PIVOT: f64 = 1e-15;
/// Columns that share loads and stores of the vector that is solved for.
const TOGETHER: usize = 4;
/// Columns that are filled between two looks at the clock.
const COLUMNS: usize = 64;

impl Factor {
    /// The number of variables.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Without variables; the room stays.
    pub fn clear(&mut self) {
        self.size = 0;
    }

    fn reserve(&mut self, size: usize) -> Result<(), Error> {
        if size <= self.stride {
            return Ok(());
        }
        let stride = size.next_power_of_two().max(32);
        let mut values = memory::zeros("the factor of the support", stride, stride)?;
        for j in 0..self.size {
            let old = &self.values[j * self.stride + j..j * self.stride + self.size];
            values[j * stride + j..j * stride + self.size].copy_from_slice(old);
        }
        self.values = values;
        self.stride = stride;
        Ok(())
    }

    /// Appends a variable, with its products with those that are there; whether that went well:
    /// not if it depends on them linearly.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn push(&mut self, mut products: Vec<f64>, diagonal: f64) -> Result<bool, Error> {
        let m = self.size;
        self.reserve(m + 1)?;
        self.forward(&mut products);
        let pivot = diagonal - reduce::dot(&products, &products);
        // Also catches NaN.
        if pivot.is_nan() || pivot <= NO_PIVOT * diagonal {
            return Ok(false);
        }
        for (j, z) in products.iter().enumerate() {
            self.values[j * self.stride + m] = *z;
        }
        self.values[m * self.stride + m] = pivot.sqrt();
        self.size += 1;
        Ok(true)
    }

    /// Removes the variable at a place.
    pub fn remove(&mut self, place: usize) {
        let (m, s) = (self.size, self.stride);
        let mut gone = self.values[place * s + place + 1..place * s + m].to_vec();
        for j in 0..place {
            self.values.copy_within(j * s + place + 1..j * s + m, j * s + place);
        }
        for j in place + 1..m {
            self.values.copy_within(j * s + j..j * s + m, (j - 1) * s + j - 1);
        }
        self.size -= 1;
        // What comes after is the factor of L L' + gone gone'.
        for j in place..self.size {
            let [first, rest @ ..] = &mut gone[j - place..] else { break };
            let column = &mut self.values[j * s + j..j * s + self.size];
            let radius = column[0].hypot(*first);
            let (cos, sin) = (column[0] / radius, *first / radius);
            column[0] = radius;
            for (x, y) in column[1..].iter_mut().zip(rest) {
                (*x, *y) = (cos * *x + sin * *y, cos * *y - sin * *x);
            }
        }
    }

    /// Factors anew: `fill(j, column)` writes column j from the diagonal down. Whether the matrix
    /// is positive definite; if not, the factor is empty.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn rebuild(
        &mut self,
        size: usize,
        fill: impl Fn(usize, &mut [f64]),
    ) -> Result<bool, Error> {
        self.rebuild_while(size, fill, || Ok(()))
    }

    /// The same, with a look now and then at whether to go on.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and what `poll` says: the factor is then empty.
    pub fn rebuild_while(
        &mut self,
        size: usize,
        fill: impl Fn(usize, &mut [f64]),
        poll: impl Fn() -> Result<(), Error>,
    ) -> Result<bool, Error> {
        self.size = 0;
        self.reserve(size)?;
        let s = self.stride;
        for j in 0..size {
            if j.is_multiple_of(COLUMNS) {
                poll()?;
            }
            fill(j, &mut self.values[j * s + j..j * s + size]);
        }
        let view = MatMut::from_column_major_slice_with_stride_mut(&mut self.values, size, size, s);
        let done = cholesky(view, poll)?;
        if done {
            self.size = size;
        }
        Ok(done)
    }

    /// The part of a variable's diagonal that those before it do not explain.
    pub fn pivot(&self, place: usize) -> f64 {
        self.values[place * self.stride + place].powi(2)
    }

    /// Solves, in place.
    pub fn solve(&self, x: &mut [f64]) {
        self.forward(x);
        self.backward(x);
    }

    /// Solves `L'x = z`, in place.
    pub fn backward(&self, x: &mut [f64]) {
        for first in (0..self.size).step_by(TOGETHER).rev() {
            let last = self.size.min(first + TOGETHER);
            let (own, below) = x[first..self.size].split_at_mut(last - first);
            // The last ones, if they are fewer, have nothing below.
            if own.len() == TOGETHER {
                let columns = std::array::from_fn(|q| self.column(first + q, last));
                let products = linear::dot4(columns, below);
                own.iter_mut().zip(products).for_each(|(x, product)| *x -= product);
            }
            for q in (0..own.len()).rev() {
                let column = self.column(first + q, first + q);
                let after: f64 = (q + 1..own.len()).map(|r| column[r - q] * own[r]).sum();
                own[q] = (own[q] - after) / column[0];
            }
        }
    }

    /// Appends the number of the last variable to the solution of `L z = b` for those before it.
    pub fn forward_last(&self, z: &mut Vec<f64>, b: f64) {
        let (s, last) = (self.stride, z.len());
        let explained: f64 = z.iter().enumerate().map(|(j, z)| self.values[j * s + last] * z).sum();
        z.push((b - explained) / self.values[last * s + last]);
    }

    fn forward(&self, x: &mut [f64]) {
        for first in (0..self.size).step_by(TOGETHER) {
            let last = self.size.min(first + TOGETHER);
            let (own, below) = x[first..self.size].split_at_mut(last - first);
            for q in 0..own.len() {
                let column = self.column(first + q, first + q);
                own[q] /= column[0];
                for r in q + 1..own.len() {
                    own[r] -= own[q] * column[r - q];
                }
            }
            // The last ones, if they are fewer, have nothing below.
            if let Ok(own) = <[f64; TOGETHER]>::try_from(&*own) {
                let columns = std::array::from_fn(|q| self.column(first + q, last));
                linear::axpy4(own.map(|x| -x), columns, below);
            }
        }
    }

    /// A column from a row on.
    fn column(&self, j: usize, from: usize) -> &[f64] {
        &self.values[j * self.stride + from..j * self.stride + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn variables_come_and_go(
            entries in prop::collection::vec(-1.0..1.0f64, 120),
            moves in prop::collection::vec((0usize..10, any::<bool>()), 1..30),
            anew in any::<bool>(),
        ) {
            let n = 12; // rows; up to 10 variables
            let column = |j: usize| &entries[j * n..(j + 1) * n];
            let gram = |i: usize, j: usize| {
                let dot: f64 = column(i).iter().zip(column(j)).map(|(a, b)| a * b).sum();
                dot + if i == j { 0.1 } else { 0.0 }
            };
            let mut factor = Factor::default();
            let mut there: Vec<usize> = vec![];
            for (j, comes) in moves {
                match there.iter().position(|i| *i == j) {
                    Some(place) if !comes => {
                        factor.remove(place);
                        there.remove(place);
                    }
                    None if comes => {
                        let products = there.iter().map(|i| gram(*i, j)).collect();
                        prop_assert!(factor.push(products, gram(j, j)).unwrap());
                        there.push(j);
                    }
                    _ => {}
                }
                if anew {
                    let fill = |k: usize, out: &mut [f64]| {
                        for (o, i) in out.iter_mut().zip(&there[k..]) {
                            *o = gram(there[k], *i);
                        }
                    };
                    prop_assert!(factor.rebuild(there.len(), fill).unwrap());
                }
                let rhs: Vec<f64> = there.iter().map(|j| *j as f64 - 4.0).collect();
                let mut x = rhs.clone();
                factor.solve(&mut x);
                let mut z = vec![];
                rhs.iter().for_each(|b| factor.forward_last(&mut z, *b));
                factor.backward(&mut z);
                prop_assert!(z.iter().zip(&x).all(|(z, x)| (z - x).abs() < 1e-10));
                for (i, r) in there.iter().zip(&rhs) {
                    let product: f64 = there.iter().zip(&x).map(|(j, x)| gram(*i, *j) * x).sum();
                    prop_assert!((product - r).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn says_what_depends_on_the_others() {
        let mut factor = Factor::default();
        assert!(factor.push(vec![], 4.0).unwrap());
        assert!(!factor.push(vec![2.0], 1.0).unwrap());
        assert_eq!(factor.size(), 1);
        assert!(!factor.rebuild(1, |_, out| out[0] = -1.0).unwrap());
        assert_eq!(factor.size(), 0);
    }
}
