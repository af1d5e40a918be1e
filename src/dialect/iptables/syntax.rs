//! The syntax of a command line (`-A INPUT -p tcp …`): a tree of what stands there, with places, before any meaning.

use super::extensions::{self, Extension, Opt};
use super::lexer::Words;

/// What is wrong with a line, where (a byte range of the file), and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    pub start: u32,
    pub end: u32,
    pub message: String,
    pub help: String,
}

/// A result whose error is small to move around.
pub(super) type Parsed<T> = Result<T, Box<Problem>>;

impl Problem {
    /// About word `i`.
    pub(super) fn at(words: &Words<'_>, i: usize, message: impl Into<String>) -> Box<Self> {
        let w = words.word(i);
        Box::new(Self { start: w.start, end: w.end, message: message.into(), help: String::new() })
    }

    /// Adds what to do.
    pub(super) fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = help.into();
        self
    }
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Append,
    Insert,
    Replace,
    Delete,
    Flush,
    NewChain,
    DeleteChain,
    RenameChain,
    Policy,
    /// Zeroes counters, lists or checks: changes nothing.
    Nothing,
}

/// A command of a table. Indices are words of the line.
#[derive(Debug, Default)]
pub(super) struct Command {
    pub verb: Option<(Verb, usize)>,
    /// The chain, if one is named.
    pub chain: Option<usize>,
    /// Position (`-I`, `-D`, `-R`), new name (`-E`) or policy (`-P`).
    pub operand: Option<usize>,
    /// `-4` or `-6`: the line counts for that family only; `true` = IPv6.
    pub only_v6: Option<bool>,
    /// The first `!` that stands behind its option (`-s ! 10.0.0.1`), as iptables wrote it before 1.4.3.
    pub inner_not: Option<usize>,
    pub spec: Spec,
}

/// The conditions and the target of a rule.
#[derive(Debug, Default)]
pub(super) struct Spec {
    pub src: Option<Plain>,
    pub dst: Option<Plain>,
    pub iif: Option<Plain>,
    pub oif: Option<Plain>,
    pub proto: Option<Plain>,
    /// `-f`: holds whether it is negated.
    pub fragment: Option<Plain>,
    /// Extensions in the order of loading: matches, and the target if it is one.
    pub uses: Vec<Use>,
    /// Options of the extensions.
    pub tests: Vec<Test>,
    pub target: Option<Target>,
}

/// An option that every rule has: negated or not, the option's word, its argument's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub negated: bool,
    pub option: usize,
    pub value: usize,
}

/// A loaded extension.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub extension: &'static Extension,
    /// The word that names it (or the option that loaded it).
    pub word: usize,
}

impl std::fmt::Debug for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.extension.name)
    }
}

/// An option of an extension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Test {
    pub option: &'static Opt,
    pub negated: bool,
    /// The option's word.
    pub word: usize,
    /// Words of its arguments.
    pub args: [usize; 2],
    /// How many there are.
    pub count: usize,
    /// Index into [`Spec::uses`].
    pub owner: usize,
}

/// `-j` or `-g`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub goto: bool,
    pub word: usize,
    /// Index into [`Spec::uses`], if it is an extension.
    pub extension: Option<usize>,
}

impl Command {
    fn clear(&mut self) {
        self.verb = None;
        self.chain = None;
        self.operand = None;
        self.only_v6 = None;
        self.inner_not = None;
        self.spec.clear();
    }
}

impl Spec {
    fn clear(&mut self) {
        let (mut uses, mut tests) = (std::mem::take(&mut self.uses), std::mem::take(&mut self.tests));
        uses.clear();
        tests.clear();
        *self = Spec { uses, tests, ..Spec::default() };
    }

    /// The options of an extension.
    pub(super) fn tests_of(&self, owner: usize) -> impl Iterator<Item = &Test> {
        self.tests.iter().filter(move |t| t.owner == owner)
    }

    /// The option of an extension with a canonical name.
    pub(super) fn find(&self, owner: usize, canonical: &str) -> Option<&Test> {
        self.tests_of(owner).find(|t| t.option.canonical == canonical)
    }
}

// Options that every rule has.
const BASE: &[(&str, u8)] = &[
    ("append", b'A'),
    ("insert", b'I'),
    ("replace", b'R'),
    ("delete", b'D'),
    ("check", b'C'),
    ("flush", b'F'),
    ("zero", b'Z'),
    ("list", b'L'),
    ("list-rules", b'S'),
    ("new-chain", b'N'),
    ("delete-chain", b'X'),
    ("rename-chain", b'E'),
    ("policy", b'P'),
    ("source", b's'),
    ("src", b's'),
    ("destination", b'd'),
    ("dst", b'd'),
    ("in-interface", b'i'),
    ("out-interface", b'o'),
    ("protocol", b'p'),
    ("proto", b'p'),
    ("jump", b'j'),
    ("goto", b'g'),
    ("match", b'm'),
    ("fragments", b'f'),
    ("set-counters", b'c'),
    ("table", b't'),
    ("ipv4", b'4'),
    ("ipv6", b'6'),
    ("wait", b'w'),
    ("numeric", b'n'),
    ("verbose", b'v'),
    ("exact", b'x'),
    ("line-numbers", b'0'),
];

/// Reads the words of a command into `out`. `is_chain` tells declared chains, which go before targets of the same name. On an error
/// `out` holds what was read before it.
pub(super) fn parse(
    words: &mut Words<'_>,
    v6: bool,
    is_chain: &dyn Fn(&[u8]) -> bool,
    out: &mut Command,
) -> Parsed<()> {
    out.clear();
    let count = words.len();
    let mut p = Parser { words, v6, is_chain, out, count, at: 0, not: None };
    while p.at < count {
        p.option()?;
    }
    match p.not {
        Some(i) => Err(Problem::at(p.words, i, "`!` stands before nothing")),
        None => Ok(()),
    }
}

struct Parser<'a, 'f> {
    words: &'a mut Words<'f>,
    v6: bool,
    is_chain: &'a dyn Fn(&[u8]) -> bool,
    out: &'a mut Command,
    count: usize,
    at: usize,
    not: Option<usize>,
}

impl Parser<'_, '_> {
    fn option(&mut self) -> Parsed<()> {
        let i = self.at;
        self.at += 1;
        match *self.words.text(i) {
            [b'-', short] if short != b'-' => self.short(i, short),
            [b'-', b'-', _, ..] => self.long(i),
            [b'!'] => {
                if let Some(first) = self.not.replace(i) {
                    let _ = first;
                    return Err(
                        Problem::at(self.words, i, "`!` stands twice").help("write it once, or not at all")
                    );
                }
                Ok(())
            }
            [b'-', short, ..] => self.attached(i, short),
            _ => Err(self.stray(i)),
        }
    }

    fn stray(&self, i: usize) -> Box<Problem> {
        let text = self.words.text(i);
        let p = Problem::at(
            self.words,
            i,
            format!("`{}` is neither an option nor an argument of one", self.words.shown(i)),
        );
        match text {
            [b'#', ..] => p.help("a note must stand on a line of its own that begins with `#`"),
            b"\\" => p.help("a rule stands on one line: it cannot be continued on the next"),
            [b'\'', ..] => p.help("only `\"` quotes"),
            _ if i > 0 && self.words.text(i - 1) == b"!" => {
                p.help("write `!` before the option: `! -s 10.0.0.1`")
            }
            _ => p,
        }
    }

    // `-s10.0.0.1`; and `-4A`, which nobody writes.
    fn attached(&mut self, i: usize, short: u8) -> Parsed<()> {
        if !b"AIRDCFZNXEPsdiojgmctw".contains(&short) {
            return Err(self.unknown(i));
        }
        let value = self.words.tail(i, 2);
        self.base(i, short, Some(value))
    }

    fn short(&mut self, i: usize, short: u8) -> Parsed<()> {
        self.base(i, short, None)
    }

    fn value(&mut self, option: usize, attached: Option<usize>) -> Parsed<usize> {
        if let Some(v) = attached {
            return Ok(v);
        }
        if self.at < self.count {
            self.at += 1;
            return Ok(self.at - 1);
        }
        Err(Problem::at(self.words, option, format!("`{}` needs an argument", self.words.shown(option))))
    }

    // The argument of an option that may be negated, and whether a `!` stands before it.
    fn negated_value(
        &mut self,
        option: usize,
        attached: Option<usize>,
        negated: bool,
    ) -> Parsed<(usize, bool)> {
        let value = self.value(option, attached)?;
        if attached.is_some() || self.words.text(value) != b"!" || self.at == self.count {
            return Ok((value, false));
        }
        if negated {
            return Err(
                Problem::at(self.words, value, "`!` stands twice").help("write it once, or not at all")
            );
        }
        self.out.inner_not.get_or_insert(value);
        Ok((self.value(option, None)?, true))
    }

    // Whether the next word is an argument that may be left out.
    fn more(&self) -> bool {
        self.at < self.count && !matches!(self.words.text(self.at), [b'-', ..] | [b'!'])
    }

    fn base(&mut self, i: usize, letter: u8, attached: Option<usize>) -> Parsed<()> {
        let negated = self.not.take();
        if let Some(not) = negated
            && !b"sdiopf".contains(&letter)
        {
            return Err(Problem::at(
                self.words,
                not,
                format!("`!` cannot stand before `{}`", self.words.shown(i)),
            ));
        }
        let negated = negated.is_some();
        match letter {
            b's' | b'd' | b'i' | b'o' | b'p' => {
                let (value, inner) = self.negated_value(i, attached, negated)?;
                let plain = Plain { negated: negated || inner, option: i, value };
                let spec = &mut self.out.spec;
                let slot = match letter {
                    b's' => &mut spec.src,
                    b'd' => &mut spec.dst,
                    b'i' => &mut spec.iif,
                    b'o' => &mut spec.oif,
                    _ => &mut spec.proto,
                };
                if slot.is_some() {
                    return Err(self.twice(i));
                }
                *slot = Some(plain);
            }
            b'f' => self.out.spec.fragment = Some(Plain { negated, option: i, value: i }),
            b'j' | b'g' => {
                let word = self.value(i, attached)?;
                return self.target(i, word, letter == b'g');
            }
            b'm' => {
                let word = self.value(i, attached)?;
                let Some(extension) = extensions::find_match(self.words.text(word), self.v6) else {
                    return Err(self.unknown_match(word));
                };
                self.out.spec.uses.push(Use { extension, word });
            }
            b'c' => {
                let packets = self.value(i, attached)?;
                if !self.words.text(packets).contains(&b',') {
                    self.value(i, None)?;
                }
            }
            b'4' | b'6' => self.out.only_v6 = Some(letter == b'6'),
            b'n' | b'v' | b'x' | b'0' => {}
            b'w' => {
                if attached.is_none() && self.more() {
                    self.at += 1;
                }
            }
            b't' => {
                let p = Problem::at(self.words, i, "`-t` has no place in a restore file");
                return Err(p.help("the table is named by the line `*TABLE` above"));
            }
            _ => return self.verb(i, letter, attached),
        }
        Ok(())
    }

    fn twice(&self, i: usize) -> Box<Problem> {
        Problem::at(self.words, i, format!("`{}` stands twice", self.words.shown(i)))
            .help("a rule has it once; write a list (`-s A,B`) or two rules")
    }

    fn verb(&mut self, i: usize, letter: u8, attached: Option<usize>) -> Parsed<()> {
        let (verb, operand) = match letter {
            b'A' => (Verb::Append, false),
            b'I' => (Verb::Insert, true),
            b'R' => (Verb::Replace, true),
            b'D' => (Verb::Delete, true),
            b'F' => (Verb::Flush, false),
            b'N' => (Verb::NewChain, false),
            b'X' => (Verb::DeleteChain, false),
            b'E' => (Verb::RenameChain, true),
            b'P' => (Verb::Policy, true),
            b'Z' | b'L' | b'S' | b'C' => (Verb::Nothing, true),
            _ => return Err(self.unknown(i)),
        };
        if let Some((_, first)) = self.out.verb {
            return Err(Problem::at(
                self.words,
                i,
                format!("a second command after `{}`", self.words.shown(first)),
            )
            .help("write one command a line"));
        }
        self.out.verb = Some((verb, i));
        let needs_chain = !matches!(verb, Verb::Flush | Verb::DeleteChain | Verb::Nothing);
        if attached.is_some() || needs_chain || self.more() {
            self.out.chain = Some(self.value(i, attached)?);
        }
        let number = matches!(verb, Verb::Insert | Verb::Delete | Verb::Nothing);
        if operand
            && (!number || (self.more() && self.words.text(self.at).first().is_some_and(u8::is_ascii_digit)))
        {
            self.out.operand = Some(self.value(i, None)?);
        }
        Ok(())
    }

    fn target(&mut self, i: usize, word: usize, goto: bool) -> Parsed<()> {
        if self.out.spec.target.is_some() {
            return Err(self.twice(i));
        }
        let name = self.words.text(word);
        let extension = match name {
            b"ACCEPT" | b"DROP" | b"RETURN" => None,
            _ if goto || (self.is_chain)(name) => None,
            _ => extensions::find_target(name, self.v6).map(|extension| {
                self.out.spec.uses.push(Use { extension, word });
                self.out.spec.uses.len() - 1
            }),
        };
        self.out.spec.target = Some(Target { goto, word, extension });
        Ok(())
    }

    fn unknown(&self, i: usize) -> Box<Problem> {
        let shown = self.words.shown(i);
        let name = shown.trim_start_matches('-');
        let loaded = self.out.spec.uses.iter().map(|u| u.extension).chain(self.implied());
        let known = loaded.flat_map(|e| e.options).map(|o| o.name);
        let near = nearest(name, known.chain(BASE.iter().map(|b| b.0)));
        let p = Problem::at(self.words, i, format!("`{shown}` is no option here"));
        match near {
            Some(n) => p.help(format!("did you mean `--{n}`?")),
            None => p.help(
                "an option of a match stands behind its `-m`; ports need `-p tcp` or the like before them",
            ),
        }
    }

    fn unknown_match(&self, word: usize) -> Box<Problem> {
        let shown = self.words.shown(word);
        let p = Problem::at(self.words, word, format!("the match `{shown}` is not known"));
        let names = extensions::all().filter(|e| !e.is_target()).map(|e| e.name);
        match nearest(&shown, names) {
            Some(n) => p.help(format!("did you mean `{n}`?")),
            None => p.help("any verdict is taken to be possible for this rule"),
        }
    }

    fn long(&mut self, i: usize) -> Parsed<()> {
        let mut text = &self.words.text(i)[2..];
        let mut attached = None;
        if let Some(eq) = text.iter().position(|b| *b == b'=') {
            text = &text[..eq];
            attached = Some(eq + 3);
        }
        let found = self.lookup(text);
        let attached = attached.map(|skip| self.words.tail(i, skip));
        match found {
            Found::Base(letter) => self.base(i, letter, attached),
            Found::Option(owner, option) => self.test(i, owner, option, attached),
            Found::Load(extension, option) => {
                self.out.spec.uses.push(Use { extension, word: i });
                self.test(i, self.out.spec.uses.len() - 1, option, attached)
            }
            Found::Ambiguous => Err(Problem::at(
                self.words,
                i,
                format!("`{}` is short for several options", self.words.shown(i)),
            )
            .help("write the option out")),
            Found::Nothing => Err(self.unknown(i)),
        }
    }

    // As getopt_long: the whole name of an option of any extension (the newest first), then a whole common name, then an unambiguous
    // beginning. Last, the match of the protocol is loaded and asked.
    fn lookup(&self, name: &[u8]) -> Found {
        let uses = &self.out.spec.uses;
        for (owner, u) in uses.iter().enumerate().rev() {
            if let Some(o) = u.extension.options.iter().find(|o| o.name.as_bytes() == name) {
                return Found::Option(owner, o);
            }
        }
        if let Some((_, letter)) = BASE.iter().find(|b| b.0.as_bytes() == name) {
            return Found::Base(*letter);
        }
        let implied = self.implied();
        if let Some(e) = implied
            && let Some(o) = e.options.iter().find(|o| o.name.as_bytes() == name)
        {
            return Found::Load(e, o);
        }
        let mut found = Found::Nothing;
        let mut name_found = "";
        for (owner, u) in uses.iter().enumerate().rev() {
            for o in u.extension.options.iter().filter(|o| o.name.as_bytes().starts_with(name)) {
                match found {
                    Found::Option(_, x) if x.canonical != o.canonical => return Found::Ambiguous,
                    Found::Option(..) => {}
                    _ => (found, name_found) = (Found::Option(owner, o), o.canonical),
                }
            }
        }
        for (n, letter) in BASE.iter().filter(|b| b.0.as_bytes().starts_with(name)) {
            match found {
                Found::Nothing => (found, name_found) = (Found::Base(*letter), n),
                Found::Base(l) if l == *letter => {}
                _ => return Found::Ambiguous,
            }
        }
        if !name_found.is_empty() {
            return found;
        }
        let mut options = implied.into_iter().flat_map(|e| e.options.iter().map(move |o| (e, o)));
        match options.find(|(_, o)| o.name.as_bytes().starts_with(name)) {
            Some((e, o)) => Found::Load(e, o),
            None => Found::Nothing,
        }
    }

    // The match that `-p` brings along, if it is not loaded yet.
    fn implied(&self) -> Option<&'static Extension> {
        let proto = self.out.spec.proto.filter(|p| !p.negated)?;
        let name: &[u8] = match super::values::protocol(self.words.text(proto.value))? {
            1 => b"icmp",
            6 => b"tcp",
            17 => b"udp",
            33 => b"dccp",
            50 => b"esp",
            51 => b"ah",
            58 => b"icmp6",
            108 => b"ipcomp",
            132 => b"sctp",
            135 => b"mh",
            136 => b"udplite",
            _ => return None,
        };
        let e = extensions::find_match(name, self.v6)?;
        (!self.out.spec.uses.iter().any(|u| std::ptr::eq(u.extension, e))).then_some(e)
    }

    fn test(&mut self, i: usize, owner: usize, option: &'static Opt, attached: Option<usize>) -> Parsed<()> {
        let not = self.not.take();
        if let Some(not) = not
            && !option.negatable
        {
            return Err(Problem::at(
                self.words,
                not,
                format!("`!` cannot stand before `{}`", self.words.shown(i)),
            ));
        }
        let mut args = [0; 2];
        let mut count = 0;
        let mut negated = not.is_some();
        if option.optional {
            if attached.is_some() || self.more() {
                args[0] = self.value(i, attached)?;
                count = 1;
            }
        } else {
            if option.args == 0 && attached.is_some() {
                return Err(Problem::at(self.words, i, format!("`--{}` takes no argument", option.name)));
            }
            let mut attached = attached;
            while count < option.args.into() {
                args[count] = if count == 0 && option.negatable {
                    let (value, inner) = self.negated_value(i, attached.take(), negated)?;
                    negated |= inner;
                    value
                } else {
                    self.value(i, attached.take())?
                };
                count += 1;
            }
        }
        self.out.spec.tests.push(Test { option, negated, word: i, args, count, owner });
        Ok(())
    }
}

enum Found {
    Base(u8),
    Option(usize, &'static Opt),
    Load(&'static Extension, &'static Opt),
    Ambiguous,
    Nothing,
}

/// The name that a misspelt one most likely means.
pub(super) fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|n| (strsim::damerau_levenshtein(wrong, n), n))
        .filter(|(d, n)| *d <= 2 && *d < n.len())
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| n)
}
