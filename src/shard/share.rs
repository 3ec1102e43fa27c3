//! What a transaction has with one shard: the keys it names there, and the entries lent to it.

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::command::pubsub::{Name, Space};
use crate::command::table::{self, Run as Runs};
use crate::value::HashSeed;

use super::locks::Mode;
use super::message::{Entries, KeyBytes, KeyRef, Keys, OwnedRequest};
use super::pubsub::channel_owner;
use super::shared::Shared;

/// One shard's share.
pub(super) struct Share {
    pub shard: usize,
    pub keys: Keys,
    pub watched: Vec<(usize, Box<[u8]>, crate::command::watched::Token)>,
    /// Channels that its commands speak on.
    pub channels: Vec<(Space, Name)>,
    pub granted: bool,
    pub refused: bool,
    /// Lent entries, in the order of `keys`.
    pub entries: Entries,
    /// Which of them are copies, to be dropped and not returned.
    pub copied: SmallVec<[bool; 16]>,
    /// Which of them were there when the commands began to run.
    pub present: SmallVec<[bool; 16]>,
    /// Copies that expired under a reader: the owner deletes the key itself.
    pub expired: Vec<(usize, Box<[u8]>)>,
}

/// Up to this many arguments, a key named twice is found by looking at all of them.
pub(super) const KEYS_SEARCHED_MAX: usize = 64;

/// Finds keys that a transaction names more than once: by an index where they may be many, for a
/// million keys may come in one command.
pub(super) struct KeyPlaces {
    index: Option<PlaceIndex>,
    seed: HashSeed,
}

/// Position in its share of each (database, key).
type PlaceIndex = HashMap<(usize, KeyBytes), usize, ahash::RandomState>;

impl KeyPlaces {
    /// With a hasher, an index is kept.
    pub fn new(hasher: Option<ahash::RandomState>, seed: HashSeed) -> Self {
        let index = hasher.map(HashMap::with_hasher);
        KeyPlaces { index, seed }
    }

    /// Learns the keys that a share has already.
    pub fn note(&mut self, share: &Share) {
        if let Some(places) = &mut self.index {
            let named = share.keys.iter().enumerate();
            places.extend(named.map(|(place, key)| ((key.db, key.key.clone()), place)));
        }
    }

    /// Adds a key to its share, or makes the lock that it has there as strong as needed.
    pub fn add(&mut self, share: &mut Share, db: usize, key: &[u8], mode: Mode) {
        let keys = &mut share.keys;
        let fresh = KeyRef::new(db, key, mode, self.seed);
        let place = match &mut self.index {
            Some(places) => {
                let at = places.entry((db, fresh.key.clone()));
                *at.or_insert(keys.len())
            }
            None => {
                let same = |known: &KeyRef| {
                    known.hash == fresh.hash && known.db == db && *known.key == *key
                };
                keys.iter().position(same).unwrap_or(keys.len())
            }
        };
        match keys.get_mut(place) {
            Some(known) if mode == Mode::Exclusive => known.mode = mode,
            Some(_) => {}
            None => keys.push(fresh),
        }
    }
}

/// Calls `f` with every (database, key) that a request may touch.
pub(super) fn for_each_key(
    request: &OwnedRequest,
    databases: usize,
    mut f: impl FnMut(usize, &[u8]),
) {
    let args = request.args();
    request.command.for_each_key(args, |at| {
        if let Some(key) = args.get(at) {
            f(request.db, key);
        }
    });
    if let Some((at, db)) = table::other_database(request.command, args)
        && db < databases
        && let Some(key) = args.get(at)
    {
        f(db, key);
    }
}

/// The share of a shard, made if it is not there yet.
pub(super) fn share_of(shares: &mut Vec<Share>, shard: usize) -> &mut Share {
    if let Some(at) = shares.iter().position(|share| share.shard == shard) {
        return &mut shares[at];
    }
    shares.push(Share {
        shard,
        keys: Keys::new(),
        watched: Vec::new(),
        channels: Vec::new(),
        granted: false,
        refused: false,
        entries: Entries::new(),
        copied: SmallVec::new(),
        present: SmallVec::new(),
        expired: Vec::new(),
    });
    shares.last_mut().expect("one was pushed")
}

/// Names the channels that requests speak on, in the shares of their owners: they are locked, so
/// that their messages keep the stream's order.
pub(super) fn name_channels(shared: &Shared, requests: &[OwnedRequest], shares: &mut Vec<Share>) {
    for request in requests {
        if let Some((space, name)) = request.command.channel(request.args()) {
            let owner = channel_owner(shared, space, name);
            let channels = &mut share_of(shares, owner).channels;
            channels.push((space, name.into()));
        }
    }
}

/// The whole-shard lock that these commands need, if any: shared only if none writes and none needs
/// entries lent to it.
pub(super) fn whole_mode(requests: &[OwnedRequest]) -> Option<Mode> {
    let everywhere = |request: &OwnedRequest| {
        matches!(request.command.run, Runs::Everywhere { .. }) || request.command.walks()
    };
    let follows = |request: &OwnedRequest| request.command.follows(request.args());
    let has_keys = |request: &OwnedRequest| matches!(request.command.run, Runs::Data(_));
    // A transaction that waits in between has no entries lent to it meanwhile.
    let waits = requests.iter().any(asks) && requests.iter().any(has_keys);
    let whole = |request: &OwnedRequest| everywhere(request) || follows(request);
    if !waits && !requests.iter().any(whole) {
        return None;
    }
    let reads = |request: &OwnedRequest| everywhere(request) && !request.command.writes();
    Some(if requests.iter().all(reads) {
        Mode::Shared
    } else {
        Mode::Exclusive
    })
}

/// Whether a command asks every shard and waits for the answers.
pub(super) fn asks(request: &OwnedRequest) -> bool {
    matches!(request.command.run, Runs::Session(op) if op.waits_for_answers())
}
