//! A bad line for tests, for kernels without netem: packets that are routed into a TUN device come out of it again late, twice,
//! in another order or not at all.
//!
//!     impair NAME [loss=PERCENT] [duplicate=PERCENT] [delay=MS] [reorder=PERCENT] [hold=MS] [seed=NUMBER]
//!
//! Makes the TUN device NAME in the network namespace it runs in, prints `ready`, and carries on until SIGTERM or SIGINT; then it
//! prints what it did as one line of JSON. Which packets cross it is the caller's to say, by routing rules. The device takes no
//! offloads, so the kernel cuts super-packets and finishes checksums before they get here: every datagram meets its own fate.

mod line;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use line::{Line, Micros, Settings};

/// From linux/if_tun.h: a layer 3 device without a header of its own before the packets.
const TUNSETIFF: libc::Ioctl = 0x4004_54ca_u32 as libc::Ioctl;
const LONGEST_PACKET: usize = 1 << 16;
/// Packets taken before those that are due have their turn.
const TURN: usize = 64;

static ENDED: AtomicBool = AtomicBool::new(false);

extern "C" fn end(_signal: libc::c_int) {
    ENDED.store(true, Ordering::Relaxed);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&arguments).and_then(|(name, settings)| {
        let device = open(name).map_err(|error| format!("cannot make the TUN device {name}: {error}"))?;
        carry(device, Line::new(settings)).map_err(|error| format!("{name}: {error}"))
    });
    if let Err(message) = result {
        eprintln!("impair: {message}");
        std::process::exit(1);
    }
}

fn parse(arguments: &[String]) -> Result<(&str, Settings), String> {
    let (name, rest) = arguments.split_first().ok_or("the name of a device is missing")?;
    // IFNAMSIZ with its end.
    if name.is_empty() || name.len() > 15 {
        return Err(format!("{name:?} is no name for a device: 1 to 15 characters"));
    }
    let mut settings = Settings { seed: 1, ..Settings::default() };
    for argument in rest {
        let (key, text) = argument.split_once('=').ok_or(format!("{argument:?}: not of the form key=number"))?;
        let value: f64 = text.parse().map_err(|_| format!("{argument:?}: {text:?} is no number"))?;
        let share = || (0.0..=100.0).contains(&value).then_some(value / 100.0).ok_or(format!("{argument:?}: 0 to 100"));
        let time = || {
            let valid = (0.0..=60_000.0).contains(&value);
            valid.then_some((value * 1_000.0) as Micros).ok_or(format!("{argument:?}: 0 to 60000 ms"))
        };
        match key {
            "loss" => settings.loss = share()?,
            "duplicate" => settings.duplicate = share()?,
            "reorder" => settings.reorder = share()?,
            "delay" => settings.delay = time()?,
            "hold" => settings.hold = time()?,
            "seed" => settings.seed = value as u64,
            _ => return Err(format!("{argument:?}: unknown key")),
        }
    }
    Ok((name, settings))
}

fn open(name: &str) -> std::io::Result<File> {
    let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives through the call.
    match unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &mut request) } {
        0 => Ok(file),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn carry(mut device: File, mut line: Line) -> std::io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::signal(signal, end as *const () as libc::sighandler_t) };
    }
    println!("ready");
    let began = Instant::now();
    let now = || began.elapsed().as_micros() as Micros;
    let mut buffer = vec![0; LONGEST_PACKET];
    while !ENDED.load(Ordering::Relaxed) {
        wait(&device, line.deadline().map(|due| due.saturating_sub(now())))?;
        for _ in 0..TURN {
            match device.read(&mut buffer) {
                Ok(bytes) => line.take(&buffer[..bytes], now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The device is down until the caller has set it up.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(packet) = line.give(now()) {
            // What the kernel does not take back is lost, as on any line; the counts show the difference.
            let _ = device.write(&packet);
        }
    }
    let counts = line.counts();
    println!(
        "{{\"taken\":{},\"lost\":{},\"duplicated\":{},\"held\":{},\"given\":{},\"overflowed\":{}}}",
        counts.taken, counts.lost, counts.duplicated, counts.held, counts.given, counts.overflowed
    );
    Ok(())
}

/// Until a packet comes, the time is over, or a signal came. None: no time limit but a tenth of a second, for a signal that came
/// just before.
fn wait(device: &File, limit: Option<Micros>) -> std::io::Result<()> {
    let micros = limit.unwrap_or(100_000).min(100_000);
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: (micros * 1_000) as libc::c_long };
    let mut poll = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd and one timespec, which live through the call.
    let done = unsafe { libc::ppoll(&mut poll, 1, &timeout, std::ptr::null()) };
    if done < 0 {
        let error = std::io::Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}
