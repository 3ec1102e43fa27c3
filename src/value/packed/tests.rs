use super::*;
use std::collections::BTreeMap;

/// A record whose first two bytes are its key.
struct Pair;

impl Keyed for Pair {
    fn key(record: &[u8]) -> &[u8] {
        &record[..2]
    }
}

/// xorshift64, seeded: a failure comes again.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_changes_leave_what_a_map_holds() {
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let mut packed = Packed::<Pair>::new(HashSeed([5, 6, 7, 8]));
    let mut model = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    for step in 0..60_000 {
        let key = (random(&mut state) % 3000) as u16;
        let key = key.to_le_bytes();
        // Lengths of a few lanes, and around the longest that has one.
        let len = [0, 1, 7, 125, 126, 127, 200][(random(&mut state) % 7) as usize];
        let value = vec![step as u8; len];
        let record = [&key[..], &value].concat();
        match random(&mut state) % 8 {
            0..5 => {
                let new = model.insert(key.to_vec(), record).is_none();
                assert_eq!(packed.set(&key, &[&key, &value]), new);
            }
            5 | 6 => assert_eq!(packed.remove(&key), model.remove(&key[..]).is_some()),
            _ if model.is_empty() => assert!(!packed.remove_at(0, |_| ())),
            _ => {
                let index = random(&mut state) as usize % model.len();
                assert!(packed.remove_at(index, |record| {
                    assert_eq!(model.remove(Pair::key(record)).as_deref(), Some(record));
                }));
            }
        }
        assert_eq!(packed.len(), model.len());
        assert_eq!(packed.get(&key), model.get(&key[..]).map(Vec::as_slice));
    }
    let mut seen: Vec<_> = packed.iter().map(<[u8]>::to_vec).collect();
    seen.sort_unstable();
    assert!(seen.iter().eq(model.values()));
    let copy = packed.clone();
    assert!(
        model
            .iter()
            .all(|(key, record)| copy.get(key) == Some(record))
    );
    let keys: Vec<_> = model.into_keys().collect();
    assert!(keys.iter().all(|key| packed.remove(key)));
    assert!(packed.is_empty() && packed.memory() < 4096);
}
