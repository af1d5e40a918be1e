//! A rule can never match.
//!
//! ## What it does
//! Reports rules whose own conditions contradict each other or are empty: two disjoint sources in one rule, a reversed
//! range, ports of a protocol without ports, TCP flags compared outside their mask. Other rules are not considered. Rules
//! about what havenlint does not model are left out: fragments, IPv6 extension headers, IPv4 addresses written as IPv6,
//! sets without elements. What a named set holds is left out too where it may change at run time.
//!
//! ## Why is this bad?
//! A blocking rule that cannot match leaves open what it was written to close; an accepting one shuts somebody out. The
//! ruleset loads, and no tool warns.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --tcp-flags SYN FIN -j DROP
//! ```
//!
//! ## Use instead
//! Write the condition that was meant:
//! ```text
//! -A INPUT -p tcp -m tcp --tcp-flags SYN,FIN SYN,FIN -j DROP
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::{Firewall, Term, TermRange};
use crate::packet::{Field, IntervalSet, carriers, proto};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NEVER-MATCHES",
    name: "NeverMatches",
    summary: "no packet can match this rule",
    level: Severity::Warning,
    security_severity: None,
    source: include_str!("never_matches.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    for rule in f.chains.iter().flat_map(|c| &c.rules).filter(|r| r.note.is_none()) {
        let never = match f.run_time_sets(rule) {
            [] => cannot_hold(f, rule.terms),
            _ => !f.terms(rule.terms).contains(&Term::OUTSIDE) && contradicts(f.lasting_terms(rule)),
        };
        if never {
            let message = "no packet can match this rule: its conditions contradict each other".to_owned();
            findings.push(CHECK.finding(subject, rule.origin, message, "never matches"));
        }
    }
}

// Whether a conjunction is empty whatever the packet. Looks closer only where a field is asked about twice, or an empty set.
fn cannot_hold(f: &Firewall, range: TermRange) -> bool {
    let terms = f.terms(range);
    let (mut asked, mut carried) = (0u32, 0u32);
    let (mut closer, mut empty) = (false, false);
    for term in terms {
        let field = match *term {
            Term::Range { field, lo, hi } if lo <= hi => {
                if field == Field::Proto && lo == hi {
                    carried = fields_of(lo);
                }
                field
            }
            // What the model leaves out, real packets may have.
            Term::OUTSIDE => return false,
            Term::Range { .. } => {
                empty = true;
                continue;
            }
            Term::In(field, set) => {
                empty |= f.sets.get(set).is_empty();
                field
            }
            Term::Any(a) => {
                empty |= f.alternatives[a.index()].iter().all(|r| cannot_hold(f, *r));
                continue;
            }
            _ => continue,
        };
        let bit = 1 << field.index();
        closer |= asked & bit != 0;
        asked |= bit;
    }
    empty
        || ((closer || asked & CARRIED & !carried != 0)
            && contradicts(terms.iter().filter_map(|t| f.field_set(t))))
}

// Fields that not every protocol has, as bits.
const CARRIED: u32 = PORTS | 1 << Field::Icmp.index() | 1 << Field::TcpFlags.index();
const PORTS: u32 = 1 << Field::Sport.index() | 1 << Field::Dport.index();

// Those of them that the protocol certainly has: nearly every rule with ports asks for one of these protocols.
fn fields_of(protocol: u32) -> u32 {
    match protocol as u8 {
        _ if protocol > 255 => 0,
        proto::TCP => PORTS | 1 << Field::TcpFlags.index(),
        p if proto::WITH_PORTS.contains(&p) => PORTS,
        _ => 0,
    }
}

fn contradicts(terms: impl Iterator<Item = (Field, IntervalSet)>) -> bool {
    let mut sets: [Option<IntervalSet>; Field::COUNT] = Default::default();
    let mut narrow = |field: Field, set: IntervalSet| {
        let slot = &mut sets[field.index()];
        let now = slot.take().map_or_else(|| set.clone(), |s| s.intersect(&set));
        let empty = now.is_empty();
        *slot = Some(now);
        empty
    };
    for (field, set) in terms {
        if narrow(field, set) || carriers(field).is_some_and(|c| narrow(Field::Proto, c)) {
            return true;
        }
    }
    false
}
