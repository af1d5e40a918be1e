//! What an edit does to a firewall as a whole: both models are walked side by side.
//!
//! A rule that does not apply has no effect. So if the edited firewall is the old one with some rules more, every packet that meets none of
//! these keeps its verdict; and a rule that does nothing but accept lets through no packet but those that it meets. If a rule is missing that
//! stands further up in the same chain too, and ends the way there of each packet that meets it, no packet comes to the missing one at all;
//! and if another rule is missing that did nothing but accept, no packet can be stopped by that but those that it met. So it is, too, with a
//! rule to which no packet is left, or whose packets a later one treats alike ([`coverage`]).
//! What is compared is what decides, whatever it is called: base chains and, from them, every chain that a jump leads to.

use super::edit::Edit;
use super::{Blame, Failure};
use crate::analysis::coverage;
use crate::evidence::near::few;
use crate::evidence::scope::{View, boxes};
use crate::finding::Purpose;
use crate::model::same::Sides;
use crate::model::{Action, BaseChain, ChainId, Firewall, Rule, TranslatedEnd};
use crate::packet::Region;
use crate::source::Origin;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Edits by the names of their files.
pub(super) type Edits = BTreeMap<String, Edit>;

/// What one fix changes, as far as firewalls show it: in words, each once.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What passes that did not.
    pub opens: Vec<String>,
    /// What does not pass any more.
    pub closes: Vec<String>,
}

/// Changes by the numbers of their fixes.
pub(super) type Changes = BTreeMap<usize, Change>;

// Why fixes cannot be proven, by their numbers.
type Wrong = BTreeMap<usize, Blame>;

/// Shows that the new firewall is the old one but for the edits, and that these do no more than the fixes are for.
///
/// # Errors
/// What else changes, in words, and by which fixes as far as that is known.
pub(super) fn prove(
    old: &Firewall,
    new: &Firewall,
    edits: &Edits,
    purposes: &[&Purpose],
    changes: &mut Changes,
) -> Result<(), Failure> {
    let (partner, work) = (FxHashMap::default(), Vec::new());
    let same = Sides::new(old, new);
    let (added, removed, alike) = (Vec::new(), Vec::new(), FxHashMap::default());
    let needless = OnceCell::new();
    let mut walk =
        Walk { old, new, same, edits, partner, work, added, removed, alike, needless, wrong: Wrong::new() };
    walk.surroundings()?;
    while let Some((a, b)) = walk.work.pop() {
        walk.chain(a, b)?;
    }
    let mut wrong = std::mem::take(&mut walk.wrong);
    let lead = new.hooks();
    let view = |chain: &ChainId| View::of(&lead[chain.index()]);
    for (chain, rule, fixes) in &walk.added {
        let opens: Vec<Region> = fixes.iter().flat_map(|f| &purposes[*f].opens).cloned().collect();
        match within(&view(chain), new, rule, &opens, "it would also let through") {
            Ok(texts) => {
                for (fix, text) in fixes.iter().flat_map(|fix| texts.iter().map(move |t| (fix, t))) {
                    note(&mut changes.entry(*fix).or_default().opens, text);
                }
            }
            Err(why) => wrong.extend(fixes.iter().map(|fix| (*fix, Blame::alone(why.clone())))),
        }
    }
    // Jumps are the same in both, so the hooks are.
    for (chain, rule, fix) in &walk.removed {
        match within(&view(chain), old, rule, &purposes[*fix].closes, "it would also stop") {
            Ok(texts) => {
                let closes = &mut changes.entry(*fix).or_default().closes;
                texts.iter().for_each(|text| note(closes, text));
            }
            Err(why) => _ = wrong.insert(*fix, Blame::alone(why)),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::of(wrong)) }
}

fn note(texts: &mut Vec<String>, text: &str) {
    if !texts.iter().any(|t| t == text) {
        texts.push(text.to_owned());
    }
}

// The packets that a rule can meet, in words, if they are among those of a purpose.
fn within(
    view: &View,
    f: &Firewall,
    rule: &Rule,
    purpose: &[Region],
    else_: &str,
) -> Result<Vec<String>, String> {
    let regions = boxes(f, rule);
    let beyond: Vec<String> =
        regions.iter().flat_map(|r| view.beyond(r, purpose)).map(|r| view.words(&r)).collect();
    if beyond.is_empty() {
        // Rules see where a packet goes, not where it was sent to.
        let moved = f.translations.iter().any(|t| t.end == TranslatedEnd::Destination && !t.identity);
        let after = if moved { " (as it is after translation)" } else { "" };
        return Ok(regions.iter().map(|r| format!("{}{after}", view.words(r))).collect());
    }
    Err(format!("{else_} {}", few(&beyond)))
}

struct Walk<'a> {
    old: &'a Firewall,
    new: &'a Firewall,
    same: Sides<'a>,
    edits: &'a Edits,
    // The chain of the new firewall that stands for one of the old.
    partner: FxHashMap<ChainId, ChainId>,
    work: Vec<(ChainId, ChainId)>,
    // Rules that are new, with their chain and the fixes that brought them.
    added: Vec<(ChainId, Rule, Vec<usize>)>,
    // Rules that are gone and may have decided, with the chain of the new firewall and the fix that took them.
    removed: Vec<(ChainId, Rule, usize)>,
    // Of the old chains that rules are taken from: the rules, by the hash that equal ones share, in their order, each with whether it stays.
    alike: FxHashMap<ChainId, FxHashMap<u64, Vec<(usize, bool)>>>,
    // Rules of the old firewall without which every packet has the same verdict, however many of them are gone.
    needless: OnceCell<FxHashSet<(ChainId, usize)>>,
    // Fixes that do more than they may.
    wrong: Wrong,
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
            return Err("the file would describe another machine".to_owned());
        }
        for (x, y) in a.base_chains.iter().zip(&b.base_chains) {
            if !self.same_base(x, y) || !self.pair(x.chain, y.chain) {
                return Err(format!("base chain {} would change", a.chain(x.chain).name));
            }
        }
        Ok(())
    }

    fn same_base(&self, x: &BaseChain, y: &BaseChain) -> bool {
        self.same.policy(x.policy, y.policy)
            && (x.hook, x.priority, x.kind, &x.families) == (y.hook, y.priority, y.kind, &y.families)
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
            match (was, is, brought, taken) {
                (None, None, ..) => return Ok(()),
                // Lines that were written anew and say the same, or lines that nobody touched.
                (Some(x), Some(y), b, t) if t.is_some() == b.is_some() && self.same_rule(x, y) => {
                    (i, j) = (i + 1, j + 1);
                }
                (_, Some(y), Some(fixes), _) => {
                    if accepts(self.new, y) {
                        self.added.push((b, *y, fixes));
                    } else {
                        let why = |fix| (fix, Blame::alone("the added rule does more than accept"));
                        self.wrong.extend(fixes.into_iter().map(why));
                    }
                    j += 1;
                }
                (Some(x), _, _, Some(fix)) => {
                    if !self.superfluous(a, i) {
                        if accepts(self.old, x) {
                            self.removed.push((b, *x, fix));
                        } else {
                            let why = "the removed rule may decide packets".to_owned();
                            // One that says the same goes too, and may yet stay.
                            let alone = !self.is_copy(a, i, false);
                            self.wrong.insert(fix, Blame { why, alone });
                        }
                    }
                    i += 1;
                }
                _ => return Err(format!("other rules of chain {} would change", self.old.chain(a).name)),
            }
        }
    }

    fn edit(&self, f: &Firewall, at: Origin) -> Option<&Edit> {
        self.edits.get(&f.files.get(at.file as usize)?.path)
    }

    // Whether a rule stands further up too, and stays there; or no packet is left to it; or a later rule would do the same.
    fn superfluous(&mut self, chain: ChainId, at: usize) -> bool {
        let rules = &self.old.chain(chain).rules;
        if !self.alike.contains_key(&chain) {
            let stays = |r: &Rule| self.edit(self.old, r.origin).and_then(|e| e.taken(r.origin)).is_none();
            let mut alike: FxHashMap<u64, Vec<(usize, bool)>> = FxHashMap::default();
            for (n, r) in rules.iter().enumerate() {
                alike.entry(coverage::hash(self.old, r)).or_default().push((n, stays(r)));
            }
            self.alike.insert(chain, alike);
        }
        self.is_copy(chain, at, true)
            || self.needless.get_or_init(|| needless(self.old)).contains(&(chain, at))
    }

    // Whether a rule stands further up too: one that stays, or any.
    fn is_copy(&self, chain: ChainId, at: usize, only_staying: bool) -> bool {
        let rules = &self.old.chain(chain).rules;
        let same = self.alike.get(&chain).and_then(|a| a.get(&coverage::hash(self.old, &rules[at])));
        let mut above = same.into_iter().flatten().take_while(|(n, _)| *n < at);
        above.any(|(n, stays)| {
            (*stays || !only_staying) && coverage::decides_for(self.old, &rules[*n], &rules[at])
        })
    }

    fn same_rule(&mut self, a: &Rule, b: &Rule) -> bool {
        let action = match (a.action, b.action) {
            (Action::Jump(x), Action::Jump(y)) | (Action::Goto(x), Action::Goto(y)) => self.pair(x, y),
            (Action::Unknown(x), Action::Unknown(y)) => self.same.condition(x, y),
            (Action::Translate(x), Action::Translate(y)) => self.same.translation(x, y),
            (x, y) => x == y,
        };
        action
            && self.same.terms(a.terms, b.terms)
            && self.same.effects(a, b)
            && self.same.run_time_sets(a, b)
    }
}

// A rule that no packet meets makes no other needless by being there: those without packets go first. Of the others, each one's packets are
// left to a later rule with the same action, which if it goes too leaves them to one that takes in more, and none between sees them.
fn needless(f: &Firewall) -> FxHashSet<(ChainId, usize)> {
    let mut out: FxHashSet<_> = coverage::unused(f)
        .into_iter()
        .filter(|(_, why)| why.reason != coverage::Reason::Strays)
        .map(|(rule, _)| rule)
        .collect();
    let later = coverage::redundant(f, &|chain, rule| out.contains(&(chain, rule)));
    out.extend(later.into_iter().map(|(rule, _)| rule));
    out
}

// Does nothing but accept.
fn accepts(f: &Firewall, rule: &Rule) -> bool {
    rule.action == Action::Accept && f.effects(rule).is_empty()
}
