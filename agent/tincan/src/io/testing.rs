//! Tests against the real kernel, each in a network namespace of its own. They need root.

use std::process::Command;

/// Runs `test` on a thread of its own whose network namespace is new; lo is up.
pub fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        enter(libc::CLONE_NEWNET);
        ip("link set lo up");
        test()
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Gives the calling thread new namespaces.
pub fn enter(kinds: libc::c_int) {
    // SAFETY: no pointers.
    let done = unsafe { libc::unshare(kinds) };
    assert_eq!(done, 0, "tests of io need root: {}", std::io::Error::last_os_error());
}

/// `ip` in the namespace of the calling thread.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `ip` prints.
pub fn ip_output(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `fd` can be read, at most `timeout_ms`.
pub fn readable(fd: &impl std::os::fd::AsRawFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) > 0 }
}
