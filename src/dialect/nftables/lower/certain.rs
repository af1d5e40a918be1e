//! Comparisons of what the model does not hold whose outcome is certain all the same.

use super::subject::Subject;
use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::dialect::nftables::selector::{Meaning, Selector};
use crate::model::Term;
use crate::packet::{IntervalSet, Value, interface_value};

// The last second of a day.
const MIDNIGHT: Value = 86_399;

/// How the value of a selector relates to the wanted ones, whatever it is.
pub(super) enum Outcome {
    Always,
    Never,
}

/// Whether a value among all that the selector can have must be wanted, or cannot be. `None` = it depends.
///
/// Hours are left to [`whole_day`]: nft turns them from the zone in which it runs into UTC, and a bound of a day is none any more.
pub(super) fn outcome(subject: &Subject<'_>, wanted: &IntervalSet, negated: bool) -> Option<Outcome> {
    let s = &subject.selector;
    if s.meaning != Meaning::Opaque || subject.strange.is_some() || !subject.operations.is_empty() {
        return None;
    }
    if matches!(s.ty, Type::Text | Type::Hour | Type::Moment | Type::InterfaceName | Type::InterfaceIndex) {
        return None;
    }
    let (lo, hi) = s.bounds();
    let all = IntervalSet::range(lo, hi);
    let (every, none) = (wanted.covers(&all), !wanted.intersects(&all));
    match (every, none) {
        // What may be missing is compared with nothing then, and the rule ends.
        (true, _) if s.optional && !negated => None,
        (_, true) if s.optional && negated => None,
        (true, _) => Some(if negated { Outcome::Never } else { Outcome::Always }),
        (_, true) => Some(if negated { Outcome::Always } else { Outcome::Never }),
        _ => None,
    }
}

/// `meta hour "00:00"-"23:59:59"`: the whole day.
pub(super) fn whole_day(subject: &Subject<'_>, (lo, hi): (Value, Value)) -> bool {
    subject.selector.ty == Type::Hour && (lo, hi) == (0, MIDNIGHT)
}

/// Whether a selector asks if there is a route, and so has `exists` or `missing` as its value.
fn asks_for_route(s: &Selector<'_>) -> bool {
    s.text.starts_with("fib ") && s.text.ends_with(" oif")
}

impl<'a> Lower<'a> {
    /// Notes an outcome that is certain; false if it is not.
    pub(super) fn settled(
        &mut self,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        wanted: &IntervalSet,
        negated: bool,
    ) -> bool {
        match outcome(subject, wanted, negated) {
            None => return false,
            Some(Outcome::Always) => {}
            Some(Outcome::Never) => conj.refuse(),
        }
        true
    }

    /// `fib saddr . iif oif missing`: whether there is a route. Of what lo brings back there always is one (nft_fib_can_skip,
    /// nft_fib.h). False if something else is asked.
    pub(super) fn route_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        s: &Selector<'a>,
        value: Value,
        negated: bool,
    ) -> bool {
        if !asks_for_route(s) || value > 1 {
            return false;
        }
        self.unclear = true;
        let text = format!("{} missing", s.text);
        let (why, kind) = if s.text.starts_with("fib saddr ") {
            let why = "whether answers would go back where the packet came from is told by the routing table";
            (why, ConditionKind::ReversePath { unforged: false })
        } else {
            ("the routing table tells", ConditionKind::Pure)
        };
        let missing = self.b.condition(&text, why, kind, rule.at);
        let lo = IntervalSet::single(interface_value("lo").unwrap_or_default());
        if (value == 0) != negated {
            conj.field(&self.b, Field::Iif, conjunction::FieldSet::Owned(Field::Iif.complement(&lo)));
            conj.term(Term::opaque(missing, false));
        } else {
            let looped = self.b.field(Field::Iif, lo);
            let any = self.b.any(vec![vec![looped], vec![Term::opaque(missing, true)]]);
            conj.term(any);
        }
        true
    }
}
