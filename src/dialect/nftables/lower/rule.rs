//! Rules: statements in order, until a verdict.

use super::*;
use crate::model::Term;
use crate::packet::{IntervalSet, proto};
use conjunction::FieldSet;

/// Whether statements behind the current one are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Ends,
}

impl<'a> Lower<'a> {
    /// Lowers one rule of a chain, and counts it.
    pub(super) fn rule(&mut self, table: usize, chain: ChainId, when: When, source: &Source<'a>) {
        self.unclear = false;
        self.asked.clear();
        let at = self.place(source.at());
        let lowered = self.parse(source).and_then(|rule| {
            let lowered = self.rule_tree(table, chain, when, &rule, at);
            let how = if self.asked.is_empty() { String::new() } else { show::compared(&rule) };
            for set in std::mem::take(&mut self.asked) {
                self.b.asks_run_time_set(at, RunTimeSet { how: how.clone(), ..set });
            }
            lowered
        });
        match lowered {
            Ok(()) if self.unclear => self.ledger.approximated += 1,
            Ok(()) => self.ledger.exact += 1,
            Err(e) => {
                self.ledger.not_understood += 1;
                self.error(e, at);
                let text = self.b.firewall().locate(at).text;
                self.b.not_understood(chain, at, &[], text.trim());
            }
        }
    }

    fn rule_tree(
        &mut self,
        table: usize,
        chain: ChainId,
        when: When,
        rule: &Rule<'a>,
        at: Origin,
    ) -> Parsed<()> {
        let mut state = RuleState {
            table,
            chain,
            when,
            conj: Conjunction::default(),
            effects: Vec::new(),
            at,
            families: families_of(self.ruleset.tables[table].family),
            inside: false,
        };
        self.hoist(&mut state, rule);
        let joined = quirks::joined(&rule.statements);
        for (n, s) in rule.statements.iter().enumerate() {
            if joined.iter().any(|(_, second)| *second == n) {
                continue;
            }
            if let Some((_, second)) = joined.iter().find(|(first, _)| *first == n) {
                self.settle(&mut state);
                self.joined_match(&mut state, [s, &rule.statements[*second]])?;
                continue;
            }
            if self.statement(&mut state, s)? == Flow::Ends {
                return Ok(());
            }
        }
        self.emit(&mut state, Action::Continue);
        Ok(())
    }

    /// Adds the rule as it stands to its chain.
    pub(super) fn emit(&mut self, state: &mut RuleState, action: Action) {
        let conj = state.conj.clone();
        self.emit_with(state, conj, action, state.at);
    }

    /// Adds a rule with another condition and place.
    pub(super) fn emit_with(&mut self, state: &RuleState, conj: Conjunction, action: Action, at: Origin) {
        let terms = conj.finish(&mut self.b, state.families, None, at);
        let mut rule = self.b.rule(at, &terms, action);
        rule.effects = self.b.effects(&state.effects);
        self.b.push(state.chain, rule);
        if at != state.at {
            // Of an element of a map: it is there as long as the map holds it.
            for set in &self.asked {
                self.b.asks_run_time_set(at, set.clone());
            }
        }
    }

    /// Effects of earlier statements take place even if later matches fail: they get a rule of their own.
    pub(super) fn settle(&mut self, state: &mut RuleState) {
        if state.effects.is_empty() {
            return;
        }
        let affected = state.effects.iter().any(|e| match e {
            Effect::Write { register, .. }
            | Effect::Copy { to: register, .. }
            | Effect::Forget(register, _) => state.conj.tests(&self.b, *register),
            Effect::Untrack => state.conj.tests_state(),
            Effect::Rewrite { field, .. } => state.conj.tests_field(&self.b, *field),
            Effect::Deliver => false,
        });
        if affected {
            // What the rule tested is no longer so: the rest of it gets a chain of its own.
            let rest = self.synthetic_chain(state.table, "rest of a rule", state.at);
            let effects = std::mem::take(&mut state.effects);
            self.emit(state, Action::Jump(rest));
            state.chain = rest;
            state.inside = true;
            let protocols = state.conj.protocols(&self.b);
            let family = state.conj.family;
            state.conj = Conjunction::default();
            state.conj.family = family;
            if let Some(p) = protocols {
                state.conj.field(&self.b, Field::Proto, FieldSet::Owned(p));
            }
            state.effects = effects;
        }
        self.emit(state, Action::Continue);
        let rewrites = |e: &Effect| matches!(e, Effect::Rewrite { field: Field::Proto, .. });
        if state.effects.drain(..).any(|e| rewrites(&e)) {
            state.conj.forget(Field::Proto);
        }
    }

    fn statement(&mut self, state: &mut RuleState, s: &Statement<'a>) -> Parsed<Flow> {
        match s {
            Statement::Inert => {}
            Statement::Match { left, op, right } => {
                self.settle(state);
                self.match_statement(state, left, *op, right)?;
            }
            Statement::Verdict(v) => return self.verdict(state, v),
            Statement::VerdictMap { key, map } => {
                self.settle(state);
                return self.verdict_map(state, key, map);
            }
            Statement::Assign { target, value } => return self.assign(state, target, value),
            Statement::Stateful(stateful) => {
                self.settle(state);
                self.guard(state, stateful);
            }
            Statement::Lookup(value) => {
                self.settle(state);
                self.lookup(state, value)?;
            }
            Statement::Reject(with) => {
                match with {
                    RejectWith::Any => {}
                    RejectWith::TcpReset => {
                        self.settle(state);
                        let tcp = IntervalSet::single(proto::TCP);
                        state.conj.field(&self.b, Field::Proto, FieldSet::Owned(tcp));
                    }
                    RejectWith::Icmp => {
                        self.settle(state);
                        state.conj.of_family(Family::V4);
                    }
                    RejectWith::Icmpv6 => {
                        self.settle(state);
                        state.conj.of_family(Family::V6);
                    }
                }
                self.emit(state, Action::Reject);
                return Ok(Flow::Ends);
            }
            Statement::Nat(nat) => return self.nat(state, nat),
            Statement::Notrack => state.effects.push(Effect::Untrack),
            Statement::Transparent => {
                self.settle(state);
                self.unclear = true;
                let why = "it goes on only if a local socket takes the packet";
                let c = self.b.condition("tproxy", why, ConditionKind::Volatile, state.at);
                state.conj.term(Term::opaque(c, false));
                state.effects.push(Effect::Deliver);
            }
            Statement::Update { text, key, removes, guards } => {
                self.settle(state);
                self.update(state, text, key, *removes, guards);
            }
            Statement::Opaque { text, why, shared } => {
                self.settle(state);
                self.unclear = true;
                let kind = if *shared { ConditionKind::Pure } else { ConditionKind::Volatile };
                let c = self.b.condition(text, why, kind, state.at);
                state.conj.term(Term::opaque(c, false));
            }
            Statement::Unknown { text, why } => {
                return Ok(self.unknown(state, text, why));
            }
        }
        Ok(Flow::On)
    }

    /// The rule may end the packet's way, or not.
    pub(super) fn unknown(&mut self, state: &mut RuleState, text: &str, why: &str) -> Flow {
        self.unclear = true;
        let c = self.b.condition(text, why, ConditionKind::Volatile, state.at);
        // It may write to the packet too.
        state.effects.extend(self.b.anything());
        self.emit(state, Action::Unknown(c));
        Flow::Ends
    }

    fn verdict(&mut self, state: &mut RuleState, v: &Verdict<'a>) -> Parsed<Flow> {
        let action = match v {
            // `continue` goes on with the next rule, as the end of the rule does.
            Verdict::Continue => Action::Continue,
            Verdict::Return | Verdict::Goto(_) if state.inside => {
                let why = "a mark was tested, set and tested again in one rule";
                return Ok(self.unknown(state, "return or goto", why));
            }
            _ => self.action(state, v)?,
        };
        self.emit(state, action);
        Ok(Flow::Ends)
    }

    /// The action of a verdict.
    pub(super) fn action(&mut self, state: &RuleState, v: &Verdict<'a>) -> Parsed<Action> {
        Ok(match v {
            Verdict::Accept => Action::Accept,
            Verdict::Drop => Action::Drop,
            Verdict::Continue => Action::Continue,
            Verdict::Return => Action::Return,
            Verdict::Queue(text) => {
                self.unclear = true;
                let why = "a program in user space decides";
                Action::Unknown(self.b.condition(text, why, ConditionKind::Volatile, state.at))
            }
            Verdict::Jump(target) => Action::Jump(self.target(state, target)?),
            Verdict::Goto(target) => Action::Goto(self.target(state, target)?),
        })
    }

    fn target(&mut self, state: &RuleState, target: &Target<'a>) -> Parsed<ChainId> {
        match target {
            Target::Chain(name, at) => {
                let table = &self.ruleset.tables[state.table];
                let Some(c) = table.chain(name) else {
                    let known = table.chains.iter().map(|c| c.name.as_str());
                    let near = known.into_iter().find(|k| strsim::damerau_levenshtein(k, name) <= 2);
                    let help = near.map_or_else(String::new, |k| format!("did you mean `{k}`?"));
                    return Err(SyntaxError::new(*at, format!("this table has no chain `{name}`")).help(help));
                };
                if let Some(base) = &table.chains[c].base {
                    let message = format!("`{name}` is a base chain: nothing can jump to it");
                    let _ = base;
                    return Err(SyntaxError::new(*at, message));
                }
                Ok(self.chain_for(state.table, c, state.when))
            }
            Target::Anonymous(rules, at) => {
                let chain = self.synthetic_chain(state.table, "anonymous chain", *at);
                let unclear = self.unclear;
                for r in rules {
                    let place = self.place(r.at);
                    self.rule_tree(state.table, chain, state.when, r, place)?;
                }
                self.unclear |= unclear;
                Ok(chain)
            }
        }
    }

    /// A limit, quota or count that the rule asks.
    pub(super) fn guard(&mut self, state: &mut RuleState, stateful: &Stateful<'a>) {
        self.unclear = true;
        let term = self.guard_term(state, stateful);
        state.conj.term(term);
    }

    pub(super) fn guard_term(&mut self, state: &RuleState, stateful: &Stateful<'a>) -> Term {
        self.unclear = true;
        let (text, kind) = match stateful {
            Stateful::Limit { text, over } => (text.clone(), ConditionKind::Rate { unthrottled: !over }),
            Stateful::Quota { text } => (text.clone(), ConditionKind::Volatile),
            Stateful::Object { kind, name } => {
                let text = format!("{kind} name {}", show::expr(name));
                let over = match &name.kind {
                    ExprKind::Word(n) | ExprKind::Quoted(n) => self.ruleset.tables[state.table]
                        .objects
                        .get(&(*kind, n.clone().into_owned()))
                        .copied(),
                    _ => None,
                };
                match (*kind, over) {
                    ("limit", Some(over)) => (text, ConditionKind::Rate { unthrottled: !over }),
                    _ => (text, ConditionKind::Volatile),
                }
            }
        };
        let why = match kind {
            ConditionKind::Rate { .. } => "it depends on the rate of packets",
            _ => "it depends on how much has passed before",
        };
        Term::opaque(self.b.condition(&text, why, kind, state.at), false)
    }

    // `add @set { … }` goes on only if the set takes the element; with a limit, only while the limit holds for the element.
    fn update(
        &mut self,
        state: &mut RuleState,
        text: &str,
        key: &Expr<'a>,
        removes: bool,
        guards: &[Stateful<'a>],
    ) {
        self.implied_by(state, key);
        if removes {
            return;
        }
        self.unclear = true;
        if guards.is_empty() {
            let kind = ConditionKind::Rate { unthrottled: true };
            let c = self.b.condition(text, "the set may be full", kind, state.at);
            state.conj.term(Term::opaque(c, false));
        }
        for g in guards {
            self.guard(state, g);
        }
    }

    /// Protocols and families that an expression implies.
    pub(super) fn implied_by(&mut self, state: &mut RuleState, e: &Expr<'a>) {
        match &e.kind {
            ExprKind::Selector(s) => {
                let mut conj = std::mem::take(&mut state.conj);
                self.implied(state, &mut conj, s);
                state.conj = conj;
            }
            ExprKind::Concat(parts) => parts.iter().for_each(|p| self.implied_by(state, p)),
            ExprKind::Bits(_, a, b) => {
                self.implied_by(state, a);
                self.implied_by(state, b);
            }
            _ => {}
        }
    }
}
