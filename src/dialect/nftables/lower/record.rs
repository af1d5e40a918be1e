//! What the record of a connection tells, beside its state: whether it was translated, and the packet's direction in it.

use super::subject::Subject;
use super::*;
use crate::model::Term;
use crate::packet::{ConnState, IntervalSet, Value};

// Bits of `ct status` (`IPS_SRC_NAT`, `IPS_DST_NAT`; nf_conntrack_common.h), and who keeps them.
const TRANSLATED: [(Value, Register); 2] = [(0x10, Register::SrcNat), (0x20, Register::DstNat)];

fn translated() -> Value {
    TRANSLATED.iter().fold(0, |all, (bit, _)| all | bit)
}

impl<'a> Lower<'a> {
    /// A comparison that can be told; false if it cannot. That the packet has a record at all is asked elsewhere.
    pub(super) fn record_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        op: Op,
        (lo, hi): (Value, Value),
    ) -> bool {
        if subject.strange.is_some() || lo != hi {
            return false;
        }
        match (&*subject.selector.text, &subject.operations[..], op) {
            ("ct direction", [], Op::Implicit | Op::Equal | Op::NotEqual) if lo <= 1 => {
                self.direction_term(rule, conj, (lo == 0) == (op != Op::NotEqual));
                true
            }
            // The whole word. With a bit of a translation goes one that says that it is done (nf_nat_setup_info): it is never these alone.
            ("ct status", [], Op::Equal | Op::NotEqual) if lo != 0 && lo & !translated() == 0 => {
                if op == Op::Equal {
                    conj.refuse();
                }
                true
            }
            // Any of the bits.
            ("ct status", [], Op::Implicit) => self.translated_term(conj, lo, 0, true),
            ("ct status", [], Op::NoneOf) => self.translated_term(conj, lo, 0, false),
            ("ct status", [(BitOp::And, mask)], Op::Implicit | Op::Equal | Op::NotEqual)
                if lo & !mask == 0 =>
            {
                self.translated_term(conj, *mask, lo, op == Op::NotEqual)
            }
            _ => false,
        }
    }

    // The bits of a mask have (or, `differ`, have not) a value.
    fn translated_term(&mut self, conj: &mut Conjunction, mask: Value, value: Value, differ: bool) -> bool {
        if mask == 0 || mask & !translated() != 0 {
            return false;
        }
        let bits: Vec<Term> = TRANSLATED
            .iter()
            .filter(|(bit, _)| mask & bit != 0)
            .map(|(bit, register)| {
                let wanted = u32::from((value & bit != 0) != differ);
                self.b.register(*register, wanted, 1, false)
            })
            .collect();
        match (differ, bits.len()) {
            (true, 2..) => {
                let any = self.b.any(bits.into_iter().map(|t| vec![t]).collect());
                conj.term(any);
            }
            _ => bits.into_iter().for_each(|t| conj.term(t)),
        }
        true
    }

    // A packet that opens a connection goes in the direction of the record; of others the record tells.
    fn direction_term(&mut self, rule: &RuleState, conj: &mut Conjunction, original: bool) {
        self.unclear = true;
        let why = "the record of the connection tells which end opened it";
        let condition = self.b.condition("ct direction original", why, ConditionKind::Pure, rule.at);
        let open: IntervalSet =
            [ConnState::Established, ConnState::Related].map(ConnState::value).into_iter().collect();
        let open = self.b.field(Field::State, open);
        let mut ways = vec![vec![open, Term::opaque(condition, !original)]];
        if original {
            ways.push(vec![self.b.field(Field::State, IntervalSet::single(ConnState::New.value()))]);
        }
        let any = self.b.any(ways);
        conj.term(any);
    }
}
