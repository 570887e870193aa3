//! The parameters of the layers.

use sparrot_design::{Design, Element};
use sparrot_foundation::{Error, Stop};

use crate::norm::squared_norm;

/// Steps and penalties of the layers, first to last, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// `log gamma_t`.
    pub log_steps: Vec<f64>,
    /// `log alpha_t`; minus infinity for no penalty.
    pub log_alphas: Vec<f64>,
}

impl Network {
    /// The plain algorithm: the same step and penalty in all layers.
    pub fn plain(depth: usize, step: f64, alpha: f64) -> Network {
        Network { log_steps: vec![step.ln(); depth], log_alphas: vec![alpha.ln(); depth] }
    }

    /// How many layers there are.
    pub fn depth(&self) -> usize {
        self.log_steps.len()
    }

    /// Step and penalty of a layer.
    pub fn layer(&self, t: usize) -> (f64, f64) {
        (self.log_steps[t].exp(), self.log_alphas[t].exp())
    }
}

/// `1 / |A|^2`, the step of the plain algorithm; 1 for a matrix of zeros.
///
/// # Errors
/// [`Error::InvalidInput`] if there is no such number; [`Error::Interrupted`], [`Error::OutOfMemory`].
pub fn plain_step<T: Element>(dictionary: &Design<'_, T>, stop: &Stop<'_>) -> Result<f64, Error> {
    let square = squared_norm(dictionary, stop)?;
    match 1.0 / square {
        _ if square == 0.0 => Ok(1.0),
        step if step.is_finite() && step > 0.0 => Ok(step),
        _ => {
            let message = "has a norm whose square is out of range: rescale it";
            Err(Error::invalid("dictionary", message))
        }
    }
}
