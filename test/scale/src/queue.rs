//! What is to happen, in order of its instant, and in order of its planning where instants are equal.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tincan::time::Micros;

struct Entry<E> {
    at: Micros,
    order: u64,
    event: E,
}

pub struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    order: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Self {
        Queue { heap: BinaryHeap::new(), order: 0 }
    }

    pub fn push(&mut self, at: Micros, event: E) {
        self.order += 1;
        self.heap.push(Entry { at, order: self.order, event });
    }

    pub fn pop(&mut self) -> Option<(Micros, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}
