use proptest::prelude::*;

use super::*;
use crate::protocol::reply_parser::{ReplyLimits, ReplyParser, Value};
use crate::value::number::format_f64;

/// What `write` produces in RESP2 and in RESP3.
fn both(write: impl Fn(&mut Reply)) -> (String, String) {
    let text = |version| {
        let mut reply = Reply::new(version);
        write(&mut reply);
        reply.take().escape_ascii().to_string()
    };
    (text(Version::Resp2), text(Version::Resp3))
}

#[track_caller]
fn check(write: impl Fn(&mut Reply), resp2: &str, resp3: &str) {
    assert_eq!(
        both(write),
        (resp2.replace('|', r"\r\n"), resp3.replace('|', r"\r\n"))
    );
}

#[test]
fn types_of_both_versions_are_the_same_bytes() {
    check(|r| r.ok(), "+OK|", "+OK|");
    check(|r| r.simple("QUEUED"), "+QUEUED|", "+QUEUED|");
    check(|r| r.integer(-12), ":-12|", ":-12|");
    check(|r| r.bulk(b""), "$0||", "$0||");
    check(
        |r| r.bulk(b"0123456789\xff"),
        r"$11|0123456789\xff|",
        r"$11|0123456789\xff|",
    );
    check(|r| r.bulk_str("x"), "$1|x|", "$1|x|");
    check(
        |r| r.bulk_integer(i64::MIN),
        "$20|-9223372036854775808|",
        "$20|-9223372036854775808|",
    );
    check(|r| r.array(0), "*0|", "*0|");
    check(|r| r.array(1_048_576), "*1048576|", "*1048576|");
    check(|r| r.raw(b":1\r\n"), ":1|", ":1|");
    check(
        |r| r.args(&OwnedArgs::new(&[b"a", b""])),
        "*2|$1|a|$0||",
        "*2|$1|a|$0||",
    );
}

#[test]
fn types_of_resp3_have_a_form_in_resp2() {
    check(|r| r.null(), "$-1|", "_|");
    check(|r| r.null_array(), "*-1|", "_|");
    check(|r| r.map(7), "*14|", "%7|");
    check(|r| r.set(3), "*3|", "~3|");
    check(|r| r.push(3), "*3|", ">3|");
    check(|r| r.double(3.0), "$1|3|", ",3|");
    check(|r| r.double(1e300), "$6|1e+300|", ",1e+300|");
    check(|r| r.double(f64::NEG_INFINITY), "$4|-inf|", ",-inf|");
    check(|r| r.double(f64::NAN), "$3|nan|", ",nan|");
    check(|r| r.big_number("-123"), "$4|-123|", "(-123|");
    check(|r| r.boolean(true), ":1|", "#t|");
    check(|r| r.boolean(false), ":0|", "#f|");
    check(|r| r.verbatim("txt", b"hi"), "$2|hi|", "=6|txt:hi|");
}

#[test]
fn an_error_is_one_line_whatever_it_quotes() {
    check(
        |r| r.error("ERR syntax error"),
        "-ERR syntax error|",
        "-ERR syntax error|",
    );
    check(
        |r| r.error("ERR a\r\nb\nc\r\n\n"),
        "-ERR a  b c|",
        "-ERR a  b c|",
    );
    check(
        |r| r.error_bytes(b"ERR '\xff'"),
        r"-ERR \'\xff\'|",
        r"-ERR \'\xff\'|",
    );
    check(|r| r.error_bytes(b"\n"), "-|", "-|");
}

#[test]
fn protocol_errors_are_told_as_redis_tells_them() {
    let text = |error| {
        let mut reply = Reply::new(Version::Resp2);
        reply.protocol_error(error);
        reply.take()
    };
    assert_eq!(
        text(ProtocolError::InvalidCount),
        b"-ERR Protocol error: invalid multibulk length\r\n"
    );
    for byte in 0..=255u8 {
        let echoed = if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            byte
        };
        let expected = [
            &b"-ERR Protocol error: expected '$', got '"[..],
            &[echoed],
            b"'\r\n",
        ]
        .concat();
        assert_eq!(text(ProtocolError::ExpectedBulk(byte)), expected);
        if byte.is_ascii() {
            let display = format!("-ERR {}\r\n", ProtocolError::ExpectedBulk(byte));
            assert_eq!(display.as_bytes(), expected);
        }
    }
    assert_eq!(text(ProtocolError::QueryBufferLimit), b"");
}

#[test]
fn a_deferred_length_of_any_size_is_patched_in() {
    for len in [0, 1, 9, 10, 99, 100, 12345] {
        for version in [Version::Resp2, Version::Resp3] {
            let (mut deferred, mut direct) = (Reply::new(version), Reply::new(version));
            for reply in [&mut deferred, &mut direct] {
                reply.ok();
            }
            let array = deferred.begin_array();
            direct.array(len);
            for reply in [&mut deferred, &mut direct] {
                (0..len).for_each(|i| reply.bulk_integer(i as i64));
            }
            deferred.finish(array, len);

            let map = deferred.begin_map();
            direct.map(len);
            for reply in [&mut deferred, &mut direct] {
                (0..2 * len).for_each(|i| reply.integer(i as i64));
            }
            deferred.finish(map, len);

            let set = deferred.begin_set();
            direct.set(len);
            for reply in [&mut deferred, &mut direct] {
                (0..len).for_each(|i| reply.integer(i as i64));
            }
            deferred.finish(set, len);
            assert_eq!(deferred.bytes(), direct.bytes());
        }
    }
}

#[test]
fn deferred_aggregates_nest() {
    let mut reply = Reply::new(Version::Resp3);
    let outer = reply.begin_map();
    for i in 0..12 {
        reply.integer(i);
        let inner = reply.begin_set();
        (0..i).for_each(|j| reply.integer(j));
        reply.finish(inner, i as usize);
    }
    reply.finish(outer, 12);
    let mut parser = ReplyParser::new(ReplyLimits::default());
    parser.push(reply.bytes());
    let expected = (0..12).map(|i| {
        (
            Value::Integer(i),
            Value::Set((0..i).map(Value::Integer).collect()),
        )
    });
    assert_eq!(parser.next(), Ok(Some(Value::Map(expected.collect()))));
}

#[test]
fn a_half_written_reply_can_be_dropped() {
    let mut reply = Reply::with_buffer(b"+OK\r\n".to_vec(), Version::Resp3);
    let len = reply.len();
    reply.array(2);
    reply.null();
    reply.truncate(len);
    assert_eq!(reply.bytes(), b"+OK\r\n");
    reply.clear();
    assert!(reply.is_empty());
    reply.set_version(Version::Resp2);
    reply.null();
    assert_eq!(reply.version(), Version::Resp2);
    assert_eq!(reply.take(), b"$-1\r\n");
    assert_eq!(reply.len(), 0);
}

/// Any reply, as the parser of RESP3 returns it.
fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        "[ -~]{0,12}".prop_map(|text| Value::Simple(text.into_bytes())),
        "ERR [ -~]{0,12}".prop_map(|text| Value::Error(text.into_bytes())),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        Just(Value::Null),
        any::<f64>()
            .prop_filter("NaN differs from itself", |x| !x.is_nan())
            .prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,40}".prop_map(|text| Value::BigNumber(text.into_bytes())),
        bytes().prop_map(|data| Value::Verbatim {
            format: *b"mkd",
            data
        }),
    ];
    leaf.prop_recursive(4, 64, 12, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..14);
        prop_oneof![
            many.clone().prop_map(Value::Array),
            many.clone().prop_map(Value::Set),
            many.prop_map(Value::Push),
            prop::collection::vec((inner.clone(), inner), 0..14).prop_map(Value::Map),
        ]
    })
}

/// Writes `value`, arrays, maps and sets with a deferred length if `deferred`.
fn write(reply: &mut Reply, value: &Value, deferred: bool) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let all = |reply: &mut Reply, values: &[Value]| {
        values
            .iter()
            .for_each(|value| write(reply, value, deferred));
    };
    match value {
        Value::Simple(bytes) => reply.simple(&text(bytes)),
        Value::Error(bytes) => reply.error_bytes(bytes),
        Value::Integer(n) => reply.integer(*n),
        Value::Bulk(data) => reply.bulk(data),
        Value::Null => reply.null(),
        Value::Array(values) if deferred => {
            let header = reply.begin_array();
            all(reply, values);
            reply.finish(header, values.len());
        }
        Value::Array(values) => {
            reply.array(values.len());
            all(reply, values);
        }
        Value::Set(values) if deferred => {
            let header = reply.begin_set();
            all(reply, values);
            reply.finish(header, values.len());
        }
        Value::Set(values) => {
            reply.set(values.len());
            all(reply, values);
        }
        Value::Push(values) => {
            reply.push(values.len());
            all(reply, values);
        }
        Value::Map(pairs) => {
            let header = deferred.then(|| reply.begin_map());
            if header.is_none() {
                reply.map(pairs.len());
            }
            for (key, value) in pairs {
                write(reply, key, deferred);
                write(reply, value, deferred);
            }
            if let Some(header) = header {
                reply.finish(header, pairs.len());
            }
        }
        Value::Double(x) => reply.double(*x),
        Value::Boolean(x) => reply.boolean(*x),
        Value::BigNumber(digits) => reply.big_number(&text(digits)),
        Value::Verbatim { format, data } => reply.verbatim(&text(format), data),
    }
}

/// What is left of a reply in RESP2.
fn downgrade(value: Value) -> Value {
    let all = |values: Vec<Value>| values.into_iter().map(downgrade).collect();
    match value {
        Value::Array(values) | Value::Set(values) | Value::Push(values) => {
            Value::Array(all(values))
        }
        Value::Map(pairs) => Value::Array(all(pairs
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect())),
        Value::Double(x) => Value::Bulk(format_f64(x).into_bytes()),
        Value::Boolean(x) => Value::Integer(x.into()),
        Value::BigNumber(digits) => Value::Bulk(digits),
        Value::Verbatim { data, .. } => Value::Bulk(data),
        other => other,
    }
}

proptest! {
    #[test]
    fn replies_survive_writing_and_parsing_in_both_versions(
        values in prop::collection::vec(any_value(), 1..4),
        cut in 1usize..40,
        deferred: bool,
    ) {
        for version in [Version::Resp2, Version::Resp3] {
            let mut reply = Reply::new(version);
            values.iter().for_each(|value| write(&mut reply, value, deferred));
            let mut parser = ReplyParser::new(ReplyLimits::default());
            let mut parsed = Vec::new();
            for piece in reply.bytes().chunks(cut) {
                parser.push(piece);
                while let Some(value) = parser.next().unwrap() {
                    parsed.push(value);
                }
            }
            prop_assert_eq!(parser.buffered(), 0);
            let expected = values.iter().cloned().map(|value| match version {
                Version::Resp2 => downgrade(value),
                Version::Resp3 => value,
            });
            prop_assert_eq!(parsed, expected.collect::<Vec<_>>());
        }
    }
}
