//! Matches: from comparisons to terms.

use super::constrain::Wanted;
use super::subject::{Subject, with_family};
use super::values::{Constant, Contents};
use super::*;
use crate::dialect::nftables::datatype::Type;
use crate::dialect::nftables::selector::Meaning;
use crate::model::Term;
use crate::packet::{IntervalSet, Value};

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
        self.implied(rule, conj, &subject.selector);
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
        if rule.when == When::Tracked && self.record_term(rule, conj, subject, op, (lo, hi)) {
            return Ok(());
        }
        let equality = matches!(op, Op::Implicit | Op::Equal | Op::NotEqual);
        if equality && subject.operations.is_empty() && subject.strange.is_none() {
            let negated = op == Op::NotEqual;
            if lo == hi && self.route_term(rule, conj, &subject.selector, lo, negated) {
                return Ok(());
            }
            if super::certain::whole_day(subject, (lo, hi)) {
                if negated {
                    conj.refuse();
                }
                return Ok(());
            }
            if !ty.is_flags() && self.settled(conj, subject, &IntervalSet::range(lo, hi), negated) {
                return Ok(());
            }
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
        if self.settled(conj, subject, &bounds, false) {
            return Ok(());
        }
        let text = || constant_text(subject, &format!("{} ", op.sign()), ty, lo, hi);
        self.constrain(rule, conj, subject, Wanted::Set(bounds), &text)
    }

    // Compared with a name whose value is not known.
    pub(super) fn match_name(
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

pub(super) fn range_text(ty: Type, lo: Value, hi: Value) -> String {
    if lo == hi { ty.show(lo) } else { format!("{}-{}", ty.show(lo), ty.show(hi)) }
}
