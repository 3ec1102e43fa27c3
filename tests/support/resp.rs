//! RESP2 and RESP3 as a client sees them. Written apart from the server's own parser: what checks
//! the server must not share its mistakes. Different bytes parse to different values.

use std::fmt;

/// One reply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// RESP3's `_`
    Null,
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    /// The text after the comma.
    Double(Vec<u8>),
    Bool(bool),
    BigNumber(Vec<u8>),
    /// With its format, `txt:`.
    Verbatim(Vec<u8>),
}

impl Value {
    pub fn bulk(text: impl AsRef<[u8]>) -> Value {
        Value::Bulk(text.as_ref().to_vec())
    }

    pub fn ok() -> Value {
        Value::Simple(b"OK".to_vec())
    }

    pub fn error(text: &str) -> Value {
        Value::Error(text.as_bytes().to_vec())
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::NullBulk | Value::NullArray)
    }

    /// The text of a string-like reply; panics on another kind.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The bytes of a string-like reply; panics on another kind.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Simple(b) | Value::Error(b) | Value::Bulk(b) | Value::Double(b) => b,
            Value::Verbatim(b) => &b[4..],
            other => panic!("not a string: {other:?}"),
        }
    }

    pub fn int(&self) -> i64 {
        match self {
            Value::Int(n) => *n,
            other => panic!("not an integer: {other:?}"),
        }
    }

    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            other => panic!("not an array: {other:?}"),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const SHOWN_MAX: usize = 200;
    let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
    write!(f, "\"{}\"", shown.escape_ascii())?;
    if bytes.len() > SHOWN_MAX {
        write!(f, "… ({} bytes)", bytes.len())?;
    }
    Ok(())
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tagged = |tag: &str, bytes: &[u8]| {
            f.write_str(tag)?;
            write_text(f, bytes)
        };
        match self {
            Value::Simple(b) => tagged("+", b),
            Value::Error(b) => tagged("-", b),
            Value::Bulk(b) => tagged("$", b),
            Value::Double(b) => tagged(",", b),
            Value::BigNumber(b) => tagged("(", b),
            Value::Verbatim(b) => tagged("=", b),
            Value::Int(n) => write!(f, ":{n}"),
            Value::NullBulk => f.write_str("$-1"),
            Value::NullArray => f.write_str("*-1"),
            Value::Null => f.write_str("_"),
            Value::Bool(b) => write!(f, "#{b}"),
            Value::Array(items) => {
                f.write_str("*")?;
                f.debug_list().entries(items).finish()
            }
            Value::Set(items) => {
                f.write_str("~")?;
                f.debug_list().entries(items).finish()
            }
            Value::Push(items) => {
                f.write_str(">")?;
                f.debug_list().entries(items).finish()
            }
            Value::Map(pairs) => {
                f.write_str("%")?;
                f.debug_map()
                    .entries(pairs.iter().map(|(k, v)| (k, v)))
                    .finish()
            }
        }
    }
}

/// Why bytes are no reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes are needed.
    Incomplete,
    /// Not RESP; the text says what is wrong.
    Malformed(String),
}

fn malformed<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Malformed(text.into()))
}

/// Parses one value at `at`; gives it and the position after it.
pub fn parse(data: &[u8], at: usize) -> Result<(Value, usize), Fault> {
    let (line, next) = line_at(data, at)?;
    let Some((&kind, rest)) = line.split_first() else {
        return malformed("an empty line where a reply starts");
    };
    let simple = |value| Ok((value, next));
    match kind {
        b'+' => simple(Value::Simple(rest.to_vec())),
        b'-' => simple(Value::Error(rest.to_vec())),
        b':' => simple(Value::Int(number(rest)?)),
        b',' => simple(Value::Double(rest.to_vec())),
        b'(' => simple(Value::BigNumber(rest.to_vec())),
        b'_' if rest.is_empty() => simple(Value::Null),
        b'#' if rest == b"t" => simple(Value::Bool(true)),
        b'#' if rest == b"f" => simple(Value::Bool(false)),
        b'$' if rest == b"-1" => simple(Value::NullBulk),
        b'*' if rest == b"-1" => simple(Value::NullArray),
        b'$' => blob(data, next, rest).map(|(b, end)| (Value::Bulk(b), end)),
        b'=' => blob(data, next, rest).map(|(b, end)| (Value::Verbatim(b), end)),
        b'*' => many(data, next, number(rest)?).map(|(v, end)| (Value::Array(v), end)),
        b'~' => many(data, next, number(rest)?).map(|(v, end)| (Value::Set(v), end)),
        b'>' => many(data, next, number(rest)?).map(|(v, end)| (Value::Push(v), end)),
        b'%' => {
            let (flat, end) = many(data, next, number(rest)? * 2)?;
            let mut flat = flat.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                pairs.push((key, value));
            }
            Ok((Value::Map(pairs), end))
        }
        other => malformed(format!("a reply starts with {:?}", char::from(other))),
    }
}

fn line_at(data: &[u8], at: usize) -> Result<(&[u8], usize), Fault> {
    let rest = data.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().position(|&b| b == b'\n') else {
        return Err(Fault::Incomplete);
    };
    match rest[..end].strip_suffix(b"\r") {
        Some(line) => Ok((line, at + end + 1)),
        None => malformed(format!(
            "a line without CR: {:?}",
            rest[..end].escape_ascii().to_string()
        )),
    }
}

fn number(text: &[u8]) -> Result<i64, Fault> {
    let parsed = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<i64>().ok());
    match parsed {
        // Only the canonical form: two servers that differ in it must not seem equal.
        Some(n) if n.to_string().as_bytes() == text => Ok(n),
        _ => malformed(format!(
            "not a canonical number: {:?}",
            text.escape_ascii().to_string()
        )),
    }
}

fn blob(data: &[u8], at: usize, length: &[u8]) -> Result<(Vec<u8>, usize), Fault> {
    let Ok(len) = usize::try_from(number(length)?) else {
        return malformed("a negative length");
    };
    if data.len() < at + len + 2 {
        return Err(Fault::Incomplete);
    }
    if &data[at + len..at + len + 2] != b"\r\n" {
        return malformed("a bulk string without CRLF at its end");
    }
    Ok((data[at..at + len].to_vec(), at + len + 2))
}

fn many(data: &[u8], mut at: usize, count: i64) -> Result<(Vec<Value>, usize), Fault> {
    if count < 0 {
        return malformed("a negative count");
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let (item, end) = parse(data, at)?;
        items.push(item);
        at = end;
    }
    Ok((items, at))
}

/// One request as an array of bulk strings.
pub fn request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Arguments as a reader would type them.
pub fn show<A: AsRef<[u8]>>(args: &[A]) -> String {
    const SHOWN_MAX: usize = 100;
    let mut out = String::new();
    for arg in args {
        let arg = arg.as_ref();
        if !out.is_empty() {
            out.push(' ');
        }
        let plain = !arg.is_empty() && arg.iter().all(|b| b.is_ascii_graphic() && *b != b'"');
        let shown = arg[..arg.len().min(SHOWN_MAX)].escape_ascii().to_string();
        if plain {
            out.push_str(&shown);
        } else {
            out.push_str(&format!("\"{shown}\""));
        }
        if arg.len() > SHOWN_MAX {
            out.push_str(&format!("…({})", arg.len()));
        }
    }
    out
}
