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
//! Cost: one pass of exponentials and two reads of the plan and the costs.

use sparrot_foundation::{Error, Stop, Team};
use sparrot_simd::{gibbs as kernel, linear, reduce};

use crate::gibbs::Gibbs;
use crate::problem::{Pass, Problem, row_blocks};

/// What rounding may have taken from a sum of weights, as a share of it.
const NEGLIGIBLE: f64 = 8.0 * f64::EPSILON;

/// What rounding, and what is neglected on its account, may have taken from gap and bounds, as a
/// share of the potentials and costs they are sums of.
const ROUNDING: f64 = 8.0 * NEGLIGIBLE;

/// What is known of a plan.
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

/// Fills `gibbs` with the plan of the potentials (in units of `reg`) and certifies it.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn certify(
    problem: &Problem<'_>,
    phi: &[f64],
    psi: &[f64],
    gibbs: &mut Gibbs,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Certificate, Error> {
    let Problem { a, b, reg, .. } = *problem;
    gibbs.fill(problem, phi, psi, team, stop)?;
    let mass = problem.mass();
    let total = gibbs.total();
    let marginal_error = (reduce::l1_distance(&gibbs.row_sums, a)
        + reduce::l1_distance(&gibbs.column_sums, b))
        / mass;
    let against = |potential: &[f64], weights: &[f64]| weighted_sum(weights, potential);
    let missing = mass - total;
    let dual_value = reg * (against(phi, a) + against(psi, b) + missing);
    let value = reg * (against(phi, &gibbs.row_sums) + against(psi, &gibbs.column_sums));

    let rounding = Rounding::new(&gibbs.plan, a, b, &gibbs.row_sums, team, stop)?;
    let costs = costs(problem, psi, gibbs, &rounding, team, stop)?;
    let Rounding { row_scale, column_scale, row_rest, column_rest, .. } = &rounding;
    let log = |x: &[f64]| x.iter().map(|x| x.ln()).collect::<Vec<_>>();
    let less = |weights: &[f64], rest: &[f64]| {
        weights.iter().zip(rest).map(|(w, e)| w - e).collect::<Vec<_>>()
    };
    let entropy = weighted_sum(&less(a, row_rest), &log(row_scale))
        + weighted_sum(&less(b, column_rest), &log(column_scale))
        + reduce::sum(row_rest)
        + weighted_sum(row_rest, &log(a))
        - missing;
    let size = |potential: &[f64], weights: &[f64]| {
        weighted_sum(weights, &potential.iter().map(|x| x.abs()).collect::<Vec<f64>>())
    };
    let rounding = ROUNDING * (reg * (size(phi, a) + size(psi, b) + mass) + costs.scaled.abs());
    let gap = costs.added - reg * (against(phi, row_rest) + against(psi, column_rest) - entropy);
    Ok(Certificate {
        marginal_error,
        total,
        gap: gap.max(0.0) + rounding,
        dual_value,
        value,
        value_linear: costs.plan,
        lower_bound: costs.transform + reg * against(psi, b) - rounding,
        upper_bound: costs.scaled + costs.added + rounding,
    })
}

/// `sum w_i x_i`, where a weight of 0 makes any `x` count for nothing.
fn weighted_sum(weights: &[f64], x: &[f64]) -> f64 {
    weights.iter().zip(x).filter(|(w, _)| **w != 0.0).map(|(w, x)| w * x).sum()
}

/// The rounding of a plan to exact marginals: `Q_ij = x_i P_ij y_j + e_i d_j / sum(e)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounding {
    /// `x`, at most 1.
    pub row_scale: Vec<f64>,
    /// `y`, at most 1.
    pub column_scale: Vec<f64>,
    /// `e`, the mass that rows still miss.
    pub row_rest: Vec<f64>,
    /// `d`, the mass that columns still miss.
    pub column_rest: Vec<f64>,
}

impl Rounding {
    /// Of a plan stored by rows, with the row sums given.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn new(
        plan: &[f64],
        a: &[f64],
        b: &[f64],
        row_sums: &[f64],
        team: &Team,
        stop: &Stop<'_>,
    ) -> Result<Rounding, Error> {
        let m = b.len();
        let rows = row_blocks(a.len(), m);
        let team = team.for_work(Pass::Read.cost(a.len(), m));
        // What is missing by rounding only is not: it would have to be moved, if need be over edges
        // where nothing may go.
        let missing = |weight: f64, sum: f64| {
            if weight - sum > NEGLIGIBLE * weight { weight - sum } else { 0.0 }
        };
        let ratio = |(weight, sum): (&f64, &f64)| if sum > weight { weight / sum } else { 1.0 };
        let row_scale: Vec<f64> = a.iter().zip(row_sums).map(ratio).collect();
        let blocks: Vec<_> = plan.chunks(rows * m).zip(row_scale.chunks(rows)).collect();
        let mut column_sums = vec![0.0; m];
        for block in team.run(stop, blocks, |(plan, scale)| {
            let mut sums = vec![0.0; m];
            plan.chunks(m).zip(scale).for_each(|(row, x)| linear::axpy(*x, row, &mut sums));
            sums
        })? {
            linear::add_to(&block, &mut column_sums);
        }
        let column_scale: Vec<f64> = b.iter().zip(&column_sums).map(ratio).collect();
        let column_rest: Vec<f64> = (b.iter().zip(&column_scale).zip(&column_sums))
            .map(|((b, y), sum)| if *y < 1.0 { 0.0 } else { missing(*b, *sum) })
            .collect();
        let blocks: Vec<_> =
            plan.chunks(rows * m).zip(row_scale.chunks(rows)).zip(a.chunks(rows)).collect();
        let row_rest = team.run(stop, blocks, |((plan, scale), a)| {
            let rest = plan.chunks(m).zip(scale).zip(a);
            rest.map(|((row, x), a)| missing(*a, x * reduce::dot(row, &column_scale)))
                .collect::<Vec<f64>>()
        })?;
        Ok(Rounding { row_scale, column_scale, row_rest: row_rest.concat(), column_rest })
    }

    /// Turns a plan stored by rows into the rounded one.
    pub fn apply(&self, plan: &mut [f64]) {
        let missing = reduce::sum(&self.row_rest);
        for (i, row) in plan.chunks_mut(self.column_scale.len()).enumerate() {
            let scale = self.row_scale[i];
            let added = if missing > 0.0 { self.row_rest[i] / missing } else { 0.0 };
            for (j, entry) in row.iter_mut().enumerate() {
                *entry = scale * *entry * self.column_scale[j] + added * self.column_rest[j];
            }
        }
    }
}

/// Sums of costs, in the units of the cost.
struct Costs {
    /// `<C, P>`.
    plan: f64,
    /// `<C, x P y>`.
    scaled: f64,
    /// `<C, e d'> / sum(e)`.
    added: f64,
    /// `sum_i a_i min_j (C_ij - g_j)`.
    transform: f64,
}

fn costs(
    problem: &Problem<'_>,
    psi: &[f64],
    gibbs: &Gibbs,
    rounding: &Rounding,
    team: &Team,
    stop: &Stop<'_>,
) -> Result<Costs, Error> {
    let (n, m) = (problem.a.len(), problem.b.len());
    let rows = row_blocks(n, m);
    let blocks: Vec<usize> = (0..n).step_by(rows).collect();
    let missing = reduce::sum(&rounding.row_rest);
    let parts = team.for_work(Pass::Read.cost(n, m)).run(stop, blocks, |first| {
        let (mut cost, mut scaled) = (vec![0.0; m], vec![0.0; m]);
        let mut sums = [0.0; 4];
        for i in (first..(first + rows).min(n)).filter(|i| problem.a[*i] > 0.0) {
            let row = &gibbs.plan[i * m..(i + 1) * m];
            problem.scaled_row(i, &mut cost);
            scaled.copy_from_slice(row);
            linear::multiply_by(&rounding.column_scale, &mut scaled);
            sums[0] += reduce::cost_dot(&cost, row);
            sums[1] += rounding.row_scale[i] * reduce::cost_dot(&cost, &scaled);
            if rounding.row_rest[i] > 0.0 {
                let share = rounding.row_rest[i] / missing;
                sums[2] += share * reduce::cost_dot(&cost, &rounding.column_rest);
            }
            sums[3] += problem.a[i] * kernel::c_transform(&cost, psi);
        }
        sums
    })?;
    let mut sums = [0.0; 4];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    let in_cost_units = |sum: f64| problem.reg * sum;
    Ok(Costs {
        plan: in_cost_units(sums[0]),
        scaled: in_cost_units(sums[1]),
        added: in_cost_units(sums[2]),
        transform: in_cost_units(sums[3]),
    })
}
