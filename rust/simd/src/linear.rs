//! axpy, and the two halves of a fused sweep over four rows of a matrix.
//!
//! A sweep `u_i = a_i / (T v)_i`, `acc = T' u` reads the matrix once: four rows are multiplied by
//! `v`, then, while they are still in the first cache, added to `acc` with their new weights. Four
//! rows share each load of `v` and of `acc`, which is what makes it run at the speed of memory.

use crate::dispatch::kernel;
use crate::gibbs::NEGLIGIBLE;
use crate::lanes::Vector;

kernel! {
    /// `y_j += alpha x_j`.
    pub fn axpy<'a, S>(alpha: f64, x: &'a [f64], y: &'a mut [f64]) {
        let lanes = S::F64::LANES;
        let x = &x[..y.len()];
        let a = S::F64::splat(alpha);
        let mut ys = y.chunks_exact_mut(lanes);
        let mut xs = x.chunks_exact(lanes);
        for (y, x) in (&mut ys).zip(&mut xs) {
            a.mul_add(S::F64::load(x), S::F64::load(y)).store(y);
        }
        let (y, x) = (ys.into_remainder(), xs.remainder());
        let sum = a.mul_add(S::F64::load_tail(x, 0.0), S::F64::load_tail(y, 0.0));
        sum.store_tail(y, 0.0);
    }
}

kernel! {
    /// The products of four rows with `v`.
    pub fn dot4<'a, S>(rows: [&'a [f64]; 4], v: &'a [f64]) -> [f64; 4] {
        let lanes = S::F64::LANES;
        let n = v.len();
        let rows = rows.map(|r| &r[..n]);
        let mut acc = [[S::F64::splat(0.0); 2]; 4];
        let mut j = 0;
        while j + 2 * lanes <= n {
            let (v0, v1) = (S::F64::load(&v[j..]), S::F64::load(&v[j + lanes..]));
            for q in 0..4 {
                acc[q][0] = S::F64::load(&rows[q][j..]).mul_add(v0, acc[q][0]);
                acc[q][1] = S::F64::load(&rows[q][j + lanes..]).mul_add(v1, acc[q][1]);
            }
            j += 2 * lanes;
        }
        while j < n {
            let end = (j + lanes).min(n);
            let w = S::F64::load_tail(&v[j..end], 0.0);
            for q in 0..4 {
                acc[q][0] = S::F64::load_tail(&rows[q][j..end], 0.0).mul_add(w, acc[q][0]);
            }
            j = end;
        }
        acc.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b))
    }
}

kernel! {
    /// `y_j += alpha_0 rows_0j + ... + alpha_3 rows_3j`.
    pub fn axpy4<'a, S>(alpha: [f64; 4], rows: [&'a [f64]; 4], y: &'a mut [f64]) {
        let lanes = S::F64::LANES;
        let n = y.len();
        let rows = rows.map(|r| &r[..n]);
        let a = alpha.map(S::F64::splat);
        let mut j = 0;
        while j + lanes <= n {
            let mut t = S::F64::load(&y[j..]);
            for q in 0..4 {
                t = a[q].mul_add(S::F64::load(&rows[q][j..]), t);
            }
            t.store(&mut y[j..]);
            j += lanes;
        }
        if j < n {
            let mut t = S::F64::load_tail(&y[j..], 0.0);
            for q in 0..4 {
                t = a[q].mul_add(S::F64::load_tail(&rows[q][j..], 0.0), t);
            }
            t.store_tail(&mut y[j..], 0.0);
        }
    }
}

kernel! {
    /// `y_j += alpha_0 (rows_0j - shift_0) + ... + alpha_3 (rows_3j - shift_3)`.
    pub fn shifted_axpy4<'a, S>(
        alpha: [f64; 4],
        shift: [f64; 4],
        rows: [&'a [f64]; 4],
        y: &'a mut [f64],
    ) {
        let lanes = S::F64::LANES;
        let n = y.len();
        let rows = rows.map(|r| &r[..n]);
        let (a, c) = (alpha.map(S::F64::splat), shift.map(S::F64::splat));
        let mut j = 0;
        while j + lanes <= n {
            let mut t = S::F64::load(&y[j..]);
            for q in 0..4 {
                t = a[q].mul_add(S::F64::load(&rows[q][j..]).sub(c[q]), t);
            }
            t.store(&mut y[j..]);
            j += lanes;
        }
        if j < n {
            let mut t = S::F64::load_tail(&y[j..], 0.0);
            for q in 0..4 {
                t = a[q].mul_add(S::F64::load_tail(&rows[q][j..], 0.0).sub(c[q]), t);
            }
            t.store_tail(&mut y[j..], 0.0);
        }
    }
}

kernel! {
    /// [`shifted_axpy4`] for rows in single precision.
    pub fn shifted_axpy4_single<'a, S>(
        alpha: [f64; 4],
        shift: [f64; 4],
        rows: [&'a [f32]; 4],
        y: &'a mut [f64],
    ) {
        let lanes = S::F64::LANES;
        let n = y.len();
        let rows = rows.map(|r| &r[..n]);
        let (a, c) = (alpha.map(S::F64::splat), shift.map(S::F64::splat));
        let mut j = 0;
        while j + 2 * lanes <= n {
            let (mut t0, mut t1) = (S::F64::load(&y[j..]), S::F64::load(&y[j + lanes..]));
            for q in 0..4 {
                let [low, high] = S::widen(S::F32::load(&rows[q][j..]));
                t0 = a[q].mul_add(low.sub(c[q]), t0);
                t1 = a[q].mul_add(high.sub(c[q]), t1);
            }
            t0.store(&mut y[j..]);
            t1.store(&mut y[j + lanes..]);
            j += 2 * lanes;
        }
        for (k, y) in y.iter_mut().enumerate().skip(j) {
            for q in 0..4 {
                *y += alpha[q] * (f64::from(rows[q][k]) - shift[q]);
            }
        }
    }
}

kernel! {
    /// [`dot4`] for rows in single precision.
    pub fn dot4_single<'a, S>(rows: [&'a [f32]; 4], v: &'a [f64]) -> [f64; 4] {
        let lanes = S::F64::LANES;
        let n = v.len();
        let rows = rows.map(|r| &r[..n]);
        let mut acc = [[S::F64::splat(0.0); 2]; 4];
        let mut j = 0;
        while j + 2 * lanes <= n {
            let (v0, v1) = (S::F64::load(&v[j..]), S::F64::load(&v[j + lanes..]));
            for q in 0..4 {
                let [low, high] = S::widen(S::F32::load(&rows[q][j..]));
                acc[q][0] = low.mul_add(v0, acc[q][0]);
                acc[q][1] = high.mul_add(v1, acc[q][1]);
            }
            j += 2 * lanes;
        }
        if j < n {
            let middle = (j + lanes).min(n);
            let v0 = S::F64::load_tail(&v[j..middle], 0.0);
            let v1 = S::F64::load_tail(&v[middle..], 0.0);
            for q in 0..4 {
                let [low, high] = S::widen(S::F32::load_tail(&rows[q][j..], 0.0));
                acc[q][0] = low.mul_add(v0, acc[q][0]);
                acc[q][1] = high.mul_add(v1, acc[q][1]);
            }
        }
        acc.map(|[a, b]| a.add(b).fold(0.0, |a, b| a + b))
    }
}

kernel! {
    /// [`axpy4`] for rows in single precision.
    pub fn axpy4_single<'a, S>(alpha: [f64; 4], rows: [&'a [f32]; 4], y: &'a mut [f64]) {
        let lanes = S::F64::LANES;
        let n = y.len();
        let rows = rows.map(|r| &r[..n]);
        let a = alpha.map(S::F64::splat);
        let mut j = 0;
        while j + 2 * lanes <= n {
            let (mut t0, mut t1) = (S::F64::load(&y[j..]), S::F64::load(&y[j + lanes..]));
            for q in 0..4 {
                let [low, high] = S::widen(S::F32::load(&rows[q][j..]));
                t0 = a[q].mul_add(low, t0);
                t1 = a[q].mul_add(high, t1);
            }
            t0.store(&mut y[j..]);
            t1.store(&mut y[j + lanes..]);
            j += 2 * lanes;
        }
        for (k, y) in y.iter_mut().enumerate().skip(j) {
            for q in 0..4 {
                *y += alpha[q] * f64::from(rows[q][k]);
            }
        }
    }
}

// The loops below are left to the compiler, which vectorises them for each level.

kernel! {
    /// `out_j = scale * x_j`.
    pub fn scaled_f64<'a, S>(scale: f64, x: &'a [f64], out: &'a mut [f64]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = scale * x;
        }
    }
}

kernel! {
    /// `out_j = scale * x_j`, in double precision.
    pub fn scaled_f32<'a, S>(scale: f64, x: &'a [f32], out: &'a mut [f64]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = scale * f64::from(*x);
        }
    }
}

kernel! {
    /// `out_j = x_j` in single precision; what is too small for that to be a normal number becomes 0.
    pub fn narrow<'a, S>(x: &'a [f64], out: &'a mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = if *x < f64::from(f32::MIN_POSITIVE) { 0.0 } else { *x as f32 };
        }
    }
}

kernel! {
    /// `y_j += x_j`.
    pub fn add_to<'a, S>(x: &'a [f64], y: &'a mut [f64]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

kernel! {
    /// `y_j += x_j` and `z_j += scale x_j`.
    pub fn add_twice<'a, S>(scale: f64, x: &'a [f64], y: &'a mut [f64], z: &'a mut [f64]) {
        for ((y, z), x) in y.iter_mut().zip(z).zip(x) {
            *y += x;
            *z += scale * x;
        }
    }
}

kernel! {
    /// `x_j *= scale`, up to `NEGLIGIBLE` 0, then `y_j += alpha x_j`.
    pub fn scale_and_axpy<'a, S>(scale: f64, x: &'a mut [f64], alpha: f64, y: &'a mut [f64]) {
        for (y, x) in y.iter_mut().zip(x) {
            let scaled = *x * scale;
            *x = if scaled <= NEGLIGIBLE { 0.0 } else { scaled };
            *y += alpha * *x;
        }
    }
}

kernel! {
    /// `x_j *= scale`, up to `NEGLIGIBLE` 0, then `y_j += x_j`.
    pub fn scale_and_add<'a, S>(scale: f64, x: &'a mut [f64], y: &'a mut [f64]) {
        for (y, x) in y.iter_mut().zip(x) {
            let scaled = *x * scale;
            *x = if scaled <= NEGLIGIBLE { 0.0 } else { scaled };
            *y += *x;
        }
    }
}

kernel! {
    /// `y_j *= x_j`.
    pub fn multiply_by<'a, S>(x: &'a [f64], y: &'a mut [f64]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y *= x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_level() {
        for n in (0..70).chain([256, 1001]) {
            let row = |k: usize| {
                (0..n).map(|j| ((j * 7 + k * 13) % 23) as f64 - 11.0).collect::<Vec<_>>()
            };
            let (r, v) = ([row(1), row(2), row(3), row(4)], row(5));
            let rows = [&r[0][..], &r[1][..], &r[2][..], &r[3][..]];
            let alpha = [0.5, -1.0, 2.0, 0.25];
            for level in Level::available() {
                // Small integers: every sum is exact, so equality is the right test.
                let products = dot4::at(level, rows, &v);
                for q in 0..4 {
                    assert_eq!(products[q], r[q].iter().zip(&v).map(|(a, b)| a * b).sum::<f64>());
                }
                let single = r.clone().map(|r| r.iter().map(|x| *x as f32).collect::<Vec<_>>());
                let single = [&single[0][..], &single[1][..], &single[2][..], &single[3][..]];
                assert_eq!(dot4_single::at(level, single, &v), products);
                let (mut y, mut expected) = (v.clone(), v.clone());
                axpy4_single::at(level, alpha, single, &mut y);
                axpy4::at(level, alpha, rows, &mut expected);
                assert_eq!(y, expected);
                let shift = [3.0, 0.0, -2.0, 8.0];
                shifted_axpy4_single::at(level, alpha, shift, single, &mut y);
                shifted_axpy4::at(level, alpha, shift, rows, &mut expected);
                assert_eq!(y, expected);
                let added = |j: usize| {
                    let of = |q: usize| alpha[q] * (2.0 * r[q][j] - shift[q]);
                    (0..4).map(of).sum::<f64>()
                };
                assert!(y.iter().enumerate().all(|(j, y)| *y == v[j] + added(j)));
                let mut narrowed = vec![1.0f32; n];
                let positive: Vec<f64> = r[0].iter().map(|x| x.abs() * 1e-38).collect();
                narrow::at(level, &positive, &mut narrowed);
                assert!(
                    positive
                        .iter()
                        .zip(&narrowed)
                        .all(|(x, y)| (*x as f32 == *y) || (*y == 0.0 && *x < 1.2e-38))
                );
                let mut y = v.clone();
                axpy::at(level, 2.0, &r[0], &mut y);
                assert!(y.iter().enumerate().all(|(j, y)| *y == v[j] + 2.0 * r[0][j]));
                let mut y = v.clone();
                scaled_f64::at(level, 2.0, &r[0], &mut y);
                add_to::at(level, &r[1], &mut y);
                multiply_by::at(level, &r[2], &mut y);
                assert!((0..n).all(|j| y[j] == (2.0 * r[0][j] + r[1][j]) * r[2][j]));
                let mut z = y.clone();
                add_twice::at(level, 2.0, &r[3], &mut y, &mut z);
                assert!((0..n).all(|j| z[j] - y[j] == r[3][j]));
                y.iter_mut().zip(&r[3]).for_each(|(y, x)| *y -= x);
                let (mut x, mut again) = (r[0].clone(), y.clone());
                scale_and_axpy::at(level, 3.0, &mut x, 2.0, &mut again);
                assert!((0..n).all(|j| again[j] == y[j] + 2.0 * (3.0 * r[0][j]).max(0.0)));
                let mut x = r[0].clone();
                scale_and_add::at(level, 3.0, &mut x, &mut y);
                assert!((0..n).all(|j| x[j] == (3.0 * r[0][j]).max(0.0)));
                assert!((0..n).all(|j| y[j] == (2.0 * r[0][j] + r[1][j]) * r[2][j] + x[j]));
                let narrow: Vec<f32> = r[0].iter().map(|x| *x as f32).collect();
                scaled_f32::at(level, 0.5, &narrow, &mut y);
                assert!((0..n).all(|j| y[j] == 0.5 * r[0][j]));
                let mut y = v.clone();
                axpy4::at(level, alpha, rows, &mut y);
                for j in 0..n {
                    assert_eq!(y[j], v[j] + (0..4).map(|q| alpha[q] * r[q][j]).sum::<f64>());
                }
            }
        }
    }
}
