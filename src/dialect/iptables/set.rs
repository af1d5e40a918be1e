//! `-m set`: membership of a packet's fields in a set.

use super::context::{Context, Lowered};
use super::ipset::{self, CHANGES, Membership, Product};
use super::syntax::Test;
use crate::model::{ConditionKind, RunTimeSet, Term};
use crate::packet::Field;

// A negated set of several dimensions becomes one term for each of its products, so many at most.
const MAX_NEGATED: usize = 64;

/// `-m set`.
pub(super) fn matches(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let Some(test) = c.command.spec.find(owner, "match-set").copied() else {
        let used = c.command.spec.uses[owner];
        return Err(c.problem(used.word, "`-m set` needs `--match-set NAME FLAGS`"));
    };
    if let Some(second) = c.tests(owner).filter(|t| t.option.canonical == "match-set").nth(1) {
        return Err(c
            .problem(second.word, "`-m set` has one set")
            .help("write `-m set` a second time before the second one"));
    }
    let flags = directions(c, &test)?;
    let others = c
        .tests(owner)
        .any(|t| !matches!(t.option.canonical, "match-set" | "update-counters" | "update-subcounters"));
    let name = c.words.shown(test.args[0]);
    if others {
        return c.joint(owner, ConditionKind::Volatile, "depends on counters and exceptions of the set");
    }
    let key = format!("{} {name} {}", test.negated, c.words.shown(test.args[1]));
    let asked = RunTimeSet { name: format!("ipset {name}"), fields: about(&flags), how: key.clone() };
    c.b.asks_run_time_set(c.origin, asked);
    if let Some(terms) = c.set_memo.get(&key) {
        let terms = terms.clone();
        c.terms.extend(terms);
        return Ok(());
    }
    let start = c.terms.len();
    let membership = ipset::lookup(&c.sets, &name, &flags, c.family);
    lower(c, &test, &membership);
    let made = c.terms[start..].to_vec();
    c.set_memo.insert(key, made);
    Ok(())
}

// The fields that elements of a set may be about, when the sides of its dimensions are given (ipset(8): a port comes with a protocol, or with
// type and code of ICMP, where it is not the only dimension).
fn about(sides: &[bool]) -> u16 {
    let mut out = Vec::new();
    for source in sides {
        out.extend_from_slice(match source {
            true => &[Field::Src, Field::Sport, Field::Mac],
            false => &[Field::Dst, Field::Dport, Field::Mac],
        });
        if sides.len() > 1 {
            out.extend([Field::Proto, Field::Icmp, if *source { Field::Iif } else { Field::Oif }]);
        }
    }
    RunTimeSet::bits(&out)
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
                Field::Src | Field::Dst => c.addresses().minus(values),
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
