//! Waivers beside rules: `# havenlint: allow ID reason` on the line above, or `havenlint:allow=ID` in the comment or description of the very
//! rule that a finding is about. What stands elsewhere on its line belongs to a neighbour. `owner=NAME` behind the ID says who answers for it,
//! `expires=2027-03-31` until when it holds.

use crate::finding::Finding;
use crate::source::{Location, SourceFile};
use jiff::civil::Date;
use memchr::memmem;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// How every such waiver begins.
const MARK: &[u8] = b"havenlint:";
const IN_COMMENT: &str = "havenlint:allow=";
const OWNER: &str = "owner=";
const EXPIRES: &str = "expires=";

/// A rule that goes over more lines than this is not looked through for its comment.
const MAX_LINES: usize = 64;

/// A waiver beside a rule, for a finding that it names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Inline {
    /// Why, in its own words.
    pub reason: String,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// Its last day as it is written; may be empty.
    pub expires: String,
    /// The lines in which it stands, from 1, both included.
    pub lines: (u32, u32),
}

impl Inline {
    // From the words behind the ID.
    fn of<'w>(words: impl Iterator<Item = &'w str>, lines: (u32, u32)) -> Self {
        let mut it = Self { reason: String::new(), owner: String::new(), expires: String::new(), lines };
        let mut reason = Vec::new();
        for word in words {
            match (word.strip_prefix(OWNER), word.strip_prefix(EXPIRES)) {
                (Some(owner), _) => it.owner = owner.to_owned(),
                (_, Some(day)) => it.expires = day.to_owned(),
                _ => reason.push(word),
            }
        }
        it.reason = reason.join(" ");
        it
    }

    /// Its last day; `None` = no end.
    ///
    /// # Errors
    /// What is written is no day.
    pub fn last_day(&self) -> Result<Option<Date>, jiff::Error> {
        match self.expires.as_str() {
            "" => Ok(None),
            day => day.parse().map(Some),
        }
    }
}

/// A waiver as it is written, whatever it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The rule that it names, by its id where another name of it is written; empty = it names none.
    pub id: String,
    /// Where it stands.
    pub at: Location,
}

/// The files in which waivers stand beside rules: most have none, and then nothing of them is read.
pub struct Files<'a> {
    by_name: FxHashMap<&'a str, &'a Arc<SourceFile>>,
    // Other names of rules, each with the id that it stands for.
    aliases: &'a [(String, String)],
}

impl<'a> Files<'a> {
    /// Of all files of a run. `aliases`: other names of rules, each with the id that it stands for.
    pub fn of(sources: &'a [Arc<SourceFile>], aliases: &'a [(String, String)]) -> Self {
        let waives = |s: &&Arc<SourceFile>| memmem::find(s.bytes(), MARK).is_some();
        let by_name = sources.iter().filter(waives).map(|s| (s.path.as_str(), s)).collect();
        Self { by_name, aliases }
    }

    // The id of a rule that is written by any of its names.
    fn id<'w>(&self, name: &'w str) -> &'w str
    where
        'a: 'w,
    {
        self.aliases.iter().find(|(alias, _)| alias == name).map_or(name, |(_, id)| id.as_str())
    }

    /// The waiver that stands beside the rule that a finding is about, and names the finding's rule.
    pub fn beside(&self, f: &Finding) -> Option<Inline> {
        let lines = (f.location.line, f.location.end_line);
        let allowed = |comment: &str| allows(comment, |name| self.id(name) == f.rule, lines);
        if let Some(found) = f.location.rule.as_ref().and_then(|r| allowed(&r.description)) {
            return Some(found);
        }
        // Documents have no comments: what is text there is somebody's name, tag or value.
        let file = self.by_name.get(f.location.path.as_str()).filter(|s| !is_document(s.bytes()))?;
        let (own, behind) = own_text(f, file)?;
        let after = behind.split_once('#').map(|(_, comment)| comment);
        if let Some(found) = comments(&own).into_iter().chain(after).find_map(allowed) {
            return Some(found);
        }
        let above = f.location.line.checked_sub(1)?;
        let text = file.text(file.line_range((above as usize).checked_sub(1)?)).into_owned();
        let mut words = comment_line(&text)?.strip_prefix("allow")?.split_whitespace();
        (self.id(words.next()?) == f.rule).then(|| Inline::of(words, (above, above)))
    }

    /// Everything that is written as a waiver, in the order of files and places.
    pub fn written(&self) -> Vec<Written> {
        let mut files: Vec<&&Arc<SourceFile>> = self.by_name.values().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut all: Vec<Written> = files.into_iter().flat_map(|f| written(f)).collect();
        all.iter_mut().for_each(|w| w.id = self.id(&w.id).to_owned());
        all
    }
}

fn written(file: &Arc<SourceFile>) -> Vec<Written> {
    let bytes = file.bytes();
    let is_document = is_document(bytes);
    let mut out = Vec::new();
    for start in memmem::find_iter(bytes, MARK) {
        let line = file.line_range(file.line_of(start));
        let behind = start + MARK.len()..line.end;
        let rest = file.text(behind.start.min(line.end)..behind.end);
        // On a line of its own it is a comment about the next one.
        let above = !is_document && comment_line(&file.text(start..line.end)).is_some() && {
            let before = file.text(line.start..start);
            matches!(before.trim(), "#" | "//")
        };
        let id = match rest.strip_prefix("allow=") {
            Some(rest) => named(rest).to_owned(),
            None if above => {
                let allow = rest.trim_start().strip_prefix("allow");
                allow.and_then(|r| r.split_whitespace().next()).unwrap_or_default().to_owned()
            }
            None => continue,
        };
        let end = if above { line.end } else { start + IN_COMMENT.len() + id.len() };
        out.push(Written { id, at: file.locate(start, end) });
    }
    out
}

/// What is said to havenlint on a line that is a comment, or begins with what is said.
fn comment_line(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let text = text.strip_prefix('#').or_else(|| text.strip_prefix("//")).unwrap_or(text);
    Some(text.trim_start().strip_prefix("havenlint:")?.trim_start())
}

/// JSON and XML.
fn is_document(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b));
    matches!(first, Some(b'{' | b'[' | b'<'))
}

/// The ID that a text begins with.
fn named(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default()
}

/// The waiver of a rule in a comment.
fn allows(comment: &str, is: impl Fn(&str) -> bool, lines: (u32, u32)) -> Option<Inline> {
    let mut ids = comment.split(IN_COMMENT).skip(1);
    ids.find_map(|rest| {
        let words = || rest.split_whitespace().filter(|w| w.starts_with(OWNER) || w.starts_with(EXPIRES));
        is(named(rest)).then(|| Inline::of(words(), lines))
    })
}

/// The text of the place itself, and what stands behind it on its last line.
fn own_text(f: &Finding, file: &SourceFile) -> Option<(String, String)> {
    let (first, last) =
        (f.location.line.checked_sub(1)? as usize, f.location.end_line.checked_sub(1)? as usize);
    if last < first || last - first >= MAX_LINES {
        return None;
    }
    let columns = |n: u32| (n as usize).saturating_sub(1);
    let end: String = file.text(file.line_range(last)).into_owned();
    let behind = end.chars().skip(columns(f.location.end_column)).collect();
    let mut own = String::new();
    for line in first..=last {
        let text = file.text(file.line_range(line));
        let from = if line == first { columns(f.location.column) } else { 0 };
        let to = if line == last { columns(f.location.end_column) } else { usize::MAX };
        own.extend(text.chars().take(to).skip(from));
        own.push('\n');
    }
    Some((own, behind))
}

/// The comments in a rule: `comment "…"`, `--comment …`.
fn comments(rule: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = rule;
    while let Some(at) = rest.find("comment") {
        let word = rest[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == '-');
        rest = &rest[at + "comment".len()..];
        let text = rest.trim_start();
        // `-m comment` names the match; its text follows the option.
        if !word || text.len() == rest.len() || text.starts_with('-') {
            continue;
        }
        let (inside, read) = match text.strip_prefix(['"', '\'']) {
            Some(quoted) => {
                let inside = quoted.split(&text[..1]).next().unwrap_or_default();
                (inside, 1 + inside.len())
            }
            None => {
                let inside = text.split_whitespace().next().unwrap_or_default();
                (inside, inside.len())
            }
        };
        out.push(inside);
        // Words within a comment are no further ones.
        rest = &text[read..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Severity;

    fn waived(text: &str, place: &str, rule: &str) -> bool {
        let file = SourceFile::new("f", text);
        let start = text.find(place).unwrap();
        let location = file.locate(start, start + place.len());
        let finding = Finding::new(rule.to_owned(), Severity::Error, String::new(), location, "");
        Files::of(&[file], &[("HL-OLD".to_owned(), "HL-X".to_owned())]).beside(&finding).is_some()
    }

    #[test]
    fn a_waiver_counts_in_a_comment_of_its_own_rule_only() {
        for (text, place, expected) in [
            ("-A INPUT -m comment --comment \"x havenlint:allow=HL-X\" -j ACCEPT", "", true),
            ("-A INPUT -m comment --comment havenlint:allow=HL-X -j ACCEPT", "", true),
            ("-A INPUT -j LOG --log-prefix \"havenlint:allow=HL-X\"", "", false),
            ("-A INPUT -m set --match-set havenlint:allow=HL-X src -j ACCEPT", "", false),
            ("-A INPUT -m comment --comment \"havenlint:allow=HL-XY\" -j ACCEPT", "", false),
            ("drop comment \"havenlint:allow=HL-X\"; accept;", "accept", false),
            ("drop comment \"havenlint:allow=HL-X\"; accept;", "drop comment \"havenlint:allow=HL-X\"", true),
            ("accept # havenlint:allow=HL-X", "accept", true),
            ("accept # havenlint:allow=HL-OLD", "accept", true),
            ("# havenlint: allow HL-OLD because\naccept", "accept", true),
            ("# havenlint: allow HL-X because\naccept", "accept", true),
            ("  // havenlint: allow HL-X\naccept", "accept", true),
            ("# havenlint: allow HL-Y\naccept", "accept", false),
            ("# havenlint: allow HL-X\n\naccept", "accept", false),
            ("{\"a\": \"havenlint:allow=HL-X\"}", "", false),
        ] {
            let place = if place.is_empty() { text } else { place };
            assert_eq!(waived(text, place, "HL-X"), expected, "{text}");
        }
    }

    #[test]
    fn everything_that_is_written_as_a_waiver_is_found() {
        let found = |text: &str| -> Vec<(String, u32)> {
            let all = Files::of(&[SourceFile::new("f", text)], &[]).written();
            all.into_iter().map(|w| (w.id, w.at.line)).collect()
        };
        let one = |id: &str, line| vec![(id.to_owned(), line)];
        assert_eq!(found("x\n# havenlint: allow HL-X because\ny"), one("HL-X", 2));
        assert_eq!(found("  // havenlint: allow\ny"), one("", 1));
        assert_eq!(found("# havenlint: ignore HL-X\ny"), one("", 1));
        assert_eq!(found("accept comment \"a havenlint:allow=HL-X, b\""), one("HL-X", 1));
        assert_eq!(found("accept # havenlint:allow=HL-X"), one("HL-X", 1));
        assert_eq!(found("# see havenlint: the linter"), []);
        assert_eq!(found("{\"a\": \"havenlint:allow=HL-X\",\n\"b\": \"havenlint:allow=HL-Y\"}").len(), 2);
    }

    #[test]
    fn who_answers_and_until_when() {
        let file =
            SourceFile::new("f", "# havenlint: allow HL-X for owner=net the move expires=2027-03-31\naccept");
        let location = file.locate(file.line_range(1).start, file.line_range(1).end);
        let finding = Finding::new("HL-X", Severity::Error, String::new(), location, "");
        let it = Files::of(&[file], &[]).beside(&finding).unwrap();
        assert_eq!((&*it.reason, &*it.owner, &*it.expires), ("for the move", "net", "2027-03-31"));
        assert_eq!(it.last_day().unwrap(), Some(jiff::civil::date(2027, 3, 31)));
        assert!(Inline { expires: "soon".to_owned(), ..it }.last_day().is_err());
    }
}
