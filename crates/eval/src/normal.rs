//! The standard normal distribution.

/// Returns the standard normal distribution function at `z`.
pub(crate) fn distribution(z: f64) -> f64 {
    libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0
}

/// Returns the quantile of the standard normal distribution at `p` in (0, 1), by Acklam's rational
/// approximation (2003, relative error below 1.2e-9).
pub(crate) fn quantile(p: f64) -> f64 {
    const CENTRE: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const CENTRE_UNDER: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const TAIL: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const TAIL_UNDER: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial =
        |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    let lower_tail = |p: f64| {
        let x = (-2.0 * p.ln()).sqrt();
        polynomial(&TAIL, x) / polynomial(&TAIL_UNDER, x)
    };
    if p < 0.02425 {
        lower_tail(p)
    } else if p > 1.0 - 0.02425 {
        -lower_tail(1.0 - p)
    } else {
        let x = p - 0.5;
        x * polynomial(&CENTRE, x * x) / polynomial(&CENTRE_UNDER, x * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy.stats.norm.ppf
        let table = [
            (0.5, 0.0),
            (0.8, 0.8416212335729143),
            (0.975, 1.959963984540054),
            (0.995, 2.5758293035489004),
            (0.001, -3.090232306167813),
            (0.00001, -4.264890793922825),
        ];
        for (p, expected) in table {
            assert!((quantile(p) - expected).abs() < 1e-8, "{p}: {}", quantile(p));
            assert!((distribution(expected) - p).abs() < 1e-14, "{p}: {}", distribution(expected));
        }
    }
}
