//! Who gets which part of an arc: the geometry of wire.md §6.3, without state.

use crate::routing::{Neighbour, Neighbours};
use crate::wire::Label;

#[derive(Debug, PartialEq, Eq)]
pub enum Handover {
    /// Nobody is known to be inside, and this node would know: it stands at the arc's edge.
    Nobody,
    /// Port, start, bound; clockwise.
    Arcs(Vec<(u32, Label, Label)>),
    /// No neighbour is inside, but somebody may be: this one may know more.
    Hunt(u32),
    /// Somebody may be inside, and there is no neighbour left to ask.
    Lost,
}

/// A node inside an arc divides it: it answers for both sides of itself.
pub fn pieces(own: Label, start: Label, bound: Label) -> Vec<(Label, Label)> {
    if own.in_open_arc(start, bound) {
        vec![(start, own), (own, bound)]
    } else {
        vec![(start, bound)]
    }
}

/// `own` is not inside the arc. `tried` ports are not asked again; the one the record came by is the last resort.
pub fn hand_over(
    own: Label,
    start: Label,
    bound: Label,
    tried: &[u32],
    came_by: Option<u32>,
    neighbours: &Neighbours,
) -> Handover {
    let inside = |label: Label| label.in_open_arc(start, bound);
    let usable = |port: u32| Some(port) != came_by && !tried.contains(&port);
    let mut takers: Vec<(u32, Label)> = neighbours.live().map(|(port, neighbour)| (port, neighbour.label)).collect();
    takers.retain(|&(port, label)| usable(port) && inside(label));
    takers.sort_by_key(|&(_, label)| start.clockwise_to(label));
    if !takers.is_empty() {
        let bounds = takers.iter().skip(1).map(|&(_, label)| label).chain([bound]).collect::<Vec<_>>();
        let arcs = takers.iter().zip(bounds).enumerate().map(|(i, (&(port, label), bound))| {
            // Nobody vouches for what lies between the start and the first taker, so that is the first taker's too.
            (port, if i == 0 { start } else { label }, bound)
        });
        return Handover::Arcs(arcs.collect());
    }
    let knows_inside = |neighbour: &Neighbour| neighbour.adjacent().iter().any(|&label| label != own && inside(label));
    let at_edge = own == start || own == bound;
    let evidence = || neighbours.iter().any(|(_, n)| inside(n.label) || n.up && knows_inside(n));
    if at_edge && !evidence() {
        return Handover::Nobody;
    }
    let candidates = || neighbours.live().filter(|&(port, _)| usable(port));
    let distance = |neighbour: &Neighbour| neighbour.label.clockwise_to(start).min(bound.clockwise_to(neighbour.label));
    let next = candidates().filter(|(_, n)| knows_inside(n)).min_by_key(|(_, n)| distance(n));
    let next = next.or_else(|| candidates().min_by_key(|(_, n)| distance(n)));
    let back = || came_by.filter(|port| !tried.contains(port) && neighbours.is_up(*port));
    next.map(|(port, _)| port).or_else(back).map_or(Handover::Lost, Handover::Hunt)
}
