//! What nobody knows changes no certain answer into another.
//!
//! Every fixture of the API and of CloudFormation is changed at one place at a time: a key gets a name that nobody knows, an object gets one
//! more key, a value becomes a word that nobody knows. What was certain may stay or become undecided, or the file is refused; it never
//! becomes certain the other way round. Templates are read as JSON and as YAML.

use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::lint::registry::{Subject, run};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::SourceFile;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Instant;

const NOBODY_KNOWS: &str = "Zyxwv";

/// The files of a fixture that are read together.
struct World {
    name: String,
    files: Vec<(String, String)>,
}

fn worlds() -> Vec<World> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws");
    let mut folders = vec![root.join("demo-site")];
    folders.extend(fs::read_dir(root.join("cases")).unwrap().map(|e| e.unwrap().path()));
    folders.sort();
    let read = |folder: &Path| {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "json"))
            .filter_map(|p| {
                let text = fs::read_to_string(&p).ok()?;
                Some((p.file_name().unwrap().to_string_lossy().into_owned(), text))
            })
            .filter(|(_, text)| !text.contains("terraform_version"))
            .collect();
        files.sort();
        World { name: folder.file_name().unwrap().to_string_lossy().into_owned(), files }
    };
    folders.iter().map(|f| read(f)).filter(|w| !w.files.is_empty()).collect()
}

/// The firewall of the files that are recognised, with a world beyond them or without; `None` if a file is refused, as it is when it is
/// named on the command line.
fn read(files: &[(String, String)], complete: bool) -> Option<Firewall> {
    let all = files.iter().map(|(n, t)| SourceFile::new(n.clone(), t.clone()));
    let known: Vec<_> = all.map(|f| Aws.detect(f.bytes()).map(|_| f)).collect::<Option<_>>()?;
    Some(Aws.read(&known, &ReadOptions { complete, ..ReadOptions::default() }))
}

fn packets() -> Vec<Packet> {
    let own = ["10.0.0.10", "10.1.0.5"];
    let mut out = Vec::new();
    for own in own {
        for peer in ["203.0.113.77", "10.0.9.7"] {
            for what in ["22", "443"] {
                out.push(format!("ingress tcp {peer}:4000 > {own}:{what}"));
            }
            out.push(format!("egress tcp {own}:4000 > {peer}:443"));
        }
    }
    out.push("ingress tcp [2001:db8:77::1]:4000 > [2001:db8:1::5]:22".to_owned());
    out.push("ingress udp 203.0.113.77:4000 > 10.0.0.10:53".to_owned());
    out.push("ingress icmp 203.0.113.77 > 10.0.0.10 type 8".to_owned());
    out.iter().filter_map(|p| p.parse().ok()).collect()
}

/// Groups that an interface may carry, as they are asked for.
fn labels(f: &Firewall) -> Vec<Option<Vec<String>>> {
    let single = f.labels.iter().take(2).map(|l| Some(vec![l.clone()]));
    std::iter::once(None).chain(single).collect()
}

type Verdicts = Vec<Vec<Verdict>>;

fn verdicts(f: &Firewall, labels: &[Option<Vec<String>>], packets: &[Packet]) -> Verdicts {
    let ask = |labels: &Option<Vec<String>>| {
        // The command line refuses to ask about a group that no file knows.
        let known = labels.iter().flatten().all(|l| f.labels.is_empty() || f.labels.contains(l));
        let environment = Environment { labels: labels.clone(), ..Environment::default() };
        let point = || Point { firewalls: std::slice::from_ref(&f), environment: &environment };
        packets
            .iter()
            .map(|p| if known { evaluate(point(), p).verdict } else { Verdict::Undecided })
            .collect()
    };
    labels.iter().map(ask).collect()
}

/// What is certainly open to the Internet, as the rules that say so, and whether anything is said to be undecided.
type Exposures = (Vec<String>, bool);

fn exposures(f: &Firewall) -> Exposures {
    let environment = Environment::default();
    let beside = [f];
    let subject = Subject::new(f, &beside, &environment, "cloud");
    let mut findings = Vec::new();
    run(&subject, &mut findings);
    let undecided = findings.iter().any(|f| f.rule == "HL-AWS-INTERNET-UNDECIDED");
    const NOT_SO: [&str; 3] = ["HL-AWS-INTERNET-UNDECIDED", "HL-AWS-INTERNET-REACH", "HL-AWS-INTERNET-CHAIN"];
    let open = findings.into_iter().map(|f| f.rule.to_string());
    let mut open: Vec<_> =
        open.filter(|r| r.starts_with("HL-AWS-INTERNET") && !NOT_SO.contains(&r.as_str())).collect();
    open.sort();
    (open, undecided)
}

/// Every place of a document at which something can be changed, and the change.
fn mutations(document: &Value) -> Vec<(String, Value)> {
    let mut pointers = Vec::new();
    walk(document, String::new(), &mut pointers);
    let mut out = Vec::new();
    for pointer in pointers {
        let at = document.pointer(&pointer).unwrap();
        let mut with = |what: &str, new: Value| {
            let mut changed = document.clone();
            *changed.pointer_mut(&pointer).unwrap() = new;
            out.push((format!("{what} at {pointer}"), changed));
        };
        match at {
            Value::Object(members) => {
                for added in [json!("word"), json!([{"a": 1}])] {
                    let mut more = members.clone();
                    more.insert(NOBODY_KNOWS.to_owned(), added);
                    with("one key more", Value::Object(more));
                }
                for key in members.keys() {
                    let renamed = members.iter().map(|(k, v)| {
                        (if k == key { format!("{key}{NOBODY_KNOWS}") } else { k.clone() }, v.clone())
                    });
                    with(&format!("{key} renamed"), Value::Object(renamed.collect()));
                }
            }
            Value::Array(_) => with("a word for a list", json!(NOBODY_KNOWS)),
            Value::Null => {}
            _ => with("another word", json!(NOBODY_KNOWS)),
        }
    }
    out
}

fn walk(v: &Value, at: String, out: &mut Vec<String>) {
    match v {
        Value::Object(members) => {
            for (k, m) in members {
                let k = k.replace('~', "~0").replace('/', "~1");
                walk(m, format!("{at}/{k}"), out);
            }
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(i, m)| walk(m, format!("{at}/{i}"), out)),
        _ => {}
    }
    out.push(at);
}

/// Changes of one file of a world that turn something certain round.
fn wrong(world: &World, number: usize, packets: &[Packet]) -> (usize, Vec<String>) {
    let document: Value = match serde_json::from_str(&world.files[number].1) {
        Ok(d) => d,
        Err(_) => return (0, Vec::new()),
    };
    let mutations = mutations(&document);
    let mut found = Vec::new();
    for complete in [false, true] {
        let before = read(&world.files, complete).expect("a fixture is recognised");
        let labels = labels(&before);
        // Exposures do not ask whether there is more than the files show.
        let exposed = (!complete).then(|| exposures(&before));
        let certain = verdicts(&before, &labels, packets);
        let each = mutations.par_iter().flat_map_iter(|(what, changed)| {
            let yaml = changed.get("Resources").map(|_| yaml(changed));
            let texts = [Some(changed.to_string()), yaml].into_iter().flatten();
            let found: Vec<String> = texts
                .filter_map(|text| {
                    let mut files = world.files.clone();
                    files[number].1 = text;
                    let after = read(&files, complete)?;
                    let differ = difference(&after, &labels, packets, &certain, exposed.as_ref())?;
                    Some(format!("{} {} complete={complete}: {what}: {differ}", world.name, files[number].0))
                })
                .collect();
            found
        });
        found.extend(each.collect::<Vec<_>>());
    }
    (2 * mutations.len(), found)
}

/// A template in YAML as people write it: blocks, and functions as tags.
fn yaml(v: &Value) -> String {
    let mut out = String::new();
    write_yaml(v, 0, &mut out);
    out
}

fn write_yaml(v: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match v {
        Value::Object(members) if members.len() == 1 && tag(members.keys().next().unwrap()).is_some() => {
            let (name, argument) = members.iter().next().unwrap();
            *out += &format!(" !{}", tag(name).unwrap());
            write_yaml(argument, depth, out);
        }
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                *out += &format!("\n{indent}{}:", json!(key));
                write_yaml(value, depth + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                *out += &format!("\n{indent}-");
                write_yaml(item, depth + 1, out);
            }
        }
        other => *out += &format!(" {other}"),
    }
}

// The short form of a function.
fn tag(name: &str) -> Option<&str> {
    if name == "Ref" { Some(name) } else { name.strip_prefix("Fn::").filter(|n| !n.contains(':')) }
}

fn difference(
    after: &Firewall,
    labels: &[Option<Vec<String>>],
    packets: &[Packet],
    certain: &Verdicts,
    exposed: Option<&Exposures>,
) -> Option<String> {
    for ((now, before), label) in verdicts(after, labels, packets).iter().zip(certain).zip(labels) {
        for ((a, b), packet) in now.iter().zip(before).zip(packets) {
            if a != b && *a != Verdict::Undecided && *b != Verdict::Undecided {
                return Some(format!("{label:?} {packet}: {b:?} became {a:?}"));
            }
        }
    }
    let exposed = exposed?;
    let (open, undecided) = exposures(after);
    let refused = after.diagnostics.iter().any(|d| d.severity == havenlint::source::Severity::Error);
    if !undecided && !exposed.1 && !refused && open != exposed.0 {
        return Some(format!("open was {:?}, is {open:?}", exposed.0));
    }
    None
}

#[test]
fn what_nobody_knows_turns_nothing_certain_round() {
    let started = Instant::now();
    let packets = packets();
    assert!(packets.len() >= 13, "{}", packets.len());
    let (mut count, mut bad) = (0, Vec::new());
    let worlds = worlds();
    for world in &worlds {
        for number in 0..world.files.len() {
            let (n, found) = wrong(world, number, &packets);
            count += n;
            bad.extend(found);
        }
    }
    println!("{count} changes of {} fixtures, {:?}", worlds.len(), started.elapsed());
    assert!(bad.is_empty(), "{} of {count} changes turn an answer round:\n{}", bad.len(), bad.join("\n"));
    assert!(count > 5_000, "only {count} changes were tried");
}
