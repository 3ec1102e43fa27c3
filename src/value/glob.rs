//! Glob-style patterns of KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules.
//!
//! The language is that of Redis's `stringmatchlen`, oddities included: `*`, `?`, `[abc]`,
//! `[a-z]`, `[^a-z]`, and `\` before a byte that is meant literally. An unclosed class ends with
//! the pattern.
//!
//! Redis recurses for every `*` and had to bound first the time (CVE-2022-36021), then the depth
//! (CVE-2024-31228). Both bounds lie in the algorithm here: if the part after the last `*` fits
//! nowhere, no earlier `*` can help, so only the last one is ever tried again. At most
//! `pattern.len() * string.len()` steps, no recursion, no memory.

/// Whether `string` as a whole matches `pattern`; with `nocase`, ASCII letters match without case.
///
/// As in Redis, the empty string matches only the empty pattern (its callers treat a lone `*`
/// before they come here).
pub fn glob_match(pattern: &[u8], string: &[u8], nocase: bool) -> bool {
    if string.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut s) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, one byte later than the last time.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if s == string.len() {
            // Behind a `*`, a later start leaves even less for a pattern of fixed length.
            return pattern[p..].iter().all(|&byte| byte == b'*');
        }
        let next = match pattern.get(p) {
            Some(b'*') => {
                while pattern.get(p) == Some(&b'*') {
                    p += 1;
                }
                if p == pattern.len() {
                    return true;
                }
                retry = Some((p, s));
                continue;
            }
            Some(_) => step(&pattern[p..], string[s], nocase),
            None => None,
        };
        match (next, retry) {
            (Some(len), _) => {
                p += len;
                s += 1;
            }
            (None, Some((after_star, start))) => {
                (p, s) = (after_star, start + 1);
                retry = Some((p, s));
            }
            (None, None) => return false,
        }
    }
}

/// Matches one byte against the pattern's first item, which is not `*`. Returns that item's length.
fn step(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    match *pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => {
            let (matched, len) = class(pattern, byte, nocase);
            matched.then_some(len)
        }
        [b'\\', literal, ..] => same(literal, byte, nocase).then_some(2),
        [literal, ..] => same(literal, byte, nocase).then_some(1),
        [] => None,
    }
}

/// Matches one byte against a class. Returns whether it is in it, and the length of the class.
fn class(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut matched = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            // Redis compares an escaped byte with case, also under `nocase`.
            [b'\\', literal, ..] => {
                matched |= *literal == byte;
                at += 2;
            }
            [b']', ..] => return (matched != negated, at + 1),
            [] => return (matched != negated, pattern.len()),
            [first, b'-', last, ..] => {
                matched |= in_range(*first, *last, byte, nocase);
                at += 3;
            }
            [literal, ..] => {
                matched |= same(*literal, byte, nocase);
                at += 1;
            }
        }
    }
}

/// Bytes compare as signed here because `char` is signed on x86-64; the bounds are put in order
/// before their case is folded, as Redis does.
fn in_range(first: u8, last: u8, byte: u8, nocase: bool) -> bool {
    let (first, last) = (first.cast_signed(), last.cast_signed());
    let (low, high) = (first.min(last), first.max(last));
    let byte = byte.cast_signed();
    if nocase {
        (lower(low)..=lower(high)).contains(&lower(byte))
    } else {
        (low..=high).contains(&byte)
    }
}

fn lower(byte: i8) -> i8 {
    byte.cast_unsigned().to_ascii_lowercase().cast_signed()
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    if nocase {
        a.eq_ignore_ascii_case(&b)
    } else {
        a == b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, string: &str) -> bool {
        glob_match(pattern.as_bytes(), string.as_bytes(), false)
    }

    #[test]
    fn stars_match_any_run_and_question_marks_one_byte() {
        for (pattern, string) in [
            ("h?llo", "hello"),
            ("h*llo", "hllo"),
            ("h*llo", "heeeello"),
            ("*", "x"),
            ("a**", "a"),
            ("**a", "a"),
            ("*a*b*c*", "xxaxxbxxcxx"),
            ("*aab", "aaaab"),
        ] {
            assert!(matches(pattern, string), "{pattern} {string}");
        }
        for (pattern, string) in [
            ("h?llo", "hllo"),
            ("h*llo", "hell"),
            ("*a", "ab"),
            ("a", "ab"),
            ("ab", "a"),
        ] {
            assert!(!matches(pattern, string), "{pattern} {string}");
        }
    }

    #[test]
    fn classes_take_lists_ranges_negation_and_escapes() {
        for (pattern, string) in [
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hbllo"),
            ("h[a-b]llo", "hbllo"),
            ("[z-a]", "m"),
            ("[^a-z]", "A"),
            ("[\\]]", "]"),
            ("[a-]", "^"),
            ("\\*", "*"),
            ("a\\", "a\\"),
        ] {
            assert!(matches(pattern, string), "{pattern} {string}");
        }
        for (pattern, string) in [
            ("h[^e]llo", "hello"),
            ("[^a-z]", "m"),
            ("\\*", "x"),
            ("[]", "]"),
        ] {
            assert!(!matches(pattern, string), "{pattern} {string}");
        }
    }

    #[test]
    fn an_unclosed_class_ends_with_the_pattern() {
        assert!(matches("[abc", "b"));
        assert!(!matches("[", "["));
        assert!(matches("[^", "x"));
        assert!(matches("[a\\", "\\"));
        assert!(!matches("[a-", "b"));
    }

    #[test]
    fn the_empty_string_matches_the_empty_pattern_only() {
        assert!(matches("", ""));
        assert!(!matches("*", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn without_case_only_ascii_letters_fold() {
        assert!(glob_match(b"FOO*", b"foobar", true));
        assert!(glob_match(b"[A-C]", b"b", true));
        // The escape inside a class is compared with case, and so is a range that folds backwards.
        assert!(!glob_match(b"[\\A]", b"a", true));
        assert!(!glob_match(b"[Z-a]", b"b", true));
        assert!(!glob_match(b"\xC9", b"\xE9", true));
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_the_product_of_the_lengths() {
        let pattern = b"*a".repeat(10_000);
        let mut string = b"a".repeat(20_000);
        string.push(b'b');
        assert!(!glob_match(&pattern, &string, false));
    }
}
