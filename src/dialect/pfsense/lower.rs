//! From pf rules to the model: last match becomes first match.
//!
//! The first quick rule that matches decides; if none does, the last other rule that matches. So a chain holds the quick
//! rules in their order, then the others in reverse order, then pf's default, which is to pass. Tags stick to a packet
//! from every rule that matches on the way, deciding or not: rules that set one stand once more, in order, as rules that only write it.

use super::pf::{Addresses, Direction, Flags, NatRule, PfAction, PfRule, Ports, Rewrite, Ruleset, Unknown};
use crate::model::{
    Action, BaseChain, Builder, ChainId, ChainKind, ConditionKind, Effect, Hook, Policy, Register, Term,
    TranslatedEnd, Translation,
};
use crate::packet::{ConnState, Family, Field, IntervalSet, flags, proto};
use crate::source::Origin;
use rustc_hash::FxHashMap;

/// Bit of the tag register that `rdr pass` sets; the bits below hold the number of a tag.
const RDR_PASS: u32 = 0x8000_0000;
const TAG_BITS: u32 = 0x7fff_ffff;

// Where a condition is asked. Translations change addresses between, so conditions with equal words are not the same there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    NatIn,
    In,
    NatOut,
    Out,
}

struct Lowering<'b> {
    builder: &'b mut Builder,
    tags: FxHashMap<String, u32>,
    itself: Addresses,
    tags_open: bool,
    translates_in: bool,
    translates_out: bool,
}

/// Adds the base chains of a ruleset. `itself` are the box's own addresses; `document` is the place of what no element
/// says.
pub(super) fn lower(rules: &Ruleset, builder: &mut Builder, itself: &Addresses, document: Origin) {
    let mut low = Lowering {
        tags: FxHashMap::default(),
        itself: itself.clone(),
        tags_open: rules.tags_open,
        translates_in: !rules.nat_in.is_empty(),
        translates_out: !rules.nat_out.is_empty(),
        builder,
    };
    let names =
        rules.rules.iter().chain(rules.nat_in.iter().map(|n| &n.matches)).filter_map(|r| r.tag.as_ref());
    for name in names {
        let next = low.tags.len() as u32 + 1;
        low.tags.entry(name.clone()).or_insert(next);
    }
    for (stage, nat_stage, hook) in
        [(Stage::In, Stage::NatIn, Hook::Prerouting), (Stage::Out, Stage::NatOut, Hook::Postrouting)]
    {
        if let Some(place) = rules.disabled {
            let chain = low.builder.chain("pf", name(stage), place);
            low.base(chain, hook, 0, place, "the packet filter is turned off: system/disablefilter");
            continue;
        }
        let nat = if stage == Stage::In { &rules.nat_in } else { &rules.nat_out };
        if !nat.is_empty() {
            let chain = low.builder.chain("pf", name(nat_stage), document);
            // Not a nat chain of the model: pf asks for every packet that no state knows, whatever a tracker would call it.
            low.stateful(chain, document);
            for rule in nat {
                low.translation(chain, rule, nat_stage);
            }
            low.base(chain, hook, -100, document, "what no rule translates stays as it is");
        }
        let chain = low.builder.chain("pf", name(stage), document);
        low.filter(chain, rules, stage, document);
        low.base(chain, hook, 0, document, "pf passes what no rule matches");
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::NatIn => "translations in",
        Stage::In => "in",
        Stage::NatOut => "translations out",
        Stage::Out => "out",
    }
}

impl Lowering<'_> {
    fn base(&mut self, chain: ChainId, hook: Hook, priority: i32, origin: Origin, note: &str) {
        let note = self.builder.note(note);
        self.builder.base_chain(BaseChain {
            chain,
            hook,
            priority,
            policy: Policy::Accept,
            policy_origin: origin,
            policy_note: Some(note),
            families: Family::ALL.to_vec(),
            kind: ChainKind::Filter,
        });
    }

    fn filter(&mut self, chain: ChainId, rules: &Ruleset, stage: Stage, document: Origin) {
        if let Some(first) = rules.doubts.first() {
            let text = match rules.doubts.len() {
                1 => format!("something in this file is not understood: {}", first.what),
                n => format!("{n} things in this file are not understood, the first: {}", first.what),
            };
            let why = "it may change what becomes of any packet";
            let c = self.builder.condition(&text, why, ConditionKind::Volatile, first.origin);
            let rule = self.builder.implicit(first.origin, &[], Action::Unknown(c), &text);
            self.builder.push(chain, rule);
        }
        for (origin, why) in &rules.refused {
            let (text, why) = match rules.unreadable {
                true => (format!("this file cannot be read: {why}"), "nothing is known of the box"),
                false => (
                    format!("pf refuses the rules of this file: {why}"),
                    "the rules loaded before stay in force, and they are not in the file",
                ),
            };
            let c = self.builder.condition(&text, why, ConditionKind::Volatile, *origin);
            let rule = self.builder.implicit(*origin, &[], Action::Unknown(c), &text);
            self.builder.push(chain, rule);
        }
        self.stateful(chain, document);
        if stage == Stage::In && rules.nat_in.iter().any(|n| n.pass) {
            let pass = self.builder.register(Register::Tag, RDR_PASS, RDR_PASS, false);
            let note = "a port forward with `pass` asks no filter rule";
            let rule = self.builder.implicit(document, &[pass], Action::Accept, note);
            self.builder.push(chain, rule);
        }
        let here =
            |r: &&PfRule| if stage == Stage::In { r.direction.has_in() } else { r.direction.has_out() };
        let mine: Vec<&PfRule> = rules.rules.iter().filter(here).collect();
        for rule in &mine {
            if rule.quick {
                self.rule(chain, rule, stage, &[]);
            } else if rule.tag.is_some() {
                self.tag_only(chain, rule, stage);
            }
        }
        for (i, rule) in mine.iter().enumerate().rev() {
            if !rule.quick && rule.action != PfAction::Match {
                // The tag it tests may have been replaced by a rule that matched after it: only then is it not what it was.
                let replaced = rule.tagged.is_some() && mine[i..].iter().any(|r| !r.quick && r.tag.is_some());
                let doubt = replaced
                    .then(|| Unknown::new("the tag at this rule", "a later rule may have replaced it"));
                self.rule(chain, rule, stage, doubt.as_slice());
            }
        }
    }

    // What the state table passes without asking a rule: packets of connections, and ICMP errors about them.
    fn stateful(&mut self, chain: ChainId, document: Origin) {
        let b = &mut *self.builder;
        let state = |s: ConnState| IntervalSet::single(s.value());
        let established = b.field(Field::State, state(ConnState::Established));
        let rule = b.implicit(
            document,
            &[established],
            Action::Accept,
            "packets of a connection are passed by its state",
        );
        b.push(chain, rule);
        let related = b.field(Field::State, state(ConnState::Related));
        for (p, types) in [(proto::ICMP, &[3u8, 4, 5, 11, 12][..]), (proto::ICMPV6, &[1, 2, 3, 4])] {
            let errors = IntervalSet::from_ranges(
                types.iter().map(|t| (u128::from(*t) << 8, u128::from(*t) << 8 | 0xff)),
            );
            let terms = [related, b.protocol(p), b.field(Field::Icmp, errors)];
            let rule = b.implicit(
                document,
                &terms,
                Action::Accept,
                "ICMP errors about a connection are passed by its state",
            );
            b.push(chain, rule);
        }
    }

    fn rule(&mut self, chain: ChainId, rule: &PfRule, stage: Stage, more: &[Unknown]) {
        let mut terms = self.terms(rule, stage);
        for u in more {
            terms.push(self.opaque(&u.text, u, false, rule.origin));
        }
        if let (Stage::In, Some(gateway)) = (stage, &rule.gateway) {
            self.diverted(chain, rule, gateway, &terms);
        }
        let action = match rule.action {
            PfAction::Pass => Action::Accept,
            PfAction::Block => Action::Drop,
            PfAction::Reject => Action::Reject,
            PfAction::Match => {
                let why = "whether pf stops at a quick match rule differs between releases";
                Action::Unknown(self.builder.condition(
                    "quick match rule",
                    why,
                    ConditionKind::Volatile,
                    rule.origin,
                ))
            }
            PfAction::Unknown => {
                // The condition says what is unknown; it is the verdict, not a term.
                let u = rule
                    .conditions
                    .first()
                    .cloned()
                    .unwrap_or_else(|| Unknown::new("rules that are not in the file", ""));
                Action::Unknown(self.builder.condition(&u.text, &u.why, ConditionKind::Volatile, rule.origin))
            }
        };
        let mut effects = Vec::new();
        if let Some(tag) = &rule.tag {
            effects.push(self.write_tag(tag));
        }
        if rule.stateless {
            effects.push(Effect::Untrack);
        }
        if !rule.limited {
            self.push(chain, rule, &terms, action, &effects);
            return;
        }
        // Over a limit the packet is dropped, not passed on to other rules.
        let why = "packets over the rule's limits are dropped";
        let c = self.builder.condition(
            "limits of the rule",
            why,
            ConditionKind::Rate { unthrottled: true },
            rule.origin,
        );
        let within: Vec<Term> = terms.iter().copied().chain([Term::opaque(c, false)]).collect();
        self.push(chain, rule, &within, action, &effects);
        self.push(chain, rule, &terms, Action::Drop, &[]);
    }

    // A rule that routes to a gateway takes packets for the box itself along.
    fn diverted(&mut self, chain: ChainId, rule: &PfRule, gateway: &str, terms: &[Term]) {
        let why = "a rule with a gateway sends packets for the firewall itself there too";
        let c = self.builder.condition(
            &format!("packets for the firewall go to gateway {gateway}"),
            why,
            ConditionKind::Volatile,
            rule.origin,
        );
        let mut terms = terms.to_vec();
        let itself = self.itself.clone();
        self.addresses(&itself, Field::Dst, rule, Stage::In, &mut terms);
        let r = self.builder.implicit(rule.origin, &terms, Action::Unknown(c), why);
        self.builder.push(chain, r);
    }

    fn tag_only(&mut self, chain: ChainId, rule: &PfRule, stage: Stage) {
        let terms = self.terms(rule, stage);
        let Some(tag) = &rule.tag else { return };
        let effects = [self.write_tag(tag)];
        let mut r = self.builder.implicit(
            rule.origin,
            &terms,
            Action::Continue,
            "a tag stays on the packet even if another rule decides",
        );
        r.effects = self.builder.effects(&effects);
        self.builder.push(chain, r);
    }

    fn push(&mut self, chain: ChainId, rule: &PfRule, terms: &[Term], action: Action, effects: &[Effect]) {
        let mut r = match &rule.note {
            Some(note) => self.builder.implicit(rule.origin, terms, action, note),
            None => self.builder.rule(rule.origin, terms, action),
        };
        r.effects = self.builder.effects(effects);
        self.builder.push(chain, r);
    }

    fn write_tag(&self, tag: &str) -> Effect {
        Effect::Write {
            register: Register::Tag,
            mask: TAG_BITS,
            value: self.tags.get(tag).copied().unwrap_or(0),
        }
    }

    fn terms(&mut self, rule: &PfRule, stage: Stage) -> Vec<Term> {
        let mut terms = Vec::new();
        let inbound = matches!(stage, Stage::In | Stage::NatIn);
        if let Some(on) = &rule.on {
            terms.push(self.builder.field(if inbound { Field::Iif } else { Field::Oif }, on.clone()));
        }
        if let Some(family) = rule.family {
            terms.push(self.builder.family(family));
        }
        if let Some(p) = &rule.proto {
            terms.push(self.builder.field(Field::Proto, p.clone()));
        }
        for (addresses, field) in [(&rule.src, Field::Src), (&rule.dst, Field::Dst)] {
            self.addresses(addresses, field, rule, stage, &mut terms);
        }
        for (ports, field) in [(&rule.sport, Field::Sport), (&rule.dport, Field::Dport)] {
            if let Some(p) = ports {
                terms.push(self.ports(p, field, rule.origin));
            }
        }
        if let Some(types) = &rule.icmp {
            terms.push(self.builder.field(Field::Icmp, types.clone()));
        }
        self.tcp_flags(rule, &mut terms);
        if let Some(t) = &rule.tagged {
            // A tag that nothing sets has no number: no packet carries it.
            let number = self.tags.get(&t.name).copied().unwrap_or(TAG_BITS);
            // Tags of the product's own rules are set by nothing else.
            if self.tags_open && rule.note.is_none() {
                let why = "a rule that is not understood may set any tag";
                let u = Unknown::new(format!("tagged {}", t.name), why);
                terms.push(self.opaque(&u.text, &u, t.negated, rule.origin));
            } else {
                terms.push(self.builder.register(Register::Tag, number, TAG_BITS, t.negated));
            }
        }
        if rule.action != PfAction::Unknown {
            for u in &rule.conditions {
                terms.push(self.opaque(&u.text, u, false, rule.origin));
            }
        }
        terms
    }

    fn addresses(&mut self, a: &Addresses, field: Field, rule: &PfRule, stage: Stage, terms: &mut Vec<Term>) {
        for need in &a.needs {
            terms.push(self.opaque(&need.text, need, false, rule.origin));
        }
        let scope = rule.family.map_or_else(|| Family::V4.all().union(&Family::V6.all()), Family::all);
        let set = a.set.intersect(&scope);
        let mut ways: Vec<Vec<Term>> = Vec::new();
        for u in &a.unknown {
            let within = u.within.as_ref().map_or_else(|| scope.clone(), |w| w.intersect(&scope));
            if within.is_empty() {
                continue;
            }
            let holds = self.address_condition(u, field, stage, a.negated, rule.origin);
            if within == scope {
                ways.push(vec![holds]);
            } else if a.negated {
                let other = self.builder.field(field, scope.minus(&within));
                ways.push(vec![self.builder.any(vec![vec![other], vec![holds]])]);
            } else {
                ways.push(vec![self.builder.field(field, within), holds]);
            }
        }
        for n in &a.names {
            ways.push(vec![self.host_name(n, field, stage, a.negated, rule.origin)]);
        }
        if a.negated {
            if !set.is_empty() {
                terms.push(self.builder.field(field, scope.minus(&set)));
            }
            terms.extend(ways.into_iter().flatten());
            return;
        }
        if set == scope {
            return;
        }
        if !set.is_empty() || ways.is_empty() {
            ways.insert(0, vec![self.builder.field(field, set)]);
        }
        match ways.as_slice() {
            [one] => terms.extend_from_slice(one),
            _ => terms.push(self.builder.any(ways)),
        }
    }

    fn opaque(&mut self, text: &str, u: &Unknown, negated: bool, origin: Origin) -> Term {
        let kind = match u.assumed {
            None => ConditionKind::Pure,
            Some(unthrottled) => ConditionKind::Rate { unthrottled },
        };
        Term::opaque(self.builder.condition(text, &u.why, kind, origin), negated)
    }

    // "source in table X": the address meant is the one at that point of the packet's way.
    fn end(&self, field: Field, stage: Stage) -> &'static str {
        match (field, stage) {
            (Field::Src, Stage::Out) if self.translates_out => "translated source",
            (Field::Src, _) => "source",
            (_, Stage::NatIn) if self.translates_in => "original destination",
            _ => "destination",
        }
    }

    fn address_condition(
        &mut self,
        u: &Unknown,
        field: Field,
        stage: Stage,
        negated: bool,
        origin: Origin,
    ) -> Term {
        let text = format!("{} {}", self.end(field, stage), u.text);
        self.opaque(&text, u, negated, origin)
    }

    fn host_name(&mut self, host: &str, field: Field, stage: Stage, negated: bool, origin: Origin) -> Term {
        let end = self.end(field, stage);
        let kind = match end {
            "translated source" => ConditionKind::Pure,
            _ => ConditionKind::HostName { field, name: host.to_owned() },
        };
        let why = "the firewall resolves the name at run time";
        Term::opaque(self.builder.condition(&format!("{end} is {host}"), why, kind, origin), negated)
    }

    fn ports(&mut self, ports: &Ports, field: Field, origin: Origin) -> Term {
        if ports.unknown.is_empty() {
            return self.builder.field(field, ports.set.clone());
        }
        let which = if field == Field::Sport { "source" } else { "destination" };
        let mut ways = Vec::new();
        if !ports.set.is_empty() {
            ways.push(vec![self.builder.field(field, ports.set.clone())]);
        }
        for u in &ports.unknown {
            ways.push(vec![self.opaque(&format!("{which} port {}", u.text), u, false, origin)]);
        }
        self.builder.any(ways)
    }

    // pf adds S/SA to every pass that keeps state; it asks for TCP only.
    fn tcp_flags(&mut self, rule: &PfRule, terms: &mut Vec<Term>) {
        let wanted = match &rule.flags {
            Flags::Any => return,
            Flags::Of(set) => (**set).clone(),
            Flags::Default if rule.action == PfAction::Pass && !rule.stateless => {
                flags::masked(flags::SYN | flags::ACK, flags::SYN)
            }
            Flags::Default => return,
        };
        let tcp = IntervalSet::single(proto::TCP);
        let protocols = rule.proto.clone().unwrap_or_else(|| Field::Proto.all());
        if !protocols.intersects(&tcp) {
            return;
        }
        let term = self.builder.field(Field::TcpFlags, wanted);
        if protocols == tcp {
            terms.push(term);
        } else {
            let others = self.builder.field(Field::Proto, Field::Proto.complement(&tcp));
            terms.push(self.builder.any(vec![vec![others], vec![term]]));
        }
    }

    fn translation(&mut self, chain: ChainId, nat: &NatRule, stage: Stage) {
        let mut matches = nat.matches.clone();
        // A translation asks for no flags: it has none of a filter rule's options.
        matches.flags = Flags::Any;
        matches.direction = Direction::Both;
        let terms = self.terms(&matches, stage);
        let end = if stage == Stage::NatIn { TranslatedEnd::Destination } else { TranslatedEnd::Source };
        let blank = Translation::of(end);
        if let Rewrite::Unknown(u) = &nat.rewrite {
            return self.unknown_translation(chain, &matches, u, nat.pass, stage, blank);
        }
        let action = match &nat.rewrite {
            Rewrite::Nothing => {
                Action::Translate(self.builder.translation(Translation { identity: true, ..blank }))
            }
            Rewrite::Address { to, prefix, port, port_from } => {
                let everything = matches.family.unwrap_or(Family::V4).all();
                let range = to.or(everything.first().zip(everything.last()));
                Action::Translate(self.builder.translation(Translation {
                    address: range,
                    netmap: *prefix && to.is_some(),
                    port: *port,
                    port_from: *port_from,
                    ..blank
                }))
            }
            Rewrite::Unknown(_) => return,
        };
        let mut effects = Vec::new();
        if let Some(tag) = &matches.tag {
            effects.push(self.write_tag(tag));
        }
        if nat.pass {
            effects.push(Effect::Write { register: Register::Tag, mask: RDR_PASS, value: RDR_PASS });
        }
        self.push(chain, &matches, &terms, action, &effects);
    }

    // Translated to whatever address and port, perhaps past the filter, or not at all: what comes after does not know the packet any more.
    fn unknown_translation(
        &mut self,
        chain: ChainId,
        matches: &PfRule,
        u: &Unknown,
        pass: bool,
        stage: Stage,
        blank: Translation,
    ) {
        // Each way is a question of its own.
        let way = if stage == Stage::NatIn { "on the way in" } else { "on the way out" };
        let u = &Unknown { text: format!("{}, {way}", u.text), ..u.clone() };
        let families = Family::ALL.into_iter().filter(|f| matches.family.is_none_or(|own| own == *f));
        for family in families {
            let matches = PfRule { family: Some(family), ..matches.clone() };
            let mut terms = self.terms(&matches, stage);
            terms.push(self.opaque(&u.text, u, false, matches.origin));
            let all = family.all();
            let address = all.first().zip(all.last());
            let to = Translation { address, port: Some((0, 65535)), ..blank };
            let action = Action::Translate(self.builder.translation(to));
            if pass && stage == Stage::NatIn {
                let free = format!("{} asks no filter rule", u.text);
                let mut terms = terms.clone();
                terms.push(self.opaque(&free, u, false, matches.origin));
                let effect = Effect::Write { register: Register::Tag, mask: RDR_PASS, value: RDR_PASS };
                self.push(chain, &matches, &terms, action, &[effect]);
            }
            self.push(chain, &matches, &terms, action, &[]);
        }
    }
}
