//! Matches: from comparisons to terms.

use super::conjunction::{Conjunction, FieldSet};
use super::values::{Constant, Contents, Key, Row, typed};
use super::*;
use crate::dialect::nftables::datatype::{Type, number};
use crate::dialect::nftables::selector::{Meaning, Selector};
use crate::model::{AddressTypes, SetId, Term};
use crate::packet::{ConnState, IntervalSet, Value, interface_value};
use std::collections::BTreeMap;

// The bit of `ct status dnat` (`IPS_DST_NAT`).
const DNAT: Value = 0x20;

/// An operator on bits, applied.
pub(super) fn apply(op: BitOp, x: Value, y: Value) -> Value {
    match op {
        BitOp::And => x & y,
        BitOp::Or => x | y,
        BitOp::Xor => x ^ y,
        BitOp::ShiftLeft => u32::try_from(y).ok().and_then(|n| x.checked_shl(n)).unwrap_or(0),
        BitOp::ShiftRight => u32::try_from(y).ok().and_then(|n| x.checked_shr(n)).unwrap_or(0),
    }
}

/// The left side of a match: a selector, and what is done to its value.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) selector: Selector<'a>,
    /// Operators with constants, in order.
    operations: Vec<(BitOp, Value)>,
    /// Something that is not a selector with constants: the whole in words.
    strange: Option<String>,
    /// No selector at all, but a constant part of a concatenation.
    fixed: Option<Constant>,
}

/// The values of a selector that are wanted.
enum Wanted {
    Set(IntervalSet),
    Stored(SetId),
    /// Those outside.
    NotStored(SetId),
    Test(Box<dyn Fn(Value) -> bool>),
}

impl<'a> Subject<'a> {
    /// Reads the left side.
    pub(super) fn of(e: &Expr<'a>) -> Option<Self> {
        match &e.kind {
            ExprKind::Selector(s) => {
                Some(Subject { selector: (**s).clone(), operations: Vec::new(), strange: None, fixed: None })
            }
            ExprKind::Bits(op, a, b) => {
                let commutes = matches!(op, BitOp::And | BitOp::Or | BitOp::Xor);
                let (mut subject, constant) = match (Subject::of(a), Subject::of(b)) {
                    (Some(s), None) => (s, b),
                    (None, Some(s)) if commutes => (s, a),
                    (Some(mut s), _) => {
                        s.strange = Some(show::expr(e));
                        return Some(s);
                    }
                    _ => return None,
                };
                match bit_constant(subject.selector.ty, constant) {
                    // An IPv4 address as a mask is 32 bits.
                    Some(v) if subject.selector.ty == Type::Address(Family::V4) => {
                        subject.operations.push((*op, v & 0xffff_ffff));
                    }
                    Some(v) => subject.operations.push((*op, v)),
                    None => subject.strange = Some(show::expr(e)),
                }
                Some(subject)
            }
            _ => None,
        }
    }

    fn value(&self, x: Value) -> Value {
        let max = self.selector.ty.max();
        self.operations.iter().fold(x, |x, (op, y)| apply(*op, x, *y) & max)
    }

    pub(super) fn text(&self) -> String {
        if let Some(s) = &self.strange {
            return s.clone();
        }
        let mut text = self.selector.text.clone().into_owned();
        for (op, y) in &self.operations {
            text = format!("({text} {} {y})", op.sign());
        }
        text
    }

    // Raw bytes under a mask of adjacent bits are raw bits (`@ll,0,8 & 0x80` is `@ll,0,1`): with how far values shift.
    fn raw_bits(&self) -> Option<(Self, u32)> {
        let [(BitOp::And, mask)] = self.operations[..] else {
            return None;
        };
        let mut words = self.selector.text.strip_prefix('@')?.split(',');
        let (base, offset, bits) =
            (words.next()?, words.next()?.parse::<u32>().ok()?, words.next()?.parse::<u32>().ok()?);
        let shift = mask.trailing_zeros();
        let width = (mask >> shift.min(127)).trailing_ones();
        let contiguous = mask != 0 && mask.count_ones() == width && shift + width <= bits;
        contiguous.then(|| {
            let selector =
                crate::dialect::nftables::selector::raw(base, offset + bits - shift - width, width);
            (Subject { selector, operations: Vec::new(), strange: None, fixed: None }, shift)
        })
    }

    /// Value and mask operations as one: `(x & mask) ^ flip`; `None` if a shift is among them.
    pub(super) fn mask_and_flip(&self, width: Value) -> Option<(Value, Value)> {
        if self.strange.is_some() {
            return None;
        }
        let mut out = (width, 0);
        for (op, y) in &self.operations {
            out = match op {
                BitOp::And => (out.0 & y, out.1 & y),
                BitOp::Or => (out.0 & !y, (out.1 & !y) ^ y),
                BitOp::Xor => (out.0, out.1 ^ y),
                BitOp::ShiftLeft | BitOp::ShiftRight => return None,
            };
        }
        Some((out.0 & width, out.1 & width))
    }
}

fn bit_constant(ty: Type, e: &Expr<'_>) -> Option<Value> {
    match &e.kind {
        ExprKind::Word(w) | ExprKind::Quoted(w) => match ty.read(w) {
            Ok(Some((a, b))) if a == b => Some(a),
            _ => number(w).or_else(|| match w.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(a)) => Some(a.to_bits().into()),
                Ok(std::net::IpAddr::V6(a)) => Some(a.to_bits()),
                Err(_) => None,
            }),
        },
        ExprKind::Bits(op, a, b) => Some(apply(*op, bit_constant(ty, a)?, bit_constant(ty, b)?)),
        ExprKind::List(parts) => parts.iter().try_fold(0, |all, p| Some(all | bit_constant(ty, p)?)),
        _ => None,
    }
}

impl<'a> Lower<'a> {
    /// A whole match statement.
    pub(super) fn match_statement(
        &mut self,
        rule: &mut RuleState,
        left: &Expr<'a>,
        op: Op,
        right: &Expr<'a>,
    ) -> Parsed<()> {
        self.note_always(rule, left, op, right);
        let mut conj = std::mem::take(&mut rule.conj);
        let result = match &left.kind {
            ExprKind::Concat(parts) => self.match_concat(rule, &mut conj, parts, op, right),
            _ => match Subject::of(left) {
                Some(subject) => self.match_single(rule, &mut conj, &subject, op, right),
                None => Err(SyntaxError::new(left.at, "nothing of the packet is compared here")),
            },
        };
        rule.conj = conj;
        result
    }

    fn match_single(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        op: Op,
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let inferred = with_family(subject, right);
        let subject = inferred.as_ref().unwrap_or(subject);
        let ty = subject.selector.ty;
        self.implied(conj, &subject.selector);
        let negated = op == Op::NotEqual;
        match &right.kind {
            ExprKind::Named(name) => {
                let (_, contents) = self.contents(rule.table, name, right.at)?;
                self.match_contents(rule, conj, subject, negated, &contents, &format!("@{name}"))
            }
            ExprKind::Set(elements) => {
                let mut rows = Vec::new();
                self.rows(&[ty], elements.clone(), &mut rows)?;
                let contents = Contents { rows, ..Contents::default() };
                self.match_contents(rule, conj, subject, negated, &contents, "")
            }
            ExprKind::Masked(value, mask) => {
                let (v, m) = (self.flag_value(ty, value)?, self.flag_value(ty, mask)?);
                let text = || format!("({} & {m}) {} {v}", subject.text(), if negated { "!=" } else { "==" });
                let wanted = Wanted::Test(Box::new(move |x| (x & m == v) != negated));
                self.constrain(rule, conj, subject, wanted, &text)
            }
            _ if comparable(right) => self.match_constant(rule, conj, subject, op, right),
            _ => {
                let text = format!("{} {} {}", subject.text(), op.sign(), show::expr(right));
                self.opaque_term(rule, conj, &subject.selector, &text, false);
                Ok(())
            }
        }
    }

    fn flag_value(&self, ty: Type, e: &Expr<'a>) -> Parsed<Value> {
        match self.constant(ty, e)? {
            Constant::Values(v, _) => Ok(v),
            Constant::Name(n) => Err(SyntaxError::new(e.at, format!("`{n}` is no flag"))),
        }
    }

    fn match_constant(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        op: Op,
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let ty = subject.selector.ty;
        // From evening to morning is "not from morning to evening", as nft has it.
        if let (Type::Hour, ExprKind::Range(from, to)) = (ty, &right.kind)
            && let (Constant::Values(a, _), Constant::Values(b, _)) =
                (self.constant(ty, from)?, self.constant(ty, to)?)
            && a > b
        {
            let negated = op != Op::NotEqual;
            let text = format!("{} {b}-{a}", subject.text());
            self.opaque_term(rule, conj, &subject.selector, &text, negated);
            return Ok(());
        }
        let is_list = matches!(right.kind, ExprKind::List(_));
        if is_list && !ty.is_flags() {
            return Err(SyntaxError::new(right.at, "a list of values stands in braces: `{ a, b }`"));
        }
        let (mut lo, mut hi) = match self.constant(ty, right)? {
            Constant::Values(lo, hi) => (lo, hi),
            Constant::Name(name) => return self.match_name(rule, conj, subject, op, &name, right.at),
        };
        let raw = subject.raw_bits();
        let subject = match &raw {
            Some((inner, shift)) => {
                (lo, hi) = (lo >> shift, hi >> shift);
                inner
            }
            None => subject,
        };
        let ty = subject.selector.ty;
        if subject.text() == "ct status" && op == Op::Implicit && (lo, hi) == (DNAT, DNAT) && self.tells_dnat
        {
            self.translated_term(rule, conj);
            return Ok(());
        }
        let masked_left = subject.operations.iter().any(|(o, _)| *o == BitOp::And);
        let max = ty.max();
        let test: Box<dyn Fn(Value) -> bool> = match op {
            // `tcp flags syn`: any of the bits. Behind a mask of its own the value is compared.
            Op::Implicit if ty.is_flags() && !masked_left => Box::new(move |x| x & lo != 0),
            Op::NoneOf => Box::new(move |x| x & lo == 0),
            Op::Implicit | Op::Equal => {
                let text = || constant_text(subject, "", ty, lo, hi);
                return self.constrain(rule, conj, subject, Wanted::Set(IntervalSet::range(lo, hi)), &text);
            }
            Op::NotEqual if subject.selector.meaning == Meaning::Opaque && !subject.selector.optional => {
                let text = constant_text(subject, "", ty, lo, hi);
                self.opaque_term(rule, conj, &subject.selector, &text, true);
                return Ok(());
            }
            Op::NotEqual => {
                let text = || constant_text(subject, "!= ", ty, lo, hi);
                let all = IntervalSet::range(0u8, max);
                return self.constrain(
                    rule,
                    conj,
                    subject,
                    Wanted::Set(all.minus(&IntervalSet::range(lo, hi))),
                    &text,
                );
            }
            Op::Less => Box::new(move |x| x < lo),
            Op::LessEqual => Box::new(move |x| x <= hi),
            Op::Greater => Box::new(move |x| x > hi),
            Op::GreaterEqual => Box::new(move |x| x >= lo),
        };
        let bounds = match op {
            Op::Less => lo.checked_sub(1).map_or(IntervalSet::EMPTY, |n| IntervalSet::range(0u8, n)),
            Op::LessEqual => IntervalSet::range(0u8, hi),
            Op::Greater => hi.checked_add(1).map_or(IntervalSet::EMPTY, |n| IntervalSet::range(n, max)),
            Op::GreaterEqual => IntervalSet::range(lo, max),
            _ => {
                let sign = if op == Op::NoneOf { "! " } else { "any " };
                let text = || constant_text(subject, sign, ty, lo, hi);
                return self.constrain(rule, conj, subject, Wanted::Test(test), &text);
            }
        };
        let text = || constant_text(subject, &format!("{} ", op.sign()), ty, lo, hi);
        self.constrain(rule, conj, subject, Wanted::Set(bounds), &text)
    }

    // `ct status dnat`: rules that translate tag what they translate; of a connection that was opened earlier it is not known.
    fn translated_term(&mut self, rule: &RuleState, conj: &mut Conjunction) {
        if rule.when == When::Before {
            return conj.refuse();
        }
        self.unclear = true;
        let tagged = self.b.register(Register::Tag, TRANSLATED, TRANSLATED, false);
        let open: IntervalSet =
            [ConnState::Established, ConnState::Related].map(ConnState::value).into_iter().collect();
        let open = self.b.field(Field::State, open);
        let why = "whether the connection was translated was decided when it opened";
        let earlier = self.b.opaque("ct status dnat", why, false, rule.at);
        let any = self.b.any(vec![vec![tagged], vec![open, earlier]]);
        conj.term(any);
    }

    // Compared with a name whose value is not known.
    fn match_name(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        op: Op,
        name: &str,
        at: Origin,
    ) -> Parsed<()> {
        let negated = op == Op::NotEqual;
        match subject.selector.meaning {
            Meaning::Field(field @ (Field::Src | Field::Dst)) if subject.operations.is_empty() => {
                let kind = ConditionKind::HostName { field, name: name.to_owned() };
                let text = format!("{} {name}", subject.selector.text);
                let c =
                    self.b.condition(&text, "nft asks the name server when it loads the file", kind, rule.at);
                self.unclear = true;
                conj.term(Term::opaque(c, negated));
                Ok(())
            }
            Meaning::Field(Field::Sport | Field::Dport) | Meaning::AnyPort(_) => {
                Err(SyntaxError::new(at, format!("`{name}` is no service known here"))
                    .help("write the number of the port"))
            }
            Meaning::Field(Field::Iif | Field::Oif) => {
                let text = format!("{} {name}", subject.text());
                self.opaque_term(rule, conj, &subject.selector, &text, negated);
                Ok(())
            }
            Meaning::Opaque => {
                let sign = match op {
                    Op::Implicit | Op::Equal | Op::NotEqual => String::new(),
                    other => format!("{} ", other.sign()),
                };
                let text = format!("{} {sign}{name}", subject.text());
                if subject.selector.optional && negated {
                    let text = format!("{} != {name}", subject.text());
                    self.opaque_term(rule, conj, &subject.selector, &text, false);
                } else {
                    self.opaque_term(rule, conj, &subject.selector, &text, negated);
                }
                Ok(())
            }
            _ => Err(SyntaxError::new(at, format!("`{name}` is no value of `{}`", subject.selector.text))),
        }
    }

    // Membership in a set of one component.
    fn match_contents(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        negated: bool,
        contents: &Contents<'a>,
        name: &str,
    ) -> Parsed<()> {
        let certain = IntervalSet::from_ranges(
            contents
                .rows
                .iter()
                .filter(|r| !r.timed && r.guard.is_none())
                .filter_map(|r| match r.keys.first() {
                    Some(Key::Set(s)) => Some(s),
                    _ => None,
                })
                .flat_map(|s| s.ranges().iter().copied()),
        );
        let names: Vec<_> =
            contents.rows.iter().filter(|r| matches!(r.keys.first(), Some(Key::Name(_)))).collect();
        if contents.rows.iter().any(|r| r.keys.first() == Some(&Key::All) && !r.timed && r.guard.is_none()) {
            if negated {
                conj.refuse();
            }
            return Ok(());
        }
        let ty = subject.selector.ty;
        let text = |what: &str| {
            if subject.selector.optional && negated {
                format!("{} != {what}", subject.text())
            } else {
                format!("{} {what}", subject.text())
            }
        };
        let opaque = subject.selector.meaning == Meaning::Opaque || subject.strange.is_some();
        if opaque {
            // Not in the model: the comparison as a whole is one condition.
            let mut parts: Vec<String> = Vec::new();
            let stored = contents.stored.map(|id| self.b.firewall().sets.get(id).clone());
            let all = stored.unwrap_or_default().union(&certain);
            parts.extend(set_text(ty, &all));
            parts.extend(names.iter().filter_map(|r| match r.keys.first() {
                Some(Key::Name(n)) => Some(n.clone()),
                _ => None,
            }));
            parts.sort_unstable();
            let words = if name.is_empty() { braces(&parts) } else { name.to_owned() };
            let invert = negated && !subject.selector.optional;
            let text = text(&words);
            if contents.unknown.is_some() && contents.changing {
                self.volatile_term(rule, conj, &text, contents.unknown.unwrap_or_default(), invert);
            } else {
                self.opaque_term(rule, conj, &subject.selector, &text, invert);
            }
            return Ok(());
        }
        let uncertain = contents.unknown.is_some()
            || !names.is_empty()
            || contents.rows.iter().any(|r| r.timed || r.guard.is_some());
        let identity = subject.operations.is_empty();
        if !uncertain {
            let wanted = match contents.stored {
                Some(id) if identity && !negated => Wanted::Stored(id),
                Some(id) if identity => Wanted::NotStored(id),
                stored => {
                    let set = stored.map_or(certain, |id| self.b.firewall().sets.get(id).clone());
                    Wanted::Set(if negated { IntervalSet::range(0u8, ty.max()).minus(&set) } else { set })
                }
            };
            let words = if name.is_empty() { "{ … }" } else { name };
            return self.constrain(rule, conj, subject, wanted, &|| text(words));
        }
        // Some elements are certain; of the others it is unknown whether they are there.
        let mut listed = Conjunction::default();
        let set = match contents.stored {
            Some(id) => self.b.firewall().sets.get(id).union(&certain),
            None => certain,
        };
        let text_of_set = if name.is_empty() { show_rows(ty, contents) } else { name.to_owned() };
        let text = format!("{} {text_of_set}", subject.text());
        let why = contents.unknown.unwrap_or("a name is resolved, or a limit asked, at run time");
        let kind = if contents.changing || contents.rows.iter().any(|r| r.guard.is_some()) {
            ConditionKind::Volatile
        } else {
            ConditionKind::Pure
        };
        let c = self.b.condition(&text, why, kind, rule.at);
        self.unclear = true;
        if negated {
            let all = IntervalSet::range(0u8, ty.max());
            self.constrain(rule, conj, subject, Wanted::Set(all.minus(&set)), &|| text.clone())?;
            conj.term(Term::opaque(c, true));
            return Ok(());
        }
        self.constrain(rule, &mut listed, subject, Wanted::Set(set), &|| text.clone())?;
        let outside = conj.protocols(&self.b);
        let listed = listed.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
        let unknown = Term::opaque(c, false);
        let term = if matches!(listed[..], [t] if t.is_never()) {
            unknown
        } else {
            self.b.any(vec![listed, vec![unknown]])
        };
        conj.term(term);
        Ok(())
    }

    /// What a selector implies, positive even under a negation.
    pub(super) fn implied(&mut self, conj: &mut Conjunction, s: &Selector<'a>) {
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
    fn constrain(
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
            Meaning::NfProto => families(conj, test(2), test(10)),
            // A tag of a virtual network may have been taken off the packet, or not.
            Meaning::EtherType if test(0x8100) || test(0x88a8) => {
                self.opaque_term(rule, conj, s, &text(), false)
            }
            Meaning::EtherType => families(conj, test(0x0800), test(0x86dd)),
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
    fn field_values(
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
        let set = if identity {
            Some(set)
        } else {
            subject.mask_and_flip(Value::MAX).and_then(|(mask, flip)| masked_values(&set, mask, flip, field))
        };
        match set {
            Some(set) => conj.field(&self.b, field, FieldSet::Owned(set.intersect(&all))),
            None => self.opaque_term(rule, conj, &subject.selector, &text(), false),
        }
        Ok(())
    }

    fn state_term(
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
    fn state_before(&mut self, rule: &RuleState, set: &IntervalSet) -> Term {
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
        let by_rule = self.untracks && holds(ConnState::Invalid) != holds(ConnState::Untracked);
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

    fn register_term(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        register: Register,
        wanted: &Wanted,
        text: &dyn Fn() -> String,
    ) -> Parsed<()> {
        if register == Register::ConnMark && rule.when == When::Before {
            // Without a connection there is no mark to compare.
            conj.refuse();
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

    // `ip saddr . tcp dport { … }`.
    fn match_concat(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        parts: &[Expr<'a>],
        op: Op,
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let mut subjects = self.subjects(parts)?;
        self.fix(rule.table, &mut subjects, parts, right)?;
        let types: Vec<Type> = subjects.iter().map(|s| s.selector.ty).collect();
        for s in &subjects {
            self.implied(conj, &s.selector);
        }
        let negated = op == Op::NotEqual;
        let mut unknown = None;
        let mut changing = false;
        let mut rows: Vec<Row<'a>> = Vec::new();
        match &right.kind {
            ExprKind::Named(name) => {
                let (_, contents) = self.contents(rule.table, name, right.at)?;
                rows = contents.rows.clone();
                unknown = contents.unknown;
                changing = contents.changing;
            }
            ExprKind::Set(elements) => self.rows(&types, elements.clone(), &mut rows)?,
            _ => {
                let element =
                    Element { key: right.clone(), value: None, timed: false, guard: None, at: right.at };
                self.rows(&types, vec![element], &mut rows)?;
            }
        }
        let text = || {
            let left: Vec<_> = subjects.iter().map(Subject::text).collect();
            format!("{} {}", left.join(" . "), show::expr(right))
        };
        if rows.iter().any(|r| r.timed || r.guard.is_some()) {
            unknown = unknown.or(Some("an element expires, or carries a limit"));
            rows.retain(|r| !r.timed && r.guard.is_none());
        }
        let rows = merge(rows.into_iter().map(|r| r.keys).collect());
        let beyond = unknown.map(|why| {
            self.unclear = true;
            let kind = if changing { ConditionKind::Volatile } else { ConditionKind::Pure };
            self.b.condition(&text(), why, kind, rule.at)
        });
        if negated {
            for keys in &rows {
                self.exclude(rule, conj, &subjects, keys)?;
            }
            if let Some(c) = beyond {
                conj.term(Term::opaque(c, true));
            }
            return Ok(());
        }
        if let ([keys], None) = (&rows[..], beyond) {
            return self.constrain_row(rule, conj, &subjects, keys);
        }
        let outside = conj.protocols(&self.b);
        let mut alternatives = Vec::with_capacity(rows.len());
        for keys in &rows {
            let mut one = Conjunction::default();
            self.constrain_row(rule, &mut one, &subjects, keys)?;
            let terms = one.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
            if !matches!(terms[..], [t] if t.is_never()) {
                alternatives.push(terms);
            }
        }
        if let Some(c) = beyond {
            alternatives.push(vec![Term::opaque(c, false)]);
        }
        match &alternatives[..] {
            [] => conj.refuse(),
            [one] => one.iter().for_each(|t| conj.term(*t)),
            _ => {
                let any = self.b.any(alternatives);
                conj.term(any);
            }
        }
        Ok(())
    }

    pub(super) fn subjects(&self, parts: &[Expr<'a>]) -> Parsed<Vec<Subject<'a>>> {
        let constant = |p: &Expr<'a>| match &p.kind {
            ExprKind::Word(w) | ExprKind::Quoted(w) if parts.len() > 1 => Some(Subject {
                selector: Selector::opaque(w.clone(), Type::Text),
                operations: Vec::new(),
                strange: None,
                fixed: None,
            }),
            _ => None,
        };
        parts
            .iter()
            .map(|p| {
                Subject::of(p)
                    .or_else(|| constant(p))
                    .ok_or_else(|| SyntaxError::new(p.at, "nothing of the packet is compared here"))
            })
            .collect()
    }

    // Constant parts of a concatenation have the type that the set gives them.
    fn fix(
        &mut self,
        table: usize,
        subjects: &mut [Subject<'a>],
        parts: &[Expr<'a>],
        right: &Expr<'a>,
    ) -> Parsed<()> {
        let ExprKind::Named(name) = &right.kind else {
            return Ok(());
        };
        let ruleset = self.ruleset;
        let Some(s) = ruleset.tables[table].set(name) else {
            return Ok(());
        };
        let types = self.key_types(&ruleset.tables[table].sets[s]);
        for ((subject, part), ty) in subjects.iter_mut().zip(parts).zip(types) {
            if Subject::of(part).is_none() {
                subject.fixed = Some(self.constant(ty, part)?);
                subject.selector.ty = ty;
            }
        }
        Ok(())
    }

    /// All components of a key match.
    pub(super) fn constrain_row(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subjects: &[Subject<'a>],
        keys: &[Key],
    ) -> Parsed<()> {
        for (subject, key) in subjects.iter().zip(keys) {
            self.constrain_key(rule, conj, subject, key, false)?;
        }
        Ok(())
    }

    fn constrain_key(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subject: &Subject<'a>,
        key: &Key,
        negated: bool,
    ) -> Parsed<()> {
        let opaque = subject.selector.meaning == Meaning::Opaque || subject.strange.is_some();
        if let Some(fixed) = &subject.fixed {
            let hit = match (key, fixed) {
                (Key::All, _) => true,
                (Key::Set(s), Constant::Values(lo, hi)) => s.covers(&IntervalSet::range(*lo, *hi)),
                (Key::Name(a), Constant::Name(b)) => a == b,
                _ => false,
            };
            if hit == negated {
                conj.refuse();
            }
            return Ok(());
        }
        match key {
            Key::All if negated => {
                conj.refuse();
                Ok(())
            }
            Key::All => Ok(()),
            Key::Name(name) => {
                let op = if negated { Op::NotEqual } else { Op::Implicit };
                self.match_name(rule, conj, subject, op, name, rule.at)
            }
            Key::Set(set) if opaque => {
                let words = braces(&set_text(subject.selector.ty, set));
                if negated && subject.selector.optional {
                    let text = format!("{} != {words}", subject.text());
                    self.opaque_term(rule, conj, &subject.selector, &text, false);
                } else {
                    let text = format!("{} {words}", subject.text());
                    self.opaque_term(rule, conj, &subject.selector, &text, negated);
                }
                Ok(())
            }
            Key::Set(set) => {
                let ty = subject.selector.ty;
                let (wanted, sign) = if negated {
                    (typed(ty, IntervalSet::range(0u8, ty.max()).minus(set)), "!= ")
                } else {
                    (set.clone(), "")
                };
                let text = || format!("{} {sign}{}", subject.text(), braces(&set_text(ty, set)));
                self.constrain(rule, conj, subject, Wanted::Set(wanted), &text)
            }
        }
    }

    /// Some component of a key differs.
    pub(super) fn exclude(
        &mut self,
        rule: &RuleState,
        conj: &mut Conjunction,
        subjects: &[Subject<'a>],
        keys: &[Key],
    ) -> Parsed<()> {
        if let ([subject], [key]) = (subjects, keys) {
            return self.constrain_key(rule, conj, subject, key, true);
        }
        let outside = conj.protocols(&self.b);
        let mut alternatives = Vec::new();
        for (subject, key) in subjects.iter().zip(keys) {
            let mut one = Conjunction::default();
            self.constrain_key(rule, &mut one, subject, key, true)?;
            let terms = one.finish(&mut self.b, rule.families(), outside.as_ref(), rule.at);
            if terms.is_empty() {
                return Ok(());
            }
            if !matches!(terms[..], [t] if t.is_never()) {
                alternatives.push(terms);
            }
        }
        if alternatives.is_empty() {
            conj.refuse();
            return Ok(());
        }
        let any = self.b.any(alternatives);
        conj.term(any);
        Ok(())
    }
}

// `ct original saddr 192.0.2.1`: the value tells the family.
fn with_family<'a>(subject: &Subject<'a>, right: &Expr<'a>) -> Option<Subject<'a>> {
    let s = &subject.selector;
    let rest = s.text.strip_prefix("ct ").filter(|_| s.ty == Type::Text)?;
    let (direction, key) = rest.split_once(' ')?;
    if !matches!(key, "saddr" | "daddr") {
        return None;
    }
    let family = Family::of(first_word(right)?.parse().ok()?);
    let selector = crate::dialect::nftables::selector::ct(Some(direction), Some(family), key)?;
    Some(Subject { selector, ..subject.clone() })
}

fn first_word<'e>(e: &'e Expr<'_>) -> Option<&'e str> {
    match &e.kind {
        ExprKind::Word(w) | ExprKind::Quoted(w) => Some(w),
        ExprKind::Prefix(a, _) | ExprKind::Range(a, _) => first_word(a),
        ExprKind::Set(elements) => first_word(&elements.first()?.key),
        _ => None,
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

fn comparable(e: &Expr<'_>) -> bool {
    match &e.kind {
        ExprKind::Word(_) | ExprKind::Quoted(_) => true,
        ExprKind::Prefix(a, _) => comparable(a),
        ExprKind::Range(a, b) | ExprKind::Bits(_, a, b) => comparable(a) && comparable(b),
        ExprKind::List(parts) => parts.iter().all(comparable),
        _ => false,
    }
}

fn constant_text(subject: &Subject<'_>, sign: &str, ty: Type, lo: Value, hi: Value) -> String {
    format!("{} {sign}{}", subject.text(), range_text(ty, lo, hi))
}

fn range_text(ty: Type, lo: Value, hi: Value) -> String {
    if lo == hi { ty.show(lo) } else { format!("{}-{}", ty.show(lo), ty.show(hi)) }
}

fn set_text(ty: Type, set: &IntervalSet) -> Vec<String> {
    set.ranges().iter().map(|(lo, hi)| range_text(ty, *lo, *hi)).collect()
}

fn braces(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        _ => format!("{{ {} }}", parts.join(", ")),
    }
}

fn show_rows(ty: Type, contents: &Contents<'_>) -> String {
    let mut parts: Vec<String> = contents
        .rows
        .iter()
        .flat_map(|r| match r.keys.first() {
            Some(Key::Set(s)) => set_text(ty, s),
            Some(Key::Name(n)) => vec![n.clone()],
            _ => vec!["*".to_owned()],
        })
        .collect();
    parts.sort_unstable();
    braces(&parts)
}

// Values `x` of the field with `(x & mask) ^ flip` in the set, for masks that are a prefix.
fn masked_values(set: &IntervalSet, mask: Value, flip: Value, field: Field) -> Option<IntervalSet> {
    if flip != 0 {
        return None;
    }
    // IPv4 addresses stand in a block of their own: the bits above are not part of them.
    let v4 = crate::packet::addr::v4(0);
    let is_v4 = matches!(field, Field::Src | Field::Dst) && mask <= 0xffff_ffff;
    let (width, base) = if is_v4 { (0xffff_ffff, v4) } else { (field.max(), 0) };
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

// Intervals, and other keys, of rows that are alike in all but one component.
type Group = (Vec<(Value, Value)>, Vec<Key>);

/// Keys that differ in one component only become one: the fewest rows, in an order of their own.
pub(super) fn merge(mut rows: Vec<Vec<Key>>) -> Vec<Vec<Key>> {
    let width = rows.first().map_or(0, Vec::len);
    for component in (0..width).rev() {
        let mut groups: BTreeMap<Vec<Key>, Group> = BTreeMap::new();
        for mut keys in rows {
            let one = std::mem::replace(&mut keys[component], Key::All);
            let group = groups.entry(keys).or_default();
            match one {
                Key::Set(s) => group.0.extend_from_slice(s.ranges()),
                other => group.1.push(other),
            }
        }
        rows = Vec::with_capacity(groups.len());
        for (keys, (ranges, mut others)) in groups {
            let with = |key: Key| {
                let mut keys = keys.clone();
                keys[component] = key;
                keys
            };
            if others.contains(&Key::All) {
                rows.push(with(Key::All));
                continue;
            }
            others.sort_unstable();
            others.dedup();
            if !ranges.is_empty() {
                rows.push(with(Key::Set(IntervalSet::from_ranges(ranges))));
            }
            rows.extend(others.into_iter().map(with));
        }
    }
    rows.sort_unstable();
    rows
}
