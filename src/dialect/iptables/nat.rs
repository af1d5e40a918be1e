//! Targets that reject or translate.

use super::context::{Context, Lowered};
use super::syntax::Test;
use super::values::{self, Address};
use crate::model::{Action, Hook, TranslatedEnd, Translation};
use crate::packet::addr::{self, Family};
use crate::packet::{IntervalSet, Value, proto};

/// An error if a target stands in a table that does not have it.
pub(super) fn only_in(c: &Context<'_>, owner: usize, tables: &[&str]) -> Lowered<()> {
    if tables.contains(&c.table.name) {
        return Ok(());
    }
    let used = c.command.spec.uses[owner];
    let message = format!(
        "`{}` stands only in table {}, this is {}",
        used.extension.name,
        tables.join(" or "),
        c.table.name
    );
    Err(c.problem(used.word, message))
}

pub(super) fn only_at(c: &Context<'_>, owner: usize, hooks: &[Hook]) -> Lowered<()> {
    match c.hook {
        Some(h) if !hooks.contains(&h) => {
            let used = c.command.spec.uses[owner];
            Err(c.problem(used.word, format!("`{}` cannot be used in this chain", used.extension.name)))
        }
        _ => Ok(()),
    }
}

// Kinds of answers, with their old names (iptables-extensions(8)).
const REJECT_V4: &[&str] = &[
    "icmp-net-unreachable",
    "net-unreach",
    "icmp-host-unreachable",
    "host-unreach",
    "icmp-proto-unreachable",
    "proto-unreach",
    "icmp-port-unreachable",
    "port-unreach",
    "icmp-net-prohibited",
    "net-prohib",
    "icmp-host-prohibited",
    "host-prohib",
    "tcp-reset",
    "tcp-rst",
    "icmp-admin-prohibited",
    "admin-prohib",
    "echo-reply",
    "echoreply",
];
const REJECT_V6: &[&str] = &[
    "icmp6-no-route",
    "no-route",
    "icmp6-adm-prohibited",
    "adm-prohibited",
    "icmp6-addr-unreachable",
    "addr-unreach",
    "icmp6-port-unreachable",
    "port-unreach",
    "tcp-reset",
    "icmp6-policy-fail",
    "policy-fail",
    "icmp6-reject-route",
    "reject-route",
];

/// `-j REJECT`.
pub(super) fn reject(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["filter"])?;
    for test in c.tests(owner) {
        let shown = c.words.shown(test.args[0]);
        let known = if c.v6 { REJECT_V6 } else { REJECT_V4 };
        // A whole name, or its beginning.
        if !known.iter().any(|k| k.starts_with(&shown) && !shown.is_empty()) {
            let p = c.problem(test.args[0], format!("`{shown}` is no answer of REJECT"));
            return Err(match super::syntax::nearest(&shown, known.iter().copied()) {
                Some(n) => p.help(format!("did you mean `{n}`?")),
                None => p.help("such as icmp-port-unreachable, icmp6-port-unreachable or tcp-reset"),
            });
        }
        let is_tcp = c
            .command
            .spec
            .proto
            .is_some_and(|p| !p.negated && values::protocol(c.words.text(p.value)) == Some(proto::TCP));
        if shown.starts_with("tcp-r") && !is_tcp {
            return Err(c.problem(test.args[0], "`tcp-reset` needs `-p tcp` in the same rule"));
        }
    }
    Ok(Action::Reject)
}

/// `-j DNAT`.
pub(super) fn dnat(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    only_at(c, owner, &[Hook::Prerouting, Hook::Output])?;
    address_translation(c, owner, TranslatedEnd::Destination, "to-destination")
}

/// `-j SNAT`.
pub(super) fn snat(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    only_at(c, owner, &[Hook::Postrouting, Hook::Input])?;
    address_translation(c, owner, TranslatedEnd::Source, "to-source")
}

fn address_translation(
    c: &mut Context<'_>,
    owner: usize,
    end: TranslatedEnd,
    option: &str,
) -> Lowered<Action> {
    let mut given = c.tests(owner).filter(|t| t.option.canonical == option);
    let (first, second) = (given.next(), given.next());
    let used = c.command.spec.uses[owner];
    let Some(test) = first else {
        return Err(c.problem(used.word, format!("`-j {}` needs `--{option}`", used.extension.name)));
    };
    if let Some(second) = second {
        return Err(c.problem(second.word, "a second address").help("kernels since 2.6.11 take one range"));
    }
    let mut t = Translation::of(end);
    endpoint(c, &test, &mut t)?;
    Ok(translate(c, t))
}

pub(super) fn translate(c: &mut Context<'_>, t: Translation) -> Action {
    Action::Translate(c.b.translation(t))
}

// `[ADDR[-ADDR]][:PORT[-PORT[/BASE]]]`, an IPv6 address with ports in brackets.
fn endpoint(c: &Context<'_>, test: &Test, t: &mut Translation) -> Lowered<()> {
    let word = test.args[0];
    let text = c.arg(test, 0);
    let (addresses, ports) = split_ports(text, c.v6);
    if !addresses.is_empty() {
        let (lo, hi) = c.at(word, values::address_range(&addresses, c.v6))?;
        if lo > hi {
            return Err(c.problem(word, "the range of addresses is reversed"));
        }
        t.address = Some((lo, hi));
    }
    let Some(ports) = ports else {
        return match t.address {
            Some(_) => Ok(()),
            None => Err(c.problem(word, "neither an address nor a port")),
        };
    };
    needs_ports(c, word)?;
    let mut halves = ports.splitn(2, |b| *b == b'/');
    let range = c.at(word, values::translated_ports(halves.next().unwrap_or_default()))?;
    if range.0 > range.1 {
        return Err(c.problem(word, "the range of ports is reversed"));
    }
    t.port = Some(range);
    if let Some(base) = halves.next() {
        let (base, _) = c.at(word, values::translated_ports(base))?;
        t.port_from = Some((base, base.saturating_add(range.1 - range.0)));
    }
    Ok(())
}

fn split_ports(text: &[u8], v6: bool) -> (Vec<u8>, Option<&[u8]>) {
    if !v6 {
        return match memchr::memchr(b':', text) {
            Some(i) => (text[..i].to_vec(), Some(&text[i + 1..])),
            None => (text.to_vec(), None),
        };
    }
    let bare = |t: &[u8]| t.iter().copied().filter(|b| !b"[]".contains(b)).collect();
    match memchr::memmem::rfind(text, b"]:") {
        Some(i) => (bare(&text[..i]), Some(&text[i + 2..])),
        None if text.first() == Some(&b':') && text.get(1) != Some(&b':') => (Vec::new(), Some(&text[1..])),
        None => (bare(text), None),
    }
}

// Ports are translated for protocols that have them; the kernel checks it when the rule is loaded.
fn needs_ports(c: &Context<'_>, word: usize) -> Lowered<()> {
    let fits = c.command.spec.proto.is_some_and(|p| {
        let number = values::protocol(c.words.text(p.value)).unwrap_or(0);
        !p.negated
            && (proto::WITH_PORTS.contains(&number) || number == proto::ICMP || number == proto::ICMPV6)
    });
    if fits {
        return Ok(());
    }
    Err(c
        .problem(word, "ports are translated only with a protocol that has them")
        .help("add `-p tcp` or `-p udp`"))
}

fn ports_only(c: &Context<'_>, owner: usize, t: &mut Translation) -> Lowered<()> {
    if let Some(test) = c.command.spec.find(owner, "to-ports").copied() {
        needs_ports(c, test.args[0])?;
        let range = c.at(test.args[0], values::translated_ports(c.arg(&test, 0)))?;
        if range.0 > range.1 {
            return Err(c.problem(test.args[0], "the range of ports is reversed"));
        }
        t.port = Some(range);
    }
    Ok(())
}

/// `-j REDIRECT`: to the address of the interface that the packet came by, or the loopback address.
pub(super) fn redirect(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    only_at(c, owner, &[Hook::Prerouting, Hook::Output])?;
    let mut t = Translation { own: true, ..Translation::of(TranslatedEnd::Destination) };
    ports_only(c, owner, &mut t)?;
    Ok(translate(c, t))
}

/// `-j MASQUERADE`: from the address of the interface that the packet leaves by.
pub(super) fn masquerade(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    only_at(c, owner, &[Hook::Postrouting])?;
    let mut t = Translation { own: true, ..Translation::of(TranslatedEnd::Source) };
    ports_only(c, owner, &mut t)?;
    Ok(translate(c, t))
}

/// `-j NETMAP`: the destination in PREROUTING and OUTPUT, the source in POSTROUTING and INPUT (xt_NETMAP.c).
pub(super) fn netmap(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    let Some(test) = c.command.spec.find(owner, "to").copied() else {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, "`-j NETMAP` needs `--to`"));
    };
    let set = match c.at(test.args[0], values::address(c.arg(&test, 0), c.v6))? {
        Address::V4(lo, hi) => IntervalSet::range(addr::v4(lo), addr::v4(hi)),
        Address::Set(set) => set,
        _ => IntervalSet::EMPTY,
    };
    let prefix: Option<(Value, Value)> = match set.ranges() {
        [one] => Some(*one),
        _ if set == Family::V6.all() => Some((0, Value::MAX)),
        _ => None,
    };
    let Some(prefix) = prefix else {
        return Err(c.problem(test.args[0], "no network prefix"));
    };
    let end = match c.hook {
        Some(Hook::Prerouting | Hook::Output) => TranslatedEnd::Destination,
        Some(_) => TranslatedEnd::Source,
        None => TranslatedEnd::Destination,
    };
    Ok(either_end(c, Translation { address: Some(prefix), netmap: true, ..Translation::of(end) }))
}

// A translation whose end the hook decides. A chain of one's own has none: the end is settled when it is known who jumps there.
pub(super) fn either_end(c: &mut Context<'_>, t: Translation) -> Action {
    let action = translate(c, t);
    if let (None, Action::Translate(id)) = (c.hook, action) {
        c.by_hook.push((c.chain, id));
    }
    action
}
