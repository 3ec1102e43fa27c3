//! Transactions that run command by command: they lock whole shards and fetch what each command
//! needs, or ask the shards something in between.

use super::*;
use crate::shard::message::{KeyRef, Keys};
use crate::shard::tracking::Reads;

impl Shard {
    /// One command at a time. Where it has keys, whole shards are locked: it fetches what it needs.
    pub(super) fn step_whole(&mut self, shell: &mut dyn Shell, id: TxId, mut tx: Box<Tx>) {
        while tx.next < tx.requests.len() {
            let request = &tx.requests[tx.next];
            match request.command.run {
                Runs::Everywhere { check, .. } => {
                    if let Err(error) = check(&self.data.settings, request.args()) {
                        tx.reply.error(&error.to_string());
                        tx.ends.push(tx.reply.len());
                        tx.next += 1;
                        continue;
                    }
                    let request = request.clone();
                    tx.asked_ns = self.clock_ns();
                    tx.parts.clear();
                    tx.missing = self.shared.shards;
                    for shard in 0..self.shared.shards {
                        let request = Box::new(request.clone());
                        self.post(shard, Item::Part { tx: id, request });
                    }
                    self.txs.insert(id, tx);
                    return;
                }
                Runs::Data(_) if request.command.walks() => {
                    let shard = table::cursor_shard(request.args(), self.shared.shards);
                    let request = Box::new(request.clone());
                    tx.asked_ns = self.clock_ns();
                    tx.parts.clear();
                    tx.missing = 1;
                    self.post(shard, Item::Part { tx: id, request });
                    self.txs.insert(id, tx);
                    return;
                }
                Runs::Data(_) => {
                    if self.fetch_for(id, &mut tx) {
                        self.txs.insert(id, tx);
                        return;
                    }
                    self.run_whole_data(shell, id, &mut tx);
                }
                _ => {
                    let next = tx.next;
                    if self.run_session_request(shell, id, &mut tx, next) {
                        self.txs.insert(id, tx);
                        return;
                    }
                    tx.next += 1;
                }
            }
        }
        tx.effects.end_unit();
        if let Some(sealed) = tx.effects.seal() {
            self.effects.absorb(&sealed);
        }
        self.finish(shell, id, tx);
    }

    /// Asks for the entries of the next command; false if it names no key.
    fn fetch_for(&mut self, id: TxId, tx: &mut Tx) -> bool {
        tx.shares.iter_mut().for_each(|share| share.keys.clear());
        tx.followed = false;
        let request = &tx.requests[tx.next];
        let mut places = self.key_places(std::slice::from_ref(request));
        for_each_key(request, self.data.settings.databases, |db, key| {
            let share = share_of(&mut tx.shares, self.shared.owner(key));
            places.add(share, db, key, Mode::Exclusive);
        });
        tx.missing = 0;
        for share in tx.shares.iter().filter(|share| !share.keys.is_empty()) {
            tx.missing += 1;
            self.post(
                share.shard,
                Item::Fetch {
                    tx: id,
                    keys: Box::new(share.keys.clone()),
                },
            );
        }
        tx.missing > 0
    }

    /// Asks for the entries of keys to which those that have come lead; false if there are none.
    /// That is asked once per command: what comes then leads no further.
    fn fetch_further(&mut self, id: TxId, tx: &mut Tx) -> bool {
        let request = &tx.requests[tx.next];
        let (db, args) = (request.db, request.args());
        let Some(further) = request.command.further else {
            return false;
        };
        if std::mem::replace(&mut tx.followed, true) || !request.command.follows(args) {
            return false;
        }
        let first = tx.shares.iter().find_map(|share| {
            let is_first = |key: &KeyRef| key.db == db && *key.key == args[1];
            let at = share.keys.iter().position(is_first)?;
            share.entries.get(at)?.as_ref()
        });
        let keys = first.map_or_else(Vec::new, |entry| (further.keys)(entry, args));
        let known: Vec<usize> = tx.shares.iter().map(|share| share.keys.len()).collect();
        let mut places = KeyPlaces::new(Some(self.txs.hasher().clone()), self.data.settings.seed);
        tx.shares.iter().for_each(|share| places.note(share));
        for key in keys {
            // All shards are locked, so all have a share.
            let share = share_of(&mut tx.shares, self.shared.owner(&key));
            places.add(share, db, &key, Mode::Exclusive);
        }
        for (share, known) in tx.shares.iter().zip(known) {
            if share.keys.len() > known {
                tx.missing += 1;
                let keys = Box::new(Keys::from(&share.keys[known..]));
                self.post(share.shard, Item::Fetch { tx: id, keys });
            }
        }
        tx.missing > 0
    }

    pub(in crate::shard) fn receive_fetched(
        &mut self,
        (from, id): (usize, TxId),
        entries: Entries,
        readers: Reads,
        shell: &mut dyn Shell,
    ) {
        let mut tx = self
            .txs
            .remove(&id)
            .expect("a home keeps a transaction until it ends");
        let share = tx
            .shares
            .iter_mut()
            .find(|s| s.shard == from)
            .expect("it was asked");
        share.entries.extend(entries);
        tx.tracked.borrow(readers);
        tx.missing -= 1;
        if tx.missing > 0 || self.fetch_further(id, &mut tx) {
            self.txs.insert(id, tx);
            return;
        }
        self.run_whole_data(shell, id, &mut tx);
        self.step_whole(shell, id, tx);
    }

    fn run_whole_data(&mut self, shell: &mut dyn Shell, id: TxId, tx: &mut Tx) {
        self.data.watched.start_recording();
        tx.tracked.start();
        self.borrow_entries(tx);
        std::mem::swap(&mut self.effects, &mut tx.effects);
        self.run_request(shell, id, tx, tx.next);
        std::mem::swap(&mut self.effects, &mut tx.effects);
        self.return_entries(tx);
        tx.events.append(&mut self.data.notifications);
        let touched = self.data.watched.stop_recording();
        for share in tx.shares.iter_mut().filter(|share| !share.keys.is_empty()) {
            let mut release = Release::default();
            for (key, entry) in share.keys.iter().zip(share.entries.drain(..)) {
                release.entries.extend(entry.map(|entry| key.lent(entry)));
            }
            let mine = touched
                .iter()
                .filter(|(_, key)| self.shared.owner(key) == share.shard);
            release.touched.extend(mine.cloned());
            let shared = &self.shared;
            release.readers = (tx.tracked).give_back(|key| shared.owner(key) == share.shard);
            share.keys.clear();
            let item = Item::Return {
                tx: id,
                release: Box::new(release),
            };
            self.post(share.shard, item);
        }
        tx.next += 1;
    }

    pub(in crate::shard) fn receive_part(&mut self, id: TxId, part: Part, shell: &mut dyn Shell) {
        let tx = self
            .txs
            .get_mut(&id)
            .expect("a home keeps a transaction until it ends");
        tx.parts.push(part);
        tx.missing -= 1;
        if tx.missing > 0 {
            return;
        }
        let mut tx = self.txs.remove(&id).expect("it was just here");
        let parts = std::mem::take(&mut tx.parts);
        let request = &tx.requests[tx.next];
        let wrote = self.merge_parts(request, parts, &mut tx.reply, &mut tx.effects);
        self.stop_timing(
            Timed::Since(tx.asked_ns),
            request.command,
            request.args(),
            0,
        );
        self.claim_slow_of(self.id, tx.client);
        if wrote && request.command.replaces_databases() {
            tx.tracked.replace_databases();
        }
        if wrote && let Some(conn) = tx.client {
            self.note_local_write(conn);
        }
        tx.ends.push(tx.reply.len());
        tx.next += 1;
        self.step_whole(shell, id, tx);
    }

    /// Makes the reply of a command that ran everywhere, and its effect, in the unit that the
    /// caller has opened. Whether it wrote.
    pub(in crate::shard) fn merge_parts(
        &mut self,
        request: &OwnedRequest,
        parts: Vec<Part>,
        reply: &mut Reply,
        effects: &mut Effects,
    ) -> bool {
        let mark = reply.len();
        if let [Part::Replied(bytes)] = parts.as_slice() {
            reply.raw(bytes);
            let done = crate::command::Ran {
                failed: bytes.starts_with(b"-"),
                ..crate::command::Ran::default()
            };
            self.count(request.command, &done, &reply.bytes()[mark..]);
            return false;
        }
        let Runs::Everywhere { merge, .. } = request.command.run else {
            unreachable!("only such commands have parts")
        };
        let outcome: Outcome = merge(parts, request.args(), reply);
        let failed = outcome.is_err();
        if let Err(error) = outcome {
            reply.truncate(mark);
            reply.error(&error.to_string());
        }
        let wrote = request.command.writes() && !failed;
        if wrote {
            let args: Vec<&[u8]> = request.args().iter().collect();
            effects.request(request.db as u32, &args);
        }
        let done = crate::command::Ran {
            dirty: u64::from(wrote),
            failed,
            ..crate::command::Ran::default()
        };
        self.count(request.command, &done, &reply.bytes()[mark..]);
        wrote
    }
}
