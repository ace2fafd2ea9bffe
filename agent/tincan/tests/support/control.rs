//! A client of the control socket that waits for its answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

pub struct Control {
    reader: BufReader<UnixStream>,
    next: u64,
    pub events: Vec<Value>,
}

impl Control {
    /// Connects as soon as the socket is there, and says hello.
    pub fn connect(path: &Path) -> Self {
        let mut control = Self { reader: BufReader::new(connect(path)), next: 1, events: vec![] };
        control.call("hello", json!({ "client": "test" })).unwrap();
        control
    }

    /// Ok(result) or Err(error code).
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next;
        self.next += 1;
        let line = json!({ "id": id, "method": method, "params": params }).to_string() + "\n";
        self.reader.get_mut().write_all(line.as_bytes()).unwrap();
        self.reader.get_mut().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection ended during {method}");
            let value: Value = serde_json::from_str(&line).unwrap();
            if value.get("event").is_some() {
                self.events.push(value);
            } else if value["id"] == id {
                return match value.get("error") {
                    Some(error) => Err(error["code"].as_str().unwrap().to_string()),
                    None => Ok(value["result"].clone()),
                };
            }
        }
    }

    /// The next event of this name, from now on or already there.
    pub fn event(&mut self, name: &str, seconds: u64) -> Value {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(index) = self.events.iter().position(|event| event["event"] == name) {
                return self.events.remove(index)["data"].clone();
            }
            assert!(Instant::now() < end, "no event {name} within {seconds} s");
            std::thread::sleep(Duration::from_millis(20));
            self.call("hello", json!({ "client": "test" })).unwrap();
        }
    }

    pub fn raw(&mut self) -> &mut UnixStream {
        self.reader.get_mut()
    }
}

pub fn connect(path: &Path) -> UnixStream {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "{}: {error}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
