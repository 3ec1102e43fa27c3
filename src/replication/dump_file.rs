//! The primary's snapshot by way of a file (`repl-diskless-sync no`, or a replica that does not
//! know the `$EOF:` form): written whole, then sent with its length in front.
//!
//! The file has no name: it is of no use to anybody but the replicas that wait for it. The shards'
//! cursors wait while the disk is behind, never a writer.
//!
//! The file that a shutdown saves is written the same way, but it gets a name and stays.

use super::Node;
use super::full_sync::{MEMBER_OWES_MAX, Phase};
use crate::shard::shell::{Shell, Spool, Spooled};
use bytes::Bytes;

/// The first number of these files: others of the process are below.
const FILES: u64 = 1 << 41;
/// Bytes read and sent at once.
const BLOCK_BYTES: u64 = 256 << 10;
/// Bytes on their way to the disk before no more is made.
const WRITING_MAX: u64 = 16 << 20;

/// A snapshot's file.
pub(super) struct DumpFile {
    pub number: u64,
    /// Bytes given to the disk.
    pub sent: u64,
    written: u64,
    /// Bytes asked for, to go out.
    asked: u64,
    reading: bool,
    announced: bool,
    /// It is the dataset's, for the next start.
    pub stays: bool,
}

impl DumpFile {
    /// For the snapshot with this number.
    pub fn new(epoch: u64) -> Self {
        DumpFile {
            number: FILES + epoch,
            sent: 0,
            written: 0,
            asked: 0,
            reading: false,
            announced: false,
            stays: false,
        }
    }

    /// The same, and it will have a name.
    pub fn to_keep(epoch: u64) -> Self {
        DumpFile {
            stays: true,
            ..DumpFile::new(epoch)
        }
    }

    /// Whether the disk is far behind.
    pub fn is_behind(&self) -> bool {
        self.sent - self.written > WRITING_MAX
    }
}

impl Node {
    /// Sends on from the file, once it is whole and as far as the members take it.
    pub(super) fn send_on(&mut self, shell: &mut dyn Shell) {
        let sync = &mut self.coordinator.sync;
        let (Phase::Sending, Some(file)) = (&sync.phase, &mut sync.file) else {
            return;
        };
        if file.written < file.sent || file.reading {
            return;
        }
        let first = !std::mem::replace(&mut file.announced, true);
        if file.stays {
            if first {
                shell.spool(file.number, Spool::Keep(self.shard.dataset_file()));
            }
            return;
        }
        if first {
            let line = Bytes::from(format!("${}\r\n", file.sent));
            self.note_sending();
            self.send_to_members(&line);
        }
        let sync = &mut self.coordinator.sync;
        let owes = sync.members.iter().map(|member| member.owes).max();
        let Some(file) = (sync.file.as_mut()).filter(|_| owes < Some(MEMBER_OWES_MAX)) else {
            return;
        };
        let (offset, len) = (file.asked, BLOCK_BYTES.min(file.sent - file.asked));
        if len == 0 {
            self.finish_sync(shell);
            return;
        }
        file.asked += len;
        file.reading = true;
        let len = len as usize;
        shell.spool(file.number, Spool::Read { offset, len });
    }

    /// What became of a wish about a snapshot's file. Whether it is one.
    pub(super) fn dump_spooled(
        &mut self,
        shell: &mut dyn Shell,
        number: u64,
        outcome: &Spooled,
    ) -> bool {
        if number < FILES {
            return false;
        }
        let sync = &mut self.coordinator.sync;
        let Some(file) = sync.file.as_mut().filter(|file| file.number == number) else {
            // It was given up meanwhile.
            return true;
        };
        match outcome {
            Spooled::Appended(bytes) => {
                file.written += bytes;
                self.give_credits();
            }
            Spooled::Read(block) => {
                file.reading = false;
                self.send_to_members(block);
            }
            Spooled::Kept => {
                self.saved(shell);
                return true;
            }
            Spooled::Opened(_) => unreachable!("a snapshot's file is made, not opened"),
            Spooled::Failed(reason) if file.stays => {
                self.not_saved(shell, reason);
                return true;
            }
            Spooled::Failed(reason) => {
                tracing::error!(
                    %reason,
                    "a full sync is given up: free space there, or set repl-diskless-sync to yes"
                );
                self.log.lock().dump_failed = true;
                self.restart_sync(shell, "their snapshot cannot be written");
                return true;
            }
        }
        self.send_on(shell);
        true
    }
}
