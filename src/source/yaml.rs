//! YAML (1.2) as the same tree as JSON, each value with its place.
//!
//! Plain scalars are null, truth values or numbers where JSON would write them alike, strings otherwise. A local tag is a function with
//! one argument, as CloudFormation has them: `!Ref x` is `{"Ref": "x"}`, `!Sub x` is `{"Fn::Sub": "x"}`. Aliases are replaced by what they
//! stand for, within bounds ([`MAX_ALIASED`]).

use super::json::{Build, Document, Problem, is_number};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// So many values may come from aliases, all together: a few lines can stand for billions.
pub const MAX_ALIASED: usize = 250_000;

/// Reads a text; each document of it is a value at the top.
pub fn parse(text: &[u8]) -> Document<'static> {
    let mut build = Build::default();
    let base = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let valid = match std::str::from_utf8(&text[base..]) {
        Ok(valid) => valid,
        Err(e) => {
            let at = base + e.valid_up_to();
            build.problem(Problem {
                message: "this byte is not UTF-8: what follows is not read".to_owned(),
                help: "save the file as UTF-8".to_owned(),
                span: at..at + 1,
            });
            // INVARIANT: everything before `valid_up_to` is valid.
            std::str::from_utf8(&text[base..at]).unwrap_or_default()
        }
    };
    let offsets = Offsets::of(valid, base);
    let (events, broken) = events(valid, &offsets, &mut build);
    let mut reader =
        Reader { build, anchors: anchors(&events), events: &events, text, active: Vec::new(), aliased: 0 };
    reader.run(0..events.len());
    if broken { reader.build.broken() } else { reader.build.finish() }
}

// Bytes at which characters stand: the parser counts characters.
struct Offsets {
    base: usize,
    // `None` = all characters are single bytes.
    of: Option<Vec<u32>>,
    end: usize,
}

impl Offsets {
    fn of(text: &str, base: usize) -> Self {
        let of = (!text.is_ascii()).then(|| text.char_indices().map(|(i, _)| i as u32).collect());
        Self { base, of, end: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        let at = match &self.of {
            None => character.min(self.end),
            Some(of) => of.get(character).map_or(self.end, |o| *o as usize),
        };
        self.base + at
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }
}

type Placed<'t> = (Event<'t>, Range<usize>);

// All events, and whether the text is broken behind them.
fn events<'t>(text: &'t str, offsets: &Offsets, build: &mut Build) -> (Vec<Placed<'t>>, bool) {
    let mut parser = Parser::new_from_str(text);
    let mut out = Vec::new();
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => out.push((event, offsets.range(span))),
            Err(e) => {
                let at = offsets.byte(e.marker().index());
                let line =
                    text[..(at - offsets.base).min(text.len())].rsplit('\n').next().unwrap_or_default();
                let behind = &text[(at - offsets.base).min(text.len())..];
                let tab = line.trim_start_matches([' ', '\t', '-']).is_empty()
                    && (line.contains('\t') || behind.trim_start_matches(' ').starts_with('\t'));
                build.problem(Problem {
                    message: format!("this is no YAML: {}; what follows is not read", e.info()),
                    help: if tab { "YAML indents with spaces, never with tabs" } else { "" }.to_owned(),
                    span: at..(at + 1).min(offsets.base + text.len()).max(at),
                });
                return (out, true);
            }
        }
    }
    (out, false)
}

// The events of each anchored value that is complete.
fn anchors(events: &[Placed<'_>]) -> HashMap<usize, Range<usize>> {
    let mut out = HashMap::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (i, (event, _)) in events.iter().enumerate() {
        match event {
            Event::Scalar(_, _, anchor, _) if *anchor > 0 => _ = out.insert(*anchor, i..i + 1),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => open.push((*anchor, i)),
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((anchor, start)) if anchor > 0 => _ = out.insert(anchor, start..i + 1),
                _ => {}
            },
            _ => {}
        }
    }
    out
}

struct Reader<'e, 't> {
    build: Build,
    events: &'e [Placed<'t>],
    anchors: HashMap<usize, Range<usize>>,
    text: &'e [u8],
    // Anchors whose values are being copied.
    active: Vec<usize>,
    aliased: usize,
}

// A container that is open.
struct Frame {
    // A mapping, and whether its next node is a key.
    key: Option<bool>,
    // It is the argument of a function, whose object ends with it.
    wrapped: bool,
    // It was too deep, and is left out.
    lost: bool,
    // The bracket that ends it, and where it begins; a block has none.
    bracket: Option<(u8, usize)>,
}

impl Reader<'_, '_> {
    fn run(&mut self, range: Range<usize>) {
        let events = self.events;
        let mut frames: Vec<Frame> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (event, place) = &events[at];
            let is_key = frames.last().is_some_and(|f| f.key == Some(true));
            let is_node = matches!(
                event,
                Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
            );
            if !self.active.is_empty() && is_node {
                self.aliased += 1;
            }
            if let Some(key) = frames.last_mut().and_then(|f| f.key.as_mut()).filter(|_| is_node) {
                *key = !*key;
            }
            if frames.last().is_some_and(|f| f.lost) && is_node {
                at = self.end_of(at);
                continue;
            }
            if is_key && is_node {
                self.key(at, place.clone());
                at = self.end_of(at);
                continue;
            }
            match event {
                Event::Scalar(text, style, _, tag) => {
                    self.scalar(text, *style, tag.as_deref(), place.clone())
                }
                Event::Alias(anchor) => self.alias(*anchor, place.clone()),
                Event::SequenceStart(_, tag) => frames.push(self.open(None, tag.as_deref(), place.clone())),
                Event::MappingStart(_, tag) => {
                    frames.push(self.open(Some(true), tag.as_deref(), place.clone()))
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(frame) = frames.pop() {
                        self.close(&frame);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    // Index after the node that begins at an event.
    fn end_of(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for (i, (event, _)) in self.events.iter().enumerate().skip(at) {
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return i + 1;
            }
        }
        self.events.len()
    }

    fn key(&mut self, at: usize, place: Range<usize>) {
        let target = match &self.events[at].0 {
            Event::Alias(anchor) => self.anchors.get(anchor).map_or(at, |r| r.start),
            _ => at,
        };
        if let Event::Scalar(text, ..) = &self.events[target].0 {
            return self.build.key(text, place);
        }
        self.build.problem(Problem {
            message: "a key is a list or a mapping: only strings are read as keys".to_owned(),
            help: String::new(),
            span: place.clone(),
        });
        self.build.key("?", place);
    }

    fn open(&mut self, key: Option<bool>, tag: Option<&Tag>, place: Range<usize>) -> Frame {
        let function = tag.and_then(function);
        // The place of the beginning reaches from a tag to what is in the brackets.
        let before = self.text.get(..place.end).unwrap_or_default();
        let blanks = before.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let at = (before.len() - blanks).saturating_sub(1);
        let bracket = match before.get(at) {
            Some(b'{') => Some((b'}', at)),
            Some(b'[') => Some((b']', at)),
            _ => None,
        };
        let place = bracket.map_or(place.start, |b| b.1)..place.end;
        let place = if function.is_some() { self.with_tag(place) } else { place };
        let mut lost = false;
        if let Some(name) = &function {
            lost |= self.build.object(place.clone()).is_err();
            if !lost {
                self.build.key(name, place.clone());
            }
        }
        if !lost {
            let opened = if key.is_some() {
                self.build.object(place.clone())
            } else {
                self.build.array(place.clone())
            };
            lost = opened.is_err();
            if lost && function.is_some() {
                self.build.close(0);
            }
        }
        if lost {
            self.build.plain("?", place.clone());
        }
        Frame { key, wrapped: function.is_some() && !lost, lost, bracket }
    }

    fn close(&mut self, frame: &Frame) {
        if frame.lost {
            return;
        }
        // A block has no bracket at its end: it ends with what is in it.
        let end = frame.bracket.and_then(|(bracket, start)| {
            let from = self.build.reach().max(start + 1).min(self.text.len());
            Some(from + memchr::memchr(bracket, &self.text[from..])? + 1)
        });
        let end = end.unwrap_or_default();
        self.build.close(end);
        if frame.wrapped {
            self.build.close(end);
        }
    }

    fn alias(&mut self, anchor: usize, place: Range<usize>) {
        let found = self.anchors.get(&anchor).cloned();
        let wrong = match &found {
            None => "this alias stands inside the value that it stands for",
            Some(_) if self.active.contains(&anchor) || self.active.len() >= 64 => {
                "this alias stands inside the value that it stands for"
            }
            Some(r) if self.aliased + r.len() > MAX_ALIASED => {
                "the aliases of this file stand for too much to be read"
            }
            Some(_) => "",
        };
        let Some(range) = found.filter(|_| wrong.is_empty()) else {
            self.build.problem(Problem {
                message: wrong.to_owned(),
                help: "write the value out, or have the tool that made the file do so".to_owned(),
                span: place.clone(),
            });
            return self.build.plain("*", place);
        };
        self.active.push(anchor);
        self.run(range);
        self.active.pop();
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Range<usize>) {
        if let Some(name) = tag.and_then(function) {
            let place = self.with_tag(place);
            if self.build.object(place.clone()).is_ok() {
                self.build.key(&name, place.clone());
                self.build.string(text, place.clone());
                self.build.close(place.end);
            }
            return;
        }
        let forced = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
        match plain(text).filter(|_| style == ScalarStyle::Plain && !forced) {
            Some(word) => self.build.plain(word, place),
            None => self.build.string(text, place),
        }
    }

    // A place that reaches back to the tag in front of it.
    fn with_tag(&self, place: Range<usize>) -> Range<usize> {
        let before = &self.text[..place.start.min(self.text.len())];
        let start = memchr::memrchr(b'!', &before[before.len().saturating_sub(80)..]);
        let base = before.len().saturating_sub(80);
        let on_this_line = |s: &usize| memchr::memchr(b'\n', &before[base + s..]).is_none();
        start.filter(on_this_line).map_or(place.clone(), |s| base + s..place.end)
    }
}

// What JSON writes for a plain scalar; `None` = it is a string.
fn plain(text: &str) -> Option<&str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some("null"),
        "true" | "True" | "TRUE" => Some("true"),
        "false" | "False" | "FALSE" => Some("false"),
        t => is_number(t).then_some(t),
    }
}

// The function that a local tag means.
fn function(tag: &Tag) -> Option<Cow<'static, str>> {
    if tag.handle != "!" {
        return None;
    }
    Some(match tag.suffix.as_str() {
        "Ref" => Cow::Borrowed("Ref"),
        "Condition" => Cow::Borrowed("Condition"),
        other => Cow::Owned(format!("Fn::{other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let d = parse(text.as_bytes());
        assert!(d.problems().is_empty(), "{text}: {:?}", d.problems());
        d.roots().map(|r| r.raw().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_are_those_of_json() {
        for (text, expected) in [
            ("a: 1\nb: [x, 'y', \"z\\n\"]\n", r#"{"a":1,"b":["x","y","z\n"]}"#),
            (
                "- ~\n- true\n- -1\n- 0x10\n- 010\n- 1.5\n- yes\n- ''\n",
                r#"[null,true,-1,"0x10","010",1.5,"yes",""]"#,
            ),
            (
                "- !Ref A\n- !Sub '${A}'\n- !Join ['', [a, !Ref B]]\n- !Foo {a: 1}\n",
                r#"[{"Ref":"A"},{"Fn::Sub":"${A}"},{"Fn::Join":["",["a",{"Ref":"B"}]]},{"Fn::Foo":{"a":1}}]"#,
            ),
            ("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n", r#"{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}"#),
            ("a: !!str 5\n", r#"{"a":"5"}"#),
            ("--- 1\n--- 2\n", "1 2"),
            ("a: |\n  one\n  two\n", r#"{"a":"one\ntwo\n"}"#),
            ("", ""),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "# é\nResources:\n  Web:\n    Cidr: !Ref Ä\n    List:\n    - {a: 22}\nEnd: x\n";
        let d = parse(text.as_bytes());
        let web = d.root().unwrap().get("Resources").unwrap().get("Web").unwrap();
        assert_eq!(&text[web.span()], "Cidr: !Ref Ä\n    List:\n    - {a: 22}");
        assert_eq!(&text[web.get("Cidr").unwrap().span()], "!Ref Ä");
        let item = web.get("List").unwrap().items().next().unwrap();
        assert_eq!((&text[item.span()], &text[item.get("a").unwrap().span()]), ("{a: 22}", "22"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, message, help, at) in [
            ("a:\n\tb: 1\n", "this is no YAML", "YAML indents with spaces, never with tabs", 3..5),
            ("a: [1, 2\nb: 3\n", "this is no YAML", "", 0..20),
            ("a: 1\na: 2\n", "the key \"a\" ", "readers differ", 5..6),
            ("? [a]\n: 1\n", "a key is a list or a mapping", "", 2..3),
            ("a: &x [*x]\n", "this alias stands inside", "write the value out", 7..9),
        ] {
            let d = parse(text.as_bytes());
            let p = d.problems().first().unwrap_or_else(|| panic!("{text}"));
            assert!(p.message.starts_with(message) && p.help.starts_with(help), "{text}: {p:?}");
            assert!(at.contains(&p.span.start), "{text}: {p:?}");
        }
        assert!(parse(b"a:\n  b: 1\n c: [").root().unwrap().is_cut());
    }

    #[test]
    fn aliases_are_bounded() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        (1..12)
            .for_each(|i| text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", ")));
        let d = parse(text.as_bytes());
        assert!(d.problems().iter().any(|p| p.message.contains("stand for too much")));
        assert!(parse("[".repeat(100_000).as_bytes()).roots().count() <= 1);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(text in "[-\\[\\]{}:,&*!|>'\"#?a1 \n\té%@~]{0,60}") {
            let d = parse(text.as_bytes());
            for r in d.roots() {
                let _ = (r.raw(), r.span(), r.members().count(), r.items().count());
            }
        }
    }
}
