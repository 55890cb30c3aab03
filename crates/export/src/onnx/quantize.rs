//! Matrices in 8 bits, without a zero point: `value ≈ scale · byte`, byte in -127..=127.

/// Signed bytes, and the scale of each output or row.
pub struct Quantized {
    pub bytes: Vec<u8>,
    pub scales: Vec<f32>,
}

/// Gives each of the `out` columns of a matrix `[in, out]` its own scale.
pub fn by_output(matrix: &[f32], out: usize) -> Quantized {
    let mut largest = vec![0f32; out];
    for row in matrix.chunks_exact(out) {
        largest.iter_mut().zip(row).for_each(|(most, value)| *most = most.max(value.abs()));
    }
    let scales: Vec<f32> = largest.into_iter().map(scale).collect();
    let rows = matrix.chunks_exact(out);
    let bytes = rows.flat_map(|row| row.iter().zip(&scales).map(byte)).collect();
    Quantized { bytes, scales }
}

/// Gives each row of a table its own scale.
pub fn by_row(table: &[f32], width: usize) -> Quantized {
    let rows = table.chunks_exact(width);
    let largest = |row: &[f32]| row.iter().fold(0f32, |most, value| most.max(value.abs()));
    let scales: Vec<f32> = rows.clone().map(|row| scale(largest(row))).collect();
    let bytes = rows
        .zip(&scales)
        .flat_map(|(row, scale)| row.iter().map(move |value| byte((value, scale))))
        .collect();
    Quantized { bytes, scales }
}

/// The scale of values up to `largest`; a row of zeros keeps its zeros at any scale.
fn scale(largest: f32) -> f32 {
    if largest > 0.0 { largest / 127.0 } else { 1.0 }
}

fn byte((value, scale): (&f32, &f32)) -> u8 {
    (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the bytes stand for.
    fn restored(quantized: &Quantized, scale_of: impl Fn(usize) -> usize) -> Vec<f32> {
        let bytes = quantized.bytes.iter().map(|byte| f32::from(*byte as i8));
        bytes.enumerate().map(|(at, byte)| byte * quantized.scales[scale_of(at)]).collect()
    }

    #[test]
    fn no_value_moves_by_more_than_half_a_step_of_its_own_scale() {
        let matrix = [0.5, -100.0, 0.0, -0.25, 33.3, 0.0, 0.1, 7.0, 0.0];
        let columns = by_output(&matrix, 3);
        for (at, value) in restored(&columns, |at| at % 3).into_iter().enumerate() {
            assert!((value - matrix[at]).abs() <= columns.scales[at % 3] * 0.5001, "{at}: {value}");
        }
        let rows = by_row(&matrix, 3);
        for (at, value) in restored(&rows, |at| at / 3).into_iter().enumerate() {
            assert!((value - matrix[at]).abs() <= rows.scales[at / 3] * 0.5001, "{at}: {value}");
        }
        // A column of small numbers is not drowned by a column of large ones.
        assert!(columns.scales[0] < 0.004 && columns.scales[1] > 0.7);
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(by_output(&[0.0; 6], 2).bytes, [0; 6]);
        assert_eq!(by_row(&[0.0; 6], 2).scales, [1.0; 3]);
    }
}
