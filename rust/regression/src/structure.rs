//! What a penalty makes of the columns: each by itself, or groups of them.
//!
//! ```text
//! lambda sum_j v_j |w_j|,    or    lambda sum over groups g of v_g |w_g|_2
//! ```
//!
//! A model with a loss ([`crate::glm`]) asks of its penalty only what is here, so that its steps, its
//! working set and its certificate are the same for all of them. [`Single`] is the first penalty, with
//! bounds; [`crate::grouped`] the second.

use sparrot_design::{Element, Moments};
use sparrot_foundation::{Error, Stop};

use crate::bounds::Held;
use crate::certificate::Variable;
use crate::glm::Quadratic;
use crate::model::{self, Settings};
use crate::working_set::violators;

/// What is known of all columns: their moments, and their products with the residual at hand.
pub type Known<'a> = (&'a [Moments], &'a [f64]);

/// How a penalty ties columns together. Lists of columns have those that are tied one after the other.
pub trait Structure: Clone {
    /// The same for columns of these moments, of which constant ones are not to be in a model.
    fn without_constants(&self, moments: &[Moments]) -> Self;

    /// The columns that can be in a model.
    fn candidates(&self, settings: &Settings<'_>, moments: &[Moments]) -> Vec<u32>;

    /// v of a column.
    fn weight(&self, settings: &Settings<'_>, j: u32) -> f64;

    /// The least lambda at which columns that are 0 stay so, with these products of all columns.
    fn critical(&self, settings: &Settings<'_>, columns: &[u32], products: &[f64]) -> f64;

    /// These columns, and those that are tied to them.
    fn whole(&self, columns: Vec<u32>) -> Vec<u32>;

    /// How much is in use, of columns in the order of [`Self::whole`].
    fn support_size(&self, used: impl Iterator<Item = u32>) -> usize;

    /// What joins a set in which so much is in use: of the columns outside those that violate their
    /// conditions most.
    fn violators(
        &self,
        settings: &Settings<'_>,
        outside: &[u32],
        known: Known<'_>,
        in_use: usize,
    ) -> Vec<u32>;

    /// The penalty, without mu's part.
    fn value(&self, settings: &Settings<'_>, columns: &[u32], w: &[f64]) -> f64;

    /// By how much it changes for w and t times a step.
    fn change(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        w: &[f64],
        step: &[f64],
        t: f64,
    ) -> f64;

    /// The columns with which the dual asks for a product of 0, ascending, for a residual of this norm.
    fn exempt(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        known: Known<'_>,
        residual: f64,
        used: impl Iterator<Item = (u32, f64)>,
    ) -> Vec<u32>;

    /// What a certificate needs to know of these columns and the coefficients in use among them, from
    /// products with single columns and by how much they may be off.
    fn variables(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        used: impl Iterator<Item = (u32, f64)>,
        product: impl Fn(u32) -> (f64, f64) + Copy,
    ) -> Vec<Variable>;

    /// The minimum of a quadratic model with this penalty, to a gap of `enough`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    fn minimise<T: Element>(
        &self,
        settings: &Settings<'_>,
        model: &Quadratic<'_, '_, T>,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error>;
}

/// Every column by itself.
#[derive(Clone, Copy, Debug)]
pub struct Single;

impl Structure for Single {
    /// They are no candidates.
    fn without_constants(&self, _moments: &[Moments]) -> Single {
        Single
    }

    fn candidates(&self, settings: &Settings<'_>, moments: &[Moments]) -> Vec<u32> {
        settings.candidates(moments)
    }

    fn weight(&self, settings: &Settings<'_>, j: u32) -> f64 {
        settings.weight(j)
    }

    fn critical(&self, settings: &Settings<'_>, columns: &[u32], products: &[f64]) -> f64 {
        let pull = |j: u32| settings.bounds.of(j).pull(products[j as usize]);
        columns.iter().map(|j| critical(pull(*j), settings.weight(*j))).fold(0.0, f64::max)
    }

    fn whole(&self, columns: Vec<u32>) -> Vec<u32> {
        columns
    }

    fn support_size(&self, used: impl Iterator<Item = u32>) -> usize {
        used.count()
    }

    fn violators(
        &self,
        settings: &Settings<'_>,
        outside: &[u32],
        (moments, products): Known<'_>,
        in_use: usize,
    ) -> Vec<u32> {
        violators(outside.iter().copied(), products, moments, settings, in_use)
    }

    fn value(&self, settings: &Settings<'_>, columns: &[u32], w: &[f64]) -> f64 {
        let used = columns.iter().zip(w).filter(|(_, w)| **w != 0.0);
        used.map(|(j, w)| settings.lambda_of(*j) * w.abs()).sum()
    }

    fn change(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        w: &[f64],
        step: &[f64],
        t: f64,
    ) -> f64 {
        let of = |((j, w), d): ((&u32, &f64), &f64)| {
            let lambda = settings.lambda_of(*j);
            if lambda > 0.0 { lambda * ((w + t * d).abs() - w.abs()) } else { 0.0 }
        };
        columns.iter().zip(w).zip(step).filter(|(_, d)| **d != 0.0).map(of).sum()
    }

    fn exempt(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        known: Known<'_>,
        residual: f64,
        used: impl Iterator<Item = (u32, f64)>,
    ) -> Vec<u32> {
        model::exempt(columns, settings, known, residual, used)
    }

    fn variables(
        &self,
        settings: &Settings<'_>,
        columns: &[u32],
        used: impl Iterator<Item = (u32, f64)>,
        product: impl Fn(u32) -> (f64, f64) + Copy,
    ) -> Vec<Variable> {
        let held = Held::among(settings.bounds, used);
        settings.variables(columns.iter().copied(), &held, product).collect()
    }

    fn minimise<T: Element>(
        &self,
        settings: &Settings<'_>,
        model: &Quadratic<'_, '_, T>,
        enough: f64,
        stop: &Stop<'_>,
    ) -> Result<Vec<f64>, Error> {
        model.minimise_single(&settings.penalties(model.variables), enough, stop)
    }
}

/// The lambda from which on a pull moves nothing that has this weight; 0 if there is none, or none is
/// needed.
pub fn critical(pull: f64, weight: f64) -> f64 {
    let ratio = pull / weight;
    if weight > 0.0 && ratio.is_finite() { ratio } else { 0.0 }
}
