//! Rotary positions (Su et al. 2021): pairs of columns are turned by an angle that grows with the
//! position.

use crate::simd::{fma, simd};
use rayon::prelude::*;

/// Rows per task.
const ROWS: usize = 64;

/// The cosines and sines of every position, computed once for all layers that share them.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// `[positions, half]`
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Half of a head's columns: column i is turned together with column i + half.
    half: usize,
}

impl Rotation {
    /// For heads of `size` columns, an even number, at the positions `0..positions`. `theta` sets
    /// the slowest turn. Angles round to f32 as in transformers: at position 8,000 that is 2e-4 of
    /// a radian.
    pub fn new(theta: f64, size: usize, positions: usize) -> Self {
        assert!(size > 0 && size.is_multiple_of(2), "{size} columns are no pairs");
        let half = size / 2;
        let frequencies = Self::frequencies(theta, size);
        let angles = (0..positions)
            .into_par_iter()
            .flat_map_iter(|position| frequencies.iter().map(move |f| position as f32 * f));
        let (cos, sin) = angles
            .map(|angle| (f64::from(angle).cos() as f32, f64::from(angle).sin() as f32))
            .unzip();
        Self { cos, sin, half }
    }

    /// Returns how far each pair of columns turns from one position to the next, `[size / 2]`.
    pub fn frequencies(theta: f64, size: usize) -> Vec<f32> {
        let frequency = |i: usize| {
            let exponent = (2 * i) as f32 / size as f32;
            1.0 / theta.powf(f64::from(exponent)) as f32
        };
        (0..size / 2).map(frequency).collect()
    }

    /// Returns the cosines, `[positions, size / 2]`.
    pub fn cos(&self) -> &[f32] {
        &self.cos
    }

    /// Returns the sines, `[positions, size / 2]`.
    pub fn sin(&self) -> &[f32] {
        &self.sin
    }

    /// Returns the number of positions.
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    /// Returns the columns of a head.
    pub fn size(&self) -> usize {
        2 * self.half
    }

    /// Turns every head of packed tokens, `[tokens, hidden]`.
    pub(crate) fn turn(&self, x: &mut [f32], starts: &[usize], hidden: usize) {
        self.turn_by(x, starts, hidden, 1.0);
    }

    /// Inverts [`Rotation::turn`], which is also what its gradient needs.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    pub(crate) fn turn_back(&self, x: &mut [f32], starts: &[usize], hidden: usize) {
        self.turn_by(x, starts, hidden, -1.0);
    }

    fn turn_by(&self, x: &mut [f32], starts: &[usize], hidden: usize, sign: f32) {
        let position = |token: usize| {
            let sequence = starts.partition_point(|&start| start <= token) - 1;
            token - starts[sequence]
        };
        x.par_chunks_mut(ROWS * hidden).enumerate().for_each(|(chunk, rows)| {
            for (i, row) in rows.chunks_exact_mut(hidden).enumerate() {
                let at = position(chunk * ROWS + i) * self.half;
                let (cos, sin) = (&self.cos[at..][..self.half], &self.sin[at..][..self.half]);
                turn_row(row, cos, sin, sign);
            }
        });
    }
}

simd! {
    /// Turns each head of a row; with a sign of -1 backwards.
    fn turn_row(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        for head in row.chunks_exact_mut(2 * cos.len()) {
            let (first, second) = head.split_at_mut(cos.len());
            for i in 0..cos.len() {
                let (a, b, sin) = (first[i], second[i], sign * sin[i]);
                first[i] = fma::<FMA>(a, cos[i], -(b * sin));
                second[i] = fma::<FMA>(b, cos[i], a * sin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::numbers;

    #[test]
    fn turning_back_undoes_a_turn_and_position_0_is_not_turned() {
        let (starts, hidden) = ([0, 70, 71], 12);
        let rotation = Rotation::new(1e4, 6, 70);
        let x = numbers(71 * hidden, 1);
        let mut turned = x.clone();
        rotation.turn(&mut turned, &starts, hidden);
        for first in [0, 70 * hidden] {
            assert_eq!(x[first..first + hidden], turned[first..first + hidden]);
        }
        assert!(x[hidden..70 * hidden].iter().zip(&turned[hidden..]).any(|(a, b)| a != b));
        rotation.turn_back(&mut turned, &starts, hidden);
        x.iter().zip(&turned).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
    }

    #[test]
    #[should_panic(expected = "5 columns are no pairs")]
    fn an_odd_number_of_columns_is_refused() {
        Rotation::new(1e4, 5, 3);
    }
}
