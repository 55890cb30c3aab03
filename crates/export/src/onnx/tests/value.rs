//! Numbers with a shape, and what needs no more than those.

/// Numbers of any type, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Value {
    pub fn whole(&self, at: usize) -> usize {
        self.data[at] as usize
    }

    pub fn each(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|x| f(*x)).collect() }
    }

    pub fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let shape = common(&self.shape, &other.shape);
        let value = |at| {
            let places = [self, other].map(|value| value.data[place(at, &shape, &value.shape)]);
            f(places[0], places[1])
        };
        let data = (0..shape.iter().product()).map(value).collect();
        Self { shape, data }
    }

    /// Changes every line of numbers along an axis.
    pub fn along(&self, axis: usize, change: impl Fn(&mut [f64])) -> Self {
        let (extent, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut changed = self.clone();
        for first in (0..self.data.len()).filter(|at| (at / inner).is_multiple_of(extent)) {
            let mut line: Vec<f64> = (0..extent).map(|k| self.data[first + k * inner]).collect();
            change(&mut line);
            line.iter().enumerate().for_each(|(k, x)| changed.data[first + k * inner] = *x);
        }
        changed
    }

    pub fn reshaped(&self, wanted: &Self) -> Self {
        let mut shape: Vec<usize> = Vec::new();
        for (axis, &extent) in wanted.data.iter().enumerate() {
            shape.push(match extent as i64 {
                0 => self.shape[axis],
                -1 => 1,
                extent => extent as usize,
            });
        }
        if let Some(axis) = wanted.data.iter().position(|extent| *extent == -1.0) {
            shape[axis] = self.data.len() / shape.iter().product::<usize>();
        }
        assert_eq!(shape.iter().product::<usize>(), self.data.len(), "{:?}", self.shape);
        Self { shape, data: self.data.clone() }
    }

    pub fn transposed(&self, order: &[i64]) -> Self {
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis as usize]).collect();
        let stride = |axis: i64| self.shape[axis as usize + 1..].iter().product::<usize>();
        let strides: Vec<usize> = order.iter().map(|&axis| stride(axis)).collect();
        let value = |mut at: usize| {
            let mut from = 0;
            for (&extent, &stride) in shape.iter().zip(&strides).rev() {
                from += at % extent * stride;
                at /= extent;
            }
            self.data[from]
        };
        let data = (0..self.data.len()).map(value).collect();
        Self { shape, data }
    }

    pub fn gathered(&self, rows: &Self, axis: usize) -> Self {
        let inner: usize = self.shape[axis + 1..].iter().product();
        let outer: usize = self.shape[..axis].iter().product();
        let mut data = Vec::new();
        for block in 0..outer {
            for row in 0..rows.data.len() {
                assert!(rows.whole(row) < self.shape[axis]);
                let from = (block * self.shape[axis] + rows.whole(row)) * inner;
                data.extend(&self.data[from..from + inner]);
            }
        }
        Self { shape: [&self.shape[..axis], &rows.shape, &self.shape[axis + 1..]].concat(), data }
    }

    pub fn sliced(&self, from: f64, to: f64, axis: usize) -> Self {
        let extent = self.shape[axis] as f64;
        let [from, to] = [from, to].map(|end| if end < 0.0 { end + extent } else { end });
        let rows: Vec<f64> = (from as usize..to.min(extent) as usize).map(|n| n as f64).collect();
        self.gathered(&vector(rows), axis)
    }

    pub fn times(&self, other: &Self) -> Self {
        let split = |value: &Self| value.shape.split_at(value.shape.len() - 2).0.to_vec();
        let (ours, theirs) = (split(self), split(other));
        let [rows, inner] = self.shape[ours.len()..] else { panic!("a matrix has two axes") };
        let cols = other.shape[theirs.len() + 1];
        assert_eq!(other.shape[theirs.len()], inner);
        let mut shape = common(&ours, &theirs);
        let mut data = Vec::new();
        for block in 0..shape.iter().product() {
            let a = &self.data[place(block, &shape, &ours) * rows * inner..];
            let b = &other.data[place(block, &shape, &theirs) * inner * cols..];
            for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                data.push((0..inner).map(|k| a[row * inner + k] * b[k * cols + col]).sum());
            }
        }
        shape.extend([rows, cols]);
        Self { shape, data }
    }
}

pub fn vector(data: Vec<f64>) -> Value {
    Value { shape: vec![data.len()], data }
}

pub fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    assert_eq!(shape[axis], 1);
    [&shape[..axis], &shape[axis + 1..]].concat()
}

/// The shape of two values that meet, by ONNX's rules of broadcasting.
fn common(one: &[usize], other: &[usize]) -> Vec<usize> {
    let rank = one.len().max(other.len());
    let extent = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(axis) => shape[axis],
        None => 1,
    };
    let both = (0..rank).map(|axis| (extent(one, axis), extent(other, axis)));
    both.map(|(a, b)| {
        assert!(a == b || a == 1 || b == 1, "{one:?} does not meet {other:?}");
        if a == 1 { b } else { a }
    })
    .collect()
}

/// Where the number at a place of a larger shape stands in a smaller one.
fn place(mut at: usize, shape: &[usize], own: &[usize]) -> usize {
    let (mut found, mut stride) = (0, 1);
    for (&extent, &own) in shape.iter().rev().zip(own.iter().rev()) {
        found += if own == 1 { 0 } else { at % extent * stride };
        (at, stride) = (at / extent, stride * own);
    }
    found
}

pub fn concatenated(values: &[&Value], axis: usize) -> Value {
    let mut shape = values[0].shape.clone();
    shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
    let line = |value: &Value| value.shape[axis..].iter().product::<usize>();
    let outer: usize = shape[..axis].iter().product();
    let blocks = (0..outer).flat_map(|block| {
        values.iter().flat_map(move |value| &value.data[block * line(value)..][..line(value)])
    });
    Value { data: blocks.copied().collect(), shape }
}
