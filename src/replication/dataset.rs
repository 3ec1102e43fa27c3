//! The upstream's dataset, from the head of the snapshot to the moment when it replaces ours.
//!
//! Two ways, as `repl-diskless-load` says:
//!
//! - *Beside* (`swapdb`, and whenever there is no data here to speak of): records go to the shards
//!   as they arrive, into a keyspace beside the one in use, which serves until the new one is whole
//!   and replaces it under a barrier. It costs memory for both.
//! - *Spooled* (`disabled`, and `on-empty-db` where there is data): the snapshot goes to a spool
//!   file and is read record by record, but kept nowhere. Only when it has proved sound to its
//!   last byte is the old data dropped and the file loaded; clients get `-LOADING` meanwhile.
//!
//! Either way a link that breaks, an RDB that is damaged or holds a type that is not there yet
//! leaves the old data in place.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Node;
use super::link::{Link, State};
use super::message::Message;
use super::role::Change;
use crate::config::ReplDisklessLoad;
use crate::keyspace::{Entry, Keyspace};
use crate::persistence::rdb::{self, ReplicationInfo};
use crate::shard::shared::{LoadView, LoadedKeys};
use crate::shard::shell::{Shell, Spool, Spooled};
use crate::value::codec::Collections;

/// Entries handed to a shard at once.
const LOAD_BATCH: usize = 1024;
/// Bytes read from the spool file at once.
const BLOCK_BYTES: u64 = 1 << 20;
/// Bytes on their way to the disk before the upstream has to wait.
const WRITING_MAX: u64 = 64 << 20;
/// The first number of these files: others of the process count from 1.
const FILES: u64 = 1 << 40;

/// How the snapshot ends.
pub(super) enum Ending {
    Length(u64),
    Mark([u8; 40]),
}

/// A snapshot that goes by way of a file.
struct SpoolFile {
    number: u64,
    /// Bytes given to the disk, and those that it has.
    sent: u64,
    written: u64,
    /// Bytes asked for, and got back.
    asked: u64,
    loaded: u64,
    /// The old data is to be dropped, or is.
    is_sound: bool,
    started_s: u64,
    paused: bool,
}

/// A dataset on its way.
#[derive(Default)]
pub(super) struct Dataset {
    /// The history that it belongs to, and the offset that it stands for.
    pub replid: String,
    pub offset: u64,
    pub ending: Option<Ending>,
    reader: Option<rdb::Reader>,
    /// Bytes of it received.
    pub bytes: u64,
    /// Database at which the stream after it stands.
    pub stream_db: usize,
    /// Database of the records that come.
    db: usize,
    batches: Vec<Vec<(usize, Entry)>>,
    spool: Option<SpoolFile>,
    /// The old data is gone.
    pub emptied: bool,
    told: Told,
    taken: Taken,
}

/// What the head of a snapshot tells: the place in a history, and its writer's memory.
#[derive(Default)]
struct Told {
    id: Option<String>,
    offset: Option<u64>,
    db: Option<usize>,
    used_memory: u64,
}

/// Which keys are taken over, and how many.
#[derive(Default)]
struct Taken {
    keys: LoadedKeys,
    /// Keys that have expired are left out, if nobody can go on from the snapshot: nobody has to
    /// be told.
    drops_expired: bool,
}

impl Taken {
    /// Counts a key; whether it is to be taken.
    fn takes(&mut self, expired: bool, told: &Told) -> bool {
        if expired && self.drops_expired {
            self.keys.expired += 1;
            return told.place().is_some();
        }
        self.keys.loaded += 1;
        true
    }
}

impl Told {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = crate::value::number::parse_i64(value);
        match name {
            b"repl-id" => self.id = String::from_utf8(value.to_vec()).ok(),
            b"repl-offset" => self.offset = number.and_then(|offset| u64::try_from(offset).ok()),
            b"used-mem" => self.used_memory = number.map_or(0, |bytes| bytes.unsigned_abs()),
            b"repl-stream-db" => self.db = number.and_then(|db| usize::try_from(db).ok()),
            _ => {}
        }
    }

    /// The place, if all of it was told.
    fn place(&self) -> Option<ReplicationInfo> {
        let id = self.id.clone().filter(|id| id.len() == 40)?;
        let (offset, selected_db) = (self.offset?, Some(self.db?));
        Some(ReplicationInfo {
            selected_db,
            id,
            offset,
        })
    }
}

impl Dataset {
    /// It will not come to its end.
    pub fn give_up(&mut self, shell: &mut dyn Shell) {
        self.reader = None;
        self.batches = Vec::new();
        self.drop_file(shell);
    }

    /// The dataset's file at the start.
    pub fn of_file(collections: Collections, shards: usize, drops_expired: bool) -> Self {
        Dataset {
            reader: Some(rdb::Reader::new(collections)),
            batches: (0..shards).map(|_| Vec::new()).collect(),
            taken: Taken {
                drops_expired,
                ..Taken::default()
            },
            ..Dataset::default()
        }
    }

    /// The place in a history that its head has told.
    pub fn place(&self) -> Option<ReplicationInfo> {
        self.told.place()
    }

    /// Bytes of memory that its writer had in use, as its head has told.
    pub fn used_memory(&self) -> u64 {
        self.told.used_memory
    }

    fn drop_file(&mut self, shell: &mut dyn Shell) {
        if let Some(file) = self.spool.take() {
            shell.spool(file.number, Spool::Remove);
        }
    }

    /// Progress of the load from the file.
    fn load_view(&self) -> Option<LoadView> {
        let file = self.spool.as_ref().filter(|file| file.is_sound)?;
        Some(LoadView {
            started_s: file.started_s,
            total_bytes: file.sent,
            loaded_bytes: file.loaded,
            used_memory: self.told.used_memory,
        })
    }
}

/// What reading on has brought.
#[derive(PartialEq, Eq)]
pub(super) enum Reading {
    Partial,
    Whole,
}

impl Node {
    /// `$<len>` or `$EOF:<mark>`: the snapshot begins.
    pub(super) fn snapshot_header(&mut self, shell: &mut dyn Shell) {
        let collections = self.collections();
        let shards = self.shard.shared.shards;
        let spooled = self.wants_spool();
        let Some(link) = &mut self.link else { return };
        let Some(line) = link.line() else { return };
        if let Some(text) = line.strip_prefix(b"-") {
            let text = String::from_utf8_lossy(text).into_owned();
            self.link_failed(shell, &format!("the upstream refuses to sync: {text}"));
            return;
        }
        let ending = line
            .strip_prefix(b"$")
            .and_then(|rest| match rest.strip_prefix(b"EOF:") {
                Some(mark) => Some(Ending::Mark(mark.try_into().ok()?)),
                None => Some(Ending::Length(
                    std::str::from_utf8(rest).ok()?.parse().ok()?,
                )),
            });
        let Some(ending) = ending else {
            self.link_failed(shell, "the upstream's snapshot has no proper beginning");
            return;
        };
        self.files += 1;
        let number = FILES + self.files;
        if spooled {
            shell.spool(number, Spool::Create);
        }
        let dataset = &mut link.dataset;
        *dataset = Dataset {
            replid: std::mem::take(&mut dataset.replid),
            offset: dataset.offset,
            ending: Some(ending),
            reader: Some(rdb::Reader::new(collections)),
            batches: (0..shards).map(|_| Vec::new()).collect(),
            spool: spooled.then_some(SpoolFile {
                number,
                sent: 0,
                written: 0,
                asked: 0,
                loaded: 0,
                is_sound: false,
                started_s: 0,
                paused: false,
            }),
            ..Dataset::default()
        };
        link.state = State::Snapshot;
        tracing::info!(spooled, "the upstream's dataset begins");
        self.show_direct_load(spooled);
        self.read_snapshot(shell);
    }

    /// Whether there is data here that must not share memory with the new.
    fn wants_spool(&self) -> bool {
        let keys = self.shard.shared.sum_of_memory(|usage| &usage.keys);
        match self.shard.config.repl_diskless_load {
            ReplDisklessLoad::SwapDb => false,
            ReplDisklessLoad::Disabled | ReplDisklessLoad::OnEmptyDb => keys > 0,
        }
    }

    /// Clients see what they see of Redis while records are loaded as they arrive.
    fn show_direct_load(&self, spooled: bool) {
        let shared = &self.shard.shared;
        match self.shard.config.repl_diskless_load {
            ReplDisklessLoad::SwapDb => shared.async_loading.store(true, Ordering::Relaxed),
            ReplDisklessLoad::OnEmptyDb if !spooled => {
                shared.loading.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Nothing is being loaded any more.
    pub(super) fn end_loading(&mut self) {
        let shared = &self.shard.shared;
        shared.loading.store(false, Ordering::Relaxed);
        shared.async_loading.store(false, Ordering::Relaxed);
        self.log.lock().loading = None;
    }

    pub(super) fn collections(&self) -> Collections {
        let settings = &self.shard.data.settings;
        Collections {
            hash_limits: settings.hash_limits,
            list_limits: settings.list_limits,
            set_limits: settings.set_limits,
            sorted_set_limits: settings.sorted_set_limits,
            seed: settings.seed,
        }
    }

    /// Takes what came of the snapshot.
    pub(super) fn read_snapshot(&mut self, shell: &mut dyn Shell) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let data = std::mem::take(&mut link.received);
        link.dataset.bytes += data.len() as u64;
        let mut outcome = self.read_records(&mut link.dataset, &data);
        if outcome == Ok(Reading::Whole) {
            outcome = take_rest(&mut link);
        }
        let spooled = link.dataset.spool.is_some();
        if let Some(file) = link.dataset.spool.as_mut().filter(|_| !data.is_empty()) {
            file.sent += data.len() as u64;
            let behind = file.sent - file.written > WRITING_MAX;
            shell.spool(file.number, Spool::Append(vec![Bytes::from(data)]));
            if let Some(conn) = link.conn.filter(|_| behind && !file.paused) {
                file.paused = true;
                shell.pause(conn);
            }
        }
        self.link = Some(link);
        match outcome {
            Ok(Reading::Partial) => {}
            Ok(Reading::Whole) if spooled => self.spooled_whole(shell),
            Ok(Reading::Whole) => self.snapshot_complete(),
            Err(reason) => self.link_failed(shell, &reason),
        }
        self.update_upstream_view();
    }

    /// Hands records to their shards, or drops them while they are only looked at.
    pub(super) fn read_records(
        &mut self,
        dataset: &mut Dataset,
        data: &[u8],
    ) -> Result<Reading, String> {
        let now_ms = self.shard.now.unix_ms;
        let only_looks = dataset.spool.as_ref().is_some_and(|file| !file.is_sound);
        let reader = dataset.reader.as_mut().expect("a snapshot has a reader");
        let databases = self.shard.keyspace.databases();
        reader.push(data);
        while let Some(event) = reader
            .next()
            .map_err(|error| format!("the snapshot: {error}"))?
        {
            let record = match event {
                rdb::Event::Entry(record) => record,
                rdb::Event::Aux { name, value } => {
                    dataset.told.note(&name, &value);
                    // A relay's stream goes on in the middle, without a SELECT.
                    let db = dataset.told.db.filter(|db| *db < databases);
                    dataset.stream_db = db.unwrap_or(0);
                    continue;
                }
                rdb::Event::SelectDb(db) => {
                    dataset.db = db;
                    continue;
                }
                rdb::Event::ResizeDb { keys, .. } if dataset.db < databases && !only_looks => {
                    let shards = self.shard.shared.shards;
                    let (db, keys) = (dataset.db, usize::try_from(keys).unwrap_or(usize::MAX));
                    let keys = keys / shards;
                    (0..shards).for_each(|shard| self.to(shard, Message::Expect { db, keys }));
                    continue;
                }
                _ => continue,
            };
            if record.db >= databases {
                return Err(format!("the snapshot has a key in database {}", record.db));
            }
            let expired = record.expire_at_ms.is_some_and(|at_ms| at_ms < now_ms);
            if only_looks || !dataset.taken.takes(expired, &dataset.told) {
                continue;
            }
            let owner = self.shard.shared.owner(&record.key);
            let clock = self.shard.keyspace.clock();
            let access = clock.restored(record.idle_s, record.freq);
            let mut entry = Entry::new(&record.key, record.value, record.expire_at_ms);
            if let Some(access) = access {
                entry.set_access(access);
            }
            dataset.batches[owner].push((record.db, entry));
            if dataset.batches[owner].len() >= LOAD_BATCH {
                let entries = std::mem::take(&mut dataset.batches[owner]);
                self.to(owner, Message::Load { entries });
            }
        }
        if !reader.is_done() {
            return Ok(Reading::Partial);
        }
        for owner in 0..dataset.batches.len() {
            let entries = std::mem::take(&mut dataset.batches[owner]);
            if !entries.is_empty() {
                self.to(owner, Message::Load { entries });
            }
        }
        if !only_looks {
            self.log.lock().last_load = dataset.taken.keys;
        }
        Ok(Reading::Whole)
    }

    /// The snapshot has proved sound: once it is on disk, the old data goes.
    fn spooled_whole(&mut self, shell: &mut dyn Shell) {
        let Some(link) = &mut self.link else { return };
        link.state = State::Loading;
        if let Some(conn) = link.conn {
            // The stream waits at the upstream.
            shell.pause(conn);
        }
        self.drop_old_data();
    }

    fn drop_old_data(&mut self) {
        let Some(link) = &mut self.link else { return };
        let dataset = &mut link.dataset;
        let Some(file) = dataset.spool.as_mut() else {
            return;
        };
        if link.state != State::Loading || file.is_sound || file.written < file.sent {
            return;
        }
        file.is_sound = true;
        file.started_s = self.shard.now.unix_ms / 1000;
        tracing::info!(
            bytes = file.sent,
            "the snapshot is sound: it takes the old data's place"
        );
        self.change_role(Change::Empty, Vec::new());
    }

    /// The old data is gone: the file is loaded.
    pub(super) fn load_file(&mut self, shell: &mut dyn Shell) {
        let collections = self.collections();
        let Some(link) = &mut self.link else { return };
        link.dataset.emptied = true;
        link.dataset.reader = Some(rdb::Reader::new(collections));
        let shards = self.shard.shared.shards;
        link.dataset.batches = (0..shards).map(|_| Vec::new()).collect();
        self.ask_block(shell);
    }

    fn ask_block(&mut self, shell: &mut dyn Shell) {
        let Some(link) = &mut self.link else { return };
        let view = link.dataset.load_view();
        if let Some(file) = &mut link.dataset.spool {
            let (offset, left) = (file.asked, file.sent - file.asked);
            let len = left.min(BLOCK_BYTES);
            file.asked += len;
            let len = len as usize;
            shell.spool(file.number, Spool::Read { offset, len });
        }
        self.log.lock().loading = view;
    }

    /// What became of a wish about the snapshot's file. Whether the file is known here.
    pub(super) fn dataset_spooled(
        &mut self,
        shell: &mut dyn Shell,
        number: u64,
        outcome: &Spooled,
    ) -> bool {
        if number < FILES {
            return false;
        }
        let Some(link) = &mut self.link else {
            return true;
        };
        let Some(file) = (link.dataset.spool.as_mut()).filter(|file| file.number == number) else {
            return true;
        };
        match outcome {
            // Appends are told one by one, in order; all are waited for, so the last tells enough.
            Spooled::Appended(bytes) => {
                file.written += bytes;
                let caught_up = file.sent - file.written <= WRITING_MAX / 2;
                if caught_up
                    && std::mem::take(&mut file.paused)
                    && let Some(conn) = link.conn.filter(|_| link.state == State::Snapshot)
                {
                    shell.resume(conn);
                }
                self.drop_old_data();
            }
            Spooled::Read(block) => {
                file.loaded += block.len() as u64;
                self.load_block(shell, block);
            }
            Spooled::Opened(_) | Spooled::Kept => unreachable!("it has no name"),
            Spooled::Failed(reason) => {
                let hint = "free space there, or set repl-diskless-load to swapdb";
                let reason = format!("{reason}; {hint}");
                self.dataset_lost(shell, &reason);
            }
        }
        true
    }

    fn load_block(&mut self, shell: &mut dyn Shell, block: &[u8]) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let outcome = self.read_records(&mut link.dataset, block);
        let file = link.dataset.spool.as_ref();
        let at_end = file.is_none_or(|file| file.asked >= file.sent);
        if outcome == Ok(Reading::Whole) {
            link.dataset.drop_file(shell);
        }
        self.link = Some(link);
        match outcome {
            Ok(Reading::Whole) => self.snapshot_complete(),
            Ok(Reading::Partial) if at_end => self.dataset_lost(shell, "the spool file is short"),
            Ok(Reading::Partial) => self.ask_block(shell),
            Err(reason) => self.dataset_lost(shell, &reason),
        }
    }

    /// The snapshot cannot be had, or not any more. If the old data is gone already, there is no
    /// history to go on from.
    fn dataset_lost(&mut self, shell: &mut dyn Shell, reason: &str) {
        let Some(link) = &mut self.link else { return };
        let emptied = std::mem::take(&mut link.dataset.emptied);
        link.dataset.give_up(shell);
        link.state = State::Snapshot;
        if emptied {
            tracing::error!(%reason, "the dataset is lost: it is fetched anew");
            link.cached = None;
            self.end_history();
        }
        self.link_failed(shell, reason);
    }

    /// The data is gone, and nobody can go on from what we had.
    pub(super) fn end_history(&mut self) {
        let id = self.fresh_id();
        self.log.reset(|merged| {
            merged.restart(id, 0);
            merged.enabled = false;
        });
        self.last_applied = 0;
    }

    fn snapshot_complete(&mut self) {
        let Some(link) = &mut self.link else { return };
        link.state = State::Adopting;
        let change = Change::Adopt {
            replid: link.dataset.replid.clone(),
            offset: link.dataset.offset,
        };
        tracing::info!(bytes = link.dataset.bytes, "the upstream's dataset is here");
        self.change_role(change, Vec::new());
    }

    /// Entries of the snapshot, at their owner.
    pub(super) fn load(&mut self, entries: Vec<(usize, Entry)>) {
        self.staging().insert_all(entries);
    }

    /// So many keys of a database are to come to this shard.
    pub(super) fn expect_keys(&mut self, db: usize, keys: usize) {
        self.staging().db_mut(db).expect(keys);
    }

    /// The keyspace beside the one in use, made when it is first needed.
    fn staging(&mut self) -> &mut Keyspace {
        let shard = &self.shard;
        self.staging.get_or_insert_with(|| shard.empty_keyspace())
    }
}

/// The snapshot's records are all there: what comes behind them is its end mark, and the stream.
fn take_rest(link: &mut Link) -> Result<Reading, String> {
    let dataset = &mut link.dataset;
    let rest = dataset.reader.as_ref().map_or(&[][..], rdb::Reader::rest);
    let after = match dataset
        .ending
        .as_ref()
        .expect("its header said how it ends")
    {
        Ending::Length(length) => {
            let read = dataset.bytes - rest.len() as u64;
            if read != *length {
                return Err(format!(
                    "the snapshot has {read} bytes, {length} were announced"
                ));
            }
            rest.to_vec()
        }
        Ending::Mark(mark) => match rest.split_first_chunk::<40>() {
            None => return Ok(Reading::Partial),
            Some((found, after)) if found == mark => after.to_vec(),
            Some(_) => return Err("the snapshot's end mark is not the announced one".into()),
        },
    };
    dataset.reader = None;
    link.received = after;
    Ok(Reading::Whole)
}
