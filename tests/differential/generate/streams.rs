//! Streams, and ids that their entries may have.

use super::Generator;
use std::collections::VecDeque;

/// Streams that are drawn; WATCH and the commands on keys of any type know only the first ones.
const STREAMS: usize = 10;
pub(super) const STREAMS_WATCHED: usize = 8;

/// What was drawn so far.
#[derive(Default)]
pub(super) struct Streams {
    /// Ids of the latest new entries of each stream.
    ids: [VecDeque<String>; STREAMS],
    /// The stream that was drawn last.
    last: usize,
    /// The first half of the id that was drawn last.
    ms: u64,
}

impl Generator {
    /// The holes of templates of streams; whether `word` is one.
    pub(super) fn draw_of_stream(&mut self, word: &str, out: &mut Vec<Vec<u8>>) -> bool {
        let one = match word {
            "$" => b"$".to_vec(),
            "$x" => self.stream_key(STREAMS),
            "$xd" => {
                self.streams.last = STREAMS_WATCHED + self.random.below(STREAMS - STREAMS_WATCHED);
                format!("x{}", self.streams.last).into_bytes()
            }
            "$xn" => self.new_stream_id().into_bytes(),
            "$xm" => {
                let id = self.new_stream_id();
                let ms = id.split('-').next().expect("an id has two halves");
                format!("{ms}-*").into_bytes()
            }
            "$xi" => self.stream_id(),
            "($xi" => [b"(", &*self.stream_id()].concat(),
            "$xi+" => {
                self.several(out, |g, out| out.push(g.stream_id()));
                return true;
            }
            "$xg" => format!("g{}", self.random.below(2)).into_bytes(),
            "$xc" => format!("c{}", self.random.below(4)).into_bytes(),
            _ => return false,
        };
        out.push(one);
        true
    }

    pub(super) fn stream_key(&mut self, among: usize) -> Vec<u8> {
        if self.random.one_in(50) {
            return self.string_key();
        }
        self.streams.last = self.random.below(among);
        format!("x{}", self.streams.last).into_bytes()
    }

    /// An id greater than all before.
    fn new_stream_id(&mut self) -> String {
        const REMEMBERED: usize = 40;
        self.streams.ms += self.random.below(2) as u64 + 1;
        let id = format!("{}-{}", self.streams.ms, self.random.below(3));
        let ids = &mut self.streams.ids[self.streams.last];
        ids.push_back(id.clone());
        if ids.len() > REMEMBERED {
            ids.pop_front();
        }
        id
    }

    /// Mostly the id of an entry that the stream drawn last may hold.
    fn stream_id(&mut self) -> Vec<u8> {
        let ids = &self.streams.ids[self.streams.last];
        match self.random.below(12) {
            0 => self.streams.ms.to_string().into_bytes(),
            1 => format!("{}-1", self.random.below(self.streams.ms as usize + 2)).into_bytes(),
            _ if ids.is_empty() => b"0-1".to_vec(),
            _ => ids[self.random.below(ids.len())].clone().into_bytes(),
        }
    }
}
