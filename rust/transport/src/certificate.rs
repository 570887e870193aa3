//! How wrong the returned plan can be, from the plan itself.
//!
//! With `r`, `c` the marginals of the plan `P` of the returned potentials:
//!
//! * **marginal error**: `(|r - a|_1 + |c - b|_1) / mass`.
//! * **rounding** (Altschuler, Weed, Rigollet 2017, Algorithm 2): rows are scaled down to at most
//!   their weight (`x`), then columns (`y`); what is missing is added as the rank-one plan
//!   `e_a e_b' / |e_a|_1`. The result `Q` has the marginals exactly.
//! * **gap** `= F(Q) - D(f, g)`, the regularised cost of `Q` less the dual value: by weak duality
//!   both the optimum and `F(Q)` lie within it of `D`. It is not computed as the difference of two
//!   large numbers. Every entry of `Q' = x P y` has a known logarithm, and for the added plan `D`
//!   `(Q' + D) log (Q' + D) <= Q' log Q' + D + D log min(a, b)` entrywise, since entries of `Q` are
//!   at most `min(a_i, b_j)`. The sums of `C P` cancel, and there remains
//!
//!   ```text
//!   gap = <C, D> - f.e_a - g.e_b + reg (log x . r' + log y . c' + sum_i e_a (1 + log a) - (mass - |P|_1))
//!   ```
//!
//!   with `r'`, `c'` the marginals of `Q'`: an upper bound that goes to 0 with the marginal error.
//! * **bounds on the transport cost without regularisation**: `<C, Q>` from above; from below the
//!   linear programming dual at `g` and its c-transform, `sum_i a_i min_j (C_ij - g_j) + b.g`.
//!
//! Gap and bounds include an allowance for the rounding of their own sums. They are infinite where
//! the added plan, which has mass for every point that misses some, needs a forbidden edge.
//!
//! Cost: two passes of exponentials and no memory; or one, and a pass that reads the plan, where
//! there is room to store it. For the plan of a large problem the former takes less time.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{gibbs, linear, reduce};

use crate::plan::Potentials;
use crate::problem::{Pass, Problem, row_blocks};
use crate::relaxed_certificate;

/// What rounding may have taken from a sum of weights, as a share of it.
const NEGLIGIBLE: f64 = 8.0 * f64::EPSILON;

/// What rounding, and what is neglected on its account, may have taken from gap and bounds, as a
/// share of the potentials and costs they are sums of.
pub(crate) const ROUNDING: f64 = 8.0 * NEGLIGIBLE;

/// What is known of a plan; [`crate::relaxed_certificate`] says what the figures are where marginals
/// are not fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// `(|P 1 - a|_1 + |P' 1 - b|_1) / mass`.
    pub marginal_error: f64,
    /// The regularised cost of the plan rounded to exact marginals, less the dual value.
    pub gap: f64,
    /// The mass of the plan.
    pub total: f64,
    /// `D(f, g)`, a lower bound of the regularised problem.
    pub dual_value: f64,
    /// `<C, P> + reg sum P log P` of the plan as it is.
    pub value: f64,
    /// `<C, P>` of the plan as it is.
    pub value_linear: f64,
    /// The transport cost without regularisation lies between this...
    pub lower_bound: f64,
    /// ...and this, the cost of the rounded plan.
    pub upper_bound: f64,
}

/// Certifies the plan of the potentials (in units of `reg`), and writes it to `plan`, all zeros, if
/// there is that.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn certify(
    problem: &Problem<'_>,
    potentials: &Potentials,
    mut plan: Option<&mut [f64]>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Certificate, Error> {
    if let Some(relaxation) = &problem.relaxation {
        let first = first_pass(problem, potentials, plan, team, stop)?;
        return Ok(relaxed_certificate::certificate(problem, relaxation, potentials, &first));
    }
    let Problem { a, b, reg, .. } = *problem;
    let Potentials { phi, psi } = potentials;
    let first = first_pass(problem, potentials, plan.as_deref_mut(), team, stop)?;
    let mass = problem.mass();
    let total = reduce::sum(&first.row_sums);
    let marginal_error = (reduce::l1_distance(&first.row_sums, a)
        + reduce::l1_distance(&first.column_sums, b))
        / mass;
    let against = |potential: &[f64], weights: &[f64]| weighted_sum(weights, potential);
    let missing = mass - total;
    let dual_value = reg * (against(phi, a) + against(psi, b) + missing);
    let value = reg * (against(phi, &first.row_sums) + against(psi, &first.column_sums));

    let columns = Columns::new(b, &first.scaled_column_sums);
    let pass = team.for_work(Pass::Exp.cost(a.len(), b.len()));
    let blocks: Vec<usize> = (0..a.len()).step_by(row_blocks(a.len(), b.len())).collect();
    let second = pass.run(stop, blocks, |first_row| {
        second_pass(problem, potentials, plan.as_deref(), &first, &columns, first_row)
    })?;
    let row_rest: Vec<f64> = second.iter().flat_map(|block| &block.row_rest).copied().collect();
    let sum = |part: fn(&SecondPass) -> f64| second.iter().map(part).sum::<f64>();
    let rest = reduce::sum(&row_rest);
    let added = if rest > 0.0 { reg * sum(|block| block.added) / rest } else { 0.0 };
    let scaled = reg * sum(|block| block.scaled);

    let row_scale: Vec<f64> = a.iter().zip(&first.row_sums).map(down).collect();
    // `sum w log x` with `w = weight - rest`, where the other factor is 0 or 1 for most points.
    let scaled_down = |weights: &[f64], rest: &[f64], scale: &[f64]| -> f64 {
        let parts = weights.iter().zip(rest).zip(scale).filter(|(_, x)| **x < 1.0);
        parts.map(|((w, e), x)| (w - e) * x.ln()).sum()
    };
    let filled_up: f64 =
        row_rest.iter().zip(a).filter(|(e, _)| **e > 0.0).map(|(e, a)| e * a.ln()).sum();
    let entropy = scaled_down(a, &row_rest, &row_scale)
        + scaled_down(b, &columns.rest, &columns.scale)
        + rest
        + filled_up
        - missing;
    let size = |potential: &[f64], weights: &[f64]| -> f64 {
        let parts = potential.iter().zip(weights).filter(|(_, w)| **w != 0.0);
        parts.map(|(p, w)| p.abs() * w).sum()
    };
    let rounding = ROUNDING * (reg * (size(phi, a) + size(psi, b) + mass) + scaled.abs());
    let gap = added - reg * (against(phi, &row_rest) + against(psi, &columns.rest) - entropy);
    Ok(Certificate {
        marginal_error,
        total,
        gap: gap.max(0.0) + rounding,
        dual_value,
        value,
        value_linear: reg * first.cost,
        lower_bound: reg * (against(&first.transform, a) + against(psi, b)) - rounding,
        upper_bound: scaled + added + rounding,
    })
}

/// What the first look at the plan finds; costs in units of `reg`.
pub(crate) struct FirstPass {
    pub row_sums: Vec<f64>,
    pub column_sums: Vec<f64>,
    /// The column sums with the rows scaled down to their weights.
    scaled_column_sums: Vec<f64>,
    /// `<c, P>`.
    pub cost: f64,
    /// `min_j (c_ij - psi_j)` for every row; 0 for one without weight.
    pub transform: Vec<f64>,
}

pub(crate) fn first_pass(
    problem: &Problem<'_>,
    potentials: &Potentials,
    plan: Option<&mut [f64]>,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<FirstPass, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let Potentials { phi, psi } = potentials;
    let rows = row_blocks(n, m);
    let mut stored = plan.map(|plan| plan.chunks_mut(rows * m));
    let blocks: Vec<_> = (0..n)
        .step_by(rows)
        .map(|first| (first, stored.as_mut().and_then(Iterator::next)))
        .collect();
    let parts = team.for_work(Pass::Exp.cost(n, m)).run(stop, blocks, |(first, mut stored)| {
        let (mut cost, mut room) = (vec![0.0; m], vec![0.0; m]);
        let mut part = FirstPass {
            row_sums: vec![],
            column_sums: vec![0.0; m],
            scaled_column_sums: vec![0.0; m],
            cost: 0.0,
            transform: vec![],
        };
        for (i, phi) in phi.iter().enumerate().skip(first).take(rows) {
            if problem.a[i] == 0.0 {
                part.row_sums.push(0.0);
                part.transform.push(0.0);
                continue;
            }
            problem.scaled_row(i, &mut cost);
            let row = match &mut stored {
                Some(stored) => &mut stored[(i - first) * m..(i - first + 1) * m],
                None => &mut room[..],
            };
            let [sum, mut paid, most] = gibbs::exp_row_and_costs(*phi, psi, &cost, row);
            if !paid.is_finite() {
                paid = reduce::cost_dot(&cost, row); // forbidden edges count for nothing
            }
            let scale = down((&problem.a[i], &sum));
            linear::add_twice(scale, row, &mut part.column_sums, &mut part.scaled_column_sums);
            part.row_sums.push(sum);
            part.cost += paid;
            part.transform.push(-most);
        }
        part
    })?;
    let mut parts = parts.into_iter();
    let mut all = parts.next().ok_or(Error::Interrupted)?;
    for part in parts {
        all.row_sums.extend(part.row_sums);
        linear::add_to(&part.column_sums, &mut all.column_sums);
        linear::add_to(&part.scaled_column_sums, &mut all.scaled_column_sums);
        all.cost += part.cost;
        all.transform.extend(part.transform);
    }
    Ok(all)
}

/// What the second look finds, for a block of rows; costs in units of `reg`.
struct SecondPass {
    row_rest: Vec<f64>,
    /// `<c, x P y>`.
    scaled: f64,
    /// `<c, e d'>`.
    added: f64,
}

fn second_pass(
    problem: &Problem<'_>,
    potentials: &Potentials,
    plan: Option<&[f64]>,
    first: &FirstPass,
    columns: &Columns,
    first_row: usize,
) -> SecondPass {
    let (n, m) = (problem.a.len(), problem.b.len());
    let mut cost = vec![0.0; m];
    let mut part = SecondPass { row_rest: vec![], scaled: 0.0, added: 0.0 };
    for i in first_row..(first_row + row_blocks(n, m)).min(n) {
        let weight = problem.a[i];
        if weight == 0.0 {
            part.row_rest.push(0.0);
            continue;
        }
        problem.scaled_row(i, &mut cost);
        let Potentials { phi, psi } = potentials;
        let [sum, mut paid] = match plan {
            Some(plan) => reduce::dot_and_costs(&plan[i * m..(i + 1) * m], &columns.scale, &cost),
            None => gibbs::scaled_sums(phi[i], psi, &cost, &columns.scale),
        };
        if !paid.is_finite() {
            // Forbidden edges count for nothing.
            let mut row = cost.clone();
            gibbs::exp_row(phi[i], psi, &mut row);
            linear::multiply_by(&columns.scale, &mut row);
            paid = reduce::cost_dot(&cost, &row);
        }
        let scale = down((&weight, &first.row_sums[i]));
        let rest = missing(weight, scale * sum);
        part.scaled += scale * paid;
        if rest > 0.0 {
            part.added += rest * reduce::cost_dot(&cost, &columns.rest);
        }
        part.row_rest.push(rest);
    }
    part
}

/// What takes a sum down to its weight: at most 1.
fn down((weight, sum): (&f64, &f64)) -> f64 {
    if sum > weight { weight / sum } else { 1.0 }
}

/// What a sum misses of its weight. What is missing by rounding only is not: it would have to be
/// moved, if need be over edges where nothing may go.
fn missing(weight: f64, sum: f64) -> f64 {
    if weight - sum > NEGLIGIBLE * weight { weight - sum } else { 0.0 }
}

/// The columns of a rounding.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    /// `y`, at most 1.
    scale: Vec<f64>,
    /// `d`, the mass that is still missing.
    rest: Vec<f64>,
}

impl Columns {
    /// From the column sums of a plan whose rows have been scaled down.
    fn new(b: &[f64], sums: &[f64]) -> Columns {
        let scale: Vec<f64> = b.iter().zip(sums).map(down).collect();
        let rest = (b.iter().zip(&scale).zip(sums))
            .map(|((b, y), sum)| if *y < 1.0 { 0.0 } else { missing(*b, *sum) })
            .collect();
        Columns { scale, rest }
    }
}

/// `sum w_i x_i`, where a weight of 0 makes any `x` count for nothing.
fn weighted_sum(weights: &[f64], x: &[f64]) -> f64 {
    weights.iter().zip(x).filter(|(w, _)| **w != 0.0).map(|(w, x)| w * x).sum()
}

/// Rounds a plan stored by rows to exact marginals: `Q_ij = x_i P_ij y_j + e_i d_j / sum(e)`.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn round(
    plan: &mut [f64],
    a: &[f64],
    b: &[f64],
    team: &Team,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let m = b.len();
    let rows = row_blocks(a.len(), m);
    let team = team.for_work(Pass::Read.cost(a.len(), m));
    let blocks: Vec<_> = plan.chunks_mut(rows * m).zip(a.chunks(rows)).collect();
    let mut column_sums = vec![0.0; m];
    for block in team.run(stop, blocks, |(plan, a)| {
        let mut sums = vec![0.0; m];
        for (row, a) in plan.chunks_mut(m).zip(a) {
            linear::scale_and_add(down((a, &reduce::sum(row))), row, &mut sums);
        }
        sums
    })? {
        linear::add_to(&block, &mut column_sums);
    }
    let columns = Columns::new(b, &column_sums);
    let blocks: Vec<_> = plan.chunks_mut(rows * m).zip(a.chunks(rows)).collect();
    let row_rest = team.run(stop, blocks, |(plan, a)| {
        let scaled = plan.chunks_mut(m).zip(a).map(|(row, a)| {
            linear::multiply_by(&columns.scale, row);
            missing(*a, reduce::sum(row))
        });
        scaled.collect::<Vec<f64>>()
    })?;
    let row_rest = row_rest.concat();
    let rest = reduce::sum(&row_rest);
    for (row, e) in plan.chunks_mut(m).zip(row_rest).filter(|(_, e)| *e > 0.0) {
        linear::axpy(e / rest, &columns.rest, row);
    }
    Ok(())
}
