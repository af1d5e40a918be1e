//! From the tree of a rule to terms and an action of the model.

use super::extensions::{Extension, Kind, Lower, Opt};
use super::ipset::Sets;
use super::lexer::Words;
use super::syntax::{Command, Parsed, Plain, Problem, Target, Test};
use super::values::{self, Address};
use crate::dialect::ReadOptions;
use crate::model::{Action, Builder, ConditionId, ConditionKind, Effect, Hook, Term};
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet, interface_prefix, interface_value};
use crate::source::{Diagnostic, Origin};
use rustc_hash::FxHashMap;

/// What lowering of a part gives.
pub(super) type Lowered<T> = Parsed<T>;

/// A table, as the kernel registers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: &'static str,
    /// Built-in chains, their hooks and priorities (`NF_IP_PRI_*`, linux/netfilter_ipv4.h).
    pub chains: &'static [(&'static str, Hook, i32)],
}

/// The tables.
pub(super) static TABLES: [Table; 5] = [
    Table {
        name: "filter",
        chains: &[("INPUT", Hook::Input, 0), ("FORWARD", Hook::Forward, 0), ("OUTPUT", Hook::Output, 0)],
    },
    Table {
        name: "nat",
        chains: &[
            ("PREROUTING", Hook::Prerouting, -100),
            ("INPUT", Hook::Input, 100),
            ("OUTPUT", Hook::Output, -100),
            ("POSTROUTING", Hook::Postrouting, 100),
        ],
    },
    Table {
        name: "mangle",
        chains: &[
            ("PREROUTING", Hook::Prerouting, -150),
            ("INPUT", Hook::Input, -150),
            ("FORWARD", Hook::Forward, -150),
            ("OUTPUT", Hook::Output, -150),
            ("POSTROUTING", Hook::Postrouting, -150),
        ],
    },
    Table { name: "raw", chains: &[("PREROUTING", Hook::Prerouting, -300), ("OUTPUT", Hook::Output, -300)] },
    Table {
        name: "security",
        chains: &[("INPUT", Hook::Input, 50), ("FORWARD", Hook::Forward, 50), ("OUTPUT", Hook::Output, 50)],
    },
];

/// Everything that lowering one rule needs.
pub(super) struct Context<'f> {
    pub b: Builder,
    pub words: Words<'f>,
    pub command: Command,
    pub v6: bool,
    pub options: &'f ReadOptions,
    pub sets: Sets,
    pub table: &'static Table,
    /// The hook of the built-in chain that the rule stands in; `None` in a user chain.
    pub hook: Option<Hook>,
    /// Place of the rule.
    pub origin: Origin,
    /// Terms and effects of the rule so far.
    pub terms: Vec<Term>,
    pub effects: Vec<Effect>,
    memo: FxHashMap<(u8, &'f [u8]), Memo>,
    states: [Option<Term>; 32],
    /// Terms of `-m set` tests that were met before.
    pub set_memo: FxHashMap<String, Vec<Term>>,
}

/// A term that was made before from the same text.
#[derive(Debug, Clone, Copy)]
enum Memo {
    Always,
    Term(Term),
}

// So many texts are remembered: enough for every real dump, and bounded.
const MEMO: usize = 1 << 16;

impl<'f> Context<'f> {
    pub(super) fn new(b: Builder, words: Words<'f>, v6: bool, options: &'f ReadOptions, sets: Sets) -> Self {
        Self {
            b,
            words,
            command: Command::default(),
            v6,
            options,
            sets,
            table: &TABLES[0],
            hook: None,
            origin: Origin::default(),
            terms: Vec::with_capacity(16),
            effects: Vec::new(),
            memo: FxHashMap::default(),
            states: [None; 32],
            set_memo: FxHashMap::default(),
        }
    }

    pub(super) fn family(&self) -> Family {
        if self.v6 { Family::V6 } else { Family::V4 }
    }

    /// A problem with word `i`.
    pub(super) fn problem(&self, i: usize, message: impl Into<String>) -> Box<Problem> {
        Problem::at(&self.words, i, message)
    }

    /// Reports a problem that leaves the rule's meaning clear.
    pub(super) fn complain(&mut self, p: &Problem) {
        let origin = Origin { file: self.origin.file, start: p.start, end: p.end };
        self.b.diagnose(Diagnostic::error(origin, p.message.clone()).help(p.help.clone()));
    }

    /// Adds a term.
    #[inline]
    pub(super) fn push(&mut self, term: Term) {
        self.terms.push(term);
    }

    /// The rule never matches.
    pub(super) fn never(&mut self) {
        self.push(Term::NEVER);
    }

    /// The rule matches no packet of the model.
    pub(super) fn outside(&mut self) {
        self.push(Term::OUTSIDE);
    }

    /// "The field is in the set", or is not.
    pub(super) fn push_set(&mut self, field: Field, set: IntervalSet, negated: bool) {
        let set = match field {
            _ if !negated => set,
            Field::Src | Field::Dst => self.family().all().minus(&set),
            _ => field.complement(&set),
        };
        let term = self.b.field(field, set);
        self.push(term);
    }

    /// An opaque pure condition.
    pub(super) fn push_opaque(&mut self, text: &str, why: &str, negated: bool) {
        let term = self.b.opaque(text, why, negated, self.origin);
        self.push(term);
    }

    /// Holds if the nft back end is in use: the back ends differ here (iptables 1.8.9, kernel 6.18).
    pub(super) fn backend(&mut self) -> Term {
        let why = "the legacy back end and the nf_tables one match different packets here";
        self.b.opaque("the rule is loaded by iptables-nft", why, false, self.origin)
    }

    /// What never matches with the legacy back end, and always does with the other.
    pub(super) fn push_backend(&mut self) {
        let term = self.backend();
        self.push(term);
    }

    /// Indices of the options of a loaded extension.
    pub(super) fn tests(&self, owner: usize) -> impl Iterator<Item = Test> + use<> {
        let tests: Vec<Test> = self.command.spec.tests_of(owner).copied().collect();
        tests.into_iter()
    }

    /// Text of an argument.
    pub(super) fn arg(&self, test: &Test, n: usize) -> &[u8] {
        self.words.text(test.args[n])
    }

    /// Turns a message about a value into a problem at its word.
    pub(super) fn at<T>(&self, word: usize, read: values::Read<T>) -> Lowered<T> {
        read.map_err(|message| self.problem(word, message))
    }

    /// Lowers the conditions of the current command. On an error, the terms of what was understood stay.
    pub(super) fn conditions(&mut self) -> Lowered<()> {
        self.terms.clear();
        self.effects.clear();
        let spec = &self.command.spec;
        let (src, dst, iif, oif, proto, fragment) =
            (spec.src, spec.dst, spec.iif, spec.oif, spec.proto, spec.fragment);
        if let Some(p) = proto {
            self.protocol(p)?;
        }
        for (field, plain) in [(Field::Src, src), (Field::Dst, dst)] {
            if let Some(p) = plain {
                self.address(field, p)?;
            }
        }
        for (field, plain) in [(Field::Iif, iif), (Field::Oif, oif)] {
            if let Some(p) = plain {
                self.interface(field, p)?;
            }
        }
        if let Some(p) = fragment {
            // Packets of the model are whole datagrams: `-f` means a second or later fragment.
            if self.v6 {
                return Err(self.problem(p.option, "`-f` is not for IPv6").help("use `-m frag`"));
            }
            if !p.negated {
                self.outside();
            }
        }
        for owner in 0..self.command.spec.uses.len() {
            let extension = self.command.spec.uses[owner].extension;
            match &extension.lower {
                Lower::Match(lower) => lower(self, owner)?,
                Lower::Each(kind, why) => self.each(owner, kind, why)?,
                Lower::Joint(kind, why) => self.joint(owner, kind.clone(), why)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn protocol(&mut self, p: Plain) -> Lowered<()> {
        let number = match values::protocol(self.words.text(p.value)) {
            Some(n) => n,
            None => {
                let shown = self.words.shown(p.value);
                return Err(self
                    .problem(p.value, format!("`{shown}` is no protocol"))
                    .help("write a name such as tcp, or a number from 0 to 255"));
            }
        };
        match (number, p.negated) {
            (0, false) => {}
            (0, true) => {
                return Err(self.problem(p.value, "`! -p all` never matches").help("leave the protocol out"));
            }
            // The packet's protocol is the one behind the extension headers (ip6_tables.c, `ip6_packet_match`).
            (43 | 44 | 60, false) if self.v6 => self.never(),
            (n, false) => {
                let term = self.b.protocol(n);
                self.push(term);
            }
            (n, true) => self.push_set(Field::Proto, IntervalSet::single(n), true),
        }
        Ok(())
    }

    #[inline]
    fn address(&mut self, field: Field, p: Plain) -> Lowered<()> {
        let text = self.words.text(p.value);
        if memchr::memchr(b',', text).is_some() {
            return self.address_list(field, p);
        }
        match self.at(p.value, values::address(text, self.v6))? {
            Address::V4(lo, hi) if !p.negated => {
                if lo != 0 || hi != u32::MAX {
                    self.push(Term::Range { field, lo, hi });
                }
            }
            Address::V4(lo, hi) => {
                self.push_set(field, IntervalSet::range(addr::v4(lo), addr::v4(hi)), true);
            }
            Address::Set(set) if set.is_empty() && !p.negated => self.outside(),
            Address::Set(set) => {
                if p.negated || set != self.family().all() {
                    self.push_set(field, set, p.negated);
                }
            }
            Address::Scattered(masked) => {
                let text = format!("{} {masked}", side(field));
                self.push_opaque(&text, "the mask selects too many separate ranges", p.negated);
            }
            Address::Host(name) => match self.host(&name) {
                Some(set) => self.push_set(field, set, p.negated),
                None => {
                    let c = self.host_condition(field, &name);
                    self.push(Term::opaque(c, p.negated));
                }
            },
        }
        Ok(())
    }

    fn host(&self, name: &str) -> Option<IntervalSet> {
        self.options.names.get(name).map(|s| s.intersect(&self.family().all()))
    }

    fn host_condition(&mut self, field: Field, name: &str) -> ConditionId {
        let text = format!("{} {name}", side(field));
        let kind = ConditionKind::HostName { field, name: name.to_owned() };
        self.b.condition(&text, "the addresses of this name are not declared", kind, self.origin)
    }

    fn address_list(&mut self, field: Field, p: Plain) -> Lowered<()> {
        if p.negated {
            return Err(self
                .problem(p.value, "`!` is not allowed before a list of addresses")
                .help("a rule without one of several networks needs one rule for each, or an ipset"));
        }
        let mut ranges = Vec::new();
        let mut others = Vec::new();
        let text = self.words.text(p.value).to_owned();
        for part in text.split(|b| *b == b',') {
            match self.at(p.value, values::address(part, self.v6))? {
                Address::V4(lo, hi) => ranges.push((addr::v4(lo), addr::v4(hi))),
                Address::Set(set) => ranges.extend_from_slice(set.ranges()),
                Address::Scattered(masked) => {
                    let text = format!("{} {masked}", side(field));
                    others.push(self.b.opaque(
                        &text,
                        "the mask selects too many separate ranges",
                        false,
                        self.origin,
                    ));
                }
                Address::Host(name) => match self.host(&name) {
                    Some(set) => ranges.extend_from_slice(set.ranges()),
                    None => {
                        let c = self.host_condition(field, &name);
                        others.push(Term::opaque(c, false));
                    }
                },
            }
        }
        let set = IntervalSet::from_ranges(ranges);
        if set.covers(&self.family().all()) {
            return Ok(());
        }
        let known = self.b.field(field, set);
        if others.is_empty() {
            self.push(known);
        } else {
            let all = std::iter::once(known).chain(others).map(|t| vec![t]).collect();
            let any = self.b.any(all);
            self.push(any);
        }
        Ok(())
    }

    fn interface(&mut self, field: Field, p: Plain) -> Lowered<()> {
        self.interface_hook(field, p)?;
        let tag = (field as u8) << 1 | u8::from(p.negated);
        let key = self.words.lasting(p.value).map(|text| (tag, text));
        if let Some(key) = key
            && let Some(memo) = self.memo.get(&key)
        {
            if let Memo::Term(t) = *memo {
                self.push(t);
            }
            return Ok(());
        }
        let before = self.terms.len();
        self.interface_set(field, p)?;
        if let Some(key) = key
            && self.memo.len() < MEMO
        {
            let memo = self.terms.get(before).map_or(Memo::Always, |t| Memo::Term(*t));
            self.memo.insert(key, memo);
        }
        Ok(())
    }

    /// The condition of a plain interface option that was met before; `Some(None)` if it is none.
    #[inline]
    pub(super) fn known_interface(&self, field: Field, text: &'f [u8]) -> Option<Option<Term>> {
        match self.memo.get(&((field as u8) << 1, text))? {
            Memo::Always => Some(None),
            Memo::Term(t) => Some(Some(*t)),
        }
    }

    fn interface_hook(&self, field: Field, p: Plain) -> Lowered<()> {
        let Some(hook) = self.hook else {
            return Ok(());
        };
        let wrong = match field {
            Field::Iif => matches!(hook, Hook::Output | Hook::Postrouting),
            _ => matches!(hook, Hook::Input | Hook::Prerouting),
        };
        if !wrong {
            return Ok(());
        }
        let shown = self.words.shown(p.option);
        Err(self
            .problem(p.option, format!("`{shown}` cannot be used in this chain"))
            .help("packets have no such interface there"))
    }

    fn interface_set(&mut self, field: Field, p: Plain) -> Lowered<()> {
        let text = self.words.text(p.value);
        let name = std::str::from_utf8(text).unwrap_or("\u{fffd}");
        let set = match name.strip_suffix('+') {
            _ if name.is_empty() => {
                return Err(self.problem(p.value, "the interface's name is empty"));
            }
            Some("") => {
                if p.negated {
                    self.push_backend();
                }
                return Ok(());
            }
            Some(prefix) => interface_prefix(prefix),
            None => interface_value(name).map(IntervalSet::single),
        };
        let set = self.at(p.value, set.map_err(|e| e.to_string()))?;
        self.push_set(field, set, p.negated);
        Ok(())
    }

    /// "The state is one of these" (a set of bits by the values of `ConnState`).
    pub(super) fn state_in(&mut self, bits: u8) -> Term {
        let index = usize::from(bits & 31);
        if let Some(t) = self.states[index] {
            return t;
        }
        let set: IntervalSet = (0..5u8).filter(|b| bits & 1 << b != 0).map(u128::from).collect();
        let term = self.b.field(Field::State, set);
        self.states[index] = Some(term);
        term
    }

    /// What the rule does.
    pub(super) fn action(
        &mut self,
        chain: &dyn Fn(&[u8]) -> Option<crate::model::ChainId>,
    ) -> Lowered<Action> {
        let Some(target) = self.command.spec.target else {
            return Ok(Action::Continue);
        };
        if let Some(owner) = target.extension {
            let extension = self.command.spec.uses[owner].extension;
            return match &extension.lower {
                Lower::Target(lower) => lower(self, owner),
                Lower::Unknown(why) => Ok(self.unknown_target(owner, why)),
                _ => Ok(Action::Continue),
            };
        }
        self.jump(target, chain)
    }

    /// A target whose verdict is not known.
    pub(super) fn unknown_target(&mut self, owner: usize, why: &str) -> Action {
        let text = self.joint_text(owner);
        Action::Unknown(self.b.condition(&text, why, ConditionKind::Volatile, self.origin))
    }

    fn jump(
        &mut self,
        target: Target,
        chain: &dyn Fn(&[u8]) -> Option<crate::model::ChainId>,
    ) -> Lowered<Action> {
        let name = self.words.text(target.word);
        if !target.goto {
            match name {
                b"ACCEPT" => return Ok(Action::Accept),
                b"DROP" if self.table.name == "nat" => {
                    return Err(self.problem(target.word, "the nat table cannot drop").help(
                        "drop in the filter table: nat chains see only the first packet of a connection",
                    ));
                }
                b"DROP" => return Ok(Action::Drop),
                b"RETURN" => return Ok(Action::Return),
                _ => {}
            }
        }
        if let Some(id) = chain(name) {
            return Ok(if target.goto { Action::Goto(id) } else { Action::Jump(id) });
        }
        if name == b"QUEUE" {
            let why = "a program in user space decides";
            return Ok(Action::Unknown(self.b.condition(
                "-j QUEUE",
                why,
                ConditionKind::Volatile,
                self.origin,
            )));
        }
        let shown = self.words.shown(target.word);
        Err(self
            .problem(target.word, format!("there is no chain and no target `{shown}`"))
            .help(format!("declare the chain above its first use: `:{shown} - [0:0]`")))
    }

    // Each option is a condition of its own.
    fn each(&mut self, owner: usize, kind: &ConditionKind, why: &str) -> Lowered<()> {
        self.needs_option(owner)?;
        for test in self.tests(owner) {
            self.opaque_test(&test, kind.clone(), why);
        }
        Ok(())
    }

    /// One option as a condition.
    pub(super) fn opaque_test(&mut self, test: &Test, kind: ConditionKind, why: &str) {
        let mut text = self.head(test.owner);
        self.write_test(&mut text, test, false);
        let c = self.b.condition(&text, why, kind, self.origin);
        self.push(Term::opaque(c, test.negated));
    }

    /// All options of an extension as one condition.
    pub(super) fn joint(&mut self, owner: usize, kind: ConditionKind, why: &str) -> Lowered<()> {
        let single = {
            let mut tests = self.tests(owner);
            tests.next().filter(|_| tests.next().is_none())
        };
        let extension = self.command.spec.uses[owner].extension;
        if let Some(test) = single
            && extension.options.iter().all(|o| o.default.is_none())
        {
            self.opaque_test(&test, kind, why);
            return Ok(());
        }
        let text = self.joint_text(owner);
        let c = self.b.condition(&text, why, kind, self.origin);
        self.push(Term::opaque(c, false));
        Ok(())
    }

    /// An error if a match that needs an option has none.
    pub(super) fn needs_option(&self, owner: usize) -> Lowered<()> {
        let used = self.command.spec.uses[owner];
        if self.command.spec.tests_of(owner).next().is_some() {
            return Ok(());
        }
        let first = used.extension.options.first().map_or("", |o| o.name);
        Err(self
            .problem(used.word, format!("`-m {}` needs an option", used.extension.name))
            .help(format!("such as `--{first}`")))
    }

    fn head(&self, owner: usize) -> String {
        let extension = self.command.spec.uses[owner].extension;
        format!("-{} {}", if extension.is_target() { 'j' } else { 'm' }, extension.name)
    }

    /// An extension with all its options, in one form: in the order of the table, with the defaults.
    pub(super) fn joint_text(&self, owner: usize) -> String {
        let extension: &Extension = self.command.spec.uses[owner].extension;
        let mut text = self.head(owner);
        let tests: Vec<Test> = self.tests(owner).collect();
        let repeated = tests
            .iter()
            .enumerate()
            .any(|(i, t)| tests[..i].iter().any(|u| std::ptr::eq(u.option, t.option)));
        if repeated {
            for t in &tests {
                self.write_test(&mut text, t, true);
            }
            return text;
        }
        for option in extension.options {
            match tests.iter().find(|t| t.option.name == option.name) {
                Some(t) => self.write_test(&mut text, t, true),
                None => write_default(&mut text, option, &tests),
            }
        }
        text
    }

    fn write_test(&self, text: &mut String, test: &Test, with_not: bool) {
        if with_not && test.negated {
            text.push_str(" !");
        }
        text.push_str(" --");
        text.push_str(test.option.canonical);
        for n in 0..test.count {
            text.push(' ');
            let arg = String::from_utf8_lossy(self.arg(test, n));
            push_quoted(text, &normalised(&arg, test.option.value, self.v6));
        }
    }
}

fn write_default(text: &mut String, option: &Opt, tests: &[Test]) {
    if let Some(d) = option.default
        && !tests.iter().any(|t| t.option.canonical == option.canonical)
    {
        text.push_str(" --");
        text.push_str(option.canonical);
        text.push(' ');
        text.push_str(d);
    }
}

/// `-s` or `-d`.
pub(super) const fn side(field: Field) -> &'static str {
    match field {
        Field::Src => "-s",
        _ => "-d",
    }
}

// As the saver: quotes around anything else than these.
fn push_quoted(text: &mut String, arg: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-:/.,+=%".contains(&b);
    if !arg.is_empty() && arg.bytes().all(plain) {
        text.push_str(arg);
        return;
    }
    text.push('"');
    for c in arg.chars() {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

fn normalised(arg: &str, kind: Kind, v6: bool) -> String {
    let each = |marks: &[char], one: &dyn Fn(&str) -> Option<String>| {
        arg.split_inclusive(marks)
            .map(|part| {
                let (value, mark) = match part.strip_suffix(marks) {
                    Some(v) => (v, &part[v.len()..]),
                    None => (part, ""),
                };
                one(value).unwrap_or_else(|| value.to_owned()) + mark
            })
            .collect()
    };
    let number = |n: &str| values::bounded(n.as_bytes(), u64::MAX).ok().map(|n| n.to_string());
    match kind {
        Kind::Text => arg.to_owned(),
        Kind::Caseless => arg.to_ascii_uppercase(),
        Kind::Address => match values::address(arg.as_bytes(), v6) {
            Ok(Address::V4(lo, hi)) => {
                addr::display(&IntervalSet::range(addr::v4(lo), addr::v4(hi))).join(",")
            }
            Ok(Address::Set(set)) => addr::display(&set).join(","),
            _ => arg.to_owned(),
        },
        Kind::Masked => arg
            .split_once('/')
            .and_then(|(ip, mask)| Some(format!("{ip}/{}", values::mask_length(mask, v6)?)))
            .unwrap_or_else(|| arg.to_owned()),
        Kind::Numbers => each(&[':', '-', ',', '/'], &number),
        Kind::Range(max) => {
            let (lo, hi) = arg.split_once(':').unwrap_or((arg, arg));
            let end = |t: &str, missing: u32| match t {
                "" => missing.to_string(),
                t => number(t).unwrap_or_else(|| t.to_owned()),
            };
            let (lo, hi) = (end(lo, 0), end(hi, max));
            if lo == hi { lo } else { format!("{lo}:{hi}") }
        }
        Kind::Protocol => values::protocol(arg.as_bytes()).map_or_else(|| arg.to_owned(), |n| n.to_string()),
        Kind::Service => {
            each(&[':', ','], &|p| number(p).or_else(|| super::services::port(p).map(|p| p.to_string())))
        }
        Kind::User => each(&['-'], &|u| (u == "root").then(|| "0".to_owned())),
        Kind::Bits => bits(arg).unwrap_or_else(|| arg.to_owned()),
    }
}

// `5kbit` as `5000bit`.
fn bits(arg: &str) -> Option<String> {
    let digits = arg.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &arg[digits.len()..] {
        "kbit" => 1_000,
        "mbit" => 1_000_000,
        "gbit" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|n| format!("{}bit", n.saturating_mul(factor)))
}

impl Context<'_> {
    /// Puts another builder in place and gives back the present one. What was remembered belongs to the old one.
    pub(super) fn swap_builder(&mut self, b: Builder) -> Builder {
        self.memo.clear();
        self.set_memo.clear();
        self.states = [None; 32];
        std::mem::replace(&mut self.b, b)
    }
}
