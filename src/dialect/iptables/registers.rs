//! Marks of packets and connections, connection tracking, sets that rules change.

use super::context::{Context, Lowered};
use super::syntax::Test;
use super::{record, values};
use crate::model::{Action, ConditionKind, Effect, Register, Term};

fn mark_value(c: &Context<'_>, test: &Test) -> Lowered<(u32, Option<u32>)> {
    c.at(test.args[0], values::mark(c.arg(test, 0)))
}

/// `-m mark`.
pub(super) fn mark_match(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let (value, mask) = mark_value(c, &test)?;
        let term = c.b.register(Register::Mark, value, mask.unwrap_or(u32::MAX), test.negated);
        c.push(term);
    }
    Ok(())
}

/// `-m connmark`: fails without a connection record, negated too (xt_connmark.c, `connmark_mt`).
pub(super) fn connmark_match(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    let tracked = record::tracked(c);
    c.terms.extend(tracked);
    for test in c.tests(owner) {
        let (value, mask) = mark_value(c, &test)?;
        let term = c.b.register(Register::ConnMark, value, mask.unwrap_or(u32::MAX), test.negated);
        c.push(term);
    }
    Ok(())
}

/// `-m socket --restore-skmark` writes the mark when it matches; the rest is a matter of local sockets.
pub(super) fn socket(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let text = c.joint_text(owner);
    let id = c.b.condition(&text, "depends on the local process or socket", ConditionKind::Pure, c.origin);
    if c.command.spec.find(owner, "restore-skmark").is_some() {
        c.effects.push(Effect::Forget(Register::Mark, id));
    }
    c.push(Term::opaque(id, false));
    Ok(())
}

// What an assignment of a mark does: bits that are cleared, bits that are then flipped.
fn assignment(c: &Context<'_>, test: &Test) -> Lowered<(u32, u32)> {
    let (value, mask) = mark_value(c, test)?;
    if mask.is_some() && !test.option.canonical.starts_with("set-") {
        return Err(c.problem(test.args[0], "a mask has no place here"));
    }
    Ok(match test.option.canonical {
        "set-xmark" => (mask.unwrap_or(u32::MAX), value),
        "set-mark" => (mask.unwrap_or(u32::MAX) | value, value),
        "and-mark" => (!value, 0),
        "or-mark" => (value, value),
        _ => (0, value),
    })
}

fn is_assignment(test: &Test) -> bool {
    matches!(test.option.canonical, "set-xmark" | "set-mark" | "and-mark" | "or-mark" | "xor-mark")
}

fn only_option(c: &Context<'_>, owner: usize, fits: impl Fn(&Test) -> bool) -> Lowered<Test> {
    let mut found = c.tests(owner).filter(|t| fits(t));
    let used = c.command.spec.uses[owner];
    match (found.next(), found.next()) {
        (Some(t), None) => Ok(t),
        (None, _) => {
            Err(c.problem(used.word, format!("`-j {}` needs to be told what to do", used.extension.name)))
        }
        (_, Some(t)) => Err(c.problem(t.word, "a second thing to do")),
    }
}

/// `-j MARK`.
pub(super) fn mark(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    let test = only_option(c, owner, |_| true)?;
    let (mask, value) = assignment(c, &test)?;
    c.effects.push(Effect::Write { register: Register::Mark, mask, value });
    Ok(Action::Continue)
}

/// `-j CONNMARK`: does nothing to a packet without a connection record (xt_connmark.c, `connmark_tg_shift`).
pub(super) fn connmark(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    let is_mask = |t: &Test| matches!(t.option.canonical, "nfmask" | "ctmask" | "mask");
    let test = only_option(c, owner, |t| !is_mask(t))?;
    let tracked = record::tracked(c);
    c.terms.extend(tracked);
    if is_assignment(&test) {
        let (mask, value) = assignment(c, &test)?;
        c.effects.push(Effect::Write { register: Register::ConnMark, mask, value });
        return Ok(Action::Continue);
    }
    let (mut nf, mut ct) = (u32::MAX, u32::MAX);
    for t in c.tests(owner).filter(is_mask) {
        let m = c.at(t.args[0], values::bounded(c.arg(&t, 0), u32::MAX.into()))? as u32;
        match t.option.canonical {
            "nfmask" => nf = m,
            "ctmask" => ct = m,
            _ => (nf, ct) = (m, m),
        }
    }
    let (from, to, source, target) = match test.option.canonical {
        "save-mark" => (Register::Mark, Register::ConnMark, nf, ct),
        "restore-mark" => (Register::ConnMark, Register::Mark, ct, nf),
        _ => {
            forget(c, owner, Register::ConnMark);
            return Ok(Action::Continue);
        }
    };
    // to = (to & !target) ^ (from & source)
    if source & !target != 0 {
        forget(c, owner, to);
        return Ok(Action::Continue);
    }
    if target & !source != 0 {
        c.effects.push(Effect::Write { register: to, mask: target & !source, value: 0 });
    }
    c.effects.push(Effect::Copy { from, to, mask: source });
    Ok(Action::Continue)
}

fn forget(c: &mut Context<'_>, owner: usize, register: Register) {
    let text = c.joint_text(owner);
    let id = c.b.condition(&text, "the mark is computed at run time", ConditionKind::Volatile, c.origin);
    c.effects.push(Effect::Forget(register, id));
}

/// `-j HMARK` and other targets that compute a mark.
pub(super) fn hmark(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    forget(c, owner, Register::Mark);
    Ok(Action::Continue)
}

/// `-j CT`.
pub(super) fn ct(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    raw_only(c, owner)?;
    if c.command.spec.find(owner, "notrack").is_some() {
        c.effects.push(Effect::Untrack);
    }
    Ok(Action::Continue)
}

/// `-j NOTRACK`.
pub(super) fn notrack(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    raw_only(c, owner)?;
    c.effects.push(Effect::Untrack);
    Ok(Action::Continue)
}

fn raw_only(c: &Context<'_>, owner: usize) -> Lowered<()> {
    super::nat::only_in(c, owner, &["raw"])
}

/// `-j SET --map-set … --map-mark` writes the mark; the sets themselves are known to change (see `set`).
pub(super) fn set_target(c: &mut Context<'_>, owner: usize) -> Lowered<Action> {
    if c.command.spec.find(owner, "map-mark").is_some() {
        forget(c, owner, Register::Mark);
    }
    Ok(Action::Continue)
}
