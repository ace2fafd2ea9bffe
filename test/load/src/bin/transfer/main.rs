//! Transfers that are compared byte for byte at the other end.
//!
//!     transfer serve PORT
//!
//! takes any number of transfers on PORT of every address. The other end is one of
//!
//!     transfer tcp to=ADDRESS:PORT bytes=N [mbps=N] [seed=N] [header=NAME] [patience=SECONDS]
//!     transfer udp to=ADDRESS:PORT count=N [least=BYTES] [most=BYTES] [mbps=N] [seed=N] [header=NAME] [patience=SECONDS]
//!
//! which prints `Sent` as JSON and ends with 0 when the transfer came to its end, whatever arrived of it. The bytes follow from the
//! seed, so the receiver compares them with what they have to be; over TCP they go in writes of mixed sizes. Of UDP the datagrams
//! are numbered, of sizes from `least` to `most`; what is said about them goes over a TCP connection. `mbps` is the highest pace.

mod datagram;
mod noise;
mod settings;
mod socket;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use load::net;
use serde::Serialize;

use datagram::{Counts, Row, Tally, LARGEST};
use noise::{mixed_size, Dice, Noise};
use settings::{Announcement, Command, Common};

/// The longest line of what both ends say to each other.
const LINE: usize = 4_096;
/// A server does not keep a transfer whose client has died without a word.
const SERVER_PATIENCE: Duration = Duration::from_secs(120);
/// After the last datagram was sent, the last of them to arrive are waited for so long.
const QUIET: Duration = Duration::from_secs(1);
/// How often a receiver of datagrams looks whether the sender is done.
const LOOK: Duration = Duration::from_millis(100);
/// What counts of each datagram besides its payload, so that a row of small ones is no flood: about its headers.
const PER_DATAGRAM: u64 = 66;
/// A sender that is ahead of its pace by less does not sleep.
const AHEAD: Duration = Duration::from_micros(200);

/// What a receiver says of a TCP transfer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    bytes: u64,
    /// Position of the first byte that is not the one that was sent.
    first_difference: Option<u64>,
    /// The longest time in which no byte came, until the connection's end.
    longest_pause_ms: u64,
    /// What ended it, if not its end.
    error: Option<String>,
}

/// What a sender prints: of TCP in bytes, of UDP in datagrams.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    sent: u64,
    bytes: u64,
    seconds: f64,
    /// TCP segments that the kernel sent again.
    resent: u32,
    /// What the receiver says: `Stream` or `Counts`.
    arrived: serde_json::Value,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = match settings::parse(&arguments) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("transfer: {error}\n{}", settings::USAGE);
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Serve { port } => serve(port).map_err(|error| format!("port {port}: {error}")),
        Command::Tcp { to, seed, bytes, common } => print(to, send_stream(to, seed, bytes, &common)),
        Command::Udp { to, row, common } => print(to, send_datagrams(to, row, &common)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transfer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(to: SocketAddr, sent: Result<Sent, Failure>) -> Result<(), String> {
    let sent = sent.map_err(|error| format!("to {to}: {error}"))?;
    println!("{}", serde_json::to_string(&sent).expect("numbers and texts"));
    Ok(())
}

// The sender.

fn send_stream(to: SocketAddr, seed: u64, bytes: u64, common: &Common) -> Result<Sent, Failure> {
    let mut stream = socket::tcp(to, common.header, common.patience).map_err(|error| format!("connecting: {error}"))?;
    say(&mut stream, &Announcement::Tcp(seed).line())?;
    let began = Instant::now();
    let (noise, mut dice) = (Noise(seed), Dice(!seed));
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < bytes {
        let size = mixed_size(&mut dice).min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        let piece = &mut buffer[..size];
        noise.fill(at, piece);
        stream.write_all(piece).map_err(|error| format!("after {at} of {bytes} bytes: {}", reason(&error)))?;
        at += size as u64;
        keep_pace(common, at, began);
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let arrived = hear(&mut stream).map_err(|error| format!("all {bytes} bytes are sent, no verdict: {error}"))?;
    let seconds = began.elapsed().as_secs_f64();
    let resent = net::retransmitted(stream.as_raw_fd());
    Ok(Sent { sent: bytes, bytes, seconds, resent, arrived: serde_json::from_str(&arrived)? })
}

fn send_datagrams(to: SocketAddr, row: Row, common: &Common) -> Result<Sent, Failure> {
    let mut control = socket::tcp(to, None, common.patience).map_err(|error| format!("connecting: {error}"))?;
    say(&mut control, &Announcement::Udp(row).line())?;
    let port = hear(&mut control)?.parse().map_err(|_| "the other end names no port")?;
    let socket = socket::udp(SocketAddr::new(to.ip(), port), common.header, common.patience)?;
    let began = Instant::now();
    let mut datagram = Vec::with_capacity(LARGEST);
    let (mut bytes, mut on_the_wire) = (0u64, 0u64);
    for number in 0..row.count {
        row.write(number, &mut datagram);
        bytes += datagram.len() as u64;
        on_the_wire += datagram.len() as u64 + PER_DATAGRAM;
        send_one(&socket, &datagram).map_err(|error| format!("datagram {number} of {}: {error}", datagram.len()))?;
        keep_pace(common, on_the_wire, began);
    }
    let seconds = began.elapsed().as_secs_f64();
    say(&mut control, "end")?;
    let arrived = hear(&mut control).map_err(|error| format!("all datagrams are sent, no verdict: {error}"))?;
    Ok(Sent { sent: row.count, bytes, seconds, resent: 0, arrived: serde_json::from_str(&arrived)? })
}

/// Waits while more than the pace allows has been sent since `began`.
fn keep_pace(common: &Common, bytes: u64, began: Instant) {
    let Some(mbps) = common.mbps else { return };
    let due = Duration::from_secs_f64(bytes as f64 * 8.0 / (mbps * 1e6));
    let ahead = due.saturating_sub(began.elapsed());
    if ahead > AHEAD {
        thread::sleep(ahead);
    }
}

/// A full queue of the device is no loss of the network's: the datagram is sent again.
fn send_one(socket: &std::net::UdpSocket, datagram: &[u8]) -> std::io::Result<()> {
    loop {
        match socket.send(datagram) {
            Ok(_) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => thread::sleep(AHEAD),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

// The receiver.

fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("::", port))?;
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            // The other end has left before its turn.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        thread::spawn(move || {
            if let Err(error) = receive(stream) {
                eprintln!("transfer: {error}");
            }
        });
    }
    Ok(())
}

fn receive(mut stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SERVER_PATIENCE))?;
    stream.set_write_timeout(Some(SERVER_PATIENCE))?;
    let line = hear(&mut stream)?;
    let verdict = match Announcement::parse(&line) {
        Some(Announcement::Tcp(seed)) => serde_json::to_string(&receive_stream(&mut stream, seed)),
        Some(Announcement::Udp(row)) => serde_json::to_string(&receive_datagrams(&mut stream, row)?),
        None => return Err(format!("{line:?} announces nothing").into()),
    };
    say(&mut stream, &verdict?)?;
    Ok(())
}

fn receive_stream(stream: &mut TcpStream, seed: u64) -> Stream {
    let (noise, mut dice) = (Noise(seed), Dice(seed));
    let mut buffer = vec![0; 1 << 18];
    let mut found = Stream { bytes: 0, first_difference: None, longest_pause_ms: 0, error: None };
    let mut last = Instant::now();
    loop {
        let got = stream.read(&mut buffer[..mixed_size(&mut dice)]);
        let now = Instant::now();
        found.longest_pause_ms = found.longest_pause_ms.max((now - last).as_millis() as u64);
        last = now;
        match got {
            Ok(0) => return found,
            Ok(bytes) => {
                if found.first_difference.is_none() {
                    found.first_difference = noise.first_difference(found.bytes, &buffer[..bytes]);
                }
                found.bytes += bytes as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                found.error = Some(reason(&error));
                return found;
            }
        }
    }
}

fn receive_datagrams(control: &mut TcpStream, row: Row) -> Result<Counts, Failure> {
    let socket = socket::udp_receiver()?;
    socket.set_read_timeout(Some(LOOK))?;
    say(control, &socket.local_addr()?.port().to_string())?;
    let sent_all = Arc::new(AtomicBool::new(false));
    let mut ears = control.try_clone()?;
    let told = Arc::clone(&sent_all);
    thread::spawn(move || {
        // Whether it says so or goes away: nothing more comes.
        let _ = hear(&mut ears);
        told.store(true, Ordering::Release);
    });
    let mut tally = Tally::new(row);
    // One byte more than there can be, so that nothing is cut to what was expected.
    let mut buffer = vec![0; LARGEST + 1];
    let mut last = Instant::now();
    loop {
        match socket.recv(&mut buffer) {
            Ok(bytes) => {
                tally.take(&buffer[..bytes]);
                last = Instant::now();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if sent_all.load(Ordering::Acquire) && (tally.complete() || last.elapsed() > QUIET) {
                    return Ok(tally.counts);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

// What both say to each other.

fn say(stream: &mut TcpStream, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes())
}

/// One line without its end. Byte by byte: what follows it on the connection is not ours to take.
fn hear(stream: &mut TcpStream) -> Result<String, Failure> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE {
        match stream.read(&mut byte) {
            Ok(0) => return Err("the other end has gone".into()),
            Ok(_) if byte[0] == b'\n' => return Ok(String::from_utf8(line)?),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(reason(&error).into()),
        }
    }
    Err("the other end says too much".into())
}

/// A time limit that has passed has an odd name in std.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing goes on".into(),
        _ => error.to_string(),
    }
}
