//! What floods and detours do on a large overlay: tincan's machines on a graph that is given, in simulated time.
//!
//! One line of JSON in (`Request`), one line out (`Answer`), as many as there are. The same line has the same answer, always.

mod detect;
mod floods;
mod graph;
mod holes;
mod idle;
mod queue;
mod random;
mod routes;

use std::io::{stdin, stdout, BufRead, Write};

use serde::{Deserialize, Serialize};

use graph::Graph;
use random::Random;

/// The overlay, and what is asked of it. Nodes are named by their place: the index of their label.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    seed: u64,
    /// 16 hex digits each, ascending.
    labels: Vec<String>,
    /// Pairs of places.
    tunnels: Vec<(usize, usize)>,
    /// Indices of tunnels that carry nothing any more.
    dead: Vec<usize>,
    /// How many floods, from nodes by chance.
    #[serde(default)]
    floods: usize,
    #[serde(default)]
    routes: Option<routes::Request>,
    /// How many times a tunnel that is idle shall die.
    #[serde(default)]
    deaths: usize,
    /// Nodes that look healthy and forward nothing.
    #[serde(default)]
    holes: Option<holes::Request>,
    /// What nodes send while nobody wants anything.
    #[serde(default)]
    idle: Option<idle::Request>,
}

#[derive(Serialize)]
struct Answer {
    floods: Option<floods::Answer>,
    routes: Option<routes::Answer>,
    deaths: Option<Deaths>,
    holes: Option<holes::Answer>,
    idle: Option<idle::Answer>,
}

/// Milliseconds until an end found it, two for each: to a neighbour that is near on the ring, and to others.
#[derive(Serialize)]
struct Deaths {
    near: Vec<f64>,
    others: Vec<f64>,
}

fn answer(line: &str) -> Result<Answer, String> {
    let request: Request = serde_json::from_str(line).map_err(|error| format!("no request: {error}"))?;
    let graph = Graph::new(&request.labels, &request.tunnels, &request.dead, request.seed)?;
    let floods = (request.floods > 0).then(|| floods::run(&graph, request.floods, request.seed));
    let routes = request.routes.map(|routes| routes::run(&graph, &routes, request.seed)).transpose()?;
    let deaths = (request.deaths > 0).then(|| {
        let mut random = Random::new(request.seed, 4);
        let mut found = |traffic| {
            let found = (0..request.deaths).flat_map(|_| detect::run(&mut random, traffic));
            found.map(|found| found as f64 / 1_000.0).collect()
        };
        Deaths { near: found(detect::Traffic::IdleNear), others: found(detect::Traffic::Idle) }
    });
    let idle = request.idle.map(|asked| idle::run(&graph, asked));
    let holes = request.holes.map(|holes| holes::run(&graph, &holes, request.seed)).transpose()?;
    Ok(Answer { floods, routes, deaths, holes, idle })
}

fn main() {
    for line in stdin().lock().lines() {
        let line = line.unwrap_or_else(|error| fail(&format!("standard input: {error}")));
        let answer = answer(&line).unwrap_or_else(|error| fail(&error));
        let text = serde_json::to_string(&answer).unwrap_or_else(|error| fail(&error.to_string()));
        if writeln!(stdout(), "{text}").is_err() {
            // Whoever asked is gone.
            return;
        }
    }
}

fn fail(text: &str) -> ! {
    eprintln!("scale: {text}");
    std::process::exit(2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_said_in_one_line() {
        let said = |line: &str| answer(line).err().unwrap_or_default();
        assert!(said("{").starts_with("no request"));
        let graph = |rest: &str| format!(r#"{{"seed":1,"labels":["0000000000000001","0000000000000002"],{rest}}}"#);
        assert_eq!(said(&graph(r#""tunnels":[[0,2]],"dead":[]"#)), "tunnel 0 leads to place 2 of 2");
        assert_eq!(said(&graph(r#""tunnels":[[0,1]],"dead":[1]"#)), "dead tunnel 1 of 1");
        assert_eq!(
            said(&graph(r#""tunnels":[[0,1]],"dead":[],"routes":{"targets":[5],"hops":[[0,0]],"at_ms":[]}"#)),
            "target 5 of 2 places"
        );
    }
}
