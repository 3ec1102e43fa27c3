//! Keys that clients WATCH, kept by the shard that owns them.
//!
//! Each watched key carries a version that every change bumps. WATCH hands the client the version
//! it saw; EXEC asks the owner, under the transaction's lock, whether it still stands.

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

/// One watched key.
#[derive(Debug)]
struct Watch {
    watchers: u32,
    /// Bumped by every change.
    version: u64,
    /// Version of the last change that was not the deletion of an expired key.
    changed: u64,
}

/// What FLUSHDB or SWAPDB does to one watched key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// Nothing.
    None,
    /// A key is gone, or others expired took its place: to whoever watched an expired key
    /// nothing has changed.
    Expired,
    /// The key has changed.
    Changed,
}

impl Watch {
    fn touch(&mut self, touch: Touch, version: u64) {
        if touch != Touch::None {
            self.version = version;
        }
        if touch == Touch::Changed {
            self.changed = version;
        }
    }
}

/// What a client remembers of one key that it watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Version of the key when it was watched.
    pub version: u64,
    /// The key was there but past its expiry: its deletion is no change then.
    pub expired: bool,
}

/// The watched keys of one shard.
pub struct Watched {
    keys: HashMap<(usize, Box<[u8]>), Watch, RandomState>,
    version: u64,
    /// Keys that blocked clients wait for, and those of them that have changed.
    awaited: HashSet<(usize, Box<[u8]>), RandomState>,
    ready: Vec<(usize, Box<[u8]>)>,
    /// Set while a transaction runs on lent entries: the owners, not we, hold the watches.
    recorder: Option<Vec<Change>>,
    /// Somebody may have to be told which keys change (client-side caching).
    follows: bool,
    changes: Vec<Change>,
}

/// A key that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub db: usize,
    pub key: Box<[u8]>,
    /// It expired or was evicted: nobody's command meant to change it.
    pub unasked: bool,
}

impl Watched {
    /// No key is watched. `state` is seeded by the process, since keys come from peers.
    pub fn new(state: RandomState) -> Self {
        Watched {
            keys: HashMap::with_hasher(state.clone()),
            awaited: HashSet::with_hasher(state),
            ready: Vec::new(),
            version: 0,
            recorder: None,
            follows: false,
            changes: Vec::new(),
        }
    }

    /// Whether changes are kept from now on for [`Watched::take_changes`].
    pub fn follow(&mut self, follows: bool) {
        self.follows = follows;
    }

    /// Whether there are changes to be taken.
    #[inline]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The changes since they were last taken, in their order, if anybody wants to know.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The same, left where they are.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Puts changes back that were taken.
    pub fn put_changes(&mut self, changes: Vec<Change>) {
        self.changes = changes;
    }

    /// A client begins to watch a key.
    pub fn add(&mut self, db: usize, key: &[u8], expired: bool) -> Token {
        let version = self.version;
        let watch = self.keys.entry((db, key.into())).or_insert(Watch {
            watchers: 0,
            version,
            changed: version,
        });
        watch.watchers += 1;
        Token {
            version: watch.version,
            expired,
        }
    }

    /// A client no longer watches a key.
    pub fn remove(&mut self, db: usize, key: &[u8]) {
        let id = (db, Box::from(key));
        if let Some(watch) = self.keys.get_mut(&id) {
            watch.watchers -= 1;
            if watch.watchers == 0 {
                self.keys.remove(&id);
            }
        }
    }

    /// Whether a key has changed since `token`.
    pub fn is_dirty(&self, db: usize, key: &[u8], token: &Token) -> bool {
        self.keys
            .get(&(db, Box::from(key)))
            .is_none_or(|watch| match token.expired {
                true => watch.changed > token.version,
                false => watch.version != token.version,
            })
    }

    /// From now on changes of a key are noted for [`Watched::take_ready`].
    pub fn await_key(&mut self, db: usize, key: &[u8]) {
        self.awaited.insert((db, key.into()));
    }

    /// Nobody waits for a key any more.
    pub fn await_no_more(&mut self, db: usize, key: &[u8]) {
        self.awaited.remove(&(db, Box::from(key)));
    }

    /// Whether awaited keys have changed.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The awaited keys that have changed, in the order of their changes.
    pub fn take_ready(&mut self) -> Vec<(usize, Box<[u8]>)> {
        std::mem::take(&mut self.ready)
    }

    /// Whether anybody wants to know of changes.
    #[inline]
    fn is_active(&self) -> bool {
        !self.keys.is_empty() || !self.awaited.is_empty() || self.recorder.is_some() || self.follows
    }

    /// A key has changed.
    #[inline]
    pub fn touch(&mut self, db: usize, key: &[u8]) {
        if self.is_active() {
            self.touch_slow(db, key, Touch::Changed, false);
        }
    }

    /// An expired key was deleted: no change for those who began to watch it when it had expired.
    #[inline]
    pub fn touch_expired(&mut self, db: usize, key: &[u8]) {
        if self.is_active() {
            self.touch_slow(db, key, Touch::Expired, true);
        }
    }

    /// A key was deleted for its memory.
    #[inline]
    pub fn touch_evicted(&mut self, db: usize, key: &[u8]) {
        if self.is_active() {
            self.touch_slow(db, key, Touch::Changed, true);
        }
    }

    #[cold]
    fn touch_slow(&mut self, db: usize, key: &[u8], touch: Touch, unasked: bool) {
        let change = || Change {
            db,
            key: key.into(),
            unasked,
        };
        if let Some(recorder) = &mut self.recorder {
            recorder.push(change());
            return;
        }
        if self.follows {
            self.changes.push(change());
        }
        let id = (db, Box::from(key));
        if self.awaited.contains(&id) {
            self.ready.push(id.clone());
        }
        if let Some(watch) = self.keys.get_mut(&id) {
            self.version += 1;
            watch.touch(touch, self.version);
        }
    }

    /// As [`Watched::touch`], for a change that whoever made it tells of.
    pub fn touch_told(&mut self, db: usize, key: &[u8]) {
        let follows = std::mem::replace(&mut self.follows, false);
        self.touch(db, key);
        self.follows = follows;
    }

    /// Touches the watched keys of `db` as `judge` says (FLUSHDB, SWAPDB).
    pub fn touch_all(&mut self, db: usize, mut judge: impl FnMut(&[u8]) -> Touch) {
        self.version += 1;
        let version = self.version;
        for ((watched_db, key), watch) in &mut self.keys {
            if *watched_db == db {
                watch.touch(judge(key), version);
            }
        }
        // Whether there is anything in them for whoever waits is looked up later.
        let awaited = self
            .awaited
            .iter()
            .filter(|(awaited_db, _)| *awaited_db == db);
        self.ready.extend(awaited.cloned());
    }

    /// From now on touches are noted instead of applied, until [`Watched::stop_recording`].
    pub fn start_recording(&mut self) {
        assert!(self.recorder.is_none(), "recordings do not nest");
        self.recorder = Some(Vec::new());
    }

    /// What was recorded so far, the first `from` left out.
    pub fn recorded(&self, from: usize) -> &[Change] {
        let recorder = self.recorder.as_deref().unwrap_or_default();
        recorder.get(from..).unwrap_or_default()
    }

    /// Ends a recording and gives the keys touched.
    pub fn stop_recording(&mut self) -> Vec<(usize, Box<[u8]>)> {
        let recorded = self.recorder.take().expect("a recording was started");
        (recorded.into_iter())
            .map(|change| (change.db, change.key))
            .collect()
    }

    /// Number of watched keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is watched.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_exactly_the_tokens_before_it_dirty() {
        let mut watched = Watched::new(RandomState::with_seeds(1, 2, 3, 4));
        let before = watched.add(0, b"k", false);
        watched.touch(0, b"other");
        watched.touch(1, b"k");
        assert!(!watched.is_dirty(0, b"k", &before));
        watched.touch(0, b"k");
        assert!(watched.is_dirty(0, b"k", &before));
        let after = watched.add(0, b"k", false);
        assert!(!watched.is_dirty(0, b"k", &after));
        watched.remove(0, b"k");
        watched.remove(0, b"k");
        assert!(watched.is_empty());
    }

    #[test]
    fn deleting_an_expired_key_is_no_change_for_who_saw_it_expired() {
        let mut watched = Watched::new(RandomState::with_seeds(1, 2, 3, 4));
        let live = watched.add(0, b"k", false);
        let stale = watched.add(0, b"k", true);
        watched.touch_expired(0, b"k");
        assert!(watched.is_dirty(0, b"k", &live));
        assert!(!watched.is_dirty(0, b"k", &stale));
        watched.touch(0, b"k");
        assert!(watched.is_dirty(0, b"k", &stale));
    }

    #[test]
    fn changes_are_kept_only_while_somebody_follows_and_where_nobody_else_tells() {
        let mut watched = Watched::new(RandomState::with_seeds(1, 2, 3, 4));
        watched.touch(0, b"before");
        assert!(!watched.has_changes());
        watched.follow(true);
        watched.touch(0, b"a");
        watched.touch_told(0, b"b");
        watched.touch_expired(1, b"c");
        watched.start_recording();
        watched.touch(0, b"d");
        assert_eq!(watched.recorded(0).len(), 1);
        assert_eq!(watched.recorded(1), []);
        assert_eq!(watched.stop_recording(), [(0, Box::from(&b"d"[..]))]);
        let changes = watched.take_changes();
        let seen: Vec<_> = (changes.iter())
            .map(|change| (change.db, &change.key[..], change.unasked))
            .collect();
        assert_eq!(seen, [(0, &b"a"[..], false), (1, &b"c"[..], true)]);
        assert!(!watched.has_changes());
    }

    #[test]
    fn a_watch_that_is_gone_counts_as_dirty_and_never_reuses_a_version() {
        let mut watched = Watched::new(RandomState::with_seeds(1, 2, 3, 4));
        let token = watched.add(0, b"k", false);
        watched.touch(0, b"k");
        watched.remove(0, b"k");
        assert!(watched.is_dirty(0, b"k", &token));
        let fresh = watched.add(0, b"k", false);
        assert_ne!(fresh.version, token.version);
    }
}
