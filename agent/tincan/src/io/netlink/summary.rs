//! What was changed, as one line for people.

use super::plan::Change;

/// The entries of a thousand members are counted, not listed.
pub fn summary(changes: &[Change]) -> String {
    let mut parts: Vec<String> = vec![];
    // A new bridge has all its settings, addresses and entries set: that goes without saying.
    let made = changes.iter().any(|change| matches!(change, Change::CreateBridge { .. }));
    let told = |change: &&Change| !made || matches!(change, Change::CreateBridge { .. } | Change::Attach { .. });
    let changes: Vec<&Change> = changes.iter().filter(told).collect();
    for change in changes.iter().filter(|change| !is_neighbour(change)) {
        let part = change.to_string();
        // Links that were down lose their addresses while others are being set.
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let mut neighbours = changes.iter().filter(|change| is_neighbour(change));
    match (neighbours.next(), neighbours.count()) {
        (None, _) => {}
        (Some(only), 0) => parts.push(only.to_string()),
        (Some(_), others) => parts.push(format!("set {} neighbours", others + 1)),
    }
    parts.join(", ")
}

fn is_neighbour(change: &Change) -> bool {
    matches!(change, Change::SetNeighbour { .. } | Change::RemoveNeighbour { .. })
}
