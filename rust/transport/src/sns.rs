//! Sinkhorn-Newton-Sparse (Algorithm 1).
//!
//! Stage 1 is [`crate::sinkhorn`]. Stage 2 (lines 9-15) repeats
//!
//! ```text
//! M = Sparsify(-reg * Hessian);  dz = CG(M, gradient);  alpha = line search;  z = z + alpha dz
//! ```
//!
//! The paper states no line search constants, no rule to stop and no safeguard. Here:
//!
//! * **Line search**: halve `alpha` from 1 until Armijo's condition holds. The gain is computed as
//!   a difference (`alpha dz.(a, b) - (mass after - mass before)`), so that near the solution,
//!   where it is far below the rounding of the dual value, it still means something; within that
//!   rounding a step must bring the marginals closer instead. A trial step that overflows has value
//!   `-inf` and is refused like any other.
//! * **Failure**: when no step is accepted, another stage 1 follows, twice as long each time, and
//!   the diagonal of `M` is enlarged (Levenberg) until full steps are accepted again.
//! * **End**: ten steps that do not bring the error down by a tenth, once it is below 1e-8, have met
//!   rounding: the run ends as `Stalled`.
//! * A run that ends without having converged returns the best potentials it has seen.
//! * **Growing density** (`growth > 1`; not in the paper, whose density is fixed): a step that
//!   does not halve the error shows that too much of the Hessian was dropped, and the density is
//!   multiplied. From a quarter on the plan itself is used: Newton's method proper.

use sparrot_foundation::{Error, Status};
use sparrot_simd::reduce;

use crate::gibbs::Gibbs;
use crate::hessian::{Block, Hessian};
use crate::run::{Ended, Phase, ROUNDING_SHOWS_BELOW, Run};
use crate::sinkhorn::Sinkhorn;
use crate::sparsify::Sparsifier;

/// The settings of the method; the defaults are the paper's where it has any.
#[derive(Clone, Debug, PartialEq)]
pub struct SnsSettings {
    /// `N1`, the Sinkhorn iterations of stage 1.
    pub n_sinkhorn: usize,
    /// The share of the plan's entries that the Hessian keeps; `None` for `2 (n + m) / (n m)`,
    /// which for n = m is the paper's `lambda = 2/n`: see [`crate::sparsify`].
    pub density: Option<f64>,
    /// What the density is multiplied by after a step that did not halve the error.
    pub growth: f64,
    /// The relative residual at which conjugate gradients stop.
    pub cg_tol: f64,
    /// Their iterations, at most.
    pub cg_max_iter: usize,
    /// The share of the predicted gain that a step must bring.
    pub armijo: f64,
    /// Halvings of a step before it is given up.
    pub max_halvings: usize,
}

impl Default for SnsSettings {
    fn default() -> Self {
        SnsSettings {
            n_sinkhorn: 20,
            density: None,
            growth: 1.0,
            cg_tol: 1e-3,
            cg_max_iter: 1000,
            armijo: 1e-4,
            max_halvings: 12,
        }
    }
}

/// From this density on the whole plan is used: a sparse product would read as many bytes.
const WHOLE: f64 = 0.25;

/// Steps that bring the error down by less than a tenth in all, from below this, end the run.
const PATIENCE: usize = 10;

/// Runs both stages until the marginal error is at most `target`, or says why it stopped.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Infeasible`], [`Error::OutOfMemory`].
pub fn run(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    settings: &SnsSettings,
    target: f64,
) -> Result<Ended, Error> {
    let mut best = Best { error: f64::INFINITY, phi: vec![], psi: vec![], age: 0 };
    let ended = both_stages(run, gibbs, settings, target, &mut best)?;
    if ended != Ended::Done && best.error < run.last_error() {
        (run.phi, run.psi) = (best.phi, best.psi);
    }
    Ok(ended)
}

fn both_stages(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    settings: &SnsSettings,
    target: f64,
    best: &mut Best,
) -> Result<Ended, Error> {
    let (n, m) = (run.phi.len(), run.psi.len());
    let entries = n as f64 * m as f64;
    let mut density = settings.density.unwrap_or(2.0 * (n + m) as f64 / entries).clamp(0.0, 1.0);
    let mut sinkhorn = Sinkhorn::new(n, m);
    let mut sparsifier = Sparsifier::default();
    let mut damping = 0.0;
    let mut stage_one = settings.n_sinkhorn;
    let mut next_stage_one = settings.n_sinkhorn.max(1);
    // The stored plan is that of the potentials after a stage 1 and after every Newton step.
    let mut is_stored = false;
    loop {
        if stage_one > 0 || !is_stored {
            let left = run.max_iter.saturating_sub(run.iteration);
            let ended = sinkhorn.advance(run, gibbs, stage_one.min(left), target)?;
            gibbs.fill(&run.problem, &run.phi, &run.psi, run.team, run.stop)?;
            if ended != Ended::Done {
                return Ok(ended);
            }
            (stage_one, is_stored) = (0, true);
        }
        let error = run.marginal_error(gibbs);
        if error <= target {
            return Ok(Ended::Done);
        }
        if run.iteration >= run.max_iter {
            return Ok(Ended::Stopped(Status::MaxIter));
        }
        let step = newton_step(run, gibbs, settings, density, damping, &mut sparsifier)?;
        run.iteration += 1;
        run.newton_steps += 1;
        let error_now = run.marginal_error(gibbs);
        let objective = run.dual_value(gibbs.total());
        if let Some(status) = run.record(Phase::Newton, error_now, objective, step.nnz)? {
            return Ok(Ended::Stopped(status));
        }
        if error_now > 0.5 * error {
            density = (density * settings.growth).min(1.0);
        }
        match step.length {
            Some(1.0) => damping = if damping > 1e-12 { 0.2 * damping } else { 0.0 },
            Some(_) => {}
            None => {
                damping = (10.0 * damping).max(1e-4);
                stage_one = next_stage_one;
                next_stage_one *= 2;
            }
        }
        if error_now < 0.9 * best.error {
            *best = Best { error: error_now, phi: run.phi.clone(), psi: run.psi.clone(), age: 0 };
        } else {
            best.age += 1;
        }
        if best.age >= PATIENCE && best.error < ROUNDING_SHOWS_BELOW {
            return Ok(Ended::Stopped(Status::Stalled));
        }
    }
}

/// The best potentials so far, give or take a tenth of their error.
struct Best {
    error: f64,
    phi: Vec<f64>,
    psi: Vec<f64>,
    /// Steps since.
    age: usize,
}

struct Step {
    /// The share of the Newton step that was taken, if any was.
    length: Option<f64>,
    /// Entries of the plan in the Hessian.
    nnz: usize,
}

/// One Newton step: the potentials and the stored plan are moved if it is accepted.
fn newton_step(
    run: &mut Run<'_>,
    gibbs: &mut Gibbs,
    settings: &SnsSettings,
    density: f64,
    damping: f64,
    sparsifier: &mut Sparsifier,
) -> Result<Step, Error> {
    let (n, m) = (run.phi.len(), run.psi.len());
    let problem = run.problem;
    let gradient: Vec<f64> = std::iter::zip(problem.a, &gibbs.row_sums)
        .chain(std::iter::zip(problem.b, &gibbs.column_sums))
        .map(|(weight, sum)| weight - sum)
        .collect();
    let before = gibbs.total();
    let error = run.marginal_error(gibbs);

    let (row_sums, column_sums) = (gibbs.row_sums.clone(), gibbs.column_sums.clone());
    let kept;
    let (block, nnz) = if density >= WHOLE {
        (Block::Whole(&mut *gibbs), n * m)
    } else {
        let count = (density * n as f64 * m as f64).ceil() as usize;
        kept = sparsifier.largest(gibbs.plan(), (n, m), count, run.team, run.stop)?;
        (Block::Sparse(&kept), kept.nnz())
    };
    let (direction, cg_iterations) = Hessian::new(&row_sums, &column_sums, damping, block).solve(
        &gradient,
        settings.cg_tol,
        settings.cg_max_iter,
        run.team,
        run.stop,
    )?;
    run.cg_iterations += cg_iterations;

    let (dx, dy) = direction.split_at(n);
    // In units of reg: the linear part of the gain, and all of it to first order.
    let linear = reduce::dot(dx, problem.a) + reduce::dot(dy, problem.b);
    let slope = reduce::dot(&direction, &gradient);
    let rounding = 4.0 * f64::EPSILON * (before + run.mass + linear.abs());
    let (phi, psi) = (run.phi.clone(), run.psi.clone());
    let mut alpha = 1.0;
    for _ in 0..=settings.max_halvings {
        for (moved, (start, d)) in run.phi.iter_mut().zip(phi.iter().zip(dx)) {
            *moved = start + alpha * d;
        }
        for (moved, (start, d)) in run.psi.iter_mut().zip(psi.iter().zip(dy)) {
            *moved = start + alpha * d;
        }
        gibbs.fill(&problem, &run.phi, &run.psi, run.team, run.stop)?;
        let gain = alpha * linear - (gibbs.total() - before);
        let enough = gain >= settings.armijo * alpha * slope && gain > rounding;
        if enough || (gain >= -rounding && run.marginal_error(gibbs) < error) {
            return Ok(Step { length: Some(alpha), nnz });
        }
        alpha *= 0.5;
    }
    run.phi = phi;
    run.psi = psi;
    gibbs.fill(&problem, &run.phi, &run.psi, run.team, run.stop)?;
    Ok(Step { length: None, nnz })
}
