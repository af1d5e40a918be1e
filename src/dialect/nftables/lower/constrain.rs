//! From wanted values of a selector to terms of the model.

use super::conjunction::FieldSet;
use super::subject::Subject;
use super::*;
use crate::dialect::nftables::selector::{Meaning, Selector};
use crate::model::{AddressTypes, SetId, Term};
use crate::packet::{ConnState, IntervalSet, Value, interface_value};

/// The values of a selector that are wanted.
pub(super) enum Wanted {
    Set(IntervalSet),
    Stored(SetId),
    /// Those outside.
    NotStored(SetId),
    Test(Box<dyn Fn(Value) -> bool>),
}

impl<'a> Lower<'a> {
    /// What a selector implies, positive even under a negation.
    pub(super) fn implied(&mut self, rule: &RuleState, conj: &mut Conjunction, s: &Selector<'a>) {
        // Without a record of the connection there is nothing to compare, and the rule ends (nft_ct_get_eval, nft_ct.c).
        if s.text.starts_with("ct ") && s.meaning != Meaning::State {
            let recorded = [ConnState::New, ConnState::Established, ConnState::Related];
            let set = recorded.map(ConnState::value).into_iter().collect();
            self.state_term(rule, conj, set, &|| "a connection is recorded".to_owned());
        }
        if let Some(f) = s.family {
            conj.of_family(f);
        }
        if !s.protocols.is_empty() {
            let set: IntervalSet = s.protocols.iter().map(|p| Value::from(*p)).collect();
            conj.field(&self.b, Field::Proto, FieldSet::Owned(set));
        }
        if !s.icmp_types.is_empty() {
            let types = s.icmp_types.iter().map(|t| (Value::from(*t) << 8, Value::from(*t) << 8 | 0xff));
            conj.field(&self.b, Field::Icmp, FieldSet::Owned(IntervalSet::from_ranges(types)));
        }
    }

    // "The selector has one of the wanted values"; `text` names the comparison where it cannot be modelled.
    pub(super) fn constrain(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        wanted: Wanted,
        text: &dyn Fn() -> String,
    ) -> Parsed<()> {
        let s = &subject.selector;
        if subject.strange.is_some() {
            self.opaque_term(rule, conj, s, &text(), false);
            return Ok(());
        }
        if s.meaning == Meaning::Opaque
            && s.text.starts_with('@')
            && self.raw_term(rule, conj, subject, &wanted)?
        {
            return Ok(());
        }
        let pool = &self.b.firewall().sets;
        let test = |x: Value| {
            let v = subject.value(x);
            match &wanted {
                Wanted::Set(set) => set.contains(v),
                Wanted::Stored(id) => pool.get(*id).contains(v),
                Wanted::NotStored(id) => !pool.get(*id).contains(v),
                Wanted::Test(t) => t(v),
            }
        };
        let devices = self.ruleset.tables[rule.table].family == TableFamily::Netdev;
        let after = !devices && rule.when == When::Tracked;
        match s.meaning {
            Meaning::State => {
                let bits = [8, 2, 4, 1, 64];
                let set: IntervalSet = ConnState::ALL
                    .iter()
                    .zip(bits)
                    .filter(|(_, b)| test(*b))
                    .map(|(c, _)| c.value())
                    .collect();
                self.state_term(rule, conj, set, text);
            }
            Meaning::IcmpType => {
                let set = IntervalSet::from_ranges(
                    (0..=255u128).filter(|t| test(*t)).map(|t| (t << 8, t << 8 | 0xff)),
                );
                conj.field(&self.b, Field::Icmp, FieldSet::Owned(set));
            }
            Meaning::IcmpCode => {
                let codes: Vec<Value> = (0..=255u128).filter(|c| test(*c)).collect();
                let set = (0..=255u128).flat_map(|t| codes.iter().map(move |c| t << 8 | c)).collect();
                conj.field(&self.b, Field::Icmp, FieldSet::Owned(set));
            }
            // In tables of devices it is the number of that family.
            Meaning::NfProto if devices => {
                families(conj, test(5), test(5));
            }
            Meaning::NfProto => families(conj, test(2), test(10)),
            // A tag of a virtual network may have been taken off the frame, or not. What comes to IP has none: `meta protocol` is then that of
            // the packet (__netif_receive_skb_core).
            Meaning::EtherType if (test(0x8100) || test(0x88a8)) && !(s.text == "meta protocol" && after) => {
                self.opaque_term(rule, conj, s, &text(), false)
            }
            Meaning::EtherType => {
                families(conj, test(0x0800), test(0x86dd));
                if s.text == "ether type" {
                    self.on_ethernet(rule, conj, devices);
                }
            }
            Meaning::AddressType(field) => {
                let mut types = AddressTypes::default();
                let kinds = [
                    (2, AddressTypes::LOCAL),
                    (1, AddressTypes::UNICAST),
                    (3, AddressTypes::BROADCAST),
                    (5, AddressTypes::MULTICAST),
                ];
                for (n, kind) in kinds {
                    if test(n) {
                        types = types.with(kind);
                    }
                }
                let others: Vec<bool> = [0, 4, 6, 7, 8, 9, 10, 11].iter().map(|n| test(*n)).collect();
                match (others.iter().all(|o| *o), others.iter().any(|o| *o)) {
                    (true, _) => types = types.with(AddressTypes::OTHER),
                    // Some of the rarer kinds only: the model keeps them together.
                    (false, true) => {
                        self.opaque_term(rule, conj, s, &text(), false);
                        return Ok(());
                    }
                    _ => {}
                }
                conj.term(Term::AddressType { field, types, negated: false });
            }
            Meaning::Register(register) => {
                return self.register_term(rule, conj, subject, register, &wanted, text);
            }
            Meaning::Field(field @ (Field::Proto | Field::Sport | Field::Dport | Field::TcpFlags))
                if !subject.operations.is_empty() || matches!(wanted, Wanted::Test(_)) =>
            {
                let set: IntervalSet = (0..=field.max()).filter(|v| test(*v)).collect();
                conj.field(&self.b, field, FieldSet::Owned(set));
            }
            Meaning::AnyPort(field) => {
                let set: IntervalSet = (0..=0xffffu128).filter(|v| test(*v)).collect();
                conj.any_port(field, set, text());
            }
            Meaning::Field(_) | Meaning::Mac => return self.field_values(rule, conj, subject, wanted, text),
            Meaning::Opaque => self.opaque_term(rule, conj, s, &text(), false),
        }
        Ok(())
    }

    // Addresses, interfaces and hardware addresses: too many values to try each.
    pub(super) fn field_values(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        wanted: Wanted,
        text: &dyn Fn() -> String,
    ) -> Parsed<()> {
        let (field, all) = match (subject.selector.meaning, subject.selector.family) {
            (Meaning::Mac, _) => (Field::Mac, IntervalSet::range(1u8, Field::Mac.max())),
            (Meaning::Field(f @ (Field::Src | Field::Dst)), Some(family)) => (f, family.all()),
            (Meaning::Field(f), _) => (f, f.all()),
            _ => return Ok(()),
        };
        let identity = subject.operations.is_empty();
        let pool = &self.b.firewall().sets;
        let set = match wanted {
            Wanted::Stored(id) if identity && field != Field::Mac => {
                conj.field(&self.b, field, FieldSet::Stored(id));
                return Ok(());
            }
            Wanted::Stored(id) => pool.get(id).clone(),
            Wanted::NotStored(id) => all.minus(pool.get(id)),
            Wanted::Set(set) => set,
            Wanted::Test(_) => {
                self.opaque_term(rule, conj, &subject.selector, &text(), false);
                return Ok(());
            }
        };
        if identity {
            conj.field(&self.b, field, FieldSet::Owned(set.intersect(&all)));
            return Ok(());
        }
        let (bits, first) = match (field, subject.selector.family) {
            (Field::Mac, _) => (48, 0),
            (_, Some(Family::V4)) => (32, crate::packet::addr::v4(0)),
            _ => (128, 0),
        };
        let width = if bits == 128 { Value::MAX } else { (1 << bits) - 1 };
        let operations = subject.mask_and_flip(width);
        let prefix = operations.and_then(|(mask, flip)| masked_values(&set, mask, flip, (width, first)));
        if let Some(set) = prefix {
            conj.field(&self.b, field, FieldSet::Owned(set.intersect(&all)));
            return Ok(());
        }
        let inside = set.intersect(&IntervalSet::range(first, first | width));
        let numbers =
            IntervalSet::from_ranges(inside.ranges().iter().map(|(lo, hi)| (lo - first, hi - first)));
        let told = field != Field::Mac
            && operations.is_some_and(|o| self.bits_term(conj, field, (bits, 0), o, &numbers));
        if !told {
            self.opaque_term(rule, conj, &subject.selector, &text(), false);
        }
        Ok(())
    }

    pub(super) fn state_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        set: IntervalSet,
        text: &dyn Fn() -> String,
    ) {
        let all = Field::State.all();
        if set.covers(&all) {
            return;
        }
        match rule.when {
            When::Tracked => conj.field(&self.b, Field::State, FieldSet::Owned(set)),
            When::Before => {
                let term = self.state_before(rule, &set);
                conj.term(term);
            }
            When::Unclear => {
                let text = format!("{} (at priority -200)", text());
                let why = "whether connection tracking comes first depends on the order of registration";
                self.unclear = true;
                let term = self.b.opaque(&text, why, false, rule.at);
                conj.term(term);
            }
        }
    }

    // Before the tracker has seen a packet, it is invalid, or untracked after `notrack`. What this box sends to itself
    // over lo keeps the record that it got at output (nf_conntrack_in, nf_conntrack_core.c).
    pub(super) fn state_before(&mut self, rule: &RuleState, set: &IntervalSet) -> Term {
        let holds = |s: ConnState| set.contains(s.value());
        let lo = IntervalSet::single(interface_value("lo").unwrap_or_default());
        let untracked = IntervalSet::single(ConnState::Untracked.value());
        let looped = vec![self.b.field(Field::Iif, lo.clone()), self.b.field(Field::State, set.clone())];
        let arrives = self.b.field(Field::Iif, Field::Iif.complement(&lo));
        let mut ways = vec![looped];
        if holds(ConnState::Invalid) {
            let other = self.b.field(Field::State, Field::State.complement(&untracked));
            ways.push(vec![arrives, other]);
        }
        // The model has one word for what a rule above untracked and for what the tracker will leave alone.
        let by_rule = self.untracks() && holds(ConnState::Invalid) != holds(ConnState::Untracked);
        if by_rule || holds(ConnState::Invalid) {
            let mut way = vec![arrives, self.b.field(Field::State, untracked)];
            if by_rule {
                self.unclear = true;
                let text = "a rule above made the packet untracked";
                let why = "it may also become untracked only after this chain";
                way.push(self.b.opaque(text, why, holds(ConnState::Invalid), rule.at));
            }
            ways.push(way);
        }
        self.b.any(ways)
    }

    pub(super) fn register_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        register: Register,
        wanted: &Wanted,
        text: &dyn Fn() -> String,
    ) -> Parsed<()> {
        if register == Register::ConnMark && rule.when == When::Before {
            // What lo brings back has the mark that it got on its way out.
            self.volatile_term(
                rule,
                conj,
                &text(),
                "only what this box sent to itself has a mark here",
                false,
            );
            return Ok(());
        }
        let full = Value::from(u32::MAX);
        let set = match wanted {
            Wanted::Set(set) => set.clone(),
            Wanted::Stored(id) => self.b.firewall().sets.get(*id).clone(),
            Wanted::NotStored(id) => IntervalSet::range(0u8, full).minus(self.b.firewall().sets.get(*id)),
            Wanted::Test(_) => {
                self.opaque_term(rule, conj, &subject.selector, &text(), false);
                return Ok(());
            }
        };
        let set = set.intersect(&IntervalSet::range(0u8, full));
        let Some((mask, flip)) = subject.mask_and_flip(full) else {
            let text = text();
            self.volatile_term(rule, conj, &text, "marks are followed only through masks", false);
            return Ok(());
        };
        // The fewer tests of value and complement.
        let outside = IntervalSet::range(0u8, full).minus(&set);
        let (tests, negated) = match (prefixes(&set), prefixes(&outside)) {
            (a, b) if a.len() <= b.len() => (a, false),
            (_, b) => (b, true),
        };
        let terms: Vec<Term> = tests
            .into_iter()
            // `(x & mask) ^ flip` equals `v` in the bits of `m`; what the mask takes away must agree with `v`.
            .filter(|(v, m)| (v ^ flip) & m & !mask == 0)
            .map(|(v, m)| {
                self.b.register(register, ((v ^ flip) & m & mask) as u32, (m & mask) as u32, negated)
            })
            .collect();
        match (negated, terms.len()) {
            (false, 0) => conj.refuse(),
            (false, 1) | (true, _) => terms.into_iter().for_each(|t| conj.term(t)),
            (false, _) => {
                let any = self.b.any(terms.into_iter().map(|t| vec![t]).collect());
                conj.term(any);
            }
        }
        Ok(())
    }

    // nft asks for an Ethernet device along with a field of the frame. `lo` is none, and nothing is one where no packet arrives; of others the
    // file does not tell. What comes to the tables of devices is taken for a frame.
    fn on_ethernet(&mut self, rule: &RuleState, conj: &mut Conjunction, devices: bool) {
        let lo = interface_value("lo").unwrap_or_default();
        let others = Field::Iif.complement(&[0, lo].into_iter().collect());
        conj.field(&self.b, Field::Iif, FieldSet::Owned(others));
        if !devices {
            self.unclear = true;
            let why = "whether the interface is an Ethernet device is not in the file";
            conj.ethernet(self.b.opaque("meta iiftype 1", why, false, rule.at));
        }
    }

    pub(super) fn opaque_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        s: &Selector<'a>,
        text: &str,
        negated: bool,
    ) {
        self.unclear = true;
        let volatile = s.volatile || matches!(s.meaning, Meaning::Register(_));
        if volatile {
            return self.volatile_term(rule, conj, text, "it differs from packet to packet", negated);
        }
        let term = self.b.opaque(text, "", negated, rule.at);
        if text == "meta iiftype 1" && !negated {
            conj.ethernet(term);
        } else {
            conj.term(term);
        }
    }

    pub(super) fn volatile_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        text: &str,
        why: &str,
        negated: bool,
    ) {
        self.unclear = true;
        let c = self.b.condition(text, why, ConditionKind::Volatile, rule.at);
        conj.term(Term::opaque(c, negated));
    }
}

fn families(conj: &mut Conjunction, v4: bool, v6: bool) {
    match (v4, v6) {
        (true, true) => {}
        (true, false) => conj.of_family(Family::V4),
        (false, true) => conj.of_family(Family::V6),
        (false, false) => conj.refuse(),
    }
}

// Values `x` of the field with `(x & mask) ^ flip` in the set, for masks that are a prefix.
fn masked_values(
    set: &IntervalSet,
    mask: Value,
    flip: Value,
    // IPv4 addresses stand in a block of their own: the bits above are not part of them.
    (width, base): (Value, Value),
) -> Option<IntervalSet> {
    if flip != 0 {
        return None;
    }
    let set = set.intersect(&IntervalSet::range(base, base | width));
    let host = !mask & width;
    if host & host.wrapping_add(1) != 0 {
        return None;
    }
    let mut out = Vec::new();
    for (lo, hi) in set.ranges() {
        let (lo, hi) = (lo.checked_sub(base)?, hi.checked_sub(base)?);
        // Values that a masked address can have are multiples of the prefix's size.
        let first = if lo & host == 0 { lo } else { (lo | host).checked_add(1)? };
        let last = hi & !host;
        if first <= last {
            out.push((base + first, base + (last | host)));
        }
    }
    Some(IntervalSet::from_ranges(out))
}

/// A set of 32-bit values as tests `x & mask == value`, the fewest.
fn prefixes(set: &IntervalSet) -> Vec<(Value, Value)> {
    let full = Value::from(u32::MAX);
    let mut out = Vec::new();
    for (lo, hi) in set.ranges() {
        let mut at = *lo;
        loop {
            let align = if at == 0 { 32 } else { at.trailing_zeros().min(32) };
            let mut bits = align;
            while at + ((1 << bits) - 1) > *hi {
                bits -= 1;
            }
            let size: Value = 1 << bits;
            out.push((at, full & !(size - 1)));
            if at + (size - 1) >= *hi {
                break;
            }
            at += size;
        }
    }
    out
}
