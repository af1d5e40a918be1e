//! Waivers: findings that somebody has decided to live with, in the deployment file or beside the rule.

use crate::deployment::{Deployment, InlineWaivers, WaivedFlow, Waiver};
use crate::finding::{Finding, Flow, RuleDoc, Severity, Waived};
use crate::lint::registry::builtin_doc;
use crate::packet::{IntervalSet, addr, proto};
use crate::source::{Location, SourceFile};
use globset::Glob;
use jiff::civil::Date;
use memchr::memmem;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Id of findings about waivers that have expired.
pub const EXPIRED: &str = "HL-WAIVER-EXPIRED";
/// Id of findings about waivers that match nothing.
pub const UNUSED: &str = "HL-WAIVER-UNUSED";

/// Documentation of the rules about waivers.
pub fn docs() -> Vec<RuleDoc> {
    vec![
        builtin_doc(
            EXPIRED,
            "WaiverExpired",
            "a waiver has expired",
            Severity::Warning,
            "## What it does\nReports a waiver whose last day has passed. The finding that it covered counts again.\n\n## Why is this bad?\nA waiver is a promise to look \
             again. Nobody has.\n\n## Example\n```toml\n[[waiver]]\nrule = \"HL-ANY-ANY\"\nreason = \"until the migration is over\"\nexpires = 2024-06-30\n```\n\n## \
             Use instead\nFix the finding, or decide again and write a new date.",
        ),
        builtin_doc(
            UNUSED,
            "WaiverUnused",
            "a waiver matches no finding",
            Severity::Note,
            "## What it does\nReports a waiver in the deployment file that no finding of the run matches.\n\n## Why is this bad?\nEither the problem is gone, and the waiver would \
             hide it when it comes back, or the waiver was never right.\n\n## Example\nA waiver for `node = \"cms-1\"` when the finding is about `cms-2`.\n\n## Use \
             instead\nDelete the waiver.",
        ),
    ]
}

/// Takes waived findings out of the list; adds findings about the waivers themselves.
///
/// What day it is, is asked only where a waiver expires: to know it, the time zone has to be looked up.
pub fn apply(
    findings: &mut Vec<Finding>,
    deployment: Option<&Deployment>,
    sources: &[Arc<SourceFile>],
    today: &dyn Fn() -> Date,
    flow_of: &dyn Fn(&Finding) -> Vec<Flow>,
) -> Vec<Waived> {
    let mut waived = Vec::new();
    let waivers: &[Waiver] = deployment.map_or(&[], |d| &d.waivers);
    let mut used = vec![false; waivers.len()];
    let files = Files::of(sources);
    let in_force = deployment.map_or(&InlineWaivers::All, |d| &d.inline_waivers);
    let all = std::mem::take(findings);
    for mut f in all {
        if let Some(Inline { reason, owner }) = inline(&f, &files) {
            match refused(in_force, &f, &owner) {
                None => {
                    waived.push(Waived { finding: f, reason, owner, expires: String::new() });
                    continue;
                }
                Some(why) => f
                    .details
                    .push(("waiver".to_owned(), format!("the one beside the rule is not in force: {why}"))),
            }
        }
        let matching = waivers.iter().enumerate().find(|(_, w)| matches(w, &f, flow_of));
        match matching {
            Some((i, w)) => {
                used[i] = true;
                if w.expires.is_some_and(|e| e < today()) {
                    findings.push(f);
                    continue;
                }
                waived.push(Waived {
                    finding: f,
                    reason: w.reason.clone(),
                    owner: w.owner.clone(),
                    expires: w.expires.map(|e| e.to_string()).unwrap_or_default(),
                });
            }
            None => findings.push(f),
        }
    }
    if let Some((deployment, file)) = deployment.and_then(|d| Some((d, d.file.as_ref()?))) {
        for (w, used) in deployment.waivers.iter().zip(used) {
            let place = file.locate(w.origin.start as usize, w.origin.end as usize);
            match w.expires.filter(|e| *e < today()) {
                Some(e) => {
                    findings.push(about(
                        EXPIRED,
                        Severity::Warning,
                        format!("the waiver of {} expired on {e}", w.rule),
                        place,
                    ));
                }
                None if !used => {
                    findings.push(about(
                        UNUSED,
                        Severity::Note,
                        format!("the waiver of {} matches no finding", w.rule),
                        place,
                    ));
                }
                None => {}
            }
        }
    }
    waived
}

// Why a waiver beside a rule is not in force.
fn refused(in_force: &InlineWaivers, f: &Finding, owner: &str) -> Option<&'static str> {
    match in_force {
        InlineWaivers::All => None,
        InlineWaivers::None => Some("the deployment file allows none"),
        InlineWaivers::WithOwner if owner.is_empty() => {
            Some("the deployment file wants to know who answers for it: write owner=NAME")
        }
        InlineWaivers::WithOwner => None,
        InlineWaivers::Of(rules) if rules.iter().any(|r| f.rule.starts_with(r.as_str())) => None,
        InlineWaivers::Of(_) => Some("the deployment file allows none of this rule"),
    }
}

fn about(rule: &str, level: Severity, message: String, location: Location) -> Finding {
    Finding::new(rule, level, message, location, "this waiver")
}

fn matches(w: &Waiver, f: &Finding, flow_of: &dyn Fn(&Finding) -> Vec<Flow>) -> bool {
    let here = w.rule == f.rule
        && w.node.as_ref().is_none_or(|n| *n == f.subject)
        && w.path.as_ref().is_none_or(|p| {
            f.location.path == *p
                || Glob::new(p).is_ok_and(|g| g.compile_matcher().is_match(&f.location.path))
                || f.location.path.ends_with(&format!("/{p}"))
        });
    // A waiver of a flow covers a finding only if it covers every flow that the finding is about.
    here && w.flow.as_ref().is_none_or(|limit| {
        let flows = flow_of(f);
        !flows.is_empty() && flows.iter().all(|flow| within(flow, limit))
    })
}

fn within(flow: &Flow, limit: &WaivedFlow) -> bool {
    let addresses = |texts: &[String], limit: &Option<IntervalSet>| {
        limit.as_ref().is_none_or(|l| texts.iter().all(|t| addr::parse(t).is_some_and(|s| l.covers(&s))))
    };
    let ports = |l: &IntervalSet| {
        !flow.port.is_empty()
            && flow.port.split(',').all(|p| {
                let (a, b) = p.split_once('-').unwrap_or((p, p));
                matches!((a.parse::<u16>(), b.parse::<u16>()), (Ok(a), Ok(b)) if l.covers(&IntervalSet::range(a, b)))
            })
    };
    addresses(&flow.from, &limit.from)
        && addresses(&flow.to, &limit.to)
        && limit.proto.is_none_or(|p| proto::parse(&flow.proto) == Some(p))
        && limit.ports.as_ref().is_none_or(ports)
}

// The files in which waivers may stand beside rules, by name: most have none, and then nothing of them is read.
struct Files<'a>(FxHashMap<&'a str, &'a SourceFile>);

impl<'a> Files<'a> {
    fn of(sources: &'a [Arc<SourceFile>]) -> Self {
        let waives = |s: &&Arc<SourceFile>| {
            // Documents have no comments: what is text there is somebody's name, tag or value.
            !is_document(s.bytes()) && memmem::find(s.bytes(), b"havenlint:").is_some()
        };
        Self(sources.iter().filter(waives).map(|s| (s.path.as_str(), &**s)).collect())
    }
}

// A waiver beside a rule.
struct Inline {
    reason: String,
    owner: String,
}

const OWNER: &str = "owner=";

// A rule that goes over more lines than this is not looked through for its comment.
const MAX_LINES: usize = 64;

// `# havenlint: allow ID reason` on the line above, or `havenlint:allow=ID` in the comment or description of the very rule that the finding is
// about. What stands elsewhere on its line belongs to a neighbour. `owner=NAME` behind the ID says who answers for it.
fn inline(f: &Finding, files: &Files<'_>) -> Option<Inline> {
    const BESIDE: &str = "allowed beside the rule";
    let beside = |owner| Inline { reason: BESIDE.to_owned(), owner };
    if let Some(owner) = f.location.rule.as_ref().and_then(|r| allows(&r.description, &f.rule)) {
        return Some(beside(owner));
    }
    let file = files.0.get(f.location.path.as_str())?;
    let (own, behind) = own_text(f, file)?;
    let after = behind.split_once('#').map(|(_, comment)| comment);
    if let Some(owner) = comments(&own).into_iter().chain(after).find_map(|c| allows(c, &f.rule)) {
        return Some(beside(owner));
    }
    let above = file.text(file.line_range((f.location.line as usize).checked_sub(2)?)).into_owned();
    let above = above.trim_start();
    let comment = above.strip_prefix('#').or_else(|| above.strip_prefix("//"))?;
    let mut words = comment
        .trim_start()
        .strip_prefix("havenlint:")?
        .trim_start()
        .strip_prefix("allow")?
        .split_whitespace();
    (words.next()? == f.rule).then(|| {
        let (owner, reason): (Vec<&str>, Vec<&str>) = words.partition(|w| w.starts_with(OWNER));
        let reason = if reason.is_empty() { BESIDE.to_owned() } else { reason.join(" ") };
        Inline { reason, owner: owner.first().map_or_else(String::new, |w| w[OWNER.len()..].to_owned()) }
    })
}

// JSON and XML.
fn is_document(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b));
    matches!(first, Some(b'{' | b'[' | b'<'))
}

// Whether a comment allows a rule; who answers for it.
fn allows(comment: &str, rule: &str) -> Option<String> {
    let mut ids = comment.split("havenlint:allow=").skip(1);
    ids.find_map(|rest| {
        let id = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next();
        let owner = rest.split_whitespace().find_map(|w| w.strip_prefix(OWNER)).unwrap_or_default();
        (id == Some(rule)).then(|| owner.to_owned())
    })
}

// The text of the place itself, and what stands behind it on its last line.
fn own_text(f: &Finding, file: &SourceFile) -> Option<(String, String)> {
    let (first, last) =
        (f.location.line.checked_sub(1)? as usize, f.location.end_line.checked_sub(1)? as usize);
    if last < first || last - first >= MAX_LINES {
        return None;
    }
    let columns = |n: u32| (n as usize).saturating_sub(1);
    let end: String = file.text(file.line_range(last)).into_owned();
    let behind = end.chars().skip(columns(f.location.end_column)).collect();
    let mut own = String::new();
    for line in first..=last {
        let text = file.text(file.line_range(line));
        let from = if line == first { columns(f.location.column) } else { 0 };
        let to = if line == last { columns(f.location.end_column) } else { usize::MAX };
        own.extend(text.chars().take(to).skip(from));
        own.push('\n');
    }
    Some((own, behind))
}

// The comments in a rule: `comment "…"`, `--comment …`.
fn comments(rule: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = rule;
    while let Some(at) = rest.find("comment") {
        let word = rest[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '-');
        rest = &rest[at + "comment".len()..];
        let text = rest.trim_start();
        // `-m comment` names the match; its text follows the option.
        if !word || text.len() == rest.len() || text.starts_with('-') {
            continue;
        }
        let (inside, read) = match text.strip_prefix(['"', '\'']) {
            Some(quoted) => {
                let inside = quoted.split(&text[..1]).next().unwrap_or_default();
                (inside, 1 + inside.len())
            }
            None => {
                let inside = text.split_whitespace().next().unwrap_or_default();
                (inside, inside.len())
            }
        };
        out.push(inside);
        // Words within a comment are no further ones.
        rest = &text[read..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waived(text: &str, place: &str, rule: &str) -> bool {
        let file = SourceFile::new("f", text);
        let start = text.find(place).unwrap();
        let location = file.locate(start, start + place.len());
        let finding = Finding::new(rule, Severity::Error, String::new(), location, "");
        inline(&finding, &Files::of(&[file])).is_some()
    }

    #[test]
    fn a_waiver_counts_in_a_comment_of_its_own_rule_only() {
        for (text, place, expected) in [
            ("-A INPUT -m comment --comment \"x havenlint:allow=HL-X\" -j ACCEPT", "", true),
            ("-A INPUT -m comment --comment havenlint:allow=HL-X -j ACCEPT", "", true),
            ("-A INPUT -j LOG --log-prefix \"havenlint:allow=HL-X\"", "", false),
            ("-A INPUT -m set --match-set havenlint:allow=HL-X src -j ACCEPT", "", false),
            ("-A INPUT -m comment --comment \"havenlint:allow=HL-XY\" -j ACCEPT", "", false),
            ("drop comment \"havenlint:allow=HL-X\"; accept;", "accept", false),
            ("drop comment \"havenlint:allow=HL-X\"; accept;", "drop comment \"havenlint:allow=HL-X\"", true),
            ("accept # havenlint:allow=HL-X", "accept", true),
            ("# havenlint: allow HL-X because\naccept", "accept", true),
            ("  // havenlint: allow HL-X\naccept", "accept", true),
            ("# havenlint: allow HL-Y\naccept", "accept", false),
            ("# havenlint: allow HL-X\n\naccept", "accept", false),
            ("{\"a\": \"havenlint:allow=HL-X\"}", "", false),
        ] {
            let place = if place.is_empty() { text } else { place };
            assert_eq!(waived(text, place, "HL-X"), expected, "{text}");
        }
    }
}
