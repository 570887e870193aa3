//! A start for problems whose whole plan is too large: the coarse levels on some of the points.
//!
//! At large regularisation the plan is dense, and its potentials are smooth functions of the points.
//! So the first levels are solved between a few thousand points of each side. The column potentials
//! of all points follow by one Sinkhorn update from the chosen rows. The first level at which the
//! entries that matter would fit is where all points come in.

use sparrot_foundation::{Error, Team, Trace, memory};
use sparrot_simd::{reduce, select};

use crate::anneal::{self, Annealing};
use crate::candidates::{smallest_weight, threshold};
use crate::log_domain;
use crate::problem::Problem;
use crate::relaxation::{COLUMNS, ROWS, Relaxation};
use crate::run::{Ended, Run};

/// Points of each side, at most.
const POINTS: usize = 2048;

/// Rows by which the number of entries is judged.
const SAMPLE: usize = 64;

/// Solves levels on some of the points until the plan of all would have at most `most` entries
/// with `left_out` of the mass left out; sets the run's column potentials for that level and returns
/// it. `None` if there is no such level, or the costs cannot be had of some points alone.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Infeasible`], [`Error::OutOfMemory`].
pub fn start(
    run: &mut Run<'_>,
    range: f64,
    left_out: f64,
    most: usize,
) -> Result<Option<f64>, Error> {
    let whole = run.problem;
    let (rows, columns) = (spread(whole.a), spread(whole.b));
    let all: Vec<usize> = (0..whole.b.len()).collect();
    let (Some(cost), Some(to_all)) =
        (whole.cost.some(&rows, &columns), whole.cost.some(&rows, &all))
    else {
        return Ok(None);
    };
    let [(a, log_scale_a), (b, log_scale_b)] =
        [weights_of(whole.a, &rows), weights_of(whole.b, &columns)];
    // What the chosen points stand for counts in a reference measure as in the weights.
    let chosen_references = |relaxation: Relaxation<'_>| {
        let of = |side: usize, chosen: &[usize], log_scale: f64| -> Vec<f64> {
            chosen.iter().map(|i| relaxation.log_reference[side][*i] + log_scale).collect()
        };
        [of(ROWS, &rows, log_scale_a), of(COLUMNS, &columns, log_scale_b)]
    };
    let references = whole.relaxation.map(chosen_references);
    let relaxation = (whole.relaxation.zip(references.as_ref())).map(|(whole, [rows, columns])| {
        Relaxation { log_reference: [&rows[..], &columns[..]], ..whole }
    });
    let problem = Problem { cost: &*cost, a: &a, b: &b, relaxation, ..whole };
    let mut some = Run {
        problem,
        team: run.team,
        stop: run.stop,
        phi: vec![0.0; a.len()],
        psi: vec![0.0; b.len()],
        mass: run.mass,
        iteration: 0,
        max_iter: run.max_iter,
        newton_steps: 0,
        cg_iterations: 0,
        record_every: usize::MAX,
        trace: Trace::default(),
    };
    let mut annealing = Annealing::default();
    let mut level = anneal::first_level(whole.reg, range);
    loop {
        some.set_reg(level);
        if annealing.advance(&mut some, range, anneal::LOOSE)? != Ended::Done {
            return Ok(None);
        }
        let relaxation = (some.problem.relaxation.zip(whole.relaxation)).map(|(chosen, whole)| {
            let log_reference = [chosen.log_reference[ROWS], whole.log_reference[COLUMNS]];
            Relaxation { log_reference, ..chosen }
        });
        let problem = Problem { cost: &*to_all, a: &a, reg: level, relaxation, ..whole };
        run.set_reg(level);
        run.psi.fill(0.0);
        if let (Some(all), Some(chosen)) = (&mut run.problem.relaxation, relaxation) {
            all.translation = chosen.translation;
        }
        log_domain::update_columns(&problem, &some.phi, &mut run.psi, run.team, run.stop)?;
        let entries = entries(run, left_out)?;
        // At the last level there is no other way to have the plan, if there is memory for it.
        let fits = || memory::check("the entries that matter", entries as usize, 2).is_ok();
        if entries <= most as f64 || (level <= whole.reg && fits()) {
            run.phi.fill(0.0);
            return Ok(Some(level));
        }
        if level <= whole.reg {
            return Ok(None);
        }
        level = anneal::next_level(level, whole.reg);
    }
}

/// Up to `POINTS` points with weight, evenly over their order.
fn spread(weights: &[f64]) -> Vec<usize> {
    let weighted: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    let count = weighted.len().min(POINTS);
    (0..count).map(|k| weighted[k * weighted.len() / count]).collect()
}

/// The weights of the chosen points, scaled to the mass of all, and the logarithm of the scale.
fn weights_of(weights: &[f64], chosen: &[usize]) -> (Vec<f64>, f64) {
    let some: Vec<f64> = chosen.iter().map(|i| weights[*i]).collect();
    let scale = reduce::sum(weights) / reduce::sum(&some);
    (some.into_iter().map(|weight| scale * weight).collect(), scale.ln())
}

/// About how many entries the plan of the run's column potentials would keep.
fn entries(run: &Run<'_>, left_out: f64) -> Result<f64, Error> {
    let (n, m) = (run.phi.len(), run.psi.len());
    let least_b = smallest_weight(run.problem.b);
    let weighted: Vec<usize> = (0..n).filter(|i| run.problem.a[*i] > 0.0).collect();
    let step = weighted.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<usize> = weighted.iter().copied().step_by(step).collect();
    let count = sample.len();
    let kept = Team::new(Some(1)).run(run.stop, sample, |i| {
        let (mut row, mut phi) = (vec![0.0; m], 0.0);
        let (mut columns, mut values) = (vec![], vec![]);
        let row_sum = log_domain::exp_row(&run.problem, i, &mut phi, &run.psi, &mut row);
        if let Ok(Some(sum)) = row_sum {
            let least = threshold(left_out, (n, m), run.problem.a[i], least_b);
            select::collect_above(&row, least * sum, 0, &mut columns, &mut values);
        }
        values.len()
    })?;
    Ok(kept.iter().sum::<usize>() as f64 / count as f64 * weighted.len() as f64)
}
