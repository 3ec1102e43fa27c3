//! Spool files: what is too much for memory, in nameless files of the working directory; and the
//! dataset's file, which has a name.
//!
//! One thread carries out what the shards wish, one after the other, so a read sees what was
//! appended before it. A file loses its name as soon as it is made: whatever ends the process, the
//! space is given back.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::Builder;

use bytes::Bytes;

use crate::shard::shell::{Spool, Spooled};

/// A shard's wish about one of its files.
struct Wish {
    shard: usize,
    file: u64,
    wish: Spool,
}

/// Takes outcomes: shard, file, what became of it.
pub type Report = Box<dyn Fn(usize, u64, Spooled) + Send>;

/// The way to the thread that has the files.
#[derive(Clone)]
pub struct Spooler(mpsc::Sender<Wish>);

impl Spooler {
    /// Starts the thread. Files are made in `dir`, usually ".".
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub fn start(dir: &Path, report: Report) -> io::Result<Self> {
        let (sender, wishes) = mpsc::channel::<Wish>();
        let mut files = Files {
            dir: dir.to_owned(),
            open: HashMap::new(),
        };
        Builder::new().name("spool".to_owned()).spawn(move || {
            for Wish { shard, file, wish } in wishes {
                if let Some(outcome) = files.carry_out((shard, file), wish) {
                    report(shard, file, outcome);
                }
            }
        })?;
        Ok(Spooler(sender))
    }

    /// Passes a wish on.
    pub fn wish(&self, shard: usize, file: u64, wish: Spool) {
        // The thread lives as long as the process: it only waits for wishes.
        let _ = self.0.send(Wish { shard, file, wish });
    }
}

/// An open file.
struct Open {
    file: File,
    /// The name that goes with it when it is given up.
    path: Option<PathBuf>,
}

/// The files of all shards.
struct Files {
    dir: PathBuf,
    /// A file that could not be made keeps the reason.
    open: HashMap<(usize, u64), Result<Open, String>>,
}

impl Files {
    fn carry_out(&mut self, name: (usize, u64), wish: Spool) -> Option<Spooled> {
        match wish {
            Spool::Create => {
                let file = create(&self.dir).map(|file| Open { file, path: None });
                let file = file.map_err(|error| self.explain("create", &error));
                self.open.insert(name, file);
                None
            }
            Spool::CreateAt(path) => {
                let file = create_at(&path).map_err(|error| explain_named("create", &path, &error));
                let path = Some(path);
                self.open.insert(name, file.map(|file| Open { file, path }));
                None
            }
            Spool::Open(path) => Some(self.open(name, &path)),
            Spool::Keep(path) => Some(self.keep(name, &path)),
            Spool::Remove => {
                if let Some(Ok(Open {
                    path: Some(path), ..
                })) = self.open.remove(&name)
                {
                    // Whoever took it away has done what is wanted.
                    let _ = std::fs::remove_file(path);
                }
                None
            }
            Spool::Append(pieces) => Some(self.attempt(name, "write to", |mut file| {
                pieces.iter().try_for_each(|piece| file.write_all(piece))?;
                Ok(Spooled::Appended(
                    pieces.iter().map(|p| p.len() as u64).sum(),
                ))
            })),
            Spool::Read { offset, len } => Some(self.attempt(name, "read", |file| {
                let mut data = vec![0; len];
                file.read_exact_at(&mut data, offset)?;
                Ok(Spooled::Read(Bytes::from(data)))
            })),
        }
    }

    fn open(&mut self, name: (usize, u64), path: &Path) -> Spooled {
        let opened = File::open(path).and_then(|file| {
            let len = file.metadata()?.len();
            Ok((Open { file, path: None }, len))
        });
        match opened {
            Err(error) => Spooled::Failed(explain_named("open", path, &error)),
            Ok((open, len)) => {
                self.open.insert(name, Ok(open));
                Spooled::Opened(len)
            }
        }
    }

    /// The file gets another name, and with that the name's old file goes.
    fn keep(&mut self, name: (usize, u64), path: &Path) -> Spooled {
        let outcome = match self.open.get_mut(&name) {
            Some(Ok(open)) => replace(open, path).map_err(|e| explain_named("keep", path, &e)),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!("spool file {} is not open", name.1)),
        };
        match outcome {
            Ok(()) => Spooled::Kept,
            Err(reason) => Spooled::Failed(reason),
        }
    }

    fn attempt(
        &self,
        name: (usize, u64),
        what: &str,
        act: impl FnOnce(&File) -> io::Result<Spooled>,
    ) -> Spooled {
        let outcome = match self.open.get(&name) {
            None => Err(format!("spool file {} is not open", name.1)),
            Some(Err(reason)) => Err(reason.clone()),
            Some(Ok(Open { file, path })) => act(file).map_err(|error| match path {
                Some(path) => explain_named(what, path, &error),
                None => self.explain(what, &error),
            }),
        };
        outcome.unwrap_or_else(Spooled::Failed)
    }

    fn explain(&self, what: &str, error: &io::Error) -> String {
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        format!("cannot {what} a spool file in {}: {error}", dir.display())
    }
}

fn explain_named(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

/// A new file with a name, in the place of one that a process of the same number left.
fn create_at(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.mode(0o644).open(path)
}

fn replace(open: &mut Open, path: &Path) -> io::Result<()> {
    let Some(made) = &open.path else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    open.file.sync_all()?;
    std::fs::rename(made, path)?;
    open.path = None;
    // The name is on the disk when its directory is.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

/// A new file that already has no name any more.
fn create(dir: &Path) -> io::Result<File> {
    for attempt in 0..100 {
        let path = dir.join(format!("banyan-{}-{attempt}.spool", std::process::id()));
        let made = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Receiver;

    fn start(dir: &Path) -> (Spooler, Receiver<(usize, u64, Spooled)>) {
        let (sender, outcomes) = mpsc::channel();
        let report = move |shard, file, outcome| sender.send((shard, file, outcome)).unwrap();
        (Spooler::start(dir, Box::new(report)).unwrap(), outcomes)
    }

    #[test]
    fn what_was_appended_is_read_back_from_files_without_names() {
        let dir = tempfile::tempdir().unwrap();
        let (spooler, outcomes) = start(dir.path());
        let append = |file, text: &'static str| {
            let halves = text.split_at(2);
            let pieces = vec![Bytes::from(halves.0), Bytes::from(halves.1)];
            spooler.wish(3, file, Spool::Append(pieces));
        };
        spooler.wish(3, 1, Spool::Create);
        spooler.wish(3, 2, Spool::Create);
        append(1, "one ");
        append(2, "another");
        append(1, "after");
        let (offset, len) = (2, 6);
        spooler.wish(3, 1, Spool::Read { offset, len });
        let appended = |file, bytes| (3, file, Spooled::Appended(bytes));
        let read = (3, 1, Spooled::Read(Bytes::from_static(b"e afte")));
        let got: Vec<_> = outcomes.iter().take(4).collect();
        assert_eq!(got, [appended(1, 4), appended(2, 7), appended(1, 5), read]);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "they have no names"
        );
        spooler.wish(3, 1, Spool::Remove);
        spooler.wish(3, 1, Spool::Read { offset: 0, len: 1 });
        assert!(matches!(
            outcomes.recv().unwrap(),
            (3, 1, Spooled::Failed(_))
        ));
        spooler.wish(3, 2, Spool::Read { offset: 5, len: 9 });
        assert!(
            matches!(outcomes.recv().unwrap(), (3, 2, Spooled::Failed(_))),
            "beyond its end"
        );
    }

    #[test]
    fn a_file_that_is_kept_takes_the_place_of_the_old_one_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let (made, kept) = (dir.path().join("temp-1.rdb"), dir.path().join("dump.rdb"));
        std::fs::write(&kept, "old").unwrap();
        let (spooler, outcomes) = start(dir.path());
        let append = || Spool::Append(vec![Bytes::from_static(b"the new one")]);
        spooler.wish(0, 1, Spool::CreateAt(made.clone()));
        spooler.wish(0, 1, append());
        assert_eq!(outcomes.recv().unwrap(), (0, 1, Spooled::Appended(11)));
        assert_eq!(std::fs::read(&kept).unwrap(), b"old");
        spooler.wish(0, 1, Spool::Keep(kept.clone()));
        assert_eq!(outcomes.recv().unwrap(), (0, 1, Spooled::Kept));
        assert_eq!(std::fs::read(&kept).unwrap(), b"the new one");
        // Given up, it stays: it is somebody's now.
        spooler.wish(0, 1, Spool::Remove);
        spooler.wish(0, 2, Spool::Open(kept.clone()));
        assert_eq!(outcomes.recv().unwrap(), (0, 2, Spooled::Opened(11)));
        let (offset, len) = (4, 7);
        spooler.wish(0, 2, Spool::Read { offset, len });
        let read = Spooled::Read(Bytes::from_static(b"new one"));
        assert_eq!(outcomes.recv().unwrap(), (0, 2, read));
        spooler.wish(0, 2, Spool::Remove);
        // One that was made and not kept goes, whatever stood in its way.
        spooler.wish(0, 3, Spool::CreateAt(made.clone()));
        spooler.wish(0, 3, append());
        assert_eq!(outcomes.recv().unwrap(), (0, 3, Spooled::Appended(11)));
        let nowhere = dir.path().join("gone").join("dump.rdb");
        spooler.wish(0, 3, Spool::Keep(nowhere));
        assert!(matches!(
            outcomes.recv().unwrap(),
            (0, 3, Spooled::Failed(_))
        ));
        assert!(made.exists());
        spooler.wish(0, 3, Spool::Remove);
        spooler.wish(0, 4, Spool::Open(made.clone()));
        let (_, _, outcome) = outcomes.recv().unwrap();
        let Spooled::Failed(reason) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.starts_with("cannot open /"), "{reason}");
        assert!(kept.exists() && !made.exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_at_the_first_append() {
        let dir = tempfile::tempdir().unwrap();
        let (spooler, outcomes) = start(&dir.path().join("gone"));
        spooler.wish(0, 7, Spool::Create);
        spooler.wish(0, 7, Spool::Append(vec![Bytes::from_static(b"text")]));
        let (shard, file, outcome) = outcomes.recv().unwrap();
        let Spooled::Failed(reason) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((shard, file), (0, 7));
        assert!(
            reason.starts_with("cannot create a spool file in /"),
            "{reason}"
        );
    }
}
