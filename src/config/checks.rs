//! Validity rules of single directives, and what is refused until the work behind it exists.

use super::value::Value;

type Checked = Result<(), &'static str>;

fn text_of(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn only(accepted: bool, reason: &'static str) -> Checked {
    if accepted { Ok(()) } else { Err(reason) }
}

pub(super) fn no_save(value: &Value) -> Checked {
    let empty = matches!(value, Value::Save(points) if points.is_empty());
    only(
        empty,
        "snapshots to disk are not supported yet, only save \"\" is accepted",
    )
}

pub(super) fn no_appendonly(value: &Value) -> Checked {
    let reason = "the append-only file is not supported yet, only appendonly no is accepted";
    only(*value == Value::Bool(false), reason)
}

/// Ignoring a file of users would leave the server more open than its owner believes.
pub(super) fn no_aclfile(value: &Value) -> Checked {
    only(
        text_of(value).is_empty(),
        "ACL files are not supported yet, only aclfile \"\" is accepted",
    )
}

pub(super) fn dbfilename(value: &Value) -> Checked {
    let base_name = !text_of(value).contains('/');
    only(base_name, "dbfilename can't be a path, just a filename")
}

pub(super) fn appendfilename(value: &Value) -> Checked {
    only(!text_of(value).is_empty(), "appendfilename can't be empty")?;
    only(
        !text_of(value).contains('/'),
        "appendfilename can't be a path, just a filename",
    )
}

pub(super) fn appenddirname(value: &Value) -> Checked {
    only(!text_of(value).is_empty(), "appenddirname can't be empty")?;
    only(
        !text_of(value).contains('/'),
        "appenddirname can't be a path, just a dirname",
    )
}

pub(super) fn hostname(value: &Value) -> Checked {
    let text = text_of(value);
    only(
        text.len() < 256,
        "Hostnames must be less than 256 characters",
    )?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let reason = "Hostnames may only contain alphanumeric characters, hyphens or dots";
    only(text.bytes().all(plain), reason)
}

/// `{variable}`s of a process title; only Redis's own are known.
pub(super) fn proc_title_template(value: &Value) -> Checked {
    const KNOWN: [&str; 7] = [
        "title",
        "listen-addr",
        "server-mode",
        "port",
        "tls-port",
        "unixsocket",
        "config-file",
    ];
    const REASON: &str = "template format is invalid or contains unknown variables";
    let mut rest = text_of(value);
    while let Some((_, tail)) = rest.split_once('{') {
        let (variable, tail) = tail.split_once('}').ok_or(REASON)?;
        only(KNOWN.contains(&variable), REASON)?;
        rest = tail;
    }
    Ok(())
}
