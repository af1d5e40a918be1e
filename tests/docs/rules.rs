//! One page a rule, made from its documentation: what `havenlint explain` shows.

use super::{hold, pages, root};
use havenlint::catalogue::controls::{names, patterns};
use havenlint::catalogue::{self, BUILT_IN};
use havenlint::finding::RuleDoc;
use havenlint::report::control_name;
use havenlint::session::all_rules;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const NOTE: &str =
    "<!-- Generated from the rule's own documentation: HAVENLINT_BLESS=1 cargo test --test docs -->";

#[test]
fn every_rule_has_its_page() {
    let sections = sections();
    let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (_, rules) in &sections {
        wanted.extend(rules.iter().map(|r| (page(&r.id), write_page(r))));
    }
    wanted.insert(PathBuf::from("rules/index.md"), write_index(&sections));
    for (path, text) in &wanted {
        hold(&Path::new("docs/src").join(path), text);
    }
    // A rule that is gone takes its page along.
    for old in pages().into_iter().filter(|p| p.starts_with("rules") && !wanted.contains_key(p)) {
        match std::env::var_os("HAVENLINT_BLESS") {
            Some(_) => fs::remove_file(root().join("docs/src").join(&old)).unwrap(),
            None => panic!("{} is the page of no rule", old.display()),
        }
    }
    let summary = Path::new("docs/src/SUMMARY.md");
    hold(summary, &write_summary(&fs::read_to_string(root().join(summary)).unwrap(), &sections));
}

#[test]
fn standards_are_mapped_to_rules_that_exist() {
    let all: Vec<RuleDoc> = sections().into_iter().flat_map(|(_, rules)| rules).collect();
    for pattern in patterns() {
        assert!(all.iter().any(|r| names(pattern, &r.id)), "rules/controls.toml: {pattern} is no rule");
    }
    for r in &all {
        let mapped = !r.controls.is_empty();
        assert!(
            mapped || r.security_severity.is_none() && r.kind != "requirement",
            "{} gives evidence for nothing",
            r.id
        );
        assert!(root().join(&r.page).is_file(), "{}: {}", r.id, r.page);
    }
}

// All rules by the heading that they stand under.
fn sections() -> Vec<(String, Vec<RuleDoc>)> {
    let mut out: Vec<(String, Vec<RuleDoc>)> = Vec::new();
    let mut checks = Vec::new();
    for (i, (name, _)) in BUILT_IN.iter().enumerate().filter(|(_, b)| b.0 != catalogue::NONE) {
        let catalogue = catalogue::open(name, Path::new(""));
        let (requirements, others): (Vec<_>, Vec<_>) =
            all_rules(&catalogue).into_iter().partition(|r| r.kind == "requirement");
        if i == 0 {
            checks = others;
        }
        out.push((format!("{} (`{name}`)", catalogue.title), requirements));
    }
    let kinds = [
        ("nftables", "HL-NFT-"),
        ("pfSense and OPNsense", "HL-PF-"),
        ("AWS", "HL-AWS-"),
        ("All dialects", "HL-"),
    ];
    let mut groups: Vec<(String, Vec<RuleDoc>)> = Vec::new();
    for (title, prefix) in kinds {
        let (mine, rest) = checks.into_iter().partition(|r: &RuleDoc| r.id.starts_with(prefix));
        checks = rest;
        groups.push((format!("Checks: {title}"), mine));
    }
    assert!(checks.is_empty(), "checks begin with HL-");
    groups.rotate_right(1);
    groups.extend(out);
    groups
}

fn page(id: &str) -> PathBuf {
    PathBuf::from(format!("rules/{id}.md"))
}

fn write_page(r: &RuleDoc) -> String {
    let mut out = format!("{NOTE}\n# {}\n\n**{}**\n\n", r.id, sentence(&r.summary));
    let mut facts = vec![("level", r.level.name().to_owned())];
    facts.extend(r.security_severity.map(|s| ("security severity", format!("{s:.1} of 10"))));
    facts.push(("name", r.name.clone()));
    if !r.tags.is_empty() {
        facts.push(("tags", r.tags.join(", ")));
    }
    if !r.source.is_empty() {
        facts.push(("source", r.source.clone()));
    }
    if !r.controls.is_empty() {
        let items: Vec<_> = r.controls.iter().map(|c| format!("{}: {}", control_name(c), c.title)).collect();
        facts.push(("evidence for", items.join("<br>")));
    }
    out += "| | |\n|---|---|\n";
    for (word, text) in facts {
        let _ = writeln!(out, "| {word} | {} |", text.replace('|', "\\|"));
    }
    // A requirement's documentation begins with its title.
    let text = r.documentation.trim();
    out + "\n" + text.strip_prefix(&sentence(&r.summary)).unwrap_or(text).trim_start() + "\n"
}

fn write_index(sections: &[(String, Vec<RuleDoc>)]) -> String {
    let mut out = format!(
        "{NOTE}\n# Rules\n\n`havenlint explain ID` shows the same pages. A *check* looks at the firewall itself; a *requirement* belongs to a \
         catalogue.\n`--select` and `--ignore` take ids and prefixes: `HL-AWS`, `SH4-NET`.\n"
    );
    for (title, rules) in sections {
        let _ = write!(out, "\n## {title}\n\n| rule | level | what it reports |\n|---|---|---|\n");
        for r in rules {
            let _ = writeln!(
                out,
                "| [{0}]({0}.md) | {1} | {2} |",
                r.id,
                r.level.name(),
                r.summary.replace('|', "\\|")
            );
        }
    }
    out
}

// The table of contents with all pages of rules below the index.
fn write_summary(old: &str, sections: &[(String, Vec<RuleDoc>)]) -> String {
    let mut out = String::new();
    for line in old.lines().filter(|l| !l.contains("](rules/") || l.contains("](rules/index.md)")) {
        let _ = writeln!(out, "{line}");
        if line.contains("](rules/index.md)") {
            for r in sections.iter().flat_map(|(_, rules)| rules) {
                let _ = writeln!(out, "    - [{0}](rules/{0}.md)", r.id);
            }
        }
    }
    out
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}
