//! Typed values of directives, and how a field of [`Config`](super::Config) becomes one and back.

/// A parsed, valid value of a directive, independent of the field that holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Bool(bool),
    /// A number; also bytes, octal modes, and percentages (as negative numbers, like Redis).
    Number(i128),
    /// Text that must be UTF-8: names, addresses, paths.
    Text(String),
    /// Text that may be any bytes: passwords.
    Bytes(Vec<u8>),
    /// One of the names that the directive lists.
    Choice(&'static str),
    /// Several of the names that the directive lists.
    Choices(Vec<&'static str>),
    /// Words divided by blanks: addresses.
    Words(Vec<String>),
    /// Limits per client class.
    OutputLimits(OutputLimits),
    /// `host port`, or no upstream.
    Upstream(Option<Upstream>),
    /// Pairs of seconds and changes.
    Save(Vec<SavePoint>),
    /// Small signed numbers.
    Numbers(Vec<i64>),
    /// Percentages between 0 and 100.
    Percentiles(Vec<f64>),
    /// Sorted set of CPU numbers.
    Cpus(Vec<u16>),
}

/// A type that a field of `Config` may have.
pub trait Field: Sized {
    /// The field's value for formatting.
    fn to_value(&self) -> Value;
    /// Takes over a value that the directive's kind parsed; `None` if the kind and the field's type
    /// disagree, which is a mistake in the table that a test finds.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! fields {
    ($($variant:ident($ty:ty)),* $(,)?) => {$(
        impl Field for $ty {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }
        }
    )*};
}

fields! {
    Bool(bool), Text(String), Bytes(Vec<u8>), Words(Vec<String>),
    OutputLimits(OutputLimits), Upstream(Option<Upstream>), Save(Vec<SavePoint>),
    Percentiles(Vec<f64>), Cpus(Vec<u16>),
}

macro_rules! number_fields {
    ($($ty:ty),*) => {$(
        impl Field for $ty {
            fn to_value(&self) -> Value {
                Value::Number(i128::from(*self))
            }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Number(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

number_fields!(u16, u32, u64, i32, i64);

/// An enum whose variants are a directive's names.
pub trait Named: Copy + Sized + 'static {
    /// The names in the order in which Redis lists them.
    const NAMES: &'static [&'static str];
    /// The variant's name, as CONFIG GET shows it.
    fn name(self) -> &'static str;
    /// The variant of an exact name.
    fn from_name(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($(
        #[doc = $doc:literal]
        $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $text:literal),+ $(,)? }
    )+) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $vdoc])+ $variant,)+
        }
        impl Named for $name {
            const NAMES: &'static [&'static str] = &[$($text),+];
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
        impl Field for $name {
            fn to_value(&self) -> Value {
                Value::Choice(self.name())
            }
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Choice(name) => Self::from_name(name),
                    _ => None,
                }
            }
        }
    )+};
}

named! {
    /// How much the log tells.
    LogLevel {
        /// Everything; for development.
        Debug = "debug",
        /// Many rarely useful lines.
        Verbose = "verbose",
        /// What an operator wants to know.
        Notice = "notice",
        /// Only what is important or wrong.
        Warning = "warning",
        /// Nothing at all.
        Nothing = "nothing",
    }
    /// Which network shell drives the shards.
    Io {
        /// io_uring where the kernel allows it, else epoll.
        Auto = "auto",
        /// io_uring, or the start fails.
        Uring = "uring",
        /// epoll.
        Epoll = "epoll",
    }
    /// In which order the writes of one pipelined connection become visible.
    PipelineOrder {
        /// In the order in which they were sent, over all shards.
        Strict = "strict",
        /// In the order sent on each shard, but not across shards.
        Relaxed = "relaxed",
    }
    /// What a full sync from the upstream is loaded into.
    ReplDisklessLoad {
        /// From a file, once that has proved sound; straight from the socket if there are no data.
        Disabled = "disabled",
        /// As `Disabled`.
        OnEmptyDb = "on-empty-db",
        /// Into memory beside the data, which serve meanwhile.
        SwapDb = "swapdb",
    }
    /// Who may use a protected command or directive.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Every client.
        Yes = "yes",
        /// Clients on the loopback interface or the Unix socket.
        Local = "local",
    }
    /// What goes when `maxmemory` is reached.
    MaxmemoryPolicy {
        /// Keys with an expiry, least recently used first.
        VolatileLru = "volatile-lru",
        /// Keys with an expiry, least frequently used first.
        VolatileLfu = "volatile-lfu",
        /// Keys with an expiry, at random.
        VolatileRandom = "volatile-random",
        /// Keys with an expiry, the next to expire first.
        VolatileTtl = "volatile-ttl",
        /// Any key, least recently used first.
        AllkeysLru = "allkeys-lru",
        /// Any key, least frequently used first.
        AllkeysLfu = "allkeys-lfu",
        /// Any key, at random.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes are refused.
        NoEviction = "noeviction",
    }
}

/// The output-buffer limit of one class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which a client is dropped at once; 0: no limit.
    pub hard_bytes: u64,
    /// Bytes at which a client is dropped after `soft_seconds`; 0: no limit.
    pub soft_bytes: u64,
    /// Seconds that a client may stay above `soft_bytes`.
    pub soft_seconds: u32,
}

/// Output-buffer limits of all classes of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients, MONITOR included.
    pub normal: OutputLimit,
    /// Replicas, on the wire called `slave`.
    pub replica: OutputLimit,
    /// Clients that subscribe to a channel or pattern.
    pub pubsub: OutputLimit,
}

/// Redis's defaults; also what a rewritten file need not mention.
pub const OUTPUT_LIMITS_DEFAULT: OutputLimits = OutputLimits {
    normal: OutputLimit {
        hard_bytes: 0,
        soft_bytes: 0,
        soft_seconds: 0,
    },
    replica: OutputLimit {
        hard_bytes: 256 << 20,
        soft_bytes: 64 << 20,
        soft_seconds: 60,
    },
    pubsub: OutputLimit {
        hard_bytes: 32 << 20,
        soft_bytes: 8 << 20,
        soft_seconds: 60,
    },
};

/// How a signal ends the process: some of `save`, `nosave`, `now`, `force`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownWords(pub Vec<&'static str>);

impl ShutdownWords {
    /// What may be said; the first stands for nothing.
    pub const NAMES: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];
}

impl Field for ShutdownWords {
    fn to_value(&self) -> Value {
        Value::Choices(self.0.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Choices(words) => Some(ShutdownWords(words)),
            _ => None,
        }
    }
}

/// The node that this one replicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A snapshot is due after `seconds` if at least `changes` writes happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last snapshot, at least 1.
    pub seconds: u64,
    /// Writes since the last snapshot.
    pub changes: u32,
}
