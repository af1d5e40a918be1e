//! Terraform: what a reader does not know changes no certain answer into another, in states, plans and configurations.

use crate::common::{read, trace};
use havenlint::analysis::Verdict;
use havenlint::dialect::aws::Aws;
use havenlint::dialect::aws::inventory::Inventory;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::model::Firewall;
use havenlint::packet::Packet;
use havenlint::source::SourceFile;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn fixtures(extension: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut work = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aws")];
    while let Some(folder) = work.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                work.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                out.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

fn packets() -> Vec<Packet> {
    let mut out = Vec::new();
    let (inside, outside) = ("10.1.0.5", "203.0.113.7");
    for (peer, own) in [
        (outside, inside),
        ("10.0.9.7", inside),
        ("10.1.0.8", inside),
        ("198.51.100.9", inside),
        ("[2001:db8:9::1]", "[2001:db8::5]"),
    ] {
        for port in [22, 443, 5432, 8080] {
            out.push(format!("ingress tcp {peer}:40000 > {own}:{port}"));
            out.push(format!("egress tcp {own}:40000 > {peer}:{port}"));
        }
        out.push(format!("ingress gre {peer} > {own}"));
    }
    out.iter().map(|p| p.parse().unwrap_or_else(|e| panic!("{p}: {e}"))).collect()
}

fn groups(f: &Firewall) -> Vec<String> {
    let inventory: &Inventory = f.native.as_ref().unwrap().downcast_ref().unwrap();
    inventory.groups.iter().map(|g| g.id.clone()).collect()
}

fn verdicts(f: &Firewall, groups: &[String], packets: &[Packet]) -> Vec<Verdict> {
    let of = |g: &String| packets.iter().map(|p| trace(f, Some(&[g]), p).verdict).collect::<Vec<_>>();
    groups.iter().flat_map(of).chain(packets.iter().map(|p| trace(f, None, p).verdict)).collect()
}

// Every way to a place in a document.
fn places(v: &Value) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut work = vec![(String::new(), v)];
    while let Some((path, v)) = work.pop() {
        let children: Vec<(String, &Value)> = match v {
            Value::Object(o) => o.iter().map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v)).collect(),
            Value::Array(a) => a.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
            _ => Vec::new(),
        };
        for (step, child) in children {
            let path = format!("{path}/{step}");
            out.push(path.clone());
            work.push((path, child));
        }
    }
    out
}

// The document with a key of another name.
fn renamed(v: &Value, place: &str) -> Option<Value> {
    let (parent, key) = place.rsplit_once('/')?;
    let mut out = v.clone();
    let object = out.pointer_mut(parent)?.as_object_mut()?;
    let key = key.replace("~1", "/").replace("~0", "~");
    let value = object.remove(&key)?;
    object.insert(format!("{key}_of_2031"), value);
    Some(out)
}

fn with_more(v: &Value, place: &str, more: Value) -> Option<Value> {
    let mut out = v.clone();
    out.pointer_mut(place)?.as_object_mut()?.insert("from_2031".to_owned(), more);
    Some(out)
}

fn with_word(v: &Value, place: &str) -> Option<Value> {
    let mut out = v.clone();
    let at = out.pointer_mut(place)?;
    *at = at.is_string().then(|| Value::from("word-of-2031"))?;
    Some(out)
}

#[test]
fn what_nobody_knows_changes_no_certain_answer_into_another() {
    let packets = packets();
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (path, text) in fixtures("json").into_iter().filter(|(_, t)| t.contains("terraform_version")) {
        let document: Value = serde_json::from_str(&text).unwrap();
        let before = read(&[&text]);
        let groups = groups(&before);
        let certain = verdicts(&before, &groups, &packets);
        for place in places(&document) {
            let changed = [
                ("renamed", renamed(&document, &place)),
                ("a flag more", with_more(&document, &place, Value::from(true))),
                ("a list more", with_more(&document, &place, serde_json::json!(["0.0.0.0/0"]))),
                ("another word", with_word(&document, &place)),
            ];
            for (how, changed) in changed.into_iter().filter_map(|(h, c)| Some((h, c?))) {
                let changed = changed.to_string();
                // What is no longer recognised is an error, not an answer.
                if Aws.detect(changed.as_bytes()).is_none() {
                    continue;
                }
                tried += 1;
                let after = verdicts(&read(&[&changed]), &groups, &packets);
                let flips = certain
                    .iter()
                    .zip(&after)
                    .filter(|(a, b)| a != b && **a != Verdict::Undecided && **b != Verdict::Undecided);
                let n = flips.count();
                if n > 0 {
                    wrong.push(format!("{path}: {place} {how}: {n} flips"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 2000, "{tried}");
}

// Changes of a configuration: a name before `=` or `{`, or a text in quotes, becomes one that nobody knows; an argument more in a block.
fn changed_texts(text: &str, names: bool) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mut with = |from: usize, to: usize, new: &str| {
            let changed = format!("{}{new}{}", &text[..start + from], &text[start + to..]);
            out.push((format!("line {}: {new}", number + 1), changed));
        };
        let begin = line.len() - line.trim_start().len();
        let word =
            line[begin..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(begin, |n| begin + n);
        let named = line[word..].trim_start().starts_with(['=', '{', '"']);
        if names && word > begin && named {
            with(begin, word, &format!("{}_of_2031", &line[begin..word]));
        }
        if names && line.trim_end().ends_with('{') {
            let end = line.trim_end().len();
            with(end, end, "\n from_2031 = true");
            with(end, end, "\n from_2031 {\n cidr_blocks = [\"0.0.0.0/0\"]\n }");
        }
        let quotes: Vec<usize> = line.match_indices('"').map(|(at, _)| at).collect();
        for pair in quotes.chunks_exact(2) {
            with(pair[0], pair[1] + 1, "\"word-of-2031\"");
        }
        start += line.len();
    }
    out
}

#[test]
fn what_nobody_knows_in_a_configuration_changes_no_certain_answer_into_another() {
    let packets = packets();
    let all: Vec<(String, String)> = [fixtures("tf"), fixtures("tfvars")].concat();
    let mut folders: std::collections::BTreeMap<&str, Vec<&(String, String)>> = Default::default();
    for file in &all {
        let root = file.0.split("/modules/").next().unwrap();
        let root = if root == file.0 { file.0.rsplit_once('/').unwrap().0 } else { root };
        folders.entry(root).or_default().push(file);
    }
    let read = |files: &[&(String, String)], at: usize, text: &str| {
        let one = |(n, f): (usize, &&(String, String))| {
            SourceFile::new(f.0.clone(), if n == at { text } else { f.1.as_str() })
        };
        let sources: Vec<_> = files.iter().enumerate().map(one).collect();
        Aws.read(&sources, &ReadOptions::default())
    };
    let (mut tried, mut wrong) = (0, Vec::new());
    for files in folders.values() {
        let before = read(files, 0, &files[0].1);
        let groups = groups(&before);
        let certain = verdicts(&before, &groups, &packets);
        for (at, (path, text)) in files.iter().enumerate() {
            // A value for a variable that nobody declares is a warning of Terraform: the default counts.
            let names = path.ends_with(".tf");
            for (how, changed) in changed_texts(text, names) {
                // What is no longer recognised is an error, not an answer.
                if names && Aws.detect(changed.as_bytes()).is_none() {
                    continue;
                }
                tried += 1;
                let f = read(files, at, &changed);
                let after = verdicts(&f, &groups, &packets);
                // The command line refuses to ask about a group that no file knows.
                let known = groups.iter().map(|g| f.labels.contains(g)).chain([true]);
                let asked = known.flat_map(|known| std::iter::repeat_n(known, packets.len()));
                let flips = certain.iter().zip(&after).zip(asked).filter(|((a, b), asked)| {
                    *asked && a != b && **a != Verdict::Undecided && **b != Verdict::Undecided
                });
                let n = flips.count();
                if n > 0 {
                    wrong.push(format!("{path}: {how}: {n} flips"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 300, "{tried}");
}

// What the Internet gets at tcp/22 with some files in a folder. `named`: those that are given by name, with the folder's configuration.
fn with_values(files: &[(&str, &str)], named: &[&str]) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let main = "variable \"open\" {\n  default = \"10.0.0.0/8\"\n}\nresource \"aws_security_group\" \"a\" {\n  ingress {\n    from_port = 22\n    \
        to_port = 22\n    protocol = \"tcp\"\n    cidr_blocks = [var.open]\n  }\n}\n";
    for (name, text) in [("net/main.tf", main)].iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let first = if named.is_empty() { "net" } else { "net/main.tf" };
    let paths: Vec<_> = [first].iter().chain(named).map(|p| folder.path().join(p)).collect();
    let loaded = havenlint::dialect::load::load(&paths, &ReadOptions::default(), None);
    let [firewall] = loaded.firewalls.as_slice() else {
        panic!("{files:?}: {} firewalls", loaded.firewalls.len())
    };
    let packet: Packet = "ingress tcp 203.0.113.7:40000 > 10.1.0.5:22".parse().unwrap();
    trace(firewall, Some(&["aws_security_group.a"]), &packet).verdict
}

#[test]
fn the_last_file_of_values_has_the_last_word() {
    use Verdict::{Accept, Drop, Undecided};
    const OPEN: &str = "open = \"0.0.0.0/0\"\n";
    const CLOSED: &str = "open = \"10.1.0.0/16\"\n";
    const OPEN_JSON: &str = "{\"open\": \"0.0.0.0/0\"}\n";
    for (files, named, expected) in [
        (vec![], vec![], Drop),
        (vec![("net/terraform.tfvars", OPEN)], vec![], Accept),
        (vec![("net/terraform.tfvars.json", OPEN_JSON)], vec![], Accept),
        (vec![("net/a.auto.tfvars.json", OPEN_JSON)], vec![], Accept),
        (vec![("net/a.auto.tfvars", OPEN), ("net/terraform.tfvars", CLOSED)], vec![], Accept),
        (vec![("net/a.auto.tfvars", CLOSED), ("net/terraform.tfvars", OPEN)], vec![], Drop),
        (vec![("net/a.auto.tfvars", OPEN), ("net/b.auto.tfvars", CLOSED)], vec![], Drop),
        (vec![("net/a.auto.tfvars", CLOSED), ("net/b.auto.tfvars.json", OPEN_JSON)], vec![], Accept),
        (vec![("net/terraform.tfvars", CLOSED), ("net/terraform.tfvars.json", OPEN_JSON)], vec![], Accept),
        // What Terraform does not read of its own accord counts when it is named, wherever it lies.
        (vec![("net/prod.tfvars", OPEN)], vec![], Drop),
        (vec![("net/prod.tfvars", OPEN), ("net/z.auto.tfvars", CLOSED)], vec!["net/prod.tfvars"], Accept),
        (vec![("env/prod.tfvars", OPEN)], vec!["env/prod.tfvars"], Accept),
        (vec![("env/prod.tfvars.json", OPEN_JSON)], vec!["env/prod.tfvars.json"], Accept),
        (
            vec![("env/a.tfvars", OPEN), ("env/b.tfvars", CLOSED)],
            vec!["env/a.tfvars", "env/b.tfvars"],
            Undecided,
        ),
    ] {
        assert_eq!(with_values(&files, &named), expected, "{files:?}, named {named:?}");
    }
}
