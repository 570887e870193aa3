//! Least squares on a support, with what every change of it by one column, or by one for another,
//! would bring: a Gram matrix swept on the support (Goodnight, "A tutorial on the SWEEP operator",
//! Amer. Statist. 33, 1979).
//!
//! With G and c the products of m columns with each other and with y, and M the inverse of G on the
//! support S,
//!
//! ```text
//!     [ G   c ]   swept    [ -M        M G_SR              M c_S      ]
//!     [ c'  yy]   on S:    [  .   G_RR - G_RS M G_SR  c_R - G_RS M c_S ]
//!                          [  .         .               yy - c_S'M c_S ]
//! ```
//!
//! The last column holds the coefficients and the products of the others with the residual, the corner
//! its sum of squares. A column enters or leaves by one rank-one update, m^2 operations; what it would
//! bring costs one division, and so does the exchange of two.

use sparrot_foundation::{Error, memory};
use sparrot_simd::linear;

/// A column whose part outside the span of the support is below this share of its squares does not
/// enter.
const DEPENDENT: f64 = 1e-10;

/// A change of the support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// A column enters,
    Add(usize),
    /// leaves,
    Drop(usize),
    /// or leaves for another.
    Swap(usize, usize),
}

/// See above.
pub struct Tableau {
    /// The number of columns.
    size: usize,
    /// By columns, whole.
    entries: Vec<f64>,
    is_in: Vec<bool>,
    /// The squares of the columns.
    squares: Vec<f64>,
    support: usize,
}

impl Tableau {
    /// An empty support of m columns; `fill` gives the first m entries of a column of G.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new<'a>(
        gram: impl Fn(usize) -> &'a [f64],
        c: &[f64],
        yy: f64,
    ) -> Result<Tableau, Error> {
        let m = c.len();
        let mut entries: Vec<f64> = memory::zeros("the swept Gram matrix", m + 1, m + 1)?;
        for (k, column) in entries.chunks_mut(m + 1).enumerate().take(m) {
            column[..m].copy_from_slice(gram(k));
            column[m] = c[k];
        }
        entries[m * (m + 1)..m * (m + 1) + m].copy_from_slice(c);
        entries[m * (m + 1) + m] = yy;
        let squares = (0..m).map(|k| gram(k)[k]).collect();
        Ok(Tableau { size: m, entries, is_in: vec![false; m], squares, support: 0 })
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.entries[j * (self.size + 1) + i]
    }

    /// The number of columns in the support.
    pub fn support_size(&self) -> usize {
        self.support
    }

    /// Whether a column is in the support.
    pub fn holds(&self, k: usize) -> bool {
        self.is_in[k]
    }

    /// Whether a column can enter.
    pub fn can_enter(&self, k: usize) -> bool {
        !self.is_in[k] && self.at(k, k) > DEPENDENT * self.squares[k]
    }

    /// `|r|^2 / 2` and the sum of lambda over the support.
    pub fn objective(&self, lambda: &[f64]) -> f64 {
        let used = lambda.iter().zip(&self.is_in).filter(|(_, is_in)| **is_in);
        0.5 * self.at(self.size, self.size) + used.map(|(lambda, _)| lambda).sum::<f64>()
    }

    /// The coefficients, 0 outside the support.
    pub fn coefficients(&self) -> Vec<f64> {
        let of = |k: usize| if self.is_in[k] { self.at(k, self.size) } else { 0.0 };
        (0..self.size).map(of).collect()
    }

    /// Solves `G_SS d = q_S`; 0 outside the support.
    pub fn solve(&self, q: &[f64]) -> Vec<f64> {
        let mut d = vec![0.0; self.size];
        for k in (0..self.size).filter(|k| self.is_in[*k]) {
            let column = &self.entries[k * (self.size + 1)..][..self.size];
            linear::axpy(-q[k], column, &mut d);
        }
        d.iter_mut().zip(&self.is_in).filter(|(_, is_in)| !**is_in).for_each(|(d, _)| *d = 0.0);
        d
    }

    /// Twice by how much a column in the support decreases the objective.
    fn worth(&self, i: usize) -> f64 {
        // The square of a quotient: that of w alone may overflow.
        (self.at(i, self.size) / (-self.at(i, i)).sqrt()).powi(2)
    }

    /// Twice by how much a column outside would decrease it.
    fn gain(&self, j: usize) -> f64 {
        (self.at(j, self.size) / self.at(j, j).sqrt()).powi(2)
    }

    /// A column enters or leaves.
    fn sweep(&mut self, k: usize) {
        let (m, pivot) = (self.size + 1, self.at(k, k));
        let column = self.entries[k * m..(k + 1) * m].to_vec();
        for (j, target) in self.entries.chunks_mut(m).enumerate() {
            if j != k && column[j] != 0.0 {
                linear::axpy(-column[j] / pivot, &column, target);
            }
        }
        // A column that leaves has the other sign.
        let sign = if self.is_in[k] { -1.0 } else { 1.0 };
        for (i, value) in column.iter().enumerate() {
            self.entries[k * m + i] = sign * value / pivot;
            self.entries[i * m + k] = sign * value / pivot;
        }
        self.entries[k * m + k] = -1.0 / pivot;
        self.is_in[k] = !self.is_in[k];
        self.support = if self.is_in[k] { self.support + 1 } else { self.support - 1 };
    }

    /// Makes a change.
    pub fn apply(&mut self, change: Move) {
        match change {
            Move::Add(j) | Move::Drop(j) => self.sweep(j),
            Move::Swap(i, j) => {
                self.sweep(i);
                self.sweep(j);
            }
        }
    }

    /// The column that is missed least.
    pub fn least(&self) -> Option<usize> {
        (0..self.size)
            .filter(|i| self.is_in[*i])
            .min_by(|i, j| self.worth(*i).total_cmp(&self.worth(*j)))
    }

    /// The change that decreases the objective, `|r|^2 / 2 + sum over the support of lambda`, most, if
    /// one does by more than `least`: an entry (if there may be one), an exit, or an exchange.
    pub fn best(
        &self,
        lambda: &[f64],
        may_enter: bool,
        may_leave: bool,
        least: f64,
    ) -> Option<Move> {
        let mut best = (-2.0 * least, None);
        let mut consider = |change: f64, what: Move| {
            if change < best.0 && change.is_finite() {
                best = (change, Some(what));
            }
        };
        let outside: Vec<usize> = (0..self.size).filter(|j| self.can_enter(*j)).collect();
        for j in outside.iter().copied().filter(|_| may_enter) {
            consider(2.0 * lambda[j] - self.gain(j), Move::Add(j));
        }
        for i in (0..self.size).filter(|i| self.is_in[*i]) {
            let loss = self.worth(i) - 2.0 * lambda[i];
            if may_leave {
                consider(loss, Move::Drop(i));
            }
            let (pivot, w) = (self.at(i, i), self.at(i, self.size));
            let column = &self.entries[i * (self.size + 1)..(i + 1) * (self.size + 1)];
            for j in outside.iter().copied() {
                // As they are when i has left.
                let share = column[j] / pivot;
                let h = self.at(j, self.size) - share * w;
                let squares = self.at(j, j) - share * column[j];
                let gain = (h / squares.sqrt()).powi(2);
                consider(loss + 2.0 * lambda[j] - gain, Move::Swap(i, j));
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const N: usize = 9;
    const M: usize = 5;

    /// The sum of squares of the residual on a support, by Gram and Schmidt.
    fn squares(columns: &[Vec<f64>], y: &[f64], support: &[usize]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut basis: Vec<Vec<f64>> = vec![];
        let reduce = |v: &[f64], basis: &[Vec<f64>]| {
            let mut v = v.to_vec();
            for _ in 0..2 {
                for b in basis {
                    let share = dot(&v, b) / dot(b, b);
                    v.iter_mut().zip(b).for_each(|(v, b)| *v -= share * b);
                }
            }
            v
        };
        for k in support {
            let column = reduce(&columns[*k], &basis);
            basis.push(column);
        }
        let r = reduce(y, &basis);
        dot(&r, &r)
    }

    proptest! {
        #[test]
        fn the_best_change_is_the_best_of_all(
            entries in prop::collection::vec(-2.0..2.0f64, N * M),
            y in prop::collection::vec(-2.0..2.0f64, N),
            start in prop::collection::vec(any::<bool>(), M),
            lambda in prop::collection::vec(0.0..1.0f64, M),
            may_enter: bool,
            may_leave: bool,
        ) {
            let columns: Vec<Vec<f64>> = entries.chunks(N).map(<[f64]>::to_vec).collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let gram: Vec<Vec<f64>> = (0..M)
                .map(|i| (0..M).map(|j| dot(&columns[i], &columns[j])).collect())
                .collect();
            let c: Vec<f64> = columns.iter().map(|x| dot(x, &y)).collect();
            let mut tableau = Tableau::new(|k| &gram[k][..], &c, dot(&y, &y)).unwrap();
            for k in (0..M).filter(|k| start[*k]) {
                prop_assume!(tableau.at(k, k) > 1e-3);
                tableau.apply(Move::Add(k));
            }
            let value = |set: &[usize]| {
                0.5 * squares(&columns, &y, set) + set.iter().map(|k| lambda[*k]).sum::<f64>()
            };
            let support: Vec<usize> = (0..M).filter(|k| start[*k]).collect();
            let rest: Vec<usize> = (0..M).filter(|k| !start[*k]).collect();
            prop_assume!(rest.iter().all(|k| tableau.at(*k, *k) > 1e-3));
            let without = |i: usize| support.iter().copied().filter(move |k| *k != i);
            let mut others = vec![];
            for j in rest.iter().copied() {
                if may_enter {
                    others.push(support.iter().copied().chain([j]).collect::<Vec<_>>());
                }
                others.extend(support.iter().map(|i| without(*i).chain([j]).collect()));
            }
            if may_leave {
                others.extend(support.iter().map(|i| without(*i).collect()));
            }
            let least = others.iter().map(|set| value(set)).fold(value(&support), f64::min);
            let change = tableau.best(&lambda, may_enter, may_leave, 1e-9);
            if let Some(change) = change {
                tableau.apply(change);
            }
            let now: Vec<usize> = (0..M).filter(|k| tableau.holds(*k)).collect();
            prop_assert_eq!(now.len(), tableau.support_size());
            prop_assert!(change.is_some() || now == support);
            prop_assert!((value(&now) - least).abs() < 1e-6);
            let penalty: f64 = now.iter().map(|k| lambda[*k]).sum();
            prop_assert!((value(&now) - 0.5 * tableau.at(M, M) - penalty).abs() < 1e-6);
        }
    }
}
