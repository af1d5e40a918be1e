//! Rules to which no packet is left, each with the one check that tells it.

use super::general::duplicate::copies;
use super::registry::{Check, Subject};
use crate::analysis::coverage::{self, Reason};
use crate::finding::{Finding, Related};
use crate::model::{Action, ChainId, Firewall, Rule};
use crate::source::Origin;
use rustc_hash::{FxHashMap, FxHashSet};

/// A written rule to which no packet is left.
pub struct Unused {
    /// Its chain.
    pub chain: ChainId,
    /// Its index there.
    pub rule: usize,
    /// What it is a case of.
    pub case: Case,
    /// The rules that take its packets; of [`Case::Elsewhere`] those that send packets to its chain.
    pub by: Vec<(ChainId, u32)>,
    /// It still decides about packets that open no connection, which are stopped behind it all the same.
    pub strays: bool,
}

/// What a rule to which no packet is left is a case of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// No packet comes to its place; so many rules in a row, from this one.
    Ended(usize),
    /// Packets come to its chain, but none that it matches.
    Elsewhere,
    /// One rule that matches more has the opposite verdict.
    ExceptionLost,
    /// Rules with other verdicts take its packets, or it has none itself.
    Opposed,
    /// Rules with the same verdict take its packets.
    Repeated,
}

/// A rule of the model to which no packet is left.
pub type WithoutPackets = ((ChainId, usize), coverage::Unused);

/// Whether the dialect has checks of its own for rules that decide nothing.
pub fn has_own_checks(f: &Firewall) -> bool {
    ["aws", "pf", "opn"].iter().any(|own| f.dialect.starts_with(own))
}

/// Chain and index of each rule to which no packet is left; `None` if the dialect has checks of its own for rules that decide nothing.
pub fn left_without_packets(subject: &Subject<'_>) -> Option<FxHashSet<(ChainId, usize)>> {
    let all = || subject.without_packets().iter().map(|(rule, _)| *rule).collect();
    (!has_own_checks(subject.firewall)).then(all)
}

/// All rules of a firewall to which no packet is left.
pub fn without_packets(f: &Firewall) -> Vec<WithoutPackets> {
    if has_own_checks(f) { Vec::new() } else { coverage::unused(f) }
}

/// All of a firewall, by chain and rule. Left out are rules that another check tells: copies of earlier ones, those behind a verdict without
/// conditions in nftables, and all of dialects that have checks of their own for it (pf, AWS).
pub fn of(f: &Firewall, without_packets: &[WithoutPackets]) -> Vec<Unused> {
    let mut copied: FxHashMap<ChainId, FxHashSet<usize>> = FxHashMap::default();
    let mut seen: FxHashSet<Origin> = FxHashSet::default();
    let mut out: Vec<Unused> = Vec::new();
    // The last rule that came to no packet at its place, and where it is counted.
    let mut run: Option<((ChainId, usize), usize)> = None;
    for ((chain, rule), found) in without_packets.iter().cloned() {
        let own = &f.chain(chain).rules[rule];
        let copies = copied.entry(chain).or_insert_with(|| copies(f, f.chain(chain)).map(|c| c.1).collect());
        let new = seen.insert(own.origin);
        if found.reason == Reason::Ended {
            let goes_on = run.filter(|(last, _)| last.0 == chain);
            if goes_on.is_none() && (copies.contains(&rule) || !new || is_plain_verdict(f, &found.by)) {
                continue;
            }
            match goes_on {
                Some((_, at)) => {
                    if let Case::Ended(n) = &mut out[at].case
                        && new
                        && !copies.contains(&rule)
                    {
                        *n += 1;
                    }
                    run = Some(((chain, rule), at));
                    continue;
                }
                None => run = Some(((chain, rule), out.len())),
            }
        }
        if !new || copies.contains(&rule) {
            continue;
        }
        let case = match found.reason {
            Reason::Ended => Case::Ended(1),
            Reason::Elsewhere => Case::Elsewhere,
            Reason::Covered | Reason::Strays => covered(f, own, &found.by),
        };
        out.push(Unused { chain, rule, case, by: found.by, strays: found.reason == Reason::Strays });
    }
    out
}

// nftables has a check of its own for rules behind a verdict without conditions.
fn is_plain_verdict(f: &Firewall, by: &[(ChainId, u32)]) -> bool {
    f.dialect.starts_with("nft")
        && matches!(by, [(c, r)] if f.chain(*c).rules.get(*r as usize).is_some_and(|r| r.terms.len == 0))
}

fn covered(f: &Firewall, own: &Rule, by: &[(ChainId, u32)]) -> Case {
    let others: Vec<&Rule> = by.iter().filter_map(|(c, r)| f.chain(*c).rules.get(*r as usize)).collect();
    match (verdict(own.action), others.as_slice()) {
        (Some(own), others) if others.iter().all(|o| leads_to(f, o.action) == Some(own)) => Case::Repeated,
        (Some(v), [one]) if verdict(one.action) == Some(!v) && f.terms(one.terms) != f.terms(own.terms) => {
            Case::ExceptionLost
        }
        _ => Case::Opposed,
    }
}

// The one verdict that packets get where an action sends them; `None` if there are several, or that is not known.
fn leads_to(f: &Firewall, action: Action) -> Option<bool> {
    let (Action::Jump(to) | Action::Goto(to)) = action else { return verdict(action) };
    let mut found = None;
    let below = f.reached_from([to]);
    for rule in f.chains.iter().zip(below).filter(|(_, is)| *is).flat_map(|(c, _)| &c.rules) {
        match (rule.action, verdict(rule.action)) {
            (Action::Jump(_) | Action::Goto(_) | Action::Return | Action::Continue, _) => {}
            (_, Some(v)) if found.is_none_or(|before| before == v) => found = Some(v),
            _ => return None,
        }
    }
    found
}

/// Whether a rule lets packets through; `None` if it decides nothing by itself.
pub fn verdict(action: Action) -> Option<bool> {
    match action {
        Action::Accept => Some(true),
        Action::Drop | Action::Reject => Some(false),
        _ => None,
    }
}

/// So many findings of one check are made of one firewall: a list of rules that nobody reads to its end helps nobody, and fills the memory.
const MAX_FINDINGS: usize = 1000;

/// Makes the findings of some rules, in their order. If there are very many, the last one says how many more there are.
pub fn report<T>(all: &[T], findings: &mut Vec<Finding>, mut make: impl FnMut(&T) -> Finding) {
    findings.extend(all.iter().take(MAX_FINDINGS).map(&mut make));
    if let Some(more) = all.len().checked_sub(MAX_FINDINGS).filter(|n| *n > 0)
        && let Some(last) = findings.last_mut()
    {
        last.details
            .push(("not listed".to_owned(), format!("{more} more rules of this kind in the same firewall")));
    }
}

// So many of the rules that take the packets of one are shown.
const MAX_SHOWN: usize = 8;

/// The rules that take an unused rule's packets, as related places.
pub fn takers(subject: &Subject<'_>, about: &Unused) -> Vec<Related> {
    let f = subject.firewall;
    let mut told: FxHashSet<Origin> = FxHashSet::default();
    let rules: Vec<&Rule> = about
        .by
        .iter()
        .filter_map(|(c, r)| f.chain(*c).rules.get(*r as usize))
        .filter(|r| told.insert(r.origin))
        .collect();
    let what = match (about.case, rules.len()) {
        (Case::Elsewhere, _) => "sends its packets to this chain",
        (Case::Ended(_), 1) => "decides every packet that arrives here",
        (Case::Ended(_), _) => "decides some of the packets that arrive here",
        (_, 1) => "decides all of its packets",
        _ => "decides some of its packets",
    };
    let related = |rule: &&Rule| {
        let note = rule.note.map_or_else(String::new, |n| format!(": {}", f.notes[n.index()]));
        subject.related(rule.origin, format!("{what}{note}"))
    };
    rules.iter().take(MAX_SHOWN).map(related).collect()
}

/// A finding about an unused rule.
pub fn finding(
    check: &Check,
    subject: &Subject<'_>,
    about: &Unused,
    takers: Vec<Related>,
    (message, label): (String, &str),
) -> Finding {
    let origin = subject.firewall.chain(about.chain).rules[about.rule].origin;
    let mut out = check.finding(subject, origin, message, label);
    out.related = takers;
    if about.strays {
        let rest = "packets that open no connection (answers, invalid or untracked ones); they are stopped behind it anyway";
        out.details.push(("still decides".to_owned(), rest.to_owned()));
    }
    out
}

/// The words of a message that say which rules take an unused rule's packets, and what they do: `the rule at line 7 already stops`.
pub fn take(takers: &[Related], (does, do_it): (&str, &str)) -> String {
    match takers {
        [one] => format!("the rule at line {} already {does}", one.location.line),
        [a, b] => {
            format!("the rules at lines {} and {} together already {do_it}", a.location.line, b.location.line)
        }
        _ => format!("earlier rules together already {do_it}"),
    }
}

/// What a rule that lets packets through, or not, does to them: for one rule and for several.
pub const fn verb(accepts: bool) -> (&'static str, &'static str) {
    if accepts { ("accepts", "accept") } else { ("stops", "stop") }
}
