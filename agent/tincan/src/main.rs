//! The process `tincan`: see docs/wire.md §10 for how it is driven.

use std::path::PathBuf;
use std::process::ExitCode;

use tincan::daemon::{
    busy_poll_wanted, check_privileges, close_inherited, die_on_panic, raise_priority, Daemon, Lock, Signals,
};
use tincan::io::udp::{batches_wanted, set_batches};
use tincan::log;

const USAGE: &str = "usage: tincan --run-dir DIR [--log-level error|warn|info|debug] [--keep-bridge]";

struct Arguments {
    run_dir: PathBuf,
    level: log::Level,
    /// On SIGTERM and SIGINT bridge and tap stay, as `shutdown` with keepBridge has it.
    keep_bridge: bool,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let (mut run_dir, mut level, mut keep_bridge) = (None, log::Level::Info, false);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--run-dir" => run_dir = Some(PathBuf::from(given.next().ok_or("--run-dir needs a directory")?)),
            "--log-level" => {
                let name = given.next().ok_or("--log-level needs a level")?;
                level = log::Level::parse(&name).ok_or(format!("unknown log level {name:?}"))?;
            }
            "--keep-bridge" => keep_bridge = true,
            "--help" | "-h" | "--version" => {
                println!("tincan {}\n{USAGE}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    let run_dir = run_dir.ok_or("--run-dir is missing")?;
    Ok(Some(Arguments { run_dir, level, keep_bridge }))
}

fn run(arguments: &Arguments) -> Result<(), String> {
    log::set_level(arguments.level);
    let batches = std::env::var("EVIO_UDP_GSO").ok();
    let batches = batches_wanted(batches.as_deref())?;
    set_batches(batches);
    if !batches {
        log!(Info, "every datagram is sent and received by itself", because = "EVIO_UDP_GSO=off");
    }
    let busy_poll = std::env::var("EVIO_BUSY_POLL").ok();
    let busy_poll = busy_poll_wanted(busy_poll.as_deref())?;
    check_privileges()?;
    raise_priority();
    let signals = Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let lock = Lock::take(&arguments.run_dir)?;
    let mut daemon = Daemon::new(&arguments.run_dir, arguments.keep_bridge, signals, lock)
        .map_err(|error| format!("cannot open the sockets in {}: {error}", arguments.run_dir.display()))?;
    daemon.set_busy_poll(busy_poll);
    daemon.run().map_err(|error| format!("the main loop failed: {error}"))
}

fn main() -> ExitCode {
    close_inherited();
    die_on_panic();
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tincan: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tincan: {message}");
            ExitCode::FAILURE
        }
    }
}
