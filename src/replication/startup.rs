//! The dataset's file, loaded when the process starts.
//!
//! Records go to the shards as they are read, into keyspaces beside the empty ones, which they
//! replace when all are there: clients get `-LOADING` until then. A file that is damaged ends the
//! start and stays as it is.
//!
//! A file that names its place in a history gives the process that place:
//!
//! - a replica asks its upstream to go on from there, and its own replicas, if they stand there
//!   too, go on from it;
//! - a primary goes on under an id of its own, and remembers the other for those that stand there.
//!
//! The backlog begins empty at that place.

use super::Node;
use super::dataset::{Dataset, Reading};
use super::role::Change;
use crate::config::Upstream;
use crate::persistence::rdb::ReplicationInfo;
use crate::shard::shared::{LoadView, UpstreamView};
use crate::shard::shell::{Shell, Spool, Spooled};

use std::sync::atomic::Ordering;

/// The number of this file: others of the process are below.
const FILE: u64 = 1 << 42;
/// Bytes read at once.
const BLOCK_BYTES: u64 = 1 << 20;

/// A load under way.
#[derive(Default)]
pub(super) struct Startup {
    begun: bool,
    dataset: Dataset,
    view: LoadView,
    /// Bytes asked for.
    asked: u64,
}

impl Node {
    /// At the coordinator, before anything else: there is a file.
    pub(super) fn prepare_load(&mut self) {
        self.shard.shared.loading.store(true, Ordering::Relaxed);
        self.startup = Some(Startup::default());
        // Whoever asks is told the role that is to come, not that of a primary.
        let upstream = self.shard.config.replicaof.clone();
        self.log.lock().upstream = upstream.map(|Upstream { host, port }| UpstreamView {
            host,
            port,
            state: "connect",
            last_io_s: -1,
            down_since_s: -1,
            ..UpstreamView::default()
        });
    }

    /// Begins the load in the first tick.
    pub(super) fn drive_startup(&mut self, shell: &mut dyn Shell) {
        if self.startup.as_ref().is_none_or(|startup| startup.begun) {
            return;
        }
        let collections = self.collections();
        // What a replica has, its upstream deletes.
        let is_primary = self.shard.config.replicaof.is_none();
        let dataset = Dataset::of_file(collections, self.shard.shared.shards, is_primary);
        self.startup = Some(Startup {
            begun: true,
            dataset,
            view: LoadView {
                started_s: self.shard.now.unix_ms / 1000,
                ..LoadView::default()
            },
            asked: 0,
        });
        shell.spool(FILE, Spool::Open(self.shard.dataset_file()));
    }

    /// What became of a wish about the dataset's file. Whether it is that.
    pub(super) fn startup_spooled(
        &mut self,
        shell: &mut dyn Shell,
        number: u64,
        outcome: &Spooled,
    ) -> bool {
        if number != FILE {
            return false;
        }
        let Some(startup) = &mut self.startup else {
            return true;
        };
        match outcome {
            Spooled::Opened(bytes) => {
                startup.view.total_bytes = *bytes;
                self.read_on(shell);
            }
            Spooled::Read(block) => {
                startup.view.loaded_bytes += block.len() as u64;
                self.load_startup_block(shell, block);
            }
            Spooled::Failed(reason) => self.cannot_start(shell, reason),
            Spooled::Appended(_) | Spooled::Kept => unreachable!("it is only read"),
        }
        true
    }

    fn read_on(&mut self, shell: &mut dyn Shell) {
        let Some(startup) = &mut self.startup else {
            return;
        };
        self.log.lock().loading = Some(startup.view);
        let (offset, total) = (startup.asked, startup.view.total_bytes);
        let len = BLOCK_BYTES.min(total - offset);
        if len == 0 {
            return self.cannot_start(shell, &format!("the RDB ends early, after {total} bytes"));
        }
        startup.asked += len;
        let len = len as usize;
        shell.spool(FILE, Spool::Read { offset, len });
    }

    fn load_startup_block(&mut self, shell: &mut dyn Shell, block: &[u8]) {
        let Some(mut startup) = self.startup.take() else {
            return;
        };
        match self.read_records(&mut startup.dataset, block) {
            Ok(Reading::Partial) => {
                startup.view.used_memory = startup.dataset.used_memory();
                self.startup = Some(startup);
                self.read_on(shell);
            }
            Ok(Reading::Whole) => {
                shell.spool(FILE, Spool::Remove);
                let place = startup.dataset.place();
                self.change_role(Change::Loaded(place), Vec::new());
            }
            Err(reason) => self.cannot_start(shell, &reason),
        }
    }

    /// The file is as it was; somebody has to look at it.
    fn cannot_start(&mut self, shell: &mut dyn Shell, reason: &str) {
        self.startup = None;
        let path = self.shard.dataset_file();
        let text = format!("cannot load {}: {reason}", path.display());
        // Nothing else fails before the data is there.
        let _ = self.shard.shared.failure.set(text);
        self.shard.shared.shutdown.store(true, Ordering::Release);
        self.wake_others(shell);
    }

    /// Every shard has its part, under a barrier.
    pub(super) fn loaded(&mut self, place: Option<ReplicationInfo>) {
        tracing::info!(?place, "the dataset is loaded from its file");
        let upstream = self.shard.config.replicaof.clone();
        let (id, is_primary) = (self.fresh_id(), upstream.is_none());
        if let Some(place) = place {
            self.last_applied = place.offset;
            self.last_link_db = place.selected_db.filter(|_| !is_primary);
            self.log.reset(|merged| {
                merged.restart(place.id, place.offset);
                merged.enabled = true;
                if is_primary {
                    merged.shift(id);
                }
            });
        }
        if let Some(Upstream { host, port }) = upstream {
            self.follow(host, port);
        }
        self.end_loading();
    }
}
