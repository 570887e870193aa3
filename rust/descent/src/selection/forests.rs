//! Rules that find a forest: a maximal one, of the variables in the order of their scores.

use sparrot_foundation::Error;
use sparrot_foundation::random::Stream;
use sparrot_sparse::forest;

use super::score::Score;
use super::{At, Rule, Selection};
use crate::partition::graph;

/// Greedy forests: of largest score, or random ones.
pub struct Forests {
    random: Stream,
    /// `None` for random orders.
    score: Option<Score>,
    order: Vec<u32>,
}

impl Forests {
    /// A rule for forests of the problem's graph.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no graph, or the rule has no order of the variables.
    pub fn new(selection: Selection, seed: u64, at: &mut At<'_>) -> Result<Forests, Error> {
        graph(at.problem)?;
        let score = match selection {
            Selection::Random => None,
            Selection::Gs | Selection::Gsl | Selection::Gsd | Selection::Gsq => {
                Some(Score::new(selection, at.problem))
            }
            Selection::Cyclic | Selection::Lipschitz => {
                let message = "needs 'random', 'gs', 'gsl', 'gsd' or 'gsq' to find forests";
                return Err(Error::invalid("selection", message));
            }
        };
        let order = (0..at.problem.size() as u32).collect();
        Ok(Forests { random: Stream::new(seed), score, order })
    }
}

impl Rule for Forests {
    fn needs_gradient(&self) -> bool {
        self.score.is_some()
    }

    fn choose(&mut self, at: &mut At<'_>, block: &mut Vec<u32>) -> Result<Option<usize>, Error> {
        if let Some(score) = &self.score {
            let (x, penalty) = (at.x, at.penalty);
            let gradient = at.problem.gradient(at.work)?;
            let scores: Vec<f64> =
                (0..x.len()).map(|i| score.of(i, x[i], gradient[i], penalty)).collect();
            // Of equals the first first, whatever the order was before.
            self.order.sort_unstable_by(|i, j| {
                scores[*j as usize].total_cmp(&scores[*i as usize]).then(i.cmp(j))
            });
        } else {
            let n = self.order.len();
            self.random.shuffle_first(&mut self.order, n);
        }
        *block = forest::greedy(graph(at.problem)?, self.order.iter().copied());
        Ok(None)
    }
}
