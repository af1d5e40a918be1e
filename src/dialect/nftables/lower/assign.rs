//! `selector set value`: marks are followed; what the model does not hold is passed over; other changes of the packet are unknown.

use super::rule::Flow;
use super::subject::Subject;
use super::values::Constant;
use super::*;
use crate::dialect::nftables::selector::Meaning;

impl<'a> Lower<'a> {
    pub(super) fn assign(
        &mut self,
        state: &mut RuleState,
        target: &Expr<'a>,
        value: &Expr<'a>,
    ) -> Parsed<Flow> {
        let ExprKind::Selector(selector) = &target.kind else {
            return Err(SyntaxError::new(target.at, "only a selector can be set"));
        };
        match selector.meaning {
            Meaning::Register(register) => self.assign_register(state, register, value),
            Meaning::Opaque | Meaning::Mac => {
                self.settle(state);
                self.implied_by(state, target);
                self.lookup(state, value)?;
                Ok(Flow::On)
            }
            _ => {
                self.settle(state);
                self.implied_by(state, target);
                let set_to = match self.constant(selector.ty, value) {
                    Ok(Constant::Values(lo, _)) => selector.ty.show(lo),
                    _ => show::expr(value),
                };
                let text = format!("{} set {set_to}", selector.text);
                Ok(self.unknown(state, &text, "the packet is changed in a way that is not modelled"))
            }
        }
    }

    /// A map that gives something of no consequence: a miss ends the rule all the same.
    pub(super) fn lookup(&mut self, state: &mut RuleState, value: &Expr<'a>) -> Parsed<()> {
        let ExprKind::Map(key, map) = &value.kind else {
            return Ok(());
        };
        self.implied_by(state, key);
        let mapping = self.mapping(state, key, map)?;
        self.hit(state, &mapping)
    }

    fn assign_register(
        &mut self,
        state: &mut RuleState,
        register: Register,
        value: &Expr<'a>,
    ) -> Parsed<Flow> {
        if let ExprKind::Map(key, map) = &value.kind {
            return self.assign_from_map(state, register, key, map);
        }
        // What the value is taken from has to be there.
        if Subject::of(value).is_some() {
            self.settle(state);
            self.implied_by(state, value);
        }
        let effects = self.register_effects(state, register, value)?;
        state.effects.extend(effects);
        Ok(Flow::On)
    }

    fn register_effects(
        &mut self,
        state: &RuleState,
        register: Register,
        value: &Expr<'a>,
    ) -> Parsed<Vec<Effect>> {
        let ty = crate::dialect::nftables::datatype::Type::named("mark")
            .unwrap_or(crate::dialect::nftables::datatype::Type::Text);
        let Some(subject) = Subject::of(value) else {
            return Ok(match self.constant(ty, value)? {
                Constant::Values(v, _) => {
                    vec![Effect::Write { register, mask: u32::MAX, value: v as u32 }]
                }
                Constant::Name(name) => vec![self.forget(state, register, &name)],
            });
        };
        let full = u128::from(u32::MAX);
        let from = match subject.selector.meaning {
            Meaning::Register(r) => r,
            _ => return Ok(vec![self.forget(state, register, &show::expr(value))]),
        };
        let Some((mask, flip)) = subject.mask_and_flip(full) else {
            return Ok(vec![self.forget(state, register, &show::expr(value))]);
        };
        let (mask, flip) = (mask as u32, flip as u32);
        if from == register {
            return Ok(vec![Effect::Write { register, mask: !mask, value: flip }]);
        }
        let mut out = vec![Effect::Copy { from, to: register, mask: u32::MAX }];
        if mask != u32::MAX || flip != 0 {
            out.push(Effect::Write { register, mask: !mask, value: flip });
        }
        Ok(out)
    }

    fn forget(&mut self, state: &RuleState, register: Register, text: &str) -> Effect {
        self.unclear = true;
        let why = "the value that is set is not followed";
        Effect::Forget(register, self.b.condition(text, why, ConditionKind::Volatile, state.at))
    }

    // `meta mark set ip saddr map { … }`: each element sets its value; a miss ends the rule.
    fn assign_from_map(
        &mut self,
        state: &mut RuleState,
        register: Register,
        key: &Expr<'a>,
        map: &Expr<'a>,
    ) -> Parsed<Flow> {
        self.settle(state);
        if state.conj.tests(&self.b, register) || tests_itself(key, register) {
            // Setting the mark for one element would change what the next one compares.
            self.implied_by(state, key);
            let text = format!("{} map {}", show::expr(key), show::expr(map));
            let effect = self.forget(state, register, &text);
            let mapping = self.mapping(state, key, map)?;
            self.hit(state, &mapping)?;
            state.effects.push(effect);
            return Ok(Flow::On);
        }
        let mapping = self.each_value(state, key, map, &mut |this, state, conj, value, at| {
            let effects = this.register_effects(state, register, value)?;
            let one = RuleState { effects, conj: Conjunction::default(), ..*state };
            this.emit_with(&one, conj, Action::Continue, at);
            Ok(())
        })?;
        self.hit(state, &mapping)?;
        if let Some((why, text)) = &mapping.unknown {
            self.unclear = true;
            let c = self.b.condition(text, why, ConditionKind::Volatile, state.at);
            state.effects.push(Effect::Forget(register, c));
        }
        Ok(Flow::On)
    }
}

fn tests_itself(e: &Expr<'_>, register: Register) -> bool {
    match &e.kind {
        ExprKind::Selector(s) => s.meaning == Meaning::Register(register),
        ExprKind::Concat(parts) => parts.iter().any(|p| tests_itself(p, register)),
        ExprKind::Bits(_, a, b) => tests_itself(a, register) || tests_itself(b, register),
        _ => false,
    }
}
