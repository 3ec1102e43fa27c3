//! Entries for the commands of a transaction that holds whole shards: fetched for each command, and
//! once more where those that have come lead to further keys.

use crate::keyspace::Entry;

use super::super::locks::{Mode, TxId};
use super::super::message::{Item, KeyRef};
use super::super::share::{KeyPlaces, for_each_key, share_of};
use super::super::shell::Shell;
use super::{Shard, Tx};

impl Shard {
    /// Asks for the entries of the next command; false if it names no key.
    pub(super) fn fetch_for(&mut self, id: TxId, tx: &mut Tx) -> bool {
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
                    keys: share.keys.clone(),
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
        let mut places = KeyPlaces::new(Some(self.txs.hasher().clone()));
        let known: Vec<usize> = tx.shares.iter().map(|share| share.keys.len()).collect();
        tx.shares.iter().for_each(|share| places.note(share));
        for key in keys {
            // All shards are locked, so all have a share.
            let share = share_of(&mut tx.shares, self.shared.owner(&key));
            places.add(share, db, &key, Mode::Exclusive);
        }
        for (share, known) in tx.shares.iter().zip(known) {
            if share.keys.len() > known {
                tx.missing += 1;
                let keys = share.keys[known..].to_vec();
                self.post(share.shard, Item::Fetch { tx: id, keys });
            }
        }
        tx.missing > 0
    }

    pub(in crate::shard) fn receive_fetched(
        &mut self,
        from: usize,
        id: TxId,
        entries: Vec<Option<Entry>>,
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
        tx.missing -= 1;
        if tx.missing > 0 || self.fetch_further(id, &mut tx) {
            self.txs.insert(id, tx);
            return;
        }
        self.run_whole_data(shell, id, &mut tx);
        self.step_whole(shell, id, tx);
    }
}
