//! What was changed, as one line for people.

use super::plan::Change;

/// The entries and routes of a thousand members are counted, not listed.
pub fn summary(changes: &[Change]) -> String {
    let mut parts: Vec<String> = vec![];
    // A new bridge has all its settings, addresses, entries and routes set: that goes without saying.
    let made = changes.iter().any(|change| matches!(change, Change::CreateBridge { .. }));
    let told = |change: &&Change| !made || matches!(change, Change::CreateBridge { .. } | Change::Attach { .. });
    let changes: Vec<&Change> = changes.iter().filter(told).collect();
    for change in changes.iter().filter(|change| !is_neighbour(change) && !is_route(change)) {
        let part = change.to_string();
        // Links that were down lose their addresses while others are being set.
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.extend(counted(&changes, is_neighbour, "neighbours"));
    parts.extend(counted(&changes, is_route, "routes"));
    parts.join(", ")
}

/// One is told as it is.
fn counted(changes: &[&Change], of_kind: fn(&Change) -> bool, name: &str) -> Option<String> {
    let mut found = changes.iter().filter(|change| of_kind(change));
    let first = found.next()?;
    match found.count() {
        0 => Some(first.to_string()),
        others => Some(format!("set {} {name}", others + 1)),
    }
}

fn is_neighbour(change: &Change) -> bool {
    matches!(change, Change::SetNeighbour { .. } | Change::RemoveNeighbour { .. })
}

fn is_route(change: &Change) -> bool {
    matches!(change, Change::SetRoute { .. } | Change::RemoveRoute { .. })
}
