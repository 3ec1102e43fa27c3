use super::*;
use proptest::prelude::*;

/// Value, increment, and what redis-server 7.0.15 (x86-64, glibc) replied to INCRBYFLOAT:
/// a number, `refused` for "value is not a valid float", or `infinite` for "increment would
/// produce NaN or Infinity".
#[rustfmt::skip]
const REPLIES: &[(&str, &str, &str)] = &[
    ("0.1", "0.2", "0.3"),
    ("3.0e3", "200", "3200"),
    ("0", "3.0e3", "3000"),
    ("0", "5.0e-17", "0.00000000000000005"),
    ("0", "1e17", "100000000000000000"),
    ("0", "1e18", "1000000000000000000"),
    ("0", "0.1", "0.1"),
    ("10.5", "0.1", "10.6"),
    ("5.0e3", "2.0e2", "5200"),
    ("1e17", "0.1", "100000000000000000.1015625"),
    ("1e4932", "1e4932", "infinite"),
    ("0", "1e4933", "refused"),
    ("0", "-1e4933", "refused"),
    ("0", "1e-4932", "0"),
    ("0", "1e-4950", "0"),
    ("0", "3.7e-4951", "0"),
    ("0", "1.8e-4951", "refused"),
    ("0", "1.9e-4951", "0"),
    ("0", "1e-4952", "refused"),
    ("0", "1e-5000", "refused"),
    ("0", "0e-99999", "0"),
    ("0", "0x10", "16"),
    ("0", "0x1p-3", "0.125"),
    ("0", "0x1.8p1", "3"),
    ("0", "0x", "refused"),
    ("0", "0x1p", "refused"),
    ("0", "0x1p99999", "refused"),
    ("0", "0x1p-99999", "refused"),
    ("0", "inf", "infinite"),
    ("inf", "1", "infinite"),
    ("inf", "-inf", "infinite"),
    ("0", "-inf", "infinite"),
    ("0", "nan", "refused"),
    ("nan", "1", "refused"),
    ("0", "NaN", "refused"),
    ("0", "INFINITY", "infinite"),
    ("0", "infinit", "refused"),
    ("0", " 1", "refused"),
    ("0", "1 ", "refused"),
    ("0", "+1", "1"),
    ("0", "+-1", "refused"),
    ("0", "", "refused"),
    ("0", ".", "refused"),
    ("0", ".5", "0.5"),
    ("0", "5.", "5"),
    ("0", "1e", "refused"),
    ("0", "1e+", "refused"),
    ("0", "1e5x", "refused"),
    ("-0", "-0", "0"),
    ("0", "-0", "0"),
    ("-1", "1", "0"),
    ("0", "-1e-20", "0"),
    ("0", "1e-18", "0"),
    ("0", "5e-18", "0"),
    ("0", "4.9e-18", "0"),
    ("0", "-5e-18", "0"),
    ("0", "1.5e-17", "0.00000000000000002"),
    ("0", "2.5e-17", "0.00000000000000002"),
    ("0", "0.000000000000000005", "0"),
    ("123456789012345678901234567890", "1", "123456789012345678899921813504"),
    ("18446744073709551615", "1", "18446744073709551616"),
    ("18446744073709551616", "1", "18446744073709551616"),
    ("18446744073709551617", "0", "18446744073709551616"),
    ("36893488147419103233", "0", "36893488147419103232"),
    ("9223372036854775807", "0.5", "9223372036854775807.5"),
    ("9223372036854775807", "0.25", "9223372036854775807"),
    ("1.000000000000000000054210108624275221700372640043497", "0", "1"),
    ("1.00000000000000000005421010862427522170037264004349708557128906251", "0", "1"),
    ("1.00000000000000000005421010862427522170037264004349708557128906250", "0", "1"),
    ("3.141592653589793238462643383279", "2.718281828459045235360287471352", "5.85987448204883847"),
    ("1.1", "2.2", "3.3"),
    ("-0.1", "0.3", "0.2"),
    ("1e20", "-1e20", "0"),
    ("0.3", "-0.1", "0.2"),
    ("100", "0.01", "100.01"),
    ("1e-5", "1e-5", "0.00002"),
    ("99999999999999999999", "1", "100000000000000000000"),
    ("0.99999999999999999999", "0", "1"),
    ("0.99999999999999999", "0", "0.99999999999999999"),
    ("0", "0.123456789012345678901", "0.12345678901234568"),
    ("1234567.891", "0.000001", "1234567.89100099999996019"),
    ("1e40", "1", "9999999999999999999783686092270256259072"),
    ("0", "1e99999999999999999999", "refused"),
    ("0", "1e-99999999999999999999", "refused"),
    ("0", "nan(1)", "refused"),
    ("0", "1_0", "refused"),
    ("0", "1e2.5", "refused"),
    ("0", "0X1P+4", "16"),
    ("0", "-0x.8", "-0.5"),
    ("0", "0x1.00000000000000001p0", "1"),
    ("0", "0x1.00000000000000003p0", "1"),
    ("0", "0x0p99999", "0"),
    ("0.5e1", "1E1", "15"),
    ("0", "00012.50", "12.5"),
    ("0", "111111111111111111111111111111", "111111111111111111110991806464"),
    ("0x1p16383", "0x1p16383", "infinite"),
    ("0x1.fffffffffffffffep16383", "0x1p16319", "infinite"),
    ("0x1p-16445", "0x1p-16445", "0"),
    ("0", "0x1p-16446", "refused"),
    ("0", "0x1.8p-16446", "0"),
    ("0", "1e-4951", "refused"),
    ("1e18", "0.5", "1000000000000000000.5"),
    ("4503599627370496.5", "0.1", "4503599627370496.60009765625"),
    ("0.1", "-0.3", "-0.2"),
    ("-5.5", "2.25", "-3.25"),
    ("1e19", "-1e19", "0"),
    ("2", "0.33333333333333333333", "2.33333333333333333"),
    ("1e15", "1e-15", "1000000000000000"),
    ("9999999999999999.9", "0.1", "10000000000000000"),
    ("0.5", "-0.5", "0"),
    ("1e-17", "1e-17", "0.00000000000000002"),
    ("12345678901234567890.123", "1", "12345678901234567891"),
    ("-9223372036854775808", "-1", "-9223372036854775809"),
];

/// From the same server: replies too long to print, by length and FNV-1a hash.
#[rustfmt::skip]
const LONG_REPLIES: &[(&str, &str, usize, u64)] = &[
    ("0", "1e4931", 4932, 0x9ed52d2fcb5638c3),
    ("0", "1e4932", 4933, 0x3a74bb368382c4e9),
    ("0", "1.1e4932", 4933, 0xae1bdf0a340e39e2),
    ("0", "1e400", 401, 0xbe1fa6ab3497110e),
    ("1e4931", "1e4914", 4932, 0x6eb2109b8b512601),
    ("0x1.fffffffffffffffep16383", "0", 4933, 0x142ac37b8a61dfe2),
    ("0x1.fffffffffffffffep16383", "0x1p16318", 4933, 0x142ac37b8a61dfe2),
];

fn incremented(value: &str, by: &str) -> String {
    let parse = |text: &str| LongDouble::parse(text.as_bytes());
    let (Some(value), Some(by)) = (parse(value), parse(by)) else {
        return "refused".to_owned();
    };
    let sum = value + by;
    if sum.is_finite() {
        sum.to_string()
    } else {
        "infinite".to_owned()
    }
}

#[test]
fn every_reply_of_redis_is_given_to_the_byte() {
    for &(value, by, reply) in REPLIES {
        assert_eq!(incremented(value, by), reply, "{value} + {by}");
    }
}

#[test]
fn thousands_of_digits_are_exact() {
    for &(value, by, len, hash) in LONG_REPLIES {
        let text = incremented(value, by);
        let found = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        assert_eq!((text.len(), found), (len, hash), "{value} + {by}");
    }
}

#[test]
fn the_longest_text_is_taken_and_one_byte_more_is_not() {
    let longest = format!("0.{}", "1".repeat(TEXT_LEN_MAX - 2));
    assert_eq!(incremented("0", &longest), "0.11111111111111111");
    assert_eq!(incremented("0", &format!("{longest}1")), "refused");
    let zeros = format!("{}7", "0".repeat(TEXT_LEN_MAX - 1));
    assert_eq!(incremented(&zeros, "1"), "8");
    let digits = format!("{}e-5100", "9".repeat(TEXT_LEN_MAX - 6));
    assert_eq!(incremented("0", &digits), "10000000000000");
    let nines = "9".repeat(TEXT_LEN_MAX);
    assert_eq!(incremented("0", &nines), "refused");
}

#[test]
fn infinities_add_up_or_cancel_to_what_is_not_a_number() {
    let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
    let text = |value: LongDouble| value.to_string();
    assert_eq!(text(parse("inf") + parse("-1")), "inf");
    assert_eq!(text(parse("1") + parse("-Infinity")), "-inf");
    assert_eq!(text(parse("inf") + parse("-inf")), "nan");
    assert_eq!(text(parse("-inf") + parse("inf") + parse("1")), "nan");
}

proptest! {
    #[test]
    fn integers_are_exact(value: i64, by: i64) {
        let sum = i128::from(value) + i128::from(by);
        let expected = if sum.unsigned_abs() <= u128::from(u64::MAX) { Some(sum) } else { None };
        let text = (LongDouble::from(value) + LongDouble::from(by)).to_string();
        prop_assert_eq!(Some(text), expected.map(|sum| sum.to_string()));
        prop_assert_eq!(LongDouble::parse(value.to_string().as_bytes()), Some(value.into()));
    }

    #[test]
    fn addition_does_not_depend_on_the_order(
        a in "-?[0-9]{1,25}(\\.[0-9]{0,25})?(e-?[0-9]{1,2})?",
        b in "-?[0-9]{1,25}(\\.[0-9]{0,25})?(e-?[0-9]{1,2})?",
    ) {
        prop_assert_eq!(incremented(&a, &b), incremented(&b, &a));
    }

    /// Such a double has at most 160 decimals, and both formats hold it exactly: the standard
    /// library's printing, which rounds correctly, is an oracle for ours.
    #[test]
    fn doubles_print_as_the_standard_library_rounds_them(mantissa in -(1i64 << 53)..1 << 53, shift in 0u32..100) {
        let value = mantissa as f64 / 2f64.powi(shift.cast_signed());
        let exact = format!("{value:.160}");
        let expected = format!("{value:.17}");
        let expected = expected.trim_end_matches('0').trim_end_matches('.');
        let expected = if expected == "-0" { "0" } else { expected };
        prop_assert_eq!(LongDouble::parse(exact.as_bytes()).unwrap().to_string(), expected);
    }

    #[test]
    fn no_text_panics(text in "[-+]?(0x)?[0-9a-f]{0,40}\\.?[0-9a-f]{0,40}([ep][-+]?[0-9]{0,25})?") {
        if let Some(value) = LongDouble::parse(text.as_bytes()) {
            let _ = (value + value).to_string();
        }
    }
}
