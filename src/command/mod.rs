//! Commands: what they are (`table`), what they may touch (`Ctx`), what they leave behind
//! (`Effects`).
//!
//! A data command runs synchronously to its end against one [`Keyspace`]: a shard's own, or the
//! scratch keyspace into which a transaction's home puts the entries lent to it. It cannot tell the
//! difference, so each command is written once and is atomic across shards by construction.
//!
//! **Architecture invariant:** nothing here names a shard's queues, a connection, a socket or a
//! clock.

pub mod deprecated;
pub mod digest;
pub mod effects;
pub mod error;
pub mod family;
pub mod notify;
pub mod pubsub;
pub mod session;
pub mod settings;
pub mod syntax;
pub mod table;
#[cfg(test)]
pub mod testing;
pub mod wait;
pub mod watched;

pub use effects::Effects;
pub use error::Error;
pub use settings::Settings;
pub use table::{Command, Flags};

use crate::keyspace::{Boxed, Db, Entry, Keyspace, Previous, SetExpiry};
use crate::protocol::{Args, Reply};
use crate::value::{Kind, Value};
use watched::Watched;

/// How a data command ends: its reply was written, or this error is the reply.
pub type Outcome = Result<(), Error>;

/// One shard's answer to a command that runs everywhere; the home merges them.
#[derive(Debug)]
pub enum Part {
    Done,
    Count(u64),
    Keys(Vec<Box<[u8]>>),
    /// As many as the request has names, in their order.
    Counts(Vec<u64>),
    /// Sums of this shard's databases, for DEBUG DIGEST.
    Digest(Vec<(u32, digest::Digest)>),
    /// A random key of a shard that holds `count`; `roll` is uniform, to choose among shards.
    Candidate {
        count: u64,
        roll: u64,
        key: Box<[u8]>,
    },
    Failed(Error),
    /// The finished reply of a command that runs on one shard (SCAN within EXEC).
    Replied(Vec<u8>),
}

/// A small seeded generator (SplitMix64): randomness is an input of the core.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Counters of one shard's data commands, plain integers.
#[derive(Clone, Debug, Default)]
pub struct DataStats {
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub expired_keys: u64,
    pub evicted_keys: u64,
    /// How long memory was over the limit although this shard evicted, milliseconds.
    pub eviction_exceeded_ms: u64,
}

/// What data commands read and count besides the keyspace; one per shard.
pub struct DataState {
    pub settings: Settings,
    pub stats: DataStats,
    pub rng: Rng,
    pub watched: Watched,
    /// Events of the commands that have run, until the shard sends them.
    pub notifications: Vec<notify::Notification>,
    pub pubsub: pubsub::PubSub,
}

impl DataState {
    /// Notes an event of a key, if anybody may want to know of it.
    #[inline]
    fn notify(&mut self, db: usize, class: notify::Class, event: &'static str, key: &[u8]) {
        if self.settings.notify.has(class) {
            self.note(db, class, event, key);
        }
    }

    #[cold]
    fn note(&mut self, db: usize, class: notify::Class, event: &'static str, key: &[u8]) {
        self.notifications.push(notify::Notification {
            db,
            class,
            event,
            key: key.into(),
        });
    }

    /// Counts and notes a read of a key that is not there.
    #[inline]
    fn missed(&mut self, db: usize, key: &[u8]) {
        self.stats.keyspace_misses += 1;
        self.notify(db, notify::Class::KEY_MISS, "keymiss", key);
    }
}

/// On whose behalf a command runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A client of a primary: expired keys are deleted and the deletion is propagated.
    Primary,
    /// A client of a replica: expired keys are hidden, never deleted by a read.
    Replica,
    /// The upstream's stream: no key is ever seen as expired.
    Upstream,
}

/// Everything one data command may touch.
pub struct Ctx<'a> {
    pub keyspace: &'a mut Keyspace,
    /// Selected database.
    pub db: usize,
    /// Wall clock, milliseconds; one value for a whole command or transaction.
    pub now_ms: u64,
    pub reply: &'a mut Reply,
    pub effects: &'a mut Effects,
    pub state: &'a mut DataState,
    pub origin: Origin,
    /// This shard's number and the number of shards, for SCAN's cursor.
    pub shard: (u32, u32),
    /// Set by NO-TOUCH: reads leave the access clock alone.
    pub no_touch: bool,
    dirty: u64,
    propagation: Propagation,
    /// Whether the command may wait; not so within MULTI.
    may_wait: bool,
    wait: Option<Box<wait::Wait>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Propagation {
    /// As received, if anything changed.
    Verbatim,
    /// As received, although nothing changed.
    Always,
    /// The command said itself what to send.
    Done,
}

/// The parts of a [`Ctx`] that outlive a command.
pub struct Env<'a> {
    pub keyspace: &'a mut Keyspace,
    pub reply: &'a mut Reply,
    pub effects: &'a mut Effects,
    pub state: &'a mut DataState,
    pub db: usize,
    pub now_ms: u64,
    pub origin: Origin,
    pub shard: (u32, u32),
    pub no_touch: bool,
    /// Whether the command may wait; not so within MULTI.
    pub may_wait: bool,
}

impl<'a> Ctx<'a> {
    /// A context for one command.
    pub fn new(env: Env<'a>) -> Self {
        let Env {
            keyspace,
            reply,
            effects,
            state,
            db,
            now_ms,
            origin,
            shard,
            no_touch,
            may_wait,
        } = env;
        Ctx {
            keyspace,
            db,
            now_ms,
            reply,
            effects,
            state,
            origin,
            shard,
            no_touch,
            dirty: 0,
            propagation: Propagation::Verbatim,
            may_wait,
            wait: None,
        }
    }

    /// The selected database.
    pub fn database(&mut self) -> &mut Db {
        self.keyspace.db_mut(self.db)
    }

    /// Deletes `key` if its time has come (on a primary), and says whether it may be seen.
    fn is_live(&mut self, db: usize, key: &[u8]) -> bool {
        let Some(entry) = self.keyspace.db(db).get(key) else {
            return false;
        };
        if self.origin == Origin::Upstream || !entry.is_expired(self.now_ms) {
            return true;
        }
        if self.origin == Origin::Primary {
            self.expire(db, key);
        }
        false
    }

    /// Deletes an expired key and propagates the deletion.
    pub fn expire(&mut self, db: usize, key: &[u8]) {
        if self.drop_key(db, key) {
            self.expired(db, key);
        }
    }

    /// An expired key is gone: counts and propagates that.
    fn expired(&mut self, db: usize, key: &[u8]) {
        let name = self.expired_name();
        self.effects.request(db as u32, &[name, key]);
        self.state.stats.expired_keys += 1;
        self.state.watched.touch_expired(db, key);
        self.notify_in(db, notify::Class::EXPIRED, "expired", key);
    }

    /// Deletes a key for its memory and propagates the deletion.
    pub fn evict(&mut self, db: usize, key: &[u8]) {
        if !self.drop_key(db, key) {
            return;
        }
        let name: &[u8] = match self.state.settings.lazy_eviction {
            true => b"UNLINK",
            false => b"DEL",
        };
        self.effects.request(db as u32, &[name, key]);
        self.state.stats.evicted_keys += 1;
        self.state.watched.touch_evicted(db, key);
        self.notify_in(db, notify::Class::EVICTED, "evicted", key);
    }

    /// The command by which the deletion of expired keys is propagated.
    pub fn expired_name(&self) -> &'static [u8] {
        match self.state.settings.lazy_expire {
            true => b"UNLINK",
            false => b"DEL",
        }
    }

    fn settle(&mut self, db: usize, key: &[u8]) {
        if self.keyspace.db(db).expires() > 0 {
            self.is_live(db, key);
        }
    }

    /// Whether a command may see `entry`: on the upstream's behalf every one, else those whose
    /// time has not come.
    pub fn shows(&self, entry: &Entry) -> bool {
        self.origin == Origin::Upstream || !entry.is_expired(self.now_ms)
    }

    fn hides(&self, entry: &Entry) -> bool {
        self.origin == Origin::Replica && entry.is_expired(self.now_ms)
    }

    /// Looks a key up for reading: counts a hit or a miss and moves the access clock.
    pub fn find(&mut self, key: &[u8]) -> Option<&Entry> {
        self.find_and_reply(key).0
    }

    /// As [`Ctx::find`], with the reply beside it, so that it can be written from the borrowed
    /// entry.
    pub fn find_and_reply(&mut self, key: &[u8]) -> (Option<&Entry>, &mut Reply) {
        let db = self.db;
        self.settle(db, key);
        let now_ms = self.now_ms;
        let hides = self.origin == Origin::Replica;
        let database = self.keyspace.db_mut(db);
        let found = if self.no_touch {
            database.get(key)
        } else {
            database.get_touch(key)
        };
        let found = found.filter(|entry| !(hides && entry.is_expired(now_ms)));
        match found {
            Some(_) => self.state.stats.keyspace_hits += 1,
            None => self.state.missed(db, key),
        }
        (found, self.reply)
    }

    /// Looks a key up without counting or touching anything (OBJECT, TTL's second look …).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        self.peek_in(self.db, key)
    }

    /// As [`Ctx::peek`], in another database.
    pub fn peek_in(&mut self, db: usize, key: &[u8]) -> Option<&Entry> {
        self.settle(db, key);
        let hides = self
            .keyspace
            .db(db)
            .get(key)
            .is_some_and(|entry| self.hides(entry));
        if hides {
            None
        } else {
            self.keyspace.db(db).get(key)
        }
    }

    /// Looks a key up for writing. On a replica an expired key is removed first, locally.
    pub fn find_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.prepare_write(self.db, key);
        self.keyspace.db_mut(self.db).get_mut(key)
    }

    /// Makes sure that an expired `key` is out of the way of a write.
    pub fn prepare_write(&mut self, db: usize, key: &[u8]) {
        if self.keyspace.db(db).expires() == 0 || self.is_live(db, key) {
            return;
        }
        if self.origin == Origin::Replica && self.drop_key(db, key) {
            self.notify_in(db, notify::Class::EXPIRED, "expired", key);
        }
    }

    /// Removes a key without stalling, however large its value; whether it was there.
    fn drop_key(&mut self, db: usize, key: &[u8]) -> bool {
        let database = self.keyspace.db_mut(db);
        let removed = database.remove(key);
        removed.map(|entry| database.discard(entry)).is_some()
    }

    /// Whether `key` exists, for a write.
    pub fn exists_for_write(&mut self, key: &[u8]) -> bool {
        self.prepare_write(self.db, key);
        self.keyspace.db(self.db).get(key).is_some()
    }

    /// A string for reading.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_string(&mut self, key: &[u8]) -> Result<Option<&Entry>, Error> {
        match self.find(key) {
            Some(entry) if entry.kind() != Kind::String => Err(Error::WrongType),
            found => Ok(found),
        }
    }

    /// A string for reading, with the reply beside it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_string_and_reply(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<&Entry>, &mut Reply), Error> {
        match self.find_and_reply(key) {
            (Some(entry), _) if entry.kind() != Kind::String => Err(Error::WrongType),
            found => Ok(found),
        }
    }

    /// A collection for reading.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_collection<T: Boxed>(&mut self, key: &[u8]) -> Result<Option<&T>, Error> {
        Ok(self.find_collection_and_reply(key)?.0)
    }

    /// A collection for reading, with the reply beside it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_collection_and_reply<T: Boxed>(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<&T>, &mut Reply), Error> {
        match self.find_and_reply(key) {
            (None, reply) => Ok((None, reply)),
            (Some(entry), reply) => match T::view(entry.value()) {
                Some(collection) => Ok((Some(collection), reply)),
                None => Err(Error::WrongType),
            },
        }
    }

    /// A collection for writing.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_collection_mut<T: Boxed>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Error> {
        match self.find_mut(key) {
            None => Ok(None),
            Some(entry) => entry.collection_mut().map(Some).ok_or(Error::WrongType),
        }
    }

    /// As [`Ctx::find_collection_mut`], for a command that Redis takes for a reader of the key: a
    /// hit or a miss is counted.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn read_collection_mut<T: Boxed>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Error> {
        self.prepare_write(self.db, key);
        match self.keyspace.db_mut(self.db).get_mut(key) {
            None => {
                self.state.missed(self.db, key);
                Ok(None)
            }
            Some(entry) => {
                self.state.stats.keyspace_hits += 1;
                entry.collection_mut().map(Some).ok_or(Error::WrongType)
            }
        }
    }

    /// A collection for writing, with the reply beside it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn find_collection_mut_and_reply<T: Boxed>(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<&mut T>, &mut Reply), Error> {
        self.prepare_write(self.db, key);
        match self.keyspace.db_mut(self.db).get_mut(key) {
            None => Ok((None, self.reply)),
            Some(entry) => match entry.collection_mut() {
                Some(collection) => Ok((Some(collection), self.reply)),
                None => Err(Error::WrongType),
            },
        }
    }

    /// Calls `f` with the collection at `key`, or with a new one, which is then stored unless `f`
    /// left it empty. A collection that was there must not be left empty.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key holds another type.
    pub fn with_collection<T: Boxed, R>(
        &mut self,
        key: &[u8],
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Error> {
        if let Some(collection) = self.find_collection_mut(key)? {
            return Ok(f(collection));
        }
        let mut collection = Box::new(T::empty());
        let result = f(&mut collection);
        if !collection.is_empty() {
            self.set_value(key, collection.wrap(), None);
        }
        Ok(result)
    }

    /// Checks the type of `key` for a write without borrowing it.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the key exists with another type.
    pub fn check_kind(&mut self, key: &[u8], kind: Kind) -> Result<bool, Error> {
        self.prepare_write(self.db, key);
        match self.keyspace.db(self.db).get(key) {
            None => Ok(false),
            Some(entry) if entry.kind() == kind => Ok(true),
            Some(_) => Err(Error::WrongType),
        }
    }

    /// Stores a string under `key`, over whatever was there. Of a key that had expired nothing is
    /// kept, and its deletion is propagated first.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: SetExpiry) {
        if expiry == SetExpiry::Keep {
            self.prepare_write(self.db, key);
        }
        let previous = self.database().set_string(key, value, expiry);
        let mut is_new = previous.is_none();
        // Found out afterwards, so that a plain SET needs no second look-up.
        if self.origin == Origin::Primary
            && expiry != SetExpiry::Keep
            && let Some(Previous {
                expire_at_ms: Some(at),
            }) = previous
            && self.now_ms > at
        {
            self.expired(self.db, key);
            is_new = true;
        }
        if is_new {
            self.notify(notify::Class::NEW, "new", key);
        }
    }

    /// Stores a new value of any type under `key`, over whatever was there.
    pub fn set_value(&mut self, key: &[u8], value: Value, expire_at_ms: Option<u64>) {
        let database = self.database();
        match database.insert(Entry::new(key, value, expire_at_ms)) {
            Some(old) => database.discard(old),
            None => self.notify(notify::Class::NEW, "new", key),
        }
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.prepare_write(self.db, key);
        self.drop_key(self.db, key)
    }

    /// Removes a key whether or not its time has come, as a result that is empty removes what it
    /// should have replaced; whether it was there.
    pub fn remove_unexamined(&mut self, key: &[u8]) -> bool {
        self.drop_key(self.db, key)
    }

    /// Whether a key that is to expire at `at_ms` is to be deleted at once instead. Not so on a
    /// replica, which leaves that to its primary.
    pub fn is_over(&self, at_ms: u64) -> bool {
        at_ms <= self.now_ms && self.origin == Origin::Primary
    }

    /// Deletes a key for which [`Ctx::is_over`] holds, as a change made by the command, and
    /// propagates the deletion instead of it. Whether the key was there.
    pub fn remove_expired(&mut self, key: &[u8]) -> bool {
        let removed = self.remove(key);
        if removed {
            self.changed(key, 1);
            self.notify(notify::Class::GENERIC, "del", key);
            self.propagate_as(&[self.expired_name(), key]);
        }
        removed
    }

    /// Says that `key` of the selected database was changed, `n` changes counted.
    pub fn changed(&mut self, key: &[u8], n: u64) {
        self.changed_in(self.db, key, n);
    }

    /// As [`Ctx::changed`], in another database.
    pub fn changed_in(&mut self, db: usize, key: &[u8], n: u64) {
        self.dirty += n;
        self.state.watched.touch(db, key);
    }

    /// Notes that a read found nothing.
    #[inline]
    pub fn missed(&mut self, key: &[u8]) {
        self.state.missed(self.db, key);
    }

    /// Notes an event of a key of the selected database, if anybody may want to know of it.
    #[inline]
    pub fn notify(&mut self, class: notify::Class, event: &'static str, key: &[u8]) {
        self.notify_in(self.db, class, event, key);
    }

    /// As [`Ctx::notify`], in another database.
    #[inline]
    pub fn notify_in(&mut self, db: usize, class: notify::Class, event: &'static str, key: &[u8]) {
        self.state.notify(db, class, event, key);
    }

    /// Counts changes that touch no watched key (FLUSHALL of nothing, PUBLISH …).
    pub fn count_dirty(&mut self, n: u64) {
        self.dirty += n;
    }

    /// Propagates this request instead of the one received. May be called several times.
    pub fn propagate_as(&mut self, args: &[&[u8]]) {
        self.propagation = Propagation::Done;
        self.effects.request(self.db as u32, args);
    }

    /// Propagates the request as received although it changes nothing.
    pub fn propagate_always(&mut self) {
        self.propagation = Propagation::Always;
    }

    /// Propagates nothing by itself.
    pub fn propagate_nothing(&mut self) {
        self.propagation = Propagation::Done;
    }

    /// Ends a blocking command that found nothing: it waits, or gets the reply of its timeout where
    /// it may not. To be called before anything is replied.
    pub fn wait(&mut self, wait: wait::Wait) {
        if self.may_wait {
            self.wait = Some(Box::new(wait));
        } else {
            (wait.on_timeout)(self.reply);
        }
    }

    /// Whether [`Ctx::wait`] would wait.
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// The options in force.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }
}

/// What running a command did, for the caller's statistics.
#[derive(Debug, Default)]
pub struct Ran {
    /// Changes counted (`rdb_changes_since_last_save`).
    pub dirty: u64,
    /// The reply is an error.
    pub failed: bool,
    /// It was propagated although it changed nothing.
    pub propagates: bool,
    /// It has not replied, and waits.
    pub wait: Option<Box<wait::Wait>>,
}

impl Ran {
    /// Whether replicas hear of it, so that WAIT must cover it.
    #[inline]
    pub fn wrote(&self) -> bool {
        self.dirty > 0 || self.propagates
    }
}

/// Runs one data command: its reply, its effects, its error. The caller has opened a unit.
pub fn run(
    handler: fn(&mut Ctx<'_>, Args<'_>) -> Outcome,
    env: Env<'_>,
    args: Args<'_>,
    verbatim: Option<&[u8]>,
) -> Ran {
    let mut ctx = Ctx::new(env);
    let mark = ctx.reply.len();
    let outcome = handler(&mut ctx, args);
    let failed = outcome.is_err();
    if let Err(error) = outcome {
        ctx.reply.truncate(mark);
        ctx.reply.error(&error.to_string());
    }
    let dirty = ctx.dirty;
    let verbatim_due = match ctx.propagation {
        Propagation::Verbatim => dirty > 0,
        Propagation::Always => true,
        Propagation::Done => false,
    };
    if verbatim_due && ctx.effects.enabled() {
        match verbatim {
            Some(bytes) => ctx.effects.verbatim(ctx.db as u32, bytes),
            None => {
                let args: Vec<&[u8]> = args.iter().collect();
                ctx.effects.request(ctx.db as u32, &args);
            }
        }
    }
    Ran {
        dirty,
        failed,
        propagates: ctx.propagation == Propagation::Always,
        wait: ctx.wait,
    }
}
