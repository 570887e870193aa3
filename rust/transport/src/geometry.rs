//! Rows of the cost, from a matrix or from points.
//!
//! Solvers ask for one row at a time, scaled, in f64. A matrix may be f32 or f64, in any layout,
//! and is never copied; points are turned into distances as they are needed.

use sparrot_foundation::Error;
use sparrot_simd::{linear, points, reduce};

/// The cost between n sources and m targets.
pub trait Cost: Sync {
    /// (n, m).
    fn shape(&self) -> (usize, usize);
    /// `out_j = scale * C_ij`, for `scale > 0`.
    fn scaled_row(&self, i: usize, scale: f64, out: &mut [f64]);
    /// A row as it lies in memory, if it does, in f64.
    fn row(&self, _i: usize) -> Option<&[f64]> {
        None
    }
    /// Several rows, one after the other. Faster than one by one where they are read across memory.
    fn scaled_rows(&self, rows: &[usize], scale: f64, out: &mut [f64]) {
        let m = self.shape().1;
        for (i, out) in rows.iter().zip(out.chunks_exact_mut(m)) {
            self.scaled_row(*i, scale, out);
        }
    }
    /// Whether computing a row takes clearly longer than reading it, so that a solve, which asks
    /// for each row many times, had better store them all.
    fn is_dear(&self) -> bool {
        false
    }
    /// Whether rows may be asked for again and again instead of the plan being stored, and
    /// [`Cost::some`] has an answer.
    fn can_be_thinned(&self) -> bool {
        false
    }
    /// The costs between some rows and some columns.
    fn some(&self, _rows: &[usize], _columns: &[usize]) -> Option<Box<dyn Cost + '_>> {
        None
    }
    /// The cost of the reverse problem: that from targets to sources.
    fn transposed(&self) -> Box<dyn Cost + '_>;
    /// The same if that is the one to solve: a solver reads along rows, and does its smaller part
    /// on the columns.
    fn reversed(&self) -> Option<Box<dyn Cost + '_>>;
}

/// Element types a cost matrix may have.
pub trait Element: sparrot_foundation::Scalar {
    /// `out_j = scale * x_j`.
    fn scaled(scale: f64, x: &[Self], out: &mut [f64]);
    /// The same numbers, if they are f64 already.
    fn as_f64(_x: &[Self]) -> Option<&[f64]> {
        None
    }
}

impl Element for f64 {
    fn as_f64(x: &[f64]) -> Option<&[f64]> {
        Some(x)
    }

    fn scaled(scale: f64, x: &[f64], out: &mut [f64]) {
        linear::scaled_f64(scale, x, out);
    }
}

impl Element for f32 {
    fn scaled(scale: f64, x: &[f32], out: &mut [f64]) {
        linear::scaled_f32(scale, x, out);
    }
}

/// A matrix in memory, given by its rows or by its columns, each contiguous.
#[derive(Clone)]
pub struct MatrixView<'a, T> {
    /// The rows, or the columns.
    pub lines: Vec<&'a [T]>,
    /// The length of each.
    pub length: usize,
    /// Whether the lines are columns.
    pub by_columns: bool,
}

impl<'a, T: Element> MatrixView<'a, T> {
    /// A matrix of m columns stored row by row.
    pub fn row_major(data: &'a [T], m: usize) -> MatrixView<'a, T> {
        MatrixView { lines: data.chunks_exact(m.max(1)).collect(), length: m, by_columns: false }
    }
}

impl<T: Element> Cost for MatrixView<'_, T> {
    fn shape(&self) -> (usize, usize) {
        let count = self.lines.len();
        if self.by_columns { (self.length, count) } else { (count, self.length) }
    }

    fn scaled_row(&self, i: usize, scale: f64, out: &mut [f64]) {
        if self.by_columns {
            for (out, column) in out.iter_mut().zip(&self.lines) {
                *out = scale * column[i].to_f64();
            }
        } else {
            T::scaled(scale, self.lines[i], out);
        }
    }

    fn row(&self, i: usize) -> Option<&[f64]> {
        if self.by_columns { None } else { T::as_f64(self.lines[i]) }
    }

    fn scaled_rows(&self, rows: &[usize], scale: f64, out: &mut [f64]) {
        const GROUP: usize = 8; // columns, of which each row gets a cache line
        let m = self.shape().1;
        if !self.by_columns {
            for (i, out) in rows.iter().zip(out.chunks_exact_mut(m)) {
                T::scaled(scale, self.lines[*i], out);
            }
            return;
        }
        let follow = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let first = rows.first().copied().unwrap_or(0);
        for (group, columns) in self.lines.chunks(GROUP).enumerate() {
            let at = group * GROUP;
            if let (true, Ok(columns)) = (follow, <&[&[T]; GROUP]>::try_from(columns)) {
                let parts = columns.map(|column| &column[first..first + rows.len()]);
                for (r, out) in out.chunks_exact_mut(m).take(rows.len()).enumerate() {
                    let values: [f64; GROUP] = parts.map(|part| scale * part[r].to_f64());
                    out[at..at + GROUP].copy_from_slice(&values);
                }
                continue;
            }
            for (i, out) in rows.iter().zip(out.chunks_exact_mut(m)) {
                for (out, column) in out[at..].iter_mut().zip(columns) {
                    *out = scale * column[*i].to_f64();
                }
            }
        }
    }

    fn transposed(&self) -> Box<dyn Cost + '_> {
        Box::new(MatrixView { by_columns: !self.by_columns, ..self.clone() })
    }

    /// Reading across memory is put up with for columns that are less than half as many as rows.
    fn reversed(&self) -> Option<Box<dyn Cost + '_>> {
        let (n, m) = self.shape();
        let reverse = if self.by_columns { 2 * m >= n } else { 2 * n < m };
        reverse.then(|| self.transposed())
    }
}

/// How far two points are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `|x - y|^2`.
    SquaredEuclidean,
    /// `|x - y|`.
    Euclidean,
    /// `1 - x.y / (|x| |y|)`, for points other than the origin.
    Cosine,
}

/// Costs between two sets of points in d dimensions, computed when asked for.
pub struct Points {
    metric: Metric,
    dimension: usize,
    sources: Vec<f64>,
    targets: Vec<f64>,
    targets_by_coordinate: Vec<f64>,
    shape: (usize, usize),
}

impl Points {
    /// From points stored one after the other, `d` coordinates each.
    ///
    /// # Errors
    /// Cosine distance of a point at the origin.
    pub fn new(metric: Metric, x: &[f64], y: &[f64], d: usize) -> Result<Points, Error> {
        let count = |points: &[f64]| points.len().checked_div(d).unwrap_or(0);
        let (n, m) = (count(x), count(y));
        let (mut sources, mut targets) = (x.to_vec(), y.to_vec());
        if metric == Metric::Cosine {
            normalise("X", &mut sources, d)?;
            normalise("Y", &mut targets, d)?;
        }
        Ok(Points::between(metric, sources, targets, d, (n, m)))
    }

    /// From points that need no further preparation.
    fn between(
        metric: Metric,
        sources: Vec<f64>,
        targets: Vec<f64>,
        dimension: usize,
        shape: (usize, usize),
    ) -> Points {
        let mut targets_by_coordinate = vec![0.0; targets.len()];
        for (j, y) in targets.chunks_exact(dimension.max(1)).enumerate() {
            for (k, value) in y.iter().enumerate() {
                targets_by_coordinate[k * shape.1 + j] = *value;
            }
        }
        Points { metric, dimension, sources, targets, targets_by_coordinate, shape }
    }
}

/// Scales each point to length 1; the cosine distance is then half the squared Euclidean one.
fn normalise(argument: &'static str, points: &mut [f64], d: usize) -> Result<(), Error> {
    for (i, point) in points.chunks_exact_mut(d.max(1)).enumerate() {
        let largest = point.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        if largest == 0.0 {
            return Err(Error::invalid(
                argument,
                format!("row {i} is all zeros, for which the cosine distance is not defined"),
            ));
        }
        point.iter_mut().for_each(|x| *x /= largest); // so that the squares cannot overflow
        let length = reduce::dot(point, point).sqrt();
        point.iter_mut().for_each(|x| *x /= length);
    }
    Ok(())
}

impl Cost for Points {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn is_dear(&self) -> bool {
        self.dimension > 8
    }

    fn can_be_thinned(&self) -> bool {
        true
    }

    fn some(&self, rows: &[usize], columns: &[usize]) -> Option<Box<dyn Cost + '_>> {
        let d = self.dimension;
        let chosen = |points: &[f64], which: &[usize]| -> Vec<f64> {
            which.iter().flat_map(|i| points[i * d..(i + 1) * d].iter().copied()).collect()
        };
        let (sources, targets) = (chosen(&self.sources, rows), chosen(&self.targets, columns));
        let shape = (rows.len(), columns.len());
        Some(Box::new(Points::between(self.metric, sources, targets, d, shape)))
    }

    fn transposed(&self) -> Box<dyn Cost + '_> {
        let (n, m) = self.shape;
        let (sources, targets) = (self.targets.clone(), self.sources.clone());
        Box::new(Points::between(self.metric, sources, targets, self.dimension, (m, n)))
    }

    fn reversed(&self) -> Option<Box<dyn Cost + '_>> {
        let (n, m) = self.shape;
        (n < m).then(|| self.transposed())
    }

    fn scaled_row(&self, i: usize, scale: f64, out: &mut [f64]) {
        let x = &self.sources[i * self.dimension..(i + 1) * self.dimension];
        let y = &self.targets_by_coordinate;
        match self.metric {
            Metric::SquaredEuclidean => points::squared_distances(x, y, scale, out),
            Metric::Cosine => points::squared_distances(x, y, 0.5 * scale, out),
            Metric::Euclidean => {
                points::squared_distances(x, y, 1.0, out);
                points::scaled_sqrt(scale, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_rows(cost: &dyn Cost) -> Vec<f64> {
        let (n, m) = cost.shape();
        let mut all = vec![0.0; n * m];
        for (i, row) in all.chunks_mut(m).enumerate() {
            cost.scaled_row(i, 2.0, row);
        }
        all
    }

    #[test]
    fn any_layout_gives_the_same_rows() {
        let data: Vec<f64> = (0..12).map(f64::from).collect();
        let by_rows = MatrixView::row_major(&data, 4);
        let expected: Vec<f64> = data.iter().map(|x| 2.0 * x).collect();
        assert_eq!(all_rows(&by_rows), expected);
        let narrow: Vec<f32> = data.iter().map(|x| *x as f32).collect();
        assert_eq!(all_rows(&MatrixView::row_major(&narrow, 4)), expected);
        // Rows in another order and with gaps between them, as views of larger arrays have.
        let wide = [&data[8..], &[9e9], &data[4..8], &[9e9], &data[..4]].concat();
        let lines = vec![&wide[10..], &wide[5..9], &wide[..4]];
        assert_eq!(all_rows(&MatrixView { lines, length: 4, by_columns: false }), expected);
        let by_columns = MatrixView { by_columns: true, ..by_rows.clone() };
        assert_eq!(by_columns.shape(), (4, 3));
        assert_eq!(all_rows(&by_columns)[..4], [0.0, 8.0, 16.0, 2.0]);
        assert_eq!(all_rows(&*by_columns.reversed().unwrap()), expected);
        assert_eq!(by_rows.row(1), Some(&data[4..8]));
        let transposed = by_rows.transposed();
        assert_eq!(transposed.row(1), None);
        let mut rows = vec![0.0; 6];
        transposed.scaled_rows(&[3, 1], 1.0, &mut rows);
        assert_eq!(rows, [3.0, 7.0, 11.0, 1.0, 5.0, 9.0]);
        transposed.transposed().scaled_rows(&[2], 0.5, &mut rows[..4]);
        assert_eq!(rows[..4], [4.0, 4.5, 5.0, 5.5]);
        assert!(by_rows.reversed().is_none());
    }

    #[test]
    fn points_give_their_distances() {
        let (x, y) = ([0.0, 0.0, 3.0, 4.0], [3.0, 4.0, 1.0, 0.0, 0.0, -2.0]);
        let squared = Points::new(Metric::SquaredEuclidean, &x, &y, 2).unwrap();
        assert_eq!(squared.shape(), (2, 3));
        let some = squared.some(&[1], &[2, 0]).unwrap();
        assert_eq!(all_rows(&*some), [90.0, 0.0]);
        assert_eq!(all_rows(&squared), [50.0, 2.0, 8.0, 0.0, 40.0, 90.0]);
        let plain = Points::new(Metric::Euclidean, &x, &y, 2).unwrap();
        assert_eq!(all_rows(&plain)[..3], [10.0, 2.0, 4.0]);
        let cosine = Points::new(Metric::Cosine, &x[2..], &y, 2).unwrap();
        let expected = [0.0, 2.0 * (1.0 - 0.6), 2.0 * (1.0 + 0.8)];
        assert!(all_rows(&cosine).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15));
        assert!(Points::new(Metric::Cosine, &x, &y, 2).is_err());
    }
}
