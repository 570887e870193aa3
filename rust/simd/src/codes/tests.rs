//! At every level, against plain loops.

use super::*;
use crate::level::Level;

fn whole(k: usize) -> f64 {
    ((k * 7919) % 17) as f64 - 8.0
}

/// Every third number of a row or so, small integers.
fn rows(count: usize, length: usize) -> Vec<f64> {
    (0..count * length).map(|k| if k % 3 == 1 { whole(k) } else { 0.0 }).collect()
}

fn shrunk(v: f64, s: Shrinkage<f64>) -> f64 {
    let u = if s.positive { v.max(0.0) } else { v.abs() };
    let lines = ((u - s.first[0]) * s.first[1]).max((u - s.second[0]) * s.second[1]);
    if u > s.cut { u.min(lines).copysign(v) } else { 0.0 }
}

macro_rules! checks {
    ($name:ident, $module:ident, $float:ident) => {
        /// Small integers: every sum is exact, so equality is the right test.
        #[test]
        fn $name() {
            let cast = |x: &[f64]| x.iter().map(|x| *x as $float).collect::<Vec<_>>();
            let shrinkages = [
                ("soft", 2.0, [2.0, 1.0], [0.0, 0.0], false),
                ("hard", 3.0, [0.0, 1.0], [0.0, 0.0], false),
                ("firm", 1.0, [1.0, 2.0], [0.0, 0.0], false),
                ("three pieces", 1.0, [1.0, 1.0], [3.0, 2.0], false),
                ("positive", 1.0, [1.0, 1.0], [0.0, 0.0], true),
            ];
            for n in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65] {
                const ROWS: usize = 5;
                let (x, g) = (rows(ROWS, n), rows(ROWS, n + 1));
                for level in Level::available() {
                    for (_, cut, first, second, positive) in shrinkages {
                        let shrinkage = Shrinkage { cut, first, second, positive };
                        let given = Shrinkage {
                            cut: cut as $float,
                            first: first.map(|x| x as $float),
                            second: second.map(|x| x as $float),
                            positive,
                        };
                        let mut codes = Codes::default();
                        codes.clear(ROWS, n);
                        let mut all = vec![];
                        // Without momentum the step before is not looked at.
                        let momentum = if n % 2 == 0 { 0.5 } else { 0.0 };
                        for (row, x) in x.chunks(n).enumerate() {
                            let (g, g_old) = (&g[row..row + n], &g[row + 1..row + 1 + n]);
                            let old: Vec<f64> = x.iter().map(|x| 0.5 * x + 1.0).collect();
                            let mut new = cast(&old);
                            let step =
                                Step { size: 2.0, momentum: momentum as $float, measure: true };
                            let found = $module::step::at(
                                level,
                                step,
                                given,
                                &cast(x),
                                &cast(g),
                                &mut new,
                                &cast(g_old),
                                &mut codes,
                            );
                            let mut expected = [0.0; 2];
                            for j in 0..n {
                                let z = x[j] + momentum * (x[j] - old[j]);
                                let v = z - 2.0 * (g[j] + momentum * (g[j] - g_old[j]));
                                let to = shrunk(v, shrinkage);
                                assert_eq!(f64::from(new[j]), to);
                                expected[0] += (to - x[j]).powi(2);
                                expected[1] += (to - x[j]) * (z - to);
                            }
                            assert_eq!(found, expected);
                            let largest = x.iter().fold(0.0f64, |a, x| a.max(x.abs()));
                            assert_eq!(
                                f64::from($module::largest::at(level, &cast(x), false)),
                                largest
                            );
                            let largest = x.iter().fold(0.0f64, |a, x| a.max(*x));
                            assert_eq!(
                                f64::from($module::largest::at(level, &cast(x), true)),
                                largest
                            );
                            all.push(new);
                        }
                        assert_eq!(codes.rows(), ROWS);
                        for (row, x) in all.iter().enumerate() {
                            let (places, values) = codes.row(row);
                            let kept: Vec<usize> = (0..n).filter(|j| x[*j] != 0.0).collect();
                            assert!(places.iter().map(|p| *p as usize).eq(kept));
                            assert!(places.iter().zip(values).all(|(p, v)| x[*p as usize] == *v));
                        }
                        // The same without momentum and shrinkage, up to a cut.
                        let (x, g) = (cast(&x[..n]), cast(&g[..n]));
                        let (mut at, mut v, mut s) =
                            (vec![0; n + 16], vec![0.0; n + 16], vec![0.0; n + 16]);
                        let found = Selected { positions: &mut at, values: &mut v, slopes: &mut s };
                        let (count, finite) = $module::select::at(level, &x, &g, 0.5, 2.0, found);
                        let expected: Vec<usize> =
                            (0..n).filter(|j| (x[*j] - 0.5 * g[*j]).abs() > 2.0).collect();
                        assert!(finite && count == expected.len());
                        for (k, j) in expected.into_iter().enumerate() {
                            let entry = (j as u32, x[j] - 0.5 * g[j], g[j]);
                            assert_eq!((at[k], v[k], s[k]), entry);
                        }
                        let third: Vec<$float> = x.iter().map(|x| *x + 1.0).collect();
                        let mut values = vec![$float::NAN; n];
                        let turn = Turn {
                            upstream: &x,
                            by_value: &g,
                            by_threshold: &third,
                            slopes: &x,
                            values: &mut values,
                        };
                        let found = $module::turn_back::at(level, turn);
                        let sum = |terms: &dyn Fn(usize) -> $float| -> f64 {
                            (0..n).map(|j| f64::from(terms(j))).sum()
                        };
                        assert_eq!(found.by_threshold, sum(&|j| x[j] * third[j]));
                        assert_eq!(found.along, sum(&|j| x[j] * g[j] * x[j]));
                        assert!((0..n).all(|j| values[j] == x[j] * g[j]));
                        for bad in [$float::NAN, $float::INFINITY] {
                            let mut x = x.clone();
                            x[n - 1] = bad;
                            let found =
                                Selected { positions: &mut at, values: &mut v, slopes: &mut s };
                            assert!(!$module::select::at(level, &x, &g, 0.5, 2.0, found).1);
                        }
                    }
                }
            }
        }
    };
}
checks!(single_precision, single, f32);
checks!(double_precision, double, f64);
