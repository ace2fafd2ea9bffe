//! A way past the bridge for VXLAN that this node's kernel sends to other nodes.
//!
//! A bridge does not declare that it can pass super-frames inside of tunnels on (`hw_enc_features`): the kernel cuts them before its own
//! bridge sees them, and each packet is a read of the tap. A filter at the bridge's egress (clsact) comes before that. It redirects to the
//! tap what the bridge would give to the tap anyway: UDP to a port at which a VXLAN link of this node receives, to the MAC of a node.
//! cls_u32 and act_mirred are older than tincan's oldest kernel; one that was built without them only sends more slowly.

use std::io;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::tc::{
    TcAction, TcActionAttribute, TcActionMirror, TcActionMirrorOption, TcActionOption, TcActionType, TcAttribute,
    TcFilterU32, TcFilterU32Option, TcHandle, TcHeader, TcMessage, TcMirror, TcMirrorActionType, TcOption, TcU32Key,
    TcU32Selector, TcU32SelectorFlags,
};
use netlink_packet_route::RouteNetlinkMessage;

use crate::frame::Network;

use super::request::Socket;
use super::NetlinkError;

/// `TC_H_CLSACT` and `TC_H_MIN_EGRESS` (linux/pkt_sched.h).
const CLSACT: TcHandle = TcHandle { major: 0xffff, minor: 0xfff1 };
const EGRESS: TcHandle = TcHandle { major: 0xffff, minor: 0xfff3 };
const CLSACT_ITSELF: TcHandle = TcHandle { major: 0xffff, minor: 0 };
/// Priorities of our filters, by which they are known: `EV`, and one more for IPv6. Filters of others with a lower number go first.
const PRIORITY: [(Network, u16, u16); 2] = [(Network::Ipv4, 0x4556, 0x0800), (Network::Ipv6, 0x4557, 0x86dd)];

/// From which bridge to which of its ports, by index, and the UDP ports of VXLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcut {
    pub bridge: u32,
    pub tap: u32,
    pub ports: Vec<(Network, u16)>,
}

impl Socket {
    /// Filters for these ports and no others.
    pub fn set_shortcut(&mut self, wanted: &Shortcut) -> Result<(), NetlinkError> {
        const WHAT: &str = "redirect VXLAN past the bridge";
        self.remove_filters(wanted.bridge)?;
        if wanted.ports.is_empty() {
            return Ok(());
        }
        let mut qdisc = TcMessage::with_index(signed(wanted.bridge));
        qdisc.header.handle = CLSACT_ITSELF;
        qdisc.header.parent = CLSACT;
        qdisc.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
        match self.change(WHAT, RouteNetlinkMessage::NewQueueDiscipline(qdisc), NLM_F_CREATE | NLM_F_EXCL) {
            // Of an earlier time, or of somebody else's filters.
            Err(NetlinkError::System(_, error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
            result => result?,
        }
        for &(network, port) in &wanted.ports {
            let mut filter = filter(wanted.bridge, network);
            let mut selector = TcU32Selector::default();
            selector.flags = TcU32SelectorFlags::Terminal;
            selector.keys = keys(network, port);
            selector.nkeys = u8::try_from(selector.keys.len()).unwrap_or(u8::MAX);
            filter.attributes.push(TcAttribute::Options(vec![
                TcOption::U32(TcFilterU32Option::Selector(selector)),
                TcOption::U32(TcFilterU32Option::Action(vec![redirect(wanted.tap)])),
            ]));
            self.change(WHAT, RouteNetlinkMessage::NewTrafficFilter(filter), NLM_F_CREATE | NLM_F_EXCL)?;
        }
        Ok(())
    }

    /// All of ours, for whatever ports.
    fn remove_filters(&mut self, bridge: u32) -> Result<(), NetlinkError> {
        for (network, ..) in PRIORITY {
            let request = RouteNetlinkMessage::DelTrafficFilter(filter(bridge, network));
            match self.change("remove the filters past the bridge", request, 0) {
                Err(NetlinkError::System(_, error)) if is_none_there(&error) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// There is no such filter, no clsact, or no bridge any more.
fn is_none_there(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV))
}

/// All filters of ours of one family.
fn filter(bridge: u32, network: Network) -> TcMessage {
    let (_, priority, protocol) = match network {
        Network::Ipv4 => PRIORITY[0],
        Network::Ipv6 => PRIORITY[1],
    };
    let header = TcHeader {
        index: signed(bridge),
        parent: EGRESS,
        info: u32::from(priority) << 16 | u32::from(protocol.to_be()),
        ..TcHeader::default()
    };
    TcMessage::from_parts(header, vec![TcAttribute::Kind(TcFilterU32::KIND.to_owned())])
}

/// Indices are positive (linux/netdevice.h).
fn signed(index: u32) -> i32 {
    i32::try_from(index).unwrap_or_default()
}

/// What a packet has to have, by offsets from its network header.
fn keys(network: Network, port: u16) -> Vec<TcU32Key> {
    let key = |off: i32, mask: u32, val: u32| {
        let mut key = TcU32Key::default();
        (key.off, key.mask, key.val) = (off, mask, val);
        key
    };
    // 02:45 and 02:47: a node's, whichever family it has (docs/wire.md §3). A pod's MAC (02:46) may be behind another port of the bridge.
    let mut keys = vec![key(-14, 0xfffd_0000, 0x0245_0000)];
    match network {
        Network::Ipv4 => keys.extend([
            // Without options, whole, UDP, to that port.
            key(0, 0x0f00_0000, 0x0500_0000),
            key(4, 0x0000_3fff, 0),
            key(8, 0x00ff_0000, 0x0011_0000),
            key(20, 0x0000_ffff, u32::from(port)),
        ]),
        Network::Ipv6 => keys.extend([key(4, 0x0000_ff00, 0x0000_1100), key(40, 0x0000_ffff, u32::from(port))]),
    }
    keys
}

fn redirect(tap: u32) -> TcAction {
    let mut mirror = TcMirror::default();
    mirror.generic.action = TcActionType::Stolen;
    mirror.eaction = TcMirrorActionType::EgressRedir;
    mirror.ifindex = tap;
    let mut action = TcAction::default();
    action.tab = 1;
    action.attributes = vec![
        TcActionAttribute::Kind(TcActionMirror::KIND.to_owned()),
        TcActionAttribute::Options(vec![TcActionOption::Mirror(TcActionMirrorOption::Parms(mirror))]),
    ];
    action
}
