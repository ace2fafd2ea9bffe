//! One line per event on stderr: `time level message key=value ...`.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

impl Level {
    pub fn parse(name: &str) -> Option<Self> {
        [Level::Error, Level::Warn, Level::Info, Level::Debug].into_iter().find(|level| level.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether a line of this level is written at all.
pub fn wants(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Lines a second, and at once: whatever a peer does, it does not fill the disk. Errors are always written, and so is what somebody
/// asked for by `--log-level debug`.
const LINES_RATE: f64 = 1.0;
const LINES_BURST: f64 = 100.0;

struct Pace {
    left: f64,
    at: u64,
    omitted: u64,
}

static PACE: Mutex<Pace> = Mutex::new(Pace { left: LINES_BURST, at: 0, omitted: 0 });

impl Pace {
    /// How many lines were left out before this one; None when this one is left out too.
    fn take(&mut self, now: u64) -> Option<u64> {
        let since = now.saturating_sub(self.at) as f64 / 1e6;
        self.left = (self.left + since * LINES_RATE).min(LINES_BURST);
        self.at = self.at.max(now);
        if self.left < 1.0 {
            self.omitted += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.omitted))
    }
}

/// Writes one line. Values with spaces or quotes are quoted, so that a line can be taken apart again.
pub fn line(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    if !wants(level) {
        return;
    }
    let mut text = String::new();
    if matches!(level, Level::Warn | Level::Info) && !wants(Level::Debug) {
        let taken = PACE.lock().ok().and_then(|mut pace| pace.take(crate::time::monotonic()));
        match taken {
            None => return,
            Some(0) => {}
            Some(omitted) => text.push_str(&format!("{} warn {omitted} lines were left out: too many\n", timestamp())),
        }
    }
    text.push_str(&format!("{} {} {}", timestamp(), level.name(), message));
    for (key, value) in fields {
        let value = value.to_string();
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
        if plain {
            text.push_str(&format!(" {key}={value}"));
        } else {
            text.push_str(&format!(" {key}={value:?}"));
        }
    }
    text.push('\n');
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// RFC 3339 in UTC, milliseconds.
fn timestamp() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil((since.as_secs() / 86_400) as i64);
    let second = since.as_secs() % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Days since 1970 as a Gregorian date (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[macro_export]
macro_rules! log {
    ($level:ident, $message:expr $(, $key:ident = $value:expr)* $(,)?) => {
        if $crate::log::wants($crate::log::Level::$level) {
            $crate::log::line($crate::log::Level::$level, $message, &[$((stringify!($key), &$value)),*]);
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_said_to_be() {
        let mut pace = Pace { left: LINES_BURST, at: 0, omitted: 0 };
        let written = (0..10_000).filter(|_| pace.take(1_000_000).is_some()).count();
        assert_eq!(written, 100);
        assert_eq!(pace.take(3_000_000), Some(9_900));
        assert_eq!(pace.take(3_000_000), Some(0));
        assert_eq!(pace.take(3_000_000), None);
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_778), (2026, 11, 21));
    }
}
