//! Matches on the connection's record: its state, its addresses before translation.

use super::context::{Context, Lowered};
use super::syntax::Test;
use super::values::{self, Address};
use crate::model::{ConditionKind, Register, Term};
use crate::packet::{ConnState, Field, IntervalSet, addr, interface_value, proto};

const NEW: u8 = 1 << ConnState::New as u8;
const ESTABLISHED: u8 = 1 << ConnState::Established as u8;
const RELATED: u8 = 1 << ConnState::Related as u8;
const INVALID: u8 = 1 << ConnState::Invalid as u8;
const UNTRACKED: u8 = 1 << ConnState::Untracked as u8;
// States of packets that have a connection record.
const TRACKED: u8 = NEW | ESTABLISHED | RELATED;
const ALL: u8 = 31;

/// States as bits, and whether `SNAT` or `DNAT` is among them.
pub(super) fn state_bits(text: &[u8]) -> Option<(u8, bool, bool)> {
    // The lists that nearly every dump holds.
    match text {
        b"RELATED,ESTABLISHED" | b"ESTABLISHED,RELATED" => {
            return Some((RELATED | ESTABLISHED, false, false));
        }
        b"NEW" => return Some((NEW, false, false)),
        b"INVALID" => return Some((INVALID, false, false)),
        _ => {}
    }
    let (mut bits, mut snat, mut dnat) = (0, false, false);
    for word in text.split(|b| *b == b',') {
        match word.to_ascii_uppercase().as_slice() {
            b"NEW" => bits |= NEW,
            b"ESTABLISHED" => bits |= ESTABLISHED,
            b"RELATED" => bits |= RELATED,
            b"INVALID" => bits |= INVALID,
            b"UNTRACKED" => bits |= UNTRACKED,
            b"SNAT" => snat = true,
            b"DNAT" => dnat = true,
            _ => return None,
        }
    }
    Some((bits, snat, dnat))
}

fn read_states(c: &Context<'_>, test: &Test) -> Lowered<(u8, bool, bool)> {
    state_bits(c.arg(test, 0)).ok_or_else(|| {
        let shown = c.words.shown(test.args[0]);
        c.problem(test.args[0], format!("`{shown}` is no list of connection states"))
            .help("NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, joined by commas")
    })
}

/// `-m state`.
pub(super) fn state(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let (bits, snat, dnat) = read_states(c, &test)?;
        if snat || dnat {
            return Err(c
                .problem(test.args[0], "`-m state` knows no SNAT and DNAT")
                .help("use `-m conntrack --ctstate`"));
        }
        let term = state_term(c, if test.negated { ALL & !bits } else { bits });
        c.push(term);
    }
    Ok(())
}

/// "The state is one of these", as the rule's table sees it.
///
/// In raw the packet has no connection yet: it is INVALID, or UNTRACKED where a rule before said so. Packets of the box to itself keep
/// their record from OUTPUT to PREROUTING (nf_conntrack_core.c, `nf_conntrack_in`; xt_conntrack.c, `conntrack_mt`).
fn state_term(c: &mut Context<'_>, bits: u8) -> Term {
    let real = c.state_in(bits);
    if c.table.name != "raw" {
        return real;
    }
    let (looped, arriving) = loopback(c);
    let not_untracked = c.state_in(ALL & !UNTRACKED);
    let untracked = c.state_in(UNTRACKED);
    let mut ways = vec![vec![looped, real]];
    if bits & INVALID != 0 {
        ways.push(vec![arriving, not_untracked]);
    }
    match (bits & INVALID != 0, bits & UNTRACKED != 0) {
        (true, true) => ways.push(vec![arriving, untracked]),
        (false, false) => {}
        (invalid, _) => {
            let by_rule = c.b.opaque(
                "a rule above made the packet untracked",
                "it may also become untracked only after this table",
                invalid,
                c.origin,
            );
            ways.push(vec![arriving, untracked, by_rule]);
        }
    }
    c.b.any(ways)
}

fn loopback(c: &mut Context<'_>) -> (Term, Term) {
    let lo = IntervalSet::single(interface_value("lo").unwrap_or_default());
    (c.b.field(Field::Iif, lo.clone()), c.b.field(Field::Iif, Field::Iif.complement(&lo)))
}

/// "The packet has a connection record", as the rule's table sees it.
pub(super) fn tracked(c: &mut Context<'_>) -> Vec<Term> {
    let tracked = c.state_in(TRACKED);
    if c.table.name == "raw" { vec![loopback(c).0, tracked] } else { vec![tracked] }
}

const TRACKER: &str = "depends on the connection's record";

/// `-m conntrack`.
///
/// A packet without a record (INVALID, UNTRACKED) passes if a state test is there and holds, whatever the other options say; without
/// one it fails (xt_conntrack.c, `conntrack_mt`: `if (ct == NULL) return info->match_flags & XT_CONNTRACK_STATE`).
pub(super) fn conntrack(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    let mut bits = None;
    let start = c.terms.len();
    for test in c.tests(owner) {
        match test.option.canonical {
            "ctstate" => bits = Some(ctstate(c, &test)?),
            "ctproto" => ctproto(c, &test)?,
            "ctdir" => direction(c, &test)?,
            "ctorigsrc" => original_address(c, &test, Field::Src)?,
            "ctorigdst" => original_address(c, &test, Field::Dst)?,
            "ctorigsrcport" => original_port(c, &test, Field::Sport)?,
            "ctorigdstport" => original_port(c, &test, Field::Dport)?,
            _ => c.opaque_test(&test, ConditionKind::Pure, TRACKER),
        }
    }
    let rest = c.terms.split_off(start);
    let Some((bits, nat)) = bits else {
        let tracked = tracked(c);
        c.terms.extend(tracked);
        c.terms.extend(rest);
        return Ok(());
    };
    let term = match &nat {
        None => state_term(c, bits),
        Some(nat) => nat_state_term(c, bits, nat),
    };
    if rest.is_empty() || (bits & (INVALID | UNTRACKED) == 0 && c.table.name != "raw") {
        c.push(term);
        c.terms.extend(rest);
        return Ok(());
    }
    // Without a record only the state counts.
    let mut with_record = tracked(c);
    with_record.push(term);
    with_record.extend(rest);
    let mut ways = vec![with_record];
    let without = c.state_in(ALL & !TRACKED);
    ways.push(vec![without, term]);
    if c.table.name == "raw" {
        let (_, arriving) = loopback(c);
        ways.push(vec![arriving, term]);
    }
    let any = c.b.any(ways);
    c.push(any);
    Ok(())
}

/// `SNAT` and `DNAT` of a state list.
struct NatStates {
    snat: bool,
    dnat: bool,
    negated: bool,
}

fn ctstate(c: &mut Context<'_>, test: &Test) -> Lowered<(u8, Option<NatStates>)> {
    let (bits, snat, dnat) = read_states(c, test)?;
    let nat = (snat || dnat).then_some(NatStates { snat, dnat, negated: test.negated });
    Ok((if test.negated { ALL & !bits } else { bits }, nat))
}

// A test of the record as alternatives. The record of a packet that opens a connection is known (`exact`) unless it passed this box's output
// before (`lo`); that of a later packet is not.
fn record_test(c: &mut Context<'_>, exact: Vec<Vec<Term>>, unknown: Term) -> Term {
    let new = c.state_in(NEW);
    let later = c.state_in(ESTABLISHED | RELATED);
    let (looped, arriving) = loopback(c);
    let mut ways: Vec<Vec<Term>> = exact
        .into_iter()
        .map(|mut way| {
            way.extend([new, arriving]);
            way
        })
        .collect();
    ways.push(vec![later, unknown]);
    ways.push(vec![new, looped, unknown]);
    c.b.any(ways)
}

// A translated connection is one more state that a packet with a record may have.
fn nat_state_term(c: &mut Context<'_>, bits: u8, nat: &NatStates) -> Term {
    let plain = state_term(c, bits);
    let mut tests = Vec::new();
    for (asked, name, register) in
        [(nat.snat, "SNAT", Register::SrcNat), (nat.dnat, "DNAT", Register::DstNat)]
    {
        if !asked {
            continue;
        }
        let text = format!("-m conntrack --ctstate {name}");
        let why = "depends on the translation of the connection";
        let unknown = c.b.opaque(&text, why, nat.negated, c.origin);
        let exact = vec![vec![c.b.register(register, 1, 1, nat.negated)]];
        tests.push(record_test(c, exact, unknown));
    }
    let tracked = tracked(c);
    if nat.negated {
        let untracked = c.state_in(ALL & !TRACKED);
        let mut with_record = tracked;
        with_record.push(plain);
        with_record.extend(tests);
        return c.b.any(vec![with_record, vec![untracked, plain]]);
    }
    let mut ways = vec![vec![plain]];
    for test in tests {
        let mut way = tracked.clone();
        way.push(test);
        ways.push(way);
    }
    c.b.any(ways)
}

fn unknown_test(c: &mut Context<'_>, test: &Test) -> Term {
    c.opaque_test(test, ConditionKind::Pure, TRACKER);
    c.terms.pop().unwrap_or(Term::NEVER)
}

fn complement(c: &Context<'_>, field: Field, set: IntervalSet, negated: bool) -> IntervalSet {
    match field {
        _ if !negated => set,
        Field::Src | Field::Dst => c.addresses().minus(&set),
        _ => field.complement(&set),
    }
}

// The address from which, or to which, the connection was opened.
fn original_address(c: &mut Context<'_>, test: &Test, field: Field) -> Lowered<()> {
    let set = match c.at(test.args[0], values::address(c.arg(test, 0), c.v6))? {
        Address::V4(lo, hi) => IntervalSet::range(addr::v4(lo), addr::v4(hi)),
        Address::Set(set) => set,
        _ => {
            c.opaque_test(test, ConditionKind::Pure, TRACKER);
            return Ok(());
        }
    };
    let unknown = unknown_test(c, test);
    let set = complement(c, field, set, test.negated);
    let exact = vec![vec![Term::Original(field, c.b.set(set))]];
    let any = record_test(c, exact, unknown);
    c.push(any);
    Ok(())
}

// The port from which, or to which, the connection was opened.
fn original_port(c: &mut Context<'_>, test: &Test, field: Field) -> Lowered<()> {
    let (lo, hi) = c.at(test.args[0], values::ports(c.arg(test, 0)))?;
    let unknown = unknown_test(c, test);
    let set = complement(c, field, IntervalSet::range(lo, hi), test.negated);
    let original = Term::Original(field, c.b.set(set));
    // Of other protocols a kernel may keep no ports: DCCP has no tracker since 6.17 (then its port is 0 in the record), that of UDP-Lite is optional.
    let recorded: IntervalSet = [proto::TCP, proto::UDP, proto::SCTP].into_iter().map(u128::from).collect();
    let others = c.b.field(Field::Proto, Field::Proto.complement(&recorded));
    let recorded = c.b.field(Field::Proto, recorded);
    let exact = vec![vec![others, unknown], vec![recorded, original]];
    let any = record_test(c, exact, unknown);
    c.push(any);
    Ok(())
}

// A packet that opens a connection goes in its original direction.
fn direction(c: &mut Context<'_>, test: &Test) -> Lowered<()> {
    let exact = match c.arg(test, 0).to_ascii_uppercase().as_slice() {
        b"ORIGINAL" => vec![vec![]],
        b"REPLY" => vec![],
        _ => return Err(c.problem(test.args[0], "no direction").help("ORIGINAL or REPLY")),
    };
    let unknown = unknown_test(c, test);
    let any = record_test(c, exact, unknown);
    c.push(any);
    Ok(())
}

// The protocol of the connection: that of the packet, except in an ICMP error about another one.
fn ctproto(c: &mut Context<'_>, test: &Test) -> Lowered<()> {
    let Some(number) = values::protocol(c.arg(test, 0)).filter(|n| *n != 0) else {
        return Err(c.problem(test.args[0], "no protocol to match"));
    };
    let set = IntervalSet::single(number);
    let set = if test.negated { Field::Proto.complement(&set) } else { set };
    let proto = c.b.field(Field::Proto, set);
    let own = c.state_in(NEW | ESTABLISHED);
    let related = c.state_in(RELATED);
    let text = format!("-m conntrack --ctproto {number}");
    let opaque = c.b.opaque(&text, TRACKER, test.negated, c.origin);
    let any = c.b.any(vec![vec![own, proto], vec![related, opaque]]);
    c.push(any);
    Ok(())
}
