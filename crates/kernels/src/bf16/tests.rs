//! Tests of the products in bfloat16, where the CPU has them.

use super::*;
use crate::block::Growing;
use crate::gemm;
use crate::reference::numbers;

#[test]
fn products_are_those_of_f32_to_bfloat16_precision() {
    let Some(cpu) = HasBf16::detect() else { return };
    for [m, n, k] in [[1, 1, 1], [6, 64, 2], [97, 384, 385], [130, 33, 2100], [7, 100, 64]] {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        for (a_transposed, b_transposed, accumulate) in
            [(false, false, false), (true, false, true), (false, true, true), (true, true, false)]
        {
            let left =
                if a_transposed { View::rows(&a, m).transposed() } else { View::rows(&a, k) };
            let right =
                if b_transposed { View::rows(&b, k).transposed() } else { View::rows(&b, n) };
            let (mut exact, mut rounded) = (numbers(m * n, 3), numbers(m * n, 3));
            gemm::gemm(Block::of(&mut exact, n), k, left, right, accumulate);
            super::gemm(cpu, Block::of(&mut rounded, n), k, left, right, accumulate);
            if accumulate && !a_transposed {
                let mut by_block = numbers(m * n, 3);
                Panels::new(cpu, n, k, right).add_product(&a, &mut by_block);
                assert_eq!(by_block, rounded);
            }
            if !accumulate {
                let mut grown = Growing::new(m, n);
                super::gemm(cpu, grown.block(), k, left, right, false);
                assert_eq!(grown.finish(), rounded);
            }
            // Each product errs by at most 2⁻⁸; the errors add up like a random walk.
            let tolerance = 2f32.powi(-8) * 2.0 * (k as f32).sqrt();
            for (exact, rounded) in exact.iter().zip(&rounded) {
                let error = (exact - rounded).abs();
                assert!(error < tolerance, "[{m}, {n}, {k}]: {exact} {rounded}");
            }
        }
    }
}

#[test]
fn a_side_that_is_too_small_is_refused() {
    let Some(cpu) = HasBf16::detect() else { return };
    let refused = |a: usize, b: usize| {
        let (a, b) = (numbers(a, 1), numbers(b, 2));
        let product = || {
            let mut c = Growing::new(10, 70);
            super::gemm(cpu, c.block(), 9, View::rows(&a, 9), View::rows(&b, 70), false);
            c.finish()
        };
        std::panic::catch_unwind(product).is_err()
    };
    assert!(!refused(90, 630));
    assert!(refused(89, 630));
    assert!(refused(90, 629));
}
