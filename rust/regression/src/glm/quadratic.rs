//! The minimum of the quadratic model at a point, a weighted Lasso, or one of groups: see
//! [`crate::glm`].

use sparrot_design::Element;
use sparrot_design::loss::RowLoss;
use sparrot_foundation::{Error, Stop, Team};
use sparrot_prox::BlockPenalty;

use super::Glm;
use crate::active::{Active, Penalties};
use crate::block_descent::{BlockDescent, Target};
use crate::data::Data;
use crate::groups::Groups;
use crate::model::Settings;
use crate::row_descent::RowDescent;
use crate::structure::Structure;
use crate::working_set::WorkingSet;

/// What the solution of a model leaves of its gap, at most.
const INEXACT: f64 = 0.1;
/// Models of so many columns are solved by descent on rows.
const MANY: usize = 100;
/// Curvatures are at least this share of their bound, if they have one, times the slope: rows that are far
/// on the wrong side have none, and those on the right side need none.
const LEAST_CURVATURE: f64 = 1e-8;

/// The model, of the columns of the set: a least-squares problem of weighted rows.
pub struct Quadratic<'m, 'a, T> {
    /// The columns,
    pub variables: &'m [u32],
    /// and their coefficients at the point.
    w: &'m [f64],
    /// The derivatives of the loss there.
    derivatives: &'m [f64],
    data: Data<'a, T>,
    /// The products of the columns with the working response, and its squares.
    products: Vec<f64>,
    yy: f64,
}

impl<T: Element, L: RowLoss, S: Structure> Glm<'_, T, L, S> {
    /// The minimum of the quadratic model, to a gap of `enough`: coefficients and intercept.
    pub(super) fn model_minimum(
        &mut self,
        settings: &Settings<'_>,
        enough: f64,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(Vec<f64>, f64), Error> {
        let n = self.y.len();
        let curvatures = self.curvatures(LEAST_CURVATURE, self.caution);
        // Of the working response: value - derivative / curvature, times the curvature.
        let total: f64 = curvatures.iter().sum();
        let own = |i: usize| self.values[i] - self.offsets[i];
        let pulled: Vec<f64> =
            (0..n).map(|i| curvatures[i] * own(i) - self.derivatives[i]).collect();
        let mean = if self.centred { pulled.iter().sum::<f64>() / total } else { 0.0 };
        let centred: Vec<f64> = (0..n).map(|i| pulled[i] - curvatures[i] * mean).collect();
        let rows = centred.iter().zip(&curvatures).filter(|(_, h)| **h > 0.0);
        let yy: f64 = rows.map(|(v, h)| v * v / h).sum();
        let products = self.design.columns_product(&self.variables, &centred, team, stop)?;
        // Of these weights for as long as the model is.
        let mut means = vec![];
        if self.centred {
            let sums = self.design.columns_product(&self.variables, &curvatures, team, stop)?;
            for (j, sum) in self.variables.iter().zip(sums) {
                let mean = &mut self.moments[*j as usize].mean;
                means.push(std::mem::replace(mean, sum / total));
            }
        }
        let data = Data {
            design: self.design,
            moments: std::mem::take(&mut self.moments),
            roots: curvatures.iter().map(|h| h.sqrt()).collect(),
            y: vec![0.0; n], // the set's products with it are given
            yy: 0.0,
            y_mean: mean,
            total,
            centred: self.centred,
        };
        let (variables, w) = (&self.variables[..], &self.w[..]);
        let derivatives = &self.derivatives[..];
        let model = Quadratic { variables, w, derivatives, data, products, yy };
        let solved = self.structure.minimise(settings, &model, enough, stop).map(|w| {
            let pairs = variables.iter().map(|j| *j as usize).zip(w.iter().copied());
            let intercept = model.data.intercept(pairs);
            (w, intercept)
        });
        let Quadratic { data, .. } = model;
        self.moments = data.moments;
        for (j, mean) in self.variables.iter().zip(means) {
            self.moments[*j as usize].mean = mean;
        }
        solved
    }
}

impl<T: Element> Quadratic<'_, '_, T> {
    /// The minimum with penalties of single coefficients.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn minimise_single(
        &self,
        penalties: &Penalties,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        if self.variables.len() < MANY {
            self.by_products(penalties, enough, stop)
        } else {
            self.by_rows(penalties, enough, stop)
        }
    }

    /// The minimum with a penalty of blocks, which are these groups, one after the other, and a ridge.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    pub fn minimise_blocks(
        &self,
        groups: &Groups,
        in_set: &[u32],
        (penalty, mu): (&impl BlockPenalty, f64),
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let by_column = |values: &[f64]| {
            let mut all = vec![0.0; self.data.moments.len()];
            self.variables.iter().zip(values).for_each(|(j, value)| all[*j as usize] = *value);
            all
        };
        let mut set = self.working_set(stop)?;
        set.add_to_diagonal(mu);
        let (products, w) = (by_column(&self.products), by_column(self.w));
        let mut descent = BlockDescent::new(1);
        descent.extend(in_set, groups, &set, |_, j| products[j], stop)?;
        descent.start(&set, |_, j| w[j]);
        let enough = enough.min(INEXACT * descent.gap(penalty, self.yy));
        descent.solve(&set, penalty, self.yy, Target::Gap(enough), stop)?;
        Ok(descent.w.swap_remove(0))
    }

    /// The columns with the products of all pairs of them.
    fn working_set(&self, stop: &Stop<'_>) -> Result<WorkingSet, Error> {
        let mut set = WorkingSet::new(self.data.moments.len());
        set.add(&self.data, self.variables, stop)?;
        Ok(set)
    }

    fn by_products(
        &self,
        penalties: &Penalties,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let set = self.working_set(stop)?;
        let mut active = Active::default();
        active.resume(&set, self.products.clone(), self.w, penalties.mu)?;
        // A model may promise much less than the gap at hand, but is to be solved all the same.
        let enough = enough.min(INEXACT * active.gap(penalties, self.yy));
        active.solve(&set, penalties, self.yy, enough, stop)?;
        Ok(active.w)
    }

    /// By descent on the residual.
    fn by_rows(
        &self,
        penalties: &Penalties,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let data = &self.data;
        let sum = if data.centred { self.derivatives.iter().sum::<f64>() } else { 0.0 };
        let mean = sum / data.total;
        let rows = self.derivatives.iter().zip(&data.roots);
        let residual = rows.map(|(r, root)| if *root > 0.0 { root * mean - r / root } else { 0.0 });
        let mut descent =
            RowDescent::new(data, self.variables, self.w.to_vec(), residual.collect())?;
        descent.solve(penalties, enough, INEXACT, stop)?;
        Ok(descent.w)
    }
}
