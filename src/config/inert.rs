//! Directives of Redis 7.2 that mean nothing here: accepted, kept, shown by CONFIG GET, and
//! reported once at start.

use super::checks;
use super::directive::Change::{Immutable, Mutable};
use super::directive::{Change, Check, Directive, Section, Slot};
use super::kind::Kind::{self, *};

const I32: i64 = i32::MAX as i64;
const I64: i64 = i64::MAX;
const BYTES: Kind = Memory(0, i64::MAX as u64);
const ACTION: Kind = Choice(&["no", "yes", "local"]);

const fn row(name: &'static str, kind: Kind, default: &'static str, change: Change) -> Directive {
    Directive {
        name,
        alias: None,
        section: Section::NoEffect,
        kind,
        default,
        change,
        hidden: false,
        help: "No effect here",
        check: None,
        slot: Slot::Stored,
    }
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    row(name, kind, default, Immutable)
}

const fn free(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    row(name, kind, default, Mutable)
}

const fn hidden(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    let mut directive = free(name, kind, default);
    directive.hidden = true;
    directive
}

const fn alias(alias: &'static str, mut directive: Directive) -> Directive {
    directive.alias = Some(alias);
    directive
}

const fn checked(check: Check, mut directive: Directive) -> Directive {
    directive.check = Some(check);
    directive
}

#[rustfmt::skip]
pub(super) static INERT: &[Directive] = &[
    // Threads, timers, the allocator: the shards do these by themselves.
    fixed("io-threads", Int(1, 128), "1"),
    fixed("io-threads-do-reads", Bool, "no"),
    free("hz", Int(0, I32), "10"),
    free("dynamic-hz", Bool, "yes"),
    free("activerehashing", Bool, "yes"),
    free("jemalloc-bg-thread", Bool, "yes"),
    free("activedefrag", Bool, "no"),
    free("active-defrag-cycle-min", Int(1, 99), "1"),
    free("active-defrag-cycle-max", Int(1, 99), "25"),
    free("active-defrag-threshold-lower", Int(0, 1000), "10"),
    free("active-defrag-threshold-upper", Int(0, 1000), "100"),
    free("active-defrag-max-scan-fields", Int(1, I64), "1000"),
    free("active-defrag-ignore-bytes", Memory(1, i64::MAX as u64), "104857600"),
    fixed("server_cpulist", OptionalText, ""),
    fixed("bio_cpulist", OptionalText, ""),
    fixed("aof_rewrite_cpulist", OptionalText, ""),
    fixed("bgsave_cpulist", OptionalText, ""),
    // The process.
    fixed("always-show-logo", Bool, "no"),
    fixed("set-proc-title", Bool, "yes"),
    checked(checks::proc_title_template,
        free("proc-title-template", Text, "{title} {listen-addr} {server-mode}")),
    fixed("supervised", Choice(&["upstart", "systemd", "auto", "no"]), "no"),
    fixed("syslog-enabled", Bool, "no"),
    fixed("syslog-ident", Text, "redis"),
    fixed("syslog-facility", Choice(&["user", "local0", "local1", "local2", "local3", "local4",
        "local5", "local6", "local7"]), "local0"),
    free("oom-score-adj", Choice(&["no", "yes", "relative", "absolute"]), "no"),
    free("oom-score-adj-values", OomScores, "0 200 800"),
    fixed("disable-thp", Bool, "yes"),
    free("crash-log-enabled", Bool, "yes"),
    free("crash-memcheck-enabled", Bool, "yes"),
    free("ignore-warnings", Text, ""),
    free("socket-mark-id", Int(0, u32::MAX as i64), "0"),
    free("locale-collate", Text, ""),
    fixed("enable-module-command", ACTION, "no"),
    free("propagation-error-behavior", Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore"),
    alias("lua-time-limit", free("busy-reply-threshold", Int(0, I64), "5000")),
    // A payload is always checked in full.
    free("sanitize-dump-payload", Choice(&["no", "yes", "clients"]), "no"),
    free("acl-pubsub-default", Choice(&["allchannels", "resetchannels"]), "resetchannels"),
    free("acllog-max-len", Int(0, I64), "128"),
    // Data that goes is always freed in slices.
    free("lazyfree-lazy-user-flush", Bool, "no"),
    // Files.
    free("replica-ignore-disk-write-errors", Bool, "no"),
    free("stop-writes-on-bgsave-error", Bool, "yes"),
    free("rdb-del-sync-files", Bool, "no"),
    free("rdb-save-incremental-fsync", Bool, "yes"),
    checked(checks::appendfilename, fixed("appendfilename", Text, "appendonly.aof")),
    checked(checks::appenddirname, fixed("appenddirname", Text, "appendonlydir")),
    free("appendfsync", Choice(&["everysec", "always", "no"]), "everysec"),
    free("no-appendfsync-on-rewrite", Bool, "no"),
    free("auto-aof-rewrite-percentage", Int(0, I32), "100"),
    free("auto-aof-rewrite-min-size", BYTES, "67108864"),
    free("aof-load-truncated", Bool, "yes"),
    free("aof-use-rdb-preamble", Bool, "yes"),
    free("aof-timestamp-enabled", Bool, "no"),
    free("aof-rewrite-incremental-fsync", Bool, "yes"),
    free("aof-disable-auto-gc", Bool, "no"),
    // Cluster.
    fixed("cluster-enabled", Bool, "no"),
    fixed("cluster-config-file", Text, "nodes.conf"),
    fixed("cluster-port", Int(0, 65535), "0"),
    free("cluster-node-timeout", Int(0, I64), "15000"),
    free("cluster-require-full-coverage", Bool, "yes"),
    alias("cluster-slave-no-failover", free("cluster-replica-no-failover", Bool, "no")),
    alias("cluster-slave-validity-factor",
        free("cluster-replica-validity-factor", Int(0, I32), "10")),
    free("cluster-migration-barrier", Int(0, I32), "1"),
    free("cluster-allow-replica-migration", Bool, "yes"),
    free("cluster-allow-reads-when-down", Bool, "no"),
    free("cluster-allow-pubsubshard-when-down", Bool, "yes"),
    free("cluster-announce-ip", OptionalText, ""),
    checked(checks::hostname, free("cluster-announce-hostname", OptionalText, "")),
    checked(checks::hostname, free("cluster-announce-human-nodename", OptionalText, "")),
    free("cluster-announce-port", Int(0, 65535), "0"),
    free("cluster-announce-tls-port", Int(0, 65535), "0"),
    free("cluster-announce-bus-port", Int(0, 65535), "0"),
    free("cluster-preferred-endpoint-type", Choice(&["ip", "hostname", "unknown-endpoint"]), "ip"),
    free("cluster-link-sendbuf-limit", Memory(0, u64::MAX), "0"),
    // TLS.
    free("tls-port", Int(0, 65535), "0"),
    free("tls-cluster", Bool, "no"),
    free("tls-replication", Bool, "no"),
    free("tls-auth-clients", Choice(&["no", "yes", "optional"]), "yes"),
    free("tls-prefer-server-ciphers", Bool, "no"),
    free("tls-session-caching", Bool, "yes"),
    free("tls-session-cache-size", Int(0, I32), "20480"),
    free("tls-session-cache-timeout", Int(0, I32), "300"),
    free("tls-cert-file", OptionalText, ""),
    free("tls-key-file", OptionalText, ""),
    free("tls-key-file-pass", OptionalText, ""),
    free("tls-client-cert-file", OptionalText, ""),
    free("tls-client-key-file", OptionalText, ""),
    free("tls-client-key-file-pass", OptionalText, ""),
    free("tls-dh-params-file", OptionalText, ""),
    free("tls-ca-cert-file", OptionalText, ""),
    free("tls-ca-cert-dir", OptionalText, ""),
    free("tls-protocols", OptionalText, ""),
    free("tls-ciphers", OptionalText, ""),
    free("tls-ciphersuites", OptionalText, ""),
    // For Redis's own tests.
    hidden("use-exit-on-panic", Bool, "no"),
    hidden("rdb-key-save-delay", Int(i32::MIN as i64, I32), "0"),
    hidden("key-load-delay", Int(i32::MIN as i64, I32), "0"),
    hidden("watchdog-period", Int(0, I32), "0"),
    hidden("loading-process-events-interval-bytes", Int(1024, I32), "2097152"),
];
