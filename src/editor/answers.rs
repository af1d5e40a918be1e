//! What a run found out, as an editor asks for it.

use super::places::{is_on, range, uri_of, whole};
use crate::compliance::row::flows;
use crate::evidence::scope::boxes;
use crate::finding::{Finding, Flow, Report, RuleDoc, Severity};
use crate::model::{Action, Firewall, Rule};
use crate::repair::repairs;
use crate::report::places::Sources;
use crate::report::text::{clean, count};
use crate::report::{INPUT_RULE, page_of};
use crate::session::Options;
use crate::source::Location;
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeDescription, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, Hover, HoverContents, MarkupContent, MarkupKind,
    NumberOrString, Position, Range, TextEdit, WorkspaceEdit,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Flows of a rule that are named.
const MAX_FLOWS: usize = 6;
/// Other places of a finding that are named.
const MAX_RELATED: usize = 6;

pub(super) struct Answers<'a> {
    report: &'a Report,
    firewalls: &'a [Firewall],
    sources: Sources<'a>,
    rules: FxHashMap<&'a str, &'a RuleDoc>,
}

/// What a repair that is asked for is about.
#[derive(Serialize, Deserialize)]
struct Wanted {
    rule: String,
    path: PathBuf,
}

impl<'a> Answers<'a> {
    pub fn new(report: &'a Report, firewalls: &'a [Firewall]) -> Self {
        let rules = report.rules.iter().map(|r| (r.id.as_str(), r)).collect();
        Self { report, firewalls, sources: Sources::of(report), rules }
    }

    /// All findings and parse errors by file.
    pub fn diagnostics(&self) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
        let mut out: BTreeMap<PathBuf, Vec<Diagnostic>> = BTreeMap::new();
        let mut known: FxHashMap<&str, PathBuf> = FxHashMap::default();
        let mut whole = |path: &'a str| -> PathBuf {
            known.entry(path).or_insert_with(|| whole(Path::new(path))).clone()
        };
        for p in self.report.problems.iter().filter(|p| !p.location.path.is_empty()) {
            let help = if p.help.is_empty() { String::new() } else { format!("\n{}", clean(&p.help)) };
            let message = format!("{}{help}", clean(&p.message));
            out.entry(whole(&p.location.path)).or_default().push(self.diagnostic(
                INPUT_RULE,
                p.level,
                message,
                &p.location,
            ));
        }
        for f in self.report.findings.iter().filter(|f| !f.location.path.is_empty()) {
            let mut message = clean(&f.message).into_owned();
            if let Some(w) = &f.witness {
                message += &format!("\nwitness: {}", clean(&w.to_string()));
            }
            let mut d = self.diagnostic(&f.rule, f.level, message, &f.location);
            let related = f.related.iter().filter(|r| !r.location.path.is_empty()).take(MAX_RELATED);
            let related: Vec<_> = related
                .filter_map(|r| {
                    let uri = uri_of(&whole(&r.location.path))?;
                    let location = lsp_types::Location { uri, range: range(&self.sources, &r.location) };
                    Some(DiagnosticRelatedInformation { location, message: clean(&r.message).into_owned() })
                })
                .collect();
            d.related_information = Some(related).filter(|r| !r.is_empty());
            out.entry(whole(&f.location.path)).or_default().push(d);
        }
        out
    }

    fn diagnostic(&self, rule: &str, level: Severity, message: String, at: &Location) -> Diagnostic {
        let page = page_of(self.rules.get(rule).copied());
        Diagnostic {
            range: range(&self.sources, at),
            severity: Some(match level {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
                Severity::Note => DiagnosticSeverity::INFORMATION,
            }),
            code: Some(NumberOrString::String(clean(rule).into_owned())),
            code_description: page
                .parse()
                .ok()
                .filter(|_| !page.is_empty())
                .map(|href| CodeDescription { href }),
            source: Some("havenlint".to_owned()),
            message,
            ..Diagnostic::default()
        }
    }

    /// What is known of a line: what its rule does, what was found there, and what the rules of these findings mean.
    pub fn hover(&self, path: &Path, at: Position) -> Option<Hover> {
        let mut parts: Vec<String> = self.effects(path, at.line);
        let mut told: Vec<&str> = Vec::new();
        for f in self.found(path, |l| is_on(l, at.line)) {
            let mut part = format!("**{}** `{}`: {}", f.level.name(), code(&f.rule), escape(&f.message));
            for (word, text) in &f.details {
                part += &format!("\n* {}: {}", escape(word), escape(text));
            }
            parts.push(part);
            if let Some(doc) = self.rules.get(f.rule.as_str()).filter(|d| !told.contains(&d.id.as_str())) {
                told.push(&doc.id);
                parts.push(doc.documentation.trim().to_owned());
            }
        }
        let value = parts.join("\n\n---\n\n");
        let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
        (!parts.is_empty()).then_some(Hover { contents, range: None })
    }

    fn found(&self, path: &Path, on: impl Fn(&Location) -> bool) -> Vec<&'a Finding> {
        let here = |f: &&Finding| on(&f.location) && whole(Path::new(&f.location.path)) == path;
        self.report.findings.iter().filter(here).collect()
    }

    /// What the rules of a line do, and to which packets.
    fn effects(&self, path: &Path, line: u32) -> Vec<String> {
        let mut out = Vec::new();
        for firewall in
            self.firewalls.iter().filter(|f| f.files.iter().any(|s| whole(Path::new(&s.path)) == path))
        {
            for rule in firewall.chains.iter().flat_map(|c| &c.rules) {
                let at = firewall.locate(rule.origin);
                if at.line == line + 1 && !at.text.is_empty() && whole(Path::new(&at.path)) == path {
                    let text = effect(firewall, rule);
                    if !out.contains(&text) {
                        out.push(text);
                    }
                }
            }
        }
        out
    }

    /// Repairs that may be proven, for findings of these lines: one for each rule.
    pub fn actions(&self, path: &Path, lines: Range) -> Vec<CodeActionOrCommand> {
        let on = |l: &Location| (lines.start.line..=lines.end.line).any(|line| is_on(l, line));
        let mut out: Vec<CodeActionOrCommand> = Vec::new();
        let mut told: Vec<&str> = Vec::new();
        for f in self.found(path, on) {
            let Some(fix) = f.fix.as_ref().filter(|x| !x.elsewhere) else { continue };
            if told.contains(&f.rule.as_str()) {
                continue;
            }
            told.push(&f.rule);
            let wanted = Wanted { rule: f.rule.to_string(), path: whole(Path::new(&fix.path)) };
            out.push(CodeActionOrCommand::CodeAction(CodeAction {
                title: format!("havenlint: repair {} in this file, if it can be proven", clean(&f.rule)),
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: Some(vec![self.diagnostic(
                    &f.rule,
                    f.level,
                    clean(&f.message).into_owned(),
                    &f.location,
                )]),
                data: serde_json::to_value(&wanted).ok(),
                ..CodeAction::default()
            }));
        }
        out
    }
}

/// The edit of an action: all repairs of its rule in its file that are proven. Without an edit where none is.
pub(super) fn resolve(mut action: CodeAction, options: &Options) -> CodeAction {
    let wanted = action.data.clone().and_then(|d| serde_json::from_value::<Wanted>(d).ok());
    let Some(wanted) = wanted else { return action };
    let options = Options { select: vec![wanted.rule.clone()], ..options.clone() };
    let Ok(found) = repairs(&options) else { return action };
    let file = found.files.iter().find(|f| whole(Path::new(&f.old.path)) == wanted.path);
    let Some((file, uri)) = file.zip(uri_of(&wanted.path)) else {
        action.title = format!("{}: it cannot be proven", action.title);
        return action;
    };
    let n = found.proven.iter().filter(|p| p.fix.path == file.old.path).count();
    action.title = format!("havenlint: {} of {}", count(n, "proven repair"), clean(&wanted.rule));
    // Uris are only compared, never changed, while they are keys.
    #[allow(clippy::mutable_key_type)]
    let changes = HashMap::from([(uri, edits(file.old.bytes(), &file.new))]);
    action.edit = Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() });
    action
}

/// From one text to another, by lines.
fn edits(old: &[u8], new: &[u8]) -> Vec<TextEdit> {
    let lines =
        |b: &[u8]| String::from_utf8_lossy(b).split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (lines(old), lines(new));
    let position = |line: usize| match a.last().filter(|l| line == a.len() && !l.ends_with('\n')) {
        // The last line does not end: its end is the end of the text.
        Some(last) => Position { line: line as u32 - 1, character: last.encode_utf16().count() as u32 },
        None => Position { line: line as u32, character: 0 },
    };
    capture_diff_slices(Algorithm::Myers, &a, &b)
        .iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }))
        .map(|op| TextEdit {
            range: Range { start: position(op.old_range().start), end: position(op.old_range().end) },
            new_text: b[op.new_range()].concat(),
        })
        .collect()
}

/// What a rule does, and to which packets, as far as it says itself.
fn effect(firewall: &Firewall, rule: &Rule) -> String {
    let does = match rule.action {
        Action::Accept => "accepts".to_owned(),
        Action::Drop => "drops".to_owned(),
        Action::Reject => "rejects".to_owned(),
        Action::Jump(c) | Action::Goto(c) => format!("sends to chain `{}`", code(&firewall.chain(c).name)),
        Action::Return => "returns".to_owned(),
        Action::Continue => "goes on with".to_owned(),
        Action::Translate(_) => "translates".to_owned(),
        Action::Unknown(c) => {
            format!("may accept or stop, which depends on `{}`:", code(&firewall.condition(c).text))
        }
    };
    let regions = boxes(firewall, rule);
    let flows = flows(regions.iter());
    // What a rule asks beside fields can only make it meet fewer packets.
    let more = firewall.terms(rule.terms).iter().any(|t| firewall.field_set(t).is_none());
    let mut out = format!("**{does}**{}", if more { ", at most, for it has other conditions:" } else { "" });
    for f in flows.iter().take(MAX_FLOWS) {
        out += &format!("\n* {}", escape(&words(f)));
    }
    if flows.len() > MAX_FLOWS {
        out += &format!("\n* and {}", count(flows.len() - MAX_FLOWS, "more flow"));
    }
    out
}

fn words(f: &Flow) -> String {
    let port = if f.port.is_empty() { String::new() } else { format!("/{}", f.port) };
    format!("{}{port} from {} to {}", f.proto, f.from.join(", "), f.to.join(", "))
}

/// A text between backticks.
fn code(text: &str) -> String {
    clean(text).replace('`', "'")
}

fn escape(text: &str) -> String {
    crate::report::markdown::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_lead_from_one_text_to_the_other() {
        let edit = |old: &str, new: &str| {
            let list = edits(old.as_bytes(), new.as_bytes());
            list.iter()
                .map(|e| (e.range.start.line, e.range.end.line, e.new_text.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(edit("a\nb\n", "a\nx\nb\n"), [(1, 1, "x\n".to_owned())]);
        assert_eq!(edit("a\nb\nc\n", "a\nc\n"), [(1, 2, String::new())]);
        assert_eq!(edit("a\nb", "a\nb\nc"), [(1, 1, "b\nc".to_owned())]);
        assert_eq!(edit("a\n", "a\n"), []);
    }
}
