//! f32 or f64, with what the solvers ask of it.

use std::ops::{Add, Div, Mul, Neg, RangeInclusive, Sub};

use faer::traits::ComplexField;
use sparrot_design::Element;
use sparrot_simd::codes::Element as CodeElement;
use sparrot_simd::linear;

/// f32 or f64.
pub trait Number:
    Element
    + CodeElement
    + ComplexField
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// Squares of a signal below this lose digits in products to underflow,
    const LEAST_SQUARES: f64;
    /// and above this may overflow.
    const MOST_SQUARES: f64;
    /// From the one to the other.
    const SQUARES: RangeInclusive<f64> = Self::LEAST_SQUARES..=Self::MOST_SQUARES;
    /// `y += alpha_0 column_0 + ... + alpha_3 column_3`.
    fn add4(alpha: [f64; 4], columns: [&[Self]; 4], y: &mut [f64]);
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const EPSILON: f64 = f32::EPSILON as f64;
    const LEAST_SQUARES: f64 = 1e-30;
    const MOST_SQUARES: f64 = 1e34;
    fn add4(alpha: [f64; 4], columns: [&[f32]; 4], y: &mut [f64]) {
        linear::axpy4_single(alpha, columns, y);
    }
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const EPSILON: f64 = f64::EPSILON;
    const LEAST_SQUARES: f64 = 1e-280;
    const MOST_SQUARES: f64 = 1e300;
    fn add4(alpha: [f64; 4], columns: [&[f64]; 4], y: &mut [f64]) {
        linear::axpy4(alpha, columns, y);
    }
}
