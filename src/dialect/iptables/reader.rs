//! A restore file, line by line: tables, chains, commands.

use super::context::Context;
use super::family;
use super::lexer::{Line, Lines, MAX_CHAIN_NAME, MAX_LINE, MAX_WORDS, is_blank};
use super::section::Section;
use super::syntax::{self, Parsed, Problem, Verb};
use super::tables::TABLES;
use crate::model::{Builder, Firewall};
use crate::source::encoding::BOM;
use crate::source::{Diagnostic, Origin, Severity};
use memchr::memmem;

/// At most this many diagnostics of one file are kept: a binary file is wrong on every line.
const MAX_DIAGNOSTICS: usize = 200;

/// Reads a file into the context's builder.
pub(super) fn read(c: Context<'_>, dialect: &'static str) -> Firewall {
    let bytes = c.words.bytes();
    let mut reader = Reader {
        c,
        dialect,
        section: None,
        shadowed: shadowed(bytes),
        aside: None,
        carriage_returns: false,
        suppressed: 0,
        tables: 0,
        inner_not: inner_not(bytes),
    };
    let mut lines = Lines::new(bytes);
    if bytes.starts_with(BOM) {
        let help = "iptables-restore refuses it: save the file without; it is read here as if it had none";
        reader.error(0, BOM.len(), "the file begins with a byte order mark", help);
        lines = lines.from(BOM.len());
    }
    for line in lines {
        reader.line(line);
    }
    reader.end(bytes.len());
    reader.c.b.finish()
}

struct Reader<'f> {
    c: Context<'f>,
    dialect: &'static str,
    section: Option<Section>,
    /// Offsets of `*table` lines whose table is given again further down, with the line that does so.
    shadowed: Vec<(usize, usize)>,
    /// The real builder while a table is read that does not count.
    aside: Option<Builder>,
    carriage_returns: bool,
    suppressed: usize,
    tables: usize,
    /// How bad a `!` behind its option is: nothing to a program as old as the one that wrote the dump.
    inner_not: Option<Severity>,
}

// Tables that a later one of the same name replaces: place of the line, place of the later line.
fn shadowed(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = memmem::find_iter(bytes, b"\n*").map(|i| i + 1).collect();
    if bytes.first() == Some(&b'*') {
        starts.insert(0, 0);
    }
    let name = |at: usize| {
        let rest = &bytes[at + 1..];
        &rest[..rest.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(rest.len())]
    };
    let mut last: rustc_hash::FxHashMap<&[u8], usize> = Default::default();
    let mut out = Vec::new();
    for at in starts.into_iter().rev() {
        match last.get(name(at)) {
            Some(later) => out.push((at, *later)),
            None => {
                last.insert(name(at), at);
            }
        }
    }
    out.reverse();
    out
}

impl<'f> Reader<'f> {
    fn bytes(&self) -> &'f [u8] {
        self.c.words.bytes()
    }

    fn origin(&self, start: usize, end: usize) -> Origin {
        Origin::new(0, start, end)
    }

    fn diagnose(&mut self, d: Diagnostic) {
        if self.c.b.firewall().diagnostics.len() < MAX_DIAGNOSTICS {
            self.c.b.diagnose(d);
        } else {
            self.suppressed += 1;
        }
    }

    fn error(&mut self, start: usize, end: usize, message: impl Into<String>, help: impl Into<String>) {
        let d = Diagnostic::error(self.origin(start, end), message).help(help);
        self.diagnose(d);
    }

    fn problem(&mut self, p: &Problem) {
        self.error(p.start as usize, p.end as usize, p.message.clone(), p.help.clone());
    }

    #[inline]
    fn line(&mut self, line: Line) {
        let bytes = self.bytes();
        if line.next - line.end == 2 && !self.carriage_returns {
            self.carriage_returns = true;
            self.error(
                line.end,
                line.end + 1,
                "the lines end with carriage return and line feed, which iptables-restore refuses",
                "convert the file, for example with `sed -i 's/\\r$//'`; it is read here as if it were converted",
            );
        }
        if line.start == line.end {
            return;
        }
        if line.next - line.start > MAX_LINE {
            self.too_long(line);
            return;
        }
        match bytes[line.start] {
            b'#' => self.comment(line),
            b'*' => self.table(line),
            b':' => self.chain(line),
            b'C' if &bytes[line.start..line.end] == b"COMMIT" => self.commit(line),
            _ => self.command(line),
        }
    }

    fn too_long(&mut self, line: Line) {
        let message = format!(
            "the line is {} bytes long; iptables-restore reads at most {MAX_LINE}",
            line.next - line.start
        );
        self.error(line.start, line.start + 80, message, "split the rule, or use an ipset");
        if self.bytes()[line.start] != b'#' {
            let origin = self.origin(line.start, line.end);
            self.unknown_everywhere(origin, "a line that is too long");
        }
    }

    // Something that cannot be attributed to a chain: it may concern each of the table.
    fn unknown_everywhere(&mut self, origin: Origin, text: &str) {
        if let Some(section) = &mut self.section {
            section.unknown_everywhere(&mut self.c, origin, text);
        }
    }

    fn comment(&mut self, line: Line) {
        let text = &self.bytes()[line.start..line.end];
        if memmem::find(text, b"tables present, use ").is_some() {
            let origin = self.origin(line.start, line.end);
            let other = String::from_utf8_lossy(text).trim_start_matches(['#', ' ']).to_owned();
            self.diagnose(
                Diagnostic::warning(
                    origin,
                    format!("another ruleset of the same box is not in this file ({other})"),
                )
                .help("both are enforced: dump the other one too"),
            );
            return;
        }
        if let Some(rest) = text.strip_prefix(b"# Table `")
            && memmem::find(rest, b"is incompatible").is_some()
        {
            self.incompatible(line, rest);
        }
    }

    // `iptables-save` could not show a table: it holds what only nft can express.
    fn incompatible(&mut self, line: Line, rest: &[u8]) {
        let name = &rest[..rest.iter().position(|b| *b == b'\'').unwrap_or(0)];
        let origin = self.origin(line.start, line.end);
        let shown = String::from_utf8_lossy(name).into_owned();
        self.diagnose(
            Diagnostic::error(origin, format!("table {shown} holds rules that iptables-save cannot show"))
                .help("dump it with `nft list ruleset`"),
        );
        if let Some(table) = TABLES.iter().find(|t| t.name.as_bytes() == name)
            && self.section.is_none()
        {
            let mut section = Section::open(&mut self.c, table, origin);
            section.unknown_everywhere(&mut self.c, origin, "rules that iptables-save cannot show");
            section.close(&mut self.c, true);
            self.tables += 1;
        }
    }

    fn table(&mut self, line: Line) {
        let bytes = self.bytes();
        if let Some(open) = self.section.take() {
            let message = format!("table {} has no COMMIT before the next table begins", open.table.name);
            self.error(line.start, line.end, message, "is the file truncated? iptables-restore refuses it");
            self.close(open, line.start, false);
        }
        let name_end = bytes[line.start..line.end]
            .iter()
            .position(|b| is_blank(*b))
            .map_or(line.end, |n| line.start + n);
        let name = &bytes[line.start + 1..name_end];
        let origin = self.origin(line.start, name_end);
        let Some(table) = TABLES.iter().find(|t| t.name.as_bytes() == name) else {
            let shown = String::from_utf8_lossy(name).into_owned();
            let near = syntax::nearest(&shown, TABLES.iter().map(|t| t.name));
            let help = match near {
                Some(n) => format!("did you mean `*{n}`?"),
                None => {
                    "the tables are filter, nat, mangle, raw and security; this one is left out".to_owned()
                }
            };
            self.error(line.start, name_end, format!("there is no table `{shown}`"), help);
            // Read aside, so that only what is wrong with it is seen.
            self.aside = Some(self.c.swap_builder(Builder::default()));
            self.section = Some(Section::open(&mut self.c, &TABLES[0], origin));
            return;
        };
        self.tables += 1;
        if let Some((_, later)) = self.shadowed.iter().find(|s| s.0 == line.start) {
            let later = *later;
            let number = memchr::memchr_iter(b'\n', &bytes[..later]).count() + 1;
            self.diagnose(
                Diagnostic::warning(origin, format!("table {} is given again on line {number}", table.name))
                    .help("iptables-restore keeps only the later one, and so does this reading"),
            );
            self.aside = Some(self.c.swap_builder(Builder::default()));
        }
        self.section = Some(Section::open(&mut self.c, table, origin));
    }

    fn commit(&mut self, line: Line) {
        match self.section.take() {
            Some(open) => self.close(open, line.start, true),
            None => self.error(
                line.start,
                line.end,
                "COMMIT without a table",
                "a table begins with `*filter` or the like",
            ),
        }
    }

    fn close(&mut self, mut open: Section, at: usize, committed: bool) {
        if !committed {
            let end = at.min(self.bytes().len());
            let origin = self.origin(end.saturating_sub(1), end);
            open.unknown_everywhere(&mut self.c, origin, "rules that are missing where the file breaks off");
        }
        open.close(&mut self.c, committed);
        if let Some(real) = self.aside.take() {
            let scratch = self.c.swap_builder(real).finish();
            for d in scratch.diagnostics.into_iter().filter(|d| d.severity == Severity::Error) {
                self.diagnose(d);
            }
        }
    }

    fn end(&mut self, length: usize) {
        if let Some(open) = self.section.take() {
            let at = length.saturating_sub(1);
            let message = format!("the file ends before the COMMIT of table {}", open.table.name);
            self.error(
                at,
                length,
                message,
                "the dump is truncated, and iptables-restore refuses it; rules may be missing, so nothing is certain behind the last one",
            );
            self.close(open, length, false);
        } else if self.tables == 0 {
            let message = format!("no table in this file: it is no {}-save dump", self.dialect);
            self.error(
                0,
                length.min(80),
                message,
                "a dump begins with `*filter` or the like and ends with COMMIT",
            );
        }
        if self.suppressed > 0 {
            let message = format!("{} more problems in this file are not shown", self.suppressed);
            let origin = self.origin(length, length);
            self.c.b.diagnose(Diagnostic::error(origin, message));
        }
    }

    fn chain(&mut self, line: Line) {
        let bytes = self.bytes();
        let mut fields = bytes[line.start + 1..line.end].split(|b| is_blank(*b)).filter(|f| !f.is_empty());
        let (name, policy) = (fields.next().unwrap_or_default(), fields.next());
        let end = bytes[line.start..line.end].trim_ascii_end().len() + line.start;
        if self.section.is_none() {
            self.error(
                line.start,
                end,
                "a chain outside of a table",
                "a table begins with `*filter` or the like",
            );
            return;
        }
        if name.is_empty() || name.len() > MAX_CHAIN_NAME {
            let message = format!("a chain's name has 1 to {MAX_CHAIN_NAME} bytes");
            self.error(line.start, end, message, "shorten it here and wherever it is used");
            if name.is_empty() {
                return;
            }
        }
        let Some(section) = self.section.as_mut() else { return };
        let origin = Origin::new(0, line.start, end);
        if let Err((message, help)) = section.declare(&mut self.c, name, policy, origin) {
            self.error(line.start, end, message, help);
        }
    }

    fn command(&mut self, line: Line) {
        let bytes = self.bytes();
        let mut start = line.start;
        if bytes[start] == b'[' {
            match counters(&bytes[start..line.end]) {
                Some(n) => start += n,
                None => {
                    self.error(start, line.end.min(start + 40), "counters are written `[PACKETS:BYTES]`", "");
                }
            }
        }
        if let Some(section) = &mut self.section
            && section.saved_rule(&mut self.c, start, line.end)
        {
            return;
        }
        if let Err(e) = self.c.words.split(start, line.end) {
            let message = format!("more than {MAX_WORDS} words in one line");
            self.error(e.0, line.end, message, "split the rule, or use an ipset");
            let origin = self.origin(line.start, line.end);
            self.unknown_everywhere(origin, "a line with too many words");
            return;
        }
        let count = self.c.words.len();
        if count == 0 {
            self.error(
                line.start,
                line.end,
                "a line of blanks, which iptables-restore refuses",
                "delete the blanks",
            );
            return;
        }
        let (from, to) = (self.c.words.word(0).start as usize, self.c.words.word(count - 1).end as usize);
        if let Some(quote) = self.c.words.open_quote {
            let origin = self.origin(quote, to);
            self.diagnose(
                Diagnostic::warning(origin, "the quote is not closed: the rest of the line belongs to it")
                    .help("close it with `\"`"),
            );
        }
        if self.section.is_none() {
            self.error(
                from,
                to,
                "a command outside of a table",
                "a table begins with `*filter` or the like, and COMMIT ends it",
            );
            return;
        }
        self.c.origin = Origin::new(0, from, to);
        if let Err(p) = self.run() {
            self.problem(&p);
        }
    }

    // The words are a command of the open table.
    fn run(&mut self) -> Parsed<()> {
        let Reader { c, section: Some(section), inner_not, .. } = self else {
            return Ok(());
        };
        let parsed = syntax::parse(&mut c.words, c.v6, &|n| section.find(n).is_some(), &mut c.command);
        if c.command.only_v6.is_some_and(|v6| v6 != c.v6) {
            return Ok(());
        }
        if let (Some(not), Some(severity)) = (c.command.inner_not, *inner_not) {
            let p = c.problem(not, "`!` stands behind its option");
            let help =
                "iptables-restore has refused this since 1.8.9: write `! -s 10.0.0.1`; it is read as that";
            let d = Diagnostic::error(Origin::new(0, p.start as usize, p.end as usize), p.message).help(help);
            c.b.diagnose(Diagnostic { severity, ..d });
        }
        let Some((verb, word)) = c.command.verb else {
            parsed?;
            section.unknown_everywhere_text(c);
            return Err(c.problem(0, "the line names no command").help("a rule begins with `-A CHAIN`"));
        };
        match verb {
            Verb::Append | Verb::Insert | Verb::Replace | Verb::Delete => section.rule(c, verb, parsed),
            _ => {
                if let Err(p) = parsed {
                    section.unknown_everywhere_text(c);
                    return Err(p);
                }
                section.manage(c, verb, word)
            }
        }
    }
}

// By the version of the program that wrote the dump, where it says so.
fn inner_not(bytes: &[u8]) -> Option<Severity> {
    let version = family::generators(bytes).next().and_then(|g| {
        let at = memmem::find(g, b" v")?;
        let text = std::str::from_utf8(g[at + 2..].split(|b| b.is_ascii_whitespace()).next()?).ok()?;
        let mut parts = text.split('.').map(|p| p.parse::<u32>().ok());
        Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
    });
    match version {
        Some(v) if v < (1, 8, 9) => None,
        Some(_) => Some(Severity::Error),
        None => Some(Severity::Warning),
    }
}

// Length of `[PACKETS:BYTES]`.
fn counters(text: &[u8]) -> Option<usize> {
    let close = memchr::memchr(b']', text)?;
    let colon = memchr::memchr(b':', &text[..close])?;
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    (digits(&text[1..colon]) && digits(&text[colon + 1..close])).then_some(close + 1)
}
