//! The syntax of every command, for the `arguments` of COMMAND DOCS.
//!
//! A command's syntax is a line of text in one of the families' files here, and becomes part of
//! its row when the table is built. It stands apart from the row because it is a grammar, read as
//! one line among its like, and because nothing that runs a command ever looks at it: only COMMAND
//! DOCS parses it, and only when asked. The test `every_row_has_a_syntax` holds the two together.
//!
//! The notation, by example:
//!
//! ```text
//!   value                    a string, named "value"
//!   count:integer            a number; also double, time (a Unix time), pattern
//!   key  dst:key  src:key1   a key, of the first or second key specification; `key` alone is
//!                            `key:key`
//!   NX                       a word of the syntax (a "pure token"), named "nx"
//!   CH=change:token          a word with another name
//!   EX=seconds:integer       an argument after the word EX
//!   "="=equal:token          a word that is not in capitals
//!   addr"ip:port"            an argument that is shown as "ip:port"
//!   limit{offset count}      a block: all of these, in order
//!   condition(NX | XX)       one of these
//!   NX@2.6.12                since version 2.6.12; @-2.6.12: deprecated since
//!   field...                 one or more
//!   PREFIX=prefix+...        one or more, each with its word
//!   [NX]                     may be left out
//! ```

mod bitmaps;
mod connection;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod transactions;

const ALL: [&[(&str, &str)]; 14] = [
    bitmaps::SYNTAXES,
    connection::SYNTAXES,
    geo::SYNTAXES,
    hashes::SYNTAXES,
    hyperloglog::SYNTAXES,
    keys::SYNTAXES,
    lists::SYNTAXES,
    pubsub::SYNTAXES,
    server::SYNTAXES,
    sets::SYNTAXES,
    sorted_sets::SYNTAXES,
    streams::SYNTAXES,
    strings::SYNTAXES,
    transactions::SYNTAXES,
];

/// The syntax of a command by its full name; empty for one that takes no argument.
pub(super) fn of(full_name: &str) -> Option<&'static str> {
    let mut all = ALL.iter().flat_map(|family| family.iter());
    all.find(|(name, _)| *name == full_name)
        .map(|(_, text)| *text)
}

/// What an argument is, by COMMAND DOCS's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgumentKind {
    /// Its name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "string" => ArgumentKind::String,
            "integer" => ArgumentKind::Integer,
            "double" => ArgumentKind::Double,
            "key" => ArgumentKind::Key,
            "pattern" => ArgumentKind::Pattern,
            "time" => ArgumentKind::UnixTime,
            "token" => ArgumentKind::PureToken,
            _ => return None,
        })
    }
}

/// One argument of a command's syntax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument<'a> {
    pub name: String,
    pub kind: ArgumentKind,
    /// How it is shown, if it is not a group.
    pub display: Option<String>,
    /// Which of the command's key specifications it belongs to.
    pub key_spec: Option<u8>,
    /// The word before it, or that it consists of.
    pub token: Option<&'a str>,
    pub since: Option<&'a str>,
    pub deprecated_since: Option<&'a str>,
    pub optional: bool,
    pub multiple: bool,
    /// Repeated with its word.
    pub multiple_token: bool,
    /// What a group consists of.
    pub arguments: Vec<Argument<'a>>,
}

/// Where a syntax is malformed, and what was expected there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Offset in bytes.
    pub at: usize,
    pub expected: &'static str,
}

/// Parses a whole syntax.
pub fn parse(text: &str) -> Result<Vec<Argument<'_>>, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    let arguments = parser.list()?;
    match parser.peek() {
        None => Ok(arguments),
        Some(_) => Err(parser.expected("the end")),
    }
}

/// A syntax and how far it has been read. The texts are ours, so nothing bounds their depth.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn expected(&self, expected: &'static str) -> SyntaxError {
        SyntaxError {
            at: self.at,
            expected,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes `text` if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn require(&mut self, text: &'static str) -> Result<(), SyntaxError> {
        match self.take(text) {
            true => Ok(()),
            false => Err(self.expected(text)),
        }
    }

    /// Takes as many characters as fit, at least one.
    fn word(&mut self, fits: fn(char) -> bool) -> Result<&'a str, SyntaxError> {
        let rest = self.rest();
        let len = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.expected("a word"));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// Takes a quoted text, if one comes next.
    fn quoted(&mut self) -> Result<Option<&'a str>, SyntaxError> {
        if !self.take("\"") {
            return Ok(None);
        }
        let rest = self.rest();
        let len = rest.find('"').ok_or(self.expected("a closing quote"))?;
        self.at += len + 1;
        Ok(Some(&rest[..len]))
    }

    /// Arguments one after the other, up to the end or to what closes them.
    fn list(&mut self) -> Result<Vec<Argument<'a>>, SyntaxError> {
        let mut arguments = Vec::new();
        while !matches!(self.peek(), None | Some('}')) {
            arguments.push(self.argument()?);
            self.take(" ");
        }
        Ok(arguments)
    }

    fn alternatives(&mut self) -> Result<Vec<Argument<'a>>, SyntaxError> {
        let mut arguments = vec![self.argument()?];
        while self.take(" | ") {
            arguments.push(self.argument()?);
        }
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument<'a>, SyntaxError> {
        let optional = self.take("[");
        let mut argument = self.body()?;
        while self.take("@") {
            let deprecated = self.take("-");
            // Not a point of the dots that may follow.
            let version = self.word(|c| c.is_ascii_digit() || c == '.')?;
            let trimmed = version.trim_end_matches('.');
            self.at -= version.len() - trimmed.len();
            match deprecated {
                true => argument.deprecated_since = Some(trimmed),
                false => argument.since = Some(trimmed),
            }
        }
        argument.multiple_token = self.take("+...");
        argument.multiple = argument.multiple_token || self.take("...");
        argument.optional = optional;
        if optional {
            self.require("]")?;
        }
        Ok(argument)
    }

    fn body(&mut self) -> Result<Argument<'a>, SyntaxError> {
        let token = match self.quoted()? {
            Some(quoted) => Some(quoted),
            None if self.peek().is_some_and(|c| c.is_ascii_uppercase()) => {
                Some(self.word(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')?)
            }
            None => None,
        };
        if let Some(token) = token
            && !self.take("=")
        {
            let mut argument = plain(&token.to_lowercase(), ArgumentKind::PureToken);
            argument.token = Some(token);
            return Ok(argument);
        }
        let name =
            self.word(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))?;
        let display = self.quoted()?;
        let mut argument = if self.take("(") {
            let arguments = self.alternatives()?;
            self.require(")")?;
            group(name, ArgumentKind::OneOf, arguments)
        } else if self.take("{") {
            let arguments = self.list()?;
            self.require("}")?;
            group(name, ArgumentKind::Block, arguments)
        } else {
            self.typed(name)?
        };
        if let Some(display) = display {
            argument.display = Some(display.to_owned());
        }
        argument.token = token;
        Ok(argument)
    }

    /// An argument after its name: what it is, and of which key specification.
    fn typed(&mut self, name: &str) -> Result<Argument<'a>, SyntaxError> {
        if !self.take(":") {
            let kind = match name {
                "key" => ArgumentKind::Key,
                _ => ArgumentKind::String,
            };
            return Ok(plain(name, kind));
        }
        let word = self.word(|c| c.is_ascii_lowercase())?;
        let kind = ArgumentKind::parse(word).ok_or(self.expected("a kind of argument"))?;
        let mut argument = plain(name, kind);
        if let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            argument.key_spec = Some(digit as u8);
        }
        Ok(argument)
    }
}

fn plain(name: &str, kind: ArgumentKind) -> Argument<'static> {
    Argument {
        name: name.to_owned(),
        kind,
        display: Some(name.to_owned()),
        key_spec: (kind == ArgumentKind::Key).then_some(0),
        token: None,
        since: None,
        deprecated_since: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        arguments: Vec::new(),
    }
}

fn group<'a>(name: &str, kind: ArgumentKind, arguments: Vec<Argument<'a>>) -> Argument<'a> {
    Argument {
        display: None,
        arguments,
        ..plain(name, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table;

    fn one(text: &str) -> Argument<'_> {
        let mut arguments = parse(text).unwrap();
        assert_eq!(arguments.len(), 1, "{text}");
        arguments.remove(0)
    }

    #[test]
    fn plain_arguments_have_a_name_and_a_kind() {
        for (text, name, kind, key_spec) in [
            ("value", "value", ArgumentKind::String, None),
            ("count:integer", "count", ArgumentKind::Integer, None),
            ("at:time", "at", ArgumentKind::UnixTime, None),
            ("key", "key", ArgumentKind::Key, Some(0)),
            ("src:key1", "src", ArgumentKind::Key, Some(1)),
            ("by:pattern1", "by", ArgumentKind::Pattern, Some(1)),
            ("key:string", "key", ArgumentKind::String, None),
        ] {
            let argument = one(text);
            assert_eq!(
                (argument.name.as_str(), argument.kind, argument.key_spec),
                (name, kind, key_spec)
            );
            assert_eq!(argument.display.as_deref(), Some(name));
        }
        assert_eq!(one("addr\"ip:port\"").display.as_deref(), Some("ip:port"));
    }

    #[test]
    fn words_stand_alone_or_before_an_argument() {
        for (text, token, name, kind) in [
            ("NX", "NX", "nx", ArgumentKind::PureToken),
            ("CH=change:token", "CH", "change", ArgumentKind::PureToken),
            ("\"~\"=near:token", "~", "near", ArgumentKind::PureToken),
            ("EX=seconds:integer", "EX", "seconds", ArgumentKind::Integer),
        ] {
            let argument = one(text);
            assert_eq!(
                (argument.token, argument.name.as_str(), argument.kind),
                (Some(token), name, kind)
            );
        }
    }

    #[test]
    fn groups_versions_and_repetitions_can_be_combined() {
        let argument =
            one("[LIMIT=limit{offset:integer [way(UP | DOWN@7.0.0)...]}@6.2.0@-8.0.0...]");
        assert!(argument.optional && argument.multiple && !argument.multiple_token);
        assert_eq!(argument.kind, ArgumentKind::Block);
        assert_eq!(argument.since, Some("6.2.0"));
        assert_eq!(argument.deprecated_since, Some("8.0.0"));
        assert_eq!(argument.display, None);
    }

    #[test]
    fn repetition_within_brackets_may_take_the_word_along() {
        let argument = one("[PREFIX=prefix@6.0.0+...]");
        assert!(argument.multiple && argument.multiple_token && argument.optional);
        assert_eq!(argument.since, Some("6.0.0"));
        let arguments = parse("numkeys:integer key... where(MIN | MAX)").unwrap();
        assert_eq!(arguments.len(), 3);
        assert!(arguments[1].multiple && !arguments[1].optional);
        assert_eq!(arguments[2].kind, ArgumentKind::OneOf);
        assert_eq!(arguments[2].arguments.len(), 2);
    }

    #[test]
    fn a_malformed_syntax_is_located() {
        for (text, at, expected) in [
            ("key }", 4, "the end"),
            ("key [NX", 7, "]"),
            ("a:number", 8, "a kind of argument"),
            ("a{b", 3, "}"),
            ("a(B C)", 3, ")"),
            ("a\"b", 2, "a closing quote"),
            ("EX=", 3, "a word"),
        ] {
            assert_eq!(parse(text), Err(SyntaxError { at, expected }), "{text}");
        }
    }

    /// Commands that are being written: their syntaxes are here first.
    const NOT_YET: &[&str] = &[];

    #[test]
    fn every_row_has_a_syntax_and_every_syntax_a_row() {
        let mut rows = Vec::new();
        for number in 0..table::count_with_subcommands() {
            let row = table::by_number(number);
            // To clients DEBUG has no subcommands, and a container takes no arguments itself.
            if row.subcommands.is_empty() && !row.full_name.starts_with("debug|") {
                assert!(of(row.full_name).is_some(), "{row:?} has no syntax");
                rows.push(row.full_name);
            }
        }
        for (name, text) in ALL.iter().flat_map(|family| family.iter()) {
            assert!(
                rows.contains(name) || NOT_YET.contains(name),
                "{name} has a syntax and no row"
            );
            let parsed = parse(text);
            assert!(parsed.is_ok(), "{name}: {text}: {parsed:?}");
        }
    }

    #[test]
    fn each_list_is_in_order_and_names_nothing_twice() {
        for family in ALL {
            assert!(family.is_sorted_by(|(a, _), (b, _)| a < b));
        }
    }
}
