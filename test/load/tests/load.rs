//! Two of them on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

struct Load {
    child: Child,
    port: u16,
}

impl Load {
    fn start() -> Self {
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_load")).arg(port.to_string()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "load does not listen on {port}");
            thread::yield_now();
        }
        Self { child, port }
    }

    fn get(&self, target: &str) -> String {
        receive(send(self.port, format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()))
    }

    /// Has it ask `port` at 50 requests a second; it has the order when this returns.
    fn order(&self, port: u16, seconds: u64) -> TcpStream {
        send(self.port, format!("GET /ask?rate=50&seconds={seconds}&to=127.0.0.1:{port} HTTP/1.1\r\n\r\n").as_bytes())
    }

    fn ask(&self, port: u16, seconds: u64) -> Value {
        found(self.order(port, seconds))
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn receive(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn found(asking: TcpStream) -> Value {
    serde_json::from_str(receive(asking).split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn outcome(found: &Value, port: u16) -> &Value {
    &found["targets"][format!("127.0.0.1:{port}")]
}

/// Milliseconds of the longest pause.
fn longest(found: &Value) -> u64 {
    let pauses = found["pauses"].as_array().unwrap().iter();
    pauses.map(|pause| (pause[1].as_u64().unwrap() - pause[0].as_u64().unwrap()) / 1_000).max().unwrap_or(0)
}

#[test]
fn every_request_of_an_order_is_sent_and_answered() {
    let (asker, answerer) = (Load::start(), Load::start());
    let found = asker.ask(answerer.port, 1);
    let outcome = outcome(&found, answerer.port);
    let late = outcome["late"].as_array().unwrap();
    assert_eq!(outcome["sent"].as_u64(), Some(50));
    assert_eq!(outcome["answered"].as_u64().unwrap() + late.len() as u64, 50);
    assert!(late.iter().all(|request| request["answeredUs"].is_u64() && request["error"].is_null()), "{found}");
}

#[test]
fn an_answerer_that_stood_still_says_so_when_it_is_asked_itself() {
    let (asker, answerer) = (Load::start(), Load::start());
    let asking = asker.order(answerer.port, 3);
    answerer.signal("-STOP");
    thread::sleep(Duration::from_millis(1_600));
    answerer.signal("-CONT");
    let found = found(asking);
    let outcome = outcome(&found, answerer.port);
    let late = outcome["late"].as_array().unwrap();
    assert_eq!(outcome["sent"].as_u64(), Some(150));
    assert!(!late.is_empty());
    assert_eq!(outcome["answered"].as_u64().unwrap() + late.len() as u64, 150);
    for request in late {
        // The kernel took the connection, the process did not.
        assert!(request["takenUs"].as_u64() > request["connectedUs"].as_u64(), "{request}");
        assert!(request["answeredUs"].as_u64() > request["takenUs"].as_u64(), "{request}");
    }
    let of_answerer = answerer.ask(asker.port, 1);
    assert!(longest(&of_answerer) >= 1_500, "{}", of_answerer["pauses"]);
}

#[test]
fn a_request_that_nobody_takes_is_told_of_with_its_error() {
    let asker = Load::start();
    let nobody = free_port();
    let found = asker.ask(nobody, 1);
    let late = outcome(&found, nobody)["late"].as_array().unwrap();
    assert_eq!(late.len(), 50);
    assert!(late[0]["error"].as_str().unwrap().contains("refused"), "{}", late[0]);
    assert!(late[0]["connectedUs"].is_null() && late[0]["answeredUs"].is_null());
}

#[test]
fn an_answer_that_never_comes_is_waited_for_and_told_of() {
    let asker = Load::start();
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let found = asker.ask(port, 1);
    let late = outcome(&found, port)["late"].as_array().unwrap();
    assert_eq!(late.len(), 50);
    for request in late {
        assert!(request["answeredUs"].is_null() && request["error"].is_null() && request["connectedUs"].is_u64());
    }
}

#[test]
fn a_wrong_order_is_refused_and_so_is_a_second_one() {
    let asker = Load::start();
    assert!(asker.get("/ask?rate=1").starts_with("HTTP/1.1 400 "));
    assert!(asker.get("/elsewhere").starts_with("HTTP/1.1 404 "));
    assert!(receive(send(asker.port, b"POST / HTTP/1.1\r\n\r\n")).starts_with("HTTP/1.1 400 "));
    let _first = asker.order(asker.port, 2);
    assert!(asker.get("/ask?rate=1&seconds=1&to=127.0.0.1:1").starts_with("HTTP/1.1 409 "));
}

#[test]
fn it_ends_when_told() {
    let mut load = Load::start();
    load.signal("-TERM");
    assert_eq!(load.child.wait().unwrap().code(), Some(0));
}
