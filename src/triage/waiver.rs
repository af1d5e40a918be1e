//! Waivers: findings that somebody has decided to live with, in the deployment file or beside the rule.

use crate::deployment::{Deployment, WaivedFlow, Waiver};
use crate::finding::{Finding, Flow, RuleDoc, Severity, Waived};
use crate::lint::registry::builtin_doc;
use crate::packet::{IntervalSet, addr, proto};
use crate::source::{Location, SourceFile};
use globset::Glob;
use jiff::civil::Date;
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
pub fn apply(
    findings: &mut Vec<Finding>,
    deployment: Option<&Deployment>,
    sources: &[Arc<SourceFile>],
    today: Date,
    flow_of: &dyn Fn(&Finding) -> Vec<Flow>,
) -> Vec<Waived> {
    let mut waived = Vec::new();
    let waivers: &[Waiver] = deployment.map_or(&[], |d| &d.waivers);
    let mut used = vec![false; waivers.len()];
    let all = std::mem::take(findings);
    for f in all {
        if let Some(reason) = inline(&f, sources) {
            waived.push(Waived { finding: f, reason, owner: String::new(), expires: String::new() });
            continue;
        }
        let matching = waivers.iter().enumerate().find(|(_, w)| matches(w, &f, flow_of));
        match matching {
            Some((i, w)) => {
                used[i] = true;
                if w.expires.is_some_and(|e| e < today) {
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
            match w.expires.filter(|e| *e < today) {
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

// A line longer than this, in bytes, holds more than one rule.
const LONG_LINE: usize = 4096;

// `# havenlint: allow ID reason` on the line above, or `havenlint:allow=ID` in the rule itself or its description. Gives the reason.
fn inline(f: &Finding, sources: &[Arc<SourceFile>]) -> Option<String> {
    let file = sources.iter().find(|s| s.path == f.location.path)?;
    let line = f.location.line.checked_sub(1)? as usize;
    let last = (f.location.end_line as usize).clamp(line + 1, line + 64);
    // In a document of one line every rule is beside every other: there, only what the finding points at counts.
    let short = |n: usize| {
        Some(file.line_range(n)).filter(|r| r.len() <= LONG_LINE).map(|r| file.text(r).into_owned())
    };
    let said = f.location.rule.as_ref().map(|r| r.description.clone());
    let beside = (line..last).map(|n| short(n).unwrap_or_else(|| f.location.text.clone()));
    for text in beside.chain(said) {
        let mut rest = text.as_str();
        while let Some(at) = rest.find("havenlint:allow=") {
            rest = &rest[at + "havenlint:allow=".len()..];
            let id: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            if id == f.rule {
                return Some("allowed beside the rule".to_owned());
            }
        }
    }
    let above = line.checked_sub(1)?;
    let text = short(above)?;
    let comment = text.trim_start().strip_prefix('#')?.trim_start().strip_prefix("havenlint:")?.trim_start();
    let mut words = comment.strip_prefix("allow")?.split_whitespace();
    let id = words.next()?;
    (id == f.rule).then(|| {
        let reason = words.collect::<Vec<_>>().join(" ");
        if reason.is_empty() { "allowed beside the rule".to_owned() } else { reason }
    })
}
