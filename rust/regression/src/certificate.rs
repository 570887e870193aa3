//! How far coefficients are from the optimum, at most: the duality gap.
//!
//! With r the residual, h_j = x_j'r - mu w_j and a share s in [0, 1], `s (r, -sqrt(mu) w)` is a
//! feasible point of the dual if `s |h_j| <= lambda_j` for all j (`s h_j`, if coefficients are not
//! negative), and its value
//!
//! ```text
//! D = (|y|^2 - |y - s r|^2 - s^2 mu |w|^2) / 2
//! ```
//!
//! is a lower bound of the minimum. Variables without a penalty ask for h_j = 0, which holds up to
//! rounding after a solve: what is below `SLACK` of `|x_j| |y|` counts as 0.

/// See above.
const SLACK: f64 = 1e-10;

/// What a certificate needs to know of a variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// h.
    pub h: f64,
    /// lambda.
    pub lambda: f64,
    /// `|x|^2`.
    pub squares: f64,
}

/// The share s: 1, or as much less as the variables ask for.
pub fn share(variables: impl Iterator<Item = Variable>, positive: bool, yy: f64) -> f64 {
    let mut share = 1.0f64;
    for Variable { h, lambda, squares } in variables {
        let excess = if positive { h } else { h.abs() };
        if excess > lambda {
            let is_rounding = lambda == 0.0 && excess <= SLACK * (squares * yy).sqrt();
            if !is_rounding {
                share = share.min(lambda / excess);
            }
        }
    }
    share
}

/// D at that share; `norm` is `|w|^2`.
pub fn dual_value(share: f64, y: &[f64], residual: &[f64], yy: f64, mu: f64, norm: f64) -> f64 {
    let away: f64 = y.iter().zip(residual).map(|(y, r)| (y - share * r).powi(2)).sum();
    0.5 * (yy - away - share * share * mu * norm)
}
