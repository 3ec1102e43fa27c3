//! One row of the table of directives.

use super::kind::{Kind, Reason};
use super::table::Config;
use super::value::Value;

/// Whether CONFIG SET may change a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At any time.
    Mutable,
    /// Only at start.
    Immutable,
    /// Only where `enable-protected-configs` allows it.
    Protected,
}

/// Under which heading `--help` lists a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Addresses, sockets, clients.
    Network,
    /// Shards and cores.
    Shards,
    /// The process: directory, log, pid file.
    General,
    /// Passwords and protected commands.
    Security,
    /// As a primary and as a replica.
    Replication,
    /// Limits of clients.
    Clients,
    /// Memory and eviction.
    Memory,
    /// Snapshots and the append-only file.
    Persistence,
    /// When a collection changes its encoding.
    Encodings,
    /// Slow log, latency, notifications.
    Monitoring,
    /// Directives of Redis that mean nothing here.
    NoEffect,
}

impl Section {
    /// The heading in `--help`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Shards => "Shards",
            Self::General => "General",
            Self::Security => "Security",
            Self::Replication => "Replication",
            Self::Clients => "Clients",
            Self::Memory => "Memory",
            Self::Persistence => "Persistence",
            Self::Encodings => "Encodings",
            Self::Monitoring => "Monitoring",
            Self::NoEffect => "Accepted for compatibility, without effect",
        }
    }
}

/// Where a directive's value lives.
pub(super) enum Slot {
    /// In a field of its own.
    Field {
        /// Reads the field.
        load: fn(&Config) -> Value,
        /// Writes the field; false if the value is of another type than the field.
        store: fn(&mut Config, Value) -> bool,
    },
    /// Among the values that are only kept to be shown.
    Stored,
}

/// A validity rule beyond the kind's.
pub(super) type Check = fn(&Value) -> Result<(), &'static str>;

/// Everything that is known about one directive.
pub struct Directive {
    /// The name in files, flags and CONFIG.
    pub name: &'static str,
    /// An older name that works everywhere as well.
    pub alias: Option<&'static str>,
    /// Where `--help` lists it.
    pub section: Section,
    /// What its value may be.
    pub kind: Kind,
    /// The default, as CONFIG GET shows it.
    pub default: &'static str,
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// Whether CONFIG GET shows it only when asked by its full name.
    pub hidden: bool,
    /// One or two sentences, with the unit.
    pub help: &'static str,
    pub(super) check: Option<Check>,
    pub(super) slot: Slot,
}

impl std::fmt::Debug for Directive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directive").field(&self.name).finish()
    }
}

impl PartialEq for Directive {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Directive {
    /// Whether the value must not be shown in MONITOR, the slow log or the log.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Whether CONFIG SET refuses the directive while a data set is being loaded.
    pub fn is_refused_while_loading(&self) -> bool {
        matches!(self.name, "dir" | "appendonly" | "repl-diskless-load")
    }

    /// Whether the directive is accepted but changes nothing.
    pub fn has_no_effect(&self) -> bool {
        matches!(self.slot, Slot::Stored)
    }

    /// Whether this is the directive's name or alias, in any case.
    pub fn is_called(&self, name: &[u8]) -> bool {
        self.spelling(name).is_some()
    }

    /// The canonical spelling of `name` if it is this directive's name or alias.
    pub(super) fn spelling(&self, name: &[u8]) -> Option<&'static str> {
        let mut names = [Some(self.name), self.alias].into_iter().flatten();
        names.find(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The default as a value.
    pub(super) fn default_value(&self) -> Value {
        default_value(self.kind, self.default)
    }

    /// The value in `config`.
    pub(super) fn load(&self, config: &Config) -> Value {
        match self.slot {
            Slot::Field { load, .. } => load(config),
            Slot::Stored => {
                config.stored.get(self.name).cloned().unwrap_or_else(|| self.default_value())
            }
        }
    }

    /// Parses the words of a value and puts it into `config`.
    ///
    /// # Errors
    /// What was expected; `config` is unchanged then.
    pub(super) fn set(&self, config: &mut Config, words: &[&[u8]]) -> Result<(), Reason> {
        let value = self.kind.parse(words, &self.load(config))?;
        if let Some(check) = self.check {
            check(&value)?;
        }
        match self.slot {
            Slot::Field { store, .. } => {
                let stored = store(config, value);
                assert!(stored, "{}: the field's type disagrees with its kind", self.name);
            }
            Slot::Stored => {
                config.stored.insert(self.name, value);
            }
        }
        Ok(())
    }
}

/// Parses a default of the table.
///
/// # Panics
/// If the table's default is invalid; a test walks the whole table.
pub(super) fn default_value(kind: Kind, text: &str) -> Value {
    if kind == Kind::Upstream && text.is_empty() {
        return Value::Upstream(None);
    }
    let words: Vec<&[u8]> = match kind.is_multiple() {
        true => text.as_bytes().split(|byte| *byte == b' ').collect(),
        false => vec![text.as_bytes()],
    };
    match kind.parse(&words, &Value::Bool(false)) {
        Ok(value) => value,
        Err(reason) => panic!("default {text:?}: {reason}"),
    }
}
