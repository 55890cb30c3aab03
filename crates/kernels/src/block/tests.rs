//! Tests that unwritten values of a block are never read.

use super::*;
use rayon::prelude::*;

#[test]
fn blocks_written_on_several_threads_make_up_the_matrix() {
    let mut matrix = Growing::new(5, 7);
    let rows = matrix.block().row_chunks(2).into_iter().enumerate();
    let blocks: Vec<_> = rows
        .flat_map(|(i, rows)| {
            rows.col_chunks(3).into_iter().enumerate().map(move |(j, block)| (i, j, block))
        })
        .collect();
    assert_eq!(blocks.len(), 9);
    blocks.into_par_iter().for_each(|(i, j, block)| {
        for (row, block) in block.row_chunks(1).into_iter().enumerate() {
            block.fill_rows(|_, values| {
                for (col, value) in values.iter_mut().enumerate() {
                    *value = ((2 * i + row) * 10 + 3 * j + col) as f32;
                }
            });
        }
    });
    let expected: Vec<f32> =
        (0..5).flat_map(|row| (0..7).map(move |col| (row * 10 + col) as f32)).collect();
    assert_eq!(matrix.finish(), expected);
}

#[test]
#[should_panic(expected = "6 of 8 values were written")]
fn a_part_that_was_not_written_cannot_be_read() {
    let mut matrix = Growing::new(2, 4);
    let (left, _right) = matrix.block().split_cols(3);
    left.row_chunks(1).into_iter().for_each(|row| {
        row.repeat(&[1.0, 2.0, 3.0]);
    });
    matrix.finish();
}

#[test]
#[should_panic(expected = "4 of 8 values were written")]
fn writing_the_same_part_twice_does_not_count_twice() {
    let mut matrix = Growing::new(2, 4);
    for _ in 0..2 {
        matrix.block().split_rows(1).0.copy(&[1.0; 4]);
    }
    matrix.finish();
}

#[test]
#[should_panic(expected = "side by side")]
fn a_block_that_was_not_written_is_no_slice() {
    Growing::new(1, 4).block().into_slice();
}

#[test]
#[should_panic(expected = "side by side")]
fn some_columns_of_several_rows_are_no_slice() {
    Block::of(&mut [0.0; 8], 4).split_cols(2).0.into_slice();
}

#[test]
#[should_panic(expected = "as many values")]
fn a_block_keeps_its_size_in_another_shape() {
    Block::of(&mut [0.0; 8], 4).reshaped(3, 3);
}

#[test]
#[should_panic]
fn a_copy_has_as_many_values_as_the_block() {
    Growing::new(2, 2).block().copy(&[1.0; 3]);
}

#[test]
fn a_matrix_without_values_is_finished() {
    for (rows, cols) in [(0, 3), (3, 0), (0, 0)] {
        let mut matrix = Growing::new(rows, cols);
        matrix.block().fill_rows(|_, _| unreachable!("there is no row to fill"));
        assert!(matrix.finish().is_empty());
    }
}

#[test]
fn written_rows_are_written_again_without_the_others() {
    let mut values = [1.0; 6];
    let mut block = Block::of(&mut values, 2);
    block.part(1..2).repeat(&[2.0, 3.0]);
    block.part(1..3).repeat(&[4.0, 5.0]);
    assert_eq!(values, [1.0, 1.0, 4.0, 5.0, 4.0, 5.0]);
}

#[test]
#[should_panic(expected = "only written rows can be written again")]
fn rows_that_were_not_written_are_not_borrowed() {
    Growing::new(2, 4).block().part(0..1);
}

#[test]
#[should_panic(expected = "rows 1..4 of 3")]
fn rows_beyond_the_block_are_not_borrowed() {
    Block::of(&mut [1.0; 6], 2).part(1..4);
}
