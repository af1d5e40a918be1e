//! Conjunctions under construction: one set a field, then whatever else must hold.

use super::*;
use crate::model::{SetId, Term};
use crate::packet::{IntervalSet, proto};

/// A set of a field: owned, or stored once for all.
#[derive(Debug, Clone)]
pub(super) enum FieldSet {
    Owned(IntervalSet),
    Stored(SetId),
}

/// What must hold, by field. Terms about one field are intersected, so that the text and what `nft` makes of it come to the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Conjunction {
    pub(super) family: Option<Family>,
    fields: Vec<(Field, FieldSet)>,
    // Port bytes of any protocol, with the text of the comparison.
    any_ports: Vec<(Field, IntervalSet, String)>,
    terms: Vec<Term>,
    // "The interface is an ethernet", which a hardware address implies.
    ethernet: Vec<Term>,
    never: bool,
    // A set without values was asked for.
    nothing: bool,
}

impl Conjunction {
    /// Nothing can meet it.
    pub(super) fn refuse(&mut self) {
        self.never = true;
    }

    pub(super) fn of_family(&mut self, family: Family) {
        match self.family {
            Some(f) if f != family => self.never = true,
            _ => self.family = Some(family),
        }
    }

    pub(super) fn term(&mut self, term: Term) {
        if !self.terms.contains(&term) {
            self.terms.push(term);
        }
    }

    pub(super) fn ethernet(&mut self, term: Term) {
        self.ethernet.push(term);
    }

    pub(super) fn any_port(&mut self, field: Field, set: IntervalSet, text: String) {
        self.any_ports.push((field, set, text));
    }

    pub(super) fn field(&mut self, builder: &Builder, field: Field, set: FieldSet) {
        let pool = &builder.firewall().sets;
        self.nothing |= match &set {
            FieldSet::Owned(s) => s.is_empty(),
            FieldSet::Stored(s) => pool.get(*s).is_empty(),
        };
        if let Some((_, old)) = self.fields.iter_mut().find(|(f, _)| *f == field) {
            let both = match (&*old, &set) {
                (FieldSet::Owned(a), FieldSet::Owned(b)) => a.intersect(b),
                (FieldSet::Owned(a), FieldSet::Stored(b)) | (FieldSet::Stored(b), FieldSet::Owned(a)) => {
                    a.intersect(pool.get(*b))
                }
                (FieldSet::Stored(a), FieldSet::Stored(b)) => pool.get(*a).intersect(pool.get(*b)),
            };
            *old = FieldSet::Owned(both);
        } else {
            self.fields.push((field, set));
        }
    }

    fn get<'a>(&'a self, builder: &'a Builder, field: Field) -> Option<&'a IntervalSet> {
        self.fields.iter().find(|(f, _)| *f == field).map(|(_, s)| match s {
            FieldSet::Owned(set) => set,
            FieldSet::Stored(id) => builder.firewall().sets.get(*id),
        })
    }

    /// The protocols that it leaves; `None` = all.
    pub(super) fn protocols(&self, builder: &Builder) -> Option<IntervalSet> {
        self.get(builder, Field::Proto).cloned()
    }

    /// Whether it tests a register.
    pub(super) fn tests(&self, builder: &Builder, register: Register) -> bool {
        fn within(f: &crate::model::Firewall, terms: &[Term], register: Register) -> bool {
            terms.iter().any(|t| match t {
                Term::Register { register: r, .. } => *r == register,
                Term::Any(a) => {
                    f.alternatives[a.index()].iter().any(|range| within(f, f.terms(*range), register))
                }
                _ => false,
            })
        }
        within(builder.firewall(), &self.terms, register)
    }

    /// Whether it tests a field.
    pub(super) fn tests_field(&self, builder: &Builder, field: Field) -> bool {
        fn within(f: &crate::model::Firewall, terms: &[Term], field: Field) -> bool {
            terms.iter().any(|t| match t {
                Term::Any(a) => {
                    f.alternatives[a.index()].iter().any(|range| within(f, f.terms(*range), field))
                }
                Term::AddressType { field: asked, .. } | Term::Masked { field: asked, .. } => *asked == field,
                _ => f.field_set(t).is_some_and(|(asked, _)| asked == field),
            })
        }
        self.fields.iter().any(|(f, _)| *f == field)
            || self.any_ports.iter().any(|(f, ..)| *f == field)
            || within(builder.firewall(), &self.terms, field)
    }

    /// Takes back what was asked of a field.
    pub(super) fn forget(&mut self, field: Field) {
        self.fields.retain(|(f, _)| *f != field);
    }

    /// Whether it tests the connection state.
    pub(super) fn tests_state(&self) -> bool {
        self.fields.iter().any(|(f, _)| *f == Field::State)
    }

    /// As terms of the model. `families` are those that the table sees; `outside` are the protocols that the conjunctions around it leave.
    pub(super) fn finish(
        mut self,
        builder: &mut Builder,
        families: &[Family],
        outside: Option<&IntervalSet>,
        at: Origin,
    ) -> Vec<Term> {
        if self.family.is_some_and(|f| !families.contains(&f)) {
            self.never = true;
        }
        let protocols = match (self.protocols(builder), outside) {
            (Some(a), Some(b)) => Some(a.intersect(b)),
            (a, b) => a.or_else(|| b.cloned()),
        };
        let with_ports: IntervalSet = proto::WITH_PORTS.iter().map(|p| u128::from(*p)).collect();
        let mut unresolved = Vec::new();
        for (field, set, text) in std::mem::take(&mut self.any_ports) {
            if protocols.as_ref().is_some_and(|p| with_ports.covers(p)) {
                self.field(builder, field, FieldSet::Owned(set));
            } else {
                unresolved.push((field, set, text));
            }
        }
        if self.never
            || self.fields.iter().any(|(f, _)| self.get(builder, *f).is_some_and(IntervalSet::is_empty))
        {
            return vec![if self.nothing && !self.never { Term::OUTSIDE } else { Term::NEVER }];
        }
        let mut out = Vec::with_capacity(self.fields.len() + self.terms.len() + 1);
        if self.get(builder, Field::Mac).is_none() {
            self.terms.append(&mut self.ethernet);
        }
        let addressed = self.fields.iter().any(|(f, _)| matches!(f, Field::Src | Field::Dst));
        if let Some(family) = self.family
            && families.len() > 1
            && !addressed
        {
            out.push(builder.family(family));
        }
        self.fields.sort_by_key(|(f, _)| *f);
        for (field, set) in self.fields {
            if let Some(term) = field_term(builder, field, set, families) {
                out.push(term);
            }
        }
        for (field, set, text) in unresolved {
            let mut ways = vec![vec![builder.field(field, set.clone())]];
            let mut told = with_ports.clone();
            // Where a source port would be, ICMP has type and code (RFC 792, RFC 4443).
            if field == Field::Sport {
                ways.push(vec![builder.field(Field::Icmp, set)]);
                told = [proto::ICMP, proto::ICMPV6]
                    .iter()
                    .map(|p| u128::from(*p))
                    .collect::<IntervalSet>()
                    .union(&told);
            }
            let others = builder.field(Field::Proto, Field::Proto.complement(&told));
            let bytes = builder.opaque(&text, "these bytes are no port in other protocols", false, at);
            ways.push(vec![others, bytes]);
            out.push(builder.any(ways));
        }
        out.extend(self.terms);
        out
    }
}

// `None` if every packet meets it.
fn field_term(builder: &mut Builder, field: Field, set: FieldSet, families: &[Family]) -> Option<Term> {
    let id = match set {
        FieldSet::Owned(set) => {
            return if meets_all(field, &set, families) { None } else { Some(builder.field(field, set)) };
        }
        FieldSet::Stored(id) => id,
    };
    let stored = builder.firewall().sets.get(id);
    if meets_all(field, stored, families) {
        return None;
    }
    if stored.ranges().len() <= 1 {
        let set = stored.clone();
        return Some(builder.field(field, set));
    }
    Some(builder.field_in(field, id))
}

fn meets_all(field: Field, set: &IntervalSet, families: &[Family]) -> bool {
    match field {
        Field::Src | Field::Dst => families.iter().all(|f| set.covers(&f.all())),
        Field::Proto | Field::State | Field::Iif | Field::Oif => set.covers(&field.all()),
        _ => false,
    }
}
