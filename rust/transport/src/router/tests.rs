use proptest::prelude::*;
use sparrot_foundation::stop::Unobserved;

use super::*;

fn route(scores: &[f64], capacities: &[usize], top_k: usize) -> Routed {
    let tokens = scores.len() / capacities.len();
    let problem = Routing { scores, tokens, capacities, top_k };
    let stop = Stop::new(&Unobserved, None);
    problem.route(&Team::new(Some(1)), &stop).unwrap().remove(0)
}

/// Numbers that look random, and are the same each time.
fn scores(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(next).collect()
}

/// The most slots that can be filled, and the best score with that many, by trying every choice of
/// every token.
fn best_of_all(scores: &[f64], left: &mut [usize], top_k: usize) -> (usize, f64) {
    let experts = left.len();
    if scores.is_empty() {
        return (0, 0.0);
    }
    let (first, rest) = scores.split_at(experts);
    let mut best = (0, f64::NEG_INFINITY);
    for set in 0..1u32 << experts {
        let chosen = || (0..experts).filter(|j| set >> j & 1 == 1);
        if chosen().count() > top_k || chosen().any(|j| left[j] == 0) {
            continue;
        }
        chosen().for_each(|j| left[j] -= 1);
        let (filled, value) = best_of_all(rest, left, top_k);
        chosen().for_each(|j| left[j] += 1);
        let all = (filled + chosen().count(), value + chosen().map(|j| first[j]).sum::<f64>());
        if all.0 > best.0 || all.0 == best.0 && all.1 > best.1 {
            best = all;
        }
    }
    best
}

/// Everything that must hold of any answer; the number of filled slots.
fn check(scores: &[f64], capacities: &[usize], top_k: usize, routed: &Routed) -> usize {
    let experts = capacities.len();
    let tokens = scores.len() / experts;
    let (mut loads, mut value) = (vec![0; experts], 0.0);
    for (i, chosen) in routed.experts.chunks(top_k).enumerate() {
        let row = &scores[i * experts..(i + 1) * experts];
        let filled: Vec<usize> = chosen.iter().filter(|j| **j >= 0).map(|j| *j as usize).collect();
        assert!(chosen[filled.len()..].iter().all(|j| *j == -1), "{chosen:?}");
        for pair in filled.windows(2) {
            let (x, y) = (row[pair[0]], row[pair[1]]);
            assert!(x > y || x == y && pair[0] < pair[1], "{chosen:?}");
        }
        for j in filled {
            loads[j] += 1;
            value += row[j];
        }
    }
    assert!(loads.iter().zip(capacities).all(|(load, c)| load <= c), "{loads:?}");
    let places: usize = capacities.iter().map(|c| c.min(&tokens)).sum();
    let filled: usize = loads.iter().sum();
    assert_eq!(filled, places.min(tokens * top_k));
    assert_eq!(routed.value, value);
    assert_eq!(routed.bound, value + routed.gap);
    // The bound as the formula has it.
    let is_short = places < tokens * top_k;
    let mut bound: f64 =
        capacities.iter().zip(&routed.prices).map(|(c, p)| *c.min(&tokens) as f64 * p).sum();
    for row in scores.chunks(experts) {
        let mut values: Vec<f64> = row.iter().zip(&routed.prices).map(|(s, p)| s - p).collect();
        values.sort_by(|x, y| y.total_cmp(x));
        let lowest = if is_short { 0.0 } else { f64::NEG_INFINITY };
        bound += values[..top_k].iter().map(|v| v.max(lowest)).sum::<f64>();
    }
    let size: f64 = scores.iter().map(|s| s.abs()).sum::<f64>()
        + routed.prices.iter().map(|p| p.abs() * tokens as f64).sum::<f64>();
    assert!((bound - routed.bound).abs() <= 1e-13 * size, "{bound} {}", routed.bound);
    assert!(is_short || routed.prices.iter().all(|p| *p >= 0.0));
    assert!(routed.gap >= 0.0 && routed.gap <= 1e-13 * size, "{}", routed.gap);
    filled
}

fn small() -> impl Strategy<Value = (Vec<f64>, Vec<usize>, usize)> {
    (1..5usize, 1..5usize, any::<bool>()).prop_flat_map(|(tokens, experts, is_tied)| {
        let score =
            if is_tied { (-2..3i32).prop_map(f64::from).boxed() } else { (-1.0..1.0f64).boxed() };
        (
            prop::collection::vec(score, tokens * experts),
            prop::collection::vec(0..6usize, experts),
            1..=experts,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_routing_is_better((scores, capacities, top_k) in small()) {
        let routed = route(&scores, &capacities, top_k);
        let filled = check(&scores, &capacities, top_k, &routed);
        let (most, best) = best_of_all(&scores, &mut capacities.clone(), top_k);
        prop_assert_eq!(filled, most);
        prop_assert!((routed.value - best).abs() < 1e-12, "{} {}", routed.value, best);
        if scores.iter().all(|s| s.fract() == 0.0) {
            prop_assert_eq!(routed.gap, 0.0);
        }
    }
}

#[test]
fn larger_problems_have_no_gap() {
    for seed in 0..40 {
        let (tokens, experts) = (200 + 13 * seed, 2 + seed % 9);
        let mut scores = scores(tokens * experts, seed as u64);
        if seed % 3 == 0 {
            // Ties, and experts that everyone likes.
            for (at, score) in scores.iter_mut().enumerate() {
                *score = (8.0 * *score).floor() + (at % experts) as f64;
            }
        }
        for top_k in 1..=experts.min(3) {
            let even = (tokens * top_k).div_ceil(experts);
            let capacities: [Vec<usize>; 4] = [
                vec![even; experts],
                vec![even / 2; experts],
                (0..experts).map(|j| even * j).collect(),
                vec![tokens; experts],
            ];
            for capacities in capacities {
                check(&scores, &capacities, top_k, &route(&scores, &capacities, top_k));
            }
        }
    }
}

#[test]
fn what_is_equal_is_spread() {
    let scores = vec![0.25; 3136 * 32];
    let routed = route(&scores, &[98; 32], 1);
    check(&scores, &[98; 32], 1, &routed);
    assert_eq!((routed.value, routed.gap), (784.0, 0.0));
    let in_turn = routed.experts.iter().enumerate().all(|(i, j)| *j == i as i64 / 98);
    assert!(in_turn, "lower tokens to lower experts");
}

#[test]
fn tokens_that_are_all_the_same_are_no_harder() {
    let row = scores(32, 5);
    let scores: Vec<f64> = row.iter().copied().cycle().take(3136 * 32).collect();
    for capacity in [98, 120, 60] {
        for top_k in [1, 2] {
            let capacities = [capacity; 32];
            check(&scores, &capacities, top_k, &route(&scores, &capacities, top_k));
        }
    }
}

#[test]
fn prices_are_what_a_place_is_worth() {
    // Both tokens prefer expert 0, one of them by more.
    let routed = route(&[3.0, 1.0, 2.0, 1.5], &[1, 2], 1);
    assert_eq!(routed.experts, [0, 1]);
    assert_eq!((routed.value, routed.bound, routed.gap), (4.5, 4.5, 0.0));
    assert!((0.5..=2.0).contains(&routed.prices[0]) && routed.prices[1] == 0.0);
    // Too few places: the best ones are filled, even where that costs something.
    let routed = route(&[-3.0, -1.0], &[1], 1);
    assert_eq!(routed.experts, [-1, 0]);
    assert!((-3.0..=-1.0).contains(&routed.prices[0]));
    // An expert that takes nobody: what the first place would add.
    let routed = route(&[3.0, 1.0, 2.0, 1.5], &[0, 2], 1);
    assert_eq!(routed.experts, [1, 1]);
    assert_eq!(routed.prices, [2.0, 0.0]);
    let routed = route(&[3.0, -1.0], &[0, 0], 2);
    assert_eq!(routed.experts, [-1, -1]);
    assert_eq!((routed.value, routed.gap), (0.0, 0.0));
    assert_eq!(routed.prices, [3.0, 0.0]);
}

#[test]
fn a_batch_is_its_problems_for_any_number_of_threads() {
    let (tokens, capacities, top_k) = (60, [9, 30, 12, 20, 3, 40, 0], 2);
    let scores: Vec<f32> = scores(50 * tokens * 7, 1).into_iter().map(|s| s as f32).collect();
    let batch = Routing { scores: &scores, tokens, capacities: &capacities, top_k };
    let stop = Stop::new(&Unobserved, None);
    let routed = batch.route(&Team::new(Some(1)), &stop).unwrap();
    assert_eq!(routed.len(), 50);
    assert_eq!(batch.route(&Team::new(Some(4)), &stop).unwrap(), routed);
    let wide: Vec<f64> = scores.iter().map(|s| f64::from(*s)).collect();
    for (problem, routed) in wide.chunks(tokens * 7).zip(routed) {
        assert_eq!(route(problem, &capacities, top_k), routed);
    }
}

#[test]
fn an_interrupt_ends_it() {
    struct Now;
    impl sparrot_foundation::stop::Observer for Now {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let problem = Routing { scores: &scores(200, 0), tokens: 20, capacities: &[2; 10], top_k: 1 };
    let ended = problem.route(&Team::new(Some(1)), &Stop::new(&Now, None));
    assert_eq!(ended, Err(Error::Interrupted));
}
