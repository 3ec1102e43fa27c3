//! The estimator of Otmar Ertl ("New cardinality estimation algorithms for HyperLogLog sketches",
//! arXiv 1702.01284, algorithm 6), which needs only how often each value occurs among the
//! registers, and no correction for small or large numbers. Floating-point operations are done in
//! the order in which Redis does them, so that the results are equal to the last bit.

use super::{RANK_MAX, REGISTERS};

/// How many registers hold each value.
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts `count` registers of this value, which six bits hold.
    pub fn add(&mut self, value: u8, count: usize) {
        self.0[usize::from(value) & 63] += count as u32;
    }

    /// The estimated cardinality.
    pub fn estimate(&self) -> u64 {
        /// 1 / (2 ln 2)
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        let m = REGISTERS as f64;
        let count = |value: u8| f64::from(self.0[usize::from(value)]);
        let mut z = m * tau((m - count(RANK_MAX)) / m);
        for value in (1..RANK_MAX).rev() {
            z += count(value);
            z *= 0.5;
        }
        z += m * sigma(count(0) / m);
        // Halves away from zero; an infinite sum gives 0.
        (ALPHA * m * m / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
