//! INFO: sections and fields of Redis 7.2 in its order, and a line for each shard.

mod replication;

use std::fmt::Write;

use crate::command::pubsub::Space;
use crate::command::{DataStats, table};
use crate::config::Named;

use super::Shard;
use super::client::Class;
use super::connection_commands::REDIS_VERSION;
use super::gather::ShardFigures;
use super::shared::ReplicationView;
use super::shell::Shell;
use super::stats::{KeyspaceLine, ShardStats};

/// A section: its name, whether INFO shows it unasked, and what writes it.
type Section = (&'static str, bool, fn(&Shard, &Sums<'_>, &mut Text));

const SECTIONS: [Section; 14] = [
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, memory),
    ("persistence", true, replication::persistence),
    ("stats", true, stats),
    ("replication", true, replication::replication),
    ("cpu", true, cpu),
    ("modules", true, modules),
    ("commandstats", false, command_stats),
    ("errorstats", true, error_stats),
    ("latencystats", false, latency_stats),
    ("cluster", true, cluster),
    ("keyspace", true, keyspace),
    ("shards", true, shards),
];

/// The reply being written.
#[derive(Default)]
struct Text(String);

impl Text {
    fn heading(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        self.0.push_str("# ");
        self.0.push_str(name);
        self.0.push_str("\r\n");
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        write!(self.0, "{name}:{value}\r\n").expect("a String takes everything");
    }

    fn fields(&mut self, fields: &[(&str, u64)]) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }

    fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.field(name, 0));
    }
}

/// All shards' figures together.
struct Sums<'a> {
    shards: &'a [ShardFigures],
    stats: ShardStats,
    data: DataStats,
    view: ReplicationView,
    /// Bytes: allocated, resident, peak.
    memory: (u64, u64, u64),
}

impl<'a> Sums<'a> {
    fn new(shard: &Shard, shards: &'a [ShardFigures]) -> Self {
        let mut stats = ShardStats::default();
        let mut data = DataStats::default();
        for figures in shards {
            stats.add(&figures.stats);
            data.keyspace_hits += figures.data.keyspace_hits;
            data.keyspace_misses += figures.data.keyspace_misses;
            data.expired_keys += figures.data.expired_keys;
            data.evicted_keys += figures.data.evicted_keys;
            let exceeded_ms = figures.data.eviction_exceeded_ms;
            data.eviction_exceeded_ms = data.eviction_exceeded_ms.max(exceeded_ms);
        }
        let probe = shard.shared.process.memory.map(|read| read());
        let mut memory = probe.unwrap_or_default();
        if shard.shared.process.thread_memory.is_some() {
            // What `maxmemory` goes by; the allocator counts what it keeps in its caches, too.
            memory.0 = shard.shared.used_memory();
        }
        Sums {
            shards,
            stats,
            data,
            view: shard.shared.stream.view(),
            memory,
        }
    }

    fn sum(&self, figure: impl Fn(&ShardFigures) -> u64) -> u64 {
        self.shards.iter().map(figure).sum()
    }

    fn max(&self, figure: impl Fn(&ShardFigures) -> u64) -> u64 {
        self.shards.iter().map(figure).max().unwrap_or(0)
    }
}

impl Shard {
    /// This shard's part of INFO.
    pub(super) fn figures(&self, shell: &dyn Shell) -> ShardFigures {
        let now_ms = self.now.unix_ms;
        let databases = (0..self.keyspace.databases()).map(|db| (db, self.keyspace.db(db)));
        let lines = databases.filter(|(_, db)| !db.is_empty());
        let count = |what: fn(&super::client::Client) -> bool| {
            self.clients().filter(|client| what(client)).count() as u64
        };
        ShardFigures {
            shard: self.id as u32,
            stats: self.stats.clone(),
            data: self.data.stats.clone(),
            keyspace: lines
                .map(|(number, db)| KeyspaceLine {
                    db: number,
                    keys: db.len() as u64,
                    expires: db.expires() as u64,
                    avg_ttl_ms: db.average_ttl(now_ms),
                    table_bytes: db.table_memory() as u64,
                })
                .collect(),
            // By number, so that a client that is being worked on counts too.
            clients: self.by_id.len() as u64
                - count(|client| client.class == super::client::Class::Replica),
            blocked: count(super::client::Client::is_blocked),
            blocking_keys: self.waiters.keys(),
            blocking_keys_on_nokey: self.waiters.keys_on_loss(),
            replicas: count(|client| client.class == super::client::Class::Replica),
            channels: self.data.pubsub.directory.len(Space::Channel) as u64,
            shard_channels: self.data.pubsub.directory.len(Space::Shard) as u64,
            patterns: self.data.pubsub.directory.len(Space::Pattern) as u64,
            subscribers: count(super::client::Client::is_subscriber),
            tracking_clients: self.tracked.clients as u64,
            tracked_keys: self.tracked.table.len() as u64,
            tracked_items: self.tracked.table.items() as u64,
            tracked_prefixes: self.data.pubsub.directory.len(Space::Prefix) as u64,
            watched_keys: self.data.watched.len() as u64,
            watching_clients: count(|client| !client.watched.is_empty()),
            max_input_bytes: (self.clients().map(|client| client.input.buffered() as u64))
                .max()
                .unwrap_or(0),
            max_output_bytes: (self.clients().map(|client| client.reply.len() as u64))
                .max()
                .unwrap_or(0),
            client_bytes: [Class::Normal, Class::Replica].map(|class| {
                let clients = self.clients().filter(|client| client.class == class);
                let bytes = clients.map(|client| client.memory(shell.queued(client.conn)));
                bytes.sum::<usize>() as u64
            }),
            exceeded_ms: self.exceeded_ms(),
            batches: self.published,
            stream_bytes: self.stream_bytes,
            locked: self.locks.len() as u64,
            parked: self.parked.len() as u64,
            per_second: self.rates.per_second(),
        }
    }

    /// INFO's text from all shards' figures.
    pub(super) fn info_text(&self, asked: &[String], figures: &[ShardFigures]) -> String {
        let named = |name: &str| asked.iter().any(|section| section == name);
        let all = named("all") || named("everything");
        let default = asked.is_empty() || named("default");
        let sums = Sums::new(self, figures);
        let mut text = Text::default();
        for (name, in_default, write) in SECTIONS {
            if all || named(name) || (default && in_default) {
                write(self, &sums, &mut text);
            }
        }
        text.0
    }

    /// CONFIG RESETSTAT on this shard.
    pub(super) fn reset_stats(&mut self) {
        self.stats = ShardStats::default();
        self.data.stats = DataStats::default();
        self.rates.restart();
    }
}

fn server(shard: &Shard, _: &Sums<'_>, text: &mut Text) {
    let process = &shard.shared.process;
    let now_ms = shard.now.unix_ms;
    let uptime_s = now_ms.saturating_sub(process.started_unix_ms) / 1000;
    text.heading("Server");
    text.field("redis_version", REDIS_VERSION);
    text.field("banyan_version", env!("CARGO_PKG_VERSION"));
    text.field("redis_git_sha1", "00000000");
    text.field("redis_git_dirty", 0);
    text.field("redis_build_id", 0);
    text.field("redis_mode", "standalone");
    text.field("os", &process.os);
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", process.io);
    text.field("process_id", process.pid);
    text.field("process_supervised", "no");
    text.field("run_id", &process.run_id);
    text.field("tcp_port", shard.config.port);
    text.field("server_time_usec", now_ms * 1000);
    text.field("uptime_in_seconds", uptime_s);
    text.field("uptime_in_days", uptime_s / 86_400);
    text.field("hz", 10);
    text.field("configured_hz", 10);
    text.field("lru_clock", (now_ms / 1000) & 0xff_ffff);
    text.field("executable", &process.executable);
    text.field("config_file", &process.config_file);
    text.field("io_threads_active", 0);
    text.field("shards", shard.shared.shards);
    let bind: String = (shard.config.bind.iter())
        .map(|address| format!(",bind={address}"))
        .collect();
    if shard.config.port != 0 {
        let port = shard.config.port;
        text.field("listener0", format_args!("name=tcp{bind},port={port}"));
    }
    if !shard.config.unixsocket.is_empty() {
        let listener = if shard.config.port != 0 {
            "listener1"
        } else {
            "listener0"
        };
        let path = &shard.config.unixsocket;
        text.field(listener, format_args!("name=unix,bind={path}"));
    }
}

fn clients(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Clients");
    text.fields(&[
        ("connected_clients", sums.sum(|figures| figures.clients)),
        ("cluster_connections", 0),
        ("maxclients", u64::from(shard.config.maxclients)),
        (
            "client_recent_max_input_buffer",
            sums.max(|figures| figures.max_input_bytes),
        ),
        (
            "client_recent_max_output_buffer",
            sums.max(|figures| figures.max_output_bytes),
        ),
        ("blocked_clients", sums.sum(|figures| figures.blocked)),
        (
            "tracking_clients",
            sums.sum(|figures| figures.tracking_clients),
        ),
        ("pubsub_clients", sums.sum(|figures| figures.subscribers)),
        (
            "watching_clients",
            sums.sum(|figures| figures.watching_clients),
        ),
        ("clients_in_timeout_table", 0),
        (
            "total_watched_keys",
            sums.sum(|figures| figures.watched_keys),
        ),
        (
            "total_blocking_keys",
            sums.sum(|figures| figures.blocking_keys),
        ),
        (
            "total_blocking_keys_on_nokey",
            sums.sum(|figures| figures.blocking_keys_on_nokey),
        ),
    ]);
}

/// Bytes as people read them.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

fn ratio(part: u64, whole: u64) -> String {
    format!("{:.2}", part as f64 / whole.max(1) as f64)
}

fn memory(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    let (used, resident, peak) = sums.memory;
    let peak = peak.max(used);
    let backlog = sums.view.backlog_histlen;
    let total = shard.shared.process.total_memory_bytes;
    let (config, fragmented) = (&shard.config, resident.saturating_sub(used));
    let with_human = |text: &mut Text, name: &str, value: u64| {
        text.field(name, value);
        text.field(&format!("{name}_human"), human(value));
    };
    text.heading("Memory");
    with_human(text, "used_memory", used);
    with_human(text, "used_memory_rss", resident);
    with_human(text, "used_memory_peak", peak);
    text.field("used_memory_peak_perc", percent(used, peak));
    text.field("used_memory_overhead", backlog);
    text.field("used_memory_startup", 0);
    let dataset = used.saturating_sub(backlog);
    text.field("used_memory_dataset", dataset);
    text.field("used_memory_dataset_perc", percent(dataset, used));
    text.field("allocator_allocated", used);
    text.field("allocator_active", resident);
    text.field("allocator_resident", resident);
    with_human(text, "total_system_memory", total);
    with_human(text, "used_memory_lua", 0);
    text.zeros(&["used_memory_vm_eval", "used_memory_scripts_eval"]);
    text.zeros(&["number_of_cached_scripts", "number_of_functions"]);
    text.zeros(&["number_of_libraries", "used_memory_vm_functions"]);
    with_human(text, "used_memory_vm_total", 0);
    text.zeros(&["used_memory_functions"]);
    with_human(text, "used_memory_scripts", 0);
    with_human(text, "maxmemory", config.maxmemory);
    text.field("maxmemory_policy", config.maxmemory_policy.name());
    text.field("allocator_frag_ratio", ratio(resident, used));
    text.field("allocator_frag_bytes", fragmented);
    text.field("allocator_rss_ratio", "1.00");
    text.field("allocator_rss_bytes", 0);
    text.field("rss_overhead_ratio", "1.00");
    text.field("rss_overhead_bytes", 0);
    text.field("mem_fragmentation_ratio", ratio(resident, used));
    text.field("mem_fragmentation_bytes", fragmented);
    text.field("mem_not_counted_for_evict", shard.shared.stream.held());
    text.field("mem_replication_backlog", backlog);
    text.field("mem_total_replication_buffers", backlog);
    let of_replicas = sums.sum(|figures| figures.client_bytes[1]);
    text.field("mem_clients_slaves", of_replicas);
    let of_clients = sums.sum(|figures| figures.client_bytes[0]);
    text.field("mem_clients_normal", of_clients);
    text.zeros(&["mem_cluster_links", "mem_aof_buffer"]);
    text.field("mem_allocator", "jemalloc");
    text.zeros(&["active_defrag_running", "lazyfree_pending_objects"]);
    text.zeros(&["lazyfreed_objects"]);
}

fn stats(_: &Shard, sums: &Sums<'_>, text: &mut Text) {
    let Sums {
        stats, data, view, ..
    } = sums;
    let rate = |at: usize| sums.sum(|figures| figures.per_second[at]);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    text.heading("Stats");
    text.field("total_connections_received", stats.total_connections);
    text.field("total_commands_processed", stats.total_commands);
    text.field("instantaneous_ops_per_sec", rate(0));
    text.field("total_net_input_bytes", stats.net_in_bytes);
    text.field("total_net_output_bytes", stats.net_out_bytes);
    text.zeros(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    text.field("instantaneous_input_kbps", kilobytes(rate(1)));
    text.field("instantaneous_output_kbps", kilobytes(rate(2)));
    text.field("instantaneous_input_repl_kbps", "0.00");
    text.field("instantaneous_output_repl_kbps", "0.00");
    text.field("rejected_connections", stats.rejected_connections);
    text.field("sync_full", view.sync_full);
    text.field("sync_partial_ok", view.sync_partial_ok);
    text.field("sync_partial_err", view.sync_partial_err);
    text.field("expired_keys", data.expired_keys);
    text.field("expired_stale_perc", "0.00");
    text.zeros(&["expired_time_cap_reached_count"]);
    text.zeros(&["expire_cycle_cpu_milliseconds"]);
    text.field("evicted_keys", data.evicted_keys);
    text.field("evicted_clients", stats.evicted_clients);
    let exceeded_ms = sums.max(|figures| figures.exceeded_ms);
    let total_ms = data.eviction_exceeded_ms + exceeded_ms;
    text.field("total_eviction_exceeded_time", total_ms);
    text.field("current_eviction_exceeded_time", exceeded_ms);
    text.field("keyspace_hits", data.keyspace_hits);
    text.field("keyspace_misses", data.keyspace_misses);
    text.field("pubsub_channels", sums.sum(|figures| figures.channels));
    text.field("pubsub_patterns", sums.max(|figures| figures.patterns));
    let channels = sums.sum(|figures| figures.shard_channels);
    text.field("pubsubshard_channels", channels);
    text.zeros(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"]);
    text.zeros(&["slave_expires_tracked_keys", "active_defrag_hits"]);
    text.zeros(&["active_defrag_misses", "active_defrag_key_hits"]);
    text.zeros(&["active_defrag_key_misses", "total_active_defrag_time"]);
    text.zeros(&["current_active_defrag_time"]);
    let keys = sums.sum(|figures| figures.tracked_keys);
    text.field("tracking_total_keys", keys);
    let items = sums.sum(|figures| figures.tracked_items);
    text.field("tracking_total_items", items);
    let prefixes = sums.max(|figures| figures.tracked_prefixes);
    text.field("tracking_total_prefixes", prefixes);
    text.zeros(&["unexpected_error_replies"]);
    text.field("total_error_replies", stats.total_error_replies);
    text.zeros(&["dump_payload_sanitizations"]);
    text.field("total_reads_processed", stats.reads);
    text.field("total_writes_processed", stats.writes);
    text.zeros(&[
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
    ]);
    let drops = stats.query_buffer_limit_drops;
    text.field("client_query_buffer_limit_disconnections", drops);
    let drops = stats.output_buffer_limit_drops;
    text.field("client_output_buffer_limit_disconnections", drops);
    text.zeros(&["reply_buffer_shrinks", "reply_buffer_expands"]);
    text.field("eventloop_cycles", stats.ticks);
}

fn cpu(shard: &Shard, _: &Sums<'_>, text: &mut Text) {
    let used = shard.shared.process.cpu.map(|read| read());
    let (system, user) = used.unwrap_or_default();
    text.heading("CPU");
    text.field("used_cpu_sys", format_args!("{system:.6}"));
    text.field("used_cpu_user", format_args!("{user:.6}"));
    text.field("used_cpu_sys_children", "0.000000");
    text.field("used_cpu_user_children", "0.000000");
}

fn modules(_: &Shard, _: &Sums<'_>, text: &mut Text) {
    text.heading("Modules");
}

fn command_stats(_: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Commandstats");
    for (number, stats) in sums.stats.commands.iter().enumerate() {
        if stats.calls == 0 && stats.rejected == 0 && stats.failed == 0 {
            continue;
        }
        let name = table::by_number(number).full_name;
        let line = format_args!(
            "calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            stats.calls,
            stats.nanos / 1000,
            stats.nanos as f64 / 1000.0 / stats.calls.max(1) as f64,
            stats.rejected,
            stats.failed
        );
        text.field(&format!("cmdstat_{name}"), line);
    }
}

fn error_stats(_: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Errorstats");
    let mut errors = sums.stats.errors.clone();
    errors.sort();
    for (code, count) in errors {
        // A peer can choose the word (DEBUG ERROR): it must not look like fields.
        let code = code.replace([':', ',', '='], "_");
        text.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn latency_stats(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Latencystats");
    if !shard.config.latency_tracking {
        return;
    }
    let percentiles = &shard.config.latency_tracking_info_percentiles;
    for (number, histogram) in sums.stats.histograms.iter().enumerate() {
        let Some(histogram) = histogram else {
            continue;
        };
        let name = table::by_number(number).full_name;
        let shown = percentiles.iter().map(|percent| {
            let micros = histogram.percentile(*percent) as f64 / 1000.0;
            format!("p{percent}={micros:.3}")
        });
        let shown: Vec<String> = shown.collect();
        text.field(&format!("latency_percentiles_usec_{name}"), shown.join(","));
    }
}

fn cluster(_: &Shard, _: &Sums<'_>, text: &mut Text) {
    text.heading("Cluster");
    text.field("cluster_enabled", 0);
}

fn keyspace(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Keyspace");
    for db in 0..shard.data.settings.databases {
        let lines = sums.shards.iter().flat_map(|figures| &figures.keyspace);
        let (mut keys, mut expires, mut ttl_sum) = (0, 0, 0u128);
        for line in lines.filter(|line| line.db == db) {
            keys += line.keys;
            expires += line.expires;
            ttl_sum += u128::from(line.avg_ttl_ms) * u128::from(line.expires);
        }
        if keys > 0 {
            let avg_ttl = ttl_sum / u128::from(expires.max(1));
            let line = format_args!("keys={keys},expires={expires},avg_ttl={avg_ttl}");
            text.field(&format!("db{db}"), line);
        }
    }
}

fn shards(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    text.heading("Shards");
    for figures in sums.shards {
        let number = figures.shard;
        let cpu = shard.shared.process.shard_cpus.get(number as usize);
        let cpu = cpu.copied().flatten();
        let cpu = cpu.map_or("any".to_owned(), |cpu| cpu.to_string());
        let keys: u64 = figures.keyspace.iter().map(|line| line.keys).sum();
        let line = format_args!(
            "cpu={cpu},keys={keys},clients={},batches={},stream_bytes={},offset={},transactions={},\
             retries={},messages={},locked={},parked={}",
            figures.clients,
            figures.batches,
            figures.stream_bytes,
            figures.stream_bytes,
            figures.stats.transactions,
            figures.stats.transaction_retries,
            figures.stats.messages,
            figures.locked,
            figures.parked,
        );
        text.field(&format!("shard{number}"), line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::{ReplicaView, ReplicationView, UpstreamView};
    use super::super::testing::{Conn, World};
    use super::*;

    fn info(world: &mut World, conn: Conn, sections: &str) -> String {
        let reply = world.call(conn, &format!("INFO {sections}"));
        let text = String::from_utf8(reply).unwrap();
        let (head, body) = text.split_once("\r\n").unwrap();
        assert_eq!(head, format!("${}", body.len() - 2));
        body.strip_suffix("\r\n").unwrap().to_owned()
    }

    fn headings(text: &str) -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("# "))
            .collect()
    }

    #[test]
    fn sections_come_in_redis_order_and_as_asked_for() {
        let mut world = World::new(2);
        let conn = world.connect(0);
        let default = [
            "Server",
            "Clients",
            "Memory",
            "Persistence",
            "Stats",
            "Replication",
            "CPU",
            "Modules",
            "Errorstats",
            "Cluster",
            "Keyspace",
            "Shards",
        ];
        assert_eq!(headings(&info(&mut world, conn, "")), default);
        assert_eq!(headings(&info(&mut world, conn, "default")), default);
        let all = info(&mut world, conn, "ALL");
        assert_eq!(headings(&all).len(), 14);
        assert_eq!(headings(&info(&mut world, conn, "everything")).len(), 14);
        let some = info(&mut world, conn, "keyspace Server commandstats");
        assert_eq!(headings(&some), ["Server", "Commandstats", "Keyspace"]);
        assert_eq!(info(&mut world, conn, "nosuch"), "");
        assert_eq!(
            info(&mut world, conn, "cluster modules"),
            "# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"
        );
    }

    #[test]
    fn figures_of_all_shards_are_added_up() {
        let mut world = World::new(3);
        let conns = [world.connect(0), world.connect(1), world.connect(1)];
        for shard in 0..3 {
            let key = world.key(shard, 0);
            world.text(conns[1], &format!("SET {key} v"));
            world.text(conns[2], &format!("GET {key}"));
        }
        world.text(conns[0], "GET");
        world.text(conns[0], "SELECT x");
        let text = info(&mut world, conns[0], "all");
        for line in [
            "connected_clients:3",
            "total_connections_received:3",
            "keyspace_hits:3",
            "db0:keys=3,expires=0,avg_ttl=0",
            "rdb_changes_since_last_save:3",
            "total_error_replies:2",
            "errorstat_ERR:count=2",
            "cmdstat_get:calls=3,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
            "cmdstat_select:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            "cmdstat_info:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
            "redis_version:7.2.4",
            "process_id:4711",
            "role:master",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
        }
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("shard"))
            .collect();
        assert!(
            lines[1].starts_with("shard0:cpu=any,keys=1,clients=1,batches=1,"),
            "{lines:?}"
        );
        assert!(
            lines[2].starts_with("shard1:cpu=any,keys=1,clients=2,"),
            "{lines:?}"
        );

        assert_eq!(world.text(conns[0], "CONFIG RESETSTAT"), "+OK");
        let text = info(&mut world, conns[0], "stats errorstats");
        assert!(text.contains("keyspace_hits:0\r\n") && text.contains("total_error_replies:0\r\n"));
        assert!(text.ends_with("# Errorstats\r\n"));
    }

    #[test]
    fn replication_is_shown_field_by_field_as_redis_does() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let replica = ReplicaView {
            ip: "10.0.0.1".to_owned(),
            port: 6380,
            state: "online",
            offset: 90,
            lag_s: 1,
            kind: "replica",
        };
        *world.stream.view.lock().unwrap() = ReplicationView {
            replicas: vec![replica],
            replid: "a".repeat(40),
            replid2: "0".repeat(40),
            offset: 100,
            second_offset: -1,
            backlog_active: true,
            backlog_size: 1048576,
            backlog_first: 1,
            backlog_histlen: 100,
            ..ReplicationView::default()
        };
        let tail = format!(
            "depth:0\r\nconnected_slaves:1\r\n\
             slave0:ip=10.0.0.1,port=6380,state=online,offset=90,lag=1\r\n\
             master_failover_state:no-failover\r\nmaster_replid:{}\r\nmaster_replid2:{}\r\n\
             master_repl_offset:100\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:1\r\n\
             repl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:1\r\n\
             repl_backlog_histlen:100\r\n",
            "a".repeat(40),
            "0".repeat(40)
        );
        let want = format!("# Replication\r\nrole:master\r\n{tail}");
        assert_eq!(info(&mut world, conn, "replication"), want);
        world.stream.view.lock().unwrap().upstream = Some(UpstreamView {
            host: "10.0.0.9".to_owned(),
            port: 6379,
            state: "sync",
            last_io_s: 2,
            sync_in_progress: true,
            sync_total_bytes: 200,
            sync_read_bytes: 50,
            down_since_s: 7,
            read_repl_offset: 80,
            applied_offset: 70,
            ..UpstreamView::default()
        });
        let want = format!(
            "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.9\r\nmaster_port:6379\r\n\
             master_link_status:down\r\nmaster_last_io_seconds_ago:2\r\n\
             master_sync_in_progress:1\r\n\
             slave_read_repl_offset:80\r\nslave_repl_offset:70\r\nmaster_sync_total_bytes:200\r\n\
             master_sync_read_bytes:50\r\nmaster_sync_left_bytes:150\r\nmaster_sync_perc:25.00\r\n\
             master_sync_last_io_seconds_ago:2\r\nmaster_link_down_since_seconds:7\r\n\
             slave_priority:100\r\nslave_read_only:1\r\nreplica_announced:1\r\n\
             upstream:10.0.0.9:6379\r\n{tail}"
        );
        assert_eq!(info(&mut world, conn, "replication"), want);
    }

    #[test]
    fn bytes_are_shown_as_people_read_them() {
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(894 * 1024 + 860), "894.84K");
        assert_eq!(human(25_276_502_016), "23.54G");
        assert_eq!(human(u64::MAX), "16777216.00T");
    }
}
