//! Nothing in a configuration vanishes: an element of unknown name, one more of them anywhere, or an unknown word never turns a certain
//! verdict into a different certain one.
//!
//! Each configuration of the fixtures is changed in one place at a time, and asked for the packets that stand beside it and for packets at the
//! edges of what is configured. A verdict may stay, or become undecided.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::pfsense::Pfsense;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::SourceFile;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many changes of each kind are tried of each configuration at most, evenly spread.
const PER_KIND: usize = 36;
/// The same for the small ones of the checks, which are much alike.
const PER_KIND_OF_CHECKS: usize = 8;
/// So many packets are asked for at each change.
const PACKETS: usize = 32;

struct Case {
    name: String,
    text: String,
    packets: Vec<Packet>,
    before: Vec<Verdict>,
}

fn read(text: &str) -> Option<Firewall> {
    let file = SourceFile::new("config.xml", text.as_bytes().to_vec());
    Pfsense.detect(file.bytes())?;
    Some(Pfsense.read(&[file], &ReadOptions::default()))
}

fn verdicts(firewall: &Firewall, packets: &[Packet]) -> Vec<Verdict> {
    let environment = Environment::default();
    let point = Point { firewalls: &[firewall], environment: &environment };
    packets.iter().map(|p| evaluate(point, p).verdict).collect()
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pfsense");
    let mut found: Vec<PathBuf> = Vec::new();
    let mut work = vec![folder];
    while let Some(at) = work.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                work.push(path);
            } else if path.extension().is_some_and(|e| e == "xml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().map(|p| case(p)).collect()
}

fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let beside = std::fs::read_to_string(path.with_file_name("packets.txt")).unwrap_or_default();
    let mut words: Vec<String> = beside
        .lines()
        .map(|l| l.split('#').next().unwrap().trim().to_owned())
        .filter(|l| !l.starts_with('@'))
        .filter_map(|l| l.split_once(' ').map(|(_, p)| p.trim().to_owned()))
        .collect();
    // Every second of the written ones where they are many, and the edges.
    while words.len() > PACKETS / 2 {
        words = words.into_iter().step_by(2).collect();
    }
    words.extend(edges(&text));
    words.truncate(PACKETS);
    let packets: Vec<Packet> =
        words.iter().map(|w| w.parse().unwrap_or_else(|e| panic!("{w}: {e}"))).collect();
    let firewall = read(&text).expect("a configuration");
    let before = verdicts(&firewall, &packets);
    Case { name: path.display().to_string(), text, packets, before }
}

// Packets from and to the addresses of the box's interfaces and their neighbours.
fn edges(text: &str) -> Vec<String> {
    let doc = roxmltree::Document::parse(text).unwrap();
    let interfaces = doc.root_element().children().find(|n| n.has_tag_name("interfaces"));
    let keys: Vec<(&str, &str)> = interfaces
        .into_iter()
        .flat_map(|i| i.children().filter(|c| c.is_element()))
        .map(|i| {
            let own = i.children().find(|c| c.has_tag_name("ipaddr")).and_then(|a| a.text()).unwrap_or("");
            (
                i.tag_name().name(),
                if own.parse::<std::net::Ipv4Addr>().is_ok() { own } else { "198.51.100.77" },
            )
        })
        .filter(|(key, _)| *key != "lo0")
        .collect();
    let beside = |own: &str| {
        let [a, b, c, d] = own.parse::<std::net::Ipv4Addr>().unwrap().octets();
        format!("{a}.{b}.{c}.{}", if d == 9 { 10 } else { 9 })
    };
    let mut out = Vec::new();
    for (key, own) in &keys {
        out.push(format!("input {key} tcp {}:40000 > {own}:443", beside(own)));
        out.push(format!("input {key} tcp 192.0.2.200:40000 > {own}:22"));
        out.push(format!("input {key} udp 0.0.0.0:68 > 255.255.255.255:67"));
        for (other, to) in keys.iter().filter(|k| k.0 != *key).take(2) {
            out.push(format!("forward {key}>{other} tcp {}:40000 > {}:80", beside(own), beside(to)));
            out.push(format!("forward {key}>{other} udp {}:40000 > 192.0.2.53:53", beside(own)));
        }
        out.push(format!("output {key} tcp {own}:40000 > 192.0.2.80:443"));
    }
    out.push("forward lan>wan tcp [2001:db8:1::5]:40000 > [2001:db8:9::9]:443".to_owned());
    out.push("input wan icmp6 [fe80::1] > [ff02::1] type 134".to_owned());
    out
}

// A change of the text, and what it is.
struct Change {
    at: std::ops::Range<usize>,
    with: String,
    what: String,
}

impl Change {
    fn apply(&self, text: &str) -> String {
        format!("{}{}{}", &text[..self.at.start], self.with, &text[self.at.end..])
    }
}

fn renames(text: &str, doc: &roxmltree::Document<'_>) -> Vec<Change> {
    let elements = doc.descendants().filter(|n| n.is_element() && *n != doc.root_element());
    elements
        .map(|n| {
            let name = n.tag_name().name();
            let range = n.range();
            let whole = &text[range.clone()];
            let inner = &whole[1 + name.len()..];
            let with = match inner.strip_suffix(&format!("</{name}>")) {
                Some(inner) => format!("<unheardof{inner}</unheardof>"),
                None => format!("<unheardof{inner}"),
            };
            Change { at: range, with, what: format!("<{}> is renamed", path(n)) }
        })
        .collect()
}

fn additions(text: &str, doc: &roxmltree::Document<'_>) -> Vec<Change> {
    let elements = doc.descendants().filter(|n| n.is_element());
    elements
        .map(|n| {
            let range = n.range();
            let whole = &text[range.clone()];
            let name = n.tag_name().name();
            let added = "<unheardof>1</unheardof>";
            let what = format!("<unheardof> is added in <{}>", path(n));
            match whole.rfind("</") {
                Some(end) if !whole.ends_with("/>") => {
                    let at = range.start + end;
                    Change { at: at..at, with: added.to_owned(), what }
                }
                _ => Change { at: range, with: format!("<{name}>{added}</{name}>"), what },
            }
        })
        .collect()
}

// Each text with a meaning, be it a word, a number or an address.
fn values(doc: &roxmltree::Document<'_>) -> Vec<Change> {
    let leaves = doc.descendants().filter(|n| n.is_text() && n.text().is_some_and(|t| !t.trim().is_empty()));
    // What somebody chose to call something, a device or a tag, may be anything.
    let named = ["if", "tag", "tagged"];
    leaves
        .filter(|n| !named.contains(&n.parent_element().unwrap().tag_name().name()))
        .map(|n| {
            let parent = n.parent_element().unwrap();
            let what = format!("`{}` in <{}> is an unknown word", n.text().unwrap().trim(), path(parent));
            Change { at: n.range(), with: "unheardof".to_owned(), what }
        })
        .collect()
}

fn path(n: roxmltree::Node<'_, '_>) -> String {
    let mut names: Vec<_> = n.ancestors().filter(|a| a.is_element()).map(|a| a.tag_name().name()).collect();
    names.reverse();
    names[1.min(names.len() - 1)..].join("/")
}

// What a change made of the verdicts, where it made something certainly different of one that was certain.
fn flipped(case: &Case, change: &Change) -> Option<String> {
    let firewall = read(&change.apply(&case.text))?;
    let after = verdicts(&firewall, &case.packets);
    let at = case
        .before
        .iter()
        .zip(&after)
        .position(|(a, b)| *a != Verdict::Undecided && *b != Verdict::Undecided && a != b)?;
    let (from, to) = (case.before[at], after[at]);
    Some(format!("{}: {}: {} was {from:?}, is {to:?}", case.name, change.what, case.packets[at]))
}

#[test]
fn nothing_that_is_not_understood_changes_a_certain_verdict() {
    let cases = cases();
    let mut jobs = Vec::new();
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for case in &cases {
        let doc = roxmltree::Document::parse(&case.text).unwrap();
        for (kind, changes) in [
            ("renamed", renames(&case.text, &doc)),
            ("added", additions(&case.text, &doc)),
            ("values", values(&doc)),
        ] {
            let most = if case.name.contains("/lints/") { PER_KIND_OF_CHECKS } else { PER_KIND };
            let step = changes.len().div_ceil(most).max(1);
            kinds.insert(kind);
            jobs.extend(changes.into_iter().step_by(step).map(|c| (case, c)));
        }
    }
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            s.spawn(|| {
                while let Some((case, change)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(flip) = flipped(case, change) {
                        wrong.lock().unwrap().push(flip);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let certain: usize = cases.iter().flat_map(|c| &c.before).filter(|v| **v != Verdict::Undecided).count();
    println!("{} configurations, {} changes, {certain} certain verdicts", cases.len(), jobs.len());
    assert!(jobs.len() > 2_000 && certain > 1_000, "{} changes, {certain} certain verdicts", jobs.len());
    assert!(
        wrong.is_empty(),
        "{} of {} changes turn a verdict:\n{}",
        wrong.len(),
        jobs.len(),
        wrong.join("\n")
    );
}
