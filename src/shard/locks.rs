//! Key locks and the whole-shard lock of one shard.
//!
//! Only multi-shard transactions hold locks; a single-shard command merely waits while its key is
//! locked or queued for. A transaction's id orders it: a request that would wait behind a *younger*
//! conflicting one (a larger id) is refused, and its home withdraws it everywhere and comes back
//! with a new id. So every wait is by a larger id on a smaller one, and there is no deadlock.
//!
//! A key is known here by 64 bits of its hash ([`Locks::name`]): two keys that share them are
//! locked together, which is rare and harmless, and no key is copied for a lock.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};

use ahash::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;

use crate::value::HashSeed;

/// A key, as locks know it.
pub type KeyName = u64;

/// Keys with the modes in which they are locked.
pub type Named = SmallVec<[(KeyName, Mode); 4]>;

/// The hasher of names, which are hashes already.
#[derive(Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("names are numbers")
    }

    fn write_u64(&mut self, name: u64) {
        self.0 = name;
    }
}

/// Number of a transaction: unique, ascending over the whole process.
pub type TxId = u64;

/// How a key or a shard is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Shared,
    Exclusive,
}

impl Mode {
    fn conflicts(self, other: Mode) -> bool {
        self == Mode::Exclusive || other == Mode::Exclusive
    }
}

/// What a transaction asks of one shard.
#[derive(Clone, Debug)]
pub enum Claim {
    /// These keys; a key named twice takes the stronger mode.
    Keys(Named),
    /// The whole shard.
    Whole(Mode),
}

/// The answer to a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Granted,
    /// Wait: [`Locks::grant_waiting`] will report it.
    Queued,
    /// A younger conflicting transaction is there: withdraw and retry.
    Refused,
}

/// Granted and waiting requests for a key, in arrival order; ids of conflicting neighbours ascend.
/// Most locks have one, which takes no allocation.
struct KeyLock {
    first: (TxId, Mode),
    rest: Vec<(TxId, Mode)>,
}

impl KeyLock {
    fn requests(&self) -> impl Iterator<Item = &(TxId, Mode)> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn add(&mut self, id: TxId, mode: Mode) {
        let mine = std::iter::once(&mut self.first)
            .chain(&mut self.rest)
            .find(|r| r.0 == id);
        match mine {
            Some(mine) if mode == Mode::Exclusive => mine.1 = mode,
            Some(_) => {}
            None => self.rest.push((id, mode)),
        }
    }

    /// Takes a request out; false if it was the last.
    fn remove(&mut self, id: TxId) -> bool {
        if self.first.0 != id {
            self.rest.retain(|request| request.0 != id);
            return true;
        }
        if self.rest.is_empty() {
            return false;
        }
        self.first = self.rest.remove(0);
        true
    }
}

struct Claimed {
    claim: Claim,
    granted: bool,
}

/// The locks of one shard.
pub struct Locks {
    keys: HashMap<KeyName, KeyLock, BuildHasherDefault<AsItIs>>,
    seed: HashSeed,
    whole: VecDeque<(TxId, Mode)>,
    claims: HashMap<TxId, Claimed, RandomState>,
    /// Claims that are not granted yet.
    waiting: usize,
}

impl Locks {
    /// No lock is held. `seed` is the keyspace's, since keys come from peers.
    pub fn new(seed: HashSeed, state: RandomState) -> Self {
        Locks {
            keys: HashMap::default(),
            seed,
            whole: VecDeque::new(),
            claims: HashMap::with_hasher(state),
            waiting: 0,
        }
    }

    /// What a key is called here: its hash in the keyspace.
    pub fn name(&self, key: &[u8]) -> KeyName {
        self.seed.hash(key)
    }

    fn key_lock(&self, key: &[u8]) -> Option<&KeyLock> {
        self.keys.get(&self.name(key))
    }

    /// Whether nothing is locked or waited for: the test on the hot path.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.claims.is_empty()
    }

    /// Number of transactions that hold or wait for something.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nothing is locked.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether a single-shard command with this key must wait. Readers pass shared locks.
    pub fn blocks(&self, key: &[u8], writes: bool) -> bool {
        if self.is_idle() {
            return false;
        }
        let mode = if writes {
            Mode::Exclusive
        } else {
            Mode::Shared
        };
        let conflict = |(_, held): &(TxId, Mode)| held.conflicts(mode);
        self.whole.iter().any(conflict)
            || self
                .key_lock(key)
                .is_some_and(|lock| lock.requests().any(conflict))
    }

    /// Whether expiry and eviction must leave a key alone.
    pub fn holds(&self, key: &[u8]) -> bool {
        !self.is_idle() && (!self.whole.is_empty() || self.key_lock(key).is_some())
    }

    /// Whether a transaction waits for a lock.
    pub fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether any whole-shard lock is held or waited for: no new command is admitted.
    pub fn whole_claimed(&self) -> bool {
        !self.whole.is_empty()
    }

    /// Whether this transaction has locked the whole shard for itself.
    pub fn holds_whole(&self, id: TxId) -> bool {
        let claim = self.claims.get(&id);
        claim.is_some_and(|it| it.granted && matches!(it.claim, Claim::Whole(Mode::Exclusive)))
    }

    /// Claims locks for a transaction.
    pub fn claim(&mut self, id: TxId, claim: Claim) -> Verdict {
        assert!(
            !self.claims.contains_key(&id),
            "a transaction claims a shard once"
        );
        let (mut younger, mut older) = (false, false);
        self.conflicts(&claim, |other| {
            older |= other < id;
            younger |= other > id;
            younger
        });
        if younger {
            return Verdict::Refused;
        }
        self.enter(id, &claim);
        self.waiting += usize::from(older);
        let granted = !older;
        self.claims.insert(id, Claimed { claim, granted });
        match granted {
            true => Verdict::Granted,
            false => Verdict::Queued,
        }
    }

    /// Locks for a waiter before all younger transactions that are queued. False, without a trace,
    /// if a conflicting lock is held or an older transaction is queued for one.
    pub fn claim_ahead(&mut self, id: TxId, claim: Claim) -> bool {
        assert!(
            !self.claims.contains_key(&id),
            "a transaction claims a shard once"
        );
        if self.conflicts(&claim, |other| other < id || self.claims[&other].granted) {
            return false;
        }
        self.enter(id, &claim);
        let granted = true;
        self.claims.insert(id, Claimed { claim, granted });
        true
    }

    /// Puts a claim's requests where others see them.
    fn enter(&mut self, id: TxId, claim: &Claim) {
        match claim {
            Claim::Whole(mode) => self.whole.push_back((id, *mode)),
            Claim::Keys(keys) => {
                for &(key, mode) in keys {
                    match self.keys.entry(key) {
                        Entry::Occupied(mut lock) => lock.get_mut().add(id, mode),
                        Entry::Vacant(place) => {
                            place.insert(KeyLock {
                                first: (id, mode),
                                rest: Vec::new(),
                            });
                        }
                    }
                }
            }
        }
    }

    /// Whether any conflicting request of a transaction for which `counts` holds is there.
    fn conflicts(&self, claim: &Claim, mut counts: impl FnMut(TxId) -> bool) -> bool {
        let mut against =
            |(other, held): &(TxId, Mode), mode: Mode| held.conflicts(mode) && counts(*other);
        match claim {
            Claim::Whole(mode) => {
                let held = |claimed: &Claimed| match &claimed.claim {
                    Claim::Keys(keys) => keys.iter().any(|(_, held)| held.conflicts(*mode)),
                    Claim::Whole(_) => false,
                };
                self.whole.iter().any(|request| against(request, *mode))
                    || self.claims.iter().any(|(other, claimed)| {
                        held(claimed) && against(&(*other, Mode::Exclusive), *mode)
                    })
            }
            Claim::Keys(keys) => keys.iter().any(|(key, mode)| {
                self.whole.iter().any(|request| against(request, *mode))
                    || self
                        .keys
                        .get(key)
                        .is_some_and(|lock| lock.requests().any(|it| against(it, *mode)))
            }),
        }
    }

    /// Grants `id` if nothing older conflicts.
    fn try_grant(&mut self, id: TxId) -> bool {
        let free = !self.conflicts(&self.claims[&id].claim, |other| other < id);
        if free {
            self.claims
                .get_mut(&id)
                .expect("the claim was just looked up")
                .granted = true;
            self.waiting -= 1;
        }
        free
    }

    /// Whether a single-shard command must wait for a lock that is actually held: the test for
    /// commands that have waited already, which go before claims that are still queued.
    pub fn held_against(&self, key: &[u8], writes: bool) -> bool {
        let mode = if writes {
            Mode::Exclusive
        } else {
            Mode::Shared
        };
        let conflict = |(id, held): &(TxId, Mode)| held.conflicts(mode) && self.claims[id].granted;
        self.whole.iter().any(conflict)
            || self
                .key_lock(key)
                .is_some_and(|lock| lock.requests().any(conflict))
    }

    /// Whether a whole-shard lock is held exclusively.
    pub fn whole_held(&self) -> bool {
        self.whole
            .iter()
            .any(|(id, mode)| *mode == Mode::Exclusive && self.claims[id].granted)
    }

    /// Whether `id` was granted here and not yet released.
    pub fn is_granted(&self, id: TxId) -> bool {
        self.claims.get(&id).is_some_and(|claimed| claimed.granted)
    }

    /// Releases or withdraws a transaction. Call [`Locks::grant_waiting`] once the single-shard
    /// commands that waited have had their turn.
    pub fn release(&mut self, id: TxId) {
        let Some(claimed) = self.claims.remove(&id) else {
            return;
        };
        self.waiting -= usize::from(!claimed.granted);
        match claimed.claim {
            Claim::Whole(_) => self.whole.retain(|request| request.0 != id),
            Claim::Keys(keys) => {
                for (key, _) in keys {
                    if let Entry::Occupied(mut lock) = self.keys.entry(key)
                        && !lock.get_mut().remove(id)
                    {
                        lock.remove();
                    }
                }
            }
        }
    }

    /// Grants what can now be granted; gives the ids, oldest first.
    pub fn grant_waiting(&mut self) -> Vec<TxId> {
        if self.waiting == 0 {
            return Vec::new();
        }
        let mut waiting: Vec<TxId> = self
            .claims
            .iter()
            .filter(|(_, c)| !c.granted)
            .map(|(id, _)| *id)
            .collect();
        waiting.sort_unstable();
        waiting.retain(|id| self.try_grant(*id));
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locks() -> Locks {
        Locks::new(HashSeed([1, 2, 3, 4]), RandomState::with_seeds(1, 2, 3, 4))
    }

    fn keys(names: &[&str], mode: Mode) -> Claim {
        let locks = locks();
        Claim::Keys(
            names
                .iter()
                .map(|n| (locks.name(n.as_bytes()), mode))
                .collect(),
        )
    }

    #[test]
    fn an_older_request_behind_a_younger_one_is_refused() {
        let mut locks = locks();
        assert_eq!(
            locks.claim(5, keys(&["a"], Mode::Exclusive)),
            Verdict::Granted
        );
        assert_eq!(
            locks.claim(4, keys(&["a"], Mode::Exclusive)),
            Verdict::Refused
        );
        assert_eq!(
            locks.claim(6, keys(&["a", "b"], Mode::Exclusive)),
            Verdict::Queued
        );
        locks.release(5);
        assert_eq!(locks.grant_waiting(), [6]);
        locks.release(6);
        assert_eq!(locks.grant_waiting(), [0; 0]);
        assert!(locks.is_idle());
    }

    #[test]
    fn readers_share_and_a_waiting_writer_is_not_overtaken() {
        let mut locks = locks();
        assert_eq!(locks.claim(1, keys(&["a"], Mode::Shared)), Verdict::Granted);
        assert_eq!(locks.claim(2, keys(&["a"], Mode::Shared)), Verdict::Granted);
        assert_eq!(
            locks.claim(3, keys(&["a"], Mode::Exclusive)),
            Verdict::Queued
        );
        assert_eq!(locks.claim(4, keys(&["a"], Mode::Shared)), Verdict::Queued);
        assert!(locks.blocks(b"a", false));
        locks.release(1);
        assert_eq!(locks.grant_waiting(), [0; 0]);
        locks.release(2);
        assert_eq!(locks.grant_waiting(), [3]);
        locks.release(3);
        assert_eq!(locks.grant_waiting(), [4]);
        assert!(!locks.blocks(b"a", false));
        assert!(locks.blocks(b"a", true));
    }

    #[test]
    fn the_whole_lock_waits_for_key_locks_and_stops_later_ones() {
        let mut locks = locks();
        assert_eq!(
            locks.claim(1, keys(&["a"], Mode::Exclusive)),
            Verdict::Granted
        );
        assert_eq!(
            locks.claim(2, Claim::Whole(Mode::Exclusive)),
            Verdict::Queued
        );
        assert_eq!(locks.claim(3, keys(&["b"], Mode::Shared)), Verdict::Queued);
        assert!(locks.blocks(b"zzz", false));
        locks.release(1);
        assert_eq!(locks.grant_waiting(), [2]);
        locks.release(2);
        assert_eq!(locks.grant_waiting(), [3]);
        assert!(!locks.blocks(b"zzz", true));
    }

    #[test]
    fn a_withdrawn_request_leaves_no_trace() {
        let mut locks = locks();
        locks.claim(1, keys(&["a"], Mode::Exclusive));
        assert_eq!(
            locks.claim(2, keys(&["a", "c"], Mode::Exclusive)),
            Verdict::Queued
        );
        locks.release(2);
        assert_eq!(locks.grant_waiting(), [0; 0]);
        locks.release(1);
        assert!(locks.is_idle() && locks.keys.is_empty());
    }

    #[test]
    fn a_key_named_twice_takes_the_stronger_mode() {
        let mut locks = locks();
        let twice = [
            (locks.name(b"a"), Mode::Shared),
            (locks.name(b"a"), Mode::Exclusive),
        ];
        let claim = Claim::Keys(twice.into_iter().collect());
        assert_eq!(locks.claim(1, claim), Verdict::Granted);
        assert!(locks.blocks(b"a", false));
        locks.release(1);
        assert!(locks.is_idle());
    }
}
