use super::*;

const OWN: Label = Label(1_000);

fn neighbours(of: &[(u32, u64, bool, &[u64])]) -> Neighbours {
    let mut all = Neighbours::new();
    for &(port, label, up, adjacent) in of {
        all.set(port, Label(label), up);
        all.set_adjacent(port, &adjacent.iter().map(|&l| Label(l)).collect::<Vec<_>>());
    }
    all
}

#[test]
fn ring_distance_is_the_shorter_way_round() {
    assert_eq!(ring_distance(Label(10), Label(4)), 6);
    assert_eq!(ring_distance(Label(u64::MAX), Label(4)), 5);
    assert_eq!(ring_distance(Label(0), Label(1 << 63)), 1 << 63);
}

#[test]
fn a_detour_prefers_a_neighbour_that_is_adjacent_to_the_destination() {
    let all = neighbours(&[(16, 2_000, false, &[]), (17, 1_990, true, &[]), (18, 500, true, &[2_000])]);
    assert_eq!(all.detour(Label(2_000), None, Some(16)), Some(18));
}

#[test]
fn a_detour_else_takes_the_neighbour_with_the_nearest_reach() {
    let all =
        neighbours(&[(16, 2_000, false, &[]), (17, 1_500, true, &[]), (18, 500, true, &[1_999]), (19, 600, true, &[])]);
    assert_eq!(all.detour(Label(2_100), None, Some(16)), Some(18));
}

#[test]
fn a_detour_goes_back_only_when_there_is_no_other_way() {
    let all = neighbours(&[(16, 2_000, false, &[]), (17, 900, true, &[]), (18, 100, true, &[])]);
    assert_eq!(all.detour(Label(2_100), Some(17), Some(16)), Some(18));
    let all = neighbours(&[(16, 2_000, false, &[]), (17, 900, true, &[])]);
    assert_eq!(all.detour(Label(2_100), Some(17), Some(16)), Some(17));
    let all = neighbours(&[(16, 2_000, false, &[]), (17, 900, false, &[])]);
    assert_eq!(all.detour(Label(2_100), Some(17), Some(16)), None);
}

#[test]
fn nothing_counts_on_a_neighbour_whose_tunnel_drains() {
    let mut all = neighbours(&[(16, 2_000, true, &[]), (17, 1_500, true, &[2_000]), (18, 500, true, &[])]);
    assert!(all.set_draining(16, true) && !all.set_draining(16, true));
    assert_eq!(all.detour(Label(2_000), None, None), Some(17));
    assert_eq!(all.onward(OWN, Label(2_000), Some(18)), Some(17));
    assert!(all.is_up(16), "a flow may still name it");
    all.set_draining(17, true);
    assert_eq!(all.detour(Label(2_000), None, None), Some(18));
    // Where a record came from it may go back when there is nothing else, draining or not.
    all.set_draining(18, true);
    assert_eq!(all.detour(Label(2_000), Some(17), None), Some(17));
    all.set_draining(16, false);
    assert_eq!(all.detour(Label(2_000), None, None), Some(16));
}

#[test]
fn a_flagged_record_goes_to_the_destination_or_strictly_nearer_but_never_back() {
    let all = neighbours(&[(16, 1_200, true, &[]), (17, 2_000, true, &[]), (18, 500, true, &[])]);
    assert_eq!(all.onward(OWN, Label(2_000), Some(18)), Some(17));
    assert_eq!(all.onward(OWN, Label(2_100), Some(18)), Some(17));
    assert_eq!(all.onward(OWN, Label(2_100), Some(17)), Some(16));
    assert_eq!(all.onward(OWN, Label(700), Some(18)), None, "port 18 is nearer, but the record came by it");
}

#[test]
fn a_flagged_record_without_a_nearer_neighbour_keeps_its_direction() {
    // 2,000 is behind a dead node; the record comes from 1,500 and goes on counter-clockwise, the long way round.
    let all = neighbours(&[(16, 1_500, true, &[]), (17, 800, true, &[])]);
    assert_eq!(all.onward(OWN, Label(2_000), Some(16)), Some(17));
    // Nobody ahead in that direction: the record is dropped, it does not turn.
    let all = neighbours(&[(16, 800, true, &[]), (17, 700, true, &[])]);
    assert_eq!(all.onward(OWN, Label(2_000), Some(16)), None);
}

#[test]
fn reach_looks_across_the_zero_of_the_ring() {
    let all = neighbours(&[(16, 5_000, true, &[u64::MAX - 1]), (17, 4_000, true, &[600])]);
    assert_eq!(all.detour(Label(3), None, None), Some(16));
}

/// A bare ring of `n` nodes with one dead: every other pair still meets, within one tour and no hop limit reached.
#[test]
fn in_a_bare_ring_with_one_dead_node_every_pair_is_still_routed() {
    let n: u64 = 31;
    let label = |i: u64| Label((i % n).wrapping_mul(u64::MAX / n));
    let dead = 5;
    let view = |i: u64| {
        let mut all = Neighbours::new();
        for (port, j) in [(16, i + 1), (17, i + n - 1)] {
            all.set(port, label(j), j % n != dead);
            let live = [j + 1, j + n - 1].into_iter().filter(|k| k % n != dead).map(label).collect::<Vec<_>>();
            all.set_adjacent(port, &live);
        }
        all
    };
    for from in (0..n).filter(|&i| i != dead) {
        for to in (0..n).filter(|&i| i != dead && i != from) {
            let (mut at, mut came_by, mut flagged, mut hops) = (from, None, false, 0);
            while at != to {
                let all = view(at);
                let greedy =
                    if label(at).clockwise_to(label(to)) == ring_distance(label(at), label(to)) { 16 } else { 17 };
                let port = if flagged {
                    all.onward(label(at), label(to), came_by)
                } else if all.is_up(greedy) {
                    Some(greedy)
                } else {
                    flagged = true;
                    all.detour(label(to), came_by, Some(greedy))
                };
                at = match port.expect("a way on") {
                    16 => (at + 1) % n,
                    _ => (at + n - 1) % n,
                };
                came_by = port.map(|p| if p == 16 { 17 } else { 16 });
                hops += 1;
                assert!(hops <= 64, "{from} to {to}");
            }
        }
    }
}

#[test]
fn beside_a_node_are_the_nearest_live_neighbours_on_each_side_of_the_ring() {
    let mut all = neighbours(&[
        (16, 1_100, true, &[]),
        (17, 1_200, false, &[]),
        (18, 1_300, true, &[]),
        (19, 1_400, true, &[]),
        (20, 900, true, &[]),
        (21, u64::MAX, true, &[]),
        (22, 1 << 62, true, &[]),
    ]);
    assert_eq!(all.beside(OWN, 2), [16, 18, 21, 20]);
    all.set_draining(16, true);
    assert_eq!(all.beside(OWN, 2), [18, 19, 21, 20]);
    assert_eq!(neighbours(&[(16, 1, true, &[]), (17, 2, true, &[]), (18, 3, true, &[])]).beside(OWN, 2), [16, 17, 18]);
    assert!(Neighbours::new().beside(OWN, 2).is_empty());
}
