//! Norms of groups as the penalty of a model with a loss (L. Meier, S. van de Geer and P. Buehlmann,
//! J. R. Stat. Soc. B 70, 2008, for the logistic one):
//!
//! ```text
//! lambda sum over groups g of v_g |w_g|_2 + mu |w|^2 / 2
//! ```
//!
//! - A group joins the working set by `(|X_g'r| - lambda_g) / |X_g|`, r being the derivatives: what it
//!   would move by, as in [`crate::block_solver`].
//! - Meier et al. descend on the loss itself, by a step with a line search for each group. Here a
//!   quadratic model of all groups of the set is minimised, by descent with its Gram matrix
//!   ([`crate::block_descent`]), and one line search is for all of them: the exponentials are paid
//!   for once for many sweeps.
//! - The dual asks for `|X_g'r| <= lambda_g`, or charges the excess to mu, for each group as for each
//!   column without groups ([`crate::certificate`]).

use std::ops::Range;

use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Stop};
use sparrot_prox::block::Weighted;
use sparrot_prox::{BlockPenalty, Group};

use crate::certificate::Variable;
use crate::glm::Quadratic;
use crate::groups::Groups;
use crate::model::{NONE, Settings};
use crate::structure::{Known, Structure, critical};
use crate::working_set::{JOIN, most_violating, violation};

/// Columns in groups; the weights of the settings are those of groups, and there are no bounds.
#[derive(Clone, Debug)]
pub struct Grouped {
    groups: Groups,
    /// The group of each column.
    group_of: Vec<u32>,
}

impl Grouped {
    /// These groups, which hold so many columns.
    pub fn new(groups: Groups, columns: usize) -> Grouped {
        let mut group_of = vec![0; columns];
        for g in 0..groups.len() {
            groups.columns(g).iter().for_each(|j| group_of[*j as usize] = g as u32);
        }
        Grouped { groups, group_of }
    }

    /// Groups and where they are in a list of columns.
    fn parts(&self, columns: &[u32]) -> impl Iterator<Item = (usize, Range<usize>)> {
        let of = |j: u32| self.group_of[j as usize];
        let mut first = 0;
        columns.chunk_by(move |a, b| of(*a) == of(*b)).map(move |part| {
            let range = first..first + part.len();
            first = range.end;
            (of(part[0]) as usize, range)
        })
    }

    fn penalty<'a>(&self, settings: &Settings<'a>) -> Group<'a> {
        let lambda = Weighted { lambda: settings.lambda, weights: settings.weights };
        Group { lambda, positive: false }
    }

    fn lambda_of(&self, settings: &Settings<'_>, group: usize) -> f64 {
        self.penalty(settings).lambda.of(group)
    }
}

/// The norm of what columns have.
fn norm(columns: &[u32], of: impl Fn(usize) -> f64) -> f64 {
    columns.iter().map(|j| of(*j as usize).powi(2)).sum::<f64>().sqrt()
}

/// The sum of the squares of columns.
fn squares(columns: &[u32], moments: &[Moments]) -> f64 {
    columns.iter().map(|j| moments[*j as usize].squares).sum()
}

impl Structure for Grouped {
    fn without_constants(&self, moments: &[Moments]) -> Grouped {
        let groups = self.groups.filtered(|j| moments[j as usize].squares > 0.0);
        Grouped { groups, group_of: self.group_of.clone() }
    }

    fn candidates(&self, settings: &Settings<'_>, _moments: &[Moments]) -> Vec<u32> {
        let penalty = self.penalty(settings);
        let can = |g: &usize| !penalty.excludes(*g);
        (0..self.groups.len()).filter(can).flat_map(|g| self.groups.columns(g)).copied().collect()
    }

    fn weight(&self, settings: &Settings<'_>, j: u32) -> f64 {
        settings.weight(self.group_of[j as usize])
    }

    fn critical(&self, settings: &Settings<'_>, columns: &[u32], products: &[f64]) -> f64 {
        let of = |(g, range): (usize, Range<usize>)| {
            critical(norm(&columns[range], |j| products[j]), settings.weight(g as u32))
        };
        self.parts(columns).map(of).fold(0.0, f64::max)
    }

    fn whole(&self, columns: Vec<u32>) -> Vec<u32> {
        let mut groups: Vec<u32> = columns.iter().map(|j| self.group_of[*j as usize]).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.iter().flat_map(|g| self.groups.columns(*g as usize)).copied().collect()
    }

    fn support_size(&self, used: impl Iterator<Item = u32>) -> usize {
        let mut groups: Vec<u32> = used.map(|j| self.group_of[j as usize]).collect();
        groups.dedup();
        groups.len()
    }

    fn violators(
        &self,
        settings: &Settings<'_>,
        outside: &[u32],
        (moments, products): Known<'_>,
        in_use: usize,
    ) -> Vec<u32> {
        let score = |(g, range): (usize, Range<usize>)| {
            let columns = &outside[range];
            let pull = norm(columns, |j| products[j]);
            let lambda = self.lambda_of(settings, g);
            (violation(pull, lambda, squares(columns, moments)), g as u32)
        };
        let size = self.group_of.len().div_ceil(self.groups.len());
        let most = JOIN.div_ceil(size).max(in_use);
        let new = most_violating(self.parts(outside).map(score), most);
        new.iter().flat_map(|g| self.groups.columns(*g as usize)).copied().collect()
    }

    fn value(&self, settings: &Settings<'_>, columns: &[u32], w: &[f64]) -> f64 {
        let penalty = self.penalty(settings);
        self.parts(columns).map(|(g, range)| penalty.value(g, &w[range])).sum()
    }

    /// `|a| - |b| = (|a|^2 - |b|^2) / (|a| + |b|)`, which keeps its digits.
    fn change(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        w: &[f64],
        step: &[f64],
        t: f64,
    ) -> f64 {
        let of = |(g, range): (usize, Range<usize>)| {
            let (mut before, mut after, mut difference) = (0.0, 0.0, 0.0);
            for (w, d) in w[range.clone()].iter().zip(&step[range]) {
                let moved = w + t * d;
                before += w * w;
                after += moved * moved;
                difference += t * d * (w + moved);
            }
            let lambda = self.lambda_of(settings, g);
            let is_still = lambda == 0.0 || difference == 0.0;
            if is_still { 0.0 } else { lambda * difference / (before.sqrt() + after.sqrt()) }
        };
        self.parts(columns).map(of).sum()
    }

    fn exempt(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        (moments, _): Known<'_>,
        residual: f64,
        _used: impl Iterator<Item = (u32, f64)>,
    ) -> Vec<u32> {
        let is_exempt = |(g, range): &(usize, Range<usize>)| {
            let scale = squares(&columns[range.clone()], moments).sqrt() * residual;
            settings.mu == 0.0 && self.lambda_of(settings, *g) <= NONE * scale
        };
        let parts = self.parts(columns).filter(is_exempt);
        let mut exempt: Vec<u32> = parts.flat_map(|(_, range)| &columns[range]).copied().collect();
        exempt.sort_unstable();
        exempt
    }

    fn variables(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        _used: impl Iterator<Item = (u32, f64)>,
        product: impl Fn(u32) -> (f64, f64) + Copy,
    ) -> Vec<Variable> {
        let of = |(g, range): (usize, Range<usize>)| {
            let columns = &columns[range];
            let h = norm(columns, |j| product(j as u32).0);
            let room = norm(columns, |j| product(j as u32).1);
            Variable { h: h + room, lambda: self.lambda_of(settings, g), reach: f64::INFINITY }
        };
        self.parts(columns).map(of).collect()
    }

    fn minimise<T: Element>(
        &self,
        settings: &Settings<'_>,
        model: &Quadratic<'_, '_, T>,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let in_set: Vec<u32> = self.parts(model.variables).map(|(g, _)| g as u32).collect();
        let (penalty, mu) = (self.penalty(settings), settings.mu);
        model.minimise_blocks(&self.groups, &in_set, (&penalty, mu), enough, stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds;
    use proptest::prelude::*;

    /// Groups of columns 3, 0 and 4, of 2, and of 1, which is constant, and 5.
    fn grouped() -> Grouped {
        let moments: Vec<Moments> = (0..6)
            .map(|j| Moments { product: 0.0, mean: 0.0, squares: if j == 1 { 0.0 } else { 1.0 } })
            .collect();
        let groups = Groups::new([3, 1, 2].into_iter(), vec![3, 0, 4, 2, 1, 5]);
        Grouped::new(groups, 6).without_constants(&moments)
    }

    fn settings(weights: &[f64]) -> Settings<'_> {
        Settings {
            lambda: 0.7,
            mu: 0.0,
            weights: Some(weights),
            bounds: Bounds::of_sign(false),
            tol: 0.0,
            max_iter: 0,
        }
    }

    #[test]
    fn lists_hold_whole_groups() {
        let grouped = grouped();
        assert_eq!(grouped.whole(vec![5, 0]), [3, 0, 4, 5]);
        assert_eq!(grouped.support_size([3, 4, 5].into_iter()), 2);
        let weights = [f64::INFINITY, 0.0, 2.0];
        assert_eq!(grouped.candidates(&settings(&weights), &[]), [2, 5]);
        assert_eq!(grouped.weight(&settings(&weights), 1), 2.0);
    }

    proptest! {
        /// However small the step: it has as many digits as the penalty's slope.
        #[test]
        fn changes_are_those_of_values(
            w in prop::collection::vec(prop_oneof![Just(0.0), -2.0..2.0f64], 5),
            step in prop::collection::vec(prop_oneof![Just(0.0), -2.0..2.0f64], 5),
            size in prop_oneof![Just(1.0), Just(1e-3), Just(1e-9)],
        ) {
            let (grouped, weights) = (grouped(), [1.0, 0.0, 2.0]);
            let (settings, columns) = (settings(&weights), grouped.whole(vec![0, 2, 5]));
            let moved: Vec<f64> = w.iter().zip(&step).map(|(w, d)| w + size * d).collect();
            let value = |w: &[f64]| grouped.value(&settings, &columns, w);
            let change = grouped.change(&settings, &columns, &w, &step, size);
            prop_assert!((change - (value(&moved) - value(&w))).abs() <= 1e-14);
            // The norm is convex: its change is between its slopes at both ends.
            let by_half = grouped.change(&settings, &columns, &w, &step, 0.5 * size);
            prop_assert!(2.0 * by_half <= change + 1e-15 * size);
        }
    }
}
