//! Blocks of a result that several threads write at once, in memory that cannot be read before it
//! is written.

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A row-major matrix, filled block by block. It is not cleared first, since one thread would do
/// that while the others wait.
pub struct Growing {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
    /// Number of values written since the last call of [`Growing::block`].
    written: AtomicUsize,
}

impl Growing {
    pub fn new(rows: usize, cols: usize) -> Self {
        let len = rows.checked_mul(cols).expect("a matrix fits the address space");
        Self { values: Vec::with_capacity(len), rows, cols, written: AtomicUsize::new(0) }
    }

    /// Returns the whole matrix as a block to write.
    pub fn block(&mut self) -> Block<'_> {
        *self.written.get_mut() = 0;
        Block {
            at: self.values.as_mut_ptr(),
            rows: self.rows,
            cols: self.cols,
            stride: self.cols,
            unwritten: Some(&self.written),
            memory: PhantomData,
        }
    }

    /// Returns the values.
    ///
    /// # Panics
    /// If part of the block was not written.
    pub fn finish(mut self) -> Vec<f32> {
        let (len, written) = (self.rows * self.cols, *self.written.get_mut());
        assert!(written == len, "{written} of {len} values were written");
        // SAFETY: the capacity is at least `len`. Blocks never overlap and are counted once, when
        // they are written as a whole; so with `len` counted, each of the `len` values was written.
        unsafe { self.values.set_len(len) };
        self.values
    }
}

/// Sole access to a rectangle of a row-major matrix.
///
/// For every row below `rows` and column below `cols`, the value at `at + row * stride + column`
/// lies in one allocation that outlives `'a`, and no other block or reference reaches it. With
/// `unwritten` at None, all of them hold values.
pub struct Block<'a> {
    at: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    /// Counts values once they are written.
    unwritten: Option<&'a AtomicUsize>,
    memory: PhantomData<&'a mut f32>,
}

// SAFETY: a block is like a `&mut [f32]`: nobody else reaches the values that it points to.
unsafe impl Send for Block<'_> {}

impl<'a> Block<'a> {
    /// Treats a slice as a matrix with `cols` columns.
    pub fn of(values: &'a mut [f32], cols: usize) -> Self {
        let rows = values.len().checked_div(cols).unwrap_or(0);
        assert!(rows * cols == values.len(), "{} values in rows of {cols}", values.len());
        Block {
            at: values.as_mut_ptr(),
            rows,
            cols,
            stride: cols,
            unwritten: None,
            memory: PhantomData,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Returns whether the values may be read.
    pub fn is_written(&self) -> bool {
        self.unwritten.is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.rows * self.cols == 0
    }

    /// Returns the address of the first value. Writers must keep to the rows and columns.
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.at
    }

    /// Splits into the rows before `row` and the rest.
    pub fn split_rows(self, row: usize) -> (Self, Self) {
        assert!(row <= self.rows, "row {row} of {}", self.rows);
        let after =
            Block { at: self.at.wrapping_add(row * self.stride), rows: self.rows - row, ..self };
        (Block { rows: row, ..self }, after)
    }

    /// Splits into the columns before `col` and the rest.
    pub fn split_cols(self, col: usize) -> (Self, Self) {
        assert!(col <= self.cols, "column {col} of {}", self.cols);
        let after = Block { at: self.at.wrapping_add(col), cols: self.cols - col, ..self };
        (Block { cols: col, ..self }, after)
    }

    /// Borrows some rows of a written block, so that they can be written again.
    ///
    /// # Panics
    /// If the block is unwritten, or has fewer rows.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    pub fn part(&mut self, rows: std::ops::Range<usize>) -> Block<'_> {
        // Rows borrowed twice would be counted twice as written.
        assert!(self.is_written(), "only written rows can be written again");
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let at = self.at.wrapping_add(rows.start * self.stride);
        Block {
            at,
            rows: rows.len(),
            cols: self.cols,
            stride: self.stride,
            unwritten: None,
            memory: PhantomData,
        }
    }

    /// Splits into blocks of `count` rows; the last may have fewer.
    pub fn row_chunks(self, count: usize) -> Vec<Self> {
        let mut chunks = Vec::with_capacity(self.rows.div_ceil(count));
        let mut rest = self;
        while rest.rows > 0 {
            let rows = count.min(rest.rows);
            let (chunk, after) = rest.split_rows(rows);
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }

    /// Splits into blocks of `count` columns; the last may have fewer.
    pub fn col_chunks(self, count: usize) -> Vec<Self> {
        let mut chunks = Vec::with_capacity(self.cols.div_ceil(count));
        let mut rest = self;
        while rest.cols > 0 {
            let cols = count.min(rest.cols);
            let (chunk, after) = rest.split_cols(cols);
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }

    /// Returns the same values with another shape.
    ///
    /// # Panics
    /// If the values are not contiguous, or the shape has another number of them.
    pub fn reshaped(self, rows: usize, cols: usize) -> Self {
        let is_as_large = rows.checked_mul(cols) == Some(self.rows * self.cols);
        assert!(self.is_contiguous() && is_as_large, "as many values, side by side");
        Block { rows, cols, stride: cols, ..self }
    }

    /// Returns the values of a written block.
    ///
    /// # Panics
    /// If the block is unwritten or not contiguous.
    pub fn into_slice(self) -> &'a mut [f32] {
        assert!(self.is_written() && self.is_contiguous(), "values that lie side by side");
        // SAFETY: the block has sole access to these values for 'a, and all are written.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.rows * self.cols) }
    }

    /// Writes every row. `fill` gets its number and the row, filled with zeros.
    pub fn fill_rows(self, mut fill: impl FnMut(usize, &mut [f32])) -> &'a mut [f32] {
        let cols = self.cols;
        let write = |memory: &mut [MaybeUninit<f32>]| {
            for (index, row) in memory.chunks_exact_mut(cols.max(1)).enumerate() {
                row.fill(MaybeUninit::new(0.0));
                // SAFETY: the line above wrote the whole row.
                fill(index, unsafe { row.assume_init_mut() });
            }
        };
        // SAFETY: a block has `rows * cols` values, so that rows of `cols` are all of it.
        unsafe { self.write(write) }
    }

    /// Writes the same row everywhere.
    pub fn repeat(self, row: &[f32]) -> &'a mut [f32] {
        assert!(row.len() == self.cols, "a row has {} values, not {}", self.cols, row.len());
        let write = |memory: &mut [MaybeUninit<f32>]| {
            for to in memory.chunks_exact_mut(row.len().max(1)) {
                to.write_copy_of_slice(row);
            }
        };
        // SAFETY: as in `fill_rows`.
        unsafe { self.write(write) }
    }

    /// Writes a copy of `from`.
    ///
    /// # Panics
    /// If there are not as many values.
    pub fn copy(self, from: &[f32]) -> &'a mut [f32] {
        let write = |memory: &mut [MaybeUninit<f32>]| {
            memory.write_copy_of_slice(from);
        };
        // SAFETY: `write_copy_of_slice` writes the whole slice, or panics.
        unsafe { self.write(write) }
    }

    /// Marks the block as written.
    ///
    /// # Safety
    /// Every value of the block has been written.
    pub unsafe fn assume_written(self) -> Self {
        if let Some(count) = self.unwritten {
            // Relaxed suffices: readers of the count have joined the threads that added to it.
            count.fetch_add(self.rows * self.cols, Ordering::Relaxed);
        }
        Block { unwritten: None, ..self }
    }

    /// # Safety
    /// `fill` must write every value.
    unsafe fn write(self, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> &'a mut [f32] {
        assert!(self.is_contiguous(), "values that lie side by side");
        let len = self.rows * self.cols;
        // SAFETY: the block has sole access to these values; they need not be written yet.
        fill(unsafe { std::slice::from_raw_parts_mut(self.at.cast(), len) });
        // SAFETY: `fill` wrote every value.
        unsafe { self.assume_written() }.into_slice()
    }

    fn is_contiguous(&self) -> bool {
        self.stride == self.cols || self.rows <= 1
    }
}
