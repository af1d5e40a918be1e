//! `havenlint fix`: repairs that are proven.

use super::check::Judged;
use super::{print_exact, say, status};
use crate::finding::{Finding, Fix as Edit, Severity};
use crate::repair::{Proven, Repairs, repairs, store};
use crate::report::guard::{Spelling, guarded};
use crate::report::tables::assumption;
use crate::report::text::{Ink, Paint, clean, count};
use crate::report::{Style, patch};
use crate::session::Options;
use clap::Args;
use std::io::{self, Write};

/// Show repairs that are proven, as a diff, or make them.
///
/// A repair is offered only if it is proven: its requirement is met afterwards, no other requirement gets worse, there is no new finding of level
/// warning or above, and every packet outside the required flow keeps its verdict. Everything is checked for this, whatever is selected.
#[derive(Debug, Args)]
#[command(after_help = super::help::FIX)]
pub struct Fix {
    #[command(flatten)]
    judged: Judged,
    /// Write the repaired files. Without this option nothing is written.
    #[arg(long, help_heading = "Output")]
    apply: bool,
    /// Repair accepted findings too: use no baseline.
    #[arg(long, conflicts_with = "baseline", help_heading = "Rules")]
    no_baseline: bool,
    /// Repair findings of these rules only: ids or prefixes, such as HL-DUPLICATE or SH4-SRN.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Rules")]
    select: Vec<String>,
    /// Do not repair findings of these rules.
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Rules")]
    ignore: Vec<String>,
}

/// Runs the command.
pub fn execute(args: &Fix, color: clap::ColorChoice) -> u8 {
    let found = args.judged.options().and_then(|options| {
        let options = Options {
            no_baseline: args.no_baseline,
            select: args.select.clone(),
            ignore: args.ignore.clone(),
            ..options
        };
        args.judged.pooled(&options, || repairs(&options))
    });
    let found = match found {
        Ok(found) => found,
        Err(message) => {
            say(&format!("error: {message}"));
            return status::TROUBLE;
        }
    };
    if !found.now.found && found.now.report.problems.is_empty() {
        say("error: no firewall file found: name a file, or a folder that contains some");
        return status::NOTHING;
    }
    let style = super::style(color, false);
    let shown = print_exact(|out| show(&found, !args.apply, &style, out));
    let written = args.apply.then(|| store_all(&found));
    conclude(&found, written.as_deref());
    let stored = match written {
        Some(files) if files.len() < found.files.len() => status::TROUBLE,
        _ => status::CLEAN,
    };
    let broken = problems(&found);
    [shown, stored, broken].into_iter().find(|s| *s != status::CLEAN).unwrap_or_else(|| {
        let open = owed(&found) > 0 || !args.apply && !found.files.is_empty();
        if open { status::FINDINGS } else { status::CLEAN }
    })
}

// Each file's repairs with their reasons, then what is not offered, then what is to be done elsewhere. All lines that belong to no diff are
// passed over by `patch` and `git apply`.
fn show(found: &Repairs, diffs: bool, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint { color: style.color };
    let text = |out: &mut dyn Write, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>| {
        guarded(out, Spelling::Text, style.color, write)
    };
    for file in &found.files {
        for p in found.proven.iter().filter(|p| p.fix.path == file.old.path) {
            text(out, &mut |out| {
                heading(&p.finding, paint, out)?;
                writeln!(out, "#   {}", effect(p))
            })?;
        }
        if diffs {
            patch::write(&file.old.path, file.old.bytes(), &file.new, style, out)?;
        }
    }
    text(out, &mut |out| {
        for r in &found.refused {
            heading(&r.finding, paint, out)?;
            writeln!(out, "#   not repaired: {}", clean(&r.why))?;
        }
        for (finding, fix) in &found.elsewhere {
            heading(finding, paint, out)?;
            writeln!(out, "#   by hand, not proven: {}", clean(&fix.description))?;
            for line in fix.text.lines() {
                writeln!(out, "{}", paint.ink(Ink::Green, &clean(line)))?;
            }
        }
        Ok(())
    })
}

// Findings that need a change elsewhere; notes only advise one.
fn owed(found: &Repairs) -> usize {
    found.elsewhere.iter().filter(|(f, _)| f.level > Severity::Note).count()
}

fn heading(f: &Finding, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    // What comes to light only after another repair has no line in the file as it is.
    let at = match f.location.text.is_empty() {
        true => f.location.path.to_string(),
        false => format!("{}:{}", f.location.path, f.location.line),
    };
    let ink = match f.level {
        Severity::Error => Ink::Red,
        Severity::Warning => Ink::Yellow,
        Severity::Note => Ink::Cyan,
    };
    let rule = paint.ink(ink, &format!("{}[{}]", f.level.name(), clean(&f.rule)));
    writeln!(out, "# {}: {rule}: {}", clean(&at), clean(&f.message))
}

fn effect(p: &Proven) -> String {
    let Edit { text, delete, .. } = &p.fix;
    let lines: u32 = delete.iter().map(|l| l.to_line - l.from_line + 1).sum();
    let does = match (text.is_empty(), lines) {
        (false, 0) => format!("adds {}", count(text.lines().count(), "line")),
        (true, n) => format!("removes {}", count(n as usize, "line")),
        (false, n) => format!("rewrites {}", count(n as usize, "line")),
    };
    let told = |texts: &[String], what| {
        let texts = clean(&texts.join(", ")).into_owned();
        (!texts.is_empty()).then(|| format!("only {texts} is {what}"))
    };
    let changes = [told(&p.opens, "newly let through"), told(&p.closes, "newly stopped")];
    match changes.into_iter().flatten().collect::<Vec<_>>().as_slice() {
        [] => format!("{does}; proven: every packet keeps its verdict"),
        some => {
            let won =
                if p.whole { "its requirement is met" } else { "its requirement fails for fewer packets" };
            format!("{does}; proven: {won}, and {}", some.join(", and "))
        }
    }
}

// The files that were written.
fn store_all(found: &Repairs) -> Vec<&str> {
    let mut written = Vec::new();
    for file in &found.files {
        match store(file) {
            Ok(()) => {
                say(&format!("wrote {}", file.old.path));
                written.push(file.old.path.as_str());
            }
            Err(e) => say(&format!("error: {} is unchanged: {e}", file.old.path)),
        }
    }
    written
}

// `written`: the files that were written; `None` = nothing was to be.
fn conclude(found: &Repairs, written: Option<&[&str]>) {
    let made = |files: &[&str]| found.proven.iter().filter(|p| files.contains(&&*p.fix.path)).count();
    let lost = written.map_or(0, |files| found.proven.len() - made(files));
    let done = match (found.proven.len(), written) {
        (0, _) if found.refused.is_empty() && found.elsewhere.is_empty() => "nothing to repair".to_owned(),
        (0, _) => "nothing repaired".to_owned(),
        (n, Some(_)) if lost > 0 => {
            format!("{} of {} made, for not all files could be written", n - lost, count(n, "proven repair"))
        }
        (n, Some(_)) => format!("{} made", count(n, "repair")),
        (n, None) => format!("{} proven, nothing written: --apply writes them", count(n, "repair")),
    };
    let mut text = vec![done];
    // That nothing else changes is proven whatever sets hold; what comes of it is not.
    let listed = found.now.report.assumptions.iter().find(|a| *a == "sets-as-listed");
    text.extend(listed.filter(|_| !found.proven.is_empty()).map(|a| assumption(a).to_owned()));
    if !found.refused.is_empty() {
        text.push(format!(
            "{} not repaired, because no repair could be proven",
            count(found.refused.len(), "finding")
        ));
    }
    if owed(found) > 0 {
        let verb = if owed(found) == 1 { "needs" } else { "need" };
        let findings = count(owed(found), "finding");
        text.push(format!("{findings} {verb} a change outside these files"));
    }
    if lost > 0 {
        // What is left was counted with every repair made.
        return say(&text.join("; "));
    }
    let by = |level| found.left.iter().filter(|f| f.level == level).count();
    let left = [Severity::Error, Severity::Warning, Severity::Note].map(|l| count(by(l), l.name()));
    text.push(format!("left: {}", left.join(", ")));
    say(&text.join("; "));
}

// What could not be read hides findings: that is told, and makes the status.
fn problems(found: &Repairs) -> u8 {
    let errors: Vec<_> = found.now.report.problems.iter().filter(|p| p.level == Severity::Error).collect();
    let Some(first) = errors.first() else { return status::CLEAN };
    let at = format!("{}:{}:{}", first.location.path, first.location.line, first.location.column);
    let more = match errors.len() {
        1 => String::new(),
        n => format!(" (and {}; `havenlint check` lists all)", count(n - 1, "other problem")),
    };
    say(&format!("error: {at}: {}{more}", first.message));
    status::TROUBLE
}
