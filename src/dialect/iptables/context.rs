//! What lowering one rule needs: the words of its line, the model that is being built, what is known beside the file.

use super::extensions::{self, Extension, Kind, Opt};
use super::ipset::Sets;
use super::lexer::Words;
use super::syntax::{Command, Parsed, Problem, Test};
use super::tables::{TABLES, Table};
use super::values::{self, Address};
use crate::dialect::ReadOptions;
use crate::model::{Action, Builder, ChainId, ConditionKind, Effect, Hook, Term, TranslationId};
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet};
use crate::source::{Diagnostic, Origin};
use rustc_hash::FxHashMap;

/// What lowering of a part gives.
pub(super) type Lowered<T> = Parsed<T>;

/// Everything that lowering one rule needs.
pub(super) struct Context<'f> {
    pub b: Builder,
    pub words: Words<'f>,
    pub command: Command,
    /// The family that the dump speaks for; `None` = nothing tells, and it is read for both.
    pub family: Option<Family>,
    /// The family is IPv6.
    pub v6: bool,
    pub options: &'f ReadOptions,
    pub sets: Sets,
    pub table: &'static Table,
    /// The hook of the built-in chain that the rule stands in; `None` in a user chain.
    pub hook: Option<Hook>,
    /// The chain that the rule stands in.
    pub chain: ChainId,
    /// Place of the rule.
    pub origin: Origin,
    /// Terms and effects of the rule so far.
    pub terms: Vec<Term>,
    pub effects: Vec<Effect>,
    pub memo: FxHashMap<(u8, &'f [u8]), Memo>,
    states: [Option<Term>; 32],
    /// Terms of `-m set` tests that were met before.
    pub set_memo: FxHashMap<String, Vec<Term>>,
    /// Translations of user chains of which the chain that jumps there says which end they change.
    pub by_hook: Vec<(ChainId, TranslationId)>,
    /// Whether the dump has a rule that writes what a match looks at, by the match's name.
    written: FxHashMap<&'static str, bool>,
}

/// A term that was made before from the same text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Memo {
    Always,
    Term(Term),
}

// So many texts are remembered: enough for every real dump, and bounded.
pub(super) const MEMO: usize = 1 << 16;

impl<'f> Context<'f> {
    pub(super) fn new(
        b: Builder,
        words: Words<'f>,
        family: Option<Family>,
        options: &'f ReadOptions,
        sets: Sets,
    ) -> Self {
        Self {
            b,
            words,
            command: Command::default(),
            family,
            v6: family == Some(Family::V6),
            options,
            sets,
            table: &TABLES[0],
            hook: None,
            chain: ChainId(0),
            origin: Origin::default(),
            terms: Vec::with_capacity(16),
            effects: Vec::new(),
            memo: FxHashMap::default(),
            states: [None; 32],
            set_memo: FxHashMap::default(),
            by_hook: Vec::new(),
            written: FxHashMap::default(),
        }
    }

    /// The families that the dump may speak for.
    pub(super) fn families(&self) -> Vec<Family> {
        self.family.map_or_else(|| Family::ALL.to_vec(), |f| vec![f])
    }

    /// Every address that the dump's packets may have.
    pub(super) fn addresses(&self) -> IntervalSet {
        let all = self.families().into_iter().map(Family::all);
        all.fold(IntervalSet::EMPTY, |a, b| a.union(&b))
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
            Field::Src | Field::Dst => self.addresses().minus(&set),
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

    /// The same of a match: not one truth on a packet where rules write what the match looks at.
    pub(super) fn push_opaque_of(&mut self, owner: usize, text: &str, why: &str, negated: bool) {
        let kind = self.lasting(owner, ConditionKind::Pure);
        let id = self.b.condition(text, why, kind, self.origin);
        self.push(Term::opaque(id, negated));
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

    /// The condition of a plain interface option that was met before; `Some(None)` if it is none.
    #[inline]
    pub(super) fn known_interface(&self, field: Field, text: &'f [u8]) -> Option<Option<Term>> {
        match self.memo.get(&((field as u8) << 1, text))? {
            Memo::Always => Some(None),
            Memo::Term(t) => Some(Some(*t)),
        }
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

    /// A target whose verdict is not known.
    pub(super) fn unknown_target(&mut self, owner: usize, why: &str) -> Action {
        let text = self.joint_text(owner);
        Action::Unknown(self.b.condition(&text, why, ConditionKind::Volatile, self.origin))
    }

    /// One option as a condition.
    pub(super) fn opaque_test(&mut self, test: &Test, kind: ConditionKind, why: &str) {
        let mut text = self.head(test.owner);
        self.write_test(&mut text, test, false);
        let kind = self.lasting(test.owner, kind);
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
        let kind = self.lasting(owner, kind);
        let c = self.b.condition(&text, why, kind, self.origin);
        self.push(Term::opaque(c, false));
        Ok(())
    }

    // A match has one truth on a packet only where no rule of the dump writes what it looks at.
    fn lasting(&mut self, owner: usize, kind: ConditionKind) -> ConditionKind {
        let name = self.command.spec.uses[owner].extension.name;
        let bytes = self.words.bytes();
        let written = *self.written.entry(name).or_insert_with(|| {
            let targets = extensions::writers(name);
            targets.iter().any(|t| memchr::memmem::find_iter(bytes, t).any(|at| is_word(bytes, at, t.len())))
        });
        if written && kind == ConditionKind::Pure { ConditionKind::Volatile } else { kind }
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

// Whether what stands at a place is a word, alone or behind `-j`.
fn is_word(bytes: &[u8], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).map(|i| bytes[i]);
    let behind = bytes.get(at + length);
    before.is_some_and(|b| b.is_ascii_whitespace() || b"=j\"".contains(&b))
        && behind.is_none_or(|b| b.is_ascii_whitespace() || *b == b'"')
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
        self.by_hook.clear();
        self.states = [None; 32];
        std::mem::replace(&mut self.b, b)
    }
}
