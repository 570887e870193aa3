//! The step of the parameters: Adam (Kingma and Ba, *Adam: A Method for Stochastic Optimization*,
//! ICLR 2015, algorithm 1), with its constants.

const MEAN: f64 = 0.9;
const SQUARES: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Running moments of the gradient.
#[derive(Clone, Debug)]
pub struct Adam {
    mean: Vec<f64>,
    squares: Vec<f64>,
    count: i32,
}

impl Adam {
    /// Of so many parameters.
    pub fn new(parameters: usize) -> Adam {
        Adam { mean: vec![0.0; parameters], squares: vec![0.0; parameters], count: 0 }
    }

    /// Counts the step that the next calls of [`Self::descend`] take.
    pub fn begin(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// Moves the parameters from `first` on, against `scale` times the gradient.
    pub fn descend(
        &mut self,
        first: usize,
        parameters: &mut [f64],
        gradient: &[f64],
        scale: f64,
        rate: f64,
    ) {
        let (fresh_mean, fresh_squares) =
            (1.0 - MEAN.powi(self.count), 1.0 - SQUARES.powi(self.count));
        let moments = self.mean[first..].iter_mut().zip(&mut self.squares[first..]);
        for ((parameter, g), (m, s)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = scale * g;
            *m = MEAN * *m + (1.0 - MEAN) * g;
            *s = SQUARES * *s + (1.0 - SQUARES) * g * g;
            *parameter -= rate * (*m / fresh_mean) / ((*s / fresh_squares).sqrt() + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_and_a_bowl_is_descended() {
        let (mut adam, mut x) = (Adam::new(1), [3.0]);
        for step in 0..2000 {
            adam.begin();
            let gradient = [2.0 * x[0]];
            adam.descend(0, &mut x, &gradient, 1.0, 0.01);
            assert!(step > 0 || (x[0] - 2.99f64).abs() < 1e-9);
        }
        assert!(x[0].abs() < 1e-2);
    }
}
