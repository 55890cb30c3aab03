//! How a row is shared among threads.

use burn_cubecl::cubecl::client::Client;
use cubecl::prelude::*;

/// Threads that work on one row, at most.
pub const LANES: u32 = 32;
/// Rows that one cube of threads works on, at most.
pub const ROWS: u32 = 8;

/// How many threads work on a row, and on how many rows one cube of them.
pub fn shape(client: &Client) -> CubeDim {
    match client.properties().hardware.plane_size_max {
        // On a CPU every thread of a cube is one of the system's, and all wait for each other.
        1 => CubeDim::new_2d(2, 2),
        _ => CubeDim::new_2d(LANES, ROWS),
    }
}

/// Whether 32 threads run in step, so that they add up without shared memory.
pub fn run_in_step(client: &Client) -> bool {
    let hardware = &client.properties().hardware;
    (hardware.plane_size_min, hardware.plane_size_max) == (LANES, LANES)
}

/// Enough cubes of threads for so many rows.
pub fn cubes_of_rows(rows: usize, client: &Client) -> (CubeCount, CubeDim) {
    let dim = shape(client);
    (spread(rows.div_ceil(dim.y as usize)), dim)
}

/// Spreads cubes over two dimensions: a device takes at least 65,535 in each.
fn spread(cubes: usize) -> CubeCount {
    let across = cubes.clamp(1, 32_768);
    CubeCount::Static(across as u32, cubes.div_ceil(across).max(1) as u32, 1)
}

/// The sum over the lanes of a row, in each of them. All threads of a cube must come here.
#[cube]
pub fn sum(value: f32, shared: &mut Shared<[f32]>, #[comptime] in_step: bool) -> f32 {
    if in_step { plane_sum(value) } else { over_lanes(value, shared, false) }
}

/// The same for the greatest.
#[cube]
pub fn greatest(value: f32, shared: &mut Shared<[f32]>, #[comptime] in_step: bool) -> f32 {
    if in_step { plane_max(value) } else { over_lanes(value, shared, true) }
}

/// The sum or the greatest over the lanes of a row, through shared memory.
#[cube]
fn over_lanes(value: f32, shared: &mut Shared<[f32]>, #[comptime] is_greatest: bool) -> f32 {
    let first = (UNIT_POS_Y * CUBE_DIM_X) as usize;
    shared[first + UNIT_POS_X as usize] = value;
    sync_cube();
    let mut result = shared[first];
    for lane in 1..CUBE_DIM_X as usize {
        let other = shared[first + lane];
        if is_greatest {
            result = max(result, other);
        } else {
            result += other;
        }
    }
    sync_cube();
    result
}

/// The sum over the rows of a cube for each lane, to be read in the first of them.
#[cube]
pub fn sum_of_rows(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    let lane = UNIT_POS_X as usize;
    shared[(UNIT_POS_Y * CUBE_DIM_X) as usize + lane] = value;
    sync_cube();
    let mut total = f32::new(0.0);
    if UNIT_POS_Y == 0 {
        for row in 0..CUBE_DIM_Y as usize {
            total += shared[row * CUBE_DIM_X as usize + lane];
        }
    }
    total
}

/// How many values one thread reads at once, in rows of this length.
pub fn width(columns: usize) -> usize {
    if columns.is_multiple_of(4) { 4 } else { 1 }
}

/// How many vectors of a row one lane works on, at most.
pub fn per_lane(vectors: usize, dim: CubeDim) -> usize {
    vectors.div_ceil(dim.x as usize)
}

/// Values in f32, whatever they are stored as.
#[cube]
pub fn wide<T: Float, N: Size>(values: Vector<T, N>) -> Vector<f32, N> {
    Vector::cast_from(values)
}

/// The sum of a vector's values.
#[cube]
pub fn total<N: Size>(values: Vector<f32, N>) -> f32 {
    let mut total = f32::new(0.0);
    #[unroll]
    for at in 0..N::value() {
        total += values.extract(at);
    }
    total
}

/// A thread for each value.
pub fn threads(values: usize) -> (CubeCount, CubeDim) {
    let in_cube = (LANES * ROWS) as usize;
    (spread(values.div_ceil(in_cube)), CubeDim::new_1d(in_cube as u32))
}
