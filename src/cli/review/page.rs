//! A review as a comment in Markdown.

use crate::cli::diff::{ChangeTold, PairTold};
use crate::finding::{Finding, Problem, Severity, UnreadFile, Waived};
use crate::report::markdown::escape;
use crate::report::text::count;
use crate::report::waived_by;
use crate::source::Text;
use serde::Serialize;
use std::fmt::Write as _;

/// Characters that a comment on GitHub may have are 65 536; what is beyond this is counted instead.
const MAX_LENGTH: usize = 56_000;
/// Rows of a table.
const MAX_ROWS: usize = 50;

/// What a change does.
#[derive(Debug, Serialize)]
pub struct Review {
    /// What it is for.
    pub base: String,
    /// The changed version.
    pub head: String,
    /// Findings that were not there, or not all of them.
    pub new: Vec<Finding>,
    /// Findings that are waived now and were not.
    pub waived: Vec<Waived>,
    /// What was found before and is gone, in words.
    pub fixed: Vec<String>,
    /// What is checked otherwise than before, in words.
    pub policy: Vec<String>,
    /// What of it may hide what the change breaks.
    pub weakened: Vec<String>,
    /// Somebody has agreed to that, and to what is newly waived.
    pub accepted: bool,
    /// The firewalls with what passes now and did not, and the other way round.
    pub pairs: Vec<PairTold>,
    /// What could not be read of the new version.
    pub problems: Vec<Problem>,
    /// Files of the new version that look like firewalls and were not read.
    pub unread: Vec<UnreadFile>,
    /// Links and submodules, which are not looked at.
    pub left_out: Vec<String>,
    /// Errors in the files of the old version.
    pub old_problems: usize,
}

impl Review {
    /// Something newly comes in, or may come in, from the Internet.
    pub fn exposes(&self) -> bool {
        self.changes_told().any(|(_, c)| c.exposure)
    }

    /// Something passes that did not, or the other way round, or may; or could not be compared; or is checked otherwise.
    pub fn changes(&self) -> bool {
        !self.policy.is_empty()
            || self.pairs.iter().any(|p| !p.changes.is_empty() || !p.not_compared.is_empty())
    }

    /// The new version has errors.
    pub fn cannot_be_read(&self) -> bool {
        self.problems.iter().any(|p| p.level == Severity::Error)
    }

    /// Calls files by their names in the repository.
    pub fn relative(&mut self, roots: &[String]) {
        let short = |text: &str| {
            let cut = roots.iter().any(|root| text.contains(root.as_str()));
            cut.then(|| roots.iter().fold(text.to_owned(), |text, root| text.replace(root.as_str(), "")))
        };
        let cut = |text: &mut String| {
            if let Some(short) = short(text) {
                *text = short;
            }
        };
        let cut_text = |text: &mut Text| {
            if let Some(short) = short(text) {
                *text = short.into();
            }
        };
        let finding = |f: &mut Finding| {
            [&mut f.message, &mut f.subject, &mut f.location.path, &mut f.label]
                .into_iter()
                .for_each(cut_text);
            f.related.iter_mut().chain(&mut f.path).for_each(|r| {
                cut_text(&mut r.location.path);
                cut_text(&mut r.message);
            });
            f.details.iter_mut().for_each(|(_, d)| cut(d));
            f.fix.iter_mut().for_each(|fix| cut_text(&mut fix.path));
        };
        self.new.iter_mut().for_each(finding);
        self.waived.iter_mut().map(|w| &mut w.finding).for_each(finding);
        self.fixed.iter_mut().chain(&mut self.policy).chain(&mut self.weakened).for_each(cut);
        for p in &mut self.problems {
            [&mut p.message, &mut p.help].into_iter().for_each(cut);
            cut_text(&mut p.location.path);
        }
        for u in &mut self.unread {
            [&mut u.path, &mut u.reason, &mut u.help].into_iter().for_each(cut);
        }
        for p in &mut self.pairs {
            p.old.iter_mut().chain(&mut p.new).for_each(cut);
            for side in p.changes.iter_mut().flat_map(|c| [&mut c.old, &mut c.new]) {
                side.decided_by.iter_mut().for_each(|by| cut_text(&mut by.location.path));
            }
            p.changes
                .iter_mut()
                .flat_map(|c| &mut c.because)
                .for_each(|r| cut_text(&mut r.reason.location.path));
        }
    }

    fn changes_told(&self) -> impl Iterator<Item = (&PairTold, &ChangeTold)> {
        self.pairs.iter().flat_map(|p| p.changes.iter().map(move |c| (p, c)))
    }

    /// The comment.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(page, "## havenlint: {}\n", escape(&self.verdict()));
        let _ = writeln!(page, "`{}` compared with `{}`.\n", code(&self.head), code(&self.base));
        self.problems(&mut page);
        let (exposures, others): (Vec<_>, Vec<_>) = self.changes_told().partition(|(_, c)| c.exposure);
        self.table("🔓 Newly gets in from the Internet", &exposures, false, &mut page);
        self.findings(&mut page);
        self.waivers(&mut page);
        self.policy(&mut page);
        if !self.fixed.is_empty() {
            let _ = writeln!(page, "### ✅ Fixed\n");
            for text in self.fixed.iter().take(MAX_ROWS) {
                let _ = writeln!(page, "* {}", escape(text));
            }
            more(self.fixed.len(), &mut page);
        }
        self.table("What else passes differently", &others, true, &mut page);
        self.not_compared(&mut page);
        page
    }

    fn verdict(&self) -> String {
        let exposures = self.changes_told().filter(|(_, c)| c.exposure).count();
        let errors = self.new.iter().filter(|f| f.level == Severity::Error).count();
        let mut parts = Vec::new();
        if self.cannot_be_read() {
            parts.push("files cannot be read".to_owned());
        }
        if exposures > 0 {
            parts.push(format!("{} newly in from the Internet", count(exposures, "flow")));
        }
        match (self.new.len(), errors) {
            (0, _) => parts.push("nothing newly broken".to_owned()),
            (n, 0) => parts.push(count(n, "new finding")),
            (n, e) => parts.push(format!("{} ({})", count(n, "new finding"), count(e, "error"))),
        }
        if !self.waived.is_empty() {
            parts.push(format!("{} newly waived", self.waived.len()));
        }
        match (self.policy.is_empty(), self.weakened.is_empty()) {
            (true, _) => {}
            (false, true) => parts.push("the policy changes".to_owned()),
            (false, false) => parts.push("less is checked".to_owned()),
        }
        if !self.fixed.is_empty() {
            parts.push(format!("{} fixed", self.fixed.len()));
        }
        parts.join(", ")
    }

    fn problems(&self, page: &mut String) {
        for p in self.problems.iter().filter(|p| p.level == Severity::Error).take(MAX_ROWS) {
            let l = &p.location;
            let _ =
                writeln!(page, "> [!CAUTION]\n> {}:{}: {}\n", escape(&l.path), l.line, escape(&p.message));
        }
        if self.old_problems > 0 {
            let text = count(self.old_problems, "error");
            let _ = writeln!(
                page,
                "> [!NOTE]\n> The old version has {text} in its files: what was fixed cannot be told.\n"
            );
        }
        for u in self.unread.iter().take(MAX_ROWS) {
            let _ =
                writeln!(page, "> [!WARNING]\n> {} was not read: {}\n", escape(&u.path), escape(&u.reason));
        }
    }

    fn table(&self, title: &str, rows: &[(&PairTold, &ChangeTold)], folded: bool, page: &mut String) {
        if rows.is_empty() {
            return;
        }
        let _ = match folded {
            true => writeln!(page, "<details><summary>{title} ({})</summary>\n", rows.len()),
            false => writeln!(page, "### {title}\n"),
        };
        page.push_str("| | Flow | Firewall | Because of |\n|---|---|---|---|\n");
        for (pair, c) in rows.iter().take(MAX_ROWS) {
            let firewall = pair.new.as_deref().or(pair.old.as_deref()).unwrap_or_default();
            let group = c.group.as_ref().map_or_else(String::new, |g| format!(" ({g})"));
            let side = if c.kind == "stopped" && c.new.decided_by.is_none() { &c.old } else { &c.new };
            let by = side.decided_by.as_ref().map_or_else(String::new, |by| {
                format!("{}:{} {}", escape(&by.location.path), by.location.line, escape(&by.location.text))
            });
            let words = escape(&crate::cli::diff::title(c));
            let flow = escape(&c.flow.to_string());
            let _ = writeln!(page, "| {words} | {flow} | {}{} | {by} |", escape(firewall), escape(&group));
        }
        more(rows.len(), page);
        if folded {
            page.push_str("</details>\n\n");
        }
    }

    fn findings(&self, page: &mut String) {
        if self.new.is_empty() {
            return;
        }
        page.push_str("### ❌ Newly breaks\n\n");
        for (i, f) in self.new.iter().enumerate() {
            if page.len() > MAX_LENGTH || i >= MAX_ROWS {
                break;
            }
            let l = &f.location;
            let at =
                if l.path.is_empty() { String::new() } else { format!(" · {}:{}", escape(&l.path), l.line) };
            let _ = writeln!(page, "* {} **{}** {}{at}", icon(f.level), escape(&f.rule), escape(&f.message));
            if let Some(w) = &f.witness {
                let _ = writeln!(page, "  * witness: {}", escape(&w.to_string()));
            }
            for (word, text) in f.details.iter().take(4) {
                let _ = writeln!(page, "  * {}: {}", escape(word), escape(text));
            }
        }
        more(self.new.len(), page);
    }

    fn waivers(&self, page: &mut String) {
        if self.waived.is_empty() {
            return;
        }
        page.push_str("### ⚠️ Newly waived\n\n");
        for w in self.waived.iter().take(MAX_ROWS) {
            let (f, l) = (&w.finding, &w.finding.location);
            let text = format!("{}:{}: {} ({})", l.path, l.line, f.message, waived_by(w));
            let _ = writeln!(page, "* **{}** {}", escape(&f.rule), escape(&text));
        }
        more(self.waived.len(), page);
    }

    fn policy(&self, page: &mut String) {
        let others: Vec<&String> = self.policy.iter().filter(|t| !self.weakened.contains(t)).collect();
        let weaker: Vec<&String> = self.weakened.iter().collect();
        for (title, texts) in [("⛔ Less is checked", weaker), ("⚠️ What is checked changes", others)] {
            if texts.is_empty() {
                continue;
            }
            let _ = writeln!(page, "### {title}\n");
            for text in texts.iter().take(MAX_ROWS) {
                let _ = writeln!(page, "* {}", escape(text));
            }
            more(texts.len(), page);
        }
        if self.accepted || self.weakened.is_empty() && self.waived.is_empty() {
            return;
        }
        page.push_str(
            "> [!IMPORTANT]\n> This may hide what the change breaks, so the review fails. If you agree to it, run the review with `--accept-policy` \
             (input `accept-policy` of the action).\n\n",
        );
    }

    fn not_compared(&self, page: &mut String) {
        let texts = self.pairs.iter().flat_map(|p| {
            let name = p.new.as_deref().or(p.old.as_deref()).unwrap_or_default();
            p.not_compared.iter().map(move |t| format!("{name}: {t}"))
        });
        let links =
            self.left_out.iter().map(|p| format!("{p}: a link or a submodule, which is not looked at"));
        let all: Vec<String> = texts.chain(links).collect();
        if all.is_empty() {
            return;
        }
        let _ = writeln!(page, "<details><summary>Not compared ({})</summary>\n", all.len());
        for text in all.iter().take(MAX_ROWS) {
            let _ = writeln!(page, "* {}", escape(text));
        }
        more(all.len(), page);
        page.push_str("</details>\n");
    }
}

fn more(all: usize, page: &mut String) {
    if all > MAX_ROWS {
        let _ = writeln!(page, "\n… and {} more", all - MAX_ROWS);
    }
    page.push('\n');
}

const fn icon(level: Severity) -> &'static str {
    match level {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
        Severity::Note => "ℹ️",
    }
}

// A text inside single backticks, in a table.
fn code(text: &str) -> String {
    crate::report::text::clean(text).replace('`', "'").replace('|', "¦")
}
