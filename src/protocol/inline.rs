//! Splitting an inline request into arguments: what people type into telnet.

use super::args::Span;

/// Splits `line` (without its line end) by the quoting rules of Redis's `sdssplitargs` and pushes
/// the arguments' spans.
///
/// - Blanks separate arguments. Quotes may start anywhere in an argument, but a blank or the end
///   must follow the closing one.
/// - Within double quotes `\n \r \t \b \a \xHH` are escapes and any other escaped byte stands for
///   itself.
/// - Within single quotes only `\'` is an escape.
///
/// Unescaping happens in place, for it never lengthens: the bytes of `line` are changed. Returns
/// `None` if quotes are unbalanced; `line` and `spans` are then unspecified.
pub(super) fn split(line: &mut [u8], spans: &mut Vec<Span>) -> Option<()> {
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_space(byte)) {
            at += 1;
        }
        if at == line.len() {
            return Some(());
        }
        let start = at;
        let mut end = start;
        while let Some(&byte) = line.get(at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => {
                    (at, end) = double_quoted(line, at + 1, end)?;
                    break;
                }
                b'\'' => {
                    (at, end) = single_quoted(line, at + 1, end)?;
                    break;
                }
                _ => {
                    line[end] = byte;
                    at += 1;
                    end += 1;
                }
            }
        }
        spans.push(Span {
            start: u32::try_from(start).ok()?,
            len: u32::try_from(end - start).ok()?,
        });
    }
}

/// The blanks of C's `isspace`. Within an unquoted argument vertical tab and form feed do not
/// separate, though.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Reads from `at` to past the closing quote, writes the unescaped bytes at `end`; returns both
/// positions.
fn double_quoted(line: &mut [u8], mut at: usize, mut end: usize) -> Option<(usize, usize)> {
    loop {
        let (byte, taken) = match *line.get(at..)? {
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(high) << 4 | hex(low), 4)
            }
            [b'\\', escaped, ..] => (unescape(escaped), 2),
            [b'"', ..] => return closed(line, at + 1).then_some((at + 1, end)),
            [byte, ..] => (byte, 1),
            [] => return None,
        };
        line[end] = byte;
        at += taken;
        end += 1;
    }
}

/// As [`double_quoted`], for single quotes.
fn single_quoted(line: &mut [u8], mut at: usize, mut end: usize) -> Option<(usize, usize)> {
    loop {
        let (byte, taken) = match *line.get(at..)? {
            [b'\\', b'\'', ..] => (b'\'', 2),
            [b'\'', ..] => return closed(line, at + 1).then_some((at + 1, end)),
            [byte, ..] => (byte, 1),
            [] => return None,
        };
        line[end] = byte;
        at += taken;
        end += 1;
    }
}

/// Whether an argument may end before position `at`.
fn closed(line: &[u8], at: usize) -> bool {
    line.get(at).is_none_or(|&byte| is_space(byte))
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Args;

    fn split_to_vec(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut line = line.to_vec();
        let mut spans = Vec::new();
        split(&mut line, &mut spans)?;
        Some(
            Args::new(&line, &spans)
                .iter()
                .map(<[u8]>::to_vec)
                .collect(),
        )
    }

    #[test]
    fn lines_split_as_sdssplitargs_does() {
        let table: [(&[u8], &[&[u8]]); 22] = [
            (b"", &[]),
            (b"   ", &[]),
            (b"\x0b\x0c\t \r", &[]),
            (b"PING", &[b"PING"]),
            (b"  SET  k\tv  ", &[b"SET", b"k", b"v"]),
            (b"a\x0bb c\x0c", &[b"a\x0bb", b"c\x0c"]),
            (b"set k \"hello world\"", &[b"set", b"k", b"hello world"]),
            (b"set k 'hello world'", &[b"set", b"k", b"hello world"]),
            (br#""\x00\xff\xAb\x0d""#, &[b"\0\xff\xab\r"]),
            (br#""\n\r\t\b\a\\\"\q""#, &[b"\n\r\t\x08\x07\\\"q"]),
            (br#""\xg1\x1""#, &[b"xg1x1"]),
            (br#""" x"#, &[b"", b"x"]),
            (b"'' ''", &[b"", b""]),
            (br"'it\'s \n'", &[br"it's \n"]),
            (br#"foo"bar" baz"#, &[b"foobar", b"baz"]),
            (br#"foo'b"r' "q'q""#, &[b"foob\"r", b"q'q"]),
            (br"a\nb", &[br"a\nb"]),
            (b"\"a\"\x0bb", &[b"a", b"b"]),
            (b"\"a\rb\" c", &[b"a\rb", b"c"]),
            (b"a\rb", &[b"a", b"b"]),
            (b"\xff\xfe \x80", &[b"\xff\xfe", b"\x80"]),
            (br#""\x41\x4a\x4A" "\x5c\x22""#, &[b"AJJ", b"\\\""]),
        ];
        for (line, args) in table {
            assert_eq!(split_to_vec(line).unwrap(), args, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        let table: [&[u8]; 9] = [
            b"\"",
            b"'",
            b"a \"b",
            b"a 'b",
            br#""a"b"#,
            b"'a'b",
            br#""a\""#,
            br"'a\'",
            br#""a""b""#,
        ];
        for line in table {
            assert_eq!(split_to_vec(line), None, "{}", line.escape_ascii());
        }
    }
}
