//! How a dialect puts a [`Firewall`] together.

use super::*;
use rustc_hash::FxHashMap;

const NOT_UNDERSTOOD: &str = "the line was not understood";

/// A chain under construction.
pub type ChainRef = ChainId;

/// Builds a [`Firewall`]: interns sets, conditions, labels and notes, and keeps the ledger.
#[derive(Debug, Default)]
pub struct Builder {
    firewall: Firewall,
    conditions: FxHashMap<String, ConditionId>,
    labels: FxHashMap<String, LabelId>,
    notes: FxHashMap<String, NoteId>,
    effects: FxHashMap<Vec<Effect>, EffectsId>,
    last_terms: TermRange,
}

impl Term {
    /// Never holds.
    pub const NEVER: Term = Term::Range { field: Field::Proto, lo: 1, hi: 0 };

    /// Holds for no packet of the model, though it may for others: later fragments, packets with extension headers; or a set that has no elements now. Unlike [`Term::NEVER`] it is no sign of a mistake.
    pub const OUTSIDE: Term = Term::Range { field: Field::Proto, lo: 2, hi: 0 };

    /// What the numbers of [`Term::Range`] count from: addresses from the first of IPv4, everything else from 0.
    pub const fn base(field: Field) -> Value {
        match field {
            Field::Src | Field::Dst => crate::packet::addr::v4(0),
            _ => 0,
        }
    }

    /// Whether it is [`Term::NEVER`] or [`Term::OUTSIDE`].
    pub const fn is_never(&self) -> bool {
        matches!(self, Term::Range { field: Field::Proto, lo, hi } if *lo > *hi)
    }

    /// An opaque condition, as it is or negated.
    pub const fn opaque(condition: ConditionId, negated: bool) -> Term {
        Term::Opaque { condition, negated }
    }
}

impl Builder {
    /// An empty firewall of a dialect, read from `files`, speaking for `families`.
    pub fn new(dialect: &'static str, files: Vec<Arc<SourceFile>>, families: &[Family]) -> Self {
        let firewall = Firewall { dialect, files, families: families.to_vec(), ..Firewall::default() };
        Self { firewall, ..Self::default() }
    }

    /// What is built so far.
    pub fn firewall(&self) -> &Firewall {
        &self.firewall
    }

    /// What is built so far, to set the plain fields (`local`, `interfaces`, `files`) or correct a chain.
    pub fn firewall_mut(&mut self) -> &mut Firewall {
        &mut self.firewall
    }

    /// Reports a problem.
    pub fn diagnose(&mut self, diagnostic: Diagnostic) {
        self.firewall.diagnostics.push(diagnostic);
    }

    /// Adds an empty chain.
    pub fn chain(&mut self, table: &str, name: &str, origin: Origin) -> ChainId {
        let id = ChainId(self.firewall.chains.len() as u32);
        self.firewall.chains.push(Chain {
            table: table.to_owned(),
            name: name.to_owned(),
            rules: Vec::new(),
            origin,
        });
        id
    }

    /// Registers a base chain. Among equal hooks and priorities the one registered first runs first.
    pub fn base_chain(&mut self, base: BaseChain) {
        self.firewall.base_chains.push(base);
    }

    /// Stores a set.
    pub fn set(&mut self, set: IntervalSet) -> SetId {
        self.firewall.sets.add(set)
    }

    /// "The field is in the set", in its most compact form.
    pub fn field(&mut self, field: Field, set: IntervalSet) -> Term {
        let single = match set.ranges() {
            [] => return Term::NEVER,
            [one] => Some(*one),
            _ => None,
        };
        let base = Term::base(field);
        if let Some((lo, hi)) = single
            && lo >= base
            && let (Ok(lo), Ok(hi)) = (u32::try_from(lo - base), u32::try_from(hi - base))
        {
            return Term::Range { field, lo, hi };
        }
        Term::In(field, self.set(set))
    }

    /// A rule asks for a named set whose elements may change while the box runs: call it for each set, with the rule's place. Terms say what the files list.
    pub fn asks_run_time_set(&mut self, rule: Origin, set: RunTimeSet) {
        let sets = self.firewall.run_time_sets.entry(rule).or_default();
        if !sets.contains(&set) {
            sets.push(set);
        }
    }

    /// "The field is in a set already stored."
    pub fn field_in(&self, field: Field, set: SetId) -> Term {
        Term::In(field, set)
    }

    /// "The protocol is this one."
    pub fn protocol(&self, p: u8) -> Term {
        Term::Range { field: Field::Proto, lo: p.into(), hi: p.into() }
    }

    /// "The packet is of this family."
    pub fn family(&mut self, family: Family) -> Term {
        self.field(Field::Dst, family.all())
    }

    /// "The field, masked, is (not) the value": host masks and masks with holes, of fields too wide for a list of their values (addresses;
    /// for others [`Builder::field`] with all values that fit). `mask` and `value` are the bits of the address as it is written: of IPv4
    /// the low 32. The family is not implied: it needs a term of its own. A mask that is a prefix is better a range.
    pub fn masked(&mut self, field: Field, mask: Value, value: Value, negated: bool) -> Term {
        Term::Masked { field, negated, test: self.firewall.sets.add_bits(mask, value) }
    }

    /// "The register, masked, is (not) the value."
    pub fn register(&mut self, register: Register, value: u32, mask: u32, negated: bool) -> Term {
        Term::Register { register, negated, test: self.firewall.sets.add_mask(value, mask) }
    }

    /// "One of these conjunctions holds."
    pub fn any(&mut self, conjunctions: Vec<Vec<Term>>) -> Term {
        let ranges = conjunctions.iter().map(|c| self.store(c)).collect();
        let id = AlternativesId(self.firewall.alternatives.len() as u32);
        self.firewall.alternatives.push(ranges);
        Term::Any(id)
    }

    /// A condition that is not known. Pure conditions, ways back and host names with equal texts are one; each rate limit and volatile condition is
    /// its own.
    pub fn condition(&mut self, text: &str, why: &str, kind: ConditionKind, origin: Origin) -> ConditionId {
        let shared = kind.is_pure();
        if shared
            && let Some(id) = self.conditions.get(text)
            && self.firewall.conditions[id.index()].kind == kind
        {
            return *id;
        }
        let id = ConditionId(self.firewall.conditions.len() as u32);
        if shared {
            self.conditions.insert(text.to_owned(), id);
        }
        self.firewall.conditions.push(Condition {
            text: text.to_owned(),
            why: why.to_owned(),
            kind,
            origin,
            uses: 0,
        });
        id
    }

    /// An opaque pure condition as a term.
    pub fn opaque(&mut self, text: &str, why: &str, negated: bool, origin: Origin) -> Term {
        Term::opaque(self.condition(text, why, ConditionKind::Pure, origin), negated)
    }

    /// A label.
    pub fn label(&mut self, text: &str) -> LabelId {
        let (labels, list) = (&mut self.labels, &mut self.firewall.labels);
        *labels.entry(text.to_owned()).or_insert_with(|| {
            list.push(text.to_owned());
            LabelId(list.len() as u32 - 1)
        })
    }

    /// A note that explains an implicit rule.
    pub fn note(&mut self, text: &str) -> NoteId {
        let (notes, list) = (&mut self.notes, &mut self.firewall.notes);
        *notes.entry(text.to_owned()).or_insert_with(|| {
            list.push(text.to_owned());
            NoteId::new(list.len() - 1)
        })
    }

    /// A list of effects; `None` if it is empty.
    pub fn effects(&mut self, effects: &[Effect]) -> Option<EffectsId> {
        if effects.is_empty() {
            return None;
        }
        let list = &mut self.firewall.effects;
        Some(*self.effects.entry(effects.to_vec()).or_insert_with(|| {
            list.push(effects.to_vec());
            EffectsId::new(list.len() - 1)
        }))
    }

    /// "The field has one of these values from here on." `None` = nobody knows which. This is the one way to say that a rule writes a field:
    ///
    /// * `tcp dport set 22` → `rewrite(Field::Dport, Some(single(22)))`
    /// * `ip saddr set numgen random map @pool` → `rewrite(Field::Src, Some(pool))`
    /// * a payload write whose value is not known → `rewrite(field, None)` for each field that it may touch
    ///
    /// Later rules then see the new value: exactly, where it is one; undecided where several are possible.
    pub fn rewrite(&mut self, field: Field, to: Option<IntervalSet>) -> Effect {
        let to = self.set(to.unwrap_or_else(|| field.all()));
        Effect::Rewrite { field, to }
    }

    /// What a part of a ruleset that is not understood may write to a packet.
    pub fn anything(&mut self) -> Vec<Effect> {
        [Field::Src, Field::Dst, Field::Sport, Field::Dport].map(|field| self.rewrite(field, None)).to_vec()
    }

    /// A translation, for [`Action::Translate`].
    pub fn translation(&mut self, translation: Translation) -> TranslationId {
        self.firewall.translations.push(translation);
        TranslationId(self.firewall.translations.len() as u32 - 1)
    }

    fn store(&mut self, terms: &[Term]) -> TermRange {
        if terms.is_empty() {
            return TermRange::default();
        }
        let last = self.firewall.terms(self.last_terms);
        if last == terms {
            return self.last_terms;
        }
        self.last_terms = TermRange { start: self.firewall.terms.len() as u32, len: terms.len() as u32 };
        self.firewall.terms.extend_from_slice(terms);
        self.last_terms
    }

    /// A rule, not yet in a chain; counts it in the ledger.
    pub fn rule(&mut self, origin: Origin, terms: &[Term], action: Action) -> Rule {
        let opaque = matches!(action, Action::Unknown(_)) || terms.iter().any(|t| self.is_opaque(t));
        if opaque {
            self.firewall.ledger.approximated += 1;
        } else {
            self.firewall.ledger.exact += 1;
        }
        Rule { origin, terms: self.store(terms), action, effects: None, note: None }
    }

    /// Takes back what [`Builder::rule`] or [`Builder::not_understood`] counted for a rule that is removed again.
    pub fn retract(&mut self, rule: &Rule) {
        let opaque = matches!(rule.action, Action::Unknown(_))
            || self.firewall.terms(rule.terms).iter().any(|t| self.is_opaque(t));
        let not_understood = matches!(rule.action, Action::Unknown(c)
            if self.firewall.condition(c).why == NOT_UNDERSTOOD);
        let ledger = &mut self.firewall.ledger;
        let count = match (not_understood, opaque) {
            (true, _) => &mut ledger.not_understood,
            (_, true) => &mut ledger.approximated,
            _ => &mut ledger.exact,
        };
        *count = count.saturating_sub(1);
    }

    fn is_opaque(&self, term: &Term) -> bool {
        match term {
            Term::Opaque { .. } => true,
            Term::Any(a) => self.firewall.alternatives[a.index()]
                .iter()
                .any(|r| self.firewall.terms(*r).iter().any(|t| self.is_opaque(t))),
            _ => false,
        }
    }

    /// Appends a rule to a chain.
    pub fn push(&mut self, chain: ChainId, rule: Rule) {
        self.firewall.chains[chain.index()].rules.push(rule);
    }

    /// Makes a rule and appends it.
    pub fn add(&mut self, chain: ChainId, origin: Origin, terms: &[Term], action: Action) {
        let rule = self.rule(origin, terms, action);
        self.push(chain, rule);
    }

    /// An implicit rule, with the note that explains it; not counted in the ledger.
    pub fn implicit(&mut self, origin: Origin, terms: &[Term], action: Action, note: &str) -> Rule {
        let note = Some(self.note(note));
        Rule { origin, terms: self.store(terms), action, effects: None, note }
    }

    /// A rule that could not be understood: any verdict is possible for whatever meets `terms` (the part that was
    /// understood; may be empty). The problem itself is for [`Builder::diagnose`].
    pub fn not_understood(&mut self, chain: ChainId, origin: Origin, terms: &[Term], text: &str) {
        let c = self.condition(text, NOT_UNDERSTOOD, ConditionKind::Volatile, origin);
        self.firewall.ledger.not_understood += 1;
        let terms = self.store(terms);
        self.push(chain, Rule { origin, terms, action: Action::Unknown(c), effects: None, note: None });
    }

    /// The finished firewall: base chains in order of evaluation, uses of conditions counted.
    pub fn finish(self) -> Firewall {
        let mut f = self.firewall;
        f.base_chains.sort_by_key(|b| (b.hook, b.priority));
        let mut uses = vec![0u32; f.conditions.len()];
        if !uses.is_empty() {
            for rule in f.chains.iter().flat_map(|c| &c.rules) {
                if let Action::Unknown(c) = rule.action {
                    uses[c.index()] += 1;
                }
                count_uses(&f, rule.terms, &mut uses);
            }
        }
        for (c, n) in f.conditions.iter_mut().zip(uses) {
            c.uses = n;
        }
        f.sets.freeze();
        f.terms.shrink_to_fit();
        let possible = unknown_translations(&f);
        f.translations.extend(possible);
        f
    }
}

// What rules that are not understood may do in nat chains; no rule names these.
fn unknown_translations(f: &Firewall) -> Vec<Translation> {
    let unknown = |r: &Rule| matches!(r.action, Action::Unknown(_));
    if f.conditions.is_empty() || !f.chains.iter().flat_map(|c| &c.rules).any(unknown) {
        return Vec::new();
    }
    let nat = f.base_chains.iter().filter(|b| b.kind == ChainKind::Nat);
    let reaches = |b: &&BaseChain| {
        let reached = f.reached_from([b.chain]);
        f.chains.iter().zip(reached).any(|(c, is)| is && c.rules.iter().any(unknown))
    };
    nat.filter(reaches).map(|b| Translation::anything(b.hook)).collect()
}

fn count_uses(f: &Firewall, range: TermRange, uses: &mut [u32]) {
    for term in f.terms(range) {
        match term {
            Term::Opaque { condition, .. } => uses[condition.index()] += 1,
            Term::Any(a) => f.alternatives[a.index()].iter().for_each(|r| count_uses(f, *r, uses)),
            _ => {}
        }
    }
}
