//! Rulesets of nft, as text and as JSON.

use super::{Numbers, dotted};
use std::fmt::Write as _;

// A rule: source with the length of its prefix, port, verdict.
fn rules(count: usize) -> impl Iterator<Item = (String, u32, u32, &'static str)> {
    let mut n = Numbers::new(23);
    (0..count).map(move |_| {
        let (a, length) = n.prefix();
        (dotted(a), length, n.port(), if n.one_in(10) { "drop" } else { "accept" })
    })
}

/// As `nft list ruleset` prints it.
pub fn text(count: usize) -> String {
    let mut out = String::from(
        "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tiifname \"lo\" accept\n\t\tct state established,related accept\n",
    );
    for (a, length, port, verdict) in rules(count) {
        let _ = writeln!(out, "\t\tip saddr {a}/{length} tcp dport {port} {verdict}");
    }
    out + "\t}\n}\n"
}

/// As `nft -j list ruleset` prints it, or on many lines.
pub fn json(count: usize, indented: bool) -> String {
    let matches =
        |left: &str, right: &str| format!(r#"{{"match": {{"op": "==", "left": {left}, "right": {right}}}}}"#);
    let payload = |p: &str, f: &str| format!(r#"{{"payload": {{"protocol": "{p}", "field": "{f}"}}}}"#);
    let mut objects = vec![
        r#"{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}"#.to_owned(),
        r#"{"table": {"family": "inet", "name": "filter", "handle": 1}}"#.to_owned(),
        r#"{"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}"#.to_owned(),
    ];
    let lo = matches(r#"{"meta": {"key": "iifname"}}"#, "\"lo\"");
    let mut bodies = vec![format!(r#"{lo}, {{"accept": null}}"#)];
    for (a, length, port, verdict) in rules(count) {
        let source = match length {
            32 => format!("\"{a}\""),
            _ => format!(r#"{{"prefix": {{"addr": "{a}", "len": {length}}}}}"#),
        };
        let (source, port) =
            (matches(&payload("ip", "saddr"), &source), matches(&payload("tcp", "dport"), &port.to_string()));
        bodies.push(format!(r#"{source}, {port}, {{"{verdict}": null}}"#));
    }
    objects.extend(bodies.iter().enumerate().map(|(n, body)| {
        format!(
            r#"{{"rule": {{"family": "inet", "table": "filter", "chain": "input", "handle": {}, "expr": [{body}]}}}}"#,
            n + 2
        )
    }));
    let between = if indented { ",\n  " } else { ", " };
    format!("{{\"nftables\": [{}]}}\n", objects.join(between))
}
