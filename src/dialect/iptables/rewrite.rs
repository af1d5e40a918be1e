//! Targets that write addresses without the connection tracker, and those that hand a packet to a process of the box.

use super::context::{Context, Lowered};
use super::nat::{either_end, only_at, only_in, translate};
use super::syntax::Test;
use super::values::{self, Address};
use crate::model::{Action, ConditionKind, Effect, Hook, Register, Term, TranslatedEnd, Translation};
use crate::packet::addr;
use crate::packet::{Field, IntervalSet, proto};

/// `-j TPROXY`: where a socket listens, the packet gets the mark, keeps its destination and is delivered here; else it is dropped
/// (xt_TPROXY.c, `tproxy_tg4`).
pub(super) fn tproxy(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["mangle"])?;
    only_at(c, owner, &[Hook::Prerouting])?;
    let used = c.command.spec.uses[owner].word;
    let carried = c.command.spec.proto.is_some_and(|p| {
        let number = values::protocol(c.words.text(p.value));
        !p.negated && matches!(number, Some(proto::TCP | proto::UDP))
    });
    if !carried {
        return Err(c.problem(used, "`-j TPROXY` needs `-p tcp` or `-p udp` in the same rule"));
    }
    if c.command.spec.find(owner, "on-port").is_none() {
        return Err(c.problem(used, "`-j TPROXY` needs `--on-port`"));
    }
    let mut effects = Vec::new();
    if let Some(test) = c.command.spec.find(owner, "tproxy-mark").copied() {
        let (value, mask) = c.at(test.args[0], values::mark(c.arg(&test, 0)))?;
        // mark = (mark & !mask) ^ value
        effects.push(Effect::Write { register: Register::Mark, mask: mask.unwrap_or(u32::MAX), value });
    }
    effects.push(Effect::Deliver);
    let text = c.joint_text(owner);
    let why = "a transparent proxy takes the packet where one listens, else it is dropped";
    let listens = c.b.condition(&text, why, ConditionKind::Pure, c.origin);
    let chain = c.b.chain(c.table.name, &text, c.origin);
    let mut taken =
        c.b.implicit(c.origin, &[Term::opaque(listens, false)], Action::Accept, "a proxy takes the packet");
    taken.effects = c.b.effects(&effects);
    c.b.push(chain, taken);
    let dropped = c.b.implicit(c.origin, &[], Action::Drop, "no proxy listens for the packet");
    c.b.push(chain, dropped);
    Ok(Action::Jump(chain))
}

// A prefix as from–to.
fn prefix(c: &Context<'_>, test: &Test) -> Lowered<IntervalSet> {
    match c.at(test.args[0], values::address(c.arg(test, 0), c.v6))? {
        Address::V4(lo, hi) => Ok(IntervalSet::range(addr::v4(lo), addr::v4(hi))),
        Address::Set(set) => Ok(set),
        _ => Err(c.problem(test.args[0], "no network prefix")),
    }
}

// Stateless translation of a prefix: the new address is one of the other prefix, chosen so that checksums stay right (RFC 6296;
// ip6t_NPT.c). Which of them is not said here.
fn prefix_translation(c: &mut Context<'_>, owner: usize, field: Field) -> Lowered<Action> {
    only_in(c, owner, &["mangle"])?;
    let Some(test) = c.command.spec.find(owner, "dst-pfx").copied() else {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, format!("`-j {}` needs `--dst-pfx`", used.extension.name)));
    };
    let to = prefix(c, &test)?;
    let effect = c.b.rewrite(field, Some(to));
    c.effects.push(effect);
    Ok(Action::Continue)
}

/// `-j SNPT`.
pub(super) fn snpt(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_at(c, owner, &[Hook::Input, Hook::Postrouting])?;
    prefix_translation(c, owner, Field::Src)
}

/// `-j DNPT`.
pub(super) fn dnpt(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_at(c, owner, &[Hook::Prerouting, Hook::Output])?;
    prefix_translation(c, owner, Field::Dst)
}

// `-j RAWDNAT --to-destination ADDRESS[/LENGTH]` of xtables-addons: the bits of the prefix are written, the rest stays.
fn raw(c: &mut Context<'_>, owner: usize, option: &str, field: Field) -> Lowered<Action> {
    only_in(c, owner, &["raw"])?;
    let Some(test) = c.command.spec.find(owner, option).copied() else {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, format!("`-j {}` needs `--{option}`", used.extension.name)));
    };
    let to = prefix(c, &test)?;
    let effect = c.b.rewrite(field, Some(to));
    c.effects.push(effect);
    Ok(Action::Continue)
}

/// `-j RAWDNAT`.
pub(super) fn rawdnat(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    raw(c, owner, "to-destination", Field::Dst)
}

/// `-j RAWSNAT`.
pub(super) fn rawsnat(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    raw(c, owner, "to-source", Field::Src)
}

/// `-j SAME`, of kernels before 2.6.25: one address of some ranges, the same for one client; the destination in PREROUTING, the source in
/// POSTROUTING (ipt_SAME.c).
pub(super) fn same(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    only_in(c, owner, &["nat"])?;
    only_at(c, owner, &[Hook::Prerouting, Hook::Postrouting])?;
    let tests = c.tests(owner).filter(|t| t.option.canonical == "to");
    let mut ranges = Vec::new();
    for test in tests {
        ranges.push(c.at(test.args[0], values::address_range(c.arg(&test, 0), c.v6))?);
    }
    if ranges.is_empty() {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, "`-j SAME` needs `--to`"));
    }
    let end = match c.hook {
        Some(Hook::Postrouting) => TranslatedEnd::Source,
        _ => TranslatedEnd::Destination,
    };
    let pool = c.b.set(IntervalSet::from_ranges(ranges));
    let t = Translation { one_of: Some(pool), ..Translation::of(end) };
    Ok(if c.hook.is_some() { translate(c, t) } else { either_end(c, t) })
}
