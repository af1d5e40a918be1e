//! Translations.

use super::rule::Flow;
use super::subject::Subject;
use super::values::Constant;
use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::model::{TranslatedEnd, Translation};
use crate::packet::{Value, addr};

impl<'a> Lower<'a> {
    pub(super) fn nat(&mut self, state: &mut RuleState, nat: &Nat<'a>) -> Parsed<Flow> {
        self.settle(state);
        if let Some(f) = nat.family {
            state.conj.of_family(f);
        }
        // One map gives address and port, or the port alone.
        let map = match (&nat.address, &nat.port) {
            (Some(Expr { kind: ExprKind::Map(key, map), .. }), _) => Some((key, map, true)),
            (_, Some(Expr { kind: ExprKind::Map(key, map), .. })) => Some((key, map, false)),
            _ => None,
        };
        let Some((key, map, gives_address)) = map else {
            let conj = state.conj.clone();
            self.translate(state, nat, nat.address.as_ref(), nat.port.as_ref(), conj, state.at)?;
            return Ok(Flow::Ends);
        };
        let fixed_port = if gives_address { nat.port.as_ref() } else { None };
        let mapping = self.each_value(state, key, map, &mut |this, state, conj, value, at| {
            let (address, port) = match (&value.kind, gives_address) {
                (ExprKind::Concat(parts), true) if parts.len() == 2 => (Some(&parts[0]), Some(&parts[1])),
                (_, true) => (Some(value), fixed_port),
                (_, false) => (nat.address.as_ref(), Some(value)),
            };
            this.translate(state, nat, address, port, conj, at)
        })?;
        if let Some((why, text)) = &mapping.unknown {
            let (why, text) = (*why, text.clone());
            let mut conj = state.conj.clone();
            self.volatile_term(state, &mut conj, &text, why, false);
            let anything = Translation { address: self.anywhere(state, nat), ..plain(nat) };
            self.emit_translation(state, conj, anything, state.at);
        }
        // A miss ends the rule.
        Ok(Flow::Ends)
    }

    fn translate(
        &mut self,
        state: &RuleState,
        nat: &Nat<'a>,
        address: Option<&Expr<'a>>,
        port: Option<&Expr<'a>>,
        mut conj: Conjunction,
        at: Origin,
    ) -> Parsed<()> {
        let mut t = plain(nat);
        if let Some(e) = address {
            t.address = match self.address(state, nat, e)? {
                Some((lo, hi)) => {
                    conj.of_family(addr::family(lo));
                    Some((lo, hi))
                }
                None => {
                    self.unclear = true;
                    self.anywhere(state, nat)
                }
            };
            t.netmap = nat.prefix;
        }
        if let Some(e) = port {
            let computed = Subject::of(e).is_some() || matches!(e.kind, ExprKind::Map(..));
            t.port = Some(match computed {
                // A second map, or a number made from the packet: any port.
                true => {
                    self.unclear = true;
                    (0, u16::MAX)
                }
                false => match self.constant(Type::Port, e)? {
                    Constant::Values(lo, hi) => (lo as u16, hi as u16),
                    Constant::Name(n) => {
                        return Err(SyntaxError::new(e.at, format!("`{n}` is no service known here")));
                    }
                },
            });
        }
        self.emit_translation(state, conj, t, at);
        Ok(())
    }

    fn emit_translation(&mut self, state: &RuleState, conj: Conjunction, t: Translation, at: Origin) {
        let id = self.b.translation(t);
        let bare = RuleState { effects: Vec::new(), conj: Conjunction::default(), ..*state };
        self.emit_with(&bare, conj, Action::Translate(id), at);
    }

    // The new address; `None` if it is not known.
    fn address(&self, state: &RuleState, nat: &Nat<'a>, e: &Expr<'a>) -> Parsed<Option<(Value, Value)>> {
        if Subject::of(e).is_some() {
            return Ok(None);
        }
        let families: Vec<Family> = match nat.family.or(state.conj.family) {
            Some(f) => vec![f],
            None => state.families.to_vec(),
        };
        let mut first_error = None;
        for f in families {
            match self.constant(Type::Address(f), e) {
                Ok(Constant::Values(lo, hi)) => return Ok(Some((lo, hi))),
                Ok(Constant::Name(_)) => return Ok(None),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    // Any address that the translation could give.
    fn anywhere(&self, state: &RuleState, nat: &Nat<'a>) -> Option<(Value, Value)> {
        let family = nat.family.or(state.conj.family).or(state.families.first().copied())?;
        let all = family.all();
        Some((all.first()?, all.last()?))
    }
}

fn plain(nat: &Nat<'_>) -> Translation {
    let end = if nat.source { TranslatedEnd::Source } else { TranslatedEnd::Destination };
    Translation { own: nat.own, ..Translation::of(end) }
}
