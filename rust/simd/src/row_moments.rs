//! Sums over the rows of a matrix, for each of its columns, of one row after the other.

use crate::dispatch::kernel;
use crate::lanes::Vector;

/// Two kernels, for rows of either precision: `$load` reads two registers.
macro_rules! add_moments {
    ($name:ident, $t:ty, $doc:expr, |$S:ident, $x:ident, $j:ident| $load:expr) => {
        kernel! {
            #[doc = $doc]
            pub fn $name<'a, $S>(
                factors: [f64; 2],
                x: &'a [$t],
                shifts: &'a [f64],
                sums: [&'a mut [f64]; 3],
            ) {
                let lanes = $S::F64::LANES;
                let n = x.len();
                let shifts = &shifts[..n];
                let [products, firsts, squares] = sums.map(|sums| &mut sums[..n]);
                let [v, w] = factors;
                let (of_v, of_w) = ($S::F64::splat(v), $S::F64::splat(w));
                let mut j = 0;
                while j + 2 * lanes <= n {
                    let both = {
                        let ($x, $j) = (x, j);
                        $load
                    };
                    for (q, x) in both.into_iter().enumerate() {
                        let at = j + q * lanes;
                        let x = x.sub($S::F64::load(&shifts[at..]));
                        let weighted = x.mul(of_w);
                        x.mul_add(of_v, $S::F64::load(&products[at..])).store(&mut products[at..]);
                        $S::F64::load(&firsts[at..]).add(weighted).store(&mut firsts[at..]);
                        x.mul_add(weighted, $S::F64::load(&squares[at..])).store(&mut squares[at..]);
                    }
                    j += 2 * lanes;
                }
                for k in j..n {
                    let x = f64::from(x[k]) - shifts[k];
                    products[k] += x * v;
                    firsts[k] += x * w;
                    squares[k] += x * w * x;
                }
            }
        }
    };
}

add_moments!(
    add_moments,
    f64,
    "Adds what a row x has of `sum v (x - shift)`, `sum w (x - shift)` and `sum w (x - shift)^2`.",
    |S, x, j| [S::F64::load(&x[j..]), S::F64::load(&x[j + S::F64::LANES..])]
);
add_moments!(
    add_moments_single,
    f32,
    "[`add_moments`] of a row in single precision.",
    |S, x, j| S::widen(S::F32::load(&x[j..]))
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    /// Of whole numbers, whose sums are exact.
    #[test]
    fn rows_are_added() {
        for n in [0, 1, 7, 8, 31, 33, 100] {
            let x: Vec<f64> = (0..n).map(|j| (j * 7 % 11) as f64 - 5.0).collect();
            let single: Vec<f32> = x.iter().map(|x| *x as f32).collect();
            let shifts: Vec<f64> = (0..n).map(|j| (j % 3) as f64).collect();
            for level in Level::available() {
                let mut all = [vec![1.0; n], vec![2.0; n], vec![3.0; n]];
                for is_single in [false, true] {
                    let sums = all.each_mut().map(|sums| &mut sums[..]);
                    if is_single {
                        add_moments_single::at(level, [3.0, 2.0], &single, &shifts, sums);
                    } else {
                        add_moments::at(level, [3.0, 2.0], &x, &shifts, sums);
                    }
                }
                for j in 0..n {
                    let x = x[j] - shifts[j];
                    assert_eq!(all[0][j], 1.0 + 6.0 * x);
                    assert_eq!(all[1][j], 2.0 + 4.0 * x);
                    assert_eq!(all[2][j], 3.0 + 4.0 * x * x);
                }
            }
        }
    }
}
