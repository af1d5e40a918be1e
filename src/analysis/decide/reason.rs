//! Why something is not certain, and who decided: tables that cells point into.

use super::cell::{Cell, List, MAX_LIST, add};
use super::hull::{Seen, seen};
use super::walk::{Here, Walk};
use crate::analysis::evaluate::{Because, Decider, type_names};
use crate::analysis::{Fact, Verdict};
use crate::model::*;
use crate::packet::Field;
use crate::source::Origin;

/// A reason, without the rule that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    Condition(ConditionId),
    AddressType(Field, u8),
    Label(LabelId),
    Register(Register),
    Among(Field),
    Original(Field),
    Masked(Field),
    Loop(ChainId),
    Budget,
}

impl<'a> Walk<'a> {
    /// Index of a reason given by a rule.
    pub(super) fn reason(&mut self, firewall: usize, why: Why, origin: Origin) -> u32 {
        let key = (firewall, why, origin);
        if let Some(i) = self.reason_index.get(&key) {
            return *i;
        }
        let (text, clause) = self.words(firewall, why);
        let i = self.reasons.len() as u32;
        let fact = match why {
            Why::Condition(c) => Some(Fact::Condition(firewall, c)),
            Why::AddressType(field, types) => Some(Fact::AddressType(field, types)),
            _ => None,
        };
        self.reasons.push(Because { firewall, text, why: clause, origin, fact });
        self.reason_index.insert(key, i);
        i
    }

    fn words(&self, firewall: usize, why: Why) -> (String, String) {
        let f = self.question.point.firewalls[firewall];
        let (text, clause) = match why {
            Why::Condition(c) => return (f.condition(c).text.clone(), f.condition(c).why.clone()),
            Why::AddressType(field, types) => (
                format!("address type of the {}: {}", field_name(field), type_names(AddressTypes(types))),
                "the machine's own addresses are not declared",
            ),
            Why::Label(l) => {
                (format!("group {} is attached", f.labels[l.index()]), "the attached groups are not declared")
            }
            Why::Register(r) => (register_name(r).to_owned(), "its value depends on what happened before"),
            Why::Among(field) => {
                (format!("{} after a rule changed it", field_name(field)), "its new value is not known")
            }
            Why::Masked(field) => (
                format!("bits of the {}", field_name(field)),
                "there are too many addresses to look at each: ask for fewer",
            ),
            Why::Original(field) => (
                format!("{} before any translation", field_name(field)),
                "a rule changed it before the connection was recorded",
            ),
            Why::Loop(c) => {
                (format!("chain {} jumps back to itself", f.chain(c).name), "no kernel loads such a loop")
            }
            Why::Budget => ("too many cases to decide".to_owned(), "ask for a smaller flow"),
        };
        (text, clause.to_owned())
    }

    /// Index of a decider.
    pub(super) fn decider(&mut self, decider: Decider) -> u32 {
        *self.decider_index.entry(decider).or_insert_with(|| {
            self.deciders.push(decider);
            self.deciders.len() as u32 - 1
        })
    }

    /// Who decides about a cell: the rule, or of a run the first ones that ask for values of the cell, where rules see those that arrived.
    pub(super) fn deciders_of(
        &mut self,
        here: &Here<'a>,
        (chain, index, run): (ChainId, usize, Option<&Run>),
        cell: &Cell,
        verdict: Verdict,
    ) -> List {
        let mut list = None;
        if let Some(run) = run.filter(|r| self.arrives(here, cell, r.field)) {
            let rules = &here.f.chain(chain).rules[run.first..run.end];
            let values = cell.region.get(run.field);
            let asks = |r: &Rule| match here.f.terms(r.terms)[run.at] {
                Term::In(_, set) => here.f.sets.get(set).intersects(values),
                ref other => here.f.field_set(other).is_some_and(|(_, set)| set.intersects(values)),
            };
            for i in (run.first..).zip(rules).filter(|(_, r)| asks(r)).map(|(i, _)| i).take(MAX_LIST) {
                let decider = self.rule_decider(here, chain, i, verdict);
                list = add(&list, decider);
            }
        }
        list.or_else(|| add(&None, self.rule_decider(here, chain, index, verdict)))
    }

    // Whether rules see a field as it arrived.
    fn arrives(&self, here: &Here<'a>, cell: &Cell, field: Field) -> bool {
        matches!(seen(field, &self.state(cell.state).views[field.index()], here.sees), Seen::Same)
    }

    /// A rule that decides.
    pub(super) fn rule_decider(
        &mut self,
        here: &Here<'a>,
        chain: ChainId,
        index: usize,
        verdict: Verdict,
    ) -> u32 {
        let rule = &here.f.chain(chain).rules[index];
        self.decider(Decider {
            firewall: here.firewall,
            hook: here.base.hook,
            chain,
            rule: Some(index),
            origin: rule.origin,
            note: rule.note,
            verdict,
        })
    }

    /// The policy of a base chain, as decider.
    pub(super) fn policy_decider(&mut self, here: &Here<'a>, verdict: Verdict) -> u32 {
        self.decider(Decider {
            firewall: here.firewall,
            hook: here.base.hook,
            chain: here.base.chain,
            rule: None,
            origin: here.base.policy_origin,
            note: here.base.policy_note,
            verdict,
        })
    }
}

/// A field in words, as reasons name it.
pub fn field_name(field: Field) -> &'static str {
    match field {
        Field::Iif => "input interface",
        Field::Oif => "output interface",
        Field::State => "connection state",
        Field::Src => "source address",
        Field::Dst => "destination address",
        Field::Proto => "protocol",
        Field::Sport => "source port",
        Field::Dport => "destination port",
        Field::Icmp => "ICMP type",
        Field::TcpFlags => "TCP flags",
        Field::Mac => "hardware address",
    }
}

/// A register in words.
pub(in crate::analysis) fn register_name(register: Register) -> &'static str {
    match register {
        Register::Mark => "packet mark",
        Register::ConnMark => "connection mark",
        Register::Tag => "tag",
        Register::DstNat => "translation of the connection's destination",
        Register::SrcNat => "translation of the connection's source",
    }
}
