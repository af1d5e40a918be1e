//! What is compared: a selector, and what is done to its value.

use super::values::Constant;
use super::*;
use crate::dialect::nftables::datatype::{Type, number};
use crate::dialect::nftables::selector::Selector;
use crate::packet::Value;

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
    pub(super) operations: Vec<(BitOp, Value)>,
    /// Something that is not a selector with constants: the whole in words.
    pub(super) strange: Option<String>,
    /// No selector at all, but a constant part of a concatenation.
    pub(super) fixed: Option<Constant>,
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

    pub(super) fn value(&self, x: Value) -> Value {
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
    pub(super) fn raw_bits(&self) -> Option<(Self, u32)> {
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

// `ct original saddr 192.0.2.1`: the value tells the family.
pub(super) fn with_family<'a>(subject: &Subject<'a>, right: &Expr<'a>) -> Option<Subject<'a>> {
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
