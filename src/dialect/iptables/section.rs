//! A table while it is read: its chains by name, and what commands do to them.

use super::chains;
use super::context::Context;
use super::demands;
use super::saved;
use super::syntax::{Parsed, Problem, Verb};
use super::tables::{self, Table};
use crate::model::{
    Action, BaseChain, ChainId, ChainKind, Hook, Policy, Rule, TranslatedEnd, Translation, display,
};
use crate::source::Origin;
use rustc_hash::FxHashMap;

/// An open table.
pub(super) struct Section {
    pub table: &'static Table,
    origin: Origin,
    chains: FxHashMap<Box<[u8]>, ChainId>,
    // In the order of declaration.
    order: Vec<ChainId>,
    builtin: Vec<Builtin>,
    // The chain of the last rule: dumps hold long runs of one chain.
    last: Option<(Box<[u8]>, ChainId, Option<Hook>)>,
    // Rules that `-I` put before a chain's first, the last one first: so that many of them are not quadratic.
    front: FxHashMap<ChainId, Vec<Rule>>,
}

struct Builtin {
    index: usize,
    id: ChainId,
    policy: Policy,
    origin: Origin,
    declared: bool,
}

/// What is wrong, and what to do.
type Complaint = (String, String);

impl Section {
    /// Begins a table: its built-in chains exist, with policy accept.
    pub(super) fn open(c: &mut Context<'_>, table: &'static Table, origin: Origin) -> Self {
        let mut s = Section {
            table,
            origin,
            chains: FxHashMap::default(),
            order: Vec::new(),
            builtin: Vec::new(),
            last: None,
            front: FxHashMap::default(),
        };
        c.table = table;
        for (index, (name, ..)) in table.chains.iter().enumerate() {
            let id = c.b.chain(table.name, name, origin);
            s.chains.insert(name.as_bytes().into(), id);
            s.order.push(id);
            s.builtin.push(Builtin { index, id, policy: Policy::Accept, origin, declared: false });
        }
        s
    }

    /// A declared chain.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<ChainId> {
        self.chains.get(name).copied()
    }

    fn builtin(&mut self, id: ChainId) -> Option<&mut Builtin> {
        self.builtin.iter_mut().find(|b| b.id == id)
    }

    fn hook(&self, id: ChainId) -> Option<Hook> {
        self.builtin.iter().find(|b| b.id == id).map(|b| self.table.chains[b.index].1)
    }

    fn create(&mut self, c: &mut Context<'_>, name: &[u8], origin: Origin) -> ChainId {
        let id = c.b.chain(self.table.name, &String::from_utf8_lossy(name), origin);
        self.chains.insert(name.into(), id);
        self.order.push(id);
        id
    }

    /// `:NAME POLICY`.
    pub(super) fn declare(
        &mut self,
        c: &mut Context<'_>,
        name: &[u8],
        policy: Option<&[u8]>,
        origin: Origin,
    ) -> Result<(), Complaint> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let Some(policy) = policy else {
            if self.find(name).is_none() {
                self.create(c, name, origin);
            }
            return Err((
                format!("chain {shown} has no policy here"),
                "write `-` for a chain of your own".to_owned(),
            ));
        };
        let verdict = tables::policy(policy);
        if let Some(id) = self.find(name) {
            let chain = &mut c.b.firewall_mut().chains[id.index()];
            if let Some(b) = self.builtin(id) {
                chain.origin = origin;
                (b.origin, b.declared) = (origin, true);
                if let Some(v) = verdict {
                    b.policy = v;
                } else if policy != b"-" {
                    let p = String::from_utf8_lossy(policy).into_owned();
                    return Err(self.unknown_policy(c, id, &p, origin));
                }
                return Ok(());
            }
            self.flush(c, id);
            return Err((
                format!("chain {shown} is declared twice"),
                "iptables-legacy-restore refuses it, iptables-nft-restore empties the chain".to_owned(),
            ));
        }
        self.create(c, name, origin);
        if policy != b"-" {
            return Err((
                format!("chain {shown} of your own has a policy"),
                "write `-`: only built-in chains have one".to_owned(),
            ));
        }
        Ok(())
    }

    fn unknown_policy(&mut self, c: &mut Context<'_>, id: ChainId, text: &str, origin: Origin) -> Complaint {
        let kind = crate::model::ConditionKind::Volatile;
        let condition =
            c.b.condition(&format!("policy {text}"), "no policy of this name exists", kind, origin);
        if let Some(b) = self.builtin(id) {
            b.policy = Policy::Unknown(condition);
        }
        (format!("`{text}` is no policy"), "ACCEPT or DROP".to_owned())
    }

    /// A rule that may do anything, at the end of each chain.
    pub(super) fn unknown_everywhere(&mut self, c: &mut Context<'_>, origin: Origin, text: &str) {
        for id in &self.order {
            c.b.not_understood(*id, origin, &[], text);
        }
    }

    /// The same for the line that is being read.
    pub(super) fn unknown_everywhere_text(&mut self, c: &mut Context<'_>) {
        let text = line_text(c);
        self.unknown_everywhere(c, c.origin, &text);
    }

    /// `-A`, `-I`, `-R`, `-D`; `parsed` tells whether the line's syntax was understood.
    #[inline]
    pub(super) fn rule(&mut self, c: &mut Context<'_>, verb: Verb, parsed: Parsed<()>) -> Parsed<()> {
        let Some(word) = c.command.chain else {
            self.unknown_everywhere_text(c);
            return parsed;
        };
        let (id, hook, missing) = self.chain_of(c, word);
        (c.hook, c.chain) = (hook, id);
        let ledger = c.b.firewall().ledger;
        let lowered = match parsed {
            Ok(()) => self.lower(c),
            Err(p) => {
                // What was understood narrows what the rule can concern.
                let _ = c.conditions();
                Err(p)
            }
        };
        let problem = match lowered {
            Ok(rule) => {
                let done = match verb {
                    Verb::Append => {
                        c.b.push(id, rule);
                        Ok(())
                    }
                    _ => self.place(c, verb, id, rule, ledger),
                };
                done.err()
            }
            Err(p) if verb == Verb::Delete || verb == Verb::Replace => {
                // Which rule it takes away is not known.
                let text = line_text(c);
                c.b.not_understood(id, c.origin, &[], &text);
                Some(p)
            }
            Err(p) => {
                let text = line_text(c);
                let terms = std::mem::take(&mut c.terms);
                c.b.not_understood(id, c.origin, &terms, &text);
                if verb == Verb::Insert
                    && let Some(rule) = c.b.firewall_mut().chains[id.index()].rules.pop()
                {
                    self.front.entry(id).or_default().push(rule);
                }
                c.terms = terms;
                Some(p)
            }
        };
        match missing.or(problem) {
            Some(p) => Err(p),
            None => Ok(()),
        }
    }

    // The chain that a command names; made if it does not exist, which is a problem.
    fn chain_of(
        &mut self,
        c: &mut Context<'_>,
        word: usize,
    ) -> (ChainId, Option<Hook>, Option<Box<Problem>>) {
        if let Some((id, hook)) = self.known_chain(c.words.text(word)) {
            return (id, hook, None);
        }
        let name: Box<[u8]> = c.words.text(word).into();
        let shown = c.words.shown(word);
        let missing = c
            .problem(word, format!("there is no chain `{shown}`"))
            .help(format!("declare it above: `:{shown} - [0:0]`"));
        let id = self.create(c, &name, c.origin);
        (id, None, Some(missing))
    }

    #[inline]
    fn known_chain(&mut self, name: &[u8]) -> Option<(ChainId, Option<Hook>)> {
        if let Some((last, id, hook)) = &self.last
            && **last == *name
        {
            return Some((*id, *hook));
        }
        let id = self.find(name)?;
        let hook = self.hook(id);
        self.last = Some((name.into(), id, hook));
        Some((id, hook))
    }

    /// Appends the rule on a line that is just as the saver prints it; false, and nothing done, for every other line.
    #[inline]
    pub(super) fn saved_rule(&mut self, c: &mut Context<'_>, start: usize, end: usize) -> bool {
        let Some(text) = c.words.bytes()[start..end].strip_prefix(b"-A ") else { return false };
        let Some((id, hook, rest)) = self.saved_chain(text) else { return false };
        c.hook = hook;
        let jump = |n: &[u8]| self.own_chain(n);
        let Some(action) = saved::read(c, rest, jump) else {
            return false;
        };
        c.origin = Origin::new(0, start, end);
        let rule = c.b.rule(c.origin, &c.terms, action);
        c.b.push(id, rule);
        true
    }

    // The chain that a text begins with, and what stands behind its name, from the space on.
    #[inline]
    fn saved_chain<'t>(&mut self, text: &'t [u8]) -> Option<(ChainId, Option<Hook>, &'t [u8])> {
        if let Some((last, id, hook)) = &self.last
            && let Some(rest @ [b' ', ..]) = text.strip_prefix(&**last)
        {
            return Some((*id, *hook, rest));
        }
        let end = memchr::memchr3(b' ', b'"', b'\t', text).filter(|n| text[*n] == b' ')?;
        let (id, hook) = self.known_chain(&text[..end])?;
        Some((id, hook, &text[end..]))
    }

    // A chain that rules may jump to: not one of the built-in ones.
    #[inline]
    fn own_chain(&self, name: &[u8]) -> Option<ChainId> {
        self.find(name).filter(|id| !self.builtin.iter().any(|b| b.id == *id))
    }

    #[inline]
    fn lower(&self, c: &mut Context<'_>) -> Parsed<Rule> {
        c.conditions()?;
        let action = c.action(&|n| self.own_chain(n))?;
        demands::check(c);
        let mut rule = c.b.rule(c.origin, &c.terms, action);
        if !c.effects.is_empty() {
            rule.effects = c.b.effects(&c.effects);
        }
        Ok(rule)
    }

    // `-I`, `-R`, `-D`.
    fn place(
        &mut self,
        c: &mut Context<'_>,
        verb: Verb,
        id: ChainId,
        rule: Rule,
        ledger: crate::model::Ledger,
    ) -> Parsed<()> {
        let position = match c.command.operand {
            None => None,
            Some(w) => match super::values::number(c.words.text(w)).filter(|n| *n > 0) {
                Some(n) => Some((w, n as usize)),
                None => {
                    c.b.push(id, rule);
                    return Err(c.problem(w, "a position is a number from 1 on"));
                }
            },
        };
        if verb == Verb::Insert && position.is_none_or(|(_, n)| n == 1) {
            self.front.entry(id).or_default().push(rule);
            return Ok(());
        }
        self.merge_front(c, id);
        let length = c.b.firewall().chains[id.index()].rules.len();
        match (verb, position) {
            (Verb::Insert, Some((w, n))) if n > length + 1 => {
                c.b.push(id, rule);
                Err(c.problem(w, format!("the chain has only {length} rules here")))
            }
            (Verb::Insert, Some((_, n))) => {
                c.b.firewall_mut().chains[id.index()].rules.insert(n - 1, rule);
                Ok(())
            }
            (_, Some((w, n))) if n > length => {
                c.b.firewall_mut().ledger = ledger;
                Err(c.problem(w, format!("the chain has only {length} rules here")))
            }
            (Verb::Replace, Some((_, n))) => {
                let old = std::mem::replace(&mut c.b.firewall_mut().chains[id.index()].rules[n - 1], rule);
                c.b.retract(&old);
                Ok(())
            }
            (_, Some((_, n))) => {
                c.b.firewall_mut().ledger = ledger;
                let old = c.b.firewall_mut().chains[id.index()].rules.remove(n - 1);
                c.b.retract(&old);
                Ok(())
            }
            (_, None) => {
                c.b.firewall_mut().ledger = ledger;
                self.delete(c, id, &rule)
            }
        }
    }

    // The first equal rule goes.
    fn delete(&mut self, c: &mut Context<'_>, id: ChainId, rule: &Rule) -> Parsed<()> {
        let f = c.b.firewall();
        let wanted = display::rule(f, rule);
        let at = f.chains[id.index()].rules.iter().position(|r| {
            r.terms.len == rule.terms.len
                && std::mem::discriminant(&r.action) == std::mem::discriminant(&rule.action)
                && display::rule(f, r) == wanted
        });
        match at {
            Some(i) => {
                let old = c.b.firewall_mut().chains[id.index()].rules.remove(i);
                c.b.retract(&old);
                Ok(())
            }
            None => {
                let word = c.command.verb.map_or(0, |v| v.1);
                Err(c
                    .problem(word, "no rule like this one is in the chain")
                    .help("iptables-restore refuses the file"))
            }
        }
    }

    fn merge_front(&mut self, c: &mut Context<'_>, id: ChainId) {
        if let Some(mut front) = self.front.remove(&id) {
            front.reverse();
            let rules = &mut c.b.firewall_mut().chains[id.index()].rules;
            front.append(rules);
            *rules = front;
        }
    }

    fn flush(&mut self, c: &mut Context<'_>, id: ChainId) {
        self.merge_front(c, id);
        let old = std::mem::take(&mut c.b.firewall_mut().chains[id.index()].rules);
        for rule in &old {
            c.b.retract(rule);
        }
    }

    /// `-F`, `-N`, `-X`, `-E`, `-P` and commands without effect.
    pub(super) fn manage(&mut self, c: &mut Context<'_>, verb: Verb, word: usize) -> Parsed<()> {
        let chain = c.command.chain;
        let name: Option<Box<[u8]>> = chain.map(|w| c.words.text(w).into());
        let id = name.as_deref().and_then(|n| self.find(n));
        let missing =
            |c: &Context<'_>, w: usize| c.problem(w, format!("there is no chain `{}`", c.words.shown(w)));
        match (verb, chain, id) {
            (Verb::Nothing, ..) => Ok(()),
            (Verb::NewChain, Some(w), Some(_)) => Err(c.problem(w, "this chain exists already")),
            (Verb::NewChain, _, None) => {
                if let Some(n) = name {
                    self.create(c, &n, c.origin);
                }
                Ok(())
            }
            (Verb::Flush, None, _) => {
                for id in self.order.clone() {
                    self.flush(c, id);
                }
                Ok(())
            }
            (Verb::DeleteChain, None, _) => Ok(()),
            (_, Some(w), None) => Err(missing(c, w)),
            (Verb::Flush, _, Some(id)) => {
                self.flush(c, id);
                Ok(())
            }
            (Verb::DeleteChain, Some(w), Some(id)) => self.remove(c, w, id),
            (Verb::RenameChain, Some(w), Some(id)) => self.rename(c, w, id),
            (Verb::Policy, Some(w), Some(id)) => self.set_policy(c, w, id),
            _ => Err(c.problem(word, "the command is not complete")),
        }
    }

    fn remove(&mut self, c: &mut Context<'_>, word: usize, id: ChainId) -> Parsed<()> {
        self.merge_front(c, id);
        let f = c.b.firewall();
        let full = !f.chains[id.index()].rules.is_empty();
        let used = self.order.iter().any(|o| chains::targets(&f.chains[o.index()].rules).any(|t| t.1 == id));
        if self.builtin(id).is_some() || full || used {
            return Err(c
                .problem(word, "this chain cannot be deleted")
                .help("it is built in, or not empty, or a rule still jumps to it"));
        }
        self.chains.retain(|_, v| *v != id);
        self.order.retain(|o| *o != id);
        self.last = None;
        Ok(())
    }

    fn rename(&mut self, c: &mut Context<'_>, word: usize, id: ChainId) -> Parsed<()> {
        let Some(to) = c.command.operand else {
            return Err(c.problem(word, "the new name is missing"));
        };
        let new: Box<[u8]> = c.words.text(to).into();
        if self.builtin(id).is_some() || self.find(&new).is_some() {
            return Err(c
                .problem(to, "the chain cannot have this name")
                .help("it is built in, or the name is taken"));
        }
        self.chains.retain(|_, v| *v != id);
        c.b.firewall_mut().chains[id.index()].name = String::from_utf8_lossy(&new).into_owned();
        self.chains.insert(new, id);
        self.last = None;
        Ok(())
    }

    fn set_policy(&mut self, c: &mut Context<'_>, word: usize, id: ChainId) -> Parsed<()> {
        let Some(to) = c.command.operand else {
            return Err(c.problem(word, "the policy is missing"));
        };
        let verdict = tables::policy(c.words.text(to));
        let shown = c.words.shown(to);
        let origin = c.origin;
        let Some(b) = self.builtin(id) else {
            return Err(c.problem(word, "only built-in chains have a policy"));
        };
        (b.origin, b.declared) = (origin, true);
        match verdict {
            Some(v) => {
                b.policy = v;
                Ok(())
            }
            None => {
                let (message, help) = self.unknown_policy(c, id, &shown, origin);
                Err(c.problem(to, message).help(help))
            }
        }
    }

    // `NETMAP` and the like in chains of one's own: the hook from which packets come there says which end is translated.
    fn settle_ends(&self, c: &mut Context<'_>) {
        for (chain, translation) in std::mem::take(&mut c.by_hook) {
            let from = |hooks: &[Hook]| {
                let roots = self
                    .builtin
                    .iter()
                    .filter(|b| hooks.contains(&self.table.chains[b.index].1))
                    .map(|b| b.id);
                c.b.firewall().reached_from(roots)[chain.index()]
            };
            let first = from(&[Hook::Prerouting, Hook::Output]);
            let last = from(&[Hook::Postrouting, Hook::Input]);
            let t = &mut c.b.firewall_mut().translations[translation.index()];
            match (first, last) {
                (true, true) => {
                    *t = Translation { unknown: true, ..Translation::of(TranslatedEnd::Destination) }
                }
                (false, true) => t.end = TranslatedEnd::Source,
                _ => t.end = TranslatedEnd::Destination,
            }
        }
    }

    /// Ends the table: registers the base chains, breaks loops.
    pub(super) fn close(mut self, c: &mut Context<'_>, committed: bool) {
        for id in self.front.keys().copied().collect::<Vec<_>>() {
            self.merge_front(c, id);
        }
        let kind = if self.table.name == "nat" { ChainKind::Nat } else { ChainKind::Filter };
        let translates = |id: &ChainId| {
            let rules = &c.b.firewall().chains[id.index()].rules;
            rules.iter().any(|r| matches!(r.action, Action::Translate(_)))
        };
        let inert = kind == ChainKind::Nat && !self.order.iter().any(translates);
        self.settle_ends(c);
        let mut roots = Vec::new();
        for b in &self.builtin {
            let (_, hook, priority) = self.table.chains[b.index];
            let used = b.declared || !c.b.firewall().chains[b.id.index()].rules.is_empty();
            if !used && self.table.name != "filter" {
                continue;
            }
            let policy_note = (!b.declared).then(|| {
                c.b.note(if committed {
                    "the file sets no policy for this chain: a chain accepts unless told otherwise"
                } else {
                    "the file breaks off before it sets a policy for this chain"
                })
            });
            // Loading a translation switches the connection tracker on; without one, chains of nat may never be consulted.
            let policy = match b.policy {
                Policy::Drop if inert => {
                    let why = "the table translates nothing, and chains of nat are consulted only where connections are tracked";
                    let pure = crate::model::ConditionKind::Pure;
                    Policy::Unknown(c.b.condition("connections are tracked", why, pure, b.origin))
                }
                stated => stated,
            };
            roots.push(b.id);
            if c.family.is_none() {
                only_if_loaded(c, b.id, b.origin);
            }
            c.b.base_chain(BaseChain {
                chain: b.id,
                hook,
                priority,
                policy,
                policy_origin: if b.declared { b.origin } else { self.origin },
                policy_note,
                families: c.families(),
                kind,
            });
        }
        chains::break_loops(&mut c.b, &roots, &self.order);
    }
}

// Nothing tells the family of the dump: a packet of the other one goes by.
fn only_if_loaded(c: &mut Context<'_>, chain: ChainId, origin: Origin) {
    let why = "nothing tells whether the dump is of iptables or of ip6tables";
    let loaded = c.b.opaque("the dump is of the packet's family", why, true, origin);
    let rule = c.b.implicit(
        origin,
        &[loaded],
        Action::Accept,
        "a dump of the other family says nothing of the packet",
    );
    c.b.firewall_mut().chains[chain.index()].rules.insert(0, rule);
}

fn line_text(c: &Context<'_>) -> String {
    let o = c.origin;
    let end = o.end.min(o.start + 400) as usize;
    String::from_utf8_lossy(&c.words.bytes()[o.start as usize..end]).into_owned()
}
