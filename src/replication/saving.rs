//! The dataset's file, written when the process ends.
//!
//! *What the file holds is the dataset at the offset that it names, and the stream that left this
//! process ends there too.* A shutdown takes its barrier and keeps it: from the cut on nothing is
//! executed, nothing of the upstream's stream is read, nothing expires. Then whoever has followed
//! this process to its end can go on when it is back, and it can go on itself at its upstream.
//!
//! The snapshot is a full sync's without a replica: the same cut, the same fragments, and a file
//! that is given its name only when all of it is on the disk.

use std::path::{Path, PathBuf};

use super::Node;
use crate::persistence::rdb::ReplicationInfo;
use crate::shard::Shard;
use crate::shard::shell::Shell;

impl Shard {
    /// Where the dataset's file is.
    pub(super) fn dataset_file(&self) -> PathBuf {
        Path::new(&self.config.dir).join(&self.config.dbfilename)
    }

    /// Its name until it is whole.
    pub(super) fn unfinished_file(&self) -> PathBuf {
        let name = format!("temp-{}.rdb", self.shared.process.pid);
        Path::new(&self.config.dir).join(name)
    }
}

impl Node {
    /// The shutdown's barrier `tx` is held: every shard makes its cut.
    pub(super) fn save_dataset(&mut self, shell: &mut dyn Shell, tx: u64) {
        tracing::info!("saving the dataset before the end");
        self.restart_sync(shell, "the server ends");
        self.coordinator.sync.saving = true;
        // It may have come back since the shutdown began.
        self.pause_upstream(shell);
        self.ask_for_cut(tx, true);
    }

    /// The place in the stream that the dataset stands for, if it has a history.
    pub(super) fn saved_position(&self) -> Option<ReplicationInfo> {
        let merged = self.log.merge();
        if !merged.enabled {
            return None;
        }
        let position = self.position(&merged);
        Some(ReplicationInfo {
            // Of a stream that selects its database first any will do, but there must be one.
            selected_db: Some(position.selected_db.unwrap_or(0)),
            ..position
        })
    }

    /// The file is on the disk under its name: the process ends.
    pub(super) fn saved(&mut self, shell: &mut dyn Shell) {
        tracing::info!(path = %self.shard.dataset_file().display(), "the dataset is saved");
        self.end_process(shell);
    }

    /// It is not, and the process ends only if it was told to do so whatever happens.
    pub(super) fn not_saved(&mut self, shell: &mut dyn Shell, reason: &str) {
        let sync = &mut self.coordinator.sync;
        sync.saving = false;
        self.abort_sync(shell);
        if self.ends_by_force() {
            tracing::error!(%reason, "the dataset is not saved, and the server ends by force");
            self.end_process(shell);
            return;
        }
        tracing::error!(%reason, "the dataset cannot be saved: the server does not end");
        self.give_shutdown_up(shell);
    }
}
