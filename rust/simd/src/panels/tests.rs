//! At every level, against plain loops over small integers: every sum is exact, so equality is the right
//! test.

use super::*;
use crate::level::Level;

/// A matrix, without a look at the clock.
fn new<T: Copy + Default>(
    rows: usize,
    columns: usize,
    entry: impl Fn(usize, usize) -> T,
) -> Panels<T> {
    let mut panels = Panels::new(rows, columns);
    panels.fill(entry, || Ok::<(), std::convert::Infallible>(())).unwrap();
    panels
}

fn whole(k: usize) -> f64 {
    ((k * 7919) % 17) as f64 - 8.0
}

/// Rows of every density: six crowded ones, and others.
fn rows(count: usize, height: usize) -> Vec<f64> {
    let shares = [10, 9, 9, 10, 8, 10, 4, 1, 0, 9, 3];
    let entry = |i: usize, j: usize| (j * 13 + i) % 10 < shares[i % shares.len()];
    (0..count)
        .flat_map(|i| (0..height).map(move |j| if entry(i, j) { whole(i + 3 * j) } else { 0.0 }))
        .collect()
}

/// Starts, positions and values.
fn compressed<T: Copy>(
    dense: &[f64],
    height: usize,
    cast: fn(f64) -> T,
) -> (Vec<usize>, Vec<u32>, Vec<T>) {
    let (mut starts, mut positions, mut values) = (vec![0], vec![], vec![]);
    for row in dense.chunks(height) {
        for (j, x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            positions.push(j as u32);
            values.push(cast(*x));
        }
        starts.push(positions.len());
    }
    (starts, positions, values)
}

macro_rules! agrees {
    ($name:ident, $float:ident, $kernel:ident) => {
        #[test]
        fn $name() {
            let cast = |x: &[f64]| x.iter().map(|x| *x as $float).collect::<Vec<_>>();
            // Below, at and above the width of a register, of a panel and of a block of rows.
            let heights = [1, 5, 150, 151, 301, 620];
            let sizes = [(1, 1), (15, 2), (16, 4), (33, 8), (64, 10), (130, 11)];
            for (height, (n, count)) in heights.into_iter().zip(sizes) {
                let entry = |i: usize, j: usize| whole(i * (n + 3) + j);
                let matrix = new(height, n, |i, j| entry(i, j) as $float);
                assert_eq!((matrix.rows(), matrix.columns()), (height, n));
                let dense = rows(count, height);
                let (starts, positions, values) = compressed(&dense, height, |x| x as $float);
                let sparse = SparseRows { starts: &starts, positions: &positions, values: &values };
                let single = cast(&dense);
                let base = cast(&(0..count * n).map(whole).collect::<Vec<_>>());
                let forms = [(true, false), (false, true), (true, true)];
                for ((is_sparse, is_dense), based) in
                    forms.into_iter().flat_map(|form| [(form, false), (form, true)])
                {
                    let product = Product {
                        sparse: is_sparse.then_some(sparse),
                        dense: is_dense.then_some(&single[..]),
                        matrix: &matrix,
                        scale: 2.0,
                        base: based.then_some((&base[..], -3.0)),
                    };
                    for level in Level::available() {
                        let mut out = vec![$float::NAN; count * n];
                        $kernel::at(level, &product, &product.cuts(), 0..n, &mut out);
                        for (at, out) in out.iter().enumerate() {
                            let (row, j) = (at / n, at % n);
                            let sum: f64 =
                                (0..height).map(|i| dense[row * height + i] * entry(i, j)).sum();
                            let added = if based { -3.0 * whole(at) } else { 0.0 };
                            assert_eq!(
                                f64::from(*out),
                                2.0 * sum + added,
                                "{height} {n} {level:?}"
                            );
                        }
                    }
                }
            }
        }
    };
}
agrees!(single_precision_agrees_with_the_definition, f32, cut_product_f32);
agrees!(double_precision_agrees_with_the_definition, f64, cut_product_f64);

#[test]
fn what_is_not_finite_is_not_hidden() {
    let matrix = new(3, 2, |i, j| (i + j) as f64);
    let dense = [1.0, f64::NAN, 0.0, 0.0, 0.0, 2.0];
    let rows =
        SparseRows { starts: &[0, 2, 3], positions: &[0, 1, 2], values: &[1.0, f64::NAN, 2.0] };
    for sparse in [None, Some(rows)] {
        let product =
            Product { sparse, dense: Some(&dense[..]), matrix: &matrix, scale: 1.0, base: None };
        let mut out = [0.0; 4];
        assert!(multiply_f64(&product, 0, &mut out, &|| true));
        assert!(out[..2].iter().all(|x| x.is_nan()));
    }
}

#[test]
fn a_large_product_can_be_abandoned() {
    let (height, n, count) = (4096, 70, 600);
    let matrix = new(height, n, |i, j| (i + j) as f64);
    // A number in the last row only.
    let mut starts = vec![0; count];
    starts.push(1);
    let rows = SparseRows { starts: &starts, positions: &[5], values: &[2.0] };
    let product =
        Product { sparse: Some(rows), dense: None, matrix: &matrix, scale: 1.0, base: None };
    let looks = std::cell::Cell::new(0);
    let mut out = vec![f64::NAN; count * n];
    let until = |most: usize| {
        looks.set(looks.get() + 1);
        looks.get() <= most
    };
    assert!(!multiply_f64(&product, 0, &mut out, &|| until(2)));
    let last = &out[(count - 1) * n..];
    assert!(
        (0..64).all(|j| last[j] == 2.0 * (5 + j) as f64) && last[64..].iter().all(|x| x.is_nan())
    );
    assert!(multiply_f64(&product, 0, &mut out, &|| until(usize::MAX)));
    assert!((0..n).all(|j| out[(count - 1) * n + j] == 2.0 * (5 + j) as f64));
    let mut part = vec![f64::NAN; count * n];
    assert!(multiply_f64(&product, 40, &mut part, &|| true));
    let last = &part[(count - 1) * n..];
    assert!(
        last[..32].iter().all(|x| x.is_nan()) && (32..n).all(|j| last[j] == 2.0 * (5 + j) as f64)
    );
    looks.set(0);
    let poll = || if until(3) { Ok(()) } else { Err(looks.get()) };
    assert_eq!(Panels::new(1000, 64).fill(|_, _| 0.0f32, poll), Err(4));
}
