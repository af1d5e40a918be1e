//! Waivers: findings that somebody has decided to live with, in the deployment file or beside the rule.

use crate::deployment::{Deployment, InlineWaivers, WaivedFlow, Waiver};
use crate::finding::{Finding, Flow, RuleDoc, Severity, Waived};
use crate::lint::registry::builtin_doc;
use crate::packet::{IntervalSet, addr, proto};
use crate::source::{Location, SourceFile, Text};
use crate::triage::inline::{Files, Inline, Written};
use crate::triage::selection::{Selection, advice};
use globset::Glob;
use jiff::civil::Date;
use rustc_hash::{FxHashMap, FxHashSet};
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
            "## What it does\nReports a waiver, in the deployment file or beside a rule, that no finding of the run matches, and one that names no rule.\n\n## Why is this bad?\nEither the \
             problem is gone, and the waiver would hide it when it comes back, or the waiver was never right.\n\n## Example\nA waiver for `node = \"cms-1\"` when the finding is about \
             `cms-2`; `# havenlint: allow HL-ANYANY` above a rule.\n\n## Use instead\nDelete the waiver, or correct the id.",
        ),
    ]
}

/// What waivers are held against, beside the findings.
pub struct World<'a> {
    /// The deployment, if there is one.
    pub deployment: Option<&'a Deployment>,
    /// Every file that a finding may stand in.
    pub sources: &'a [Arc<SourceFile>],
    /// The rules that are reported.
    pub selection: &'a Selection,
    /// Other names of rules, each with the id that it stands for.
    pub aliases: &'a [(String, String)],
    /// All rules.
    pub rules: &'a dyn Fn() -> Vec<RuleDoc>,
    /// Whether the run would have found what a rule finds in a file.
    pub judged: &'a dyn Fn(&RuleDoc, &str) -> bool,
    /// What day it is. Asked only where a waiver expires: to know it, the time zone has to be looked up.
    pub today: &'a dyn Fn() -> Date,
    /// The flows that a finding is about.
    pub flow_of: &'a dyn Fn(&Finding) -> Vec<Flow>,
}

/// Takes waived findings out of the list; adds findings about the waivers themselves.
pub fn apply(findings: &mut Vec<Finding>, world: &World<'_>) -> Vec<Waived> {
    let World { deployment, sources, aliases, today, flow_of, .. } = *world;
    let waivers: &[Waiver] = deployment.map_or(&[], |d| &d.waivers);
    let mut used = vec![false; waivers.len()];
    let files = Files::of(sources, aliases);
    let mut inline = Met::default();
    let in_force = deployment.map_or(&InlineWaivers::All, |d| &d.inline_waivers);
    // Of a finding that is waived: by what.
    let mut waiver = |f: &mut Finding| -> Option<[String; 3]> {
        if let Some(beside) = files.beside(f) {
            inline.met(f, &beside);
            match refused(in_force, f, &beside, today) {
                None => {
                    let Inline { mut reason, owner, expires, .. } = beside;
                    if reason.is_empty() {
                        "allowed beside the rule".clone_into(&mut reason);
                    }
                    return Some([reason, owner, expires]);
                }
                Some(why) => {
                    let text = format!("the one beside the rule is not in force: {why}");
                    f.details.push(("waiver".to_owned(), text));
                }
            }
        }
        let (i, w) = waivers.iter().enumerate().find(|(_, w)| matches(w, f, flow_of))?;
        used[i] = true;
        let expires = w.expires.map(|e| e.to_string()).unwrap_or_default();
        w.expires.is_none_or(|e| e >= today()).then(|| [w.reason.clone(), w.owner.clone(), expires])
    };
    let mut by = Vec::new();
    let of_waiver = |f: &mut Finding| match waiver(f) {
        Some(w) => {
            by.push(w);
            true
        }
        None => false,
    };
    let taken: Vec<Finding> = findings.extract_if(.., of_waiver).collect();
    let waived = taken.into_iter().zip(by);
    let waived = waived.map(|(finding, [reason, owner, expires])| Waived { finding, reason, owner, expires });
    let waived = waived.collect();
    let written = files.written();
    if !written.is_empty() {
        findings.extend(inline.about(&written, world));
    }
    if let Some((deployment, file)) = deployment.and_then(|d| Some((d, d.file.as_ref()?))) {
        for (w, used) in deployment.waivers.iter().zip(used) {
            let place = file.locate(w.origin.start as usize, w.origin.end as usize);
            match w.expires.filter(|e| *e < today()) {
                Some(e) if world.selection.takes(EXPIRED) => {
                    findings.push(about(
                        EXPIRED,
                        Severity::Warning,
                        format!("the waiver of {} expired on {e}", w.rule),
                        place,
                    ));
                }
                None if !used && world.selection.takes(UNUSED) && world.selection.takes(&w.rule) => {
                    findings.push(about(
                        UNUSED,
                        Severity::Note,
                        format!("the waiver of {} matches no finding", w.rule),
                        place,
                    ));
                }
                _ => {}
            }
        }
    }
    waived
}

// The waivers beside rules that met a finding, by file and rule.
#[derive(Default)]
struct Met(FxHashMap<(Text, Text), FxHashSet<Inline>>);

impl Met {
    fn met(&mut self, f: &Finding, beside: &Inline) {
        let key = (f.location.path.clone(), f.rule.clone());
        self.0.entry(key).or_default().insert(beside.clone());
    }

    // Which of those that are written met one.
    fn among(&self, written: &[Written]) -> FxHashMap<usize, &Inline> {
        let mut lines: FxHashMap<(&str, &str), Vec<(u32, usize)>> = FxHashMap::default();
        for (n, w) in written.iter().enumerate() {
            lines.entry((&w.at.path, &w.id)).or_default().push((w.at.line, n));
        }
        let mut out = FxHashMap::default();
        for ((path, id), all) in &self.0 {
            let Some(lines) = lines.get(&(path.as_str(), id.as_str())) else { continue };
            for met in all {
                let first = lines.partition_point(|(line, _)| *line < met.lines.0);
                let inside: Vec<_> = lines[first..].iter().take_while(|(l, _)| *l <= met.lines.1).collect();
                // In a document the text that describes a rule may stand beside what is shown as the rule.
                let near = inside.is_empty().then(|| lines[first.saturating_sub(1)..].iter().take(2));
                let near = near.into_iter().flatten().min_by_key(|(l, _)| l.abs_diff(met.lines.0));
                inside.into_iter().chain(near).for_each(|(_, n)| _ = out.insert(*n, met));
            }
        }
        out
    }

    // What is to be said about waivers beside rules themselves: those that name no rule, that matched no finding, or that are over.
    fn about(&self, written: &[Written], world: &World<'_>) -> Vec<Finding> {
        let rules = (world.rules)();
        let known: FxHashMap<&str, &RuleDoc> = rules.iter().map(|r| (r.id.as_str(), r)).collect();
        let mut out = Vec::new();
        let met = self.among(written);
        for (n, w) in written.iter().enumerate() {
            let met = met.get(&n);
            let over = met.and_then(|m| m.last_day().ok()?).filter(|d| *d < (world.today)());
            let (id, level, message, help) = match (known.get(w.id.as_str()), over) {
                (None, _) if w.id.is_empty() => {
                    let help = "write `# havenlint: allow ID reason` on the line above the rule".to_owned();
                    (UNUSED, Severity::Note, "the waiver names no rule".to_owned(), help)
                }
                (None, _) => {
                    let help = advice(&w.id, known.keys().copied());
                    (UNUSED, Severity::Note, format!("the waiver names `{}`, which is no rule", w.id), help)
                }
                (_, Some(day)) => (
                    EXPIRED,
                    Severity::Warning,
                    format!("the waiver of {} expired on {day}", w.id),
                    String::new(),
                ),
                (Some(rule), None) if met.is_none() && (world.judged)(rule, &w.at.path) => (
                    UNUSED,
                    Severity::Note,
                    format!("the waiver of {} matches no finding", w.id),
                    String::new(),
                ),
                _ => continue,
            };
            let of_interest =
                w.id.is_empty() || !known.contains_key(w.id.as_str()) || world.selection.takes(&w.id);
            if world.selection.takes(id) && of_interest {
                let mut f = about(id, level, message, w.at.clone());
                f.details.extend((!help.is_empty()).then(|| ("instead".to_owned(), help)));
                out.push(f);
            }
        }
        out
    }
}

// Why a waiver beside a rule is not in force.
fn refused(
    in_force: &InlineWaivers,
    f: &Finding,
    beside: &Inline,
    today: &dyn Fn() -> Date,
) -> Option<&'static str> {
    match beside.last_day() {
        Err(_) => return Some("what stands after expires= is no day, such as 2027-03-31"),
        Ok(Some(day)) if day < today() => return Some("it has expired"),
        Ok(_) => {}
    }
    match in_force {
        InlineWaivers::All => None,
        InlineWaivers::None => Some("the deployment file allows none"),
        InlineWaivers::WithOwner if beside.owner.is_empty() => {
            Some("the deployment file wants to know who answers for it: write owner=NAME")
        }
        InlineWaivers::WithOwner => None,
        InlineWaivers::Of(rules) if rules.iter().any(|r| f.rule.starts_with(r.as_str())) => None,
        InlineWaivers::Of(_) => Some("the deployment file allows none of this rule"),
    }
}

fn about(rule: &str, level: Severity, message: String, location: Location) -> Finding {
    Finding::new(rule.to_owned(), level, message, location, "this waiver")
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
