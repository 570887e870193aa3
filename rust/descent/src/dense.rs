//! Small symmetric systems: those of a block, of tau unknowns. By faer.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

/// Eigenvalues below this share of the largest count as 0, times the size.
const SINGULAR: f64 = f64::EPSILON;

/// A symmetric matrix of the size of a block, by columns, whole.
#[derive(Clone, Debug, Default)]
pub struct Symmetric {
    /// The entries.
    pub values: Vec<f64>,
    /// The size.
    pub size: usize,
}

impl Symmetric {
    /// Makes it a zero matrix of a size.
    pub fn clear(&mut self, size: usize) {
        self.size = size;
        self.values.clear();
        self.values.resize(size * size, 0.0);
    }

    /// A column, which is a row.
    pub fn column(&self, j: usize) -> &[f64] {
        &self.values[j * self.size..(j + 1) * self.size]
    }

    /// Sets an entry and its mirror image.
    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i + j * self.size] = value;
        self.values[j + i * self.size] = value;
    }

    /// The part that these rows and columns form.
    pub fn part(&self, chosen: &[usize]) -> Symmetric {
        let values =
            chosen.iter().flat_map(|j| chosen.iter().map(|i| self.column(*j)[*i])).collect();
        Symmetric { values, size: chosen.len() }
    }

    fn view(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.values, self.size, self.size)
    }

    /// The largest eigenvalue, of a positive semi-definite matrix; from above, by rounding.
    pub fn largest_eigenvalue(&self) -> f64 {
        match self.size {
            0 => 0.0,
            1 => self.values[0],
            2 => {
                let (a, b, c) = (self.values[0], self.values[1], self.values[3]);
                0.5 * (a + c) + (0.5 * (a - c)).hypot(b)
            }
            _ => match self.view().self_adjoint_eigenvalues(Side::Lower) {
                Ok(values) => values.iter().copied().fold(0.0, f64::max),
                Err(_) => self.largest_row_sum(), // an upper bound
            },
        }
    }

    fn largest_row_sum(&self) -> f64 {
        let sum = |j| self.column(j).iter().map(|v| v.abs()).sum::<f64>();
        (0..self.size).map(sum).fold(0.0, f64::max)
    }

    /// Solves for one or more right-hand sides, in place. Where the matrix is singular to working
    /// precision, with its pseudo-inverse.
    pub fn solve(&self, x: &mut [f64]) {
        if self.size == 0 {
            return;
        }
        if self.size == 1 {
            let inverse = if self.values[0] > 0.0 { 1.0 / self.values[0] } else { 0.0 };
            x.iter_mut().for_each(|x| *x *= inverse);
            return;
        }
        let rhs = MatRef::from_column_major_slice(x, self.size, x.len() / self.size);
        let solution = self.solve_regular(rhs).or_else(|| self.solve_singular(rhs));
        match solution {
            Some(solution) => {
                for (column, x) in solution.col_iter().zip(x.chunks_mut(self.size)) {
                    x.iter_mut().zip(column.iter()).for_each(|(x, y)| *x = *y);
                }
            }
            None => x.fill(0.0), // no step, which the solver sees
        }
    }

    fn solve_regular(&self, rhs: MatRef<'_, f64>) -> Option<Mat<f64>> {
        let factor = self.view().llt(Side::Lower).ok()?;
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for pivot in factor.L().diagonal().column_vector().iter() {
            least = least.min(*pivot);
            most = most.max(*pivot);
        }
        let is_regular = least * least > SINGULAR * self.size as f64 * most * most;
        is_regular.then(|| factor.solve(rhs))
    }

    fn solve_singular(&self, rhs: MatRef<'_, f64>) -> Option<Mat<f64>> {
        let eigen = self.view().self_adjoint_eigen(Side::Lower).ok()?;
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        let largest = values.iter().copied().fold(0.0, f64::max);
        let mut parts: Mat<f64> = vectors.transpose() * rhs;
        for (i, value) in values.iter().enumerate() {
            let is_zero = *value <= SINGULAR * self.size as f64 * largest;
            let inverse = if is_zero { 0.0 } else { 1.0 / value };
            parts.row_mut(i).iter_mut().for_each(|p| *p *= inverse);
        }
        Some(vectors * &parts)
    }

    /// The inverse, or the pseudo-inverse where the matrix is singular to working precision.
    pub fn inverse(&self) -> Symmetric {
        let mut inverse = Symmetric::default();
        inverse.clear(self.size);
        for j in 0..self.size {
            inverse.values[j * (self.size + 1)] = 1.0;
        }
        self.solve(&mut inverse.values);
        inverse
    }

    /// `x'M x`, at least 0, for a positive semi-definite matrix.
    pub fn form(&self, x: &[f64]) -> f64 {
        let product = |j: usize| self.column(j).iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        x.iter().enumerate().map(|(j, x)| x * product(j)).sum::<f64>().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gram(rows: &[Vec<f64>], size: usize) -> Symmetric {
        let mut matrix = Symmetric::default();
        matrix.clear(size);
        for i in 0..size {
            for j in 0..size {
                matrix.values[i + j * size] = rows.iter().map(|row| row[i] * row[j]).sum();
            }
        }
        matrix
    }

    proptest! {
        #[test]
        fn solves_singular_systems_too(
            size in 1usize..7, count in 1usize..9,
            entries in prop::collection::vec(-1.0..1.0f64, 64),
        ) {
            let rows: Vec<Vec<f64>> = (0..count)
                .map(|i| (0..size).map(|j| entries[(i * 7 + j * 3) % 64]).collect())
                .collect();
            let matrix = gram(&rows, size);
            // In the range, so that there is a solution.
            let mut rhs = vec![0.0; size];
            for row in &rows {
                rhs.iter_mut().zip(row).for_each(|(r, a)| *r += a);
            }
            let mut x = rhs.clone();
            matrix.solve(&mut x);
            for (i, rhs) in rhs.iter().enumerate() {
                let product: f64 = matrix.column(i).iter().zip(&x).map(|(a, x)| a * x).sum();
                prop_assert!((product - rhs).abs() < 1e-6, "{:?} {:?}", matrix, x);
            }
            // Rayleigh quotients are at most the largest eigenvalue.
            let largest = matrix.largest_eigenvalue();
            let norm: f64 = rhs.iter().map(|r| r * r).sum();
            let quotient: f64 = (0..size)
                .map(|i| rhs[i] * matrix.column(i).iter().zip(&rhs).map(|(a, x)| a * x).sum::<f64>())
                .sum();
            prop_assert!(quotient <= largest * norm * (1.0 + 1e-12) + 1e-12);
            let trace: f64 = (0..size).map(|i| matrix.column(i)[i]).sum();
            prop_assert!(largest <= trace * (1.0 + 1e-12));
        }
    }
}
