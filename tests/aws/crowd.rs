//! Hundreds of groups and interfaces: what is decided about all of their addresses at once is what is decided about each packet.

#[path = "../../benches/generate/mod.rs"]
mod generate;

use generate::Numbers;
use havenlint::analysis::decide::{Question, decide};
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::ReadOptions;
use havenlint::dialect::load::load;
use havenlint::packet::{Family, Packet, Path, Region};

const GROUPS: usize = 120;

#[test]
fn many_points_are_decided_as_each_of_them() {
    let kind = generate::KINDS.iter().find(|k| k.name == "aws/interfaces").expect("a kind");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in (kind.make)(GROUPS) {
        // The same address in two networks: whose group it carries is not certain.
        let text = text.replace("172.16.0.7\"", "172.16.0.5\"");
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    for complete in [false, true] {
        let options = ReadOptions { complete, ..ReadOptions::default() };
        let loaded = load(&[folder.path().to_owned()], &options, None);
        let firewalls: Vec<_> = loaded.firewalls.iter().collect();
        let environment = Environment::default();
        let point = Point { firewalls: &firewalls, environment: &environment };
        let question = Question {
            point,
            path: Path::Ingress,
            region: Region::all(Family::V4),
            mark: 0,
            delivered_to: None,
        };
        let answer = decide(&question);
        assert!(!answer.exhausted);
        let mut n = Numbers::new(41);
        let mut seen = [0; 3];
        for i in 0..4000 {
            // Mostly a point of the files, asked by a neighbour, a network of a rule, or the Internet.
            let to = if i % 5 == 0 { n.address() } else { 172 << 24 | 16 << 16 | n.below(GROUPS as u32 + 9) };
            let from = match n.below(3) {
                0 => 172 << 24 | 16 << 16 | n.below(GROUPS as u32),
                1 => 10 << 24 | n.below(1 << 24),
                _ => n.address(),
            };
            let port = [22, 443, 20082, 8080][n.below(4) as usize];
            let text =
                format!("ingress tcp {}:40000 > {}:{port}", generate::dotted(from), generate::dotted(to));
            let packet: Packet = text.parse().expect("a packet");
            let lists = [&answer.accepted, &answer.denied, &answer.undecided];
            let holds = |list: &&Vec<_>| {
                list.iter()
                    .filter(|p: &&havenlint::analysis::decide::Part| p.region.contains(&packet))
                    .count()
            };
            let in_list = lists.each_ref().map(holds);
            let verdict = evaluate(point, &packet).verdict;
            let at = match verdict {
                Verdict::Accept => 0,
                Verdict::Drop => 1,
                Verdict::Undecided => 2,
            };
            let mut expected = [0; 3];
            expected[at] = 1;
            assert_eq!(in_list, expected, "{packet}, complete: {complete}");
            seen[at] += 1;
        }
        assert!(seen[0] > 30 && seen[1] > 100, "{seen:?}");
    }
}
