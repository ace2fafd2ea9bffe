//! Nodes and pods as network namespaces, and the plugin run in them as a runtime runs it.
#![allow(dead_code)] // Every test file uses another part.

pub mod chain;
#[path = "../../../agent/tincan/tests/support/shell.rs"]
mod shell;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{json, Value};

pub use shell::*;

pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
pub const MODES: [&str; 2] = ["routed", "flat"];
pub const FAMILIES: [&str; 3] = ["4", "6", "46"];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The plugin under test: EVIO_CNI_BIN, else the one cargo built with the tests.
pub fn plugin() -> PathBuf {
    std::env::var_os("EVIO_CNI_BIN").map_or_else(|| env!("CARGO_BIN_EXE_evio-cni").into(), PathBuf::from)
}

/// A network namespace that goes with this value.
pub struct Ns {
    pub name: String,
}

impl Ns {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("evio-cni-{}-{number}", std::process::id());
        must(&format!("ip netns add {name} && ip -n {name} link set lo up"));
        Self { name }
    }

    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// `ip ARGUMENTS` inside.
    pub fn ip(&self, arguments: &str) -> String {
        must(&format!("ip -n {} {arguments}", self.name))
    }

    pub fn run(&self, command: &str) -> Output {
        sh(&format!("ip netns exec {} {command}", self.name))
    }

    /// Runs `work` on a thread inside.
    pub fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let file = File::open(self.path()).unwrap();
        std::thread::spawn(move || {
            // SAFETY: a descriptor that lives through the call.
            assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            work()
        })
    }

    pub fn pings(&self, address: &str) -> bool {
        self.run(&format!("ping -n -c 1 -W 2 {address}")).status.success()
    }
}

impl Drop for Ns {
    fn drop(&mut self) {
        sh(&format!("ip netns del {}", self.name));
    }
}

/// A pod: a namespace and the name a runtime has for it.
pub struct Pod {
    pub ns: Ns,
    pub id: String,
}

/// What the plugin said.
#[derive(Debug)]
pub struct Answer {
    pub ok: bool,
    /// Null when it said nothing.
    pub said: Value,
    pub stderr: String,
}

impl Answer {
    /// The result of a call that must succeed.
    pub fn result(self) -> Value {
        assert!(self.ok, "{} {}", self.said, self.stderr);
        self.said
    }

    /// The error code of a call that must fail.
    pub fn code(&self) -> u64 {
        assert!(!self.ok, "{}", self.said);
        assert!(self.said["msg"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.said);
        self.said["code"].as_u64().unwrap()
    }
}

/// A node: a namespace with the bridge and addresses its dataplane would make.
pub struct Node {
    pub ns: Ns,
    pub dir: PathBuf,
    pub mode: &'static str,
    pub families: &'static str,
    file: File,
}

impl Node {
    pub fn new(mode: &'static str, families: &'static str) -> Self {
        let ns = Ns::new();
        let n = &ns.name;
        must(&format!(
            "ip -n {n} link add evio0 type bridge && ip -n {n} link set evio0 address 02:45:0a:2d:00:04 up &&
             ip -n {n} addr add 10.45.0.4/16 dev evio0 && ip -n {n} addr add fd45::4/64 dev evio0 nodad"
        ));
        let dir = std::env::temp_dir().join(n);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("boot"), "boot-1\n").unwrap();
        let file = File::open(ns.path()).unwrap();
        Self { ns, dir, mode, families, file }
    }

    pub fn reboot(&self, id: &str) {
        std::fs::write(self.dir.join("boot"), id).unwrap();
    }

    /// The plugin's configuration as a runtime hands it over.
    pub fn config(&self, version: &str) -> Value {
        let of = |v4: &str, v6: &str| -> Vec<String> {
            let pairs = [("4", v4), ("6", v6)];
            pairs
                .iter()
                .filter(|(family, _)| self.families.contains(family))
                .map(|(_, text)| (*text).to_owned())
                .collect()
        };
        json!({
            "cniVersion": version,
            "name": "evio",
            "type": "evio-cni",
            "attachment": self.mode,
            "bridge": "evio0",
            "mtu": 1400,
            "subnets": of("10.244.3.0/24", "fd00:10:244:3::/64"),
            "podCIDRs": of("10.244.0.0/16", "fd00:10:244::/48"),
            "gateways": of("10.45.0.4", "fd45::4"),
            "dataDir": self.dir.join("data"),
            "bootIDFile": self.dir.join("boot"),
        })
    }

    pub fn config_with(&self, changes: &Value) -> Value {
        merged(self.config("1.1.0"), changes)
    }

    pub fn pod(&self) -> Pod {
        let ns = Ns::new();
        let id = format!("c{}", ns.name.replace("evio-cni-", ""));
        Pod { ns, id }
    }

    pub fn call(&self, verb: &str, pod: &Pod, config: &Value) -> Answer {
        self.call_with(verb, pod, config, &[])
    }

    /// With more, other or (when empty) missing variables.
    pub fn call_with(&self, verb: &str, pod: &Pod, config: &Value, variables: &[(&str, &str)]) -> Answer {
        answer(self.start(verb, pod, config, variables))
    }

    pub fn start(&self, verb: &str, pod: &Pod, config: &Value, variables: &[(&str, &str)]) -> Child {
        let path = pod.ns.path();
        let mut all = vec![
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", &pod.id),
            ("CNI_NETNS", &path),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/opt/cni/bin"),
        ];
        all.retain(|(name, _)| variables.iter().all(|(other, _)| other != name));
        all.extend(variables);
        self.spawn(&plugin(), &all, config)
    }

    /// GC and STATUS: about no pod.
    pub fn start_network(&self, verb: &str, config: &Value) -> Child {
        self.spawn(&plugin(), &[("CNI_COMMAND", verb), ("CNI_PATH", "/opt/cni/bin")], config)
    }

    pub fn call_network(&self, verb: &str, config: &Value) -> Answer {
        answer(self.start_network(verb, config))
    }

    /// Any plugin in the node's namespace; its configuration is on its way to it.
    pub fn spawn(&self, program: &Path, variables: &[(&str, &str)], config: &Value) -> Child {
        self.spawn_with(program, variables, config, |_| {})
    }

    pub fn spawn_with(
        &self,
        program: &Path,
        variables: &[(&str, &str)],
        config: &Value,
        prepare: impl FnOnce(&mut Command),
    ) -> Child {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(variables.iter().filter(|(_, value)| !value.is_empty()).copied());
        self.inside(&mut command);
        prepare(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A plugin that was killed at once has closed its end.
        let _ = child.stdin.take().unwrap().write_all(config.to_string().as_bytes());
        child
    }

    /// Makes a command start in the node's namespace.
    fn inside(&self, command: &mut Command) {
        let fd: RawFd = self.file.as_raw_fd();
        // SAFETY: setns is async-signal-safe, and the descriptor lives as long as the node does.
        unsafe {
            command.pre_exec(move || match libc::setns(fd, libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }

    /// `evio-cni sweep` on a list with this configuration.
    pub fn sweep(&self, config: &Value) -> Value {
        let list = json!({ "cniVersion": config["cniVersion"], "name": config["name"], "plugins": [config] });
        let path = self.dir.join("evio.conflist");
        std::fs::write(&path, list.to_string()).unwrap();
        let mut command = Command::new(plugin());
        command.arg("sweep").arg(&path);
        self.inside(&mut command);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Addresses the store has given.
    pub fn given(&self) -> Vec<String> {
        let mut names = self.files("");
        names.retain(|name| name.parse::<std::net::IpAddr>().is_ok());
        names.sort();
        names
    }

    /// Names in a folder of the store.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("data/evio").join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// Host ends of pods.
    pub fn host_links(&self) -> Vec<String> {
        let links: Value = serde_json::from_str(&self.ns.ip("-j link show")).unwrap();
        let names = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap().to_owned());
        names.filter(|name| name.starts_with("evc")).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub fn answer(mut child: Child) -> Answer {
    let (mut out, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let ok = child.wait().unwrap().success();
    let said =
        if out.is_empty() { Value::Null } else { serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}")) };
    Answer { ok, said, stderr }
}

pub fn merged(mut base: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// The addresses of a result, without their prefixes.
pub fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().unwrap().iter();
    ips.map(|ip| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned()).collect()
}

/// xorshift64: the same in every run that names the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}
