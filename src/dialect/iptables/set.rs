//! `-m set`: membership of a packet's fields in a set.

use super::ipset::{Dimension, Element, Part, Set, width};
use super::lower::{Context, Lowered};
use super::syntax::Test;
use crate::model::{ConditionKind, Term};
use crate::packet::{Field, IntervalSet, proto};
use rustc_hash::FxHashMap;

/// A product of sets of values, one for each field.
type Product = Vec<(Field, IntervalSet)>;

/// What is known of a membership: the packets that are certainly in the set, as a union of products, and why others may be in it too.
#[derive(Debug, Default, Clone)]
struct Membership {
    certain: Vec<Product>,
    doubtful: Option<&'static str>,
}

// A set of several dimensions becomes so many products at most.
const MAX_PRODUCTS: usize = 1024;
// A negated one becomes one term for each.
const MAX_NEGATED: usize = 64;

/// `-m set`.
pub(super) fn matches(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let Some(test) = c.command.spec.find(owner, "match-set").copied() else {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, "`-m set` needs `--match-set NAME FLAGS`"));
    };
    let flags = directions(c, &test)?;
    let others = c
        .tests(owner)
        .any(|t| !matches!(t.option.canonical, "match-set" | "update-counters" | "update-subcounters"));
    let name = c.words.shown(test.args[0]);
    if others {
        return c.joint(owner, ConditionKind::Volatile, "depends on counters and exceptions of the set");
    }
    let key = format!("{} {name} {}", test.negated, c.words.shown(test.args[1]));
    if let Some(terms) = c.set_memo.get(&key) {
        let terms = terms.clone();
        c.terms.extend(terms);
        return Ok(());
    }
    let start = c.terms.len();
    let family = c.family();
    let membership = lookup(&c.sets, &name, &flags, family, true);
    lower(c, &test, &membership);
    let made = c.terms[start..].to_vec();
    c.set_memo.insert(key, made);
    Ok(())
}

// `src,dst`: `true` = source.
fn directions(c: &Context<'_>, test: &Test) -> Lowered<Vec<bool>> {
    let flags: Option<Vec<bool>> = c
        .arg(test, 1)
        .split(|b| *b == b',')
        .map(|f| match f {
            b"src" => Some(true),
            b"dst" => Some(false),
            _ => None,
        })
        .collect();
    flags.filter(|f| f.len() <= 6).ok_or_else(|| {
        let shown = c.words.shown(test.args[1]);
        c.problem(test.args[1], format!("`{shown}` says not which side"))
            .help("`src` or `dst` for each dimension, joined by commas")
    })
}

const MISSING: &str = "the set is not known: put the output of `ipset save` beside the dump";
const CHANGES: &str = "elements of the set come and go";

fn lookup(
    sets: &super::ipset::Sets,
    name: &str,
    flags: &[bool],
    family: crate::packet::Family,
    lists: bool,
) -> Membership {
    let unknown = |why| Membership { certain: Vec::new(), doubtful: Some(why) };
    let Some(set) = sets.by_name.get(name) else {
        return unknown(MISSING);
    };
    if let Some(why) = set.unknown {
        return unknown(why);
    }
    if set.dimensions.is_empty() {
        if !lists {
            return unknown("a list of lists");
        }
        let mut all = Membership { doubtful: set.grows.then_some(CHANGES), ..Membership::default() };
        for member in &set.members {
            let m = lookup(sets, member, flags, family, false);
            all.certain.extend(m.certain);
            all.doubtful = all.doubtful.or(m.doubtful);
        }
        return all;
    }
    // With fewer directions than dimensions, and for the other family, nothing is ever found (ip_set_core.c, `ip_set_test`).
    if flags.len() < set.dimensions.len() || set.family.is_some_and(|f| f != family) {
        return Membership::default();
    }
    match products(set, flags) {
        Ok(certain) => Membership { certain, doubtful: set.grows.then_some(CHANGES) },
        Err(why) => unknown(why),
    }
}

// The fields of a part. A packet has them all, or the product does not hold.
fn fields(part: &Part, dimension: Dimension, src: bool) -> Option<Product> {
    let side = |s, d| if src { s } else { d };
    Some(match (part, dimension) {
        (Part::Values(v), Dimension::Ip | Dimension::Net) => vec![(side(Field::Src, Field::Dst), v.clone())],
        (Part::Values(v), Dimension::Iface) => vec![(side(Field::Iif, Field::Oif), v.clone())],
        (Part::Values(v), Dimension::Mac) if src => vec![(Field::Mac, v.clone())],
        (Part::Port(p, range), _) => {
            let protocols: IntervalSet = match p {
                0 => [proto::TCP, proto::UDP].into_iter().map(u128::from).collect(),
                p => IntervalSet::single(*p),
            };
            let mut product = vec![(Field::Proto, protocols)];
            if let Some((lo, hi)) = range {
                let field = match *p {
                    proto::ICMP | proto::ICMPV6 => Field::Icmp,
                    _ => side(Field::Sport, Field::Dport),
                };
                product.push((field, IntervalSet::range(*lo, *hi)));
            }
            product
        }
        _ => return None,
    })
}

// The elements as products, those that differ in the addresses of their first dimension only taken together.
fn products(set: &Set, flags: &[bool]) -> Result<Vec<Product>, &'static str> {
    const SIDE: &str = "the destination's hardware address is not modelled";
    let nets = set.dimensions.iter().filter(|d| **d == Dimension::Net).count();
    if nets > 1 && set.elements.iter().any(|e| e.nomatch) {
        return Err("exceptions in two dimensions are not modelled");
    }
    let mut ordered: Vec<&Element> = set.elements.iter().collect();
    // The most specific element counts: wide ones first, exceptions taken out as they come.
    if set.elements.iter().any(|e| e.nomatch) {
        ordered.sort_by_key(|e| std::cmp::Reverse(e.parts.iter().map(width).max()));
        if set.grows {
            return Err("exceptions of a set that changes are not modelled");
        }
    }
    let address = set.dimensions.iter().position(|d| *d == Dimension::Net).unwrap_or(0);
    let mut groups: Vec<Group> = Vec::new();
    let mut index: FxHashMap<Vec<Part>, usize> = FxHashMap::default();
    for e in ordered.into_iter().filter(|e| e.permanent) {
        let mut rest = e.parts.clone();
        let head = match std::mem::replace(&mut rest[address], Part::Port(0, None)) {
            Part::Values(v) => Head::Values(v),
            Part::Port(p, r) => Head::Port(p, r),
        };
        let at = *index.entry(rest).or_insert_with_key(|rest| {
            groups.push(Group {
                rest: rest.clone(),
                ranges: Vec::new(),
                ports: Vec::new(),
                exceptions: false,
            });
            groups.len() - 1
        });
        groups[at].add(head, e.nomatch);
    }
    let mut out = Vec::new();
    for group in groups {
        for head in group.heads() {
            let mut product = Vec::new();
            for (i, (dimension, src)) in set.dimensions.iter().zip(flags).enumerate() {
                let part = if i == address { &head } else { &group.rest[i] };
                for (field, values) in fields(part, *dimension, *src).ok_or(SIDE)? {
                    meet(&mut product, field, values);
                }
            }
            push_joined(&mut out, product);
            if out.len() > MAX_PRODUCTS {
                return Err("the set has too many combinations");
            }
        }
    }
    Ok(out)
}

// Two dimensions may look at one field (`src,src`).
fn meet(product: &mut Product, field: Field, values: IntervalSet) {
    match product.iter_mut().find(|p| p.0 == field) {
        Some(p) => p.1 = p.1.intersect(&values),
        None => product.push((field, values)),
    }
}

enum Head {
    Values(IntervalSet),
    Port(u8, Option<(u16, u16)>),
}

// Elements that agree in all dimensions but one.
struct Group {
    rest: Vec<Part>,
    ranges: Vec<(u128, u128)>,
    ports: Vec<(u8, Option<(u16, u16)>)>,
    exceptions: bool,
}

impl Group {
    fn add(&mut self, head: Head, nomatch: bool) {
        match head {
            Head::Values(v) if nomatch || self.exceptions => {
                let all = IntervalSet::from_ranges(self.ranges.drain(..));
                let all = if nomatch { all.minus(&v) } else { all.union(&v) };
                self.exceptions = true;
                self.ranges.extend_from_slice(all.ranges());
            }
            Head::Values(v) => self.ranges.extend_from_slice(v.ranges()),
            Head::Port(p, r) => self.ports.push((p, r)),
        }
    }

    fn heads(&self) -> Vec<Part> {
        let mut heads = Vec::new();
        if !self.ranges.is_empty() {
            heads.push(Part::Values(IntervalSet::from_ranges(self.ranges.iter().copied())));
        }
        heads.extend(self.ports.iter().map(|(p, r)| Part::Port(*p, *r)));
        heads
    }
}

// Products that differ in one field only become one: single ports become ranges.
fn push_joined(out: &mut Vec<Product>, product: Product) {
    if let Some(last) = out.last_mut()
        && last.len() == product.len()
        && last.iter().zip(&product).all(|(a, b)| a.0 == b.0)
        && last.iter().zip(&product).filter(|(a, b)| a.1 != b.1).count() <= 1
    {
        for (a, b) in last.iter_mut().zip(&product) {
            a.1 = a.1.union(&b.1);
        }
    } else {
        out.push(product);
    }
}

fn lower(c: &mut Context<'_>, test: &Test, m: &Membership) {
    let products = m.certain.clone();
    let name = format!("-m set --match-set {} {}", c.words.shown(test.args[0]), c.words.shown(test.args[1]));
    let kind = if m.doubtful == Some(CHANGES) { ConditionKind::Volatile } else { ConditionKind::Pure };
    let doubt = m.doubtful.map(|why| c.b.condition(&name, why, kind, c.origin));
    if test.negated {
        if products.len() > MAX_NEGATED {
            c.push_opaque(&name, "the set has too many combinations", true);
            return;
        }
        for product in &products {
            outside(c, product);
        }
        c.terms.extend(doubt.map(|d| Term::opaque(d, true)));
        return;
    }
    let mut ways: Vec<Vec<Term>> =
        products.into_iter().map(|p| p.into_iter().map(|(f, v)| c.b.field(f, v)).collect()).collect();
    ways.extend(doubt.map(|d| vec![Term::opaque(d, false)]));
    match ways.len() {
        0 => c.outside(),
        1 => c.terms.extend(ways.pop().unwrap_or_default()),
        _ => {
            let any = c.b.any(ways);
            c.push(any);
        }
    }
}

// "One of the fields is outside." A packet without the port has another protocol than the product's.
fn outside(c: &mut Context<'_>, product: &Product) {
    let ways: Vec<Vec<Term>> = product
        .iter()
        .map(|(field, values)| {
            let rest = match field {
                Field::Src | Field::Dst => c.family().all().minus(values),
                _ => field.complement(values),
            };
            vec![c.b.field(*field, rest)]
        })
        .collect();
    if let [only] = ways.as_slice() {
        c.terms.extend_from_slice(only);
    } else {
        let any = c.b.any(ways);
        c.push(any);
    }
}
