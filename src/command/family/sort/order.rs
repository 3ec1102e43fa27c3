//! The elements of one SORT, and their order.

use super::options::{Options, Pattern};
use crate::command::Error;
use crate::value::number::{parse_f64, parse_i64, strtod_text};
use std::cmp::Ordering;

pub(super) use crate::value::listpack::Element;

/// A part of the text of [`Elements`].
type Span = (usize, usize);

/// Elements in one run of text, with what they are ordered by.
#[derive(Default)]
pub(super) struct Elements {
    text: Vec<u8>,
    all: Vec<Item>,
    /// They come from a list, whose order decides where nothing else does.
    listed: bool,
}

#[derive(Clone, Copy)]
struct Item {
    element: Span,
    /// The text that BY leads to.
    by: Option<Span>,
    score: f64,
}

impl Elements {
    /// No elements yet, of a list or of something that has no order of its own.
    pub fn of(listed: bool) -> Self {
        Elements {
            listed,
            ..Elements::default()
        }
    }

    pub fn push(&mut self, element: Element<'_>) {
        let start = self.text.len();
        element.write(&mut self.text);
        self.all.push(Item {
            element: (start, self.text.len()),
            by: None,
            score: 0.0,
        });
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Element `at`: in the order of the value, or once sorted in that order.
    pub fn text(&self, at: usize) -> &[u8] {
        self.span(self.all[at].element)
    }

    /// Notes the text by which element `at` is ordered.
    pub fn order_by(&mut self, at: usize, text: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.all[at].by = Some((start, self.text.len()));
    }

    fn span(&self, (start, end): Span) -> &[u8] {
        &self.text[start..end]
    }

    /// Sorts as the options say; only the first `wanted` need be in their places afterwards.
    ///
    /// # Errors
    /// If numbers are wanted and something is none.
    pub fn sort(&mut self, options: &Options<'_>, wanted: usize) -> Result<(), Error> {
        const NOT_NUMBERS: Error =
            Error::text("ERR One or more scores can't be converted into double");
        if options.by == Some(Pattern::Nothing) {
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.all);
        if !options.alpha {
            for item in &mut all {
                let text = match options.by {
                    Some(_) => item.by,
                    None => Some(item.element),
                };
                // What BY does not find counts as 0.
                let score = text.map_or(Some(0.0), |text| score(self.span(text)));
                item.score = score.ok_or(NOT_NUMBERS)?;
            }
        }
        // For a reply Redis compares as the locale says, which without one ends at a NUL.
        let exact = options.store.is_some();
        let by_element = |a: &Item, b: &Item| self.span(a.element).cmp(self.span(b.element));
        let compare = |a: &Item, b: &Item| {
            let order = match (options.alpha, options.by) {
                (false, _) => a.score.total_cmp(&b.score),
                (true, Some(_)) => match (a.by, b.by) {
                    (Some(a), Some(b)) => collate(self.span(a), self.span(b), exact),
                    (a, b) => a.is_some().cmp(&b.is_some()),
                },
                (true, None) => collate(self.span(a.element), self.span(b.element), exact),
            };
            let order = match options.alpha && self.listed {
                true => order,
                false => order.then_with(|| by_element(a, b)),
            };
            match options.descending {
                true => order.reverse(),
                false => order,
            }
        };
        if !options.alpha && wanted > 0 && wanted < all.len() {
            // Nothing beyond what is wanted has to be in order.
            all.select_nth_unstable_by(wanted - 1, compare);
            all[..wanted].sort_by(compare);
        } else {
            all.sort_by(compare);
        }
        self.all = all;
        Ok(())
    }

    /// Whether different elements, once sorted, have equal places: which comes first differs from
    /// server to server.
    pub fn are_tied(&self, options: &Options<'_>) -> bool {
        let text = |span: Option<Span>| span.map(|span| self.span(span));
        options.alpha
            && matches!(options.by, Some(Pattern::Key(_)))
            && self.all.windows(2).any(|pair| {
                text(pair[0].by) == text(pair[1].by)
                    && self.span(pair[0].element) != self.span(pair[1].element)
            })
    }
}

fn collate(a: &[u8], b: &[u8], exact: bool) -> Ordering {
    if exact {
        return a.cmp(b);
    }
    let visible = |text: &[u8]| text.iter().position(|byte| *byte == 0);
    a[..visible(a).unwrap_or(a.len())].cmp(&b[..visible(b).unwrap_or(b.len())])
}

/// A number as C's `strtod` reads it, if all of the text up to a NUL is one, and neither too large
/// nor too small. Nothing at all is 0.
fn score(text: &[u8]) -> Option<f64> {
    if let Some(int) = parse_i64(text) {
        return Some(int as f64);
    }
    let text = strtod_text(text)?;
    if text.is_empty() {
        return Some(0.0);
    }
    // 0 and -0 are equal.
    let number = parse_f64(text)? + 0.0;
    (!number.is_subnormal()).then_some(number)
}
