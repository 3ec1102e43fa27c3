//! Where the units of a stream end: a unit is a command, or MULTI up to EXEC.
//!
//! For a stream that is passed on now and applied later. What is applied at once is framed by the
//! applier itself, which has to parse it anyway.

use bytes::{Bytes, BytesMut};

use crate::protocol::{Args, Input, Limits};

/// Cuts a stream into whole units.
#[derive(Default)]
pub(super) struct Framer {
    input: Input,
    /// Bytes of the unit that is not whole yet.
    partial: BytesMut,
    in_multi: bool,
}

/// What the bytes that came complete.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Framed {
    /// Whole units, as received.
    pub units: Bytes,
    /// `REPLCONF GETACK` is among them.
    pub asks_for_ack: bool,
}

impl Framer {
    /// Takes bytes of the stream.
    ///
    /// # Errors
    /// If they are no requests; the stream cannot be read on.
    pub fn push(&mut self, data: &[u8]) -> Result<Framed, String> {
        let limits = Limits {
            authenticated: true,
            ..Limits::default()
        };
        self.input.push(data);
        self.partial.extend_from_slice(data);
        let (mut whole, mut asks_for_ack) = (0, false);
        loop {
            match self.input.next(&limits) {
                Ok(None) => break,
                Err(error) => return Err(format!("the upstream's stream: {error}")),
                Ok(Some(request)) => {
                    let is = |at: usize, word: &[u8]| is_word(request.args, at, word);
                    asks_for_ack |= is(0, b"replconf") && is(1, b"getack");
                    self.in_multi = is(0, b"multi") || (self.in_multi && !is(0, b"exec"));
                }
            }
            if !self.in_multi {
                whole = self.partial.len() - self.input.buffered();
            }
        }
        let units = self.partial.split_to(whole).freeze();
        Ok(Framed {
            units,
            asks_for_ack,
        })
    }

    /// The stream is cut: what is not a whole unit will come again. It is returned.
    pub fn cut(&mut self) -> BytesMut {
        std::mem::take(self).partial
    }
}

fn is_word(args: Args<'_>, at: usize, word: &[u8]) -> bool {
    args.get(at)
        .is_some_and(|arg| arg.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encode;

    fn stream(commands: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for command in commands {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            encode::request(&mut out, &words);
        }
        out
    }

    #[test]
    fn units_are_cut_whole_wherever_the_pieces_end() {
        let commands = [
            "set a 1", "MULTI", "set b 2", "set c 3", "exec", "ping", "set d 4",
        ];
        let whole = stream(&commands);
        // Ends of units: not within the transaction.
        let ends: Vec<usize> = [0, 1, 5, 6, 7]
            .map(|count| stream(&commands[..count]).len())
            .to_vec();
        for size in 1..whole.len() {
            let (mut framer, mut out) = (Framer::default(), Vec::new());
            for piece in whole.chunks(size) {
                out.extend_from_slice(&framer.push(piece).unwrap().units);
                assert!(ends.contains(&out.len()), "pieces of {size} cut a unit");
            }
            assert_eq!(out, whole);
        }
    }

    #[test]
    fn a_cut_forgets_the_unit_that_is_not_whole() {
        let mut framer = Framer::default();
        let begun = stream(&["set a 1", "multi", "set b 2"]);
        let framed = framer.push(&begun).unwrap();
        assert_eq!(framed.units, stream(&["set a 1"]));
        assert_eq!(framer.cut(), stream(&["multi", "set b 2"]));
        let after = stream(&["set c 3"]);
        assert_eq!(framer.push(&after).unwrap().units, after);
    }

    #[test]
    fn a_request_for_an_acknowledgement_is_seen_and_nonsense_refused() {
        let mut framer = Framer::default();
        let asked = stream(&["REPLCONF GETACK *"]);
        assert!(framer.push(&asked).unwrap().asks_for_ack);
        assert!(
            !framer
                .push(&stream(&["replconf ack 1"]))
                .unwrap()
                .asks_for_ack
        );
        assert!(framer.push(b"*1\r\n$x\r\n").is_err());
    }
}
