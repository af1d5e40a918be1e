//! A host filters IPv4, and no IPv6 rules are known for it.
//!
//! ## What it does
//! Reports a host whose files cover IPv4 only, and block something there. With a deployment file it looks at all files of
//! the node; without one, at all files of the run.
//!
//! ## Why is this bad?
//! IPv6 has its own rules, and without any the kernel accepts everything. Most systems have IPv6 addresses whether anybody
//! planned for them or not. Every service that IPv4 protects is then open over IPv6.
//!
//! ## Example
//! `hosts/cms-1.v4.rules` ends in `:INPUT DROP`, and there is no `ip6tables-save` dump of `cms-1`.
//!
//! ## Use instead
//! Save both families and name both files:
//! ```text
//! iptables-save > hosts/cms-1.v4.rules
//! ip6tables-save > hosts/cms-1.v6.rules
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::model::{BaseChain, ChainKind, Firewall, Hook, Policy};
use crate::packet::Family;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-IPV6-UNGUARDED",
    name: "Ipv6Unguarded",
    summary: "IPv4 is filtered, and no IPv6 rules are known for this host",
    level: Severity::Warning,
    security_severity: Some(6.0),
    source: include_str!("ipv6_unguarded.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let f = subject.firewall;
    if subject.beside.iter().any(|b| looks(b, Family::V6).next().is_some()) {
        return;
    }
    // One finding a box, at its first file that keeps something out.
    let first = subject.beside.iter().find(|b| looks(b, Family::V4).any(|c| filters(b, c)));
    if first.is_none_or(|b| b.path() != f.path()) || !subject.probes().is_empty() {
        return;
    }
    // The filter itself, not what stands before or behind it.
    let filtering = looks(f, Family::V4).filter(|c| c.hook == Hook::Input && filters(f, c));
    let Some(base) = filtering.min_by_key(|c| (c.priority != 0, c.policy != Policy::Drop)) else { return };
    findings.push(CHECK.finding(
        subject,
        base.policy_origin,
        format!(
            "{} filters IPv4, and no IPv6 rules are known for it: the kernel accepts all IPv6 by default",
            subject.name
        ),
        "filters IPv4 only",
    ));
}

// The chains of a host that look at packets of a family on their way in. Those of nat only translate.
fn looks(f: &Firewall, family: Family) -> impl Iterator<Item = &BaseChain> {
    let inward = |c: &&BaseChain| matches!(c.hook, Hook::Input | Hook::Prerouting | Hook::Ingress);
    let chains =
        f.base_chains.iter().filter(move |c| c.kind == ChainKind::Filter && c.families.contains(&family));
    chains.filter(inward)
}

// Whether a chain keeps anything out, as far as its form tells.
fn filters(f: &Firewall, chain: &BaseChain) -> bool {
    chain.hook == Hook::Input && (chain.policy == Policy::Drop || !f.chain(chain.chain).rules.is_empty())
}
