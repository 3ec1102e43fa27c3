//! Configuration: ONE table of directives (`table.rs`) drives the configuration file, the command
//! line, `--help`, and CONFIG GET, SET and REWRITE.
//!
//! [`Config`] has one documented, typed field per directive that has an effect. The text forms are
//! Redis's: what CONFIG GET answers is what CONFIG SET and a file accept. Directives of Redis 7.2
//! that mean nothing here keep their value only to show it.
//!
//! Nothing here touches a file but [`files::Disk`]; the shell applies what changed and writes the
//! rewritten file.

mod checks;
mod command_line;
mod directive;
pub mod files;
mod inert;
mod kind;
mod load;
mod rewrite;
mod table;
mod value;
pub mod words;

#[cfg(test)]
mod tests;

use crate::protocol::quote;
use crate::value::glob::glob_match;
use std::io;

pub use command_line::version;
pub use directive::{Change, Directive, Section};
pub use files::{Disk, Files};
pub use kind::{Kind, Reason, memory};
pub use load::Place;
pub use table::{Config, directives, find};
pub use value::{
    Io, LogLevel, MaxmemoryPolicy, Named, OutputLimit, OutputLimits, PipelineOrder,
    ProtectedAction, ReplDisklessLoad, SavePoint, ShutdownWords, Upstream,
};

/// What the arguments ask for.
#[derive(Debug)]
pub enum Start {
    /// Run the server.
    Serve(Box<Launch>),
    /// Print this text (help or version) and exit with success.
    Print(String),
}

/// A configuration to run with.
#[derive(Debug)]
pub struct Launch {
    /// All values.
    pub config: Config,
    /// The configuration file as named on the command line, for CONFIG REWRITE; make it absolute
    /// before changing the directory.
    pub file: Option<String>,
    /// Directives that were set but have no effect here, each once; to be reported in one line.
    pub no_effect: Vec<&'static str>,
}

/// Why the server cannot start; the text is for standard error.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A line or flag is not a directive, or its value is refused.
    #[error(
        "\n*** FATAL CONFIG FILE ERROR (Banyan {}) ***\n{place}\n>>> '{line}'\n{reason}",
        env!("CARGO_PKG_VERSION")
    )]
    Directive {
        /// The file and line, or the command line.
        place: Place,
        /// The line as it was written.
        line: String,
        /// What was expected.
        reason: Reason,
    },
    /// A file cannot be read.
    #[error("Fatal error, can't open config file '{path}': {error}")]
    File {
        /// As it was named.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

/// Who asks CONFIG SET, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetContext {
    /// The client is on the loopback interface or the Unix socket.
    pub local_client: bool,
    /// A data set is being loaded.
    pub loading: bool,
}

/// Why CONFIG SET changed nothing; the text is the whole error reply without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A name without a value.
    #[error("ERR syntax error")]
    Syntax,
    /// No such directive.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// The value is refused, or could not be applied.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Failed {
        /// The directive.
        name: String,
        /// What was expected, or why it could not be applied.
        reason: Reason,
    },
    /// The directive cannot be changed now.
    #[error("LOADING Redis is loading the dataset in memory")]
    Loading,
}

impl Config {
    /// CONFIG GET: names and values that match any of the patterns, each once, in the table's order
    /// for each pattern. A name without wildcards is answered as it was spelled, and finds hidden
    /// directives and aliases too.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<&'static str> = Vec::new();
        let mut reply = Vec::new();
        let mut add = |directive: &Directive, name: &'static str, shown: &[u8]| {
            if !found.contains(&name) {
                found.push(name);
                reply.push((shown.to_vec(), self.text(directive)));
            }
        };
        for pattern in patterns {
            let is_glob = pattern.iter().any(|byte| b"*?[".contains(byte));
            for directive in directives() {
                if !is_glob {
                    if let Some(name) = directive.spelling(pattern) {
                        add(directive, name, pattern);
                    }
                    continue;
                }
                for name in [Some(directive.name), directive.alias]
                    .into_iter()
                    .flatten()
                {
                    if !directive.hidden && glob_match(pattern, name.as_bytes(), true) {
                        add(directive, name, name.as_bytes());
                    }
                }
            }
        }
        reply
    }

    /// The value of one directive as CONFIG GET shows it.
    pub fn text(&self, directive: &Directive) -> Vec<u8> {
        directive.kind.format(&directive.load(self))
    }

    /// CONFIG SET: `args` are names and values in turn. All are set, or none. Returns the
    /// directives whose values changed, for the shell to apply; where applying fails, keep the old
    /// `Config` and answer [`SetError::Failed`].
    ///
    /// # Errors
    /// Redis's error replies.
    pub fn set(
        &mut self,
        args: &[&[u8]],
        context: SetContext,
    ) -> Result<Vec<&'static Directive>, SetError> {
        let (pairs, []) = args.as_chunks::<2>() else {
            return Err(SetError::Syntax);
        };
        let mut chosen: Vec<(&'static str, &'static Directive, &[u8])> = Vec::new();
        for [name, value] in pairs {
            let directive = find(name).ok_or_else(|| SetError::Unknown(quote(name, usize::MAX)))?;
            let failed = |reason: &'static str| SetError::Failed {
                name: quote(name, usize::MAX),
                reason: reason.into(),
            };
            self.permit(directive, context).map_err(failed)?;
            if context.loading && directive.is_refused_while_loading() {
                return Err(SetError::Loading);
            }
            let spelling = directive.spelling(name).unwrap_or(directive.name);
            if chosen.iter().any(|(other, ..)| *other == spelling) {
                return Err(failed("duplicate parameter"));
            }
            chosen.push((spelling, directive, value));
        }
        let mut new = self.clone();
        let mut changed = Vec::new();
        for (name, directive, value) in chosen {
            let words: Vec<&[u8]> = match directive.kind.is_multiple() {
                true => value.split(|byte| *byte == b' ').collect(),
                false => vec![value],
            };
            let failed = |reason| SetError::Failed {
                name: name.to_owned(),
                reason,
            };
            directive.set(&mut new, &words).map_err(failed)?;
            if directive.load(&new) != directive.load(self) && !changed.contains(&directive) {
                changed.push(directive);
            }
        }
        *self = new;
        Ok(changed)
    }

    fn permit(&self, directive: &Directive, context: SetContext) -> Result<(), &'static str> {
        let protected = match self.enable_protected_configs {
            ProtectedAction::Yes => false,
            ProtectedAction::Local => !context.local_client,
            ProtectedAction::No => true,
        };
        match directive.change {
            Change::Immutable => Err("can't set immutable config"),
            Change::Protected if protected => Err("can't set protected config"),
            _ => Ok(()),
        }
    }
}
