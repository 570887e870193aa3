//! What is asked of a model, and what it answers: the same for all losses.

use sparrot_design::Moments;
use sparrot_foundation::{Error, Status, Stop, Team, Trace};

use crate::active::Penalties;
use crate::bounds::{Bounds, Held};
use crate::certificate::Variable;
use crate::structure::{Known, Structure};

/// What to solve, for `sum w_i (y_i - x_i'w - b)^2 / 2 + lambda sum v_j |w_j| + mu |w|^2 / 2` within
/// bounds, or with another loss or the norms of groups.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// lambda.
    pub lambda: f64,
    /// mu.
    pub mu: f64,
    /// v, of columns or groups: at least 0, infinity for those that are left out; `None` for 1.
    pub weights: Option<&'a [f64]>,
    /// What coefficients may be.
    pub bounds: Bounds<'a>,
    /// The gap to reach, as a share of the objective at 0.
    pub tol: f64,
    /// Passes over the columns at most.
    pub max_iter: usize,
}

impl Settings<'_> {
    /// v of a column.
    pub fn weight(&self, j: u32) -> f64 {
        self.weights.map_or(1.0, |v| v[j as usize])
    }

    /// `lambda v` of a column.
    pub fn lambda_of(&self, j: u32) -> f64 {
        self.lambda * self.weight(j)
    }

    /// The penalties of these columns.
    pub fn penalties(&self, columns: &[u32]) -> Penalties {
        Penalties {
            lambda: columns.iter().map(|j| self.lambda_of(*j)).collect(),
            mu: self.mu,
            bounds: columns.iter().map(|j| self.bounds.of(*j)).collect(),
        }
    }

    /// What a certificate needs to know: of each of these columns the sides at whose end its
    /// coefficient is not, and of those that are held that end. `of` is a product with a column, and
    /// by how much it may be off.
    pub fn variables<'b>(
        &'b self,
        columns: impl Iterator<Item = u32> + 'b,
        held: &'b Held,
        of: impl Fn(u32) -> (f64, f64) + Copy + 'b,
    ) -> impl Iterator<Item = Variable> + 'b {
        let open = move |j| self.open_variable(j, of(j), held);
        columns.map(open).chain(self.held_variables(held, of))
    }

    /// Of a column with this product, the sides at whose end its coefficient is not.
    pub fn open_variable(&self, j: u32, (h, room): (f64, f64), held: &Held) -> Variable {
        let h = held.open(j, self.bounds.of(j)).pull(h) + room;
        Variable { h, lambda: self.lambda_of(j), reach: f64::INFINITY }
    }

    /// Those at whose end one is.
    pub fn held_variables<'b>(
        &'b self,
        held: &'b Held,
        of: impl Fn(u32) -> (f64, f64) + 'b,
    ) -> impl Iterator<Item = Variable> + 'b {
        held.iter().map(move |(j, w)| {
            let (h, room) = of(j);
            Variable { h: h * w.signum() + room, lambda: self.lambda_of(j), reach: w.abs() }
        })
    }

    /// Whether the dual asks for a product of 0 with a column: it has no penalty to speak of, and its
    /// coefficient, w, is not at a bound at which a slope keeps it.
    pub fn is_exempt(&self, column: Exemption, w: impl Fn() -> f64) -> bool {
        /// A slope below this share of `|x_j| |r|` cannot be told from rounding.
        const SLOPE: f64 = 1e-9;
        let Exemption { j, product, scale } = column;
        let is_kept = || {
            let (interval, least) = (self.bounds.of(j), SLOPE * scale);
            (product > least && w() == interval.upper)
                || (product < -least && w() == interval.lower)
        };
        self.mu == 0.0 && self.lambda_of(j) <= NONE * scale && !is_kept()
    }

    /// The columns that can be in a model: not constant, not left out, not bounded by 0 alone.
    pub fn candidates(&self, moments: &[Moments]) -> Vec<u32> {
        let can = |j: &u32| {
            let interval = self.bounds.of(*j);
            moments[*j as usize].squares > 0.0
                && self.weight(*j) < f64::INFINITY
                && interval.lower < interval.upper
        };
        (0..moments.len() as u32).filter(can).collect()
    }
}

/// What [`Settings::is_exempt`] asks of a column.
#[derive(Clone, Copy, Debug)]
pub struct Exemption {
    /// Which it is.
    pub j: u32,
    /// Its product with the residual,
    pub product: f64,
    /// and the product of their norms.
    pub scale: f64,
}

/// A solution.
#[derive(Clone, Debug)]
pub struct Point {
    /// The columns whose coefficients are not 0, ascending,
    pub columns: Vec<u32>,
    /// and their coefficients: those of a column, one for each response, one after the other.
    pub coefficients: Vec<f64>,
    /// b, of each response.
    pub intercepts: Vec<f64>,
    /// The objective.
    pub objective: f64,
    /// The objective minus a lower bound of its minimum; of a penalty that is not convex the
    /// stationarity.
    pub certificate: f64,
    /// How it ended.
    pub status: Status,
    /// Passes over the columns.
    pub iterations: usize,
    /// Newton steps, or sweeps over working sets.
    pub steps: usize,
    /// The objective, the certificate as compared with the tolerance, and the size of the support.
    pub trace: Trace,
}

/// That an answer is one: numbers.
///
/// # Errors
/// [`Error::InvalidInput`] if an intercept, a coefficient or the objective is not finite.
pub fn check_finite<'a>(
    objective: f64,
    coefficients: impl IntoIterator<Item = &'a f64>,
) -> Result<(), Error> {
    if objective.is_finite() && coefficients.into_iter().all(|w| w.is_finite()) {
        return Ok(());
    }
    let message = "has columns so small beside y, or so nearly dependent, that coefficients or the \
                   objective overflow: scale it";
    Err(Error::invalid("X", message))
}

/// `mu |w|^2 / 2`.
pub fn ridge(mu: f64, w: &[f64]) -> f64 {
    // Without mu squares may overflow.
    if mu > 0.0 { 0.5 * mu * w.iter().map(|w| w * w).sum::<f64>() } else { 0.0 }
}

/// Those of `left` that are exempt, ascending as they are, with the coefficients in use.
pub fn exempt(
    left: &[u32],
    settings: &Settings<'_>,
    (moments, products): Known<'_>,
    residual: f64,
    used: impl Iterator<Item = (u32, f64)>,
) -> Vec<u32> {
    let used: std::collections::HashMap<u32, f64> = used.collect();
    let is_exempt = |j: &u32| {
        let scale = moments[*j as usize].squares.sqrt() * residual;
        let product = products[*j as usize];
        let w = || used.get(j).copied().unwrap_or(0.0);
        settings.is_exempt(Exemption { j: *j, product, scale }, w)
    };
    left.iter().copied().filter(is_exempt).collect()
}

/// A penalty below this share of `|x_j| |r|` cannot be told from none.
pub const NONE: f64 = 1e-13;

/// By how much lambda is raised until no column with a penalty is in the model.
pub const RAISE: f64 = 4.0;

/// A model, and the solution so far: a path is a sequence of solves.
pub trait Model {
    /// What its penalty makes of the columns.
    type Structure: Structure;

    /// The same.
    fn structure(&self) -> Self::Structure;

    /// What is known of the columns; the products are those at 0, of a single response.
    fn moments(&self) -> &[Moments];

    /// The products of all columns with the residuals at 0, by response.
    fn products_at_0(&self) -> Vec<Vec<f64>> {
        vec![self.moments().iter().map(|m| m.product).collect()]
    }

    /// The products of these columns with the residuals at hand, into their places among all, by
    /// response.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn products(
        &mut self,
        columns: &[u32],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Vec<&[f64]>, Error>;

    /// The sum of the weights of the rows.
    fn total(&self) -> f64;

    /// Goes to these columns and coefficients, from 0.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    fn start(
        &mut self,
        columns: &[u32],
        coefficients: &[f64],
        stop: &Stop<'_>,
    ) -> Result<(), Error>;

    /// Solves, from where it stands.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OutOfMemory`].
    fn solve(
        &mut self,
        settings: &Settings<'_>,
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Point, Error>;
}

/// The least lambda at which all coefficients with a penalty are 0. With columns without a penalty it
/// is that of the model of those alone, which is found first.
///
/// # Errors
/// As [`Model::solve`].
pub fn lambda_max(
    model: &mut impl Model,
    settings: &Settings<'_>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<f64, Error> {
    let structure = model.structure();
    let candidates = structure.candidates(settings, model.moments());
    let of_response = |products: &[f64]| structure.critical(settings, &candidates, products);
    let of = |responses: Vec<&[f64]>| responses.into_iter().map(of_response).fold(0.0, f64::max);
    let mut largest = of(model.products_at_0().iter().map(|products| &products[..]).collect());
    if settings.weights.is_none_or(|v| v.iter().all(|v| *v > 0.0)) {
        return Ok(largest);
    }
    let mut lambda = RAISE * largest.max(f64::MIN_POSITIVE);
    loop {
        let point = model.solve(&Settings { lambda, mu: 0.0, ..*settings }, team, stop)?;
        largest = of(model.products(&candidates, team, stop)?);
        let is_free = |j: &u32| structure.weight(settings, *j) == 0.0;
        let is_done = point.columns.iter().all(is_free);
        if is_done || !(RAISE * lambda).is_finite() || stop.is_late() {
            return Ok(largest);
        }
        lambda *= RAISE;
    }
}
