//! The program `nft` (nftables), run without waiting for it: this process has frames to move meanwhile.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::firewall::Job;
use crate::time::{Micros, MILLISECOND, SECOND};

/// nft takes some milliseconds, and longer when the kernel has to load modules.
const TIME_MAX: Micros = 10 * SECOND;
/// More than any table of ours is.
const OUTPUT_MAX: u64 = 256 * 1024;

pub struct Running {
    child: Child,
    end_at: Micros,
}

/// One line, said to people.
type Reason = String;

impl Running {
    pub fn start(job: &Job, now: Micros) -> Result<Self, Reason> {
        let input = if job.input().is_some() { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new("nft");
        command.args(job.arguments()).env("LC_ALL", "C").stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "the program nft is not in PATH: install nftables".to_owned(),
            _ => format!("cannot run nft: {error}"),
        })?;
        if let (Some(text), Some(mut stdin)) = (job.input(), child.stdin.take()) {
            // It fits the pipe. What nft does not read is told by how it ends.
            let _ = stdin.write_all(text.as_bytes());
        }
        Ok(Self { child, end_at: now + TIME_MAX })
    }

    /// What it printed, or why it failed; None while it runs.
    pub fn finished(&mut self, now: Micros) -> Option<Result<String, Reason>> {
        match self.child.try_wait() {
            Ok(None) if now < self.end_at => None,
            Ok(None) => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                Some(Err(format!("nft did not end within {} s", TIME_MAX / SECOND)))
            }
            Ok(Some(status)) if status.success() => Some(Ok(text(self.child.stdout.take()))),
            Ok(Some(status)) => {
                let said = text(self.child.stderr.take());
                let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim().to_owned();
                Some(Err(format!("nft failed ({status}): {line}")))
            }
            Err(error) => Some(Err(format!("cannot wait for nft: {error}"))),
        }
    }

    /// Waits for the end: for a process that is ending itself.
    pub fn wait(mut self) -> Result<String, Reason> {
        let mut waited = 0;
        loop {
            if let Some(result) = self.finished(if waited < 2 * SECOND { 0 } else { Micros::MAX }) {
                return result;
            }
            std::thread::sleep(Duration::from_millis(5));
            waited += 5 * MILLISECOND;
        }
    }
}

/// One that is not waited for leaves nothing behind: a transaction is whole or not there.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = vec![];
    if let Some(pipe) = pipe {
        let _ = pipe.take(OUTPUT_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the number of the kernel's ruleset (NFT_MSG_GETGEN of `linux/netfilter/nf_tables.h`): to see that nothing changed costs one
/// message, not a process.
#[derive(Default)]
pub struct Generations {
    socket: Option<netlink_sys::Socket>,
}

impl Generations {
    pub fn read(&mut self) -> Option<u32> {
        let generation = self.ask();
        if generation.is_none() {
            self.socket = None;
        }
        generation
    }

    fn ask(&mut self) -> Option<u32> {
        if self.socket.is_none() {
            let mut socket = netlink_sys::Socket::new(NETLINK_NETFILTER).ok()?;
            socket.bind_auto().ok()?;
            socket.connect(&netlink_sys::SocketAddr::new(0, 0)).ok()?;
            // The kernel answers before `send` is over.
            socket.set_non_blocking(true).ok()?;
            self.socket = Some(socket);
        }
        let socket = self.socket.as_ref()?;
        socket.send(&request(), 0).ok()?;
        let mut answer: Vec<u8> = Vec::with_capacity(4096);
        socket.recv(&mut answer, 0).ok()?;
        generation(&answer)
    }
}

/// Subsystem nf_tables and its message: linux/netfilter/nfnetlink.h.
const fn kind(message: u16) -> u16 {
    10 << 8 | message
}
const GETGEN: u16 = kind(16);
const NEWGEN: u16 = kind(15);
/// NFTA_GEN_ID.
const GENERATION_ID: u16 = 1;
const NLM_F_REQUEST: u16 = 1;

/// nlmsghdr (16) and nfgenmsg (4: family, version, resource).
fn request() -> [u8; 20] {
    let mut out = [0; 20];
    let (length, rest) = out.split_at_mut(4);
    length.copy_from_slice(&20u32.to_ne_bytes());
    let (message, flags) = rest.split_at_mut(2);
    message.copy_from_slice(&GETGEN.to_ne_bytes());
    if let Some(flags) = flags.get_mut(..2) {
        flags.copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    }
    out
}

fn generation(answer: &[u8]) -> Option<u32> {
    let length = u32::from_ne_bytes(*answer.first_chunk()?);
    let message = answer.get(..usize::try_from(length).ok()?)?;
    if u16::from_ne_bytes(*message.get(4..)?.first_chunk()?) != NEWGEN {
        return None;
    }
    let mut attributes = message.get(20..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        if kind == GENERATION_ID {
            return Some(u32::from_be_bytes(*attributes.get(4..length)?.first_chunk()?));
        }
        if length < 4 {
            return None;
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::in_namespace;
    use super::*;
    use crate::control::Firewall;
    use crate::firewall::ruleset;
    use crate::prefix::Prefix;

    fn run(job: &Job) -> Result<String, Reason> {
        Running::start(job, 0).and_then(Running::wait)
    }

    fn rules() -> String {
        let prefix = |text: &str| Prefix::parse(text).unwrap();
        let rules = Firewall {
            pod_cidrs: vec![prefix("10.244.1.0/24")],
            overlay_cidrs: vec![prefix("10.45.0.0/16"), prefix("10.244.0.0/16")],
            host_interface_prefix: "evc".into(),
        };
        ruleset(&rules, "evio0")
    }

    #[test]
    fn nft_takes_the_table_and_each_change_raises_the_generation() {
        in_namespace(|| {
            let mut generations = Generations::default();
            let first = generations.read().expect("the kernel has nf_tables");
            assert_eq!(generations.read(), Some(first));
            assert!(run(&Job::List).is_err_and(|reason| reason.contains("No such file or directory")));
            run(&Job::Put(rules())).unwrap();
            let second = generations.read();
            assert_ne!(second, Some(first));
            let listed = run(&Job::List).unwrap();
            assert!(
                listed.contains("10.244.1.0/24") && listed.contains("fib saddr . iif oif missing drop"),
                "{listed}"
            );
            // Again, over the one that stands, and over one that somebody changed.
            run(&Job::Put(rules())).unwrap();
            assert_eq!(run(&Job::List).unwrap(), listed);
            assert_ne!(generations.read(), second);
            for _ in 0..2 {
                run(&Job::Remove).unwrap();
                assert!(run(&Job::List).is_err());
            }
        });
    }

    #[test]
    fn what_nft_refuses_is_told_in_one_line() {
        in_namespace(|| {
            let reason = run(&Job::Put("table inet evio { nonsense }".into())).unwrap_err();
            assert!(reason.starts_with("nft failed") && reason.lines().count() == 1, "{reason}");
        });
    }

    #[test]
    fn no_answer_but_a_generation_is_one() {
        assert_eq!(generation(&[]), None);
        let mut answer = request().to_vec();
        answer.extend([8, 0, 1, 0, 0, 0, 1, 2]);
        answer[0] = 28;
        assert_eq!(generation(&answer), None, "the question itself");
        answer[4] = 15;
        assert_eq!(generation(&answer), Some(0x102));
        for length in 0..answer.len() {
            assert_eq!(generation(&answer[..length]), None);
        }
        answer[20] = 0;
        answer[22] = 9;
        assert_eq!(generation(&answer), None, "an attribute without a length");
    }
}
