//! Rules to which no packet is left, each with the one check that tells it.

use super::registry::{Check, Subject};
use crate::analysis::coverage::{self, Reason};
use crate::finding::{Finding, Related};
use crate::model::{Action, ChainId, Firewall, Rule};
use crate::source::Origin;
use rustc_hash::FxHashSet;

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

/// Whether the rules of a firewall have no order, so that each may be covered by later ones too, and to put one before another changes nothing: those
/// of security groups. `HL-AWS-COVERED` tells them.
pub fn is_unordered(f: &Firewall) -> bool {
    f.dialect == "aws"
}

/// Rules that the checks of pairs of rules leave out: those to which no packet is left.
pub fn left_out(subject: &Subject<'_>) -> impl Fn(ChainId, usize) -> bool {
    let unused: FxHashSet<_> = subject.without_packets().iter().map(|(rule, _)| *rule).collect();
    move |chain, rule| unused.contains(&(chain, rule))
}

/// Where the rules stand to which no packet is left.
pub fn places(subject: &Subject<'_>) -> FxHashSet<Origin> {
    let f = subject.firewall;
    subject.without_packets().iter().map(|((c, r), _)| f.chain(*c).rules[*r].origin).collect()
}

/// All of a firewall that the checks of single rules tell, by chain and rule: no copies of earlier ones, which `HL-DUPLICATE` tells.
pub fn of(f: &Firewall, without_packets: &[WithoutPackets]) -> Vec<Unused> {
    let mut out: Vec<Unused> = Vec::new();
    if is_unordered(f) {
        return out;
    }
    let mut seen: FxHashSet<Origin> = FxHashSet::default();
    // The chain whose end was met, and where its rules behind that are counted.
    let mut ended: Option<(ChainId, usize)> = None;
    for ((chain, rule), found) in without_packets.iter().cloned() {
        let own = &f.chain(chain).rules[rule];
        if !seen.insert(own.origin) {
            continue;
        }
        let case = match found.reason {
            Reason::Copied => continue,
            Reason::Ended => match ended.filter(|(last, _)| *last == chain) {
                Some((_, at)) => {
                    if let Case::Ended(n) = &mut out[at].case {
                        *n += 1;
                    }
                    continue;
                }
                None => {
                    ended = Some((chain, out.len()));
                    Case::Ended(1)
                }
            },
            Reason::Elsewhere => Case::Elsewhere,
            Reason::Covered | Reason::Strays => covered(f, own, &found.by),
        };
        out.push(Unused { chain, rule, case, by: found.by, strays: found.reason == Reason::Strays });
    }
    out
}

/// The id of the one check that tells an unused rule.
pub fn told_by(f: &Firewall, about: &Unused) -> &'static str {
    let is = |dialect: &str| f.dialect.starts_with(dialect);
    match about.case {
        _ if is("pf") || is("opn") => "HL-PF-SHADOWED",
        Case::Ended(_) if is("nft") && ender(f, about).is_some() => "HL-NFT-AFTER-VERDICT",
        Case::Ended(_) | Case::Elsewhere => "HL-UNREACHABLE",
        Case::ExceptionLost => "HL-EXCEPTION-LOST",
        Case::Opposed | Case::Repeated => "HL-SHADOWED",
    }
}

/// The rule without conditions that ends the way of every packet, if that is why none comes to the place of another.
pub fn ender<'f>(f: &'f Firewall, about: &Unused) -> Option<&'f Rule> {
    match about.by[..] {
        [(c, r)] => f.chain(c).rules.get(r as usize).filter(|r| r.terms.len == 0),
        _ => None,
    }
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

/// So many findings of one check are made of one firewall for people: a list of rules that nobody reads to its end helps nobody.
pub const FOR_READERS: usize = 1000;
/// So many for who repairs them: more would fill the memory.
pub const FOR_REPAIRS: usize = 100_000;

/// Makes the findings of some rules, in their order. If there are very many, the last one says how many more there are.
pub fn report<T>(
    subject: &Subject<'_>,
    all: &[T],
    findings: &mut Vec<Finding>,
    mut make: impl FnMut(&T) -> Finding,
) {
    findings.extend(all.iter().take(subject.listed).map(&mut make));
    if let Some(more) = all.len().checked_sub(subject.listed).filter(|n| *n > 0)
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
    (message, label): (String, &'static str),
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

/// The message about rules in a row, so many, to whose place no packet of a chain comes.
pub fn unreached(chain: &str, rules: usize) -> String {
    match rules {
        1 => format!("no packet of chain {chain} reaches this rule"),
        n => format!("no packet of chain {chain} reaches this rule and the {} after it", n - 1),
    }
}

/// Whether a rule stands above or below another one: not everywhere does the first one decide.
pub fn side(of: Origin, about: Origin) -> &'static str {
    if of < about { "above" } else { "below" }
}

/// What a rule that lets packets through, or not, does to them: for one rule and for several.
pub const fn verb(accepts: bool) -> (&'static str, &'static str) {
    if accepts { ("accepts", "accept") } else { ("stops", "stop") }
}
