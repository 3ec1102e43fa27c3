//! Random choices among numbered things.

use std::collections::BTreeSet;

/// A number below `len` from 64 random bits, without the cost and bias of a remainder; `None` if
/// there is none.
pub(super) fn below(r: u64, len: usize) -> Option<usize> {
    let scaled = (u128::from(r) * len as u128) >> 64;
    usize::try_from(scaled).ok().filter(|&index| index < len)
}

/// Draws `count` different numbers below `len`, each such choice as likely as any other; `count` is
/// at most `len`.
///
/// Source: R. W. Floyd, in J. Bentley, "Programming Pearls: A Sample of Brilliance", CACM 30 (9),
/// 1987.
pub(super) fn draw(
    count: usize,
    len: usize,
    mut next: impl FnMut() -> u64,
    mut f: impl FnMut(usize),
) {
    let mut drawn = BTreeSet::new();
    for last in len - count..len {
        let index = below(next(), last + 1).unwrap_or(last);
        let index = if drawn.insert(index) { index } else { last };
        drawn.insert(index);
        f(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_gives_as_many_different_numbers_as_asked_for_whatever_the_random_bits() {
        for (count, len) in [(0, 0), (0, 5), (3, 5), (5, 5)] {
            for constant in [0, u64::MAX, 1 << 62] {
                let mut drawn = Vec::new();
                draw(count, len, || constant, |index| drawn.push(index));
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), count);
                assert!(drawn.iter().all(|index| *index < len));
            }
        }
        assert_eq!(below(7, 0), None);
    }
}
