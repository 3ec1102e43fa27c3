use proptest::prelude::*;

use super::*;

fn parse(bytes: &[u8], limits: ReplyLimits) -> (Vec<Value>, Option<ReplyError>) {
    let run = |cut: usize| {
        let mut parser = ReplyParser::new(limits);
        let mut values = Vec::new();
        for piece in bytes.chunks(cut) {
            parser.push(piece);
            loop {
                match parser.next() {
                    Ok(Some(value)) => values.push(value),
                    Ok(None) => break,
                    Err(error) => return (values, Some(error)),
                }
            }
        }
        (values, None)
    };
    let whole = run(bytes.len().max(1));
    // Debug text, because a NaN differs from itself.
    assert_eq!(format!("{:?}", run(1)), format!("{whole:?}"));
    whole
}

#[test]
fn every_type_is_parsed() {
    let bytes = b"+OK\r\n-ERR x\r\n!5\r\nE\r\n\0x\r\n:-1\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n\
        *2\r\n:1\r\n*0\r\n%1\r\n+k\r\n~1\r\n#t\r\n>1\r\n#f\r\n\
        ,1.5e3\r\n,-inf\r\n(-123456789012345678901\r\n=6\r\ntxt:hi\r\n";
    let expected = [
        Value::Simple(b"OK".to_vec()),
        Value::Error(b"ERR x".to_vec()),
        Value::Error(b"E\r\n\0x".to_vec()),
        Value::Integer(-1),
        Value::Bulk(b"a\r\n".to_vec()),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Array(vec![Value::Integer(1), Value::Array(vec![])]),
        Value::Map(vec![(
            Value::Simple(b"k".to_vec()),
            Value::Set(vec![Value::Boolean(true)]),
        )]),
        Value::Push(vec![Value::Boolean(false)]),
        Value::Double(1500.0),
        Value::Double(f64::NEG_INFINITY),
        Value::BigNumber(b"-123456789012345678901".to_vec()),
        Value::Verbatim {
            format: *b"txt",
            data: b"hi".to_vec(),
        },
    ];
    assert_eq!(
        parse(bytes, ReplyLimits::default()),
        (expected.to_vec(), None)
    );
}

#[test]
fn attributes_and_the_newlines_of_a_waiting_primary_are_skipped() {
    let bytes =
        b"\n\n+A\r\n\n|1\r\n+ttl\r\n:1\r\n*2\r\n|1\r\n+x\r\n*1\r\n+y\r\n:1\r\n:2\r\n|0\r\n\n+B\r\n";
    let expected = [
        Value::Simple(b"A".to_vec()),
        Value::Array(vec![Value::Integer(1), Value::Integer(2)]),
        Value::Simple(b"B".to_vec()),
    ];
    assert_eq!(
        parse(bytes, ReplyLimits::default()),
        (expected.to_vec(), None)
    );
}

#[test]
fn malformed_replies_are_refused() {
    let malformed: [&[u8]; 22] = [
        b":\r\n",
        b":01\r\n",
        b":1x\r\n",
        b":1\n",
        b"+OK\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$1\r\nabc",
        b"*-2\r\n",
        b"%-1\r\n",
        b"~-1\r\n",
        b"#x\r\n",
        b"#\r\n",
        b",x\r\n",
        b"(\r\n",
        b"(-\r\n",
        b"(1a\r\n",
        b"_x\r\n",
        b"=2\r\nab\r\n",
        b"=4\r\ntxt-\r\n",
        b"!-1\r\n",
        b"=-1\r\n",
    ];
    for bytes in malformed {
        let error = parse(bytes, ReplyLimits::default());
        assert_eq!(
            error,
            (vec![], Some(ReplyError::Malformed)),
            "{}",
            bytes.escape_ascii()
        );
    }
    for bytes in [&b"x"[..], b"\r\n", b"*1\r\n\n", b"\0"] {
        let (_, error) = parse(bytes, ReplyLimits::default());
        assert!(
            matches!(error, Some(ReplyError::UnknownType(_))),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn every_limit_holds() {
    let limits = ReplyLimits {
        depth_max: 3,
        elements_max: 10,
        line_len_max: 20,
        bulk_len_max: 30,
    };
    let bulk = |len: usize| [format!("${len}\r\n").as_bytes(), &vec![b'x'; len], b"\r\n"].concat();
    let accepted: [&[u8]; 5] = [
        b"*1\r\n*1\r\n*1\r\n:1\r\n",
        b"*10\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        b"*1\r\n:1\r\n*10\r\n:1\r\n",
        b"+01234567890123456789\r\n",
        &bulk(30),
    ];
    for bytes in accepted {
        assert_eq!(parse(bytes, limits).1, None, "{}", bytes.escape_ascii());
    }
    let refused: [&[u8]; 9] = [
        b"*1\r\n*1\r\n*1\r\n*1\r\n",
        b"*11\r\n",
        b"%6\r\n",
        b"*5\r\n*6\r\n",
        b"%9223372036854775807\r\n",
        b"*9223372036854775807\r\n",
        b"+012345678901234567890\r\n",
        b"+0123456789012345678901234567890",
        b"$31\r\n",
    ];
    for bytes in refused {
        assert_eq!(
            parse(bytes, limits).1,
            Some(ReplyError::Limit),
            "{}",
            bytes.escape_ascii()
        );
    }
    let unlimited = ReplyLimits {
        depth_max: usize::MAX,
        elements_max: usize::MAX,
        line_len_max: usize::MAX,
        bulk_len_max: usize::MAX,
    };
    let huge = parse(
        b"*9223372036854775807\r\n$9223372036854775807\r\n",
        unlimited,
    );
    assert_eq!(huge, (vec![], None));
}

#[test]
fn an_error_is_final() {
    let mut parser = ReplyParser::new(ReplyLimits::default());
    parser.push(b"+A\r\nx+B\r\n");
    assert_eq!(parser.next(), Ok(Some(Value::Simple(b"A".to_vec()))));
    for _ in 0..2 {
        assert_eq!(parser.next(), Err(ReplyError::UnknownType(b'x')));
        parser.push(b"+C\r\n");
    }
}

#[test]
fn what_follows_a_reply_can_be_taken_out() {
    let mut parser = ReplyParser::new(ReplyLimits::default());
    parser.push(b"+FULLRESYNC x 0\r\n$4\r\nREDI");
    assert_eq!(
        parser.next(),
        Ok(Some(Value::Simple(b"FULLRESYNC x 0".to_vec())))
    );
    assert_eq!(parser.take_unread(), b"$4\r\nREDI");
    assert_eq!(parser.buffered(), 0);
    assert_eq!(parser.next(), Ok(None));
}

proptest! {
    #[test]
    fn hostile_bytes_do_not_panic(
        tokens in prop::collection::vec(prop_oneof![
            "[*%~>|$=!]-?[0-9]{1,19}\r\n",
            "[-+:,#(_][0-9a-z.]{0,4}\r\n",
            "[*%~>|]1\r\n",
            Just("\n".to_string()),
        ], 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let limits = ReplyLimits { bulk_len_max: 64, elements_max: 1000, ..ReplyLimits::default() };
        parse(tokens.concat().as_bytes(), limits);
        parse(&[tokens.concat().as_bytes(), &noise[..]].concat(), limits);
        parse(&noise, limits);
    }
}
