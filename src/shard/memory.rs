//! MEMORY STATS and MEMORY DOCTOR: where the process's memory is, from all shards' figures and the
//! allocator's.

use std::fmt::Write;

use crate::protocol::Reply;

use super::Shard;
use super::gather::ShardFigures;
use super::shared::Allocated;

/// Below this many bytes in use nothing can be said about how they are used.
const DIAGNOSED_BYTES_MIN: u64 = 5 << 20;
/// A share of the peak in use, in percent, below which the peak is worth a word.
const PEAK_PERCENT_MIN: f64 = 66.0;
/// A ratio of resident to used memory above which it is worth a word.
const RESIDENT_RATIO_MAX: f64 = 1.4;
/// Memory that the allocator keeps free is worth a word from this many bytes on.
const WASTED_BYTES_MIN: u64 = 10 << 20;
/// Output and input of one connection on average, from which it is worth a word.
const CLIENT_BYTES_MAX: u64 = 200 << 10;

/// Where the memory is, bytes.
pub(super) struct MemoryFigures {
    allocator: Allocated,
    resident: u64,
    peak: u64,
    backlog: u64,
    clients: u64,
    connections: u64,
    replicas: u64,
    /// Hash tables, by database.
    tables: Vec<(usize, u64)>,
    keys: u64,
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl MemoryFigures {
    /// Adds up what the shards told.
    pub(super) fn new(shard: &Shard, figures: &[ShardFigures]) -> Self {
        let process = &shard.shared.process;
        let (used, resident, peak) = process.memory.map(|read| read()).unwrap_or_default();
        let allocator = process.allocator.as_ref().map(|it| (it.figures)());
        let sum = |of: fn(&ShardFigures) -> u64| figures.iter().map(of).sum();
        let mut tables: Vec<(usize, u64)> = Vec::new();
        let mut keys = 0;
        for line in figures.iter().flat_map(|shard| &shard.keyspace) {
            keys += line.keys;
            match tables.iter_mut().find(|(db, _)| *db == line.db) {
                Some((_, bytes)) => *bytes += line.table_bytes,
                None => tables.push((line.db, line.table_bytes)),
            }
        }
        tables.sort_unstable();
        MemoryFigures {
            allocator: Allocated {
                allocated: used,
                ..allocator.unwrap_or_default()
            },
            resident,
            peak: peak.max(used),
            backlog: shard.shared.stream.view().backlog_histlen,
            clients: sum(|shard| shard.client_bytes[0]),
            connections: sum(|shard| shard.clients),
            replicas: sum(|shard| shard.client_bytes[1]),
            tables,
            keys,
        }
    }

    fn table_bytes(&self) -> u64 {
        self.tables.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What is not the data itself.
    fn overhead(&self) -> u64 {
        self.backlog + self.clients + self.replicas + self.table_bytes()
    }

    /// MEMORY STATS, with Redis's names. What has no counterpart here is 0.
    pub(super) fn show(&self, reply: &mut Reply) {
        let used = self.allocator.allocated;
        let dataset = used.saturating_sub(self.overhead());
        let map = reply.begin_map();
        let mut fields = Fields { reply, count: 0 };
        fields.integer("peak.allocated", self.peak);
        fields.integer("total.allocated", used);
        fields.integer("startup.allocated", 0);
        fields.integer("replication.backlog", self.backlog);
        fields.integer("clients.slaves", self.replicas);
        fields.integer("clients.normal", self.clients);
        for name in [
            "cluster.links",
            "aof.buffer",
            "lua.caches",
            "functions.caches",
        ] {
            fields.integer(name, 0);
        }
        for (db, bytes) in &self.tables {
            fields.name(&format!("db.{db}"));
            fields.reply.map(2);
            fields.reply.bulk_str("overhead.hashtable.main");
            fields.reply.integer(*bytes as i64);
            fields.reply.bulk_str("overhead.hashtable.expires");
            fields.reply.integer(0);
        }
        fields.integer("overhead.db.hashtable.lut", self.table_bytes());
        fields.integer("overhead.db.hashtable.rehashing", 0);
        fields.integer("overhead.total", self.overhead());
        fields.integer("db.dict.rehashing.count", 0);
        fields.integer("keys.count", self.keys);
        fields.integer(
            "keys.bytes-per-key",
            used.checked_div(self.keys).unwrap_or(0),
        );
        fields.integer("dataset.bytes", dataset);
        fields.double("dataset.percentage", ratio(dataset, used) * 100.0);
        fields.double("peak.percentage", ratio(used, self.peak) * 100.0);
        self.show_allocator(&mut fields);
        let count = fields.count;
        reply.finish(map, count);
    }

    fn show_allocator(&self, fields: &mut Fields<'_>) {
        let Allocated {
            allocated,
            active,
            resident,
        } = self.allocator;
        fields.integer("allocator.allocated", allocated);
        fields.integer("allocator.active", active);
        fields.integer("allocator.resident", resident);
        fields.integer("allocator.muzzy", 0);
        for (name, part, whole) in [
            ("allocator-fragmentation", active, allocated),
            ("allocator-rss", resident, active),
            ("rss-overhead", self.resident, resident),
        ] {
            fields.double(&format!("{name}.ratio"), ratio(part, whole));
            fields.difference(&format!("{name}.bytes"), part, whole);
        }
        fields.double("fragmentation", ratio(self.resident, allocated));
        fields.difference("fragmentation.bytes", self.resident, allocated);
    }

    /// MEMORY DOCTOR: what is unusual, and what to do about it.
    pub(super) fn diagnosis(&self) -> String {
        let used = self.allocator.allocated;
        if used < DIAGNOSED_BYTES_MIN {
            return "Too little memory is in use to tell anything from it.\n".to_owned();
        }
        let mut text = String::new();
        let mut say = |problem: String| {
            writeln!(text, " * {problem}").expect("a String takes everything");
        };
        let of_peak = ratio(used, self.peak) * 100.0;
        if of_peak < PEAK_PERCENT_MIN {
            say(format!(
                "The peak was much higher: {of_peak:.0} % of it is in use now. Resident memory may \
                 stay near the peak until it is used again; MEMORY PURGE gives back what is free."
            ));
        }
        let wasted = self.resident.saturating_sub(used);
        if ratio(self.resident, used) > RESIDENT_RATIO_MAX && wasted > WASTED_BYTES_MIN {
            say(format!(
                "Resident memory is {:.2} times what is in use ({wasted} bytes more): the \
                 allocator holds fragments, or the peak was recent.",
                ratio(self.resident, used)
            ));
        }
        if self.clients.checked_div(self.connections).unwrap_or(0) > CLIENT_BYTES_MAX {
            say(
                "Connections hold large buffers: clients that read slowly, or requests that are \
                 large. CLIENT LIST shows them (tot-mem)."
                    .to_owned(),
            );
        }
        if self.backlog > used / 2 {
            say(
                "The replication backlog is more than half of all that is in use; \
                 repl-backlog-size bounds it."
                    .to_owned(),
            );
        }
        match text.is_empty() {
            true => "Nothing unusual was found.\n".to_owned(),
            false => format!("What was found:\n\n{text}"),
        }
    }
}

/// The fields of a map that is being written.
struct Fields<'a> {
    reply: &'a mut Reply,
    count: usize,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        self.reply.bulk_str(name);
        self.count += 1;
    }

    fn integer(&mut self, name: &str, value: u64) {
        self.name(name);
        self.reply.integer(value as i64);
    }

    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        self.reply.double(value);
    }

    fn difference(&mut self, name: &str, larger: u64, smaller: u64) {
        self.name(name);
        self.reply.integer(larger as i64 - smaller as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn figures(used: u64, resident: u64, peak: u64) -> MemoryFigures {
        MemoryFigures {
            allocator: Allocated {
                allocated: used,
                active: used,
                resident,
            },
            resident,
            peak,
            backlog: 0,
            clients: 0,
            connections: 0,
            replicas: 0,
            tables: Vec::new(),
            keys: 0,
        }
    }

    #[test]
    fn the_doctor_finds_what_is_unusual() {
        let text = figures(1000, 1000, 1000).diagnosis();
        assert!(text.starts_with("Too little"), "{text}");
        let mib = 1 << 20;
        let text = figures(100 * mib, 110 * mib, 110 * mib).diagnosis();
        assert!(text.starts_with("Nothing"), "{text}");
        let text = figures(100 * mib, 300 * mib, 300 * mib).diagnosis();
        assert_eq!(text.matches(" * ").count(), 2, "{text}");
        let crowded = MemoryFigures {
            clients: 50 * mib,
            connections: 10,
            backlog: 60 * mib,
            ..figures(100 * mib, 100 * mib, 100 * mib)
        };
        let text = crowded.diagnosis();
        assert_eq!(text.matches(" * ").count(), 2, "{text}");
    }

    #[test]
    fn stats_add_up_the_shards() {
        let mut world = World::new(3);
        let conn = world.connect(0);
        for shard in 0..3 {
            let key = world.key(shard, 0);
            world.text(conn, &format!("SET {key} v"));
        }
        let text = world.text(conn, "MEMORY STATS");
        assert!(text.starts_with("*64 $14 peak.allocated :"), "{text}");
        assert!(text.contains(" $10 keys.count :3 "), "{text}");
        assert!(text.contains(" $4 db.0 *4 $23 overhead.hashtable.main :"));
        world.text(conn, "HELLO 3");
        let text = world.text(conn, "MEMORY STATS");
        assert!(
            text.starts_with("%32 ") && text.contains(" $13 fragmentation ,"),
            "{text}"
        );
        assert_eq!(world.text(conn, "MEMORY PURGE"), "+OK");
        let text = world.text(conn, "MEMORY DOCTOR");
        assert!(text.contains(" txt:Too little memory"), "{text}");
    }
}
