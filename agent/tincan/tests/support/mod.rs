//! Real tincans in real network namespaces, driven as an agent drives them.
#![allow(dead_code)] // Every test file uses another part.

pub mod control;
pub mod openflow;
pub mod overlay;
mod shell;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{json, Value};

use control::Control;
use openflow::{apply, eth_dst, eth_dst_masked, goto, in_port, output, set_tunnel, tunnel_id, FlowMod, Switch, FLOOD};
use overlay::{b64, Overlay, Papers};
pub use shell::*;

/// A test that makes namespaces shows nothing without the right to: it fails then.
pub fn need_root() {
    let root = std::fs::read_to_string("/proc/self/status").unwrap_or_default().contains(
        "
Uid:	0	",
    );
    assert!(root, "this test makes network namespaces: run it as root");
}

/// Namespaces that go with this value.
pub struct Net {
    prefix: String,
    names: Vec<String>,
}

static NETS: AtomicU32 = AtomicU32::new(0);

impl Net {
    pub fn new() -> Self {
        let number = NETS.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("evio-t{}-{number}", std::process::id()), names: vec![] }
    }

    pub fn add(&mut self, name: &str) -> String {
        let full = format!("{}-{name}", self.prefix);
        must(&format!("ip netns add {full}; ip -n {full} link set lo up"));
        self.names.push(full.clone());
        full
    }

    /// A veth pair between two namespaces, with an IPv4 address at each end.
    pub fn join(&self, a: (&str, &str, &str), b: (&str, &str, &str)) {
        must(&format!("ip -n {} link add {} type veth peer name {} netns {}", a.0, a.1, b.1, b.0));
        for (ns, link, address) in [a, b] {
            must(&format!("ip -n {ns} addr add {address} dev {link}; ip -n {ns} link set {link} up"));
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            sh(&format!("ip netns del {name}"));
        }
    }
}

/// One tincan in its namespace.
pub struct Tincan {
    pub ns: String,
    pub run_dir: PathBuf,
    pub papers: Papers,
    pub control: Control,
    pub switch: Option<Switch>,
    child: Child,
}

impl Tincan {
    pub fn start(ns: &str, papers: Papers) -> Self {
        Self::start_with(ns, papers, &[])
    }

    /// With other variables in its environment.
    pub fn start_with(ns: &str, papers: Papers, environment: &[&str]) -> Self {
        Self::start_as(ns, papers, |run_dir| program(ns, run_dir, environment, &level()))
    }

    /// What it says, as much as it does by itself, goes to the file `log`.
    pub fn start_logging(ns: &str, papers: Papers, log: &Path) -> Self {
        Self::start_as(ns, papers, |run_dir| {
            let mut command = program(ns, run_dir, &[], "info");
            command.stderr(std::fs::File::create(log).unwrap());
            command
        })
    }

    fn start_as(ns: &str, papers: Papers, command: impl Fn(&Path) -> Command) -> Self {
        let run_dir = std::env::temp_dir().join(format!("{ns}-run"));
        let child = command(&run_dir).spawn().unwrap();
        let control = Control::connect(&run_dir.join("control.sock"));
        Self { ns: ns.into(), run_dir, papers, control, switch: None, child }
    }

    pub fn configure(&mut self, overlay: &Overlay, stun: &[&str]) -> Value {
        self.try_configure(overlay, stun, &json!({ "name": "evio0", "tap": "evio-tap" })).unwrap()
    }

    /// These interfaces are not to be used.
    pub fn configure_excluding(&mut self, overlay: &Overlay, names: &[&str]) -> Value {
        let mut params = self.configuration(overlay, &[], &json!({ "name": "evio0", "tap": "evio-tap" }));
        params["excludeInterfaces"] = json!(names);
        self.control.call("configure", params).unwrap()
    }

    pub fn try_configure(&mut self, overlay: &Overlay, stun: &[&str], bridge: &Value) -> Result<Value, String> {
        let params = self.configuration(overlay, stun, bridge);
        self.control.call("configure", params)
    }

    fn configuration(&self, overlay: &Overlay, stun: &[&str], bridge: &Value) -> Value {
        json!({
            "sessionKey": b64(&self.papers.session_key),
            "certificate": b64(&self.papers.certificate),
            "parameters": b64(&overlay.parameters),
            "bridge": bridge,
            "udp": { "port": 0 },
            "stun": stun,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time in user mode and in the kernel (proc_pid_stat(5)).
    pub fn cpu_seconds(&self) -> (f64, f64) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let seconds = |index: usize| fields[index].parse::<f64>().unwrap() / 100.0;
        (seconds(11), seconds(12))
    }

    /// What was used since `before`, for each gigabyte: (user, kernel).
    pub fn cost(&self, before: (f64, f64), gigabytes: f64) -> (f64, f64) {
        let after = self.cpu_seconds();
        ((after.0 - before.0) / gigabytes, (after.1 - before.1) / gigabytes)
    }

    /// kill -9, and another one in its place, unconfigured.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.switch = None;
        self.child = program(&self.ns, &self.run_dir, &[], &level()).spawn().unwrap();
        self.control = Control::connect(&self.run_dir.join("control.sock"));
    }

    pub fn signal(&mut self, signal: i32) {
        // SAFETY: the process is our child and not yet waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    pub fn stop(&mut self, signal: i32) -> std::process::ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// The flows of an edge node: what members' MACs mean, floods, and what comes by tunnels goes to the tap.
    pub fn edge_flows(&mut self, members: &[&Papers]) {
        let mut switch = Switch::connect(&self.run_dir.join("switch.sock"));
        for member in members {
            let to_label = apply(vec![set_tunnel(member.label)]);
            let lead = |field: Vec<u8>| {
                FlowMod::new(0, 100).matching(in_port(1)).matching(field).then(to_label.clone()).then(goto(4))
            };
            switch.flow(lead(eth_dst(member.mac)));
            if let Some(pods) = member.pods {
                switch.flow(lead(eth_dst_masked(pods.mac.0, pods.mask.0)));
            }
        }
        switch.flow(FlowMod::new(0, 50).matching(in_port(1)).then(apply(vec![output(FLOOD)])));
        switch.flow(FlowMod::new(0, 10).then(apply(vec![output(1)])));
        switch.barrier();
        self.switch = Some(switch);
    }

    /// The next hop of a label.
    pub fn core_flow(&mut self, label: u64, port: u32) {
        let switch = self.switch.as_mut().unwrap();
        switch.flow(FlowMod::new(4, 100).matching(tunnel_id(label)).then(apply(vec![output(port)])));
        switch.barrier();
    }

    pub fn add_members(&mut self, members: &[&Papers]) {
        let certificates: Vec<String> = members.iter().map(|papers| b64(&papers.certificate)).collect();
        let result = self.control.call("members", json!({ "certificates": certificates })).unwrap();
        assert_eq!(result["accepted"], members.len(), "{result}");
    }

    pub fn tunnel(&mut self, peer: &Papers, candidates: &[String]) -> u32 {
        let id = peer.node_id.to_string();
        let added = self.control.call("tunnel-add", json!({ "peer": id, "note": "test" })).unwrap();
        if !candidates.is_empty() {
            self.control.call("tunnel-candidates", json!({ "peer": id, "candidates": candidates })).unwrap();
        }
        added["port"].as_u64().unwrap() as u32
    }

    pub fn tunnel_to(&mut self, peer: &Papers) -> Value {
        let tunnels = self.control.call("tunnels", json!({})).unwrap();
        let id = peer.node_id.to_string();
        tunnels["tunnels"].as_array().unwrap().iter().find(|t| t["peer"] == id.as_str()).cloned().unwrap_or(Value::Null)
    }

    pub fn wait_path(&mut self, peer: &Papers, path: &str, seconds: u64) -> Value {
        wait(path, seconds, || Some(self.tunnel_to(peer)).filter(|tunnel| tunnel["path"] == path))
    }

    pub fn counter(&mut self, name: &str) -> u64 {
        self.control.call("stats", json!({})).unwrap()["counters"][name].as_u64().unwrap_or(0)
    }

    pub fn ping(&self, address: &str, options: &str) -> Output {
        sh(&format!("ip netns exec {} ping {options} {address}", self.ns))
    }

    pub fn must_ping(&self, address: &str, options: &str) -> String {
        let out = self.ping(address, options);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "ping {address}: {text}{}", String::from_utf8_lossy(&out.stderr));
        text
    }
}

impl Drop for Tincan {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.run_dir);
    }
}

fn level() -> String {
    std::env::var("TINCAN_LOG").unwrap_or("warn".into())
}

fn program(ns: &str, run_dir: &Path, environment: &[&str], level: &str) -> Command {
    // TINCAN_BIN: the release build, where the figures matter.
    let binary = std::env::var("TINCAN_BIN").unwrap_or(env!("CARGO_BIN_EXE_tincan").into());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", ns, "env"]).args(environment);
    command.args([&binary, "--log-level", level, "--run-dir"]).arg(run_dir).stdin(Stdio::null());
    command
}

/// Runs `work` on a thread of its own inside a namespace; sockets it opens stay there.
pub fn within<T: Send + 'static>(ns: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = std::fs::File::open(format!("/run/netns/{ns}")).unwrap();
    let thread = std::thread::spawn(move || {
        // SAFETY: a valid descriptor; only this thread changes its namespace.
        assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
        work()
    });
    thread.join().unwrap()
}

/// Somebody in `to` listens at `listening`, somebody in `from` calls `called`, which is that or leads there: as whom the listener sees
/// the caller.
pub fn caller_seen(from: &str, called: SocketAddr, to: &str, listening: SocketAddr) -> Option<IpAddr> {
    let listener = within(to, move || TcpListener::bind(listening)).unwrap();
    let call = within(from, move || {
        let mut stream = TcpStream::connect_timeout(&called, Duration::from_secs(3)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        stream.write_all(b"hello").ok()?;
        Some(stream)
    })?;
    let (mut stream, caller) = listener.accept().unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).unwrap();
    drop(call);
    Some(caller.ip())
}

/// Frames of one kind on a link, raw (packet(7)).
pub struct Raw {
    fd: OwnedFd,
    index: i32,
}

/// For local experiments (IEEE 802).
pub const EXPERIMENT: u16 = 0x88b5;

impl Raw {
    pub fn open(ns: &str, link: &str) -> Self {
        let link = std::ffi::CString::new(link).unwrap();
        within(ns, move || {
            // SAFETY: `link` and `address` outlive the calls; the descriptor is owned at once.
            unsafe {
                let index = libc::if_nametoindex(link.as_ptr()) as i32;
                assert!(index > 0);
                let protocol = i32::from(EXPERIMENT.to_be());
                let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, protocol);
                assert!(fd >= 0);
                let mut address: libc::sockaddr_ll = std::mem::zeroed();
                address.sll_family = libc::AF_PACKET as u16;
                address.sll_protocol = EXPERIMENT.to_be();
                address.sll_ifindex = index;
                let size = std::mem::size_of_val(&address) as u32;
                assert_eq!(libc::bind(fd, std::ptr::from_ref(&address).cast(), size), 0);
                Self { fd: OwnedFd::from_raw_fd(fd), index }
            }
        })
    }

    pub fn send(&self, destination: [u8; 6], source: [u8; 6], payload: &[u8]) {
        let frame = [&destination[..], &source, &EXPERIMENT.to_be_bytes(), payload].concat();
        // SAFETY: the kernel reads `frame` and `address`, which outlive the call.
        unsafe {
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = self.index;
            let size = std::mem::size_of_val(&address) as u32;
            let to = std::ptr::from_ref(&address).cast();
            let sent = libc::sendto(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, to, size);
            assert_eq!(sent, frame.len() as isize);
        }
    }

    /// Everything that came, without what this node sent itself.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let mut found = vec![];
        loop {
            let mut buffer = vec![0; 2048];
            // SAFETY: the kernel writes at most the buffer's size.
            let got = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(length) = usize::try_from(got) else { return found };
            buffer.truncate(length);
            found.push(buffer);
        }
    }
}

/// Bits per second of one TCP flow between two namespaces.
pub fn iperf(server_ns: &str, client_ns: &str, address: &str, seconds: u32) -> f64 {
    let mut server = Command::new("ip")
        .args(["netns", "exec", server_ns, "iperf3", "-s", "-1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let out = sh(&format!("ip netns exec {client_ns} iperf3 -J -c {address} -t {seconds} --connect-timeout 3000"));
    let _ = server.kill();
    let _ = server.wait();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
    report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_else(|| panic!("iperf3: {report}"))
}
