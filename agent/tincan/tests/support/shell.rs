//! Commands in a shell, and waiting for what they show. evio-cni's tests have this file too.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub fn sh(command: &str) -> Output {
    Command::new("sh").args(["-ec", command]).output().unwrap()
}

pub fn must(command: &str) -> String {
    let out = sh(command);
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Waits until `check` gives something.
pub fn wait<T>(what: &str, seconds: u64, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < end, "no {what} within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
