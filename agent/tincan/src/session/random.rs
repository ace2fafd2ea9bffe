//! Randomness, injected: the kernel's in the product, a seeded one in tests.

use ring::rand::SecureRandom;

pub trait Random: Send {
    fn fill(&mut self, out: &mut [u8]);
}

/// The kernel's generator.
pub struct SystemRandom(ring::rand::SystemRandom);

impl SystemRandom {
    pub fn new() -> Self {
        SystemRandom(ring::rand::SystemRandom::new())
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        // Without randomness there is no key worth using; Linux's getrandom(2) fails only where the system call is missing.
        if self.0.fill(out).is_err() {
            std::process::abort();
        }
    }
}

pub(super) fn draw<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}
