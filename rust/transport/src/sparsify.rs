//! `Sparsify(Hessian, rho)` of Algorithm 1: the largest entries of the plan.
//!
//! The paper keeps the share `lambda = 2/n` of the entries of the Hessian, by a threshold on all of
//! it. The Hessian has `(n + m)^2` entries and holds the plan twice, so that for n = m the share
//! `2/n` is `4 n` entries of the plan, `2 (n + m)` in general. Read like this, the published count
//! of 20 + 9 iterations for the assignment problem is reproduced (docs/sns_reproduction.md); with
//! `2 n` entries of the plan, the other reading, it takes 20 + 40. Here the diagonal is always kept in full and only the off-diagonal block, the plan, is thinned
//! out: a small diagonal entry (a point of small mass) is not negligible to its own row, and
//! dropping it makes the matrix singular. Ties at the threshold are kept in row order until the
//! count is reached, so that a plan of equal entries does not come back whole.
//!
//! Cost: one read of the plan, if the threshold can be guessed: from a sample at first, from the
//! last Newton step afterwards.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::select;

use crate::problem::{Pass, row_blocks};

/// A sparse matrix by rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Csr {
    /// Row i has the entries `starts[i]..starts[i + 1]`.
    pub starts: Vec<usize>,
    /// Their columns, increasing in each row.
    pub columns: Vec<u32>,
    /// Their values.
    pub values: Vec<f64>,
}

impl Csr {
    /// The number of entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Drops the entries that `keep` refuses.
    fn retain(&mut self, mut keep: impl FnMut(f64) -> bool) {
        let mut kept = 0;
        for i in 0..self.starts.len() - 1 {
            let range = self.starts[i]..self.starts[i + 1];
            self.starts[i] = kept;
            for k in range {
                if keep(self.values[k]) {
                    self.columns[kept] = self.columns[k];
                    self.values[kept] = self.values[k];
                    kept += 1;
                }
            }
        }
        *self.starts.last_mut().unwrap_or(&mut 0) = kept;
        self.columns.truncate(kept);
        self.values.truncate(kept);
    }
}

/// Where the rows of a matrix come from.
pub enum Rows<'a> {
    /// It is stored by rows.
    Stored(&'a [f64]),
    /// Row i is computed into the buffer.
    Computed(&'a (dyn Fn(usize, &mut [f64]) + Sync)),
}

/// All entries of row i above `threshold(i)`, for every row.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn above(
    (n, m): (usize, usize),
    threshold: impl Fn(usize) -> f64 + Sync,
    from: Rows<'_>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Csr, Error> {
    let rows = row_blocks(n, m);
    let blocks: Vec<usize> = (0..n).step_by(rows).collect();
    let pass = if let Rows::Stored(_) = from { Pass::Read } else { Pass::Exp };
    let parts = team.for_work(pass.cost(n, m)).run(stop, blocks, |first| {
        let mut scratch = vec![0.0; m];
        let mut part = Csr::default();
        for i in first..(first + rows).min(n) {
            let row = match from {
                Rows::Stored(matrix) => &matrix[i * m..(i + 1) * m],
                Rows::Computed(fill) => {
                    fill(i, &mut scratch);
                    &scratch
                }
            };
            select::collect_above(row, threshold(i), 0, &mut part.columns, &mut part.values);
            part.starts.push(part.values.len());
        }
        part
    })?;
    let mut all = Csr { starts: vec![0], ..Csr::default() };
    for part in parts {
        let offset = all.nnz();
        all.starts.extend(part.starts.iter().map(|end| offset + end));
        all.columns.extend(part.columns);
        all.values.extend(part.values);
    }
    Ok(all)
}

/// Keeps the largest entries of plan after plan, each time guessing from the last.
#[derive(Debug, Default)]
pub struct Sparsifier {
    guess: Option<f64>,
}

impl Sparsifier {
    /// The `count` largest positive entries of an n x m matrix stored by rows (fewer if it has
    /// fewer).
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn largest(
        &mut self,
        plan: &[f64],
        (n, m): (usize, usize),
        count: usize,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Csr, Error> {
        let mut threshold = self.guess.unwrap_or_else(|| from_sample(plan, count));
        let mut kept;
        loop {
            kept = above((n, m), |_| threshold, Rows::Stored(plan), team, stop)?;
            if kept.nnz() >= count || threshold == 0.0 {
                break;
            }
            threshold = if threshold > 1e-290 { threshold * 1e-2 } else { 0.0 };
        }
        let mut values = kept.values.clone();
        let exact = select::kth_largest(&mut values, count);
        if exact > threshold {
            let larger = kept.values.iter().filter(|v| **v > exact).count();
            let mut ties = count - larger;
            kept.retain(|value| {
                let tie = value == exact && ties > 0;
                ties -= usize::from(tie);
                value > exact || tie
            });
        }
        self.guess = (exact.is_finite() && exact > 0.0).then_some(0.5 * exact);
        Ok(kept)
    }
}

/// A threshold that about `2 count` entries exceed, judged from a regular sample.
fn from_sample(plan: &[f64], count: usize) -> f64 {
    const SAMPLE: usize = 8192;
    let step = plan.len().div_ceil(SAMPLE).max(1);
    let mut sample: Vec<f64> = plan.iter().copied().step_by(step).collect();
    let rank = (2 * count).div_ceil(step) + 4;
    select::kth_largest(&mut sample, rank).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sparrot_foundation::stop::Unobserved;

    proptest! {
        #[test]
        fn keeps_the_largest_entries_whatever_was_guessed(
            plan in prop::collection::vec(0u8..20, 12 * 7), count in 1usize..90, guess in prop::option::of(0.0f64..20.0)
        ) {
            let plan: Vec<f64> = plan.into_iter().map(f64::from).collect();
            let stop = Stop::new(&Unobserved, None);
            let kept = Sparsifier { guess }.largest(&plan, (12, 7), count, &Team::new(Some(2)), &stop).unwrap();
            let mut sorted: Vec<f64> = plan.iter().copied().filter(|v| *v > 0.0).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted.truncate(count);
            let mut values = kept.values.clone();
            values.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(values, sorted);
            prop_assert_eq!(kept.starts.len(), 13);
            for i in 0..12 {
                for k in kept.starts[i]..kept.starts[i + 1] {
                    prop_assert_eq!(plan[i * 7 + kept.columns[k] as usize], kept.values[k]);
                }
            }
        }
    }
}
