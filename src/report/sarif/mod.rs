//! SARIF 2.1.0 for GitHub code scanning (OASIS standard; GitHub's "SARIF support for code scanning").
//!
//! Waived findings are results with a suppression that carries the reason. They come last and are the first to go where code scanning takes
//! no more. GitHub itself lists suppressed results among the open alerts; its action `advanced-security/dismiss-alerts` closes them.

mod rules;

use super::line_hash::line_hashes;
use super::places::Sources;
use super::text::{clean, count, thousands};
use super::{INPUT_RULE, Style, UNREAD, json, uri, waived_by};
use crate::finding::{Finding, Fix, Lines, Problem, Related, Report, Waived};
use crate::source::{Location, Severity};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_sarif::sarif;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Where the schema really is; the crate's own constant points at a host that is gone.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Results that GitHub takes in one run.
pub const MAX_RESULTS: usize = 25_000;
/// Bytes of results as JSON that stay below GitHub's 10 MB when gzipped: such text shrinks to less than an eighth.
const MAX_BYTES: usize = 64 << 20;
/// Locations that GitHub takes in one result.
const MAX_LOCATIONS: usize = 1_000;
/// Notifications in a run; GitHub shows a handful.
const MAX_NOTIFICATIONS: usize = 1_000;
/// Id of the result that says that others were left out.
const CUT_RULE: &str = "HL-REPORT-CUT";

/// Writes the report.
pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    write_limited(report, style, [MAX_RESULTS, 0], out)
}

/// Writes a report of which the least alerts, so many, are left out already.
pub fn write_shortened(report: &Report, style: &Style, more: usize, out: &mut dyn Write) -> io::Result<()> {
    write_limited(report, style, [MAX_RESULTS, more], out)
}

fn write_limited(
    report: &Report,
    style: &Style,
    [most, more]: [usize; 2],
    out: &mut dyn Write,
) -> io::Result<()> {
    let log = Log::new(report, style);
    let alerts = log.alerts();
    let (results, left_out) = log.results(&alerts, [most, more])?;
    let run = sarif::Run::builder()
        .tool(sarif::Tool::builder().driver(log.driver.clone()).build())
        .results(results)
        .invocations(vec![log.invocation([left_out, alerts.len() + more])])
        .automation_details(sarif::RunAutomationDetails::builder().id(category(&style.category)).build())
        .column_kind("utf16CodeUnits")
        .build();
    let document = sarif::Sarif::builder().schema(SCHEMA).version("2.1.0").runs(vec![run]).build();
    json::write_document(&document, out)
}

/// The trailing slash says that all before it is the category, with no run id after it.
fn category(name: &str) -> String {
    let parts: Vec<_> = name.split('/').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "havenlint/".to_owned() } else { format!("havenlint/{}/", clean(&parts.join("/"))) }
}

/// One alert: findings of one rule on one line, which code scanning would show as one anyway, and drop the text of the others.
struct Alert<'a> {
    rule: &'a str,
    level: Severity,
    at: &'a Location,
    findings: Vec<&'a Finding>,
    problem: Option<&'a Problem>,
    waived: Option<&'a Waived>,
}

struct Log<'a> {
    report: &'a Report,
    style: &'a Style,
    sources: Sources<'a>,
    index: FxHashMap<String, usize>,
    driver: sarif::ToolComponent,
}

impl<'a> Log<'a> {
    fn new(report: &'a Report, style: &'a Style) -> Self {
        let (driver, index) = rules::driver(report);
        Self { report, style, sources: Sources::of(report), index, driver }
    }

    /// All alerts, the worst first.
    fn alerts(&self) -> Vec<Alert<'a>> {
        let mut alerts: Vec<Alert<'a>> = vec![];
        let mut index: FxHashMap<(&str, &str, u32), usize> = FxHashMap::default();
        for f in &self.report.findings {
            let key = (f.rule.as_str(), f.location.path.as_str(), f.location.line);
            let i = *index.entry(key).or_insert(alerts.len());
            match alerts.get_mut(i) {
                Some(a) => {
                    a.level = a.level.max(f.level);
                    a.findings.push(f);
                }
                None => alerts.push(Alert {
                    rule: &f.rule,
                    level: f.level,
                    at: &f.location,
                    findings: vec![f],
                    problem: None,
                    waived: None,
                }),
            }
        }
        alerts.extend(self.report.problems.iter().map(|p| Alert {
            rule: INPUT_RULE,
            level: p.level,
            at: &p.location,
            findings: vec![],
            problem: Some(p),
            waived: None,
        }));
        alerts.sort_by_key(|a| std::cmp::Reverse(a.level));
        alerts.extend(self.report.waived.iter().map(|w| Alert {
            rule: &w.finding.rule,
            level: w.finding.level,
            at: &w.finding.location,
            findings: vec![&w.finding],
            problem: None,
            waived: Some(w),
        }));
        alerts
    }

    /// The results, and how many alerts were left out for GitHub's limits.
    fn results(
        &self,
        alerts: &[Alert<'a>],
        [most, more]: [usize; 2],
    ) -> io::Result<(Vec<sarif::Result>, usize)> {
        let hashes = self.hashes(alerts);
        let mut results = vec![];
        let mut bytes = 0;
        for a in alerts {
            let result = self.result(a, &hashes);
            bytes += serde_json::to_vec(&result).map_err(io::Error::from)?.len();
            // One place is kept for the result that tells of the rest.
            if bytes > MAX_BYTES || results.len() + 1 >= most && alerts.len() + more > most {
                break;
            }
            results.push(result);
        }
        let left_out = alerts.len() + more - results.len();
        if let Some(next) = alerts.get(results.len()) {
            let text = format!(
                "{left_out} more alerts are not shown: code scanning accepts only so many in one run, so the worst are listed. \
                 `havenlint check --format concise` lists all."
            );
            results.push(
                sarif::Result::builder()
                    .rule_id(CUT_RULE)
                    .rule_index(self.rule_index(CUT_RULE))
                    .level(sarif::ResultLevel::Warning)
                    .message(message(&text))
                    .locations(vec![self.location(next.at)])
                    .partial_fingerprints(self.fingerprints(next, &hashes))
                    .build(),
            );
        }
        Ok((results, left_out))
    }

    fn result(&self, a: &Alert<'a>, hashes: &Hashes<'a>) -> sarif::Result {
        let mut text = String::new();
        let mut related = vec![];
        let mut flows = vec![];
        let mut fixes = vec![];
        for f in &a.findings {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&self.text(f, &mut related));
            flows.extend(self.code_flow(f));
            fixes.extend(f.fix.as_ref().filter(|fix| !fix.elsewhere).map(|fix| self.fix(fix)));
        }
        if let Some(p) = a.problem {
            text = [sentence(&capital(&p.message)), sentence(&capital(&p.help))].join(" ").trim().to_owned();
        }
        let mut result = sarif::Result::builder()
            .rule_id(clean(a.rule))
            .rule_index(self.rule_index(a.rule))
            .level(level(a.level))
            .message(message(&text))
            .locations(vec![self.location(a.at)])
            .partial_fingerprints(self.fingerprints(a, hashes))
            .build();
        result.related_locations = Some(related).filter(|r| !r.is_empty());
        result.code_flows = Some(flows).filter(|f| !f.is_empty());
        result.fixes = Some(fixes).filter(|f| !f.is_empty());
        result.suppressions = a.waived.map(|w| vec![suppression(w)]);
        result
    }

    /// What a finding says: its title, then its details, then the other places as links.
    fn text(&self, f: &Finding, related: &mut Vec<sarif::Location>) -> String {
        let mut lines =
            vec![[sentence(&f.message), sentence(&capital(&f.label))].join(" ").trim().to_owned()];
        if let Some(w) = &f.witness {
            lines.push(format!("Witness: {}.", unlinked(&w.to_string())));
        }
        for (word, detail) in &f.details {
            lines.push(sentence(&format!("{}: {detail}", capital(word))));
        }
        for r in &f.related {
            if r.location.path.is_empty() || related.len() >= MAX_LOCATIONS {
                continue;
            }
            let id = related.len() as i64 + 1;
            let mut location = self.location(&r.location);
            location.id = Some(id);
            location.message = Some(message(&unlinked(&clean(&r.message))));
            related.push(location);
            lines.push(format!("See [line {}]({id}): {}", r.location.line, sentence(&r.message)));
        }
        if let Some(fix) = &f.fix {
            let end = if fix.text.is_empty() { '.' } else { ':' };
            lines.push(format!("To fix it, {}{end}", unlinked(&clean(&fix.description))));
            lines.extend(fix.text.lines().map(|l| unlinked(&clean(l))));
        }
        lines.join("\n")
    }

    /// The packet's way through chains.
    fn code_flow(&self, f: &Finding) -> Option<sarif::CodeFlow> {
        let step = |r: &Related| {
            let mut location = self.location(&r.location);
            location.message = Some(message(&unlinked(&clean(&r.message))));
            sarif::ThreadFlowLocation::builder().location(location).build()
        };
        let steps: Vec<_> =
            f.path.iter().filter(|r| !r.location.path.is_empty()).take(MAX_LOCATIONS).map(step).collect();
        if steps.is_empty() {
            return None;
        }
        let flow = sarif::ThreadFlow::builder().locations(steps).build();
        Some(sarif::CodeFlow::builder().thread_flows(vec![flow]).build())
    }

    /// An edit, as SARIF wants it: regions that are replaced by their new lines. What is inserted replaces an empty region, what is taken
    /// away is replaced by nothing.
    fn fix(&self, fix: &Fix) -> sarif::Fix {
        let takes_place = |l: &Lines| !fix.text.is_empty() && l.from_line == fix.after_line + 1;
        let mut replacements = Vec::new();
        if !fix.text.is_empty() && !fix.delete.iter().any(takes_place) {
            replacements.push(self.replacement(fix, None, Some(&fix.text)));
        }
        replacements.extend(fix.delete.iter().map(|l| {
            let text = takes_place(l).then_some(fix.text.as_str());
            self.replacement(fix, Some(*l), text)
        }));
        let change = sarif::ArtifactChange::builder()
            .artifact_location(self.artifact(&fix.path))
            .replacements(replacements)
            .build();
        sarif::Fix::builder()
            .description(message(&unlinked(&capital(&fix.description))))
            .artifact_changes(vec![change])
            .build()
    }

    // Lines that go (none: before those that follow `after_line`), and the text that comes there.
    fn replacement(&self, fix: &Fix, goes: Option<Lines>, text: Option<&str>) -> sarif::Replacement {
        let start = goes.map_or(fix.after_line + 1, |l| l.from_line);
        let past = goes.map_or(start, |l| l.to_line + 1);
        let mut from = (start, 1);
        let mut to = (past, 1);
        let mut text = text.map(|t| format!("{t}\n"));
        let at = Location { line: start, ..Location::top(&fix.path) };
        if let Some(file) = self.sources.file(&at) {
            let lines = file.line_count() as u32;
            let end = |line: u32| {
                let whole =
                    Location { line, end_line: line, end_column: u32::MAX, ..Location::top(&fix.path) };
                (line, self.sources.region(&whole).end_column)
            };
            if past > lines {
                // The last line ends without a line feed: that of the line before belongs to what goes, or to what comes.
                to = end(lines);
                from = if goes.is_none() {
                    to
                } else if start > 1 {
                    end(start - 1)
                } else {
                    from
                };
                text = text.map(|t| {
                    format!("{}{}", if from.0 < start { "\n" } else { "" }, t.trim_end_matches('\n'))
                });
            }
        }
        let region = sarif::Region::builder()
            .start_line(i64::from(from.0))
            .start_column(i64::from(from.1))
            .end_line(i64::from(to.0))
            .end_column(i64::from(to.1))
            .build();
        let replacement = sarif::Replacement::builder().deleted_region(region);
        match text {
            Some(t) => {
                replacement.inserted_content(sarif::ArtifactContent::builder().text(t).build()).build()
            }
            None => replacement.build(),
        }
    }

    fn artifact(&self, path: &str) -> sarif::ArtifactLocation {
        sarif::ArtifactLocation::builder().uri(uri::relative(path, self.style.root.as_deref())).build()
    }

    fn region(&self, at: &Location) -> sarif::Region {
        let r = self.sources.region(at);
        sarif::Region::builder()
            .start_line(r.line)
            .start_column(r.column)
            .end_line(r.line)
            .end_column(r.end_column)
            .build()
    }

    /// A place. A finding about nothing in a file stands at the top of the first input: each result needs a place inside the repository.
    fn location(&self, at: &Location) -> sarif::Location {
        let physical = sarif::PhysicalLocation::builder()
            .artifact_location(self.artifact(self.path(at)))
            .region(self.region(at))
            .build();
        sarif::Location::builder().physical_location(physical).build()
    }

    fn path(&self, at: &'a Location) -> &'a str {
        let first = self.report.inputs.first().map_or("havenlint.toml", |i| i.path.as_str());
        if at.path.is_empty() { first } else { &at.path }
    }

    fn rule_index(&self, rule: &str) -> i64 {
        self.index.get(rule).map_or(-1, |i| *i as i64)
    }

    /// Line hashes of all alerts' places: each file is read once.
    fn hashes(&self, alerts: &[Alert<'a>]) -> Hashes<'a> {
        let mut wanted: FxHashMap<&str, FxHashSet<u32>> = FxHashMap::default();
        for a in alerts {
            wanted.entry(&a.at.path).or_default().insert(a.at.line.max(1));
        }
        let file = |path: &str| self.report.sources.iter().find(|s| s.path == path);
        let hashes = |(path, lines): (&'a str, FxHashSet<u32>)| {
            Some((path, line_hashes(file(path)?.bytes(), |line| lines.contains(&line))))
        };
        wanted.into_iter().filter_map(hashes).collect()
    }

    fn fingerprints(&self, a: &Alert<'a>, hashes: &Hashes<'a>) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        if let Some(hash) = hashes.get(a.at.path.as_str()).and_then(|h| h.get(&a.at.line.max(1))) {
            out.insert("primaryLocationLineHash".to_owned(), hash.clone());
        }
        if let Some(f) = a.findings.first().filter(|f| !f.fingerprint.is_empty()) {
            out.insert("havenlintFinding/v1".to_owned(), f.fingerprint.clone());
        }
        out
    }

    /// How the run went. Not successful only if inputs have parse errors or cannot be read (exit status 2): GitHub then marks the analysis as failed.
    fn invocation(&self, [left_out, all]: [usize; 2]) -> sarif::Invocation {
        let mut notes = vec![];
        if left_out > 0 {
            let text = format!(
                "{left_out} of {all} alerts are left out: code scanning accepts only so many in one run."
            );
            notes.push(notification(Severity::Warning, &text, None));
        }
        for i in self.report.inputs.iter().filter(|i| i.ledger.not_understood > 0) {
            let lost = i.ledger.not_understood;
            let text = format!(
                "{}: {} of {} {} not understood; what depends on {} is undecided.",
                clean(&i.path),
                thousands(lost),
                count(i.rules as usize, "rule"),
                if lost == 1 { "was" } else { "were" },
                if lost == 1 { "it" } else { "them" }
            );
            notes.push(notification(Severity::Warning, &text, None));
        }
        for u in &self.report.unread {
            let text = sentence(&format!("{}: {UNREAD}: {}", u.path, u.reason));
            let text = [text, sentence(&capital(&u.help))].join(" ");
            let location = self.location(&Location::top(&u.path));
            notes.push(notification(Severity::Warning, text.trim(), Some(location)));
        }
        for p in &self.report.problems {
            let text = [sentence(&capital(&p.message)), sentence(&capital(&p.help))].join(" ");
            let location = (!p.location.path.is_empty()).then(|| self.location(&p.location));
            notes.push(notification(p.level, text.trim(), location));
        }
        let more = notes.len().saturating_sub(MAX_NOTIFICATIONS);
        if more > 0 {
            notes.truncate(MAX_NOTIFICATIONS);
            notes.push(notification(
                Severity::Warning,
                &format!("{more} more notifications are left out."),
                None,
            ));
        }
        let failed = self.report.problems.iter().any(|p| p.level == Severity::Error);
        let mut out = sarif::Invocation::builder().execution_successful(!failed).build();
        out.tool_execution_notifications = Some(notes).filter(|n| !n.is_empty());
        out
    }
}

/// Hash of each line that is asked for, by file.
type Hashes<'a> = FxHashMap<&'a str, FxHashMap<u32, String>>;

fn notification(l: Severity, text: &str, location: Option<sarif::Location>) -> sarif::Notification {
    let mut out = sarif::Notification::builder().level(l.name()).message(message(text)).build();
    out.locations = location.map(|l| vec![l]);
    out
}

const fn level(level: Severity) -> sarif::ResultLevel {
    match level {
        Severity::Error => sarif::ResultLevel::Error,
        Severity::Warning => sarif::ResultLevel::Warning,
        Severity::Note => sarif::ResultLevel::Note,
    }
}

fn message(text: &str) -> sarif::Message {
    sarif::Message::builder().text(text).build()
}

/// A text as a sentence, safe to show; empty stays empty.
fn sentence(text: &str) -> String {
    let text = unlinked(clean(text).trim());
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text } else { text + "." }
}

/// Keeps what looks like a link in a file's text from becoming one (SARIF 3.11.6). A blank parts its brackets: viewers differ in what a
/// backslash before a bracket means to them, above all after another backslash.
fn unlinked(text: &str) -> String {
    text.replace("](", "] (")
}

/// A waiver as somebody decided it, with the reason.
fn suppression(w: &Waived) -> sarif::Suppression {
    sarif::Suppression::builder()
        .kind("external")
        .status("accepted")
        .justification(unlinked(&clean(&waived_by(w))))
        .build()
}

fn capital(text: &str) -> String {
    let text = clean(text);
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}
