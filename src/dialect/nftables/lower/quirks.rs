//! What nft makes of a rule beyond its words. Measured with nft 1.0.6 (`nft --debug=netlink`) and held against the kernel by
//! `tests/kernel_nft.rs`.

use super::*;
use crate::model::Term;
use conjunction::FieldSet;

/// Fields that stand side by side in a header and together fill at most four bytes: nft joins two comparisons of them
/// (`payload_can_merge`, payload.c).
const NEIGHBOURS: [(&str, &str); 8] = [
    ("icmp type", "icmp code"),
    ("icmpv6 type", "icmpv6 code"),
    ("udp dport", "udp length"),
    ("tcp flags", "tcp window"),
    ("ip ttl", "ip protocol"),
    ("ip protocol", "ip checksum"),
    ("ip6 nexthdr", "ip6 hoplimit"),
    ("ip6 length", "ip6 nexthdr"),
];

fn neighbours(a: &str, b: &str) -> bool {
    let ports = a.strip_suffix(" sport").zip(b.strip_suffix(" dport")).is_some_and(|(a, b)| a == b);
    ports || NEIGHBOURS.contains(&(a, b))
}

/// The selector of `selector != value`, where nft may join it with another.
fn compared<'s>(s: &'s Statement<'_>) -> Option<&'s str> {
    let Statement::Match { left, op: Op::NotEqual, right } = s else { return None };
    let single = match &right.kind {
        ExprKind::Word(_) | ExprKind::Quoted(_) => true,
        ExprKind::Set(elements) => match elements.as_slice() {
            [one] => matches!(one.key.kind, ExprKind::Word(_) | ExprKind::Quoted(_)),
            _ => false,
        },
        _ => false,
    };
    match &left.kind {
        ExprKind::Selector(s) if single => Some(s.text.as_ref()),
        _ => None,
    }
}

/// Pairs of statements that nft 1.0.6 loads as one comparison, each statement in one pair at most.
pub(super) fn joined(statements: &[Statement<'_>]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (n, s) in statements.iter().enumerate() {
        let Some(text) = compared(s) else { continue };
        let partner = statements[..n].iter().enumerate().find(|(m, t)| {
            let free = out.iter().all(|(a, b)| a != m && b != m);
            free && compared(t).is_some_and(|t| neighbours(t, text) || neighbours(text, t))
        });
        if let Some((m, _)) = partner {
            out.push((m, n));
        }
    }
    out
}

fn names_protocol(s: &Statement<'_>) -> bool {
    matches!(s, Statement::Match { left: e, .. } | Statement::VerdictMap { key: e, .. }
        if selector(e).is_some_and(|s| !s.protocols.is_empty() || ["meta l4proto", "ip protocol", "ip6 nexthdr"].contains(&s.text.as_ref())))
}

fn names_family(s: &Statement<'_>) -> bool {
    matches!(s, Statement::Match { left: e, .. } | Statement::VerdictMap { key: e, .. }
        if selector(e).is_some_and(|s| s.family.is_some() || s.text == "meta nfproto"))
}

// The first selector of an expression; concatenations and operators nest no deeper than the parser allows.
fn selector<'s, 'a>(mut e: &'s Expr<'a>) -> Option<&'s crate::dialect::nftables::selector::Selector<'a>> {
    loop {
        e = match &e.kind {
            ExprKind::Selector(s) => return Some(s),
            ExprKind::Concat(parts) => parts.first()?,
            ExprKind::Bits(_, a, _) => a,
            _ => return None,
        };
    }
}

/// Chains of type nat are consulted only where connections are tracked. Loading a translation or a match on the connection switches
/// that on; without either, whether they are consulted depends on what else the box has loaded.
pub(super) fn nat_without_tracking(b: &mut Builder) {
    let f = b.firewall();
    let tracks = |t: &Term| matches!(t, Term::Range { field: Field::State, .. } | Term::In(Field::State, _));
    if f.terms.iter().any(tracks)
        || f.chains.iter().flat_map(|c| &c.rules).any(|r| matches!(r.action, Action::Translate(_)))
    {
        return;
    }
    let nat: Vec<_> = f
        .base_chains
        .iter()
        .filter(|base| base.kind == ChainKind::Nat)
        .filter(|base| base.policy != Policy::Accept || !f.chain(base.chain).rules.is_empty())
        .map(|base| (base.chain, base.policy_origin))
        .collect();
    for (chain, at) in nat {
        let why =
            "nothing here needs the connection tracker, and without it chains of type nat are not consulted";
        let inert = b.opaque("connections are tracked", why, true, at);
        let rule = b.implicit(
            at,
            &[inert],
            Action::Accept,
            "without connection tracking this chain is not consulted",
        );
        b.firewall_mut().chains[chain.index()].rules.insert(0, rule);
    }
}

impl<'a> Lower<'a> {
    /// `udp sport != 1 udp dport != 2`: as written, neither port; nft 1.0.6 compares the two at once, so that it
    /// suffices that one of them differs.
    pub(super) fn joined_match(&mut self, state: &mut RuleState, pair: [&Statement<'a>; 2]) -> Parsed<()> {
        let mut sides = Vec::new();
        for s in pair {
            let Statement::Match { left, op, right } = s else { continue };
            self.implied_by(state, left);
            let around = std::mem::take(&mut state.conj);
            let result = self.match_statement(state, left, *op, right);
            sides.push(std::mem::replace(&mut state.conj, around));
            result?;
        }
        let outside = state.conj.protocols(&self.b);
        let mut both = Vec::new();
        let mut ways = Vec::new();
        let text = "nft joins two `!=` into one";
        let why = "nft 1.0.6 compares neighbouring fields at once: it suffices that one of them differs";
        let joins = self.b.opaque(text, why, false, state.at);
        for side in sides {
            let terms = side.finish(&mut self.b, state.families, outside.as_ref(), state.at);
            both.extend(terms.iter().copied());
            ways.push([&[joins], terms.as_slice()].concat());
        }
        ways.push(both);
        self.unclear = true;
        let term = self.b.any(ways);
        state.conj.term(term);
        Ok(())
    }

    /// The protocol or family that a `reject` needs is asked first of all, before maps and assignments of the same rule, unless another
    /// part of the rule asks for it anyway.
    pub(super) fn hoist(&mut self, state: &mut RuleState, rule: &Rule<'a>) {
        let rejects = rule.statements.iter().find_map(|s| match s {
            Statement::Reject(with) => Some(*with),
            _ => None,
        });
        match rejects {
            Some(RejectWith::TcpReset) if !rule.statements.iter().any(names_protocol) => {
                let tcp = crate::packet::IntervalSet::single(crate::packet::proto::TCP);
                state.conj.field(&self.b, Field::Proto, FieldSet::Owned(tcp));
            }
            Some(RejectWith::Icmp) if !rule.statements.iter().any(names_family) => {
                state.conj.of_family(Family::V4);
            }
            Some(RejectWith::Icmpv6) if !rule.statements.iter().any(names_family) => {
                state.conj.of_family(Family::V6);
            }
            _ => {}
        }
    }
}
