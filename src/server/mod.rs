//! The process: from the command line to running shards, and back to a clean end.

pub mod executor;
pub mod helpers;
pub mod listen;
pub mod process;
pub mod shell;
mod signals;
mod spool;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::config::{Config, Disk, Launch, LogLevel, Start};
use crate::net::{Balance, DriverConfig, IoKind, Listeners, Waker};
use crate::replication::{Node, log::Log, random_id};
use crate::shard::shared::{Process, Shared, Stop};
use helpers::Helpers;
use shell::Host;

/// Runs the server as the command line says; `args` without the program's name.
pub fn main(args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    match Config::from_args(args, &mut Disk) {
        Ok(Start::Print(text)) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Ok(Start::Serve(launch)) => match serve(*launch) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(launch: Launch) -> Result<(), String> {
    let Launch {
        mut config,
        file,
        no_effect,
    } = launch;
    let file = match file {
        Some(file) if file != "-" => absolute(&file)?,
        _ => String::new(),
    };
    if config.daemonize {
        daemonize()?;
    }
    std::env::set_current_dir(&config.dir)
        .map_err(|error| format!("Can't chdir to '{}': {error}", config.dir))?;
    config.dir = absolute(".")?;
    let logs_to_file = !config.logfile.is_empty();
    start_logging(&config)?;
    log_panics();
    let outcome = start(config, &no_effect, file);
    if let Err(reason) = &outcome
        && logs_to_file
    {
        // Standard error may be nowhere by now.
        tracing::error!("{reason}");
    }
    outcome
}

/// The rest of the start, whose failures are logged too.
fn start(mut config: Config, no_effect: &[&str], file: String) -> Result<(), String> {
    let (kind, features) = choose_io(&config)?;
    let cpus = choose_cpus(&config)?;
    let open_files = process::raise_open_files(config.maxclients);
    let listeners = listen::open(&config)?;
    write_pidfile(&config);
    let signals = signals::Signals::block().map_err(|error| format!("signals: {error}"))?;
    report(&config, &cpus, &features, no_effect);
    if let Some(warning) = process::lower_maxclients(&mut config.maxclients, open_files) {
        tracing::warn!("{warning}");
    }
    for warning in process::warnings(config.tcp_backlog, kind == IoKind::Uring) {
        tracing::warn!("{warning}");
    }
    let outcome = run(&config, kind, cpus, listeners, signals, file);
    if !config.pidfile.is_empty() {
        let _ = std::fs::remove_file(&config.pidfile);
    }
    if !config.unixsocket.is_empty() {
        let _ = std::fs::remove_file(&config.unixsocket);
    }
    tracing::info!("Banyan is now ready to exit, bye bye...");
    outcome
}

fn absolute(path: &str) -> Result<String, String> {
    let full = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
    let full = full.canonicalize().unwrap_or(full);
    Ok(full.display().to_string())
}

/// Starts the shards and waits for their end.
fn run(
    config: &Config,
    kind: IoKind,
    cpus: Vec<Option<usize>>,
    listeners: Listeners,
    signals: signals::Signals,
    file: String,
) -> Result<(), String> {
    let mut rng = process::entropy().map_err(|error| format!("no random source: {error}"))?;
    let shards = cpus.len();
    let log = Arc::new(Log::new(
        shards,
        random_id(&mut rng),
        config.repl_backlog_size,
    ));
    let mut facts = facts(kind, &cpus, &file, &mut rng);
    let dataset = Path::new(&config.dir).join(&config.dbfilename);
    // One that cannot be looked at must not be taken for one that is not there.
    facts.has_dataset = dataset.try_exists().unwrap_or(true);
    let shared = Arc::new(Shared::new(config.clone(), shards, log.clone(), facts));
    let mut wakers = Vec::with_capacity(shards);
    let mut sleepers = Vec::with_capacity(shards);
    for _ in 0..shards {
        let (waker, sleeper) = Waker::new().map_err(|error| format!("eventfd: {error}"))?;
        wakers.push(waker);
        sleepers.push(Some(sleeper));
    }
    let helpers = Helpers::new(&wakers);
    if !file.is_empty() {
        let rewriter = Box::new(move |config: &Config| rewrite(config, &file));
        let started = helpers.write_with(rewriter);
        started.map_err(|error| format!("no thread for files: {error}"))?;
    }
    let started = helpers.spool_in(std::path::Path::new("."));
    started.map_err(|error| format!("no thread for spool files: {error}"))?;
    let balance = Arc::new(Balance::new(wakers.clone()));
    let parts = Arc::new(Mutex::new((Some(listeners), sleepers)));
    let seeds: Vec<u64> = (0..shards).map(|_| rng.next_u64()).collect();
    let body = {
        let (shared, wakers) = (shared.clone(), wakers.clone());
        move |shard: usize| {
            let (listeners, sleeper) = {
                let mut parts = parts.lock().expect("a panic ends the process");
                let listeners = if shard == 0 { parts.0.take() } else { None };
                (listeners.unwrap_or_default(), parts.1[shard].take())
            };
            let node = Node::new(shard, shared.clone(), log.clone(), seeds[shard]);
            let mut host = Host::new(node, wakers.clone(), helpers.clone());
            let driver = DriverConfig::new(shard, balance.clone());
            let sleeper = sleeper.expect("each shard starts once");
            if let Err(error) = crate::net::run(kind, driver, listeners, sleeper, &mut host) {
                panic!("the driver of shard {shard} failed: {error}");
            }
        }
    };
    let threads = executor::start(kind, cpus, body)
        .map_err(|error| format!("cannot start a shard: {error}"))?;
    stop_by_signals(signals, &shared, wakers);
    tracing::info!("ready to accept connections");
    for thread in threads {
        if thread.join().is_err() {
            return Err("a shard ended in a panic".to_owned());
        }
    }
    shared.failure.get().cloned().map_or(Ok(()), Err)
}

/// Tells the coordinator of signals that end the process.
fn stop_by_signals(signals: signals::Signals, shared: &Arc<Shared>, wakers: Vec<Waker>) {
    let stopper = shared.clone();
    signals.on_termination(is_stopping(shared), move |name| {
        tracing::info!("received {name}, shutting down");
        let signal = match name {
            "SIGINT" => Stop::INTERRUPT,
            _ => Stop::TERMINATE,
        };
        // The coordinator looks after it: replicas that lag may have to be waited for.
        stopper.stop_asked.store(signal, Ordering::Release);
        wakers.iter().for_each(Waker::wake);
    });
}

/// Whether a shutdown has begun that has not failed.
fn is_stopping(shared: &Arc<Shared>) -> impl Fn() -> bool + Send + 'static {
    let shared = shared.clone();
    move || {
        shared.stop_asked.load(Ordering::Acquire) != Stop::NO
            || shared.stopping.load(Ordering::Relaxed)
            || shared.shutdown.load(Ordering::Relaxed)
    }
}

/// What the core shows of the process, and its seed.
fn facts(
    kind: IoKind,
    cpus: &[Option<usize>],
    file: &str,
    rng: &mut crate::command::Rng,
) -> Process {
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Process {
        run_id: random_id(rng),
        has_dataset: false,
        pid: std::process::id(),
        executable: std::env::current_exe()
            .map(|p| p.display().to_string())
            .unwrap_or_default(),
        config_file: file.to_owned(),
        os: process::os(),
        io: if kind == IoKind::Uring {
            "io_uring"
        } else {
            "epoll"
        },
        started_unix_ms: started.map_or(0, |since| since.as_millis() as u64),
        started_mono_ns: 0,
        shard_cpus: cpus.to_vec(),
        seed: std::array::from_fn(|_| rng.next_u64()),
        memory: Some(process::memory),
        allocator: Some(process::allocator()),
        clock: Some(process::clock_ns),
        thread_memory: Some(process::thread_memory),
        base_memory: process::thread_memory(),
        total_memory_bytes: process::total_memory_bytes(),
        cpu: Some(process::cpu),
    }
}

/// CONFIG REWRITE: the new text replaces the file in one step.
fn rewrite(config: &Config, file: &str) -> Result<(), String> {
    let old = match std::fs::read(file) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let fresh = format!("{file}-{}.tmp", std::process::id());
    let written = std::fs::File::create(&fresh).and_then(|mut out| {
        out.write_all(&config.rewrite(&old))?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        error.to_string()
    })
}

fn start_logging(config: &Config) -> Result<(), String> {
    use tracing::level_filters::LevelFilter;
    let level = match config.loglevel {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false);
    if config.logfile.is_empty() {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
        builder.with_ansi(colours).init();
    } else {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&config.logfile);
        let file = file.map_err(|error| format!("Can't open the log file: {error}"))?;
        builder
            .with_ansi(false)
            .with_writer(Mutex::new(file))
            .init();
    }
    Ok(())
}

/// A panic is logged before it ends the process: standard error may be nowhere.
fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("the server panics and ends: {panic}");
        usual(panic);
    }));
}

/// The driver to run: as configured, or epoll where io_uring is missing.
fn choose_io(config: &Config) -> Result<(IoKind, String), String> {
    use crate::config::Io;
    if config.io == Io::Epoll {
        return Ok((IoKind::Epoll, "epoll".to_owned()));
    }
    let features = executor::probe();
    if features.uring {
        return Ok((IoKind::Uring, features.to_string()));
    }
    if config.io == Io::Uring {
        return Err("--io uring: io_uring is missing or forbidden here".to_owned());
    }
    tracing::warn!("io_uring is missing or forbidden here: running on epoll, which costs speed");
    Ok((IoKind::Epoll, "epoll".to_owned()))
}

/// One element per shard: the CPU it is pinned to, or none.
fn choose_cpus(config: &Config) -> Result<Vec<Option<usize>>, String> {
    let wanted = config.shards as usize;
    if !config.shard_cpus.is_empty() {
        let cpus: Vec<usize> = config
            .shard_cpus
            .iter()
            .map(|cpu| usize::from(*cpu))
            .collect();
        let allowed = executor::cpus_allowed().map_err(|error| format!("CPUs: {error}"))?;
        if let Some(missing) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(format!(
                "shard-cpus: CPU {missing} is not there, or this process may not run on it"
            ));
        }
        let count = if wanted == 0 { cpus.len() } else { wanted };
        if count > cpus.len() {
            return Ok(vec![None; count]);
        }
        return Ok(cpus.into_iter().take(count).map(Some).collect());
    }
    let cores = executor::physical_cores().map_err(|error| format!("CPUs: {error}"))?;
    match wanted {
        0 => Ok(cores.into_iter().map(Some).collect()),
        count if count > cores.len() => Ok(vec![None; count]),
        count => Ok(cores.into_iter().take(count).map(Some).collect()),
    }
}

fn report(config: &Config, cpus: &[Option<usize>], io: &str, no_effect: &[&str]) {
    let pinned: Vec<String> = cpus
        .iter()
        .map(|cpu| cpu.map_or("-".to_owned(), |cpu| cpu.to_string()))
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        port = config.port,
        "Banyan is starting"
    );
    tracing::info!(shards = cpus.len(), cpus = %pinned.join(","), io, "shards");
    if !no_effect.is_empty() {
        tracing::info!(
            "directives that have no effect here: {}",
            no_effect.join(", ")
        );
    }
}

fn write_pidfile(config: &Config) {
    if config.pidfile.is_empty() {
        return;
    }
    if let Err(error) = std::fs::write(&config.pidfile, format!("{}\n", std::process::id())) {
        let path = Path::new(&config.pidfile).display();
        tracing::warn!(%path, %error, "cannot write the pid file");
    }
}

/// Goes to the background: before any thread is started.
fn daemonize() -> Result<(), String> {
    // SAFETY: the process has one thread, so the child may go on running ordinary code.
    match unsafe { libc::fork() } {
        0 => {}
        -1 => return Err(format!("cannot fork: {}", std::io::Error::last_os_error())),
        _ => std::process::exit(0),
    }
    // SAFETY: plain system calls on descriptors that are ours.
    unsafe {
        libc::setsid();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            libc::dup2(null, 0);
            libc::dup2(null, 1);
            libc::dup2(null, 2);
            if null > 2 {
                libc::close(null);
            }
        }
    }
    Ok(())
}
