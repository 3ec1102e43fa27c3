//! Scores as text: doubles of every magnitude must be printed, and hashed, digit for digit as the
//! real server does, whose digits are not always the fewest.

use crate::support::random::Random;
use crate::support::resp;
use crate::support::server::Server;

/// Doubles sent at a time.
const BATCH: usize = 500;

/// A finite double: of any bits, a decimal fraction, a large integer, a power of two.
fn double(random: &mut Random) -> f64 {
    let value = match random.below(4) {
        0 => f64::from_bits(random.next()),
        1 => {
            random.between(-1_000_000_000, 1_000_000_000) as f64
                / 10f64.powi(random.below(13) as i32)
        }
        2 => (random.next() as i64 / 2) as f64,
        _ => 2f64.powi(random.between(-1074, 1023) as i32),
    };
    if value.is_finite() {
        value
    } else {
        double(random)
    }
}

/// The replies to ZSCORE and DEBUG DIGEST-VALUE for as many doubles.
pub fn compare_random(seed: u64, doubles: usize) {
    let mut random = Random::new(seed);
    let (reference, subject) = (Server::valkey(&[]), Server::banyan(1, &[]));
    let (mut reference, mut subject) = (reference.client(), subject.client());
    for _ in 0..doubles / BATCH {
        let values: Vec<f64> = (0..BATCH).map(|_| double(&mut random)).collect();
        let mut bytes = Vec::new();
        for value in &values {
            let text = format!("{value:e}");
            for command in [
                ["ZADD", "z", &text, "m"].as_slice(),
                &["ZSCORE", "z", "m"],
                &["DEBUG", "DIGEST-VALUE", "z"],
            ] {
                bytes.extend(resp::request(command));
            }
        }
        let expected = reference.exchange(&bytes, BATCH * 3).expect("it replies");
        let actual = subject.exchange(&bytes, BATCH * 3).expect("it replies");
        for (at, value) in values.iter().enumerate() {
            let of = at * 3 + 1..at * 3 + 3;
            assert_eq!(
                expected[of.clone()],
                actual[of],
                "{value:e}, BANYAN_SEED={seed}"
            );
        }
    }
}
