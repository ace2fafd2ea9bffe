//! A hostile member for tests: a tincan whose keys, certificate, sessions and paths are genuine, and which attacks on command.
//!
//!     EVIO_HOSTILE_NODE_FILE=NODE.json hostile --run-dir DIR
//!
//! An agent starts it in place of tincan (EVIO_TINCAN). It behaves like one until the file DIR/attack says otherwise: one line,
//! `NAME RATE`, and every neighbour gets so many records of that attack a second. How many left by which attack is in
//! DIR/attacked.json. The node file gives the papers that handshakes are made of by the dozen.

mod attacks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tincan::daemon::{die_on_panic, Daemon, Lock, Signals};
use tincan::log;
use tincan::session::Now;
use tincan::time::{monotonic, wall_seconds, Micros, MILLISECOND, SECOND};

use attacks::{Attack, Papers, Striker};

/// Between two strikes: what is due meanwhile leaves in one batch.
const PACE: Micros = 2 * MILLISECOND;
/// How often the order is looked at.
const LOOK: Micros = 50 * MILLISECOND;
/// What one strike may send to one neighbour at most, however late it is.
const STRIKE_MAX: u64 = 2_000;

struct Order {
    attack: Attack,
    rate: u64,
    since: Micros,
    sent: u64,
}

fn order(path: &Path) -> Option<(Attack, u64)> {
    let text = std::fs::read_to_string(path).ok()?;
    let (name, rate) = text.trim().split_once(' ')?;
    Some((Attack::named(name)?, rate.parse().ok()?))
}

fn run(run_dir: &Path, papers: Papers) -> Result<(), String> {
    let signals = Signals::new().map_err(|error| error.to_string())?;
    let lock = Lock::take(run_dir)?;
    let mut daemon = Daemon::new(run_dir, false, signals, lock).map_err(|error| error.to_string())?;
    let mut striker = Striker::new(papers);
    let (mut looked, mut current): (Micros, Option<Order>) = (0, None);
    loop {
        let patience = if current.is_some() { PACE } else { LOOK };
        if !daemon.round(Some(patience)).map_err(|error| error.to_string())? {
            break;
        }
        let now = Now { us: monotonic(), unix: wall_seconds() };
        if now.us >= looked + LOOK {
            looked = now.us;
            let wanted = order(&run_dir.join("attack"));
            if current.as_ref().map(|order| (order.attack, order.rate)) != wanted {
                current = wanted.map(|(attack, rate)| Order { attack, rate, since: now.us, sent: 0 });
                striker.tell(&run_dir.join("attacked.json"));
            }
        }
        let (Some(order), Some(node)) = (&mut current, daemon.node_mut()) else { continue };
        let due = (now.us - order.since) * order.rate / SECOND;
        let count = (due - order.sent).min(STRIKE_MAX);
        // What could not be sent in time is not made up for.
        order.sent = due;
        striker.strike(node, order.attack, count, now);
    }
    striker.tell(&run_dir.join("attacked.json"));
    daemon.end();
    Ok(())
}

fn main() -> ExitCode {
    die_on_panic();
    log::set_level(log::Level::Warn);
    let mut arguments = std::env::args().skip(1);
    let run_dir = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--run-dir"), Some(run_dir)) => PathBuf::from(run_dir),
        _ => {
            eprintln!("usage: EVIO_HOSTILE_NODE_FILE=NODE.json hostile --run-dir DIR");
            return ExitCode::from(2);
        }
    };
    let papers = std::env::var("EVIO_HOSTILE_NODE_FILE")
        .map_err(|_| "EVIO_HOSTILE_NODE_FILE names no node file".to_string())
        .and_then(|path| Papers::read(Path::new(&path)));
    match papers.and_then(|papers| run(&run_dir, papers)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hostile: {message}");
            ExitCode::FAILURE
        }
    }
}
