//! Words of a line of a configuration file: quoting as redis-server reads and writes it.

/// A quote was left open, or was closed in the middle of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Splits a line into words. Words may be bare, in `"double quotes"` with the escapes `\n \r \t \b \a \xHH` and `\`
/// before any other byte, or in `'single quotes'` where only `\'` is an escape.
///
/// # Errors
/// A quote that is not closed, or that is closed right before another byte than a blank.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, tail) = next_word(rest)?;
        words.push(word);
        rest = tail;
    }
}

fn next_word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut word = Vec::new();
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            b'"' | b'\'' => {
                rest = if byte == b'"' { double(tail, &mut word)? } else { single(tail, &mut word)? };
                if rest.first().is_some_and(|next| !is_blank(*next)) {
                    return Err(UnbalancedQuotes);
                }
                break;
            }
            _ => {
                word.push(byte);
                rest = tail;
            }
        }
    }
    // A NUL ends a bare word in Redis's C strings; here it divides words like a blank.
    let rest = rest.strip_prefix(&[0]).unwrap_or(rest);
    Ok((word, rest))
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b || byte == 0
}

fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0);
                word.push(value);
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [b'"', tail @ ..] => return Ok(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
            [] => return Err(UnbalancedQuotes),
        };
    }
}

fn single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Ok(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
            [] => return Err(UnbalancedQuotes),
        };
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The word in double quotes, so that [`split`] gives it back; the same text that redis-server writes.
pub fn quote(word: &[u8]) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for &byte in word {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).expect("balanced");
        words.into_iter().map(|word| String::from_utf8(word).expect("utf-8")).collect()
    }

    #[test]
    fn words_are_divided_by_any_run_of_blanks() {
        assert_eq!(words("  save\t900   1 \r"), ["save", "900", "1"]);
        assert!(words("  \t").is_empty());
    }

    #[test]
    fn quotes_protect_blanks_and_escapes_work_in_double_quotes_only() {
        assert_eq!(words(r#"a "b c" 'd\n\'e' """#), ["a", "b c", r"d\n'e", ""]);
        assert_eq!(words(r#""\x41\n\q\xzz""#), ["A\nqxzz"]);
        assert_eq!(words(r#"pre"fix""#), ["prefix"]);
    }

    #[test]
    fn an_open_quote_or_a_quote_closed_inside_a_word_is_an_error() {
        for line in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\"] {
            assert_eq!(split(line.as_bytes()), Err(UnbalancedQuotes), "{line}");
        }
    }

    #[test]
    fn every_byte_survives_quoting_and_splitting() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(quote(&all).as_bytes()), Ok(vec![all]));
        assert_eq!(quote(b"a b\"\x01\n"), r#""a b\"\x01\n""#);
    }
}
