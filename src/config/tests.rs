//! Tests over the whole table and its users.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::*;

/// CONFIG GET * of a freshly started redis-server 7.0.15, `name value` per line, with port and dir
/// made neutral.
const REDIS: &str = include_str!("redis-7.0.15.txt");

/// Names whose default differs from Redis 7.0.15, each with the reason.
const DIFFERENT_DEFAULTS: [(&str, &str); 1] = [(
    "save",
    "snapshots to disk are not written yet, so none are due",
)];

#[derive(Default)]
struct Memory(BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }

    fn list(&mut self, directory: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{directory}/");
        let names = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(prefix.as_str()));
        Ok(names.map(str::to_owned).collect())
    }
}

fn start(files: &[(&'static str, &'static str)], args: &[&str]) -> Result<Start, StartError> {
    let mut files = Memory(files.iter().copied().collect());
    Config::from_args(args.iter().map(|arg| (*arg).to_owned()), &mut files)
}

fn launch(files: &[(&'static str, &'static str)], args: &[&str]) -> Launch {
    match start(files, args) {
        Ok(Start::Serve(launch)) => *launch,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn error(files: &[(&'static str, &'static str)], args: &[&str]) -> String {
    start(files, args).expect_err("refused").to_string()
}

fn get(config: &Config, name: &str) -> String {
    let reply = config.get(&[name.as_bytes()]);
    assert_eq!(reply.len(), 1, "{name}");
    String::from_utf8(reply[0].1.clone()).expect("utf-8")
}

fn set(config: &mut Config, args: &[&str]) -> Result<Vec<&'static str>, String> {
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let changed = config.set(&args, SetContext::default());
    changed
        .map(|all| all.iter().map(|d| d.name).collect())
        .map_err(|error| error.to_string())
}

fn set_fails(args: &[&str], reason: &str) {
    let mut config = Config::default();
    let expected = format!(
        "ERR CONFIG SET failed (possibly related to argument '{}') - {reason}",
        args[0]
    );
    assert_eq!(set(&mut config, args), Err(expected));
    assert_eq!(config, Config::default());
}

#[test]
fn every_default_is_shown_as_the_table_says_and_parses_back_to_itself() {
    let config = Config::default();
    for directive in directives() {
        let text = config.text(directive);
        assert_eq!(text, directive.default.as_bytes(), "{}", directive.name);
        let mut copy = config.clone();
        let words: Vec<&[u8]> = match directive.kind.is_multiple() {
            true => text.split(|byte| *byte == b' ').collect(),
            false => vec![&text],
        };
        if directive.kind != Kind::Upstream {
            assert_eq!(
                directive.set(&mut copy, &words),
                Ok(()),
                "{}",
                directive.name
            );
        }
        assert_eq!(
            directive.load(&copy),
            directive.load(&config),
            "{}",
            directive.name
        );
    }
}

/// Two values of each kind that are no default, as CONFIG GET shows them.
fn samples(kind: Kind) -> Vec<String> {
    let texts: &[&str] = match kind {
        Kind::Bool => &["yes", "no"],
        Kind::Int(min, max) => return vec![min.to_string(), max.to_string()],
        Kind::Memory(min, max) => return vec![min.to_string(), max.to_string()],
        Kind::MemoryOrPercent => &["10%", "4096"],
        Kind::Octal(_) => &["700", "777"],
        Kind::Choice(names) => names,
        Kind::Choices(_) => &["save now", "nosave now force"],
        Kind::Text | Kind::OptionalText | Kind::Secret => &["a", "b-c.d"],
        Kind::Directory => &["/", "/tmp"],
        Kind::Save | Kind::Events => &[""],
        Kind::OutputLimits => &["normal 1 2 3 slave 4 5 6 pubsub 7 8 9"],
        Kind::Addresses => &["127.0.0.1", "127.0.0.1 -::1", ""],
        Kind::Upstream => &["127.0.0.1 7000", "host 1"],
        Kind::OomScores => &["-5 0 2000"],
        Kind::Percentiles => &["50.5 100", ""],
        Kind::Cpus => &["0-3,8", "1"],
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_directive_takes_values_of_its_kind_by_file_and_flag_and_shows_them_unchanged() {
    for directive in directives() {
        for sample in samples(directive.kind) {
            let quoted = words::quote(sample.as_bytes());
            let line = format!("{} {quoted}\n", directive.name);
            let mut config = Config::default();
            let values = words::split(line.as_bytes()).expect("balanced");
            let mut files = Memory::default();
            let mut loader = load::Loader::new(&mut files);
            let done = loader.line(&values, line.as_bytes(), &Place::CommandLine, 0);
            let must_refuse = directive.check.is_some_and(|check| {
                let parsed = directive
                    .kind
                    .parse(&[sample.as_bytes()], &directive.load(&config));
                parsed.is_ok_and(|value| check(&value).is_err())
            });
            assert_eq!(done.is_err(), must_refuse, "{line}: {done:?}");
            if must_refuse {
                continue;
            }
            config = loader.config;
            assert_eq!(
                String::from_utf8_lossy(&config.text(directive)),
                sample,
                "{line}"
            );
            let name = directive.alias.unwrap_or(directive.name);
            let by_flag = launch(&[], &[&format!("--{name}"), &sample]).config;
            assert_eq!(by_flag, config, "{line}");
            let rewritten = config.rewrite(b"");
            let path: &'static str = "r.conf";
            let text: &'static str = String::from_utf8(rewritten).expect("utf-8").leak();
            assert_eq!(
                launch(&[(path, text)], &[path]).config.text(directive),
                sample.as_bytes(),
                "{text}"
            );
        }
    }
}

#[test]
fn names_are_unique_and_every_directive_has_help() {
    let mut names = BTreeSet::new();
    for directive in directives() {
        for name in [Some(directive.name), directive.alias]
            .into_iter()
            .flatten()
        {
            assert!(names.insert(name), "{name} twice");
            assert_eq!(find(name.to_uppercase().as_bytes()), Some(directive));
        }
        assert!(
            !directive.help.is_empty() && !directive.help.ends_with('.'),
            "{}",
            directive.name
        );
    }
    assert_eq!(find(b"nosuch"), None);
}

#[test]
fn every_name_of_redis_7_0_exists_with_the_same_default() {
    let config = Config::default();
    for line in REDIS.lines() {
        let (name, default) = line.split_once(' ').unwrap_or((line, ""));
        if DIFFERENT_DEFAULTS
            .iter()
            .all(|(different, _)| *different != name)
        {
            assert_eq!(get(&config, name), default, "{name}");
        } else {
            assert_ne!(
                get(&config, name),
                default,
                "{name} is no exception any more"
            );
        }
    }
}

#[test]
fn config_get_takes_several_patterns_and_answers_each_name_once() {
    let config = Config::default();
    let names = |patterns: &[&[u8]]| -> Vec<String> {
        let reply = config.get(patterns);
        reply
            .into_iter()
            .map(|(name, _)| String::from_utf8(name).expect("utf-8"))
            .collect()
    };
    assert_eq!(
        names(&[b"[p]ort", b"tim*", b"timeout", b"PORT"]),
        ["port", "timeout"]
    );
    assert_eq!(names(&[b"MaxMemory", b"maxmemory"]), ["MaxMemory"]);
    assert_eq!(
        names(&[b"slave-prio*", b"REPLICA-PRIO*"]),
        ["slave-priority", "replica-priority"]
    );
    assert_eq!(names(&[b"nosuch"]), [""; 0]);
    assert_eq!(names(&[b"key-load*"]), [""; 0]);
    assert_eq!(names(&[b"key-load-delay"]), ["key-load-delay"]);
    let shown = directives().filter(|directive| !directive.hidden);
    let count: usize = shown
        .map(|directive| 1 + usize::from(directive.alias.is_some()))
        .sum();
    assert_eq!(names(&[b"*"]).len(), count);
}

#[test]
fn config_set_changes_all_or_nothing_and_says_what_changed() {
    let mut config = Config::default();
    assert_eq!(
        set(&mut config, &["timeout", "5", "maxclients", "7"]),
        Ok(vec!["timeout", "maxclients"])
    );
    assert_eq!((config.timeout, config.maxclients), (5, 7));
    assert_eq!(set(&mut config, &["TIMEOUT", "5"]), Ok(vec![]));
    assert!(set(&mut config, &["timeout", "6", "maxclients", "0"]).is_err());
    assert_eq!(config.timeout, 5);
    // Both names of one directive may be given, and the last one counts.
    let both = ["slave-priority", "3", "replica-priority", "4"];
    assert_eq!(set(&mut config, &both), Ok(vec!["replica-priority"]));
    assert_eq!(config.replica_priority, 4);
    assert_eq!(
        set(&mut config, &["requirepass", "a b"]),
        Ok(vec!["requirepass"])
    );
    assert_eq!(config.requirepass, b"a b");
    assert_eq!(set(&mut config, &["hz", "50"]), Ok(vec!["hz"]));
    assert_eq!(get(&config, "hz"), "50");
    let part = "replica 1mb 2 3 normal 5 5 5";
    assert!(set(&mut config, &["client-output-buffer-limit", part]).is_ok());
    let limits = "normal 5 5 5 slave 1048576 2 3 pubsub 33554432 8388608 60";
    assert_eq!(get(&config, "client-output-buffer-limit"), limits);
    assert!(
        set(
            &mut config,
            &["repl-backlog-size", "5kB", "loglevel", "NOTICE"]
        )
        .is_ok()
    );
    assert_eq!(config.repl_backlog_size, 5120);
}

#[test]
fn config_set_refuses_bad_values_with_redis_texts() {
    let integer = "argument couldn't be parsed into an integer";
    let one_of = "argument(s) must be one of the following: ";
    set_fails(
        &["repl-timeout", "0"],
        "argument must be between 1 and 2147483647 inclusive",
    );
    set_fails(
        &["maxclients", "-1"],
        "argument must be between 1 and 4294967295 inclusive",
    );
    set_fails(&["slave-priority", "abc"], integer);
    for text in ["abc", " 5", "+5", "", "05", "-0", "99999999999999999999"] {
        set_fails(&["timeout", text], integer);
    }
    let range = "argument must be between 1048576 and 9223372036854775807 inclusive";
    set_fails(&["proto-max-bulk-len", "5"], range);
    for text in [
        "-1",
        "10x",
        "1 kb",
        "kb",
        "99999999999999999999999",
        "99999999999999gb",
    ] {
        set_fails(
            &["repl-backlog-size", text],
            "argument must be a memory value",
        );
    }
    set_fails(
        &["protected-mode", "maybe"],
        "argument must be 'yes' or 'no'",
    );
    set_fails(
        &["loglevel", "notice debug"],
        &format!("{one_of}debug, verbose, notice, warning, nothing"),
    );
    set_fails(
        &["shutdown-on-sigint", "foo"],
        &format!("{one_of}default, save, nosave, now, force"),
    );
}

#[test]
fn config_set_refuses_bad_words_and_texts_with_redis_texts() {
    let both = "shutdown options SAVE and NOSAVE can't be used simultaneously";
    set_fails(&["shutdown-on-sigint", "save nosave"], both);
    set_fails(&["save", "1 2  3 4"], "Invalid save parameters");
    let limit = "client-output-buffer-limit";
    let tail = "buffer limit configuration.";
    set_fails(
        &[limit, "foo 1 2 3"],
        &format!("Invalid client class specified in {tail}"),
    );
    set_fails(
        &[limit, "normal 1 2"],
        &format!("Wrong number of arguments in {tail}"),
    );
    let bad = format!("Error in hard, soft or soft_seconds setting in {tail}");
    set_fails(&[limit, "normal a 2 3"], &bad);
    set_fails(
        &["maxmemory-clients", "101%"],
        "percentage argument must be less or equal to 100",
    );
    set_fails(
        &["maxmemory-clients", "x"],
        "argument must be a memory or percent value",
    );
    let events = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    set_fails(&["notify-keyspace-events", "q"], events);
    let scores = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    set_fails(&["oom-score-adj-values", "1 2 3000"], scores);
    set_fails(
        &["oom-score-adj-values", "1 2"],
        "wrong number of arguments",
    );
    let percentiles = "latency-tracking-info-percentiles";
    set_fails(
        &[percentiles, "1 200"],
        &format!("{percentiles} parameters should sit between [0.0,100.0]"),
    );
    set_fails(
        &[percentiles, "a"],
        &format!("Invalid {percentiles} parameters"),
    );
    let template = "template format is invalid or contains unknown variables";
    set_fails(&["proc-title-template", "{foo}"], template);
    let hostname = "Hostnames may only contain alphanumeric characters, hyphens or dots";
    set_fails(&["cluster-announce-hostname", "a b"], hostname);
}

#[test]
fn config_set_refuses_unknown_fixed_protected_and_doubled_names() {
    for name in [
        "port",
        "bind",
        "unixsocket",
        "databases",
        "shards",
        "shard-cpus",
        "io",
        "replicaof",
    ] {
        set_fails(&[name, "1"], "can't set immutable config");
    }
    set_fails(&["DAEMONIZE", "yes"], "can't set immutable config");
    set_fails(&["dir", "/"], "can't set protected config");
    set_fails(&["dbfilename", "x.rdb"], "can't set protected config");
    set_fails(&["timeout", "1", "timeout", "2"], "duplicate parameter");
    let mut config = Config::default();
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'foo'";
    assert_eq!(
        set(&mut config, &["timeout", "1", "foo", "bar"]),
        Err(unknown.to_owned())
    );
    assert_eq!(
        set(&mut config, &["timeout", "1", "x"]),
        Err("ERR syntax error".to_owned())
    );
    assert_eq!(config, Config::default());
}

#[test]
fn protected_and_loading_rules_depend_on_who_asks_and_when() {
    let mut config = launch(&[], &["--enable-protected-configs", "local"]).config;
    let near = SetContext {
        local_client: true,
        loading: false,
    };
    let loading = SetContext {
        local_client: true,
        loading: true,
    };
    assert!(
        config
            .set(&[b"dbfilename", b"x.rdb"], SetContext::default())
            .is_err()
    );
    assert!(config.set(&[b"dbfilename", b"x.rdb"], near).is_ok());
    let path = config
        .set(&[b"dbfilename", b"a/x"], near)
        .expect_err("a path")
        .to_string();
    assert!(
        path.ends_with("dbfilename can't be a path, just a filename"),
        "{path}"
    );
    assert_eq!(config.set(&[b"dir", b"/"], loading), Err(SetError::Loading));
    assert!(config.set(&[b"timeout", b"1"], loading).is_ok());
}

#[test]
fn what_is_not_supported_yet_is_refused_in_one_line() {
    for (name, value) in [("save", "900 1"), ("appendonly", "yes")] {
        let text = error(&[], &[&format!("--{name}"), value]);
        let reason = text.lines().last().expect("a reason").to_owned();
        assert!(reason.contains("not supported yet, only "), "{text}");
        set_fails(&[name, value], &reason);
    }
    assert!(error(&[], &["--aclfile", "users.acl"]).contains("ACL files are not supported yet"));
    assert!(error(&[("a", "user default off")], &["a"]).contains("users are not supported yet"));
    launch(
        &[],
        &["--save", "", "--appendonly", "no", "--maxmemory", "0"],
    );
}

#[test]
fn the_command_line_is_read_as_redis_server_reads_it() {
    let port = |args: &[&str]| launch(&[], args).config.port;
    assert_eq!(port(&["--port", "7000"]), 7000);
    assert_eq!(port(&["--port 7000"]), 7000);
    assert_eq!(port(&["--PORT", "7000", "--port", "7001"]), 7001);
}

#[test]
fn several_words_may_be_given_as_arguments_or_quoted_as_one() {
    let upstream = Some(Upstream {
        host: "127.0.0.1".to_owned(),
        port: 7000,
    });
    for args in [
        &["--replicaof", "127.0.0.1", "7000"][..],
        &["--replicaof", "127.0.0.1 7000"],
        &["--replicaof 127.0.0.1 7000"],
        &["--slaveof", "127.0.0.1", "7000", "--port", "7"],
    ] {
        assert_eq!(launch(&[], args).config.replicaof, upstream, "{args:?}");
    }
    assert_eq!(
        launch(&[], &["--replicaof", "no", "one"]).config.replicaof,
        None
    );
    assert_eq!(
        launch(&[], &["--bind", "*", "-::*", "--port", "1"])
            .config
            .bind,
        ["*", "-::*"]
    );
    assert_eq!(launch(&[], &["--bind", ""]).config.bind, [""; 0]);
    assert_eq!(
        launch(&[], &["--requirepass", "--port"]).config.requirepass,
        b"--port"
    );
    for args in [
        &["--save"][..],
        &["--save", ""],
        &["--save", "--port", "1"],
        &["--save \"\""],
    ] {
        assert_eq!(launch(&[], args).config.save, [], "{args:?}");
    }
    assert_eq!(
        launch(&[], &["--requirepass \"a b\""]).config.requirepass,
        b"a b"
    );
    let limits = launch(
        &[],
        &["--client-output-buffer-limit", "normal", "1", "2", "3"],
    )
    .config;
    assert_eq!(limits.client_output_buffer_limit.normal.hard_bytes, 1);
    assert_eq!(
        limits.client_output_buffer_limit.pubsub.hard_bytes,
        32 << 20
    );
    assert_eq!(
        launch(&[], &["--oom-score-adj-values", "-9", "0", "9"]).no_effect,
        ["oom-score-adj-values"]
    );
    let own = launch(
        &[],
        &["--shards", "3", "--shard-cpus", "0-2,5", "--io", "epoll"],
    )
    .config;
    assert_eq!(
        (own.shards, own.shard_cpus, own.io),
        (3, vec![0, 1, 2, 5], Io::Epoll)
    );
}

#[test]
fn flags_outrank_standard_input_which_outranks_the_file() {
    let files = [
        ("a.conf", "port 1\ntimeout 1\nloglevel debug"),
        ("-", "port 2\ntimeout 2\n"),
    ];
    let launch = launch(&files, &["a.conf", "--port", "3", "-"]);
    assert_eq!((launch.config.port, launch.config.timeout), (3, 2));
    assert_eq!(launch.config.loglevel, LogLevel::Debug);
    assert_eq!(launch.file.as_deref(), Some("a.conf"));
    assert_eq!(self::launch(&files, &["-"]).config.port, 2);
    assert_eq!(self::launch(&files, &["-"]).file, None);
}

#[test]
fn a_file_may_hold_comments_quotes_any_case_and_several_lines_of_one_directive() {
    let text = "# comment\r\n\n  PORT 7000\r\nrequirepass \"a \\x41\"\nslaveof \"h 1\"\n\
        client-output-buffer-limit normal 1 2 3\n\
        client-output-buffer-limit pubsub 4 5 6\nunixsocketperm 700";
    let config = launch(&[("a", text)], &["a"]).config;
    assert_eq!(
        (
            config.port,
            config.requirepass.as_slice(),
            config.unixsocketperm
        ),
        (7000, &b"a A"[..], 0o700)
    );
    assert_eq!(
        config.replicaof,
        Some(Upstream {
            host: "h".to_owned(),
            port: 1
        })
    );
    let limits = config.client_output_buffer_limit;
    assert_eq!(
        (limits.normal.soft_seconds, limits.pubsub.soft_seconds),
        (3, 6)
    );
}

#[test]
fn includes_are_read_in_place_with_patterns_sorted_and_a_depth_limit() {
    let files = [
        ("main", "port 1\ninclude conf.d/*.conf\ntimeout 9"),
        ("conf.d/b.conf", "port 3\ntimeout 3"),
        ("conf.d/a.conf", "port 2\ninclude leaf"),
        ("conf.d/.hidden.conf", "bogus"),
        ("conf.d/c.txt", "bogus"),
        ("leaf", "databases 4"),
        ("loop", "include loop"),
        ("none", "include nothing.d/*.conf\ninclude missing"),
    ];
    let config = launch(&files, &["main"]).config;
    assert_eq!((config.port, config.timeout, config.databases), (3, 9, 4));
    assert_eq!(launch(&files, &["--include", "leaf"]).config.databases, 4);
    assert!(error(&files, &["loop"]).ends_with("include is nested more than 16 deep"));
    let missing = error(&files, &["none"]);
    assert!(
        missing.starts_with("Fatal error, can't open config file 'missing': "),
        "{missing}"
    );
}

fn expect(
    files: &[(&'static str, &'static str)],
    args: &[&str],
    place: &str,
    line: &str,
    why: &str,
) {
    let head = format!(
        "\n*** FATAL CONFIG FILE ERROR (Banyan {}) ***\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        error(files, args),
        format!("{head}{place}\n>>> '{line}'\n{why}"),
        "{args:?}"
    );
}

#[test]
fn a_bad_line_stops_the_start_with_file_line_and_reason() {
    let bad = "Bad directive or wrong number of arguments";
    let arity = "wrong number of arguments";
    let at = "Reading the configuration file, at line";
    let files = [
        ("a", "# c\nport 7000\nbogus 1\n"),
        ("b", "port 1 2"),
        ("c", "\nport \"7000"),
        ("d", "include a"),
        ("-", "port x"),
    ];
    expect(&files, &["a"], &format!("{at} 3 of a"), "bogus 1", bad);
    expect(&files, &["b"], &format!("{at} 1 of b"), "port 1 2", arity);
    let quotes = "Unbalanced quotes in configuration line";
    expect(
        &files,
        &["c"],
        &format!("{at} 2 of c"),
        "port \"7000",
        quotes,
    );
    expect(&files, &["d"], &format!("{at} 3 of a"), "bogus 1", bad);
    let integer = "argument couldn't be parsed into an integer";
    expect(
        &files,
        &["-"],
        &format!("{at} 1 of standard input"),
        "port x",
        integer,
    );
}

#[test]
fn a_bad_flag_stops_the_start_with_the_flag_and_reason() {
    let bad = "Bad directive or wrong number of arguments";
    let arity = "wrong number of arguments";
    let integer = "argument couldn't be parsed into an integer";
    let flags = "Reading the command line";
    expect(&[], &["--port", "abc"], flags, "port \"abc\"", integer);
    expect(&[], &["--nosuch", "1"], flags, "--nosuch", bad);
    expect(&[], &["--port", "1", "2"], flags, "2", arity);
    expect(&[], &["--port"], flags, "--port", arity);
    expect(
        &[],
        &["--replicaof", "h", "x"],
        flags,
        "replicaof \"h x\"",
        "Invalid master port",
    );
    expect(
        &[],
        &["--shard-cpus", "3-1"],
        flags,
        "shard-cpus \"3-1\"",
        "argument must be a list of CPUs such as 0-3,8",
    );
    let octal = "argument must be between 0 and 777 inclusive";
    expect(
        &[],
        &["--unixsocketperm", "1000"],
        flags,
        "unixsocketperm \"1000\"",
        octal,
    );
}

#[test]
fn directives_without_effect_are_listed_once_in_order() {
    let text =
        "io-threads 4\nhz 10\nport 1\nlua-replicate-commands yes\nIO-THREADS 2\nlua-time-limit 7";
    let launch = launch(&[("a", text)], &["a", "--hz", "20"]);
    let listed = [
        "io-threads",
        "hz",
        "lua-replicate-commands",
        "busy-reply-threshold",
    ];
    assert_eq!(launch.no_effect, listed);
    assert_eq!(
        (get(&launch.config, "io-threads"), get(&launch.config, "hz")),
        ("2".into(), "20".into())
    );
}

#[test]
fn help_lists_every_directive_under_its_section_and_version_names_the_server() {
    let Ok(Start::Print(help)) = start(&[], &["--help"]) else {
        panic!("no help")
    };
    for directive in directives() {
        let listed = help.contains(&format!("--{} <", directive.name));
        assert_eq!(listed, !directive.hidden, "{}", directive.name);
        assert!(help.contains(&format!("\n{}:\n", directive.section.title())));
    }
    assert!(
        help.contains("TCP port; 0: no TCP [default: 6379]"),
        "{help}"
    );
    let Ok(Start::Print(version)) = start(&[], &["-v"]) else {
        panic!("no version")
    };
    assert!(version.starts_with(concat!("Banyan server v=", env!("CARGO_PKG_VERSION"), " ")));
    assert!(matches!(start(&[], &["--version"]), Ok(Start::Print(_))));
}

/// The old text and the commands as given to redis-server 7.0.15; expected is what it wrote,
/// without the lines that it always adds for what Banyan does not have (`user`).
#[test]
fn rewriting_keeps_comments_and_order_and_appends_what_changed() {
    let old = "# my comment\n\nport 7912\n   timeout   5  \n\n\n# second\nslaveof 127.0.0.1 1\n\
        hash-max-ziplist-entries 100\nclient-output-buffer-limit normal 1mb 1mb 5\n\
        client-output-buffer-limit slave 1mb 1mb 5\nloglevel notice\nrepl-timeout 60\n\
        requirepass \"fo\\x01 o\"\nrequirepass bar\ndaemonize no\nbogus line\ninclude x\n";
    let without_unknown = old.replace("bogus line\ninclude x\n", "").leak();
    let mut config = launch(&[("a", without_unknown)], &["a", "--dir", "/data"]).config;
    set(
        &mut config,
        &["requirepass", "a b\"", "repl-backlog-size", "3072"],
    )
    .expect("valid");
    set(
        &mut config,
        &["loglevel", "debug", "min-slaves-to-write", "2"],
    )
    .expect("valid");
    config.replicaof = None;
    let expected = "# my comment\n\nport 7912\ntimeout 5\n\n# second\n\n\
        hash-max-listpack-entries 100\n\
        client-output-buffer-limit normal 1mb 1mb 5\nclient-output-buffer-limit replica 1mb 1mb 5\n\
        loglevel debug\nrepl-timeout 60\nrequirepass \"a b\\\"\"\n\ndaemonize no\n\
        # ??? bogus line\ninclude x\n\n# Generated by CONFIG REWRITE\n\
        dir \"/data\"\nrepl-backlog-size 3kb\nmin-replicas-to-write 2\n\
        save \"\"\nlatency-tracking-info-percentiles 50 99 99.9\n";
    let rewritten = config.rewrite(old.as_bytes());
    assert_eq!(String::from_utf8_lossy(&rewritten), expected);
    // A second time nothing changes, and the signature is not repeated.
    let again = String::from_utf8(config.rewrite(&rewritten)).expect("utf-8");
    assert_eq!(again.trim_end(), expected.trim_end());
    set(
        &mut config,
        &[
            "hash-max-ziplist-entries",
            "512",
            "client-output-buffer-limit",
            "normal 0 0 0",
        ],
    )
    .expect("valid");
    let back = String::from_utf8(config.rewrite(&rewritten)).expect("utf-8");
    assert!(
        back.contains("\nhash-max-listpack-entries 512\nclient-output-buffer-limit normal 0 0 0\n"),
        "{back}"
    );
}
