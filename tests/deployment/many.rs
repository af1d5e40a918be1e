//! Machines that all talk to each other are asked about as sets: what is said of each pair must be what it would be if they were asked one by one.

use crate::{check, dump};
use havenlint::finding::{Flow, State};
use std::collections::BTreeSet;

const MACHINES: usize = 52;
const SITES: usize = 4;

fn address(i: usize) -> String {
    format!("10.{}.0.{}", i % SITES, 10 + i)
}

#[test]
fn of_many_machines_every_pair_has_its_own_answer() {
    let peers = |i: usize| (0..MACHINES).filter(move |j| j % SITES != i % SITES);
    // Machine i does not let in peer j, or not to it.
    let shut = |i: usize, j: usize| (i * 31 + j * 17).is_multiple_of(23);
    let mute = |i: usize, j: usize| (i * 13 + j * 29).is_multiple_of(41);
    let mut deployment = "catalogue = \"safehaven-4\"\n".to_owned();
    for s in 0..SITES {
        deployment += &format!("[[site]]\nname = \"s{s}\"\ntype = \"manual\"\n");
    }
    deployment += "[[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.200.0.1\"]\n";
    let mut files: Vec<(String, String)> = Vec::new();
    for i in 0..MACHINES {
        let nat = i % 10 == 3;
        deployment += &format!(
            "[[node]]\nname = \"srn-{i}\"\nrole = \"srn\"\nsite = \"s{}\"\nservice = [\"{}\"]\nfirewall = [\"srn-{i}.v4.rules\"]\n\
             interfaces = {{ eth0 = \"service\" }}\n",
            i % SITES,
            address(i)
        );
        let mut rules = vec![
            "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned(),
            "OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned(),
            "INPUT -s 10.200.0.1 -p tcp -m tcp --dport 20082 -j ACCEPT".to_owned(),
        ];
        for j in peers(i) {
            if !shut(i, j) {
                rules.push(format!("INPUT -s {} -p tcp -m tcp --dport 20082 -j ACCEPT", address(j)));
            }
            if !mute(i, j) {
                rules.push(format!("OUTPUT -d {} -p tcp -m tcp --dport 20082 -j ACCEPT", address(j)));
            }
        }
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        // Some have translations of their own, for somebody else: they are asked one by one.
        let head = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE\nCOMMIT\n";
        let text =
            if nat { head.to_owned() } else { String::new() } + &dump(["DROP", "DROP", "DROP"], &rules);
        files.push((format!("srn-{i}.v4.rules"), text));
    }
    let texts: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let report = check(&deployment, &texts);
    let rows: Vec<_> = report
        .requirements
        .iter()
        .filter(|r| r.id == "SH4-SRN-CLUSTER" && r.state != State::NotChecked)
        .collect();
    assert!(rows.len() < MACHINES * MACHINES, "{} rows: they are sets", rows.len());
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    let mut broken: BTreeSet<(String, String)> = BTreeSet::new();
    for r in &rows {
        assert!(matches!(r.state, State::Met | State::Violated), "{:?}", r.because);
        let single = |texts: &[String]| -> Vec<String> {
            // Neighbouring addresses are written as one prefix or range.
            (0..MACHINES).map(address).filter(|a| texts.iter().any(|t| holds(t, a))).collect()
        };
        let pairs = |f: &Flow| {
            let to = single(&f.to);
            single(&f.from)
                .into_iter()
                .flat_map(move |s| to.clone().into_iter().map(move |d| (s.clone(), d)))
                .collect::<Vec<_>>()
        };
        asked.extend(pairs(&r.flow));
        broken.extend(r.remainder.iter().flat_map(pairs));
    }
    for i in 0..MACHINES {
        for j in peers(i) {
            // From j to i.
            let pair = (address(j), address(i));
            assert!(asked.contains(&pair), "{pair:?} is asked");
            assert_eq!(broken.contains(&pair), shut(i, j) || mute(j, i), "{pair:?}");
        }
    }
    assert!(asked.iter().all(|(s, d)| s != d), "nobody is its own peer");
}

fn holds(text: &str, address: &str) -> bool {
    use havenlint::packet::addr;
    addr::parse(text).is_some_and(|set| addr::parse(address).is_some_and(|a| set.covers(&a)))
}
