//! Glob patterns over directive names and file names: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal byte.

/// Whether `text` matches `pattern`, ignoring ASCII case if `ignore_case`. Takes at most pattern × text steps: a star
/// is retried from the last one only, which is enough because everything else matches exactly one byte.
pub fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(_) => text.get(t).and_then(|byte| match_one(&pattern[p..], *byte, ignore_case)),
            None if t == text.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((after_star, from))) if from < text.len() => {
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// How many pattern bytes were used if the pattern's first element matches `byte`.
fn match_one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<usize> {
    let fold = |b: u8| if ignore_case { b.to_ascii_lowercase() } else { b };
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => class(pattern, fold(byte), &fold),
        [b'\\', literal, ..] => (fold(*literal) == fold(byte)).then_some(2),
        [literal, ..] => (fold(*literal) == fold(byte)).then_some(1),
        [] => None,
    }
}

fn class(pattern: &[u8], byte: u8, fold: &dyn Fn(u8) -> u8) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        at += match &pattern[at.min(pattern.len())..] {
            // An open class ends with the pattern, as in Redis.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                found |= fold(*literal) == byte;
                2
            }
            [low, b'-', high, ..] => {
                let (low, high) = (fold(*low), fold(*high));
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                3
            }
            [literal, ..] => {
                found |= fold(*literal) == byte;
                1
            }
        };
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_question_marks_classes_and_escapes_match_as_in_redis() {
        let yes = [("*", ""), ("max*", "maxmemory"), ("m?x*y", "maxmemory"), ("[mn]ax", "max"), ("[^a]ax", "max")];
        for (pattern, text) in yes.into_iter().chain([("[l-n]ax", "max"), ("[n-l]ax", "max"), (r"a\*", "a*")]) {
            assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        for (pattern, text) in [("max", "maxi"), ("[^m]ax", "max"), ("", "a"), ("*a?", "ba"), (r"\*", "a")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        assert!(matches(b"PORT*", b"port", true));
        assert!(!matches(b"PORT*", b"port", false));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"*a".repeat(200);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &b"a".repeat(2000), false));
    }
}
