//! Another table at the same hook drops what a rule accepts.
//!
//! ## What it does
//! Looks at hooks where base chains of several tables see the same packets: an `ip` or `ip6` table beside an `inet` one, a
//! program's table beside the administrator's. Reports an accepting rule if none of its new connections get through and a
//! chain of another table is the reason. Once per pair of chains, with the number of rules. Connections over `lo` are left
//! out, and of long chains the first 500 rules are examined. Nothing is reported that another content of a named set would change, where the
//! set may be filled at run time.
//!
//! ## Why is this bad?
//! An accept ends only its own base chain: the packet goes on to the other tables, and a drop there is final. The rule
//! looks as if it opens something, and the service stays closed.
//!
//! ## Example
//! ```text
//! table ip filter {
//!     chain INPUT { type filter hook input priority filter; policy accept; tcp dport 443 accept; }
//! }
//! table inet firewall {
//!     chain input { type filter hook input priority filter; policy drop; tcp dport 22 accept; }
//! }
//! ```
//!
//! ## Use instead
//! Keep one table per hook, or open the port in every table that drops:
//! ```text
//! table inet firewall {
//!     chain input { type filter hook input priority filter; policy drop; tcp dport { 22, 443 } accept; }
//! }
//! ```

use crate::analysis::Point;
use crate::analysis::decide::{Answer, Question, decide, witness};
use crate::analysis::evaluate::Decider;
use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::{Action, BaseChain, ChainId, ChainKind, Firewall, Hook, Rule};
use crate::packet::{ConnState, Family, Field, IntervalSet, Packet, Path, Region, interface_value};
use crate::source::Origin;
use std::collections::BTreeSet;

// More rules of one base chain are not asked about.
const MAX_RULES: usize = 500;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-UNDONE",
    name: "NftUndone",
    summary: "another table drops what this rule accepts",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("undone.rs"),
    run: Run::Firewall(run),
};

// A rule whose accept comes to nothing: who stops its packets, and one of them.
struct Undone {
    rule: Origin,
    by: Decider,
    packet: Option<Packet>,
}

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    if Facts::of(f).is_none() {
        return;
    }
    for (hook, path) in
        [(Hook::Input, Path::Input), (Hook::Forward, Path::Forward), (Hook::Output, Path::Output)]
    {
        let bases: Vec<&BaseChain> =
            f.base_chains.iter().filter(|b| b.hook == hook && b.kind == ChainKind::Filter).collect();
        for base in &bases {
            let others: Vec<&BaseChain> = bases
                .iter()
                .copied()
                .filter(|o| f.chain(o.chain).table != f.chain(base.chain).table)
                .collect();
            if !others.is_empty() {
                look(subject, path, base, &others, findings);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    path: Path,
    base: &BaseChain,
    others: &[&BaseChain],
    findings: &mut Vec<Finding>,
) {
    let f = subject.firewall;
    let theirs: Vec<(ChainId, BTreeSet<ChainId>)> =
        others.iter().map(|o| (o.chain, reached_from(f, o.chain))).collect();
    // What a set holds tomorrow may let through what is dropped today.
    let opens =
        |r: &&Rule| !f.run_time_sets(r).is_empty() && !matches!(r.action, Action::Drop | Action::Reject);
    let changing: Vec<&Rule> =
        theirs.iter().flat_map(|t| &t.1).flat_map(|c| &f.chain(*c).rules).filter(opens).collect();
    let mut undone: Vec<(ChainId, Vec<Undone>)> = theirs.iter().map(|t| (t.0, Vec::new())).collect();
    let accepts = reached_from(f, base.chain)
        .into_iter()
        .flat_map(|c| &f.chain(c).rules)
        .filter(|r| r.action == Action::Accept && r.note.is_none() && r.terms.len > 0)
        .filter(|r| f.run_time_sets(r).is_empty());
    for rule in accepts.take(MAX_RULES) {
        let Some((by, packet)) = stopped(subject, path, base, rule, (&theirs, &changing)) else { continue };
        let Some(at) = theirs.iter().position(|t| t.1.contains(&by.chain)) else { continue };
        undone[at].1.push(Undone { rule: rule.origin, by, packet });
    }
    for (other, mut rules) in undone {
        rules.sort_by_key(|u| u.rule);
        rules.dedup_by_key(|u| u.rule);
        let Some(first) = rules.first() else { continue };
        let (here, there) = (f.chain(base.chain), f.chain(other));
        let more = match rules.len() - 1 {
            0 => String::new(),
            1 => "; the same goes for 1 other rule".to_owned(),
            n => format!("; the same goes for {n} other rules"),
        };
        let message = format!(
            "this rule of table {} accepts what chain {} of table {} drops at the same hook{more}",
            here.table, there.name, there.table
        );
        let mut finding = CHECK.finding(subject, first.rule, message, "opens nothing");
        finding.witness = first.packet.clone().map(Box::new);
        let what = if first.by.rule.is_some() { "this rule drops it" } else { "this policy drops it" };
        finding.related.push(subject.related(first.by.origin, what));
        finding
            .related
            .extend(rules[1..].iter().take(8).map(|u| subject.related(u.rule, "dropped in the same way")));
        findings.push(finding);
    }
}

// Chains that a base chain leads to, itself included.
fn reached_from(f: &Firewall, base: ChainId) -> BTreeSet<ChainId> {
    let mut seen = BTreeSet::new();
    let mut work = vec![base];
    while let Some(chain) = work.pop() {
        if !seen.insert(chain) {
            continue;
        }
        for rule in &f.chain(chain).rules {
            if let Action::Jump(to) | Action::Goto(to) = rule.action {
                work.push(to);
            }
        }
    }
    seen
}

// Who stops what a rule accepts, and a packet, if nothing of it gets through in any family, and a chain of `theirs` is among those who stop it.
fn stopped(
    subject: &Subject<'_>,
    path: Path,
    base: &BaseChain,
    rule: &Rule,
    (theirs, changing): (&[(ChainId, BTreeSet<ChainId>)], &[&Rule]),
) -> Option<(Decider, Option<Packet>)> {
    let firewalls = [subject.firewall];
    let point = Point { firewalls: &firewalls, environment: subject.environment };
    let mut found = None;
    for family in &base.families {
        let Some(region) = opened(subject.firewall, rule, *family, path) else { continue };
        let may_take =
            |r: &&Rule| subject.firewall.lasting_terms(r).all(|(f, s)| !region.cut(f, &s).is_empty());
        if changing.iter().any(may_take) {
            return None;
        }
        let question = Question { point, path, region, mark: 0, delivered_to: None };
        let Answer { accepted, denied, undecided, exhausted } = decide(&question);
        let by_set = |d: &Decider| {
            let rule = d.rule.map(|at| &subject.firewall.chain(d.chain).rules[at]);
            rule.is_some_and(|r| !subject.firewall.run_time_sets(r).is_empty())
        };
        let changeable = denied.iter().flat_map(|p| &p.decided_by).any(by_set);
        if exhausted || !accepted.is_empty() || !undecided.is_empty() || changeable {
            return None;
        }
        let by = denied.iter().find_map(|part| {
            let by = part.decided_by.iter().find(|d| theirs.iter().any(|t| t.1.contains(&d.chain)))?;
            Some((*by, part))
        });
        if let (Some((by, part)), None) = (by, &found) {
            found = Some((by, witness(&question, part)));
        }
    }
    found
}

// New connections of a family that a rule may accept, those over lo left out; `None` if there are none. What the rule compares beyond fields
// is not looked at: then the region is wider than the rule, and less is said.
fn opened(f: &Firewall, rule: &Rule, family: Family, path: Path) -> Option<Region> {
    let lo = IntervalSet::single(interface_value("lo").ok()?);
    let none = IntervalSet::single(0u8);
    let mut region = Region::all(family).cut(Field::State, &IntervalSet::single(ConnState::New.value()));
    for (field, used) in [(Field::Iif, path != Path::Output), (Field::Oif, path != Path::Input)] {
        let set = if used { field.all().minus(&none).minus(&lo) } else { none.clone() };
        region = region.with(field, set);
    }
    for (field, set) in f.terms(rule.terms).iter().filter_map(|t| f.field_set(t)) {
        region = region.cut(field, &set);
    }
    (!region.is_empty()).then_some(region)
}
