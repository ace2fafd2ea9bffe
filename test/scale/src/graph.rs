//! The overlay as it is, and as its nodes see it.

use tincan::routing::Neighbours;
use tincan::time::{Micros, MILLISECOND};
use tincan::wire::Label;

use crate::random::Random;

/// One way, by a tunnel: a house and the next data centre, or two continents' edges.
const ONE_WAY: std::ops::Range<Micros> = MILLISECOND..40 * MILLISECOND;
/// tincan numbers tunnels from here.
const FIRST_PORT: u32 = 16;

pub struct Tunnel {
    pub ends: [usize; 2],
    pub alive: bool,
    pub one_way: Micros,
}

pub struct Graph {
    pub labels: Vec<Label>,
    pub tunnels: Vec<Tunnel>,
    /// Of each node: its neighbours and the tunnels to them, by place.
    of: Vec<Vec<(usize, usize)>>,
}

/// The port that leads to the node at a place: the same at every node, so that nothing has to be looked up.
pub fn port_to(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX - FIRST_PORT) + FIRST_PORT
}

pub fn place_of(port: u32) -> usize {
    port.saturating_sub(FIRST_PORT) as usize
}

impl Graph {
    pub fn new(labels: &[String], tunnels: &[(usize, usize)], dead: &[usize], seed: u64) -> Result<Graph, String> {
        let labels: Option<Vec<Label>> = labels.iter().map(|text| Label::parse(text)).collect();
        let labels = labels.filter(|l| l.is_sorted_by(|a, b| a < b)).ok_or("labels are 16 hex digits, ascending")?;
        let mut random = Random::new(seed, 1);
        let mut of = vec![Vec::new(); labels.len()];
        let mut made = Vec::new();
        for (index, &(a, b)) in tunnels.iter().enumerate() {
            if let Some(place) = [a, b].into_iter().find(|&place| place >= labels.len()) {
                return Err(format!("tunnel {index} leads to place {place} of {}", labels.len()));
            }
            of[a].push((b, index));
            of[b].push((a, index));
            let one_way = ONE_WAY.start + random.below(ONE_WAY.end - ONE_WAY.start);
            made.push(Tunnel { ends: [a, b], alive: true, one_way });
        }
        for &index in dead {
            made.get_mut(index).ok_or_else(|| format!("dead tunnel {index} of {}", tunnels.len()))?.alive = false;
        }
        of.iter_mut().for_each(|neighbours| neighbours.sort_unstable());
        Ok(Graph { labels, tunnels: made, of })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn neighbours(&self, place: usize) -> usize {
        self.of[place].len()
    }

    pub fn tunnel(&self, from: usize, to: usize) -> Option<usize> {
        let of = &self.of[from];
        of.binary_search_by_key(&to, |&(place, _)| place).ok().map(|i| of[i].1)
    }

    /// What each node sees of the overlay: `up(tunnel, end)`: whether the node at that place takes it to be up; `told(tunnel, end)`:
    /// whether it told its neighbours so.
    pub fn views(&self, up: impl Fn(usize, usize) -> bool, told: impl Fn(usize, usize) -> bool) -> Vec<Neighbours> {
        let adjacent: Vec<Vec<Label>> = (0..self.len())
            .map(|i| self.of[i].iter().filter(|&&(_, t)| told(t, i)).map(|&(j, _)| self.labels[j]).collect())
            .collect();
        let view = |i: usize| {
            let mut neighbours = Neighbours::new();
            for &(j, tunnel) in &self.of[i] {
                neighbours.set(port_to(j), self.labels[j], up(tunnel, i));
                neighbours.set_adjacent(port_to(j), &adjacent[j]);
                neighbours.set_rtt(port_to(j), 2 * self.tunnels[tunnel].one_way);
            }
            neighbours
        };
        (0..self.len()).map(view).collect()
    }

    /// The part of the overlay that each node belongs to, by the tunnels that carry.
    pub fn parts(&self) -> Vec<usize> {
        let mut part = vec![usize::MAX; self.len()];
        for start in 0..self.len() {
            let mut open = vec![start];
            while let Some(i) = open.pop() {
                if part[i] == usize::MAX {
                    part[i] = start;
                    let carrying = self.of[i].iter().filter(|&&(_, tunnel)| self.tunnels[tunnel].alive);
                    open.extend(carrying.map(|&(j, _)| j).filter(|&j| part[j] == usize::MAX));
                }
            }
        }
        part
    }
}
