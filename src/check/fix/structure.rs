//! What an edit does to a firewall as a whole: both models are walked side by side.
//!
//! A rule that does not apply has no effect. So if the edited firewall is the old one with some rules more, every packet that meets none of
//! these keeps its verdict; and a rule that does nothing but accept lets through no packet but those that it meets. If a rule is missing that
//! stands further up in the same chain too, and ends the way there of each packet that meets it, no packet comes to the missing one at all.
//! What is compared is what decides, whatever it is called: base chains and, from them, every chain that a jump leads to.

use super::edit::Edit;
use crate::check::duplicate;
use crate::check::near::{few, ports};
use crate::finding::Purpose;
use crate::model::{
    Action, BaseChain, ChainId, Condition, ConditionId, Effect, Firewall, Hook, Policy, Rule, Term, TermRange,
};
use crate::packet::{Field, IntervalSet, Region, addr, proto};
use crate::source::Origin;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Edits by the names of their files.
pub(super) type Edits = BTreeMap<String, Edit>;

/// What one fix adds to what passes, as far as a firewall shows it: in words, each once.
pub(super) type Opened = BTreeMap<usize, Vec<String>>;

/// Shows that the new firewall is the old one but for the edits, and that these do no more than the fixes are for.
///
/// # Errors
/// What else changes, in words.
pub(super) fn prove(
    old: &Firewall,
    new: &Firewall,
    edits: &Edits,
    purposes: &[&Purpose],
    opened: &mut Opened,
) -> Result<(), String> {
    let mut walk =
        Walk { old, new, edits, partner: FxHashMap::default(), work: Vec::new(), added: Vec::new() };
    walk.surroundings()?;
    while let Some((a, b)) = walk.work.pop() {
        walk.chain(a, b)?;
    }
    let hooks = hooks(new);
    for (chain, rule, fixes) in &walk.added {
        let view = View::of(hooks.get(chain).map_or(&[], Vec::as_slice));
        for region in boxes(new, rule) {
            admitted(&region, &view, fixes, purposes)?;
            let text = view.words(&region);
            for fix in fixes {
                let texts = opened.entry(*fix).or_default();
                if !texts.contains(&text) {
                    texts.push(text.clone());
                }
            }
        }
    }
    Ok(())
}

struct Walk<'a> {
    old: &'a Firewall,
    new: &'a Firewall,
    edits: &'a Edits,
    // The chain of the new firewall that stands for one of the old.
    partner: FxHashMap<ChainId, ChainId>,
    work: Vec<(ChainId, ChainId)>,
    // Rules that are new, with their chain and the fixes that brought them.
    added: Vec<(ChainId, Rule, Vec<usize>)>,
}

impl Walk<'_> {
    // Everything but the rules.
    fn surroundings(&mut self) -> Result<(), String> {
        let (a, b) = (self.old, self.new);
        let names = |f: &Firewall| -> Vec<_> {
            f.interfaces.iter().map(|i| (i.name.clone(), i.addresses.clone(), i.networks.clone())).collect()
        };
        let same = a.families == b.families
            && a.local == b.local
            && names(a) == names(b)
            && a.labels == b.labels
            && a.carriers == b.carriers
            && a.points == b.points
            && a.base_chains.len() == b.base_chains.len();
        if !same {
            return Err("the file would describe another box".to_owned());
        }
        for (x, y) in a.base_chains.iter().zip(&b.base_chains) {
            if !self.same_base(x, y) || !self.pair(x.chain, y.chain) {
                return Err(format!("base chain {} would change", a.chain(x.chain).name));
            }
        }
        Ok(())
    }

    fn same_base(&self, x: &BaseChain, y: &BaseChain) -> bool {
        let policy = match (x.policy, y.policy) {
            (Policy::Unknown(a), Policy::Unknown(b)) => self.same_condition(a, b),
            (a, b) => a == b,
        };
        policy && (x.hook, x.priority, x.kind, &x.families) == (y.hook, y.priority, y.kind, &y.families)
    }

    fn pair(&mut self, a: ChainId, b: ChainId) -> bool {
        if let Some(known) = self.partner.get(&a) {
            return *known == b;
        }
        self.partner.insert(a, b);
        self.work.push((a, b));
        true
    }

    fn chain(&mut self, a: ChainId, b: ChainId) -> Result<(), String> {
        let (old, new) = (&self.old.chain(a).rules, &self.new.chain(b).rules);
        let (mut i, mut j) = (0, 0);
        loop {
            let (was, is) = (old.get(i), new.get(j));
            let taken = was.and_then(|r| self.edit(self.old, r.origin)?.taken(r.origin));
            let brought =
                is.and_then(|r| self.edit(self.new, r.origin)?.brought(r.origin).map(<[usize]>::to_vec));
            match (was, is, brought) {
                (None, None, _) => return Ok(()),
                // Lines that were written anew and say the same, or lines that nobody touched.
                (Some(x), Some(y), b) if taken.is_some() == b.is_some() && self.same_rule(x, y) => {
                    (i, j) = (i + 1, j + 1);
                }
                (_, Some(y), Some(fixes)) => {
                    if y.action != Action::Accept || !self.new.effects(y).is_empty() {
                        return Err("what is added does more than accept".to_owned());
                    }
                    self.added.push((b, *y, fixes));
                    j += 1;
                }
                (Some(_), ..) if taken.is_some() => {
                    self.superfluous(a, i)?;
                    i += 1;
                }
                _ => return Err(format!("other rules of chain {} would change", self.old.chain(a).name)),
            }
        }
    }

    fn edit(&self, f: &Firewall, at: Origin) -> Option<&Edit> {
        self.edits.get(&f.files.get(at.file as usize)?.path)
    }

    // A rule that goes must stand further up, to stay there.
    fn superfluous(&self, chain: ChainId, at: usize) -> Result<(), String> {
        let rules = &self.old.chain(chain).rules;
        let stays = |r: &Rule| self.edit(self.old, r.origin).and_then(|e| e.taken(r.origin)).is_none();
        let copy = rules[..at].iter().any(|r| duplicate::decides_for(self.old, r, &rules[at]) && stays(r));
        if copy { Ok(()) } else { Err("what is taken away may decide about packets".to_owned()) }
    }

    fn same_rule(&mut self, a: &Rule, b: &Rule) -> bool {
        let action = match (a.action, b.action) {
            (Action::Jump(x), Action::Jump(y)) | (Action::Goto(x), Action::Goto(y)) => self.pair(x, y),
            (Action::Unknown(x), Action::Unknown(y)) => self.same_condition(x, y),
            (Action::Translate(x), Action::Translate(y)) => {
                self.old.translations[x.index()] == self.new.translations[y.index()]
            }
            (x, y) => x == y,
        };
        action
            && self.same_terms(a.terms, b.terms)
            && self.same_effects(self.old.effects(a), self.new.effects(b))
    }

    fn same_effects(&self, a: &[Effect], b: &[Effect]) -> bool {
        let same = |(x, y): (&Effect, &Effect)| match (*x, *y) {
            (Effect::Forget(r, x), Effect::Forget(s, y)) => r == s && self.same_condition(x, y),
            (x, y) => x == y,
        };
        a.len() == b.len() && a.iter().zip(b).all(same)
    }

    fn same_terms(&self, a: TermRange, b: TermRange) -> bool {
        let (a, b) = (self.old.terms(a), self.new.terms(b));
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| self.same_term(x, y))
    }

    fn same_term(&self, a: &Term, b: &Term) -> bool {
        match (*a, *b) {
            (Term::In(f, x), Term::In(g, y)) => f == g && self.old.sets.get(x) == self.new.sets.get(y),
            (Term::Opaque { condition: x, negated: m }, Term::Opaque { condition: y, negated: n }) => {
                m == n && self.same_condition(x, y)
            }
            (Term::Any(x), Term::Any(y)) => {
                let (x, y) = (&self.old.alternatives[x.index()], &self.new.alternatives[y.index()]);
                x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.same_terms(*x, *y))
            }
            (
                Term::Register { register: r, negated: m, test: x },
                Term::Register { register: s, negated: n, test: y },
            ) => r == s && m == n && self.old.sets.mask(x) == self.new.sets.mask(y),
            // Labels are equal in both, so their numbers are.
            (x, y) => x == y,
        }
    }

    fn same_condition(&self, a: ConditionId, b: ConditionId) -> bool {
        let key = |c: &Condition| (c.text.clone(), c.kind.clone());
        key(self.old.condition(a)) == key(self.new.condition(b))
    }
}

// The hooks that lead to each chain, by jumps and gotos.
fn hooks(f: &Firewall) -> FxHashMap<ChainId, Vec<Hook>> {
    let mut out: FxHashMap<ChainId, Vec<Hook>> = FxHashMap::default();
    for base in &f.base_chains {
        let mut work = vec![base.chain];
        while let Some(chain) = work.pop() {
            let known = out.entry(chain).or_default();
            if known.contains(&base.hook) {
                continue;
            }
            known.push(base.hook);
            work.extend(f.chain(chain).rules.iter().filter_map(|r| match r.action {
                Action::Jump(to) | Action::Goto(to) => Some(to),
                _ => None,
            }));
        }
    }
    out
}

/// What every packet has alike that comes to a chain, so that no rule there needs to say so.
struct View {
    // The end that is the box itself.
    own: Option<Field>,
    // Interfaces that are not known there: not yet, or not any more.
    unseen: Vec<Field>,
}

impl View {
    // Of a chain to which these hooks lead.
    fn of(hooks: &[Hook]) -> Self {
        let own = match hooks {
            [Hook::Input] => Some(Field::Dst),
            [Hook::Output] => Some(Field::Src),
            _ => None,
        };
        let blind = |field: &Field| match field {
            Field::Iif => hooks.iter().all(|h| matches!(h, Hook::Output | Hook::Egress)),
            _ => hooks.iter().all(|h| matches!(h, Hook::Prerouting | Hook::Input | Hook::Ingress)),
        };
        Self { own, unseen: [Field::Iif, Field::Oif].into_iter().filter(blind).collect() }
    }

    fn free(&self, region: &Region) -> Region {
        self.own.iter().chain(&self.unseen).fold(region.clone(), |r, field| r.with(*field, field.all()))
    }

    // `tcp/20082 from 10.1.0.11 to this box`; of answers: `tcp from port 80 of this box to 10.2.8.61`.
    fn words(&self, region: &Region) -> String {
        let own = |field, set: &IntervalSet| match self.own {
            Some(f) if f == field => "this box".to_owned(),
            _ => few(&addr::display(set)),
        };
        let protocol = region.get(Field::Proto);
        let name = match protocol.count() {
            1 => proto::name(protocol.first().unwrap_or(0) as u8),
            256 => "any protocol".to_owned(),
            _ => format!("protocols {}", few(&ports(protocol))),
        };
        let named = |field: Field| {
            let set = region.get(field);
            (*set != field.all()).then(|| ports(set).join(","))
        };
        let to = named(Field::Dport).map_or_else(String::new, |p| format!("/{p}"));
        let from = named(Field::Sport).map_or_else(String::new, |p| format!("port {p} of "));
        let (src, dst) = (region.get(Field::Src), region.get(Field::Dst));
        format!("{name}{to} from {from}{} to {}", own(Field::Src, src), own(Field::Dst, dst))
    }
}

// The packets that a rule can meet, or more: what it asks beside fields is left out.
fn boxes(f: &Firewall, rule: &Rule) -> Vec<Region> {
    let all = f.families.iter().map(|family| {
        let terms = f.terms(rule.terms).iter().filter_map(|t| f.field_set(t));
        terms.fold(Region::all(*family), |r, (field, set)| r.cut(field, &set))
    });
    all.flat_map(|r| r.normal()).collect()
}

// Whether a new rule accepts nothing but what its fixes are for.
fn admitted(region: &Region, view: &View, fixes: &[usize], purposes: &[&Purpose]) -> Result<(), String> {
    let scopes: Vec<Region> =
        fixes.iter().flat_map(|f| &purposes[*f].opens).flat_map(|r| view.free(r).normal()).collect();
    let beyond = Region::minus_all(vec![view.free(region)], &scopes);
    if beyond.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = beyond.iter().map(|r| view.words(r)).collect();
    Err(format!("it would also let through {}", few(&texts)))
}
