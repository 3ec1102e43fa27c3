//! The table rows.

use super::{del, exists, expiry, inspect, kind, scan, touch, transfer};
use crate::command::family::observe;
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};

const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.or(Flags::FAST);
const DEBUG: Flags = Flags::ADMIN
    .or(Flags::NOSCRIPT)
    .or(Flags::LOADING)
    .or(Flags::STALE);

const KEYSPACE: &[&str] = &["@keyspace"];

const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];
const SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

const ONE: Keys = range(1, 1);
const PAIR: Keys = range(1, 2);
const ALL: Keys = range(1, -1);
/// The argument after a subcommand.
const SECOND: Keys = range(2, 2);

const fn range(first: u8, last: i8) -> Keys {
    Keys::Range {
        first,
        last,
        step: 1,
    }
}

const fn doc(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "generic",
        complexity,
    }
}

const fn server_doc(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
    Doc {
        group: "server",
        ..doc(summary, since, complexity)
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "copy",
        full_name: "copy",
        arity: -3,
        flags: Flags::WRITE.or(Flags::DENYOOM),
        categories: KEYSPACE,
        keys: PAIR,
        access: KeyAccess::Two(&KeyAccess::Read, &KeyAccess::Overwrite),
        doc: doc(
            "Copies a value to another key, also of another database.",
            "6.2.0",
            "O(N) in the size of the value",
        ),
        run: Run::Data(transfer::copy),
        ..Command::ROW
    },
    Command {
        name: "del",
        full_name: "del",
        arity: -2,
        flags: Flags::WRITE,
        categories: KEYSPACE,
        keys: ALL,
        access: KeyAccess::Remove,
        doc: doc(
            "Deletes keys.",
            "1.0.0",
            "O(N) in the number of keys; memory is freed in the background",
        ),
        run: Run::Data(del),
        tips: SUM,
        ..Command::ROW
    },
    Command {
        name: "dump",
        full_name: "dump",
        arity: 2,
        flags: Flags::READONLY,
        categories: KEYSPACE,
        keys: ONE,
        doc: doc(
            "Serialises the value of a key.",
            "2.6.0",
            "O(N) in the size of the value",
        ),
        run: Run::Data(transfer::dump),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "exists",
        full_name: "exists",
        arity: -2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ALL,
        access: KeyAccess::Inspect,
        doc: doc(
            "Counts which of the keys exist.",
            "1.0.0",
            "O(N) in the number of keys",
        ),
        run: Run::Data(exists),
        tips: SUM,
        ..Command::ROW
    },
    Command {
        name: "expire",
        full_name: "expire",
        arity: -3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Update,
        doc: doc(
            "Lets a key expire after a number of seconds.",
            "1.0.0",
            "O(1)",
        ),
        run: Run::Data(expiry::expire),
        ..Command::ROW
    },
    Command {
        name: "expireat",
        full_name: "expireat",
        arity: -3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Update,
        doc: doc(
            "Lets a key expire at a Unix time in seconds.",
            "1.2.0",
            "O(1)",
        ),
        run: Run::Data(expiry::expireat),
        ..Command::ROW
    },
    Command {
        name: "expiretime",
        full_name: "expiretime",
        arity: 2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ONE,
        doc: doc(
            "Tells when a key expires, as a Unix time in seconds.",
            "7.0.0",
            "O(1)",
        ),
        run: Run::Data(expiry::expiretime),
        ..Command::ROW
    },
    Command {
        name: "memory",
        full_name: "memory",
        arity: -2,
        flags: Flags::NONE,
        doc: server_doc(
            "Groups the commands about memory.",
            "4.0.0",
            "Depends on the subcommand.",
        ),
        run: Run::Container,
        subcommands: MEMORY,
        ..Command::ROW
    },
    Command {
        name: "move",
        full_name: "move",
        arity: 3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::ReadWrite,
        doc: doc("Moves a key to another database.", "1.0.0", "O(1)"),
        run: Run::Data(transfer::move_key),
        ..Command::ROW
    },
    Command {
        name: "object",
        full_name: "object",
        arity: -2,
        flags: Flags::NONE,
        doc: doc(
            "Groups the commands about how a key is stored.",
            "2.2.3",
            "Depends on the subcommand.",
        ),
        run: Run::Container,
        subcommands: OBJECT,
        ..Command::ROW
    },
    Command {
        name: "persist",
        full_name: "persist",
        arity: 2,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Update,
        doc: doc("Takes the expiry off a key.", "2.2.0", "O(1)"),
        run: Run::Data(expiry::persist),
        ..Command::ROW
    },
    Command {
        name: "pexpire",
        full_name: "pexpire",
        arity: -3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Update,
        doc: doc(
            "Lets a key expire after a number of milliseconds.",
            "2.6.0",
            "O(1)",
        ),
        run: Run::Data(expiry::pexpire),
        ..Command::ROW
    },
    Command {
        name: "pexpireat",
        full_name: "pexpireat",
        arity: -3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Update,
        doc: doc(
            "Lets a key expire at a Unix time in milliseconds.",
            "2.6.0",
            "O(1)",
        ),
        run: Run::Data(expiry::pexpireat),
        ..Command::ROW
    },
    Command {
        name: "pexpiretime",
        full_name: "pexpiretime",
        arity: 2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ONE,
        doc: doc(
            "Tells when a key expires, as a Unix time in milliseconds.",
            "7.0.0",
            "O(1)",
        ),
        run: Run::Data(expiry::pexpiretime),
        ..Command::ROW
    },
    Command {
        name: "pttl",
        full_name: "pttl",
        arity: 2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ONE,
        doc: doc(
            "Tells in how many milliseconds a key expires.",
            "2.6.0",
            "O(1)",
        ),
        run: Run::Data(expiry::pttl),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "rename",
        full_name: "rename",
        arity: 3,
        flags: Flags::WRITE,
        categories: KEYSPACE,
        keys: PAIR,
        access: KeyAccess::Two(&KeyAccess::Take, &KeyAccess::Overwrite),
        doc: doc(
            "Gives a key another name, over whatever had it.",
            "1.0.0",
            "O(1)",
        ),
        run: Run::Data(transfer::rename),
        ..Command::ROW
    },
    Command {
        name: "renamenx",
        full_name: "renamenx",
        arity: 3,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: PAIR,
        access: KeyAccess::Two(&KeyAccess::Take, &KeyAccess::Create),
        doc: doc(
            "Gives a key another name unless that is taken.",
            "1.0.0",
            "O(1)",
        ),
        run: Run::Data(transfer::renamenx),
        ..Command::ROW
    },
    Command {
        name: "restore",
        full_name: "restore",
        arity: -4,
        flags: Flags::WRITE.or(Flags::DENYOOM),
        categories: &["@keyspace", "@dangerous"],
        keys: ONE,
        access: KeyAccess::Overwrite,
        doc: doc(
            "Creates a key from what DUMP gave.",
            "2.6.0",
            "O(N) in the size of the value",
        ),
        run: Run::Data(transfer::restore),
        ..Command::ROW
    },
    Command {
        name: "scan",
        full_name: "scan",
        arity: -2,
        flags: Flags::READONLY.or(Flags::TOUCHES_ARBITRARY_KEYS),
        categories: KEYSPACE,
        doc: doc(
            "Walks over the keys of the database, some at a time.",
            "2.8.0",
            "O(1) for a call, O(N) for all keys",
        ),
        run: Run::Data(scan::scan),
        tips: &[
            "nondeterministic_output",
            "request_policy:special",
            "response_policy:special",
        ],
        ..Command::ROW
    },
    Command {
        name: "touch",
        full_name: "touch",
        arity: -2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ALL,
        access: KeyAccess::Inspect,
        doc: doc(
            "Marks keys as used and counts them.",
            "3.2.1",
            "O(N) in the number of keys",
        ),
        run: Run::Data(touch),
        tips: SUM,
        ..Command::ROW
    },
    Command {
        name: "ttl",
        full_name: "ttl",
        arity: 2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ONE,
        doc: doc("Tells in how many seconds a key expires.", "1.0.0", "O(1)"),
        run: Run::Data(expiry::ttl),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "type",
        full_name: "type",
        arity: 2,
        flags: READ_FAST,
        categories: KEYSPACE,
        keys: ONE,
        access: KeyAccess::Inspect,
        doc: doc("Tells the type of a value.", "1.0.0", "O(1)"),
        run: Run::Data(kind),
        ..Command::ROW
    },
    Command {
        name: "unlink",
        full_name: "unlink",
        arity: -2,
        flags: WRITE_FAST,
        categories: KEYSPACE,
        keys: ALL,
        access: KeyAccess::Remove,
        doc: doc(
            "Deletes keys, freeing their memory in the background.",
            "4.0.0",
            "O(N) in the number of keys",
        ),
        run: Run::Data(del),
        tips: SUM,
        ..Command::ROW
    },
];

static OBJECT: &[Command] = &[
    Command {
        name: "encoding",
        full_name: "object|encoding",
        arity: 3,
        flags: Flags::READONLY,
        categories: KEYSPACE,
        keys: SECOND,
        access: KeyAccess::Inspect,
        doc: doc("Tells the internal encoding of a value.", "2.2.3", "O(1)"),
        run: Run::Data(inspect::object_encoding),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "freq",
        full_name: "object|freq",
        arity: 3,
        flags: Flags::READONLY,
        categories: KEYSPACE,
        keys: SECOND,
        access: KeyAccess::Inspect,
        doc: doc("Tells how often a key is used.", "4.0.0", "O(1)"),
        run: Run::Data(inspect::object_freq),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "help",
        full_name: "object|help",
        arity: 2,
        flags: Flags::LOADING.or(Flags::STALE),
        categories: KEYSPACE,
        doc: doc("Lists the subcommands.", "6.2.0", "O(1)"),
        run: Run::Data(inspect::object_help),
        ..Command::ROW
    },
    Command {
        name: "idletime",
        full_name: "object|idletime",
        arity: 3,
        flags: Flags::READONLY,
        categories: KEYSPACE,
        keys: SECOND,
        access: KeyAccess::Inspect,
        doc: doc("Tells for how long a key was not used.", "2.2.3", "O(1)"),
        run: Run::Data(inspect::object_idletime),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
    Command {
        name: "refcount",
        full_name: "object|refcount",
        arity: 3,
        flags: Flags::READONLY,
        categories: KEYSPACE,
        keys: SECOND,
        access: KeyAccess::Inspect,
        doc: doc("Tells the reference count of a value.", "2.2.3", "O(1)"),
        run: Run::Data(inspect::object_refcount),
        tips: NONDETERMINISTIC,
        ..Command::ROW
    },
];

static MEMORY: &[Command] = &[
    observe::MEMORY_DOCTOR_ROW,
    Command {
        name: "help",
        full_name: "memory|help",
        arity: 2,
        flags: Flags::LOADING.or(Flags::STALE),
        doc: server_doc("Lists the subcommands.", "4.0.0", "O(1)"),
        run: Run::Data(inspect::memory_help),
        ..Command::ROW
    },
    observe::MEMORY_MALLOC_STATS_ROW,
    observe::MEMORY_PURGE_ROW,
    observe::MEMORY_STATS_ROW,
    Command {
        name: "usage",
        full_name: "memory|usage",
        arity: -3,
        flags: Flags::READONLY,
        keys: SECOND,
        access: KeyAccess::Inspect,
        doc: server_doc("Estimates the memory that a key takes.", "4.0.0", "O(1)"),
        run: Run::Data(inspect::memory_usage),
        ..Command::ROW
    },
];

/// DEBUG OBJECT, for the container.
pub const OBJECT_ROW: Command = Command {
    name: "object",
    full_name: "debug|object",
    arity: -2,
    flags: DEBUG,
    keys: SECOND,
    access: KeyAccess::Inspect,
    doc: server_doc(
        "Shows how a key is stored.",
        "1.0.0",
        "O(N) in the size of the value",
    ),
    run: Run::Data(inspect::debug_object),
    ..Command::ROW
};

/// DEBUG DIGEST-VALUE, for the container.
pub const DIGEST_VALUE_ROW: Command = Command {
    name: "digest-value",
    full_name: "debug|digest-value",
    arity: -2,
    flags: DEBUG,
    keys: range(2, -1),
    access: KeyAccess::Read,
    doc: server_doc(
        "Gives a digest of each key's value.",
        "1.0.0",
        "O(N) in the size of the values",
    ),
    run: Run::Data(inspect::debug_digest_value),
    ..Command::ROW
};
