//! The arguments of SORT.

use crate::command::Error;
use crate::protocol::Args;
use crate::value::number::parse_i64;
use std::ops::Range;

/// The options of one request.
pub(super) struct Options<'a> {
    /// What to sort by: `None` for the elements themselves, [`Pattern::Nothing`] for not at all.
    pub by: Option<Pattern<'a>>,
    /// What is given for each element; nothing for the element itself.
    pub gets: Vec<Pattern<'a>>,
    pub descending: bool,
    /// As text, not as numbers.
    pub alpha: bool,
    /// The first and the number of elements.
    limit: (i64, i64),
    pub store: Option<&'a [u8]>,
}

/// What BY or GET names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without `*`: no key at all.
    Nothing,
    /// A key with the element in its name.
    Key(KeyPattern<'a>),
}

/// `before*after`, or `before*after->field`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeyPattern<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// A field of a hash.
    pub field: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// The options of SORT or SORT_RO, which cannot store.
    pub fn parse(args: Args<'a>) -> Result<Self, Error> {
        let may_store = args[0].len() == "sort".len();
        let mut options = Options {
            by: None,
            gets: Vec::new(),
            descending: false,
            alpha: false,
            limit: (0, -1),
            store: None,
        };
        let mut unsorted = false;
        let mut at = 2;
        while let Some(word) = args.get(at) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            at += 1;
            match (args.get(at), args.get(at + 1)) {
                _ if is("asc") => options.descending = false,
                _ if is("desc") => options.descending = true,
                _ if is("alpha") => options.alpha = true,
                (Some(first), Some(count)) if is("limit") => {
                    let number = |text| parse_i64(text).ok_or(Error::NotInteger);
                    options.limit = (number(first)?, number(count)?);
                    at += 2;
                }
                (Some(target), _) if may_store && is("store") => {
                    options.store = Some(target);
                    at += 1;
                }
                (Some(pattern), _) if is("by") => {
                    options.by = Some(Pattern::parse(pattern));
                    // Stays so, whatever a further BY says.
                    unsorted |= !matches!(options.by, Some(Pattern::Key(_)));
                    at += 1;
                }
                (Some(pattern), _) if is("get") => {
                    options.gets.push(Pattern::parse(pattern));
                    at += 1;
                }
                _ => return Err(Error::Syntax),
            }
        }
        if unsorted {
            options.by = Some(Pattern::Nothing);
        }
        Ok(options)
    }

    /// Whether keys are read that the arguments do not name.
    pub fn follows_keys(&self) -> bool {
        let patterns = self.by.iter().chain(&self.gets);
        patterns
            .into_iter()
            .any(|pattern| matches!(pattern, Pattern::Key(_)))
    }

    /// Which of `len` elements the limit leaves.
    pub fn range(&self, len: usize) -> Range<usize> {
        let (first, count) = self.limit;
        let start = usize::try_from(first.max(0)).map_or(len, |first| first.min(len));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Self {
        // Redis looks for the marks in a string of C.
        let end = text.iter().position(|byte| *byte == 0);
        let visible = &text[..end.unwrap_or(text.len())];
        if visible == b"#" {
            return Pattern::Element;
        }
        let Some(star) = visible.iter().position(|byte| *byte == b'*') else {
            return Pattern::Nothing;
        };
        let arrow = visible[star + 1..]
            .windows(2)
            .position(|pair| pair == b"->")
            .map(|found| star + 1 + found)
            .filter(|arrow| arrow + 2 < visible.len());
        Pattern::Key(KeyPattern {
            before: &text[..star],
            after: &text[star + 1..arrow.unwrap_or(text.len())],
            field: arrow.map(|arrow| &text[arrow + 2..]),
        })
    }
}

impl KeyPattern<'_> {
    /// The key for an element.
    pub fn name(&self, element: &[u8]) -> Vec<u8> {
        [self.before, element, self.after].concat()
    }
}
