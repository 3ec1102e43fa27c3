use proptest::prelude::*;

use super::*;
use crate::protocol::encode;

/// A request as the tests compare it: its arguments, and whether it was canonical.
type Parsed = (Vec<Vec<u8>>, bool);

/// All requests in `input`, and the error that ended it.
fn drain(input: &mut Input, limits: &Limits, out: &mut Vec<Parsed>) -> Option<ProtocolError> {
    loop {
        match input.next(limits) {
            Ok(Some(request)) => {
                let args: Vec<&[u8]> = request.args.iter().collect();
                if let Some(verbatim) = request.verbatim {
                    let mut encoded = Vec::new();
                    encode::request(&mut encoded, &args);
                    assert_eq!(verbatim, encoded);
                }
                let args = args.into_iter().map(<[u8]>::to_vec).collect();
                out.push((args, request.verbatim.is_some()));
            }
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

/// Parses `pieces`, each as one push.
fn parse<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: &Limits,
) -> (Vec<Parsed>, Option<ProtocolError>) {
    let mut input = Input::new();
    let mut out = Vec::new();
    for piece in pieces {
        input.push(piece);
        if let Some(error) = drain(&mut input, limits, &mut out) {
            return (out, Some(error));
        }
    }
    (out, None)
}

fn error_of(bytes: &[u8], limits: &Limits) -> String {
    let whole = parse([bytes], limits);
    let bytewise = parse(bytes.chunks(1), limits);
    assert_eq!(
        whole,
        bytewise,
        "{}",
        bytes[..bytes.len().min(60)].escape_ascii()
    );
    whole.1.map_or(String::new(), |error| error.to_string())
}

fn args(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|arg| arg.as_bytes().to_vec()).collect()
}

fn corpus() -> Vec<Vec<u8>> {
    let mut many = Vec::new();
    for i in 0..20 {
        let key = format!("key:{i}");
        encode::request(&mut many, &[b"SET", key.as_bytes(), &vec![b'v'; i]]);
    }
    let mut wide = b"PING\r\n".to_vec();
    encode::request(&mut wide, &[&b"x"[..]; 40]);
    let mut mixed =
        b"\r\n\n*0\r\n*-1\r\nSET k \"a \\x00\\\"\" 'b'\r\n*1\r\n$4\r\nPING\r\n  \r\nGET k\n"
            .to_vec();
    mixed.extend_from_slice(b"*2\r\n$0\r\n\r\n$4\r\n\r\n*1\r\n");
    vec![
        many,
        wide,
        mixed,
        b"*1\rX$4\rYPINGZZ*1\r\n$4\r\nPING\rZ*1\r\n$4\r\nPING\r\n".to_vec(),
        b"PING\r\n*2\r\n$1\r\na\r\nPING\r\n*1\r\n$1\r\na\r\n".to_vec(),
        b"*1\r\n$1\r\na\r\n*01\r\n".to_vec(),
        b"*1\r\n$1\r\na\r\n*1\r\n$01\r\n".to_vec(),
        b"GET \"a\\\"b\"\n\"unbalanced\n".to_vec(),
        b"*2\r\n$3\r\nGET\r\n$-1\r\n".to_vec(),
        b"*1\r\n\r\n".to_vec(),
    ]
}

#[test]
fn a_request_of_bulks_is_parsed_and_verbatim() {
    let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n";
    let mut input = Input::new();
    input.push(bytes);
    let limits = Limits::default();
    let request = input.next(&limits).unwrap().unwrap();
    assert_eq!(
        request.args.iter().collect::<Vec<_>>(),
        [&b"SET"[..], b"k", b"\r\n"]
    );
    assert_eq!(request.verbatim, Some(&bytes[..]));
    assert!(input.next(&limits).unwrap().is_none());
    assert_eq!(input.buffered(), 0);
}

#[test]
fn inline_and_empty_requests_are_parsed_as_redis_does() {
    let bytes = b"\r\n\n \t\r\n*0\r\n*-1\r\n*-9223372036854775808\r\nPING\nset k \"a b\"\r\n\
        *1\r\n$4\r\nECHO\r\n";
    let (requests, error) = parse([&bytes[..]], &Limits::default());
    assert_eq!(error, None);
    assert_eq!(
        requests,
        [
            (args(&["PING"]), false),
            (args(&["set", "k", "a b"]), false),
            (args(&["ECHO"]), true)
        ]
    );
}

#[test]
fn line_ends_are_as_sloppy_as_in_redis_but_not_verbatim() {
    let (requests, error) = parse([&b"*1\rX$4\rYPINGZZ"[..]], &Limits::default());
    assert_eq!((requests, error), (vec![(args(&["PING"]), false)], None));
    for bytes in [
        &b"*1\rX$1\r\na\r\n"[..],
        b"*1\r\n$1\rXa\r\n",
        b"*1\r\n$1\r\na\rX",
        b"*1\r\n$1\r\naX\n",
    ] {
        let (requests, error) = parse([bytes], &Limits::default());
        assert_eq!((requests, error), (vec![(args(&["a"]), false)], None));
    }
}

#[test]
fn every_split_of_a_pipeline_gives_the_same_requests() {
    let limits = Limits::default();
    for bytes in corpus() {
        let whole = parse([&bytes[..]], &limits);
        assert_eq!(parse(bytes.chunks(1), &limits), whole);
        for i in 0..=bytes.len() {
            let (a, b) = bytes.split_at(i);
            assert_eq!(parse([a, b], &limits), whole, "split at {i}");
            let (b, c) = b.split_at(b.len().min(3));
            assert_eq!(parse([a, b, c], &limits), whole, "split at {i} and 3 on");
        }
    }
}

/// Requests that no limit makes wrong, and the texts of their errors.
#[rustfmt::skip]
const MALFORMED: &[(&[u8], &str)] = &[
    (b"*\r\n", "Protocol error: invalid multibulk length"),
    (b"* 1\r\n", "Protocol error: invalid multibulk length"),
    (b"*01\r\n", "Protocol error: invalid multibulk length"),
    (b"*-0\r\n", "Protocol error: invalid multibulk length"),
    (b"*1x\r\n", "Protocol error: invalid multibulk length"),
    (b"*1048577\r\n", "Protocol error: invalid multibulk length"),
    (b"*2147483648\r\n", "Protocol error: invalid multibulk length"),
    (b"*99999999999999999999\r\n", "Protocol error: invalid multibulk length"),
    (b"*9223372036854775807\r\n", "Protocol error: invalid multibulk length"),
    (b"*1\r\nx\r\n", "Protocol error: expected '$', got 'x'"),
    (b"*1\r\n*1\r\n", "Protocol error: expected '$', got '*'"),
    (b"*1\r\n\r\n", "Protocol error: expected '$', got ' '"),
    (b"*1\r\n\n\r\n", "Protocol error: expected '$', got ' '"),
    (b"*1\r\n$\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$+1\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$00\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length"),
    (b"GET \"k\r\n", "Protocol error: unbalanced quotes in request"),
    (b"GET 'k'x\r\n", "Protocol error: unbalanced quotes in request"),
    (b"\"\n", "Protocol error: unbalanced quotes in request"),
];

#[test]
fn every_error_has_the_text_of_redis() {
    let limits = Limits::default();
    let closed = Limits {
        authenticated: false,
        ..limits
    };
    for &(bytes, text) in MALFORMED {
        assert_eq!(error_of(bytes, &limits), text, "{}", bytes.escape_ascii());
    }
    assert_eq!(
        error_of(b"*11\r\n", &closed),
        "Protocol error: unauthenticated multibulk length"
    );
    assert_eq!(
        error_of(b"*1048577\r\n", &closed),
        "Protocol error: invalid multibulk length"
    );
    let text = "Protocol error: unauthenticated bulk length";
    assert_eq!(error_of(b"*1\r\n$16385\r\n", &closed), text);
    for accepted in [
        &b"*1048576\r\n"[..],
        b"*1\r\n$536870912\r\n",
        b"*1\r",
        b"*",
        b"*1\r\n$",
    ] {
        assert_eq!(error_of(accepted, &limits), "");
    }
    assert_eq!(error_of(b"*10\r\n$16384\r\n", &closed), "");
}

#[test]
fn lines_are_limited_to_64_kib() {
    let limits = Limits::default();
    let long = |prefix: &[u8], len: usize, end: &[u8]| {
        let line = prefix.rsplit(|&byte| byte == b'\n').next().unwrap().len();
        [prefix, &vec![b'1'; len - line], end].concat()
    };
    let table: [(&[u8], &str, &str); 4] = [
        (b"", "Protocol error: too big inline request", ""),
        (
            b"*",
            "Protocol error: too big mbulk count string",
            "Protocol error: invalid multibulk length",
        ),
        (
            b"*1\r\n$",
            "Protocol error: too big bulk count string",
            "Protocol error: invalid bulk length",
        ),
        (
            b"*1\r\nx",
            "Protocol error: too big bulk count string",
            "Protocol error: expected '$', got 'x'",
        ),
    ];
    for (prefix, too_long, longest) in table {
        assert_eq!(error_of(&long(prefix, 65536, b""), &limits), "");
        assert_eq!(error_of(&long(prefix, 65537, b""), &limits), too_long);
        assert_eq!(error_of(&long(prefix, 65537, b"\r\n"), &limits), too_long);
        let end: &[u8] = if prefix.is_empty() { b"\n" } else { b"\r\n" };
        assert_eq!(error_of(&long(prefix, 65536, end), &limits), longest);
    }
}

#[test]
fn nothing_is_found_behind_a_nul_in_a_line() {
    let limits = Limits::default();
    for bytes in [&b"*1\0\r\n"[..], b"PI\0NG\r\nPING\r\n", b"*1\r\n$1\0\r\n"] {
        assert_eq!(error_of(bytes, &limits), "");
        assert_eq!(parse([bytes], &limits).0, []);
        let endless = [bytes, &vec![b'\n'; 65537]].concat();
        assert!(error_of(&endless, &limits).contains("too big"));
    }
}

#[test]
fn an_error_is_final() {
    let mut input = Input::new();
    input.push(b"*1\r\n$4\r\nPING\r\n*x\r\n*1\r\n$4\r\nPING\r\n");
    let limits = Limits::default();
    assert!(input.next(&limits).unwrap().is_some());
    for _ in 0..3 {
        assert_eq!(
            input.next(&limits).unwrap_err(),
            ProtocolError::InvalidCount
        );
        input.push(b"PING\r\n");
    }
}

#[test]
fn a_request_larger_than_the_query_buffer_is_refused_however_it_arrives() {
    let mut bytes = Vec::new();
    encode::request(&mut bytes, &[b"SET", b"k", &[b'v'; 1000]]);
    let limits = Limits {
        query_buffer_max: bytes.len(),
        ..Limits::default()
    };
    let pipeline = bytes.repeat(5);
    assert_eq!(parse([&pipeline[..]], &limits).0.len(), 5);
    assert_eq!(error_of(&pipeline, &limits), "");
    let tight = Limits {
        query_buffer_max: bytes.len() - 1,
        ..limits
    };
    assert_eq!(error_of(&bytes, &tight), "Query buffer limit exceeded");
    assert!(!ProtocolError::QueryBufferLimit.has_reply());
    let inline = Limits {
        query_buffer_max: 100,
        ..limits
    };
    assert_eq!(
        error_of(&[b'a'; 101], &inline),
        "Query buffer limit exceeded"
    );
}

#[test]
fn a_bulk_that_no_span_can_hold_is_refused_whatever_the_limits_say() {
    let limits = Limits {
        bulk_len_max: usize::MAX,
        args_max: usize::MAX,
        query_buffer_max: usize::MAX,
        authenticated: true,
    };
    for len in ["4294967296", "9223372036854775807"] {
        let bytes = format!("*1\r\n${len}\r\n");
        assert_eq!(
            error_of(bytes.as_bytes(), &limits),
            "Protocol error: invalid bulk length"
        );
    }
}

#[test]
fn limits_apply_from_the_next_request_on() {
    let mut input = Input::new();
    let closed = Limits {
        authenticated: false,
        ..Limits::default()
    };
    input.push(b"AUTH x\r\n*11\r\n");
    assert!(input.next(&closed).unwrap().is_some());
    assert!(input.next(&Limits::default()).unwrap().is_none());
}

#[test]
fn a_large_bulk_is_given_its_space_at_once_and_gives_it_back() {
    const LEN: usize = 64 * 1024 * 1024;
    let limits = Limits::default();
    let mut input = Input::new();
    input.push(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${LEN}\r\n").as_bytes());
    assert!(input.next(&limits).unwrap().is_none());
    let reserved = input.capacity();
    assert!((LEN..LEN + 64 * 1024).contains(&reserved), "{reserved}");
    let piece = vec![b'v'; 1024 * 1024];
    for _ in 0..LEN / piece.len() {
        input.push(&piece);
        assert!(input.next(&limits).unwrap().is_none());
        assert_eq!(input.capacity(), reserved);
    }
    input.push(b"\r\n*1\r\n$4\r\nPI");
    assert_eq!(input.next(&limits).unwrap().unwrap().args[2].len(), LEN);
    assert!(input.next(&limits).unwrap().is_none());
    assert!(input.capacity() < 64 * 1024);
    input.push(b"NG\r\n");
    assert_eq!(&input.next(&limits).unwrap().unwrap().args[0], b"PING");
}

#[test]
fn an_announcement_reserves_no_more_than_the_limits_permit() {
    let limits = Limits {
        query_buffer_max: 1024 * 1024,
        ..Limits::default()
    };
    let mut input = Input::new();
    input.push(b"*1048576\r\n$536870912\r\n");
    assert!(input.next(&limits).unwrap().is_none());
    assert!(
        input.capacity() <= 1024 * 1024 + 64 * 1024,
        "{}",
        input.capacity()
    );
}

#[test]
fn many_large_bulks_of_one_request_grow_the_buffer_geometrically() {
    let limits = Limits::default();
    let value = vec![b'v'; 40 * 1024];
    let mut bytes = Vec::new();
    encode::request(&mut bytes, &vec![&value[..]; 200]);
    let mut input = Input::new();
    let mut growths = 0;
    for piece in bytes.chunks(4096) {
        let before = input.capacity();
        input.push(piece);
        let found = input.next(&limits).unwrap().is_some();
        growths += usize::from(input.capacity() != before);
        if found {
            assert!(growths < 20, "{growths}");
            assert!(input.next(&limits).unwrap().is_none());
            assert!(input.capacity() <= IDLE_CAPACITY_MAX + IDLE_SPANS_MAX * 8);
            return;
        }
    }
    panic!("the request did not arrive");
}

#[test]
fn a_consumed_prefix_does_not_grow_the_buffer() {
    let limits = Limits::default();
    let mut bytes = Vec::new();
    encode::request(&mut bytes, &[b"SET", b"key", &[b'v'; 100]]);
    let stream = bytes.repeat(1000);
    let mut input = Input::new();
    let mut out = Vec::new();
    // Pieces that never end with a request, so that the buffer is never empty.
    for piece in stream.chunks(bytes.len() + 1) {
        input.push(piece);
        assert_eq!(drain(&mut input, &limits, &mut out), None);
        assert!(input.capacity() < 16 * 1024, "{}", input.capacity());
    }
    assert_eq!(out.len(), 1000);
}

#[test]
fn unread_bytes_can_be_taken_out() {
    let mut input = Input::new();
    input.push(b"PING\r\n*1\r\n$4\r\nPI");
    let limits = Limits::default();
    assert!(input.next(&limits).unwrap().is_some());
    assert!(input.next(&limits).unwrap().is_none());
    assert_eq!(input.buffered(), 10);
    assert_eq!(input.take_unread(), b"*1\r\n$4\r\nPI");
    assert_eq!((input.buffered(), input.capacity()), (0, 0));
    input.push(b"PING\r\n");
    assert_eq!(&input.next(&limits).unwrap().unwrap().args[0], b"PING");
}

#[test]
fn a_new_input_allocates_nothing() {
    assert_eq!(Input::new().capacity(), 0);
}

/// Bytes that look like the protocol more often than random ones.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"*1\r\n".to_vec()),
        Just(b"*3\r\n".to_vec()),
        Just(b"$3\r\nSET\r\n".to_vec()),
        Just(b"$0\r\n\r\n".to_vec()),
        Just(b"*1048576\r\n".to_vec()),
        Just(b"$536870912\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
        Just(b"PING\r\n".to_vec()),
        Just(b"GET \"a\\x41\" 'b'\n".to_vec()),
        "[*$0-9 \"'\\\\x\r\n\0]{0,6}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn hostile_bytes_neither_panic_nor_over_allocate(
        bytes in hostile(),
        cuts in prop::collection::vec(1usize..16, 1..8),
        authenticated: bool,
    ) {
        let limits = Limits { query_buffer_max: 1024 * 1024, authenticated, ..Limits::default() };
        let whole = parse([&bytes[..]], &limits);
        let mut input = Input::new();
        let mut out = Vec::new();
        let mut error = None;
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() || error.is_some() {
                break;
            }
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            input.push(piece);
            error = drain(&mut input, &limits, &mut out);
            prop_assert!(input.capacity() <= 1024 * 1024 + 64 * 1024);
            rest = tail;
        }
        prop_assert_eq!((out, error), whole);
    }

    #[test]
    fn any_request_survives_encoding_and_parsing(
        requests in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 1..6),
        cut in 1usize..50,
    ) {
        let mut bytes = Vec::new();
        for request in &requests {
            encode::request(&mut bytes, &request.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        let (parsed, error) = parse(bytes.chunks(cut), &Limits::default());
        prop_assert_eq!(error, None);
        let expected: Vec<Parsed> = requests.into_iter().map(|request| (request, true)).collect();
        prop_assert_eq!(parsed, expected);
    }
}

/// Looking ahead by any number, with the input cut anywhere, gives what `next` alone gives.
#[test]
fn looking_ahead_changes_nothing_of_what_comes() {
    let stream: &[u8] =
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\nxy\r\n\
        *0\r\nECHO hi\r\n*1\r\n$4\r\nQUIT\r\n*1\r\n!\r\n";
    let limits = Limits::default();
    let owned = |request: Request<'_>| {
        let args: Vec<Vec<u8>> = request.args.iter().map(<[u8]>::to_vec).collect();
        (args, request.verbatim.map(<[u8]>::to_vec))
    };
    let run = |cuts: &[usize], ahead: usize| {
        let (mut input, mut seen, mut failed) = (Input::new(), Vec::new(), None);
        let mut from = 0;
        for &to in cuts.iter().chain([&stream.len()]) {
            input.push(&stream[from..to]);
            from = to;
            loop {
                if ahead > 0 {
                    let ready = input.look_ahead(&limits, ahead);
                    assert!(ready == 0 || input.ahead().count() == ready);
                }
                match input.next(&limits) {
                    Ok(Some(request)) => seen.push(owned(request)),
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        (seen, failed)
    };
    let plain = run(&[], 0);
    assert_eq!(plain.0.len(), 5);
    assert!(plain.1.is_some());
    for cut in 0..stream.len() {
        for ahead in [0, 1, 3, 100] {
            assert_eq!(run(&[cut], ahead), plain, "cut {cut}, ahead {ahead}");
        }
    }
    // More arrives, and moves the buffer, while requests are ready.
    let (mut input, mut seen) = (Input::new(), Vec::new());
    let half = stream.len() / 2;
    input.push(&stream[..half]);
    input.look_ahead(&limits, 2);
    for byte in &stream[half..] {
        input.push(std::slice::from_ref(byte));
    }
    while let Ok(Some(request)) = input.next(&limits) {
        seen.push(owned(request));
    }
    assert_eq!(seen, plain.0);
}
