//! The parameters of the layers.

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
