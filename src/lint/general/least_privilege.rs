//! A rule lets in more than anything needs.
//!
//! ## What it does
//! Takes every rule of a node's own firewall that lets new connections in, with exactly the packets that come to it and pass in the end, and
//! compares them with what the catalogue requires or recommends for that node, and, with `check --seen FILE`, with flows that were seen.
//! Reports the rest in numbers and in sets, the rules that let in most beyond first in rank, with rules that let in what is needed and no
//! more. These are shown only if the file with them, read again, lets through all that is needed, and nothing that it stopped before.
//!
//! The rules of a gateway are compared in the same way with all that the catalogue, or a seen flow, needs to pass it.
//!
//! A peer whose addresses the deployment does not declare may be anybody, so no address goes beyond what it needs. Nodes and gateways for which
//! nothing is needed are left out: nobody knows what they serve. Security groups have a check of their own (HL-AWS-LEAST-PRIVILEGE), and
//! chains that accept by default too (HL-POLICY-ACCEPT).
//!
//! ## Why is this bad?
//! Every port and address beyond what is needed is an opening that nobody watches.
//!
//! ## Example
//! ```text
//! -A INPUT -s 10.1.0.0/24 -p tcp -m tcp --dport 20080:20084 -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A INPUT -s 10.1.0.11/32 -p tcp -m tcp --dport 20082 -m conntrack --ctstate NEW -j ACCEPT
//! ```

use crate::analysis::Point;
use crate::analysis::decide::{Question, decide_by_rule};
use crate::analysis::evaluate::Decider;
use crate::compliance::path::EnforcementPoint;
use crate::finding::{Finding, Severity};
use crate::lint::narrowed::{Wide, proven};
use crate::lint::open::destinations;
use crate::lint::privilege::{Shares, Use};
use crate::lint::registry::{Check, Deployed, Machine, Run};
use crate::lint::through::{self, DETAIL, Missing, STEPS};
use crate::packet::opening::{as_flow, openings};
use crate::packet::{Family, Field, IntervalSet, Path, Region, interface_value};
use crate::source::Origin;
use std::collections::BTreeMap;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-LEAST-PRIVILEGE",
    name: "MoreThanNeededHere",
    summary: "a rule lets in more than the catalogue needs",
    level: Severity::Note,
    security_severity: Some(3.0),
    source: include_str!("least_privilege.rs"),
    run: Run::Machine(run),
};

/// Rules of a node that are told, those that let in most beyond.
const MAX_RULES: usize = 40;

// A rule of one of a node's firewalls.
struct Opening {
    decider: Decider,
    of: Use,
}

fn run(deployed: &Deployed<'_>, machine: Machine, findings: &mut Vec<Finding>) {
    let number = match machine {
        Machine::Node(number) => number,
        Machine::Gateway(number) => return findings.extend(through::findings(&CHECK, deployed, number)),
    };
    let node = &deployed.points.nodes[number];
    let wanted = deployed.needed(number);
    if node.host.is_empty() || wanted.is_empty() {
        return;
    }
    let (openings, missing) = collect(node, &wanted);
    tell(node, openings, &missing, findings);
}

// What each rule lets in, and what of it is needed; what of it could not be told.
fn collect(node: &EnforcementPoint<'_>, wanted: &[Region]) -> (Vec<Opening>, Missing) {
    let point = Point { firewalls: &node.host, environment: &node.environment };
    let lo = interface_value("lo").map(IntervalSet::single).unwrap_or_default();
    let mut found: BTreeMap<(usize, Origin), Opening> = BTreeMap::new();
    let (mut steps, mut missing) = (STEPS, Missing::default());
    for family in Family::ALL.into_iter().filter(|f| node.host.iter().any(|h| h.covers(*f))) {
        let own = node.environment.local.as_ref().map(|l| l.intersect(&family.all()));
        let own = own.filter(|l| !l.is_empty()).unwrap_or_else(|| destinations(family));
        let region = Path::Input
            .packets(family)
            .with(Field::Dst, own.clone())
            .cut(Field::Src, &destinations(family).minus(&node.environment.local.clone().unwrap_or_default()))
            .cut(Field::Iif, &Field::Iif.complement(&lo));
        for region in openings(&region, family) {
            let question = Question { point, path: Path::Input, region, mark: 0, delivered_to: None };
            let answer = decide_by_rule(&question, &DETAIL, &mut steps);
            missing.add(&answer);
            for part in answer.accepted {
                let written = |d: &&Decider| d.rule.is_some() && d.note.is_none() && d.hook.filters();
                let Some(decider) = part.decided_by.iter().find(written).copied() else { continue };
                let accepted = as_flow(&part.region, family);
                let entry = found
                    .entry((decider.firewall, decider.origin))
                    .or_insert_with(|| Opening { decider, of: Use::default() });
                let used = wanted.iter().map(|w| w.intersect(&accepted)).filter(|r| !r.is_empty());
                entry.of.needed.extend(used);
                entry.of.accepted.push(accepted);
            }
        }
    }
    (found.into_values().collect(), missing)
}

fn tell(node: &EnforcementPoint<'_>, openings: Vec<Opening>, missing: &Missing, findings: &mut Vec<Finding>) {
    let mut ranked: Vec<(f64, Shares, Opening)> = openings
        .into_iter()
        .map(|o| (o.of.shares(), o))
        .map(|(shares, o)| (shares.excess(), shares, o))
        .filter(|(excess, ..)| *excess > 0.0)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.decider.origin.cmp(&b.2.decider.origin)));
    let all = ranked.len();
    for (i, (_, shares, opening)) in ranked.into_iter().take(MAX_RULES).enumerate() {
        let firewall = node.host[opening.decider.firewall];
        let location = firewall.locate(opening.decider.origin);
        let message = format!("lets in more to {} than is needed: {}", node.name, shares.beyond().join("; "));
        let mut f = CHECK.about(node.name.clone(), location, message, "wider than needed");
        f.extent = shares.extent();
        f.details = shares.details();
        if all > 1 {
            f.details.push(("rank".to_owned(), format!("{} of {all}, by what is beyond", i + 1)));
        }
        if i == 0 && all > MAX_RULES {
            f.details
                .push(("left out".to_owned(), format!("{} rules that let in less beyond", all - MAX_RULES)));
        }
        if i == 0 {
            f.details.extend(missing.words());
        }
        let wide = Wide {
            firewall,
            environment: &node.environment,
            path: Path::Input,
            decider: &opening.decider,
            needed: &opening.of.needed,
        };
        f.fix = if i < proven(firewall) { wide.narrowed().map(Box::new) } else { None };
        findings.push(f);
    }
}
