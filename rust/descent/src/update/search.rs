//! The line search: the first of some steps with a decrease of at least a share of what the slope
//! promises, by quadratic and then cubic interpolation (arXiv 1712.08859's code, with safeguards).

use sparrot_foundation::Error;

/// The share of the slope's promise that is asked for.
const SHARE: f64 = 1e-10;
/// Trials at most.
const TRIALS: usize = 40;
/// A trial is at least this, and at most half, of the last one.
const LEAST: f64 = 0.1;

/// The first good step with its change of the objective; `None` if there was none.
/// `change(alpha)` is F's change for a step of alpha, and `slope` below 0 its derivative at 0.
///
/// # Errors
/// Those of `change`.
pub fn search(
    slope: f64,
    mut change: impl FnMut(f64) -> Result<f64, Error>,
) -> Result<Option<(f64, f64)>, Error> {
    let mut alpha = 1.0;
    let mut last: Option<(f64, f64)> = None; // a trial, and how far it was above the tangent
    for _ in 0..TRIALS {
        let value = change(alpha)?;
        if value <= SHARE * alpha * slope {
            return Ok(Some((alpha, value)));
        }
        let above = value - alpha * slope;
        let guess = match last {
            None => -slope * alpha * alpha / (2.0 * above),
            Some(last) => cubic(slope, (alpha, above), last),
        };
        last = Some((alpha, above));
        // Also where there is no guess, or it is not a number.
        alpha = guess.max(LEAST * alpha).min(0.5 * alpha);
    }
    Ok(None)
}

/// Where the cubic through two trials, with the value 0 and the slope at 0, is least.
fn cubic(slope: f64, (s, above_s): (f64, f64), (t, above_t): (f64, f64)) -> f64 {
    let (p, q) = (above_s / (s * s), above_t / (t * t));
    let a = (p - q) / (s - t);
    let b = (s * q - t * p) / (s - t);
    (-b + (b * b - 3.0 * a * slope).sqrt()) / (3.0 * a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_are_minimised_exactly() {
        // 2 a^3 + a^2 - a / 2: least where 6 a^2 + 2 a = 1 / 2
        let above = |a: f64| 2.0 * a.powi(3) + a * a;
        let best = cubic(-0.5, (0.5, above(0.5)), (1.0, above(1.0)));
        assert!((6.0 * best * best + 2.0 * best - 0.5).abs() < 1e-12);
    }

    #[test]
    fn finds_a_decrease_or_says_so() {
        let quartic = |a: f64| Ok(100.0 * a.powi(4) - a);
        let (alpha, value) = search(-1.0, quartic).unwrap().unwrap();
        assert!(value < 0.0 && alpha < 0.25);
        // Infinite and undefined values shorten the step.
        let walled = |a: f64| Ok(if a > 0.01 { f64::NAN } else { -a });
        assert!(search(-1.0, walled).unwrap().unwrap().0 <= 0.01);
        assert_eq!(search(-1.0, |_| Ok(1.0)).unwrap(), None);
    }
}
