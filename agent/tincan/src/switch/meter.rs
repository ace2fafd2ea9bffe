//! Meters (clauses 5.7, 6.8) with drop bands: token buckets.

use std::collections::BTreeMap;

use super::openflow::{error, Result};
use crate::time::{Micros, SECOND};

pub const METERS_MAX: usize = 1_024;
pub const BANDS_MAX: usize = 8;
pub const FLAG_KBPS: u16 = 1;
pub const FLAG_PKTPS: u16 = 2;
pub const FLAG_BURST: u16 = 4;
pub const FLAGS_KNOWN: u16 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropBand {
    /// Packets or 1,000 bits a second.
    pub rate: u32,
    pub burst: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterSpec {
    pub flags: u16,
    pub bands: Vec<DropBand>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct BandState {
    /// Packets or bits, in millionths, so that a microsecond at any rate counts.
    tokens: u64,
    pub packets: u64,
    pub bytes: u64,
}

pub struct Meter {
    pub spec: MeterSpec,
    pub created: Micros,
    pub packets: u64,
    pub bytes: u64,
    pub bands: Vec<BandState>,
    filled: Micros,
}

impl Meter {
    fn new(spec: MeterSpec, now: Micros) -> Self {
        let bands =
            spec.bands.iter().map(|band| BandState { tokens: capacity(&spec, band), ..BandState::default() }).collect();
        Meter { spec, created: now, packets: 0, bytes: 0, bands, filled: now }
    }

    /// Counts one packet; whether it may pass.
    fn pass(&mut self, length: usize, now: Micros) -> bool {
        self.packets += 1;
        self.bytes += length as u64;
        let elapsed = now.saturating_sub(self.filled);
        self.filled = self.filled.max(now);
        let bits = if self.spec.flags & FLAG_PKTPS != 0 { 1 } else { length as u64 * 8 };
        let cost = bits.saturating_mul(SECOND);
        let mut dropped = false;
        for (band, state) in self.spec.bands.iter().zip(&mut self.bands) {
            let refill = elapsed.saturating_mul(u64::from(band.rate)).saturating_mul(unit(&self.spec));
            state.tokens = state.tokens.saturating_add(refill).min(capacity(&self.spec, band));
            if dropped {
                continue;
            }
            match state.tokens.checked_sub(cost) {
                Some(left) => state.tokens = left,
                None => {
                    dropped = true;
                    state.packets += 1;
                    state.bytes += length as u64;
                }
            }
        }
        !dropped
    }
}

fn unit(spec: &MeterSpec) -> u64 {
    if spec.flags & FLAG_PKTPS != 0 {
        1
    } else {
        1_000
    }
}

/// What a band saves up: its burst size or, without one, what it passes in a second, and always room for one super-frame.
fn capacity(spec: &MeterSpec, band: &DropBand) -> u64 {
    let burst = if spec.flags & FLAG_BURST != 0 && band.burst != 0 { band.burst } else { band.rate };
    let floor = if spec.flags & FLAG_PKTPS != 0 { 1 } else { 65_536 * 8 };
    u64::from(burst).saturating_mul(unit(spec)).max(floor).saturating_mul(SECOND)
}

#[derive(Default)]
pub struct Meters {
    meters: BTreeMap<u32, Meter>,
}

impl Meters {
    pub fn get(&self, id: u32) -> Option<&Meter> {
        self.meters.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Meter)> {
        self.meters.iter().map(|(&id, meter)| (id, meter))
    }

    pub fn add(&mut self, id: u32, spec: MeterSpec, now: Micros) -> Result<()> {
        if self.meters.contains_key(&id) {
            return Err(error::METER_MOD_EXISTS);
        }
        if self.meters.len() >= METERS_MAX {
            return Err(error::METER_MOD_OUT_OF_METERS);
        }
        self.meters.insert(id, Meter::new(spec, now));
        Ok(())
    }

    pub fn modify(&mut self, id: u32, spec: MeterSpec, now: Micros) -> Result<()> {
        let meter = self.meters.get_mut(&id).ok_or(error::METER_MOD_UNKNOWN)?;
        let (created, packets, bytes) = (meter.created, meter.packets, meter.bytes);
        *meter = Meter { created, packets, bytes, ..Meter::new(spec, now) };
        Ok(())
    }

    pub fn delete(&mut self, id: u32) -> bool {
        self.meters.remove(&id).is_some()
    }

    pub fn clear(&mut self) {
        self.meters.clear();
    }

    /// A flow cannot name a meter that is not there, so an unknown one lets pass.
    pub fn pass(&mut self, id: u32, length: usize, now: Micros) -> bool {
        self.meters.get_mut(&id).is_none_or(|meter| meter.pass(length, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_meter_passes_its_burst_and_then_its_rate() {
        let mut meters = Meters::default();
        let spec = MeterSpec { flags: FLAG_PKTPS | FLAG_BURST, bands: vec![DropBand { rate: 10, burst: 5 }] };
        assert_eq!(meters.add(1, spec, 0), Ok(()));
        assert_eq!((0..20).filter(|_| meters.pass(1, 100, 0)).count(), 5);
        let passed = (1..=100).filter(|i| meters.pass(1, 100, i * SECOND / 100)).count();
        assert_eq!(passed, 10);
        let meter = meters.get(1).expect("added above");
        assert_eq!((meter.packets, meter.bands[0].packets), (120, 105));
    }

    #[test]
    fn a_bit_meter_counts_lengths() {
        let mut meters = Meters::default();
        let spec = MeterSpec { flags: FLAG_KBPS, bands: vec![DropBand { rate: 8_000, burst: 0 }] };
        assert_eq!(meters.add(1, spec, 0), Ok(()));
        // One second's worth, a million bytes, is saved up at the start; then a thousand bytes a millisecond.
        assert_eq!((0..2_000).filter(|_| meters.pass(1, 1_000, 0)).count(), 1_000);
        assert_eq!((0..2_000).filter(|_| meters.pass(1, 1_000, 100_000)).count(), 100);
    }

    #[test]
    fn a_clock_that_stands_still_or_an_extreme_rate_never_panics() {
        let mut meters = Meters::default();
        let spec =
            MeterSpec { flags: FLAG_KBPS | FLAG_BURST, bands: vec![DropBand { rate: u32::MAX, burst: u32::MAX }] };
        assert_eq!(meters.add(1, spec, 5), Ok(()));
        assert!(meters.pass(1, 65_535, 0));
        assert!(meters.pass(1, 65_535, u64::MAX));
    }
}
