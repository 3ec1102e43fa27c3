//! The argument list of a request: ranges into one buffer.

use std::fmt;
use std::ops::Index;

/// One argument: a range of bytes in the buffer of its [`Args`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    #[inline]
    fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..][..self.len as usize]
    }
}

/// The arguments of one request, the command's name first. Two slices: cheap to copy, owns nothing.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Arguments at `spans` of `buf`.
    ///
    /// Every span must lie within `buf`; reading one that does not panics.
    #[inline]
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Self { buf, spans }
    }

    /// How many arguments there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no argument. Never so for a parsed request.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`, or `None` beyond the last.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.spans.get(i).map(|span| span.of(self.buf))
    }

    /// Argument `i` with the lifetime of the buffer, which `args[i]` cannot give. Panics beyond
    /// the last.
    #[inline]
    pub fn at(&self, i: usize) -> &'a [u8] {
        self.spans[i].of(self.buf)
    }

    /// All arguments in order.
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let buf = self.buf;
        self.spans.iter().map(move |span| span.of(buf))
    }

    /// The arguments from index `from` on; empty if there are none.
    #[inline]
    pub fn tail(&self, from: usize) -> Args<'a> {
        Args {
            buf: self.buf,
            spans: self.spans.get(from..).unwrap_or_default(),
        }
    }

    /// Up to `count` arguments from index `from` on.
    #[inline]
    pub fn take(&self, from: usize, count: usize) -> Args<'a> {
        let tail = self.tail(from);
        Args {
            buf: self.buf,
            spans: &tail.spans[..tail.spans.len().min(count)],
        }
    }

    /// A copy that outlives the buffer, in two allocations.
    pub fn to_owned(&self) -> OwnedArgs {
        let mut owned = OwnedArgs {
            buf: Vec::with_capacity(self.iter().map(<[u8]>::len).sum()),
            spans: Vec::with_capacity(self.len()),
        };
        self.iter().for_each(|arg| owned.push(arg));
        owned
    }
}

fn offset(n: usize) -> u32 {
    u32::try_from(n).expect("an argument list is smaller than 4 GiB")
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        self.at(i)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|arg| arg.escape_ascii().to_string()))
            .finish()
    }
}

/// An argument list with its own memory: a command queued by `MULTI`, or on its way to another
/// shard.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OwnedArgs {
    buf: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// A copy of `args`. Panics if they are 4 GiB or more in sum.
    pub fn new(args: &[&[u8]]) -> Self {
        let mut owned = Self {
            buf: Vec::with_capacity(args.iter().map(|arg| arg.len()).sum()),
            spans: Vec::with_capacity(args.len()),
        };
        args.iter().for_each(|arg| owned.push(arg));
        owned
    }

    /// Appends an argument. Panics if the list reaches 4 GiB.
    pub fn push(&mut self, arg: &[u8]) {
        self.spans.push(Span {
            start: offset(self.buf.len()),
            len: offset(arg.len()),
        });
        self.buf.extend_from_slice(arg);
    }

    /// The list as every consumer takes it.
    #[inline]
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.buf, &self.spans)
    }

    /// Bytes of heap memory held.
    pub fn memory(&self) -> usize {
        self.buf.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl fmt::Debug for OwnedArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_args().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_reached_by_index_iterator_and_tail() {
        let owned = OwnedArgs::new(&[b"SET", b"", b"v\r\n"]);
        let args = owned.as_args();
        assert_eq!(args.len(), 3);
        assert_eq!(&args[0], b"SET");
        assert_eq!(args.at(1), b"");
        assert_eq!(args.get(2), Some(&b"v\r\n"[..]));
        assert_eq!(args.get(3), None);
        assert_eq!(
            args.iter().rev().map(<[u8]>::len).collect::<Vec<_>>(),
            [3, 0, 3]
        );
        assert_eq!(
            args.tail(1).iter().collect::<Vec<_>>(),
            [&b""[..], b"v\r\n"]
        );
        assert!(args.tail(3).is_empty() && args.tail(9).is_empty());
        assert_eq!(
            args.take(0, 2).iter().collect::<Vec<_>>(),
            [&b"SET"[..], b""]
        );
        assert_eq!(args.take(2, 5).iter().collect::<Vec<_>>(), [b"v\r\n"]);
        assert!(args.take(9, 1).is_empty() && args.take(0, 0).is_empty());
        assert_eq!(format!("{args:?}"), r#"["SET", "", "v\\r\\n"]"#);
    }

    #[test]
    fn a_copy_holds_only_the_arguments() {
        let buf = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
        let spans = [Span { start: 8, len: 4 }, Span { start: 18, len: 2 }];
        let owned = Args::new(buf, &spans).to_owned();
        assert_eq!(owned, OwnedArgs::new(&[b"ECHO", b"hi"]));
        assert_eq!(owned.buf, b"ECHOhi");
    }
}
