//! What keeps packets of the prefixes behind nodes from arriving and lasts until somebody does something: told to the control clients
//! as a whole, whenever it changes.

use serde_json::json;

use super::Node;
use crate::log;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// For programs: `address-conflict`, `route`, `firewall`.
    pub kind: &'static str,
    /// For people: one line.
    pub text: String,
}

impl Node {
    pub(super) fn tell_problems(&mut self) {
        let firewall = self.firewall.problem().map(|text| Problem { kind: "firewall", text: text.to_owned() });
        let problems: Vec<Problem> = self.route_problems.iter().cloned().chain(firewall).collect();
        if problems == self.problems_told {
            return;
        }
        for problem in problems.iter().filter(|problem| !self.problems_told.contains(problem)) {
            log!(Warn, "problem", kind = problem.kind, text = problem.text);
        }
        let list: Vec<_> = problems.iter().map(|one| json!({ "kind": one.kind, "text": one.text })).collect();
        self.event("problems", json!({ "problems": list }));
        self.problems_told = problems;
    }
}
