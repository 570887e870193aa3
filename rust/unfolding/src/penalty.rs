//! The penalties of codes, and their proximal steps on whole rows.
//!
//! Operators made of lines (L1, L0, MCP, SCAD) run in the vectorised step. For the others, CEL0 with
//! atoms of different norms and the roots, the step drops what is below
//! the least threshold of any atom, and the operator is applied to what is left.

use sparrot_foundation::Scalar;
use sparrot_prox::{Cel0, L0, L1, Mcp, Pieces, Power, Scad, ScalarPenalty};
use sparrot_simd::codes::Shrinkage;
use sparrot_simd::select::kth_largest;
use sparrot_simd::sparse_rows::Codes;

/// What a code pays for not being 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// `lambda |x|`.
    L1,
    /// lambda for each number that is not 0.
    L0,
    /// The continuous relaxation of L0 that has its minima; of each atom by its norm.
    Cel0,
    /// The minimax concave penalty.
    Mcp {
        /// The larger, the closer to L1.
        gamma: f64,
    },
    /// The smoothly clipped absolute deviation.
    Scad {
        /// Beyond `a lambda` it is constant.
        a: f64,
    },
    /// A root.
    Power(Power),
    /// Nothing, but at most so many numbers of a code are not 0.
    Largest(usize),
}

/// Gives a penalty of a number to an expression.
macro_rules! scalar {
    ($penalty:expr, $squares:expr, |$phi:ident| $value:expr, $largest:expr) => {
        match $penalty {
            Penalty::L1 => {
                let $phi = L1;
                $value
            }
            Penalty::L0 => {
                let $phi = L0;
                $value
            }
            Penalty::Cel0 => {
                let $phi = Cel0 { squares: $squares };
                $value
            }
            Penalty::Mcp { gamma } => {
                let $phi = Mcp { gamma };
                $value
            }
            Penalty::Scad { a } => {
                let $phi = Scad { a };
                $value
            }
            Penalty::Power(power) => {
                let $phi = power;
                $value
            }
            Penalty::Largest(_) => $largest,
        }
    };
}

/// A penalty with its weight, for a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// Which.
    pub penalty: Penalty,
    /// lambda.
    pub lambda: f64,
    /// Whether codes must not be negative.
    pub positive: bool,
    /// The squared norms of the atoms; zeros if they are not known.
    pub squares: &'a [f64],
    /// Their sum, at least about.
    pub total: f64,
}

impl Weighted<'_> {
    /// Whether it is convex.
    pub fn is_convex(&self) -> bool {
        self.penalty == Penalty::L1
    }

    /// phi of a number of the code of an atom.
    pub fn value(&self, atom: usize, x: f64) -> f64 {
        let squares = self.squares[atom];
        if x == 0.0 || squares == 0.0 && self.penalty == Penalty::Cel0 {
            return 0.0;
        }
        scalar!(self.penalty, squares, |phi| phi.value(self.lambda, x), 0.0)
    }

    /// The proximal operator with a step t, of a number of the code of an atom.
    #[inline]
    pub fn prox(&self, atom: usize, u: f64, t: f64) -> f64 {
        let squares = self.squares[atom];
        let u = if self.positive { u.max(0.0) } else { u };
        if squares == 0.0 && self.penalty == Penalty::Cel0 {
            return 0.0; // every number costs nothing: the smallest
        }
        scalar!(self.penalty, squares, |phi| phi.prox(self.lambda, u, t), u)
    }

    /// The proximal operator of a whole code.
    pub fn prox_row(&self, u: &mut [f64], t: f64) {
        u.iter_mut().enumerate().for_each(|(j, u)| *u = self.prox(j, *u, t));
        if let Penalty::Largest(k) = self.penalty {
            keep_largest(u, k);
        }
    }

    /// What the move of a step t is measured in: its square root; but for steps shorter than any that is
    /// needed, below 1 over the sum of the squares of A, t itself over that root, or else moves would
    /// count as small only because the step is.
    pub fn unit(&self, t: f64) -> f64 {
        let least = if self.total > 0.0 { 1.0 / self.total } else { 0.0 };
        t / t.max(least).sqrt()
    }

    /// The step as lines, if they are the same for every atom.
    fn pieces(&self, t: f64) -> Option<Pieces> {
        if self.penalty == Penalty::Cel0 && self.squares.iter().any(|s| *s != self.squares[0]) {
            return None;
        }
        let squares = self.squares.first().copied().unwrap_or(1.0);
        if squares == 0.0 && self.penalty == Penalty::Cel0 {
            return None;
        }
        scalar!(self.penalty, squares, |phi| phi.pieces(self.lambda, t), None)
    }

    /// The smallest threshold of any atom, less what rounding could make of it.
    fn least_threshold(&self, t: f64) -> f64 {
        let of =
            |squares: f64| scalar!(self.penalty, squares, |phi| phi.threshold(self.lambda, t), 0.0);
        let least = if self.penalty == Penalty::Cel0 {
            // It grows with the norm up to that of the step.
            let smallest =
                self.squares.iter().copied().filter(|s| *s > 0.0).fold(1.0 / t, f64::min);
            of(smallest)
        } else {
            of(1.0)
        };
        least * (1.0 - 1e-6)
    }

    /// The step t, ready to be done.
    pub fn operator<T: Scalar>(&self, t: f64) -> Operator<T> {
        let (pieces, is_whole) = match self.pieces(t) {
            Some(pieces) => (pieces, true),
            None => {
                let cut = self.least_threshold(t);
                (Pieces { cut, first: [0.0, 1.0], second: [0.0, 0.0] }, false)
            }
        };
        let narrow = |pair: [f64; 2]| pair.map(T::from_f64);
        Operator {
            shrinkage: Shrinkage {
                cut: T::from_f64(pieces.cut),
                first: narrow(pieces.first),
                second: narrow(pieces.second),
                positive: self.positive,
            },
            size: t,
            is_whole,
        }
    }

    /// Applies the operator to what the vectorised step has left of the last row.
    pub fn finish<T: Scalar + Default>(&self, t: f64, codes: &mut Codes<T>, row: &mut [T]) {
        let (places, values) = codes.row_mut(codes.rows() - 1);
        for (j, v) in places.iter().zip(values.iter_mut()) {
            *v = T::from_f64(self.prox(*j as usize, v.to_f64(), t));
        }
        if let Penalty::Largest(k) = self.penalty {
            let mut wide: Vec<f64> = values.iter().map(|v| v.to_f64()).collect();
            keep_largest(&mut wide, k);
            values.iter_mut().zip(&wide).for_each(|(v, w)| *v = T::from_f64(*w));
        }
        places.iter().zip(values.iter()).for_each(|(j, v)| row[*j as usize] = *v);
    }
}

/// A proximal step.
#[derive(Clone, Copy, Debug)]
pub struct Operator<T> {
    /// Its vectorised part.
    pub shrinkage: Shrinkage<T>,
    /// t.
    pub size: f64,
    /// Whether that is all of it; if not, [`Weighted::finish`] follows.
    pub is_whole: bool,
}

/// Makes all but the k largest magnitudes 0; of equal ones the first stay.
fn keep_largest(u: &mut [f64], k: usize) {
    let mut sizes: Vec<f64> = u.iter().map(|u| u.abs()).collect();
    let least = kth_largest(&mut sizes, k);
    let mut ties = k.saturating_sub(u.iter().filter(|u| u.abs() > least).count());
    for u in u {
        let is_tie = u.abs() == least && ties > 0;
        ties -= usize::from(is_tie);
        if u.abs() <= least && !is_tie {
            *u = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparrot_simd::codes::{Element, Step};

    #[test]
    fn rows_are_shrunk_as_numbers_are() {
        let n = 37;
        let u: Vec<f64> = (0..n).map(|j| ((j * 29) % 41) as f64 / 10.0 - 2.0).collect();
        let equal = vec![0.7; n];
        let different: Vec<f64> =
            (0..n).map(|j| if j == 3 { 0.0 } else { 0.2 + j as f64 / 30.0 }).collect();
        let penalties = [
            Penalty::L1,
            Penalty::L0,
            Penalty::Cel0,
            Penalty::Mcp { gamma: 2.0 },
            Penalty::Mcp { gamma: 0.3 },
            Penalty::Scad { a: 3.7 },
            Penalty::Scad { a: 2.1 },
            Penalty::Power(Power::Half),
            Penalty::Power(Power::TwoThirds),
            Penalty::Largest(4),
            Penalty::Largest(100),
        ];
        for (penalty, squares, positive, t) in penalties.iter().flat_map(|p| {
            [&equal, &different].into_iter().flat_map(move |s| {
                [false, true].into_iter().flat_map(move |b| [0.5, 1.3].map(|t| (*p, s, b, t)))
            })
        }) {
            let total = squares.iter().sum();
            let weighted = Weighted { penalty, lambda: 0.6, positive, squares, total };
            let mut expected = u.clone();
            weighted.prox_row(&mut expected, t);
            let operator = weighted.operator::<f64>(t);
            let (mut codes, zeros, mut new) = (Codes::default(), vec![0.0; n], u.clone());
            codes.clear(1, n);
            let step = Step { size: 0.0, momentum: 0.0, measure: false };
            f64::step(step, operator.shrinkage, &u, &zeros, &mut new, &zeros, &mut codes);
            if !operator.is_whole {
                weighted.finish(t, &mut codes, &mut new);
            }
            for (new, expected) in new.iter().zip(&expected) {
                assert!(
                    (new - expected).abs() < 1e-14,
                    "{penalty:?} {positive} {t}: {new} {expected}"
                );
            }
        }
    }
}
