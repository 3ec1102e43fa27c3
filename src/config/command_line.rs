//! The arguments of the process: `[redis.conf] [--directive value ...] [-]`, as redis-server takes them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::directive::{Directive, Section};
use super::files::Files;
use super::load::{Loader, Place, refused};
use super::table;
use super::words::quote;
use super::{Config, Launch, Start, StartError};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const USAGE: &str = "banyan [/path/to/redis.conf] [--directive value ...] [-]";
const ABOUT: &str = "A Redis-compatible, thread-per-core server.\n\n\
    Every directive may stand in the configuration file or be given as a flag, as redis-server takes them; \
    the last one counts. A final - reads directives from standard input.";

impl Config {
    /// Reads the configuration that the arguments (without the program's name) ask for: first the file, then standard
    /// input if `-` is the last argument, then the flags.
    ///
    /// # Errors
    /// The first line or flag that is not a directive or whose value is refused; a file that cannot be read.
    pub fn from_args(
        args: impl IntoIterator<Item = impl Into<OsString>>,
        files: &mut dyn Files,
    ) -> Result<Start, StartError> {
        let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let from_stdin = args.pop_if(|last| last == "-").is_some();
        let has_file = args.first().is_some_and(|first| !first.as_bytes().starts_with(b"-"));
        let file = has_file.then(|| args.remove(0)).map(OsString::into_string).transpose();
        let file = file.map_err(|path| {
            let error = std::io::Error::other("the path must be valid UTF-8");
            StartError::File { path: path.to_string_lossy().into_owned(), error }
        })?;

        let matches = match command().try_get_matches_from(normalized(args)) {
            Ok(matches) if matches.get_flag("version") => return Ok(Start::Print(version())),
            Ok(matches) => matches,
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                return Ok(Start::Print(error.to_string()));
            }
            Err(error) => return Err(explained(&error)),
        };
        let mut loader = Loader::new(files);
        if let Some(path) = &file {
            loader.file(path)?;
        }
        if from_stdin {
            loader.file("-")?;
        }
        for (name, value) in flags(&matches) {
            let line = format!("{name} {}", quote(&value));
            let words = [name.as_bytes().to_vec(), value];
            loader.line(&words, line.as_bytes(), &Place::CommandLine, 0)?;
        }
        let Loader { config, no_effect, .. } = loader;
        Ok(Start::Serve(Box::new(Launch { config, file, no_effect })))
    }
}

/// The line that `--version` prints.
pub fn version() -> String {
    format!("Banyan server v={VERSION} malloc=jemalloc bits={}\n", usize::BITS)
}

fn command() -> Command {
    let flags = table::directives().map(flag);
    let include = Arg::new("include").value_name("path").help("Another file of directives");
    let version = Arg::new("version").long("version").short('v').action(ArgAction::SetTrue);
    Command::new("banyan")
        .about(ABOUT)
        .override_usage(USAGE)
        .no_binary_name(true)
        .disable_version_flag(true)
        .arg(version.help("Print version"))
        .arg(valued(include.long("include")).help_heading(Section::General.title()))
        .args(flags)
}

/// A flag takes exactly one argument, whatever it begins with; [`normalized`] joins several into one.
fn valued(arg: Arg) -> Arg {
    arg.num_args(1)
        .allow_hyphen_values(true)
        .action(ArgAction::Append)
        .value_parser(value_parser!(OsString))
}

fn flag(directive: &'static Directive) -> Arg {
    let default = if directive.default.is_empty() { "\"\"" } else { directive.default };
    let arg = Arg::new(directive.name)
        .long(directive.name)
        .value_name(directive.kind.placeholder())
        .help(format!("{} [default: {default}]", directive.help))
        .help_heading(directive.section.title())
        .hide(directive.hidden);
    valued(match directive.alias {
        Some(alias) => arg.visible_alias(alias),
        None => arg,
    })
}

/// Splits `"--port 7000"` into a flag and its value, joins the words of a directive that takes several, and gives a
/// `--save` without words its empty value.
fn normalized(args: Vec<OsString>) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let Some(text) = arg.as_bytes().strip_prefix(b"--") else {
            out.push(arg);
            continue;
        };
        let blank = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (name, inline) = text.split_at(blank);
        let inline = inline.trim_ascii();
        let Some(directive) = table::find(name) else {
            out.push(arg);
            continue;
        };
        out.push(OsString::from(format!("--{}", directive.name)));
        let mut words = Vec::new();
        if !inline.is_empty() {
            words.push(OsStr::from_bytes(inline).to_owned());
        } else if !directive.kind.is_multiple() {
            // As in redis-server, the argument after a name is its value even if it looks like a flag.
            words.extend(args.next());
        }
        if directive.kind.is_multiple() {
            while let Some(word) = args.next_if(|next| !next.as_bytes().starts_with(b"--")) {
                words.push(word);
            }
        }
        if words.is_empty() && directive.name == "save" {
            words.push(OsString::new());
        }
        if !words.is_empty() {
            out.push(words.join(OsStr::new(" ")));
        }
    }
    out
}

/// All flags in the order in which they were given.
fn flags(matches: &ArgMatches) -> Vec<(&'static str, Vec<u8>)> {
    let names = table::directives().map(|directive| directive.name).chain(["include"]);
    let mut flags = Vec::new();
    for name in names {
        let indices = matches.indices_of(name).into_iter().flatten();
        let values = matches.get_many::<OsString>(name).into_iter().flatten();
        flags.extend(indices.zip(values).map(|(index, value)| (index, name, value.clone())));
    }
    flags.sort_by_key(|(index, ..)| *index);
    flags.into_iter().map(|(_, name, value)| (name, value.into_vec())).collect()
}

/// Redis's words for what clap found.
fn explained(error: &clap::Error) -> StartError {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    let is_name = argument.starts_with('-');
    let reason = match error.kind() {
        ErrorKind::UnknownArgument if is_name => "Bad directive or wrong number of arguments",
        _ => "wrong number of arguments",
    };
    // clap names a flag together with the name of its value.
    let line = argument.split(" <").next().unwrap_or(argument);
    refused(&Place::CommandLine, line.as_bytes(), reason.into())
}
