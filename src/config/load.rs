//! Reads configuration text line by line into a [`Config`].

use std::fmt;

use super::files::{self, Files};
use super::kind::Reason;
use super::table::{self, Config};
use super::{StartError, words};

/// Files may include files this deep; Redis has no limit and dies of an endless include.
const INCLUDE_DEPTH_MAX: usize = 16;
const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";
/// Directives of old Redis versions that Redis 7 still reads over.
const OBSOLETE: [&str; 3] =
    ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

/// Where a line of configuration was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file (`-`: standard input), on a line that counts from 1.
    File {
        /// As it was named on the command line or in an include line.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// Among the arguments of the process.
    CommandLine,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } if path == "-" => {
                write!(f, "Reading the configuration file, at line {line} of standard input")
            }
            Self::File { path, line } => {
                write!(f, "Reading the configuration file, at line {line} of {path}")
            }
            Self::CommandLine => write!(f, "Reading the command line"),
        }
    }
}

/// Collects directives from files and arguments; the last one counts.
pub(super) struct Loader<'f> {
    pub(super) config: Config,
    /// Directives without effect in the order of their first mention.
    pub(super) no_effect: Vec<&'static str>,
    files: &'f mut dyn Files,
}

impl<'f> Loader<'f> {
    pub(super) fn new(files: &'f mut dyn Files) -> Self {
        Self { config: Config::default(), no_effect: Vec::new(), files }
    }

    /// Reads a file, or standard input for `-`.
    pub(super) fn file(&mut self, path: &str) -> Result<(), StartError> {
        self.nested(path, 0)
    }

    fn nested(&mut self, path: &str, depth: usize) -> Result<(), StartError> {
        let text = self.files.read(path);
        let text = text.map_err(|error| StartError::File { path: path.to_owned(), error })?;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place::File { path: path.to_owned(), line: index + 1 };
            match words::split(line) {
                Ok(words) => self.line(&words, line, &place, depth)?,
                Err(words::UnbalancedQuotes) => {
                    let reason = "Unbalanced quotes in configuration line".into();
                    return Err(refused(&place, line, reason));
                }
            }
        }
        Ok(())
    }

    /// Applies one directive that was given as words; `line` is only for errors.
    pub(super) fn line(
        &mut self,
        words: &[Vec<u8>],
        line: &[u8],
        place: &Place,
        depth: usize,
    ) -> Result<(), StartError> {
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"include") {
            let [path] = values else { return Err(refused(place, line, BAD_DIRECTIVE.into())) };
            return self.include(path, line, place, depth);
        }
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        self.directive(name, &values).map_err(|reason| refused(place, line, reason))
    }

    fn include(
        &mut self,
        path: &[u8],
        line: &[u8],
        place: &Place,
        depth: usize,
    ) -> Result<(), StartError> {
        if depth == INCLUDE_DEPTH_MAX {
            let reason = format!("include is nested more than {INCLUDE_DEPTH_MAX} deep");
            return Err(refused(place, line, reason.into()));
        }
        let Ok(path) = std::str::from_utf8(path) else {
            return Err(refused(place, line, "the path of an include must be valid UTF-8".into()));
        };
        let paths = match files::is_pattern(path) {
            true => files::expand(path, self.files),
            false => vec![path.to_owned()],
        };
        paths.iter().try_for_each(|path| self.nested(path, depth + 1))
    }

    fn directive(&mut self, name: &[u8], values: &[&[u8]]) -> Result<(), Reason> {
        let Some(directive) = table::find(name) else {
            return self.unlisted(name, values);
        };
        // Several words may be quoted as one.
        let split: Vec<&[u8]>;
        let values = match values {
            [one] if directive.kind.is_multiple() && !one.is_empty() => {
                split = one.split(|byte| *byte == b' ').collect();
                &split
            }
            _ => values,
        };
        directive.set(&mut self.config, values)?;
        if directive.has_no_effect() {
            self.note_no_effect(directive.name);
        }
        Ok(())
    }

    fn unlisted(&mut self, name: &[u8], values: &[&[u8]]) -> Result<(), Reason> {
        let name = name.to_ascii_lowercase();
        if let Some(obsolete) = OBSOLETE.into_iter().find(|old| old.as_bytes() == name)
            && values.len() == 1
        {
            self.note_no_effect(obsolete);
            return Ok(());
        }
        Err(match name.as_slice() {
            b"user" => "users are not supported yet, only requirepass is",
            b"rename-command" => "renaming commands is not supported yet",
            b"loadmodule" => "modules are not supported",
            b"sentinel" => "sentinel directive while not in sentinel mode",
            _ => BAD_DIRECTIVE,
        }
        .into())
    }

    fn note_no_effect(&mut self, name: &'static str) {
        if !self.no_effect.contains(&name) {
            self.no_effect.push(name);
        }
    }
}

pub(super) fn refused(place: &Place, line: &[u8], reason: Reason) -> StartError {
    let line = String::from_utf8_lossy(line).into_owned();
    StartError::Directive { place: place.clone(), line, reason }
}
