//! What it costs this machine to wake a process, which is most of a round trip: two threads pass a byte to and fro by a socket,
//! with a pause before each round, as a line of JSON. Half of the median round trip, in microseconds.
//!
//!     wake
//!     {"sameUs":6.2,"otherUs":49.1}       both on one processor; each on its own
//!
//! On a machine with one processor `otherUs` is null.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;
/// As long as between the echo requests of the benches: the processors have gone to sleep.
const PAUSE: Duration = Duration::from_millis(10);

fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: the set lives across the call; a processor that is not there is an error, not undefined.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn answer(cpu: usize, mut stream: UnixStream) -> io::Result<()> {
    pin(cpu)?;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        stream.write_all(&byte)?;
    }
    Ok(())
}

/// Half a round trip between two processors, or within one, in microseconds.
fn measure(own: usize, other: usize) -> io::Result<f64> {
    let (mut stream, theirs) = UnixStream::pair()?;
    let them = thread::spawn(move || answer(other, theirs));
    pin(own)?;
    let mut took = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        thread::sleep(PAUSE);
        let start = Instant::now();
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0])?;
        took.push(start.elapsed());
    }
    drop(stream);
    them.join().map_err(|_| io::Error::other("the other thread panicked"))??;
    took.sort_unstable();
    Ok(took[ROUNDS / 2].as_secs_f64() * 1e6 / 2.0)
}

fn main() -> io::Result<()> {
    // Before this thread is bound to one of them.
    let processors = thread::available_parallelism()?.get();
    let same = measure(0, 0)?;
    let other = if processors > 1 { Some(measure(0, 1)?) } else { None };
    println!("{}", serde_json::json!({ "sameUs": same, "otherUs": other }));
    Ok(())
}
