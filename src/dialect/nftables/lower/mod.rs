//! From a ruleset to the model.

mod around;
mod assign;
mod certain;
mod conflicts;
mod conjunction;
mod constrain;
mod device;
mod graph;
mod lints;
mod lost;
mod map;
mod matching;
mod membership;
mod nat;
mod quirks;
mod raw;
mod record;
mod rule;
mod subject;
mod values;

use super::cursor::{Parsed, SyntaxError};
use super::facts::Facts;
use super::json;
use super::parse::{Context, Parser};
use super::ruleset::{Ruleset, SetDeclaration, Source, Table, TableFamily, TypeSpec};
use super::show;
use super::syntax::*;
use crate::model::{
    Action, BaseChain, Builder, ChainId, ChainKind, ConditionKind, Effect, Firewall, Hook, Policy, Register,
    RunTimeSet,
};
use crate::packet::{Family, Field};
use crate::source::{Diagnostic, Origin, RuleName, SourceFile};
use conjunction::Conjunction;
use rustc_hash::FxHashMap;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use values::Contents;

/// What lowering starts from.
pub(super) struct Input<'a> {
    pub(super) dialect: &'static str,
    pub(super) files: Vec<Arc<SourceFile>>,
    pub(super) context: Context<'a>,
    pub(super) snippets: &'a json::Snippets,
    pub(super) ruleset: &'a Ruleset<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Where more than a rule or element could not be read.
    pub(super) lost: Option<Origin>,
}

/// When a chain runs, as connection tracking goes (`nf_conntrack` registers at priority −200 of prerouting and output).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum When {
    Before,
    Unclear,
    Tracked,
}

/// Lowers a ruleset.
pub(super) fn lower(input: Input<'_>) -> Firewall {
    let real_files = input.files.len();
    let complete = input.diagnostics.iter().all(|d| d.severity != crate::source::Severity::Error);
    let mut b = Builder::new(input.dialect, input.files, &Family::ALL);
    input.diagnostics.into_iter().for_each(|d| b.diagnose(d));
    for (at, comment) in &input.ruleset.comments {
        let name = RuleName { description: comment.clone(), ..RuleName::default() };
        b.firewall_mut().rule_names.insert(*at, name);
    }
    let mut l = Lower {
        b,
        ruleset: input.ruleset,
        context: input.context,
        snippets: input.snippets,
        real_files,
        sets: FxHashMap::default(),
        chains: FxHashMap::default(),
        waiting: Vec::new(),
        untracks: OnceCell::new(),
        unclear: false,
        asked: Vec::new(),
        ledger: crate::model::Ledger::default(),
        synthetic: 0,
        facts: Facts::default(),
        lost: input.lost,
    };
    l.run();
    l.around();
    l.finish_facts(complete);
    let lost = l.lost;
    l.b.firewall_mut().ledger = l.ledger;
    graph::break_cycles(&mut l.b);
    quirks::nat_without_tracking(&mut l.b);
    if let Some(at) = lost {
        lost::anything(&mut l.b, at);
    }
    l.b.finish()
}

struct Lower<'a> {
    b: Builder,
    ruleset: &'a Ruleset<'a>,
    context: Context<'a>,
    snippets: &'a json::Snippets,
    real_files: usize,
    sets: FxHashMap<(usize, usize), Rc<Contents<'a>>>,
    chains: FxHashMap<(usize, usize, When), ChainId>,
    waiting: Vec<(usize, usize, When, ChainId)>,
    untracks: OnceCell<bool>,
    // The current rule has a part that is not exact.
    unclear: bool,
    // Sets that it asks for and that change at run time.
    asked: Vec<RunTimeSet>,
    ledger: crate::model::Ledger,
    // Chains that nobody named.
    synthetic: usize,
    facts: Facts,
    // Where more than a rule or element could not be read.
    lost: Option<Origin>,
}

impl Lower<'_> {
    // Whether some rule may switch tracking off. Looked for when it is first asked: files with long lists are large.
    fn untracks(&self) -> bool {
        *self.untracks.get_or_init(|| self.mentions(b"notrack"))
    }

    fn mentions(&self, word: &[u8]) -> bool {
        self.b.firewall().files.iter().any(|f| memchr::memmem::find(f.bytes(), word).is_some())
    }
}

/// A rule on its way into the model.
struct RuleState {
    table: usize,
    chain: ChainId,
    when: When,
    conj: Conjunction,
    effects: Vec<Effect>,
    at: Origin,
    families: &'static [Family],
    // In a chain made for a part of the rule: `return` and `goto` do not mean the same there.
    inside: bool,
}

impl RuleState {
    fn families(&self) -> &'static [Family] {
        self.families
    }
}

fn families_of(family: TableFamily) -> &'static [Family] {
    match family {
        TableFamily::Ip => &[Family::V4],
        TableFamily::Ip6 => &[Family::V6],
        _ => &Family::ALL,
    }
}

fn when(hook: Hook, priority: i32) -> When {
    match hook {
        Hook::DeviceIngress => When::Before,
        Hook::Prerouting | Hook::Output if priority < -200 => When::Before,
        Hook::Prerouting | Hook::Output if priority == -200 => When::Unclear,
        _ => When::Tracked,
    }
}

// What old versions of nft print instead of what iptables rules compare: `# xt_recent`, and the rest of the rule behind it.
fn extension_note(text: &[u8], end: usize) -> Option<&str> {
    let line = text.get(end..)?.split(|b| *b == b'\n').next()?;
    let note = line.trim_ascii_start().strip_prefix(b"#")?.trim_ascii();
    std::str::from_utf8(note).ok().filter(|n| n.starts_with("xt_"))
}

// The hook of the model; `None`: nft refuses a chain there.
fn hook_of(family: TableFamily, name: &str) -> Option<Hook> {
    Some(match (family, name) {
        (TableFamily::Netdev | TableFamily::Inet, "ingress") => Hook::DeviceIngress,
        (TableFamily::Netdev, "egress") => Hook::DeviceEgress,
        (TableFamily::Netdev, _) => return None,
        (_, "prerouting") => Hook::Prerouting,
        (_, "input") => Hook::Input,
        (_, "forward") => Hook::Forward,
        (_, "output") => Hook::Output,
        (_, "postrouting") => Hook::Postrouting,
        _ => return None,
    })
}

impl<'a> Lower<'a> {
    fn run(&mut self) {
        let ruleset = self.ruleset;
        let mut bases: Vec<(u32, BaseChain)> = Vec::new();
        for (t, table) in ruleset.tables.iter().enumerate() {
            if !self.modelled(table) {
                self.read_only(t);
                continue;
            }
            for c in 0..table.chains.len() {
                if let Some(base) = self.base_chain(t, c) {
                    bases.push((table.chains[c].born, base));
                }
            }
        }
        self.lower_waiting();
        // Chains that no base chain reaches are part of the ruleset all the same.
        for (t, table) in ruleset.tables.iter().enumerate() {
            for c in 0..table.chains.len() {
                let lowered = |w| self.chains.contains_key(&(t, c, w));
                if !lowered(When::Before) && !lowered(When::Unclear) && self.modelled_quietly(table) {
                    self.chain_for(t, c, When::Tracked);
                }
            }
            self.lower_waiting();
        }
        self.unused_elements();
        self.run_time_targets();
        // Of chains with one priority the one added last runs first.
        bases.sort_by_key(|(born, _)| std::cmp::Reverse(*born));
        bases.into_iter().for_each(|(_, base)| self.b.base_chain(base));
    }

    fn modelled_quietly(&self, table: &Table<'a>) -> bool {
        !table.dormant && table.family.sees_ip()
    }

    // Whether a table's chains are in the model; says why not.
    fn modelled(&mut self, table: &Table<'a>) -> bool {
        let name = format!("{} {}", table.family.name(), table.name);
        if table.dormant {
            let help = "remove `flags dormant` to make it filter";
            self.note(table.at, format!("table {name} is dormant: it filters nothing"), help);
            return false;
        }
        if !table.family.sees_ip() {
            let (what, help) = match table.family {
                TableFamily::Arp => ("it sees ARP, not IP", ""),
                _ => (
                    "it sees frames before IP does, and after, and is not modelled",
                    "what is accepted here is accepted unless that table drops it",
                ),
            };
            self.note(table.at, format!("table {name}: {what}"), help);
            return false;
        }
        true
    }

    fn note(&mut self, at: Origin, message: String, help: &str) {
        let at = self.place(at);
        self.b.diagnose(Diagnostic::warning(at, message).help(help));
    }

    // Rules of a table that is not modelled are read for their errors.
    fn read_only(&mut self, t: usize) {
        let ruleset = self.ruleset;
        for source in ruleset.tables[t].chains.iter().flat_map(|c| &c.rules) {
            match self.parse(source) {
                Ok(_) => self.ledger.approximated += 1,
                Err(e) => {
                    self.ledger.not_understood += 1;
                    self.error(e, source.at());
                }
            }
        }
    }

    fn base_chain(&mut self, t: usize, c: usize) -> Option<BaseChain> {
        let table = &self.ruleset.tables[t];
        let chain = &table.chains[c];
        let base = chain.base.as_ref()?;
        let Some(hook) = hook_of(table.family, &base.hook) else {
            let message = format!("tables of family {} have no hook {}", table.family.name(), base.hook);
            let at = self.place(base.at);
            self.b.diagnose(Diagnostic::error(at, message).help("nft refuses such a chain"));
            self.lost.get_or_insert(at);
            return None;
        };
        let id = self.chain_for(t, c, when(hook, base.priority));
        if matches!(hook, Hook::DeviceIngress | Hook::DeviceEgress) {
            let at = self.place(base.at);
            self.bind(id, hook, &chain.devices, at);
        }
        let stated = chain.policies.last();
        let policy = if stated.is_some_and(|p| p.0) { Policy::Drop } else { Policy::Accept };
        let note = stated.is_none().then(|| self.b.note("a base chain without a policy accepts"));
        Some(BaseChain {
            chain: id,
            hook,
            priority: base.priority,
            policy,
            policy_origin: self.place(stated.map_or(base.at, |p| p.1)),
            policy_note: note,
            families: families_of(table.family).to_vec(),
            kind: if base.kind == "nat" { ChainKind::Nat } else { ChainKind::Filter },
        })
    }

    // The chain of the model for a chain as it is seen at a moment.
    fn chain_for(&mut self, t: usize, c: usize, when: When) -> ChainId {
        if let Some(id) = self.chains.get(&(t, c, when)) {
            return *id;
        }
        let table = &self.ruleset.tables[t];
        let at = self.place(table.chains[c].at);
        let table_name = format!("{} {}", table.family.name(), table.name);
        let id = self.b.chain(&table_name, &table.chains[c].name, at);
        self.chains.insert((t, c, when), id);
        self.waiting.push((t, c, when, id));
        id
    }

    fn lower_waiting(&mut self) {
        // In order of first mention.
        while !self.waiting.is_empty() {
            for (t, c, when, id) in std::mem::take(&mut self.waiting) {
                let ruleset = self.ruleset;
                for source in &ruleset.tables[t].chains[c].rules {
                    self.rule(t, id, when, source);
                }
            }
        }
    }

    fn parse(&self, source: &Source<'a>) -> Parsed<Rule<'a>> {
        match source {
            Source::Text(body) => {
                let mut rule = Parser::new(self.context, *body).rule()?;
                let file = self.context.files.get(body.at.file as usize);
                if let Some(note) = file.and_then(|f| extension_note(f.bytes(), body.at.end as usize)) {
                    rule.statements.push(show::extension("note", note));
                }
                Ok(rule)
            }
            Source::Json(v, file) => json::rule(self.context, self.snippets, *v, *file),
        }
    }

    // Text that stands in a JSON string has its place there.
    fn place(&self, at: Origin) -> Origin {
        if (at.file as usize) < self.real_files { at } else { self.snippets.place(at, self.real_files) }
    }

    fn error(&mut self, mut e: SyntaxError, fallback: Origin) {
        e.at = self.place(e.at);
        if e.at == Origin::default() {
            e.at = fallback;
        }
        self.b.diagnose(e.diagnostic());
    }

    // Sets that no rule reads are read for their errors.
    fn unused_elements(&mut self) {
        let ruleset = self.ruleset;
        for (t, table) in ruleset.tables.iter().enumerate() {
            for (s, set) in table.sets.iter().enumerate() {
                if !self.sets.contains_key(&(t, s)) && !set.changes.is_empty() {
                    let _ = self.contents(t, &set.name, set.at);
                }
            }
        }
    }

    // Elements that are added to a map of verdicts may lead to any chain of its table.
    fn run_time_targets(&mut self) {
        let ruleset = self.ruleset;
        let of_verdicts =
            |s: &SetDeclaration<'_>| matches!(&s.value, Some(TypeSpec::Names(n)) if n[..] == ["verdict"]);
        let grows = |t: &Table<'_>| {
            t.sets.iter().any(|s| s.is_map && !s.constant && of_verdicts(s) && t.named.contains(&s.name))
        };
        let chains = self.chains.iter().filter(|((t, ..), _)| grows(&ruleset.tables[*t]));
        let found: Vec<ChainId> = chains.map(|(_, id)| *id).collect();
        self.b.firewall_mut().run_time_targets.extend(found);
    }

    fn synthetic_chain(&mut self, table: usize, name: &str, at: Origin) -> ChainId {
        self.synthetic += 1;
        let t = &self.ruleset.tables[table];
        let table_name = format!("{} {}", t.family.name(), t.name);
        let at = self.place(at);
        self.b.chain(&table_name, name, at)
    }
}
