//! What two sequences have in common, in order.

use rustc_hash::FxHashMap;

/// Two sequences: their lengths, whether an item of the first is one of the second, and a hash that is equal for such items.
pub(super) struct Sequence<'s> {
    pub lengths: [usize; 2],
    pub same: &'s dyn Fn(u32, u32) -> bool,
    pub hash: &'s dyn Fn(usize, u32) -> u64,
}

// Two stretches with no item that occurs once in each are compared item by item, if they have at most so many pairs.
const MAX_PAIRS: usize = 1 << 20;

/// Tells pairs of common items, in order. Common beginnings and ends first; between them, items that occur once on each side are the fixed
/// points (patience diff), so that a long list with few edits costs little more than reading it. What is found is common, but it
/// need not be the longest.
pub(super) fn align(s: &Sequence<'_>, found: &mut dyn FnMut(u32, u32)) {
    enum Task {
        Range([(u32, u32); 2]),
        Run(u32, u32, u32),
    }
    let whole = [(0, s.lengths[0] as u32), (0, s.lengths[1] as u32)];
    // Tasks from the last to the first, so that pairs come in order.
    let mut work = vec![Task::Range(whole)];
    while let Some(task) = work.pop() {
        let [(mut a, mut a_end), (mut b, mut b_end)] = match task {
            Task::Run(a, b, n) => {
                (0..n).for_each(|k| found(a + k, b + k));
                continue;
            }
            Task::Range(r) => r,
        };
        while a < a_end && b < b_end && (s.same)(a, b) {
            found(a, b);
            (a, b) = (a + 1, b + 1);
        }
        let mut tail = 0;
        while a < a_end && b < b_end && (s.same)(a_end - 1, b_end - 1) {
            (a_end, b_end, tail) = (a_end - 1, b_end - 1, tail + 1);
        }
        if tail > 0 {
            work.push(Task::Run(a_end, b_end, tail));
        }
        if a == a_end || b == b_end {
            continue;
        }
        let anchors = anchors(s, [(a, a_end), (b, b_end)]);
        if anchors.is_empty() {
            let pairs = (a_end - a) as usize * (b_end - b) as usize;
            if pairs <= MAX_PAIRS {
                longest(s, [(a, a_end), (b, b_end)], found);
            }
            continue;
        }
        let mut end = (a_end, b_end);
        for (i, j) in anchors.into_iter().rev() {
            work.push(Task::Range([(i + 1, end.0), (j + 1, end.1)]));
            work.push(Task::Run(i, j, 1));
            end = (i, j);
        }
        work.push(Task::Range([(a, end.0), (b, end.1)]));
    }
}

// Items that occur once in each stretch, as many as keep their order.
fn anchors(s: &Sequence<'_>, [(a, a_end), (b, b_end)]: [(u32, u32); 2]) -> Vec<(u32, u32)> {
    const MANY: u32 = u32::MAX;
    let mut places: FxHashMap<u64, [u32; 2]> = FxHashMap::default();
    // Places are kept plus one; 0 = nowhere.
    for (side, range) in [(0, a..a_end), (1, b..b_end)] {
        for i in range {
            let at = &mut places.entry((s.hash)(side, i)).or_default()[side];
            *at = if *at == 0 { i + 1 } else { MANY };
        }
    }
    let once = |p: &[u32; 2]| p.iter().all(|at| *at != 0 && *at != MANY);
    let mut pairs: Vec<(u32, u32)> =
        places.values().filter(|p| once(p)).map(|p| (p[0] - 1, p[1] - 1)).collect();
    pairs.sort_unstable();
    pairs.retain(|(i, j)| (s.same)(*i, *j));
    increasing(&pairs)
}

// The longest run of pairs whose second parts increase too.
fn increasing(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    // For each length, the pair with the lowest second part that ends a run of it; and what stands before each pair.
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (k, pair) in pairs.iter().enumerate() {
        let n = tops.partition_point(|t| pairs[*t].1 < pair.1);
        before.push(n.checked_sub(1).map(|n| tops[n]));
        if n == tops.len() {
            tops.push(k);
        } else {
            tops[n] = k;
        }
    }
    let mut out = Vec::with_capacity(tops.len());
    let mut at = tops.last().copied();
    while let Some(k) = at {
        out.push(pairs[k]);
        at = before[k];
    }
    out.reverse();
    out
}

// The longest common subsequence, by the table of all pairs.
fn longest(s: &Sequence<'_>, [(a, a_end), (b, b_end)]: [(u32, u32); 2], found: &mut dyn FnMut(u32, u32)) {
    let (n, m) = ((a_end - a) as usize, (b_end - b) as usize);
    let hashes =
        [(0, a..a_end), (1, b..b_end)].map(|(side, r)| r.map(|i| (s.hash)(side, i)).collect::<Vec<_>>());
    let same = |i: usize, j: usize| hashes[0][i] == hashes[1][j] && (s.same)(a + i as u32, b + j as u32);
    let width = m + 1;
    let mut best = vec![0u32; (n + 1) * width];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            best[i * width + j] = if same(i, j) {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < n && j < m {
        if same(i, j) {
            found(a + i as u32, b + j as u32);
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn common(a: &[u8], b: &[u8]) -> Vec<(u32, u32)> {
        let same = |i: u32, j: u32| a[i as usize] == b[j as usize];
        let hash = |side: usize, i: u32| u64::from([a, b][side][i as usize]);
        let mut out = Vec::new();
        align(&Sequence { lengths: [a.len(), b.len()], same: &same, hash: &hash }, &mut |i, j| {
            out.push((i, j))
        });
        out
    }

    proptest! {
        #[test]
        fn pairs_are_equal_and_in_order(
            a in prop::collection::vec(0u8..12, 0..20),
            b in prop::collection::vec(0u8..12, 0..20),
        ) {
            let pairs = common(&a, &b);
            prop_assert!(pairs.iter().all(|(i, j)| a[*i as usize] == b[*j as usize]));
            prop_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
        }
    }

    #[test]
    fn an_edit_leaves_the_rest_common() {
        let a: Vec<u8> = (0..100).collect();
        assert_eq!(common(&a, &a).len(), 100);
        let mut b = a.clone();
        b.remove(50);
        b.insert(10, 200);
        assert_eq!(common(&a, &b).len(), 99);
        let mut moved = a.clone();
        let item = moved.remove(90);
        moved.insert(3, item);
        assert_eq!(common(&a, &moved).len(), 99);
        assert_eq!(common(b"aabbaab", b"abab").len(), 4);
        assert_eq!(common(b"", b"ab"), []);
    }
}
