//! Where configuration text comes from; a seam, so that everything else runs without a file system.

use std::io::{self, Read};

use crate::value::glob::glob_match;

/// Reads configuration files and lists directories.
pub trait Files {
    /// The whole content of a file; `-` is standard input.
    ///
    /// # Errors
    /// As the system reports them.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// As the system reports them.
    fn list(&mut self, directory: &str) -> io::Result<Vec<String>>;
}

/// The real file system and standard input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        if path != "-" {
            return std::fs::read(path);
        }
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text)?;
        Ok(text)
    }

    fn list(&mut self, directory: &str) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(directory)?;
        // A name that is not UTF-8 cannot be written in an include line.
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect())
    }
}

/// Whether `path` is a pattern rather than a name.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The existing paths that match a pattern, sorted; like glob(3), wildcards match neither `/` nor a
/// leading dot. What cannot be listed matches nothing.
pub(super) fn expand(pattern: &str, files: &mut dyn Files) -> Vec<String> {
    let (root, relative) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", pattern),
    };
    let mut paths = vec![root.to_owned()];
    for part in relative.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in paths {
            if !is_pattern(part) {
                next.push(join(&path, part));
                continue;
            }
            let directory = if path.is_empty() { "." } else { &path };
            let mut names = files.list(directory).unwrap_or_default();
            names.retain(|name| {
                name.starts_with('.') == part.starts_with('.') && is_match(part, name)
            });
            names.sort();
            next.extend(names.iter().map(|name| join(&path, name)));
        }
        paths = next;
    }
    paths
}

fn is_match(pattern: &str, name: &str) -> bool {
    // The shell negates a class with `!`, Redis's own patterns with `^`.
    glob_match(
        pattern.replace("[!", "[^").as_bytes(),
        name.as_bytes(),
        false,
    )
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path.ends_with('/') {
        format!("{path}{name}")
    } else {
        format!("{path}/{name}")
    }
}
