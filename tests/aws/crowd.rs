//! Hundreds of groups and interfaces: what is decided about all of their addresses at once is what is decided about each packet.

#[path = "../../benches/generate/mod.rs"]
mod generate;

use generate::Numbers;
use havenlint::analysis::decide::{Kept, Part, Question, decide, decide_required};
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
        for (path, own_first) in [(Path::Ingress, false), (Path::Egress, true)] {
            let question =
                Question { point, path, region: Region::all(Family::V4), mark: 0, delivered_to: None };
            let answers = [decide(&question), decide_required(&question, &Kept::default())];
            let parts = answers.each_ref().map(|a| [&a.accepted, &a.denied, &a.undecided].map(Vec::len));
            assert!(answers.iter().all(|a| !a.exhausted));
            assert!(
                !own_first || parts[1][0] * 4 < parts[0][0],
                "rules that say the same are told together: {parts:?}"
            );
            let mut n = Numbers::new(41);
            let mut seen = [0; 3];
            for i in 0..2000 {
                // Mostly a point of the files, and a neighbour, a network of a rule, or the Internet.
                let own =
                    if i % 5 == 0 { n.address() } else { 172 << 24 | 16 << 16 | n.below(GROUPS as u32 + 9) };
                let peer = match n.below(3) {
                    0 => 172 << 24 | 16 << 16 | n.below(GROUPS as u32),
                    1 => 10 << 24 | n.below(1 << 24),
                    _ => n.address(),
                };
                let port = [22, 443, 20082, 8080][n.below(4) as usize];
                let (from, to) = if own_first { (own, peer) } else { (peer, own) };
                let way = if own_first { "egress" } else { "ingress" };
                let text =
                    format!("{way} tcp {}:40000 > {}:{port}", generate::dotted(from), generate::dotted(to));
                let packet: Packet = text.parse().expect("a packet");
                let at = match evaluate(point, &packet).verdict {
                    Verdict::Accept => 0,
                    Verdict::Drop => 1,
                    Verdict::Undecided => 2,
                };
                let mut expected = [0; 3];
                expected[at] = 1;
                for answer in &answers {
                    let holds = |list: &Vec<Part>| list.iter().filter(|p| p.region.contains(&packet)).count();
                    let in_list = [&answer.accepted, &answer.denied, &answer.undecided].map(holds);
                    assert_eq!(in_list, expected, "{packet}, complete: {complete}");
                }
                seen[at] += 1;
            }
            assert!(if own_first { seen[0] > 1000 } else { seen[0] > 15 && seen[1] > 50 }, "{seen:?}");
        }
    }
}
