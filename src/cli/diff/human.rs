//! The changes for people: what passes or not, which lines decide on each side, and a packet.

use super::pairs::Pair;
use super::{ChangeTold, PairTold, SideTold, Told};
use crate::analysis::Verdict;
use crate::analysis::flow::Flow;
use crate::cli::subject::place;
use crate::report::Style;
use crate::report::places::Sources;
use crate::report::snippet::{Mark, render};
use crate::report::text::{DEFAULT_WIDTH, Ink, Paint, clean, count, thousands, wrap};
use crate::source::Severity;
use rustc_hash::FxHashMap;
use std::io::{self, Write};

// What is shown of each pair; --format json tells everything.
const SHOWN_GROUPS: usize = 40;
const SHOWN_FLOWS: usize = 8;
// Addresses, ports, names of a flow.
const SHOWN_VALUES: usize = 32;

/// What is written to.
pub(super) struct Page<'a> {
    sources: Vec<[Option<Sources<'a>>; 2]>,
    paint: Paint,
    columns: usize,
    quiet: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(pairs: &'a [Pair<'a>], style: &Style, paint: Paint) -> Self {
        let of = |f: Option<&'a crate::model::Firewall>| f.map(|f| Sources::files(&f.files));
        let columns = if style.width == 0 { DEFAULT_WIDTH } else { style.width.clamp(40, 400) };
        let sources = pairs.iter().map(|p| [of(p.old), of(p.new)]).collect();
        Self { sources, paint, columns, quiet: style.quiet }
    }

    pub(super) fn write(&self, told: &Told, out: &mut dyn Write) -> io::Result<()> {
        for (pair, sources) in told.pairs.iter().zip(&self.sources) {
            self.pair(pair, sources, out)?;
        }
        if !self.quiet {
            self.summary(told, out)?;
        }
        Ok(())
    }

    fn pair(
        &self,
        pair: &PairTold,
        sources: &[Option<Sources<'_>>; 2],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.quiet && pair.state == "equal" {
            return Ok(());
        }
        let name = match (&pair.old, &pair.new) {
            (Some(a), Some(b)) => format!("{} -> {}", clean(a), clean(b)),
            (a, b) => clean(a.as_deref().or(b.as_deref()).unwrap_or_default()).into_owned(),
        };
        let words = match pair.state {
            "equal" => "no change in behaviour",
            "changed" => "behaviour changed",
            _ if pair.changes.is_empty() => "not decided",
            _ => "behaviour may have changed",
        };
        let ink = if pair.state == "equal" { Ink::Green } else { Ink::Yellow };
        writeln!(out, "{}: {}", self.paint.ink(Ink::Bold, &name), self.paint.ink(ink, words))?;
        for text in &pair.not_compared {
            writeln!(out, "  {}", clean(text))?;
        }
        let mut groups: Vec<Vec<&ChangeTold>> = Vec::new();
        let mut known: FxHashMap<Deciders<'_>, Vec<usize>> = FxHashMap::default();
        for c in &pair.changes {
            let same = known.entry(deciders(c)).or_default();
            match same.iter().find(|g| alike(groups[**g][0], c)) {
                Some(g) => groups[*g].push(c),
                None => {
                    same.push(groups.len());
                    groups.push(vec![c]);
                }
            }
        }
        for group in groups.iter().take(SHOWN_GROUPS) {
            writeln!(out)?;
            self.changes(group, sources, out)?;
        }
        if groups.len() > SHOWN_GROUPS {
            let more = count(groups.len() - SHOWN_GROUPS, "more change");
            writeln!(out, "\n… {more}; --format json shows all")?;
        }
        if !pair.changes.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    // Changes that the same lines make.
    fn changes(
        &self,
        group: &[&ChangeTold],
        sources: &[Option<Sources<'_>>; 2],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let first = group[0];
        let level = match (first.kind, first.exposure) {
            (_, true) => Severity::Error,
            ("accepted" | "undecided", _) => Severity::Warning,
            _ => Severity::Note,
        };
        let ink = match level {
            Severity::Error => Ink::Red,
            Severity::Warning => Ink::Yellow,
            Severity::Note => Ink::Cyan,
        };
        let exposed = if first.exposure { " from the Internet" } else { "" };
        let attached =
            first.group.as_ref().map(|g| format!(" (attached to {})", clean(g))).unwrap_or_default();
        let title = self.paint.ink(ink, &format!("{}{exposed}{attached}", title(first)));
        // The same flow on several paths is told once.
        let mut flows: Vec<(&Flow, Vec<String>)> = Vec::new();
        let mut known: FxHashMap<&Flow, usize> = FxHashMap::default();
        for c in group {
            let at = *known.entry(&c.flow).or_insert(flows.len());
            match flows.get_mut(at) {
                Some((_, paths)) => paths.push(c.path.to_string()),
                None => flows.push((&c.flow, vec![c.path.to_string()])),
            }
        }
        let mut left = Vec::new();
        for (flow, paths) in flows.iter().take(SHOWN_FLOWS) {
            let shorter = flow.shortened(SHOWN_VALUES, &|n| format!("… {} more", thousands(n as u64)));
            let told = shorter.as_ref().unwrap_or(flow).to_string();
            writeln!(out, "{title}: {} {}", paths.join(", "), clean(&told))?;
            if shorter.is_some() && left.is_empty() {
                left.push("long lists are cut".to_owned());
            }
        }
        if flows.len() > SHOWN_FLOWS {
            left.push(count(flows.len() - SHOWN_FLOWS, "more flow"));
        }
        if !left.is_empty() {
            writeln!(out, "  … {}; --format json shows all", left.join(", "))?;
        }
        if !self.quiet {
            for (side, name, sources) in [(&first.old, "old", &sources[0]), (&first.new, "new", &sources[1])]
            {
                self.side(side, name, sources.as_ref(), level, out)?;
            }
        }
        if let Some(w) = &first.witness {
            let does = |v: Verdict| match v {
                Verdict::Accept => "let through",
                Verdict::Drop => "stopped",
                Verdict::Undecided => "undecided",
            };
            let told = first.witness_verdicts.map(|[a, b]| format!("; {} before, {} now", does(a), does(b)));
            self.detail("witness", &format!("{w}{}", told.unwrap_or_default()), out)?;
        }
        for (side, name) in [(&first.old, "old"), (&first.new, "new")] {
            if let Some(to) = &side.translated {
                self.detail(&format!("{name} as"), &to.to_string(), out)?;
            }
        }
        for r in &first.because {
            let why = if r.reason.why.is_empty() { String::new() } else { format!(" ({})", r.reason.why) };
            let at = if r.reason.location.path.is_empty() {
                String::new()
            } else {
                format!("{}: ", place(&r.reason.location))
            };
            self.detail("because", &format!("{at}{}{why}", r.reason.text), out)?;
        }
        Ok(())
    }

    // The line that decides on one side.
    fn side(
        &self,
        side: &SideTold,
        name: &str,
        sources: Option<&Sources<'_>>,
        level: Severity,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let does = match side.verdict {
            Verdict::Accept => "lets it through",
            Verdict::Drop => "stops it",
            Verdict::Undecided => "decides, depending on unknown conditions",
        };
        match (&side.decided_by, sources) {
            (Some(by), Some(sources)) => {
                let note = by.note.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
                let rule = by.location.rule.as_ref().map(|r| format!(" {r}")).unwrap_or_default();
                let label = format!("{name}: {does}{rule}{note}");
                let mark = Mark { at: &by.location, label, primary: name == "new" };
                out.write_all(render(&[mark], sources, level, self.paint, self.columns).as_bytes())
            }
            _ if side.verdict == Verdict::Accept => self.detail(name, "no chain sees it", out),
            _ => Ok(()),
        }
    }

    fn detail(&self, word: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut word = format!("{word:<7}");
        for line in wrap(&clean(text), self.columns.saturating_sub(12).max(30)) {
            writeln!(out, "  {}   {line}", self.paint.ink(Ink::Cyan, &word))?;
            word = " ".repeat(word.len());
        }
        Ok(())
    }

    fn summary(&self, told: &Told, out: &mut dyn Write) -> io::Result<()> {
        let s = &told.summary;
        let kinds = [
            ("accepted", "newly accepted"),
            ("stopped", "newly stopped"),
            ("translated", "translated differently"),
            ("tracked", "tracked differently"),
            ("undecided", "undecided"),
        ];
        let of = |kind: &str| told.pairs.iter().flat_map(|p| &p.changes).filter(|c| c.kind == kind).count();
        let mut parts: Vec<String> = kinds
            .iter()
            .map(|(kind, words)| (of(kind), words))
            .filter(|(n, _)| *n > 0)
            .map(|(n, words)| format!("{} {words}", count(n, "flow")))
            .collect();
        if s.exposures > 0 {
            parts.push(format!("{} from the Internet", count(s.exposures, "exposure")));
        }
        let all = s.equal + s.changed + s.undecided;
        let head = format!(
            "{} compared: {} equal, {} changed, {} undecided",
            count(all, "firewall"),
            s.equal,
            s.changed,
            s.undecided
        );
        let tail = if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) };
        writeln!(out, "{head}{tail}.")?;
        if told.pairs.iter().any(|p| p.limits) && told.assumptions.contains(&"not-throttled") {
            writeln!(out, "Assuming that rate limits are not exceeded.")?;
        }
        Ok(())
    }
}

pub(in crate::cli) fn title(c: &ChangeTold) -> String {
    let words = match (c.kind, c.may) {
        ("accepted", _) => "newly accepted",
        ("stopped", _) => "newly stopped",
        ("translated", _) => "translated differently",
        ("tracked", _) => "tracked differently",
        (_, Some("accepted")) => "perhaps newly accepted",
        (_, Some("stopped")) => "perhaps newly stopped",
        _ => "not decided",
    };
    format!("{words}{}", if c.partly { " in part" } else { "" })
}

// The lines that decide on both sides, and what becomes of packets: what tells most changes apart.
type Deciders<'c> = (&'c str, [Option<(&'c str, u32)>; 2]);

fn deciders(c: &ChangeTold) -> Deciders<'_> {
    let [old, new] = [&c.old, &c.new].map(|side| side.decided_by.as_ref());
    (c.kind, [old, new].map(|by| by.map(|b| (&*b.location.path, b.location.line))))
}

// Whether the same is to be said of two flows.
fn alike(a: &ChangeTold, b: &ChangeTold) -> bool {
    (a.kind, a.may, a.partly, a.exposure, &a.group) == (b.kind, b.may, b.partly, b.exposure, &b.group)
        && a.old == b.old
        && a.new == b.new
        && a.because == b.because
}
