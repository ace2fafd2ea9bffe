//! `transfer` on loopback, and what it says when something else arrives than was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const TRANSFER: &str = env!("CARGO_BIN_EXE_transfer");

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(TRANSFER).args(["serve", &port.to_string()]).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "transfer does not listen on {port}");
            thread::yield_now();
        }
        Self { child, port }
    }

    /// Sends to it; `what` with TO for its address.
    fn send(&self, host: &str, what: &str) -> Value {
        let to = format!("to={host}:{}", self.port);
        let sent = transfer(&what.replace("TO", &to));
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        serde_json::from_slice(&sent.stdout).unwrap()
    }

    /// What it says of a stream with seed 1 that had these bytes.
    fn judge(&self, bytes: &[u8]) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"tcp 1\n").unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut verdict = String::new();
        stream.read_to_string(&mut verdict).unwrap();
        serde_json::from_str(&verdict).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn transfer(arguments: &str) -> Output {
    Command::new(TRANSFER).args(arguments.split_whitespace()).output().unwrap()
}

/// What a sender with seed 1 sends.
fn stream_of(bytes: usize) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let sender = thread::spawn(move || transfer(&format!("tcp to={to} bytes={bytes}")));
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    stream.write_all(b"{}\n").unwrap();
    drop(stream);
    assert!(sender.join().unwrap().status.success());
    got.split_off(b"tcp 1\n".len())
}

#[test]
fn streams_and_datagrams_arrive_over_both_families() {
    let server = Server::start();
    for host in ["127.0.0.1", "[::1]"] {
        let stream = server.send(host, "tcp TO bytes=20000000 seed=7");
        assert_eq!(stream["arrived"]["bytes"], 20_000_000);
        assert!(stream["arrived"]["firstDifference"].is_null(), "{stream}");
        let row = server.send(host, "udp TO count=2000 mbps=2000");
        assert_eq!(row["arrived"]["received"], 2_000, "{row}");
        for count in ["duplicated", "reordered", "damaged"] {
            assert_eq!(row["arrived"][count], 0, "{row}");
        }
    }
}

#[test]
fn a_stream_of_other_bytes_is_told_with_the_place_of_the_first() {
    let server = Server::start();
    let bytes = stream_of(100_000);
    assert!(server.judge(&bytes)["firstDifference"].is_null());
    let mut damaged = bytes.clone();
    damaged[77_777] ^= 1;
    assert_eq!(server.judge(&damaged)["firstDifference"], 77_777);
    let mut moved = bytes.clone();
    moved.remove(5_000);
    assert_eq!(server.judge(&moved)["firstDifference"], 5_000);
    let short = server.judge(&bytes[..99_999]);
    assert_eq!((&short["bytes"], short["firstDifference"].is_null()), (&99_999.into(), true));
}

#[test]
fn a_pause_within_a_stream_is_told() {
    let server = Server::start();
    let bytes = stream_of(1_000);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(b"tcp 1\n").unwrap();
    stream.write_all(&bytes[..500]).unwrap();
    thread::sleep(Duration::from_millis(700));
    stream.write_all(&bytes[500..]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut verdict = String::new();
    stream.read_to_string(&mut verdict).unwrap();
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert!(verdict["longestPauseMs"].as_u64().unwrap() >= 690, "{verdict}");
}

#[test]
fn datagrams_that_nobody_numbered_are_damaged_and_missing_ones_are_missed() {
    let server = Server::start();
    let mut control = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    control.write_all(b"udp 1 10 100 200\n").unwrap();
    let mut byte = [0];
    let mut port = String::new();
    while control.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        port.push(char::from(byte[0]));
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&[0xff; 150], ("127.0.0.1", port.parse().unwrap())).unwrap();
    control.write_all(b"end\n").unwrap();
    let mut verdict = String::new();
    control.read_to_string(&mut verdict).unwrap();
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!((&verdict["received"], &verdict["damaged"]), (&0.into(), &1.into()));
    assert!(verdict["firstDamage"]["number"].is_null());
}

#[test]
fn what_cannot_be_sent_is_an_error_in_one_line() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = transfer(&format!("tcp to={nobody} bytes=1"));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("connecting: Connection refused") && said.lines().count() == 1, "{said}");
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(transfer("tcp").status.code(), Some(2));
}
