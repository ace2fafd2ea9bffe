//! The process: one thread, one poll, the sockets of the run directory, and the node behind them.

mod busy_poll;
mod clients;
mod controllers;
mod doors;
#[allow(unsafe_code)]
mod process;
mod relayed;
mod run_dir;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::control::{Configure, Failure, Method};
use crate::io::netlink::{Monitor, Noticed};
use crate::io::poll::{Poll, Ready};
use crate::io::stream::Listener;
use crate::log;
use crate::node::{ciphers, Node, Setup};
use crate::session::{Local, Now, Random, SystemRandom};
use crate::time::{monotonic, wall_seconds, Micros};
use crate::wire::BootId;

pub use busy_poll::busy_poll_wanted;
use busy_poll::BusyPoll;
use clients::Clients;
use controllers::Controllers;
use doors::Doors;
pub use process::{check_privileges, close_inherited, die_on_panic, raise_priority, Lock, Signals};
use relayed::Relay;

/// Who a descriptor belongs to: the upper half of a token.
mod owner {
    pub const SIGNALS: u64 = 1;
    pub const CONTROL: u64 = 2;
    pub const CLIENT: u64 = 3;
    pub const SWITCH: u64 = 4;
    pub const CONTROLLER: u64 = 5;
    pub const RELAY: u64 = 6;
    pub const AGENT: u64 = 7;
    pub const UDP: u64 = 8;
    pub const TAP: u64 = 9;
    pub const MONITOR: u64 = 10;
}

fn token(owner: u64, id: u32) -> u64 {
    owner << 32 | u64::from(id)
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub keep_bridge: bool,
}

pub struct Daemon {
    run_dir: PathBuf,
    keep_bridge: bool,
    boot_id: BootId,
    started: Micros,
    poll: Poll,
    busy_poll: BusyPoll,
    /// How long to look for more before sleeping, after what the last round did.
    look: Micros,
    signals: Signals,
    lock: Lock,
    /// When to see whether the run directory still is as we left it.
    look_at: Micros,
    clients: Clients,
    controllers: Controllers,
    relay: Relay,
    doors: Doors,
    monitor: Option<Monitor>,
    node: Option<Node>,
    exit: Option<Exit>,
    /// Empty between rounds.
    ready: Vec<Ready>,
}

impl Daemon {
    pub fn new(run_dir: &Path, keep_bridge: bool, signals: Signals, lock: Lock) -> io::Result<Self> {
        let bind = |name: &str| Listener::bind(&run_dir.join(name));
        let mut boot_id = [0; 8];
        SystemRandom::new().fill(&mut boot_id);
        let daemon = Self {
            run_dir: run_dir.to_owned(),
            keep_bridge,
            boot_id: BootId(boot_id),
            started: monotonic(),
            poll: Poll::new()?,
            busy_poll: BusyPoll::default(),
            look: 0,
            signals,
            lock,
            look_at: monotonic() + run_dir::LOOK,
            clients: Clients::new(bind("control.sock")?),
            controllers: Controllers::new(bind("switch.sock")?),
            relay: Relay::new(bind("relay.sock")?),
            doors: Doors::default(),
            monitor: None,
            node: None,
            exit: None,
            ready: Vec::new(),
        };
        daemon.poll.set(daemon.signals.as_raw_fd(), token(owner::SIGNALS, 0), false)?;
        daemon.watch_doors()?;
        Ok(daemon)
    }

    /// Works until told to end.
    pub fn run(&mut self) -> io::Result<()> {
        log!(Info, "started", runDir = self.run_dir.display(), bootId = self.boot_id, pid = std::process::id());
        while self.round(None)? {}
        self.end();
        Ok(())
    }

    /// Waits for the next thing to do, `at_most` so long, and does it. False once the process has been told to end.
    pub fn round(&mut self, at_most: Option<Micros>) -> io::Result<bool> {
        let deadlines = [self.node.as_ref().and_then(Node::deadline), self.doors.deadline()];
        let deadline = deadlines.into_iter().flatten().fold(self.look_at, Micros::min);
        let wait = at_most.into_iter().fold(deadline.saturating_sub(monotonic()), Micros::min);
        let mut ready = std::mem::take(&mut self.ready);
        if !self.look(deadline, &mut ready)? {
            self.poll.wait(Some(wait), &mut ready)?;
        }
        let now = Now { us: monotonic(), unix: wall_seconds() };
        for ready in ready.drain(..) {
            self.ready(ready, now);
        }
        self.ready = ready;
        self.turn(now);
        let moved = self.node.as_mut().map_or(0, Node::take_moved);
        self.look = self.busy_poll.after(moved, now.us);
        self.end_rest(now.us);
        self.look_at_run_dir(now.us);
        Ok(self.exit.is_none())
    }

    /// Whether something came within the moment that is worth looking for it.
    fn look(&mut self, deadline: Micros, ready: &mut Vec<Ready>) -> io::Result<bool> {
        if self.look == 0 {
            return Ok(false);
        }
        let from = monotonic();
        loop {
            self.poll.wait(Some(0), ready)?;
            let (now, found) = (monotonic(), !ready.is_empty());
            if found || now >= deadline || now - from >= self.look {
                self.busy_poll.looked(now - from, found);
                return Ok(found);
            }
            // Whoever is to answer may wait for this very processor.
            std::thread::yield_now();
        }
    }

    /// Off: it sleeps as soon as there is nothing to do.
    pub fn set_busy_poll(&mut self, wanted: bool) {
        self.busy_poll = BusyPoll::new(wanted);
    }

    /// The node behind the sockets, once configured; for whoever drives the rounds himself (test/hostile).
    pub fn node_mut(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }

    fn ready(&mut self, ready: Ready, now: Now) {
        let id = ready.token as u32;
        match ready.token >> 32 {
            owner::UDP => self.with_node(|node| node.udp_ready(now)),
            owner::TAP => self.with_node(|node| node.tap_ready(id, now)),
            owner::AGENT => {
                if let Some(node) = &mut self.node {
                    self.relay.ready(&self.poll, node, ready, now);
                }
            }
            owner::CONTROLLER => {
                if let Some(node) = &mut self.node {
                    self.controllers.ready(&self.poll, node, id, ready, now);
                }
            }
            owner::CLIENT => self.client_ready(id, ready, now),
            owner::CONTROL => {
                let taken = self.clients.accept(&self.poll);
                self.taken(taken, now.us);
            }
            owner::SWITCH => {
                if let Some(node) = &mut self.node {
                    let taken = self.controllers.accept(&self.poll, node);
                    self.taken(taken, now.us);
                }
            }
            owner::RELAY => {
                if let Some(node) = &mut self.node {
                    let taken = self.relay.accept(&self.poll, node, now);
                    self.taken(taken, now.us);
                }
            }
            owner::MONITOR => {
                let Some(monitor) = &mut self.monitor else { return };
                let noticed = monitor.drain().unwrap_or(Noticed { links: true, ..Noticed::default() });
                self.with_node(|node| {
                    if noticed.links {
                        node.links_changed(now);
                    }
                    node.neighbours_changed(&noticed.neighbours, now);
                    node.routes_changed(&noticed.routes, now);
                });
            }
            owner::SIGNALS => {
                if let Some(signal) = self.signals.take() {
                    log!(Info, "ending", signal = signal);
                    self.exit = Some(Exit { keep_bridge: self.keep_bridge });
                }
            }
            _ => {}
        }
    }

    fn with_node(&mut self, f: impl FnOnce(&mut Node)) {
        if let Some(node) = &mut self.node {
            f(node);
        }
    }

    /// What follows after everything that was ready: sending, timers, telling.
    fn turn(&mut self, now: Now) {
        let Some(node) = &mut self.node else { return };
        // Frames do not wait for the timers.
        node.flush(now);
        node.tick(now);
        node.flush(now);
        if let Err(error) = watch_taps(&self.poll, node) {
            log!(Warn, "cannot wait for a tap", reason = error);
        }
        self.relay.pump(&self.poll, node, now);
        self.controllers.pump(&self.poll, node);
        for event in node.take_events() {
            self.clients.tell(&self.poll, event.name, &event.data);
        }
        for pinged in node.take_pinged() {
            self.clients.answer(&self.poll, pinged.client, Some(pinged.id), pinged.result());
        }
    }

    fn client_ready(&mut self, client: u32, ready: Ready, now: Now) {
        for line in self.clients.read(&self.poll, client, ready) {
            let (id, result) = match crate::control::parse(&line) {
                Ok((id, method)) => (Some(id), self.call(client, id, method, now)),
                Err((id, failure)) => (id, Some(Err(failure))),
            };
            if let Some(result) = result {
                self.clients.answer(&self.poll, client, id, result);
            }
        }
    }

    fn call(&mut self, client: u32, id: u64, method: Method, now: Now) -> Option<Result<Value, Failure>> {
        match method {
            Method::Hello(hello) => {
                log!(Info, "control client", client = hello.client);
                self.clients.greeted(client);
                Some(Ok(self.hello(now)))
            }
            Method::Configure(configure) => Some(self.configure(&configure, now)),
            Method::Shutdown(shutdown) => {
                log!(Info, "ending", by = "shutdown");
                self.exit = Some(Exit { keep_bridge: shutdown.keep_bridge });
                Some(Ok(json!({})))
            }
            method => match &mut self.node {
                Some(node) => node.call(client, id, method, now),
                None => Some(Err(Failure::not_configured())),
            },
        }
    }

    fn hello(&self, now: Now) -> Value {
        let configured = self.node.as_ref().map(|node| {
            json!({
                "nodeId": node.node_id.to_string(),
                "overlayId": node.sessions.parameters().overlay.to_string(),
                "parametersSerial": node.sessions.parameters().serial,
                "bridge": node.bridge.name,
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "bootId": self.boot_id.to_string(),
            "uptimeMs": now.us.saturating_sub(self.started) / 1_000,
            "configured": configured,
        })
    }

    fn configure(&mut self, configure: &Configure, now: Now) -> Result<Value, Failure> {
        let key = <[u8; 32]>::try_from(configure.session_key.0.as_slice())
            .map_err(|_| Failure::bad_request("sessionKey must have 32 bytes"))?;
        let local = Local::new(key, &configure.certificate.0, &configure.parameters.0, self.boot_id, ciphers())
            .map_err(|refusal| Failure::bad_request(format!("the node's papers are refused: {}", refusal.name())))?;
        if let Some(node) = &mut self.node {
            return node.reconfigure(configure, local, now);
        }
        let stun: Vec<SocketAddr> = configure.stun.clone();
        let bridge = configure.bridge.clone();
        let exclude = configure.exclude_interfaces.clone();
        let exclude_routes = configure.exclude_routes.clone();
        let udp_port = configure.udp.port;
        let setup = Setup { local, bridge, udp_port, stun, exclude, exclude_routes, boot_id: self.boot_id };
        let mut node = Node::new(setup, now)?;
        self.watch(&mut node)
            .map_err(|error| Failure::system(format!("cannot wait for the node's sockets: {error}")))?;
        let answer = node.configured_json();
        self.node = Some(node);
        if self.doors.deadline().is_none() {
            self.open_doors(now.us);
        }
        Ok(answer)
    }

    fn watch(&mut self, node: &mut Node) -> io::Result<()> {
        self.poll.set(node.outlet.udp.as_raw_fd(), token(owner::UDP, 0), false)?;
        watch_taps(&self.poll, node)?;
        match Monitor::open() {
            Ok(monitor) => {
                self.poll.set(monitor.as_raw_fd(), token(owner::MONITOR, 0), false)?;
                self.monitor = Some(monitor);
            }
            Err(error) => {
                node.unwatched = true;
                log!(Warn, "links are only looked at every five seconds", reason = error);
            }
        }
        Ok(())
    }

    pub fn end(&mut self) {
        let Some(exit) = self.exit else { return };
        let Some(node) = self.node.take() else { return };
        if exit.keep_bridge {
            return;
        }
        if let Err(error) = node.remove_links() {
            log!(Warn, "cannot remove the bridge", reason = error);
        }
    }
}

/// Waits for taps that are new; one that is gone was closed, and nobody waits for it.
fn watch_taps(poll: &Poll, node: &mut Node) -> io::Result<()> {
    let watched = node.taps.take_fresh().into_iter().map(|(id, fd)| poll.set(fd, token(owner::TAP, id), false));
    watched.fold(Ok(()), io::Result::and)
}
