//! How fast the fast path can be: one TCP flow through tap, cutting, AES-128-GCM, UDP batches, merging, tap — and nothing
//! else of tincan, beside plain veth between the same two namespaces in the same run.
//!
//!     cargo run --release --example pipe -- [seconds] [rounds]
//!
//! Needs root, iproute2 and iperf3. Prints one line a round and the ratio of the medians.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, NONCE_LEN};
use tincan::frame::{parse_tap, segment, Delivery, Merger};
use tincan::io::batch::{Batch, OWN_BATCH_BYTES};
use tincan::io::netlink::{Desired, Neighbour, Netlink};
use tincan::io::tap::{self, Tap};
use tincan::io::udp::{SendError, Udp, RECEIVE_BYTES};
use tincan::wire::Mac;

const PORT: u16 = 20_000;
/// An underlay of 1,500 less IPv4 and UDP.
const RECORD_BYTES: usize = 1472;
/// Session header, plaintext flags and tag (docs/wire.md §4.2, §6.1).
const HEADER: usize = 16;
const FLAGS: usize = 2;
const TAG: usize = 16;
const MAX_FRAME: usize = RECORD_BYTES - HEADER - FLAGS - TAG;
/// Reads of one side before the other has its turn.
const TURN: usize = 8;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("node") => node(arguments.get(1).ok_or("node 1 or node 2")?.parse()?),
        seconds => {
            measure(seconds.map_or(Ok(3), str::parse)?, arguments.get(1).map_or(Ok(3), |rounds| rounds.parse())?)
        }
    }
}

struct Pipe {
    tap: Tap,
    udp: Udp,
    key: LessSafeKey,
    counter: u64,
    peer: SocketAddr,
    batch: Batch,
    writes: u64,
    written: u64,
}

fn node(number: u8) -> Result<(), Failure> {
    let other = 3 - number;
    let tap = Tap::open("up0")?;
    let mac = |host: u8| Mac::of_node([10, 99, 0, host].into());
    Netlink::open()?.ensure(&Desired {
        bridge: "evio0".into(),
        taps: vec!["up0".into()],
        attach: true,
        mac: mac(number),
        mtu: 1400,
        addresses: vec![([10, 99, 0, number].into(), 24)],
        neighbours: Neighbour::of_member([IpAddr::from([10, 99, 0, other])], mac(other)).collect(),
        routes: vec![],
    })?;
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| "key")?;
    let mut pipe = Pipe {
        tap,
        udp: Udp::bind(PORT)?,
        key: LessSafeKey::new(key),
        counter: u64::from(number) << 56,
        peer: ([10, 98, 0, other], PORT).into(),
        batch: Batch::new(),
        writes: 0,
        written: 0,
    };
    let mut from_tap = vec![0; tap::READ_BYTES];
    let mut from_udp = vec![0; RECEIVE_BYTES];
    loop {
        let (tap_ready, udp_ready) = pipe.wait();
        if udp_ready {
            pipe.inward(&mut from_udp)?;
        }
        if tap_ready || !pipe.batch.is_empty() {
            pipe.outward(&mut from_tap)?;
        }
    }
}

impl Pipe {
    /// While the socket is full the tap is not read: the kernel's queue in front of it is the only one.
    fn wait(&self) -> (bool, bool) {
        let full = !self.batch.is_empty();
        let (tap_events, udp_events) =
            if full { (0, libc::POLLIN | libc::POLLOUT) } else { (libc::POLLIN, libc::POLLIN) };
        let mut fds = [
            libc::pollfd { fd: self.tap.as_raw_fd(), events: tap_events, revents: 0 },
            libc::pollfd { fd: self.udp.as_raw_fd(), events: udp_events, revents: 0 },
        ];
        // SAFETY: two live pollfds.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, -1) };
        (fds[0].revents & libc::POLLIN != 0, fds[1].revents & libc::POLLIN != 0)
    }

    fn outward(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        if !self.flush() {
            return Ok(());
        }
        for _ in 0..TURN {
            let Some(bytes) = self.tap.read(buffer)? else { break };
            let Ok(frame) = parse_tap(&buffer[..bytes]) else { continue };
            if frame.frame.len() > OWN_BATCH_BYTES && !self.flush() {
                break;
            }
            let _ = segment(&frame, MAX_FRAME, |flags, head, payload| self.seal(flags, head, payload));
        }
        self.flush();
        Ok(())
    }

    fn seal(&mut self, flags: u8, head: &[u8], payload: &[u8]) {
        let bytes = HEADER + FLAGS + head.len() + payload.len() + TAG;
        let counter = self.counter;
        self.counter += 1;
        if !self.batch.fits(self.peer, bytes) {
            self.flush();
        }
        // Still none while the socket is full: this record is lost, as in any full queue.
        let Some(slot) = self.batch.slot(self.peer, bytes) else { return };
        let (header, rest) = slot.split_at_mut(HEADER);
        header.fill(0);
        header[0] = 0xc3;
        header[8..].copy_from_slice(&counter.to_be_bytes());
        let (plain, tag) = rest.split_at_mut(FLAGS + head.len() + payload.len());
        plain[..FLAGS].copy_from_slice(&[flags, 0]);
        plain[FLAGS..][..head.len()].copy_from_slice(head);
        plain[FLAGS + head.len()..].copy_from_slice(payload);
        if let Ok(made) = self.key.seal_in_place_separate_tag(nonce(counter), Aad::from(&header[..]), plain) {
            tag.copy_from_slice(made.as_ref());
        }
    }

    /// False while the socket is full.
    fn flush(&mut self) -> bool {
        match self.udp.send(&mut self.batch) {
            Err(SendError::Full) => false,
            Err(error) => {
                eprintln!("{error:?}");
                true
            }
            Ok(()) => true,
        }
    }

    fn inward(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for _ in 0..TURN {
            let Some(received) = self.udp.receive(buffer)? else { break };
            let (tap, mut writes, mut written) = (&self.tap, 0, 0);
            let mut sink = |delivery: &Delivery<'_>| {
                writes += 1;
                written += delivery.frame_bytes() as u64;
                drop(tap.write(delivery.parts()));
            };
            let mut merger = Merger::new();
            for record in buffer[..received.bytes].chunks_mut(received.segment) {
                let Some((header, sealed)) = record.split_first_chunk_mut::<HEADER>() else { continue };
                let counter = u64::from_be_bytes([
                    header[8], header[9], header[10], header[11], header[12], header[13], header[14], header[15],
                ]);
                let Ok(plain) = self.key.open_in_place(nonce(counter), Aad::from(&header[..]), sealed) else {
                    continue;
                };
                if let [flags, 0, frame @ ..] = &*plain {
                    let _ = merger.push(1, counter, *flags, frame, &mut sink);
                }
            }
            merger.flush(&mut sink);
            self.writes += writes;
            self.written += written;
        }
        Ok(())
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Kills what was started and removes the namespaces, however the measurement ends.
struct Undo(Vec<Child>);

impl Drop for Undo {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
        for number in [1, 2] {
            let _ = ip(&format!("netns del evio-pipe-{number}"));
        }
    }
}

fn measure(seconds: u32, rounds: usize) -> Result<(), Failure> {
    let mut undo = Undo(vec![]);
    for number in [1, 2] {
        let _ =
            Command::new("ip").args(["netns", "del", &format!("evio-pipe-{number}")]).stderr(Stdio::null()).status();
        ip(&format!("netns add evio-pipe-{number}"))?;
        ip(&format!("-n evio-pipe-{number} link set lo up"))?;
    }
    ip("link add under netns evio-pipe-1 type veth peer name under netns evio-pipe-2")?;
    let program = std::env::current_exe()?;
    for number in [1, 2] {
        ip(&format!("-n evio-pipe-{number} addr add 10.98.0.{number}/24 dev under"))?;
        ip(&format!("-n evio-pipe-{number} link set under up"))?;
        let program = program.to_str().ok_or("path")?;
        undo.0.push(in_namespace(number, &[program, "node", &number.to_string()]).spawn()?);
    }
    undo.0.push(in_namespace(2, &["iperf3", "-s"]).stdout(Stdio::null()).spawn()?);
    std::thread::sleep(Duration::from_millis(700));
    let (mut plain, mut piped) = (vec![], vec![]);
    for round in 1..=rounds {
        plain.push(iperf("10.98.0.2", seconds)?);
        piped.push(iperf("10.99.0.2", seconds)?);
        let (plain, piped) = (plain[round - 1], piped[round - 1]);
        println!("round {round}: veth {plain:.2} Gbit/s, pipe {piped:.2} Gbit/s, ratio {:.3}", piped / plain);
    }
    println!("ratio of the medians: {:.3}", median(&mut piped) / median(&mut plain));
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn iperf(to: &str, seconds: u32) -> Result<f64, Failure> {
    let output = in_namespace(1, &["iperf3", "-J", "-c", to, "-t", &seconds.to_string()]).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    rate.map(|rate| rate / 1e9).ok_or_else(|| format!("iperf3 to {to}: {}", report["error"]).into())
}

fn in_namespace(number: u8, command: &[&str]) -> Command {
    let mut ip = Command::new("ip");
    ip.args(["netns", "exec", &format!("evio-pipe-{number}")]).args(command);
    ip
}

fn ip(arguments: &str) -> Result<(), Failure> {
    if Command::new("ip").args(arguments.split(' ')).status()?.success() {
        Ok(())
    } else {
        Err(format!("ip {arguments} failed").into())
    }
}
