//! `selector set value`: marks and fields are followed; what the model does not hold is passed over.

use super::rule::Flow;
use super::subject::Subject;
use super::values::Constant;
use super::*;
use crate::dialect::nftables::selector::{Meaning, Selector};
use crate::packet::IntervalSet;

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
            Meaning::Field(_)
            | Meaning::AnyPort(_)
            | Meaning::Mac
            | Meaning::IcmpType
            | Meaning::IcmpCode => {
                self.settle(state);
                self.implied_by(state, target);
                self.write(state, selector, value)
            }
            Meaning::Opaque => {
                self.settle(state);
                // What is set of a connection is not compared: without one nothing happens.
                if !selector.text.starts_with("ct ") {
                    self.implied_by(state, target);
                }
                self.lookup(state, value)?;
                let touched = touched(&selector.text);
                state.effects.extend(touched.iter().map(|f| self.b.rewrite(*f, None)));
                self.unclear |= !touched.is_empty();
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

    // `ip saddr set 10.1.0.5`, `tcp dport set tcp dport map { … }`: what later rules see.
    fn write(&mut self, state: &mut RuleState, selector: &Selector<'a>, value: &Expr<'a>) -> Parsed<Flow> {
        let values = match &value.kind {
            ExprKind::Map(key, map) => {
                self.implied_by(state, key);
                let mapping = self.mapping(state, key, map)?;
                self.hit(state, &mapping)?;
                let known = mapping.unknown.is_none();
                let each = mapping.rows.iter().map(|r| match &r.value {
                    Some(MapValue::Expr(v)) if known => self.written(selector, v),
                    _ => None,
                });
                each.collect::<Option<Vec<_>>>().map(|sets| {
                    IntervalSet::from_ranges(sets.iter().flat_map(|s| s.ranges().iter().copied()))
                })
            }
            _ => {
                self.implied_by(state, value);
                self.written(selector, value)
            }
        };
        self.unclear |= values.as_ref().is_none_or(|v| v.count() > 1);
        let effect = match selector.meaning {
            Meaning::Field(field) | Meaning::AnyPort(field) => self.b.rewrite(field, values),
            Meaning::Mac => self.b.rewrite(Field::Mac, values),
            // The other half of the field stays what it is.
            Meaning::IcmpType => {
                let types = values.map(|v| {
                    IntervalSet::from_ranges(v.ranges().iter().map(|(lo, hi)| (lo << 8, hi << 8 | 0xff)))
                });
                self.b.rewrite(Field::Icmp, types)
            }
            _ => self.b.rewrite(Field::Icmp, None),
        };
        state.effects.push(effect);
        Ok(Flow::On)
    }

    // The values that an expression may give; `None` if they are not known.
    fn written(&self, selector: &Selector<'a>, value: &Expr<'a>) -> Option<IntervalSet> {
        if Subject::of(value).is_some() {
            return None;
        }
        match self.constant(selector.ty, value) {
            Ok(Constant::Values(lo, hi)) => Some(IntervalSet::range(lo, hi)),
            _ => None,
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

/// The fields of the model that a write to something else may change.
fn touched(text: &str) -> Vec<Field> {
    const CARRIED: [Field; 4] = Field::CARRIED;
    let number = |word: Option<&str>| word.and_then(|w| w.parse::<u32>().ok());
    let mut words = text.strip_prefix('@').unwrap_or_default().split(',');
    match (words.next().unwrap_or_default(), number(words.next()), number(words.next())) {
        ("ll", Some(offset), Some(bits)) if offset < 96 && offset + bits > 48 => vec![Field::Mac],
        ("ll", ..) => Vec::new(),
        // Of the header of either family.
        ("nh", Some(offset), Some(bits)) => header_fields(offset, bits),
        ("nh", ..) => header_fields(0, 320),
        // Behind sequence numbers and flags nothing is looked at.
        ("th", Some(offset), _) if offset >= 112 => Vec::new(),
        ("th", ..) => CARRIED.to_vec(),
        ("ih", ..) => Vec::new(),
        _ => match text {
            // Where the next header begins, and which it is.
            "ip version" | "ip hdrlength" | "ip frag-off" | "ip6 version" | "ip6 length" | "ip length"
            | "frag nexthdr" | "hbh nexthdr" | "dst nexthdr" | "rt nexthdr" => {
                [Field::Proto].into_iter().chain(CARRIED).collect()
            }
            _ => Vec::new(),
        },
    }
}

// Fields of the model that lie in some bits of a network header, of whichever family it is.
fn header_fields(offset: u32, bits: u32) -> Vec<Field> {
    const PLACES: [(u32, u32, Field); 6] = [
        (72, 8, Field::Proto),
        (48, 8, Field::Proto),
        (96, 32, Field::Src),
        (64, 128, Field::Src),
        (128, 32, Field::Dst),
        (192, 128, Field::Dst),
    ];
    let mut out: Vec<Field> = PLACES
        .iter()
        .filter(|(start, length, _)| *start < offset.saturating_add(bits) && offset < start + length)
        .map(|(_, _, field)| *field)
        .collect();
    // Lengths say where the next header begins.
    if offset < 8 || offset < 64 && offset.saturating_add(bits) > 32 {
        out.extend(Field::CARRIED);
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn tests_itself(e: &Expr<'_>, register: Register) -> bool {
    match &e.kind {
        ExprKind::Selector(s) => s.meaning == Meaning::Register(register),
        ExprKind::Concat(parts) => parts.iter().any(|p| tests_itself(p, register)),
        ExprKind::Bits(_, a, b) => tests_itself(a, register) || tests_itself(b, register),
        _ => false,
    }
}
