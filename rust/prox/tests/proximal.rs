//! Proximal operators against what they are: minima.

use proptest::prelude::*;
use sparrot_prox::block::Weighted;
use sparrot_prox::{
    BlockPenalty, Cel0, Group, L0, L1, Mcp, Power, Scad, ScalarPenalty, Separable, SparseGroup,
};

/// No point of a fine grid, of a finer one about the answer, or 0, is better than the answer.
fn check_scalar(
    penalty: impl ScalarPenalty,
    lambda: f64,
    u: f64,
    t: f64,
) -> Result<(), TestCaseError> {
    let cost = |x: f64| (x - u) * (x - u) / (2.0 * t) + penalty.value(lambda, x);
    let x = penalty.prox(lambda, u, t);
    if let Some(pieces) = penalty.pieces(lambda, t) {
        let u = u.abs();
        let lines = [pieces.first, pieces.second].map(|[shift, slope]| (u - shift) * slope);
        let shrunk = if u > pieces.cut { u.min(lines[0].max(lines[1])) } else { 0.0 };
        prop_assert!((shrunk - x.abs()).abs() <= 1e-11 * u, "{shrunk} {x}");
    }
    let best = cost(x);
    let slack = 1e-12 * (u * u / (2.0 * t) + best.abs());
    prop_assert_eq!(penalty.value(lambda, 0.0), 0.0);
    prop_assert_eq!(penalty.prox(lambda, -u, t), -x);
    let threshold = penalty.threshold(lambda, t);
    prop_assert_eq!(penalty.prox(lambda, threshold, t), 0.0);
    prop_assert!(penalty.prox(lambda, threshold * (1.0 + 1e-9) + 1e-12, t) > 0.0);
    prop_assert_eq!(x == 0.0, u.abs() <= threshold);
    prop_assert!(x * u >= 0.0 && x.abs() <= u.abs() * (1.0 + 1e-12));
    prop_assert!(best <= cost(0.0) + slack);
    for k in -2000..=2000 {
        let share = f64::from(k) / 2000.0;
        prop_assert!(best <= cost(1.2 * share * u) + slack, "at {}", 1.2 * share * u);
        let near = x * (1.0 + 1e-4 * share) + 1e-9 * share;
        prop_assert!(best <= cost(near) + slack, "near {near}");
    }
    Ok(())
}

fn block_cost(penalty: &impl BlockPenalty, x: &[f64], u: &[f64], t: f64) -> f64 {
    let away: f64 = x.iter().zip(u).map(|(x, u)| (x - u) * (x - u)).sum();
    away / (2.0 * t) + penalty.value(0, x)
}

fn check_block(
    penalty: &impl BlockPenalty,
    positive: bool,
    u: &[f64],
    t: f64,
    moves: &[f64],
) -> Result<(), TestCaseError> {
    let mut x = u.to_vec();
    penalty.prox(0, &mut x, t);
    let best = block_cost(penalty, &x, u, t);
    let scale: f64 = u.iter().map(|u| u * u).sum::<f64>() / (2.0 * t);
    let mut others = vec![vec![0.0; u.len()], u.to_vec()];
    for scale in [1e-6, 1e-3, 0.1, 1.0] {
        others.push(x.iter().zip(moves).map(|(x, m)| x + scale * m).collect());
        others.push(x.iter().zip(moves).map(|(x, m)| x * (1.0 + scale * m)).collect());
    }
    for mut other in others {
        if positive {
            other.iter_mut().for_each(|x| *x = x.max(0.0));
        }
        prop_assert!(best <= block_cost(penalty, &other, u, t) + 1e-12 * scale);
    }
    prop_assert!(!positive || x.iter().all(|x| *x >= 0.0));
    // h is a subgradient at 0 if the prox of t h is 0; a little more than the share is not.
    let s = penalty.share(0, u);
    let at = |factor: f64| {
        let mut h: Vec<f64> = u.iter().map(|u| factor * s * u * t).collect();
        penalty.prox(0, &mut h, t);
        h.iter().all(|h| h.abs() <= 1e-14)
    };
    prop_assert!(at(1.0 - 1e-14));
    prop_assert!(s == 1.0 || !at(1.0 + 1e-9));
    Ok(())
}

proptest! {
    #[test]
    fn proximal_operators_of_numbers_are_minima(
        lambda in prop_oneof![0.01..3.0f64, Just(0.0)],
        u in -5.0..5.0f64,
        t in 0.05..4.0f64,
        shape in 0.1..4.0f64,
    ) {
        check_scalar(L1, lambda, u, t)?;
        check_scalar(Mcp { gamma: shape }, lambda, u, t)?;
        check_scalar(Mcp { gamma: t }, lambda, u, t)?;
        check_scalar(Scad { a: 2.0 + shape }, lambda, u, t)?;
        check_scalar(L0, lambda, u, t)?;
        check_scalar(Cel0 { squares: shape }, lambda, u, t)?;
        check_scalar(Power::Half, lambda, u, t)?;
        check_scalar(Power::TwoThirds, lambda, u, t)?;
    }

    /// A unit of x changes the answer by that unit, down to where squares underflow.
    #[test]
    fn powers_have_no_scale(u in 0.1..5.0f64, exponent in -300..300i32) {
        let unit = 2f64.powi(exponent);
        for (power, q) in [(Power::Half, 0.5), (Power::TwoThirds, 2.0 / 3.0)] {
            let x = power.prox(1.0, u, 1.0);
            let scaled = power.prox(unit.powf(2.0 - q), unit * u, 1.0);
            prop_assert!((scaled / unit - x).abs() <= 1e-8, "{power:?} {scaled} {x}");
        }
    }

    #[test]
    fn proximal_operators_of_blocks_are_minima(
        u in prop::collection::vec(-3.0..3.0f64, 1..6),
        moves in prop::collection::vec(-1.0..1.0f64, 6),
        lambda in 0.05..2.0f64,
        group in 0.05..2.0f64,
        t in 0.1..3.0f64,
        positive: bool,
    ) {
        let weighted = |lambda| Weighted { lambda, weights: None };
        check_block(&Group { lambda: weighted(group), positive }, positive, &u, t, &moves)?;
        let sparse = SparseGroup { group: weighted(group), lambda, positive };
        check_block(&sparse, positive, &u, t, &moves)?;
        let l1 = Separable { penalty: L1, lambda: weighted(lambda), positive };
        check_block(&l1, positive, &u, t, &moves)?;
    }
}

#[test]
fn cel0_meets_l0_where_it_is_flat() {
    let (lambda, squares) = (0.3f64, 2.0);
    let edge = (2.0 * lambda / squares).sqrt();
    for x in [edge, 1.01 * edge, 10.0] {
        assert!((Cel0 { squares }.value(lambda, x) - L0.value(lambda, x)).abs() < 1e-15);
    }
    assert!(Cel0 { squares }.value(lambda, 0.5 * edge) < lambda);
    // With the step of its column both are the same threshold.
    for u in [0.9 * edge, 1.1 * edge] {
        let t = 1.0 / squares;
        assert_eq!(Cel0 { squares }.prox(lambda, u, t), L0.prox(lambda, u, t));
    }
}

#[test]
fn weights_of_blocks() {
    let weights = [0.0, f64::INFINITY, 2.0];
    let group =
        Group { lambda: Weighted { lambda: 0.5, weights: Some(&weights) }, positive: false };
    let mut u = [3.0, 4.0];
    group.prox(0, &mut u, 1.0);
    assert_eq!(u, [3.0, 4.0]);
    group.prox(1, &mut u, 1.0);
    assert_eq!(u, [0.0, 0.0]);
    assert!(group.excludes(1) && !group.excludes(2));
    assert_eq!(group.value(1, &[0.0]), 0.0);
    assert_eq!(group.share(0, &[1e-30]), 0.0);
    let half = group.scaled(0.5);
    assert_eq!(half.value(2, &[3.0, 4.0]), 2.5);
}
