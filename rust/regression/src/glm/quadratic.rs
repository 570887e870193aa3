//! The minimum of the quadratic model at a point, a weighted Lasso: see [`crate::glm`].

use sparrot_design::Element;
use sparrot_design::loss::RowLoss;
use sparrot_foundation::{Error, Stop, Team};

use super::Glm;
use crate::active::{Active, Penalties};
use crate::data::Data;
use crate::row_descent::RowDescent;
use crate::working_set::WorkingSet;

/// What the solution of a model leaves of its gap, at most.
const INEXACT: f64 = 0.1;
/// Models of so many columns are solved by descent on rows.
const MANY: usize = 100;
/// Curvatures are at least this share of their bound, if they have one: rows that are far on the
/// right side have none.
const LEAST_CURVATURE: f64 = 1e-8;

impl<T: Element, L: RowLoss> Glm<'_, T, L> {
    /// The minimum of the quadratic model, to a gap of `enough`: coefficients and intercept.
    pub(super) fn model_minimum(
        &mut self,
        penalties: &Penalties,
        enough: f64,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<(Vec<f64>, f64), Error> {
        let n = self.y.len();
        let curvatures = self.curvatures(LEAST_CURVATURE);
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
        if self.centred {
            let sums = self.design.columns_product(&self.variables, &curvatures, team, stop)?;
            for (j, sum) in self.variables.iter().zip(sums) {
                self.moments[*j as usize].mean = sum / total;
            }
        }
        let mut data = Data {
            design: self.design,
            moments: std::mem::take(&mut self.moments),
            roots: curvatures.iter().map(|h| h.sqrt()).collect(),
            y: vec![0.0; n], // the set's products with it are given
            yy: 0.0,
            y_mean: mean,
            total,
            centred: self.centred,
        };
        let solved = if self.variables.len() < MANY {
            self.by_products(&data, penalties, products, yy, enough, stop)
        } else {
            self.by_rows(&data, penalties, enough, stop)
        };
        let solved = solved.map(|w| {
            let pairs = self.variables.iter().map(|j| *j as usize).zip(w.iter().copied());
            (w.clone(), data.intercept(pairs))
        });
        self.moments = std::mem::take(&mut data.moments);
        solved
    }

    /// Solves the model with the products of all pairs of its columns.
    fn by_products(
        &self,
        data: &Data<'_, T>,
        penalties: &Penalties,
        products: Vec<f64>,
        yy: f64,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let mut set = WorkingSet::new(self.products.len());
        set.add(data, &self.variables, stop)?;
        let mut active = Active::default();
        active.resume(&set, products, &self.w, penalties.mu)?;
        // A model may promise much less than the gap at hand, but is to be solved all the same.
        let enough = enough.min(INEXACT * active.gap(penalties, yy));
        active.solve(&set, penalties, yy, enough, stop)?;
        Ok(active.w)
    }

    /// Solves the model by descent on its residual.
    fn by_rows(
        &self,
        data: &Data<'_, T>,
        penalties: &Penalties,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        let mean =
            if self.centred { self.derivatives.iter().sum::<f64>() / data.total } else { 0.0 };
        let rows = self.derivatives.iter().zip(&data.roots);
        let residual = rows.map(|(r, root)| if *root > 0.0 { root * mean - r / root } else { 0.0 });
        let mut descent =
            RowDescent::new(data, &self.variables, self.w.clone(), residual.collect())?;
        descent.solve(penalties, enough, INEXACT, stop)?;
        Ok(descent.w)
    }
}
