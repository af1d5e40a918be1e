//! Diagrams against tables of all points.

use super::{Arena, Class, Level, Node, Outcome};
use proptest::prelude::*;

const TOPS: [Class; 3] = [4, 3, 5];

fn arena() -> Arena {
    Arena::new(TOPS.to_vec(), u64::MAX, usize::MAX)
}

// What a diagram says of one point, edge by edge.
fn at(arena: &Arena, mut node: Node, point: [Class; 3]) -> Vec<Outcome> {
    while let Some(level) = arena.level(node) {
        let class = point[level as usize];
        node = arena.edges(node).find(|(lo, hi, _)| (*lo..=*hi).contains(&class)).unwrap().2;
    }
    arena.outcomes(node).unwrap().to_vec()
}

fn points() -> impl Iterator<Item = [Class; 3]> {
    (0..=TOPS[0]).flat_map(|a| (0..=TOPS[1]).flat_map(move |b| (0..=TOPS[2]).map(move |c| [a, b, c])))
}

// A list of rules: a box each, and the outcome where it applies.
type Rules = Vec<([(Class, Class); 3], Outcome)>;

fn rules() -> impl Strategy<Value = Rules> {
    let side = |top: Class| (0..=top, 0..=top).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let boxes = (side(TOPS[0]), side(TOPS[1]), side(TOPS[2])).prop_map(|(a, b, c)| [a, b, c]);
    proptest::collection::vec((boxes, 1..4u32), 0..7)
}

// Outcome 0 is "on with the next".
fn build(arena: &mut Arena, rules: &Rules) -> Node {
    let on = arena.terminal(&[0]);
    let mut node = on;
    for (sides, outcome) in rules {
        let mut rule = arena.terminal(&[*outcome]);
        for level in (0..3).rev() {
            rule = arena.choice(level as Level, &[sides[level]], rule, on);
        }
        node = arena.bind(node, |_, o| (o == 0).then_some(rule));
    }
    node
}

fn first(rules: &Rules, point: [Class; 3]) -> Outcome {
    let inside = |sides: &[(Class, Class); 3]| (0..3).all(|i| (sides[i].0..=sides[i].1).contains(&point[i]));
    rules.iter().find(|r| inside(&r.0)).map_or(0, |r| r.1)
}

proptest! {
    #[test]
    fn the_first_rule_decides(a in rules(), b in rules()) {
        let mut arena = arena();
        let (x, y) = (build(&mut arena, &a), build(&mut arena, &b));
        let both = arena.bind(x, |_, o| (o == 0).then_some(y));
        let either = arena.union(x, y);
        let laid = arena.laid(x, y, &mut |arena, a, b| arena.terminal(&[10 * a[0] + b[0]]));
        let listed: Rules = a.iter().chain(&b).copied().collect();
        for p in points() {
            prop_assert_eq!(at(&arena, both, p), vec![first(&listed, p)]);
            let mut wanted = vec![first(&a, p), first(&b, p)];
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(at(&arena, either, p), wanted);
            prop_assert_eq!(at(&arena, laid, p), vec![10 * first(&a, p) + first(&b, p)]);
        }
        // Equal functions are one node, however they came about.
        prop_assert_eq!(both, build(&mut arena, &listed));
        let same = points().all(|p| first(&a, p) == first(&b, p));
        prop_assert_eq!(same, x == y);
    }

    // Several outcomes that go on at once, each with a diagram of its own.
    #[test]
    fn each_outcome_goes_its_own_way(a in rules(), next in proptest::collection::vec(rules(), 4)) {
        let mut arena = arena();
        let x = build(&mut arena, &a);
        let ways: Vec<Node> = next.iter().map(|r| build(&mut arena, r)).collect();
        let bound = arena.bind(x, |_, o| (o != 3).then_some(ways[o as usize]));
        for p in points() {
            let before = first(&a, p);
            let wanted = if before == 3 { 3 } else { first(&next[before as usize], p) };
            prop_assert_eq!(at(&arena, bound, p), vec![wanted]);
        }
    }

    #[test]
    fn what_is_possible_somewhere(a in rules(), b in rules(), sides in rules()) {
        let mut arena = arena();
        let (x, y) = (build(&mut arena, &a), build(&mut arena, &b));
        let node = arena.union(x, y);
        let all: std::collections::BTreeSet<Outcome> = points().flat_map(|p| at(&arena, node, p)).collect();
        prop_assert_eq!(arena.possible(node).to_vec(), all.into_iter().collect::<Vec<_>>());
        for (sides, outcome) in sides {
            let ranges: Vec<Vec<(Class, Class)>> = sides.iter().map(|s| vec![*s]).collect();
            let ranges: Vec<Option<&[(Class, Class)]>> = ranges.iter().map(|r| Some(r.as_slice())).collect();
            let inside = |p: &[Class; 3]| (0..3).all(|i| (sides[i].0..=sides[i].1).contains(&p[i]));
            let wanted = points().filter(inside).any(|p| at(&arena, node, p).contains(&outcome));
            prop_assert_eq!(arena.meets(node, &ranges, &|o| o == outcome), wanted);
            let cut = arena.within(node, &ranges);
            let mut possible = std::collections::BTreeSet::new();
            for p in points().filter(inside) {
                prop_assert_eq!(at(&arena, cut, p), at(&arena, node, p));
                possible.extend(at(&arena, node, p));
            }
            prop_assert_eq!(arena.possible(cut).to_vec(), possible.into_iter().collect::<Vec<_>>());
        }
        let flat = arena.project(node, 2);
        let forgot = arena.forget(node, &[false, true]);
        for p in points() {
            let mut wanted: Vec<Outcome> = (0..=TOPS[1]).flat_map(|c| at(&arena, node, [p[0], c, p[2]])).collect();
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(at(&arena, forgot, p), wanted);
            let mut wanted: Vec<Outcome> = (0..=TOPS[2]).flat_map(|c| at(&arena, node, [p[0], p[1], c])).collect();
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(at(&arena, flat, p), wanted);
        }
    }
}

#[test]
fn a_budget_ends_the_work() {
    let mut arena = Arena::new(TOPS.to_vec(), 3, usize::MAX);
    let (yes, no) = (arena.terminal(&[1]), arena.terminal(&[2]));
    let a = arena.choice(0, &[(0, 1), (3, 3)], yes, no);
    arena.choice(1, &[(0, 1), (3, 3)], a, no);
    assert!(arena.exceeded());
}
