//! VXLAN of this node's kernel over the overlay (Flannel, and the like): whole super-frames where the kernel has them, both ways.

use std::sync::Arc;

use super::Node;
use crate::frame::Ends;
use crate::io::netlink::{LocalAddresses, Shortcut};
use crate::log;

impl Node {
    /// What is inside the VXLAN tunnels of this node's kernel is joined where that takes it, and leaves uncut past the bridge.
    pub(super) fn find_vxlan(&mut self, found: &LocalAddresses) {
        self.tunnel_ends = (self.taps.accept_tunnels() && !found.vxlan.is_empty()).then(|| {
            let mac = self.sessions.certificate().mac();
            Arc::new(Ends { mac, ports: found.vxlan.clone(), addresses: found.all.clone() })
        });
        self.keep_shortcut(found);
    }

    fn keep_shortcut(&mut self, found: &LocalAddresses) {
        let index = |name: &str| found.own.iter().find(|(own, _)| own == name).map(|(_, index)| *index);
        // With a tap for each tunnel it is the other switch that decides.
        let (Some(bridge), Some(tap)) = (index(&self.bridge.name), index(&self.bridge.tap)) else { return };
        let mut ports = match &self.tunnel_ends {
            Some(ends) if self.taps.is_one() => ends.ports.clone(),
            _ => vec![],
        };
        ports.sort();
        ports.dedup();
        let wanted = Shortcut { bridge, tap, ports };
        if self.shortcut.as_ref() == Some(&wanted) {
            return;
        }
        match self.netlink.set_shortcut(&wanted) {
            Ok(()) if wanted.ports.is_empty() => {}
            Ok(()) => log!(Info, "VXLAN to other nodes goes to the tap uncut", ports = wanted.ports.len()),
            // Once: it costs throughput and nothing else.
            Err(error) => log!(
                Warn,
                "VXLAN to other nodes leaves packet by packet: this needs the kernel's sch_ingress, cls_u32 and act_mirred",
                error = error
            ),
        }
        self.shortcut = Some(wanted);
    }
}
