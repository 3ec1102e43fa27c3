//! INFO's sections about replication and about what is loaded and written for it.

use std::sync::atomic::Ordering;

use super::super::shared::{LoadView, UpstreamView};
use crate::config::Config;

use super::{Shard, Sums, Text};

pub(super) fn persistence(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    let loading = shard.shared.loading.load(Ordering::Relaxed);
    let waits = |state: &str| matches!(state, "wait_bgsave" | "send_bulk");
    let snapshot = (sums.view.replicas.iter()).any(|replica| waits(replica.state));
    text.heading("Persistence");
    text.field("loading", u8::from(loading));
    let async_loading = shard.shared.async_loading.load(Ordering::Relaxed);
    text.field("async_loading", u8::from(async_loading));
    text.zeros(&["current_cow_peak", "current_cow_size"]);
    text.field("current_cow_size_age", 0);
    text.field("current_fork_perc", "0.00");
    text.zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    text.field("rdb_changes_since_last_save", sums.stats.dirty);
    text.field("rdb_bgsave_in_progress", u8::from(snapshot));
    text.field("rdb_last_save_time", shard.last_save_unix_s());
    let status = if sums.view.dump_failed { "err" } else { "ok" };
    text.field("rdb_last_bgsave_status", status);
    text.field("rdb_last_bgsave_time_sec", -1);
    text.field("rdb_current_bgsave_time_sec", -1);
    text.zeros(&["rdb_saves", "rdb_last_cow_size"]);
    text.field("rdb_last_load_keys_expired", sums.view.last_load.expired);
    text.field("rdb_last_load_keys_loaded", sums.view.last_load.loaded);
    text.field("aof_enabled", u8::from(shard.config.appendonly));
    text.zeros(&["aof_rewrite_in_progress", "aof_rewrite_scheduled"]);
    text.field("aof_last_rewrite_time_sec", -1);
    text.field("aof_current_rewrite_time_sec", -1);
    text.field("aof_last_bgrewrite_status", "ok");
    text.zeros(&["aof_rewrites", "aof_rewrites_consecutive_failures"]);
    text.field("aof_last_write_status", "ok");
    text.zeros(&["aof_last_cow_size", "module_fork_in_progress"]);
    text.zeros(&["module_fork_last_cow_size"]);
    if let Some(load) = sums.view.loading {
        show_load(shard, load, text);
    }
}

/// Progress of a load, as Redis tells it.
fn show_load(shard: &Shard, load: LoadView, text: &mut Text) {
    let (total, loaded) = (load.total_bytes.max(1), load.loaded_bytes);
    let elapsed_s = (shard.now.unix_ms / 1000).saturating_sub(load.started_s);
    let left_s = (elapsed_s * (total - loaded.min(total))).checked_div(loaded);
    text.field("loading_start_time", load.started_s);
    text.field("loading_total_bytes", load.total_bytes);
    text.field("loading_rdb_used_mem", load.used_memory);
    text.field("loading_loaded_bytes", loaded);
    let done = loaded as f64 * 100.0 / total as f64;
    text.field("loading_loaded_perc", format_args!("{done:.2}"));
    text.field("loading_eta_seconds", left_s.unwrap_or(1));
}

pub(super) fn replication(shard: &Shard, sums: &Sums<'_>, text: &mut Text) {
    let (view, config) = (&sums.view, &shard.config);
    text.heading("Replication");
    match &view.upstream {
        None => text.field("role", "master"),
        Some(upstream) => show_upstream(upstream, config, text),
    }
    if let Some(upstream) = &view.upstream {
        // Our place in the tree.
        let (host, port) = (&upstream.host, upstream.port);
        text.field("upstream", format_args!("{host}:{port}"));
    }
    text.field("depth", shard.shared.depth.load(Ordering::Relaxed));
    text.field("connected_slaves", view.replicas.len());
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag > 0 {
        text.field("min_slaves_good_slaves", view.good_replicas);
    }
    for (number, replica) in view.replicas.iter().enumerate() {
        let line = format_args!(
            "ip={},port={},state={},offset={},lag={}",
            replica.ip, replica.port, replica.state, replica.offset, replica.lag_s
        );
        text.field(&format!("slave{number}"), line);
    }
    text.field("master_failover_state", view.failover.name());
    text.field("master_replid", &view.replid);
    text.field("master_replid2", &view.replid2);
    text.field("master_repl_offset", view.offset);
    text.field("second_repl_offset", view.second_offset);
    text.field("repl_backlog_active", u8::from(view.backlog_active));
    text.field("repl_backlog_size", view.backlog_size);
    text.field("repl_backlog_first_byte_offset", view.backlog_first);
    text.field("repl_backlog_histlen", view.backlog_histlen);
}

/// The link to the upstream.
fn show_upstream(upstream: &UpstreamView, config: &Config, text: &mut Text) {
    text.field("role", "slave");
    text.field("master_host", &upstream.host);
    text.field("master_port", upstream.port);
    let status = if upstream.link_up { "up" } else { "down" };
    text.field("master_link_status", status);
    text.field("master_last_io_seconds_ago", upstream.last_io_s);
    let syncs = upstream.sync_in_progress;
    text.field("master_sync_in_progress", u8::from(syncs));
    text.field("slave_read_repl_offset", upstream.read_repl_offset);
    text.field("slave_repl_offset", upstream.applied_offset);
    if syncs {
        let (total, read) = (upstream.sync_total_bytes, upstream.sync_read_bytes);
        text.field("master_sync_total_bytes", total);
        text.field("master_sync_read_bytes", read);
        // The length is not known beforehand in a transfer that ends with a mark.
        text.field("master_sync_left_bytes", total.saturating_sub(read));
        let done = if total > 0 {
            read as f64 * 100.0 / total as f64
        } else {
            0.0
        };
        text.field("master_sync_perc", format_args!("{done:.2}"));
        text.field("master_sync_last_io_seconds_ago", upstream.last_io_s);
    }
    if !upstream.link_up {
        text.field("master_link_down_since_seconds", upstream.down_since_s);
    }
    // What is delayed is no heir: a promotion would drop what it holds back.
    let priority = match upstream.delay {
        Some(_) => 0,
        None => config.replica_priority,
    };
    text.field("slave_priority", priority);
    text.field("slave_read_only", u8::from(config.replica_read_only));
    text.field("replica_announced", u8::from(config.replica_announced));
    if let Some(delay) = &upstream.delay {
        text.field("replica_apply_delay_ms", delay.delay_ms);
        text.field("replica_apply_pending_bytes", delay.pending_bytes);
        text.field("replica_apply_spooled_bytes", delay.spooled_bytes);
        text.field("replica_apply_last_unix_ms", delay.last_applied_ms);
    }
}
