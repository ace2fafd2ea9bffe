//! New connections between pods under test, and a record of when either end stood still itself.
//!
//!     load PORT
//!
//! answers HTTP on PORT of every address, and asks others on order:
//!
//!     GET /      when this process took the request
//!     GET /ask?rate=100&seconds=60&to=10.244.1.2:8081,10.244.2.2:8081
//!                as many new connections a second to each; the answer, `Found` as JSON, comes when all of them have ended
//!
//! One thread that waits for nothing but its poll and comes by every few milliseconds: when it did not, the machine gave it no
//! turn, and what was late because of that is not the network's. Times are of the monotonic clock, so that those of two pods on
//! one machine compare.

mod http;
mod order;
mod pulse;

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use load::net;
use tincan::io::poll::{Poll, Ready};
use tincan::time::{monotonic, Micros};

use order::{Found, Late, Order, Outcome, Schedule, GIVEN_UP, TOGETHER};
use pulse::{Pulse, PACE};

const LISTENER: u64 = 0;

/// What a connection is for.
enum Purpose {
    /// Somebody asks us.
    Serve { taken: Micros },
    /// Somebody gave us an order and waits for what comes of it.
    Order,
    /// We ask.
    Ask { target: usize, request: Late },
}

struct Connection {
    stream: TcpStream,
    purpose: Purpose,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Asking {
    order: Order,
    client: u64,
    began: Micros,
    schedule: Schedule,
    outcomes: Vec<Outcome>,
    /// In the order they began.
    open: VecDeque<(Micros, u64)>,
}

struct Load {
    poll: Poll,
    listener: TcpListener,
    connections: HashMap<u64, Connection>,
    last_token: u64,
    pulse: Pulse,
    asking: Option<Asking>,
}

/// What comes of reading or writing as far as possible.
enum Step {
    Again,
    Done,
    Failed(String),
}

impl Load {
    fn new(port: u16) -> std::io::Result<Self> {
        let (poll, listener) = (Poll::new()?, net::listen(port)?);
        poll.set(listener.as_raw_fd(), LISTENER, false)?;
        let pulse = Pulse::new(monotonic());
        Ok(Self { poll, listener, connections: HashMap::new(), last_token: LISTENER, pulse, asking: None })
    }

    fn run(&mut self) -> std::io::Result<()> {
        let mut ready = Vec::new();
        loop {
            let now = monotonic();
            self.pulse.beat(now);
            self.ask(now)?;
            self.give_up(now);
            let deadline = self.asking.as_ref().and_then(|asking| asking.schedule.deadline());
            self.poll.wait(Some(order::patience(deadline, monotonic(), PACE)), &mut ready)?;
            for event in ready.drain(..) {
                self.event(event)?;
            }
            self.report();
        }
    }

    fn add(&mut self, stream: TcpStream, purpose: Purpose, output: Vec<u8>) -> std::io::Result<u64> {
        self.last_token += 1;
        self.poll.set(stream.as_raw_fd(), self.last_token, !output.is_empty())?;
        self.connections.insert(self.last_token, Connection { stream, purpose, input: Vec::new(), output });
        Ok(self.last_token)
    }

    /// Requests that are due.
    fn ask(&mut self, now: Micros) -> std::io::Result<()> {
        while let Some(asking) = &mut self.asking {
            let Some(target) = asking.schedule.take(now) else { break };
            let to = asking.order.to[target];
            asking.outcomes[target].sent += 1;
            let began_us = monotonic();
            let mut request =
                Late { began_us, connected_us: None, taken_us: None, answered_us: None, retransmitted: 0, error: None };
            match net::connect(to) {
                Ok(stream) => {
                    let output = http::request(&to.to_string()).into_bytes();
                    let token = self.add(stream, Purpose::Ask { target, request }, output)?;
                    if let Some(asking) = &mut self.asking {
                        asking.open.push_back((began_us, token));
                    }
                }
                Err(error) => {
                    request.error = Some(error.to_string());
                    asking.outcomes[target].ended(request, began_us);
                }
            }
        }
        Ok(())
    }

    /// On requests that nobody answers any more.
    fn give_up(&mut self, now: Micros) {
        while let Some(asking) = &mut self.asking {
            match asking.open.front().copied() {
                Some((_, token)) if !self.connections.contains_key(&token) => {
                    asking.open.pop_front();
                }
                Some((began, token)) if now >= began + GIVEN_UP => {
                    asking.open.pop_front();
                    self.end(token, None);
                }
                _ => break,
            }
        }
    }

    fn event(&mut self, event: Ready) -> std::io::Result<()> {
        if event.token == LISTENER {
            return self.accept();
        }
        let Some(connection) = self.connections.get_mut(&event.token) else { return Ok(()) };
        if event.writable && !connection.output.is_empty() {
            let step = write(connection);
            if let (Step::Again | Step::Done, Purpose::Ask { request, .. }) = (&step, &mut connection.purpose) {
                request.connected_us.get_or_insert_with(monotonic);
            }
            match step {
                Step::Again => {}
                Step::Done => match connection.purpose {
                    Purpose::Ask { .. } => self.poll.set(connection.stream.as_raw_fd(), event.token, false)?,
                    _ => self.end(event.token, None),
                },
                Step::Failed(error) => self.end(event.token, Some(error)),
            }
        }
        if event.readable {
            self.read(event.token)?;
        }
        Ok(())
    }

    fn accept(&mut self) -> std::io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    let token = self.add(stream, Purpose::Serve { taken: monotonic() }, Vec::new())?;
                    self.read(token)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The other end has left before its turn.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, token: u64) -> std::io::Result<()> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        let step = read(connection);
        if let Purpose::Ask { request, .. } = &mut connection.purpose {
            if let Some(taken) = http::answered(&connection.input) {
                request.answered_us = Some(monotonic());
                request.taken_us = taken.parse().ok();
                self.end(token, None);
                return Ok(());
            }
        }
        match (step, &connection.purpose) {
            (Step::Failed(error), _) => self.end(token, Some(error)),
            (Step::Done, Purpose::Ask { .. }) => self.end(token, Some("closed before its answer was complete".into())),
            // Who gave an order and has gone does not hear what came of it; it is carried out all the same.
            (Step::Done, _) => self.end(token, None),
            (Step::Again, Purpose::Serve { taken }) if connection.output.is_empty() => {
                let taken = *taken;
                match http::requested(&connection.input).map(|target| target.map(str::to_string)) {
                    Ok(None) => {}
                    Ok(Some(target)) => self.answer(token, &target, taken)?,
                    Err(error) => self.say(token, "400 Bad Request", error)?,
                }
            }
            (Step::Again, _) => {}
        }
        Ok(())
    }

    fn answer(&mut self, token: u64, target: &str, taken: Micros) -> std::io::Result<()> {
        match target.split_once('?') {
            None if target == "/" => self.say(token, "200 OK", &taken.to_string()),
            Some(("/ask", query)) => match Order::parse(query) {
                Err(error) => self.say(token, "400 Bad Request", &error),
                Ok(_) if self.asking.is_some() => self.say(token, "409 Conflict", "another order is being carried out"),
                Ok(order) => {
                    if let Some(connection) = self.connections.get_mut(&token) {
                        connection.purpose = Purpose::Order;
                    }
                    let began = monotonic();
                    let outcomes = order.to.iter().map(|_| Outcome::default()).collect();
                    let schedule = Schedule::new(&order, began);
                    self.asking =
                        Some(Asking { order, client: token, began, schedule, outcomes, open: VecDeque::new() });
                    Ok(())
                }
            },
            _ => self.say(token, "404 Not Found", "there are / and /ask"),
        }
    }

    fn say(&mut self, token: u64, status: &str, body: &str) -> std::io::Result<()> {
        let Some(connection) = self.connections.get_mut(&token) else { return Ok(()) };
        connection.output = http::answer(status, body).into_bytes();
        match write(connection) {
            Step::Again => self.poll.set(connection.stream.as_raw_fd(), token, true)?,
            Step::Done | Step::Failed(_) => self.end(token, None),
        }
        Ok(())
    }

    /// Closes a connection; of a request it is noted what became of it.
    fn end(&mut self, token: u64, error: Option<String>) {
        let Some(Connection { stream, purpose, .. }) = self.connections.remove(&token) else { return };
        if let (Purpose::Ask { target, mut request }, Some(asking)) = (purpose, &mut self.asking) {
            request.retransmitted = net::retransmitted(stream.as_raw_fd());
            request.error = error;
            asking.outcomes[target].ended(request, monotonic());
        }
    }

    /// Says what came of an order when all its requests have ended.
    fn report(&mut self) {
        let done = |asking: &Asking| asking.schedule.deadline().is_none() && asking.open.is_empty();
        let Some(Asking { order, client, began, outcomes, .. }) = self.asking.take_if(|asking| done(asking)) else {
            return;
        };
        let found = Found {
            began_us: began,
            ended_us: monotonic(),
            targets: order.to.iter().map(ToString::to_string).zip(&outcomes).collect(),
            pauses: self.pulse.pauses(began.saturating_sub(TOGETHER)),
        };
        let text = serde_json::to_string(&found).expect("numbers and texts");
        if let Err(error) = self.say(client, "200 OK", &text) {
            eprintln!("load: cannot say what came of an order: {error}");
        }
    }
}

fn write(connection: &mut Connection) -> Step {
    while !connection.output.is_empty() {
        match connection.stream.write(&connection.output) {
            Ok(bytes) => drop(connection.output.drain(..bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Again,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Step::Failed(error.to_string()),
        }
    }
    Step::Done
}

/// Done: the other end has said all it will.
fn read(connection: &mut Connection) -> Step {
    let mut buffer = [0; 4_096];
    loop {
        match connection.stream.read(&mut buffer) {
            Ok(0) => return Step::Done,
            Ok(bytes) => connection.input.extend_from_slice(&buffer[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Again,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Step::Failed(error.to_string()),
        }
    }
}

/// As process 1 of a container it would not be ended by a signal that it has no handler for.
fn end_when_told() {
    extern "C" fn end(_signal: libc::c_int) {
        // SAFETY: async-signal-safe.
        unsafe { libc::_exit(0) };
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler calls nothing but _exit.
        unsafe { libc::signal(signal, end as *const () as libc::sighandler_t) };
    }
}

fn main() -> ExitCode {
    let port = match std::env::args().nth(1).map(|text| text.parse()) {
        Some(Ok(port)) if std::env::args().len() == 2 => port,
        _ => {
            eprintln!("usage: load PORT");
            return ExitCode::from(2);
        }
    };
    net::allow_many_descriptors();
    end_when_told();
    match Load::new(port).and_then(|mut load| load.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}
