//! Which connections have read which keys of a shard.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::shard::shell::ConnId;

/// Up to this many readers of a key are looked through one by one.
const SEARCHED_MAX: usize = 16;

/// The place of a command among those of its connection that are under way on other shards: the
/// number of the run, and the command's index in it.
pub type Place = (u32, u32);

/// A connection of a shard, and the command of its own that has read a key, or changed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reader {
    pub shard: u32,
    pub conn: ConnId,
    /// `None` if its reply is there as soon as it has run.
    pub place: Option<Place>,
}

impl Reader {
    /// Whether both are the same connection.
    pub fn is(&self, other: &Reader) -> bool {
        self.shard == other.shard && self.conn == other.conn
    }
}

/// The readers of one key, each connection once.
enum Readers {
    Few(Vec<Reader>),
    Many(HashMap<(u32, ConnId), Option<Place>, RandomState>),
}

impl Readers {
    /// Whether the reader is a new one.
    fn add(&mut self, reader: Reader, state: &RandomState) -> bool {
        match self {
            Readers::Few(few) => {
                if let Some(known) = few.iter_mut().find(|known| known.is(&reader)) {
                    known.place = reader.place;
                    return false;
                }
                if few.len() < SEARCHED_MAX {
                    few.push(reader);
                    return true;
                }
                let mut many = HashMap::with_hasher(state.clone());
                let all = few.drain(..).chain([reader]);
                many.extend(all.map(|r| ((r.shard, r.conn), r.place)));
                *self = Readers::Many(many);
                true
            }
            Readers::Many(many) => many
                .insert((reader.shard, reader.conn), reader.place)
                .is_none(),
        }
    }

    fn into_vec(self) -> Vec<Reader> {
        match self {
            Readers::Few(few) => few,
            Readers::Many(many) => (many.into_iter())
                .map(|((shard, conn), place)| Reader { shard, conn, place })
                .collect(),
        }
    }
}

struct Known {
    readers: Readers,
    /// Where the key is in the list of all.
    at: usize,
}

/// The keys of a shard that connections have read since they last changed.
pub(in crate::shard) struct Table {
    keys: Keys,
    /// The same keys, so that any of them can be drawn.
    list: Vec<Arc<[u8]>>,
    /// Pairs of key and reader.
    items: usize,
    /// What was forgotten at once and is freed bit by bit.
    dying: Vec<(Keys, Vec<Arc<[u8]>>)>,
    state: RandomState,
}

type Keys = HashMap<Arc<[u8]>, Known, RandomState>;

impl Table {
    /// Nothing was read. `state` is seeded by the process, since keys come from peers.
    pub fn new(state: RandomState) -> Self {
        Table {
            keys: HashMap::with_hasher(state.clone()),
            list: Vec::new(),
            items: 0,
            dying: Vec::new(),
            state,
        }
    }

    /// Remembers a reader of a key; whether the key is a new one.
    pub fn add(&mut self, key: &[u8], reader: Reader) -> bool {
        if let Some(known) = self.keys.get_mut(key) {
            self.items += usize::from(known.readers.add(reader, &self.state));
            return false;
        }
        let key: Arc<[u8]> = key.into();
        let known = Known {
            readers: Readers::Few(vec![reader]),
            at: self.list.len(),
        };
        self.list.push(key.clone());
        self.keys.insert(key, known);
        self.items += 1;
        true
    }

    /// Forgets a key, and gives its readers; none if nobody has read it.
    pub fn take(&mut self, key: &[u8]) -> Vec<Reader> {
        let Some(known) = self.keys.remove(key) else {
            return Vec::new();
        };
        self.list.swap_remove(known.at);
        if let Some(moved) = self.list.get(known.at)
            && let Some(moved) = self.keys.get_mut(moved)
        {
            moved.at = known.at;
        }
        let readers = known.readers.into_vec();
        self.items -= readers.len();
        readers
    }

    /// Some key, by a number that was drawn.
    pub fn any(&self, drawn: u64) -> Option<Arc<[u8]>> {
        let at = (drawn as usize).checked_rem(self.list.len())?;
        self.list.get(at).cloned()
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        let empty = HashMap::with_hasher(self.state.clone());
        let keys = std::mem::replace(&mut self.keys, empty);
        self.dying.push((keys, std::mem::take(&mut self.list)));
        self.items = 0;
    }

    /// Frees up to `budget` forgotten keys; whether there are more.
    pub fn free_slice(&mut self, budget: usize) -> bool {
        let Some((keys, list)) = self.dying.last_mut() else {
            return false;
        };
        for key in list.drain(list.len().saturating_sub(budget)..) {
            keys.remove(&key);
        }
        if list.is_empty() {
            self.dying.pop();
        }
        !self.dying.is_empty()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nobody has read anything.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of pairs of key and reader.
    pub fn items(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn reader(shard: u32, index: u32) -> Reader {
        let conn = ConnId {
            index,
            generation: 1,
        };
        let place = None;
        Reader { shard, conn, place }
    }

    #[test]
    fn the_table_agrees_with_a_plain_map_under_random_steps() {
        let mut table = Table::new(RandomState::with_seeds(1, 2, 3, 4));
        let mut model: BTreeMap<Vec<u8>, BTreeSet<(u32, u32)>> = BTreeMap::new();
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..50_000 {
            let key = format!("k{}", draw(20)).into_bytes();
            match draw(200) {
                0 => {
                    table.clear();
                    model.clear();
                }
                1..=20 => {
                    let got = table.take(&key);
                    let got: BTreeSet<_> = got.iter().map(|r| (r.shard, r.conn.index)).collect();
                    assert_eq!(got, model.remove(&key).unwrap_or_default());
                }
                _ => {
                    let (shard, index) = (draw(2) as u32, draw(30) as u32);
                    let fresh = table.add(&key, reader(shard, index));
                    assert_eq!(fresh, !model.contains_key(&key));
                    model.entry(key).or_default().insert((shard, index));
                }
            }
            table.free_slice(2);
            assert_eq!(table.len(), model.len());
            assert_eq!(table.is_empty(), model.is_empty());
            assert_eq!(table.items(), model.values().map(BTreeSet::len).sum());
            match table.any(draw(1000)) {
                Some(key) => assert!(model.contains_key(&key[..])),
                None => assert!(model.is_empty()),
            }
        }
    }

    #[test]
    fn the_last_command_that_read_a_key_is_the_one_remembered() {
        let mut table = Table::new(RandomState::with_seeds(1, 2, 3, 4));
        for count in [1, 40] {
            for index in 0..count {
                table.add(b"k", reader(0, index));
            }
            for place in [None, Some((3, 4))] {
                let again = Reader {
                    place,
                    ..reader(0, 0)
                };
                assert!(!table.add(b"k", again));
                let readers = table.take(b"k");
                assert_eq!(readers.len(), count as usize);
                assert!(readers.contains(&again));
                readers.into_iter().for_each(|reader| {
                    table.add(b"k", reader);
                });
            }
            table.clear();
        }
    }
}
