//! Commands of `ipset restore`, one a line, in order. What `ipset save` prints is such a script.
//!
//! ipset stops at the first line that it cannot carry out, and what it did before stays. Run with `-exist` it goes on in some cases, but a
//! file does not say how it is run: whatever a line after a mistake concerns is not known.

use super::super::lexer::{Lines, Words};
use super::super::values;
use super::{ByName, Dimension, Part, Set, Traits, element};
use crate::packet::Family;
use crate::source::{Diagnostic, Origin};

// Each range is held against all elements: beyond so many that would be slow.
const MAX_RANGES: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Add,
    Delete,
    Destroy,
    Flush,
    Rename,
    Swap,
    /// Fails, and so ends the script, where the element is not in the set.
    Test,
    /// Shows, or ends a part of the script.
    Nothing,
    /// Nothing behind it is carried out.
    Quit,
}

fn verb(word: &[u8]) -> Option<Verb> {
    Some(match word {
        b"create" | b"-N" | b"--create" | b"n" => Verb::Create,
        b"add" | b"-A" | b"--add" | b"a" => Verb::Add,
        b"del" | b"-D" | b"--del" | b"d" => Verb::Delete,
        b"test" | b"-T" | b"--test" | b"t" => Verb::Test,
        b"destroy" | b"-X" | b"--destroy" | b"x" => Verb::Destroy,
        b"flush" | b"-F" | b"--flush" => Verb::Flush,
        b"rename" | b"-E" | b"--rename" | b"e" => Verb::Rename,
        b"swap" | b"-W" | b"--swap" | b"w" => Verb::Swap,
        b"list" | b"-L" | b"--list" | b"l" | b"save" | b"-S" | b"--save" | b"COMMIT" | b"version"
        | b"help" => Verb::Nothing,
        b"quit" => Verb::Quit,
        _ => return None,
    })
}

// Types, with the names that they had before ipset 5.
const TYPES: [(&str, &str); 25] = [
    ("bitmap:ip", ""),
    ("bitmap:ip,mac", ""),
    ("bitmap:port", ""),
    ("hash:ip", ""),
    ("hash:mac", ""),
    ("hash:ip,mac", ""),
    ("hash:ip,mark", ""),
    ("hash:ip,port", ""),
    ("hash:ip,port,ip", ""),
    ("hash:ip,port,net", ""),
    ("hash:net", ""),
    ("hash:net,net", ""),
    ("hash:net,port", ""),
    ("hash:net,port,net", ""),
    ("hash:net,iface", ""),
    ("list:set", ""),
    ("ipmap", "bitmap:ip"),
    ("macipmap", "bitmap:ip,mac"),
    ("portmap", "bitmap:port"),
    ("iphash", "hash:ip"),
    ("nethash", "hash:net"),
    ("ipporthash", "hash:ip,port"),
    ("ipportiphash", "hash:ip,port,ip"),
    ("ipportnethash", "hash:ip,port,net"),
    ("setlist", "list:set"),
];

fn type_of(word: &str) -> Option<&'static str> {
    TYPES.iter().find(|t| t.0 == word).map(|(name, now)| if now.is_empty() { *name } else { *now })
}

/// Whether a file is a script for `ipset restore`: its first command is one, and it makes a set.
pub(in super::super) fn is_script(content: &[u8]) -> bool {
    let head = &content[..content.len().min(64 * 1024)];
    let mut words = Words::new(head);
    let mut begins = false;
    for line in Lines::new(head).filter(|l| !skipped(&head[l.start..l.end])) {
        if words.split(line.start, line.end).is_err() {
            return false;
        }
        let Some(at) = (0..words.len()).find(|i| !is_switch(words.text(*i))) else { return false };
        let Some(verb) = verb(words.text(at)) else { return false };
        if verb == Verb::Create && at + 2 < words.len() {
            return (at + 1..words.len()).any(|i| type_like(words.text(i)));
        }
        // Rules of iptables begin with `-A` and the like too, but a set is made before it is filled.
        if !begins && !matches!(verb, Verb::Destroy | Verb::Flush | Verb::Nothing | Verb::Create) {
            return false;
        }
        begins = true;
    }
    false
}

fn type_like(word: &[u8]) -> bool {
    let known = [&b"hash:"[..], b"bitmap:", b"list:set"].iter().any(|k| word.starts_with(k));
    known || std::str::from_utf8(word).ok().is_some_and(|w| type_of(w).is_some())
}

fn skipped(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    text.is_empty() || text[0] == b'#'
}

// Options that may stand anywhere in a command.
fn is_switch(word: &[u8]) -> bool {
    is_exist(word)
        || matches!(word, b"-q" | b"-quiet" | b"--quiet" | b"-r" | b"-resolve" | b"-s" | b"-sorted")
}

fn is_exist(word: &[u8]) -> bool {
    matches!(word, b"-exist" | b"--exist" | b"-!")
}

/// Why a command fails: what is wrong, and what to do.
type Failure = (String, &'static str);

const SAVED: &str = "a line of `ipset save` is `create NAME TYPE …` or `add NAME ELEMENT …`";
const STOPS: &str = "ipset restore stops here, and the rest of the file is not loaded: mend the line";
const STOPPED: &str = "the file that makes the set has a mistake, at which ipset stops";
const TESTED: &str = "ipset stops at a test above that fails, and it may";

/// Carries out the commands of a file; the sets that are there at its end.
pub(super) fn run(index: usize, bytes: &[u8], problems: &mut Vec<Diagnostic>) -> ByName {
    let mut script = Script { sets: ByName::default(), stopped: None };
    let mut words = Words::new(bytes);
    for line in Lines::new(bytes).filter(|l| !skipped(&bytes[l.start..l.end])) {
        let split =
            words.split(line.start, line.end).map_err(|_| ("a line with too many words".to_owned(), STOPS));
        match split.and_then(|()| script.command(&words)) {
            Ok(true) => {}
            Ok(false) => break,
            Err((message, help)) => {
                if problems.len() < super::MAX_DIAGNOSTICS {
                    problems.push(
                        Diagnostic::error(Origin::new(index, line.start, line.end), message).help(help),
                    );
                }
                script.stopped = Some(STOPPED);
            }
        }
    }
    script.sets
}

struct Script {
    sets: ByName,
    // Why the commands from here on may not be carried out.
    stopped: Option<&'static str>,
}

impl Script {
    // Whether the script goes on.
    fn command(&mut self, words: &Words<'_>) -> Result<bool, Failure> {
        let exist = (0..words.len()).any(|i| is_exist(words.text(i)));
        let given: Vec<usize> = (0..words.len()).filter(|i| !is_switch(words.text(*i))).collect();
        let Some((first, rest)) = given.split_first() else { return Ok(true) };
        let Some(verb) = verb(words.text(*first)) else {
            self.sets.values_mut().for_each(|s| s.doubt("a command in the file is not understood"));
            return Err((format!("the command `{}` is not understood", words.shown(*first)), SAVED));
        };
        let text = |n: usize| rest.get(n).map(|i| words.shown(*i));
        if let Some(why) = self.stopped {
            self.concerned(verb, [text(0), text(1)], why);
            return Ok(true);
        }
        match (verb, text(0), text(1)) {
            (Verb::Nothing, ..) => {}
            (Verb::Test, ..) => self.stopped = Some(TESTED),
            (Verb::Quit, ..) => return Ok(false),
            (Verb::Create, Some(name), Some(kind)) => self.create(words, name, &kind, &rest[2..], exist)?,
            (Verb::Add, Some(name), Some(element)) => self.add(words, &name, &element, &rest[2..], exist)?,
            (Verb::Delete, Some(name), Some(element)) => self.delete(&name, &element, exist)?,
            (Verb::Flush, None, _) => self.sets.values_mut().for_each(|s| s.clear()),
            (Verb::Flush, Some(name), _) => self.set(&name)?.clear(),
            (Verb::Destroy, None, _) => match self.sets.values().any(|s| !s.members.is_empty()) {
                true => return Err(("sets that are in a list cannot be destroyed".to_owned(), STOPS)),
                false => self.sets.clear(),
            },
            (Verb::Destroy, Some(name), _) => self.destroy(&name, exist)?,
            (Verb::Rename, Some(from), Some(to)) => self.rename(&from, to)?,
            (Verb::Swap, Some(a), Some(b)) => self.swap(&a, &b)?,
            _ => return Err((format!("`{}` is not complete", words.shown(*first)), SAVED)),
        }
        Ok(true)
    }

    // What a command does that may be carried out or not: its sets are not known from here on.
    fn concerned(&mut self, verb: Verb, names: [Option<String>; 2], why: &'static str) {
        let [first, second] = names;
        let named = match verb {
            Verb::Nothing | Verb::Test | Verb::Quit => [None, None],
            Verb::Rename | Verb::Swap => [first, second],
            Verb::Flush | Verb::Destroy if first.is_none() => {
                return self.sets.values_mut().for_each(|s| s.doubt(why));
            }
            _ => [first, None],
        };
        for name in named.into_iter().flatten() {
            self.sets.entry(name).or_default().doubt(why);
        }
    }

    fn set(&mut self, name: &str) -> Result<&mut Set, Failure> {
        let set = self.sets.get_mut(name).map(|set| &mut **set);
        set.ok_or_else(|| (format!("the set {name} is not created above"), STOPS))
    }

    fn create(
        &mut self,
        words: &Words<'_>,
        name: String,
        kind: &str,
        options: &[usize],
        exist: bool,
    ) -> Result<(), Failure> {
        if self.sets.contains_key(&name) {
            return if exist { Ok(()) } else { Err((format!("the set {name} exists already"), STOPS)) };
        }
        let Some(known) = type_of(kind) else {
            return Err((format!("`{kind}` is no type of a set that havenlint knows"), STOPS));
        };
        let mut set = of_type(known);
        let mut at = options.iter();
        while let Some(i) = at.next() {
            let option = words.shown(*i);
            let option = option.trim_start_matches('-');
            let mut value = || at.next().map(|i| words.text(*i)).unwrap_or_default();
            match option {
                "family" => set.families(value()),
                "inet" | "ipv4" | "inet6" | "ipv6" | "4" | "6" => set.families(option.as_bytes()),
                "timeout" => {
                    set.grows = true;
                    set.timeout = values::number(value());
                }
                "netmask" => {
                    set.netmask = values::number(value()).and_then(|n| u8::try_from(n).ok());
                }
                "bitmask" | "markmask" => {
                    value();
                    set.doubt("sets with a bit mask are not modelled");
                }
                "hashsize" | "maxelem" | "bucketsize" | "initval" | "range" | "size" | "probes"
                | "resize" | "from" | "to" | "network" | "gc" => {
                    value();
                }
                "counters" | "comment" | "forceadd" | "skbinfo" => {}
                _ => return Err((format!("`{option}` is no option of a set that havenlint knows"), STOPS)),
            }
        }
        self.sets.insert(name, Box::new(set));
        Ok(())
    }

    fn add(
        &mut self,
        words: &Words<'_>,
        name: &str,
        text: &str,
        options: &[usize],
        exist: bool,
    ) -> Result<(), Failure> {
        if self.set(name)?.is_list() {
            return self.add_member(name, text, exist);
        }
        let set = self.set(name)?;
        let (wildcard, traits) = set.options(words, options)?;
        if set.unknown.is_some() {
            return Ok(());
        }
        let Some((elements, shape)) = element::read(text, set, wildcard) else {
            set.doubt("an element of the set was not understood");
            return Err((format!("`{text}` is no element of a set of type {}", set.kind), STOPS));
        };
        let passing = traits.passing || shape.passing;
        let traits = Traits { physdev: shape.physdev, passing, ..traits };
        for parts in elements {
            match (set.overlaps(&parts, &traits), exist) {
                (Some(true), false) => {
                    return Err((format!("{text} is in part in the set {name} already"), STOPS));
                }
                (Some(true) | None, _) if set.except => {
                    set.doubt("an element of the set is added again in part")
                }
                _ => {}
            }
            match set.find(&parts) {
                Some(at) if exist => set.replace(at, &parts, traits),
                Some(_) => return Err((format!("{text} is in the set {name} already"), STOPS)),
                None => set.insert(&parts, traits),
            }
        }
        Ok(())
    }

    fn add_member(&mut self, name: &str, member: &str, exist: bool) -> Result<(), Failure> {
        if self.set(member)?.is_list() {
            return Err((format!("{member} is a list itself"), STOPS));
        }
        let list = self.set(name)?;
        if list.members.iter().any(|m| m == member) {
            return if exist {
                Ok(())
            } else {
                Err((format!("{member} is in the list {name} already"), STOPS))
            };
        }
        list.members.push(member.to_owned());
        Ok(())
    }

    fn delete(&mut self, name: &str, text: &str, exist: bool) -> Result<(), Failure> {
        let set = self.set(name)?;
        let missing =
            || if exist { Ok(()) } else { Err((format!("{text} is not in the set {name}"), STOPS)) };
        if set.is_list() {
            let before = set.members.len();
            set.members.retain(|m| m != text);
            return if set.members.len() < before { Ok(()) } else { missing() };
        }
        if set.unknown.is_some() {
            return Ok(());
        }
        // With and without `wildcard`: an element is taken out by its name.
        let plain = element::read(text, set, false).map(|e| e.0);
        let wide = if set.dimensions.contains(&Dimension::Iface) {
            element::read(text, set, true).map(|e| e.0)
        } else {
            None
        };
        let (Some(elements), wide) = (plain, wide.unwrap_or_default()) else {
            set.doubt("an element of the set was not understood");
            return Err((format!("`{text}` is no element of a set of type {}", set.kind), STOPS));
        };
        for (n, parts) in elements.iter().enumerate() {
            match set.find(parts).or_else(|| wide.get(n).and_then(|w| set.find(w))) {
                Some(at) => {
                    set.traits[at].deleted = true;
                    if set.ranges > 0 && set.touches(parts) {
                        set.doubt("a part of an element is taken out of the set");
                    }
                }
                None if set.touches(parts) => {
                    // Part of an element: a range of addresses is many elements to ipset.
                    set.doubt("a part of an element is taken out of the set");
                }
                None => return missing(),
            }
        }
        Ok(())
    }

    fn destroy(&mut self, name: &str, exist: bool) -> Result<(), Failure> {
        if self.in_list(name) {
            return Err((format!("the set {name} is in a list and cannot be destroyed"), STOPS));
        }
        match self.sets.remove(name) {
            Some(_) => Ok(()),
            None if exist => Ok(()),
            None => Err((format!("the set {name} is not created above"), STOPS)),
        }
    }

    fn in_list(&self, name: &str) -> bool {
        self.sets.values().any(|s| s.members.iter().any(|m| m == name))
    }

    fn rename(&mut self, from: &str, to: String) -> Result<(), Failure> {
        if self.sets.contains_key(&to) {
            return Err((format!("the set {to} exists already"), STOPS));
        }
        if self.in_list(from) {
            return Err((format!("the set {from} is in a list and cannot be renamed"), STOPS));
        }
        match self.sets.remove(from) {
            Some(set) => {
                self.sets.insert(to, set);
                Ok(())
            }
            None => Err((format!("the set {from} is not created above"), STOPS)),
        }
    }

    // Whoever names one of them, rules and lists, has the other's contents from then on.
    fn swap(&mut self, a: &str, b: &str) -> Result<(), Failure> {
        let (first, second) = (self.set(a)?.what_it_is(), self.set(b)?.what_it_is());
        if first != second {
            return Err((format!("the sets {a} and {b} are of different types"), STOPS));
        }
        let Some(one) = self.sets.remove(a) else { return Ok(()) };
        if let Some(other) = self.sets.insert(b.to_owned(), one) {
            self.sets.insert(a.to_owned(), other);
        }
        Ok(())
    }
}

fn of_type(kind: &'static str) -> Set {
    let mut set = Set { kind, ..Set::default() };
    if set.is_list() {
        return set;
    }
    let (_, dimensions) = kind.split_once(':').unwrap_or_default();
    set.dimensions = dimensions
        .split(',')
        .map(|d| match d {
            "ip" => Dimension::Ip,
            "net" => Dimension::Net,
            "port" => Dimension::Port,
            "mac" => Dimension::Mac,
            "iface" => Dimension::Iface,
            _ => Dimension::Other,
        })
        .collect();
    if set.dimensions.contains(&Dimension::Other) {
        set.unknown = Some("sets of this type are not modelled");
    }
    if set.dimensions.iter().any(|d| matches!(d, Dimension::Ip | Dimension::Net)) {
        set.family = Some(Family::V4);
    }
    set
}

impl Set {
    fn what_it_is(&self) -> (&'static str, Option<Family>) {
        (self.kind, self.family)
    }

    fn families(&mut self, word: &[u8]) {
        match word {
            b"inet6" | b"ipv6" | b"6" if self.family.is_some() => self.family = Some(Family::V6),
            b"inet" | b"ipv4" | b"4" | b"inet6" | b"ipv6" | b"6" => {}
            _ => self.doubt("the family of the set is not understood"),
        }
    }

    // What stands behind an element.
    fn options(&mut self, words: &Words<'_>, options: &[usize]) -> Result<(bool, Traits), Failure> {
        let limited = self.timeout.is_some_and(|t| t > 0);
        let (mut wildcard, mut traits) = (false, Traits { passing: limited, ..Traits::default() });
        let mut at = options.iter();
        while let Some(i) = at.next() {
            let option = words.shown(*i);
            let option = option.trim_start_matches('-');
            let mut value = || at.next().map(|i| words.text(*i)).unwrap_or_default();
            match option {
                "timeout" => traits.passing = value() != b"0",
                "nomatch" if self.dimensions.contains(&Dimension::Net) => traits.nomatch = true,
                "wildcard" if self.dimensions.contains(&Dimension::Iface) => wildcard = true,
                "comment" | "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => {
                    value();
                }
                _ => {
                    self.doubt("an element of the set was not understood");
                    return Err((
                        format!("`{option}` is no option of an element of a set of type {}", self.kind),
                        STOPS,
                    ));
                }
            }
        }
        Ok((wildcard, traits))
    }

    // Whether some element other than these very parts has a packet in common with them, so that it matters. ipset keeps a range of addresses or
    // ports as many elements, so that only ranges can overlap; of very many ranges it is not asked (`None`).
    fn overlaps(&mut self, parts: &[Part], traits: &Traits) -> Option<bool> {
        let wide = |parts: &[Part]| {
            self.dimensions.iter().zip(parts).any(|(d, p)| match p {
                Part::Values(lo, hi) => *d == Dimension::Ip && lo != hi,
                Part::Port(_, range) => range.is_some_and(|(lo, hi)| lo != hi),
            })
        };
        let is_wide = wide(parts);
        self.except |= traits.nomatch;
        if self.netmask.is_some() || (!is_wide && self.ranges == 0) {
            return Some(false);
        }
        self.ranges = self.ranges.saturating_add(is_wide.into());
        (self.ranges <= MAX_RANGES).then(|| self.find(parts).is_none() && self.touches(parts))
    }

    // Whether some element has a packet in common with these parts. Networks are elements as wholes.
    fn touches(&self, parts: &[Part]) -> bool {
        let meet = |(dimension, (a, b)): (&Dimension, (&Part, &Part))| match (dimension, a, b) {
            (Dimension::Net, a, b) => a == b,
            (_, Part::Values(a, b), Part::Values(c, d)) => a <= d && c <= b,
            (_, Part::Port(p, Some(a)), Part::Port(q, Some(b))) => p == q && a.0 <= b.1 && b.0 <= a.1,
            (_, a, b) => a == b,
        };
        self.elements().any(|e| self.dimensions.iter().zip(e.parts.iter().zip(parts)).all(meet))
    }
}
