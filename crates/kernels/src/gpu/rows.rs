//! The gradient of a table of which rows were taken.

use super::device::{columns, empty, flat, zeros};
use super::lanes::{LANES, ROWS, shape, sum_of_rows};
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// The places that were taken from each row of a table, in stretches that are added up apart, so that
/// a row which is taken often keeps nobody waiting.
pub struct Taken<T> {
    /// In what was taken, one row after the other.
    pub places: T,
    /// Where each stretch begins in `places`, and where the last one ends.
    pub stretches: T,
    /// Where each row begins in `stretches`, and where the last one ends.
    pub starts: T,
    /// Which rows those are.
    pub rows: T,
}

/// Places of a stretch.
const STRETCH: usize = 256;

impl Taken<Vec<i32>> {
    /// Finds where each row was taken. `is_counted` says which places have a gradient at all.
    pub fn of(ids: &[u32], is_counted: impl Fn(usize) -> bool) -> Self {
        let mut places: Vec<i32> =
            (0..ids.len()).filter(|&at| is_counted(at)).map(|at| at as i32).collect();
        places.sort_by_key(|&at| ids[at as usize]);
        let (mut stretches, mut starts, mut rows) = (vec![], vec![], vec![]);
        let mut first = 0;
        for of_row in places.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]) {
            starts.push(stretches.len() as i32);
            rows.push(ids[of_row[0] as usize] as i32);
            stretches.extend((0..of_row.len()).step_by(STRETCH).map(|at| (first + at) as i32));
            first += of_row.len();
        }
        starts.push(stretches.len() as i32);
        stretches.push(first as i32);
        Self { places, stretches, starts, rows }
    }
}

/// Adds up the gradients of what was taken from each row, in a fixed order.
///
/// # Shapes
/// - d_taken: `[taken, columns]`
/// - output: `[table_rows, columns]`
pub fn gradient(d_taken: CubeTensor, taken: Taken<CubeTensor>, table_rows: usize) -> CubeTensor {
    let d_taken = flat(d_taken);
    let Taken { places, stretches, starts, rows } = taken;
    let [places, stretches, starts, rows] = [places, stretches, starts, rows].map(whole);
    let columns = columns(&d_taken);
    let len = |ids: &CubeTensor| ids.meta.num_elements();
    let sums = empty(&d_taken, Shape::new([len(&stretches) - 1, columns]), DType::F32);
    add(&d_taken, &places, &stretches, (&rows, &sums), true);
    let out = zeros(&d_taken, Shape::new([table_rows, columns]));
    add(&sums, &places, &starts, (&rows, &out), false);
    out
}

fn whole(ids: CubeTensor) -> CubeTensor {
    assert!(ids.dtype == DType::I32, "places and rows are i32");
    into_contiguous(ids)
}

/// Adds up stretches of `d_taken`, of places or of what lies there in order.
fn add(
    d_taken: &CubeTensor,
    places: &CubeTensor,
    starts: &CubeTensor,
    (rows, out): (&CubeTensor, &CubeTensor),
    of_places: bool,
) {
    let columns = columns(d_taken);
    let sums = starts.meta.num_elements() - 1;
    let dim = shape(&d_taken.client);
    gradient_kernel::launch(
        &d_taken.client,
        CubeCount::Static((columns as u32).div_ceil(dim.x), sums as u32, 1),
        dim,
        d_taken.clone().into_tensor_arg(),
        places.clone().into_tensor_arg(),
        starts.clone().into_tensor_arg(),
        rows.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        columns,
        of_places,
    );
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gradient_kernel(
    d_taken: &Tensor<f32>,
    places: &Tensor<i32>,
    starts: &Tensor<i32>,
    rows: &Tensor<i32>,
    out: &mut Tensor<f32>,
    columns: usize,
    #[comptime] of_places: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let lane = UNIT_POS_X as usize;
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + lane;
    let row = CUBE_POS_Y as usize;
    let end = starts[row + 1] as usize;
    let mut total = f32::new(0.0);
    if column < columns {
        let mut at = starts[row] as usize + UNIT_POS_Y as usize;
        while at < end {
            let mut place = at;
            if of_places {
                place = places[at] as usize;
            }
            total += d_taken[place * columns + column];
            at += CUBE_DIM_Y as usize;
        }
    }
    let all = sum_of_rows(total, &mut shared);
    if UNIT_POS_Y == 0 && column < columns {
        let mut to = row;
        if !of_places {
            to = rows[row] as usize;
        }
        out[to * columns + column] = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counted_place_lies_in_one_stretch_of_its_row() {
        let ids: Vec<u32> = (0..2000).map(|at| [7, 7, 7, 3, at % 11][at as usize % 5]).collect();
        let Taken { places, stretches, starts, rows } = Taken::of(&ids, |at| at % 9 != 0);
        let mut found: Vec<i32> = vec![];
        for (row, span) in rows.iter().zip(starts.windows(2)) {
            let stretches = &stretches[span[0] as usize..=span[1] as usize];
            for stretch in stretches.windows(2) {
                let of_row = &places[stretch[0] as usize..stretch[1] as usize];
                assert!(of_row.len() <= STRETCH && !of_row.is_empty());
                assert!(of_row.iter().all(|&place| ids[place as usize] as i32 == *row));
                found.extend(of_row);
            }
        }
        found.sort_unstable();
        let expected: Vec<i32> = (0..2000).filter(|at| at % 9 != 0).collect();
        assert_eq!(found, expected);
    }
}
