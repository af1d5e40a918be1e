//! Lines of a file with labels under them, drawn by miette.
//!
//! miette is not given the file: on every snippet its own sources scan from the first byte (0.2–0.5 s on a dump of 22 MB), and
//! it panics on columns beyond 65 535. It gets an [`Excerpt`] instead: only the lines to show, cut to the terminal's width and
//! cleaned, with their real numbers and columns.

use super::places::{Sources, Window};
use super::text::{self, Paint};
use crate::source::{Location, Severity};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use std::fmt;
use std::ops::Range;

/// A block of lines longer than this shows only its first line.
const MAX_BLOCK: u32 = 14;
/// Lines between two labels that are shown, too; with more between them there are two snippets.
const MAX_GAP: usize = 2;

/// A place with what is to be said of it.
#[derive(Debug, Clone)]
pub struct Mark<'a> {
    /// The place.
    pub at: &'a Location,
    /// Text under it; may be empty.
    pub label: String,
    /// Whether this is the place that decides.
    pub primary: bool,
}

/// Draws the marks, one box for each stretch of lines, files in the order of the marks.
pub fn render(
    marks: &[Mark<'_>],
    sources: &Sources<'_>,
    level: Severity,
    paint: Paint,
    width: usize,
) -> String {
    let mut paths: Vec<&str> = vec![];
    for m in marks.iter().filter(|m| !m.at.path.is_empty()) {
        if !paths.contains(&m.at.path.as_str()) {
            paths.push(&m.at.path);
        }
    }
    let mut out = String::new();
    for path in paths {
        let here: Vec<_> = marks.iter().filter(|m| m.at.path == path).collect();
        // Of what was not read there is nothing to show.
        if here.iter().all(|m| m.at.text.is_empty() && sources.file(m.at).is_none()) {
            continue;
        }
        out.push_str(&draw(Excerpt::new(&here, sources, width), level, paint));
    }
    out
}

fn draw(excerpt: Excerpt, level: Severity, paint: Paint) -> String {
    let mut styles = if paint.color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let primary = match level {
        Severity::Error => styles.error,
        Severity::Warning => styles.warning,
        Severity::Note => styles.advice,
    };
    styles.highlights =
        excerpt.labels.iter().map(|l| if l.primary { primary } else { styles.help }).collect();
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(0)
        .without_cause_chain()
        .without_syntax_highlighting();
    let mut drawn = String::new();
    if handler.render_report(&mut drawn, &Shown(excerpt)).is_err() {
        return String::new();
    }
    // The first line is miette's own heading, for which the report has a better one.
    drawn.lines().skip(1).map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The lines of one file that a snippet shows.
#[derive(Debug)]
struct Excerpt {
    name: String,
    /// The lines, each ended by a line feed.
    text: String,
    lines: Vec<Line>,
    /// In order of offset, as miette wants them.
    labels: Vec<Label>,
}

#[derive(Debug)]
struct Line {
    /// Number in the file, from 0.
    number: usize,
    /// Where it begins in the excerpt.
    start: usize,
    /// Number of the stretch of neighbouring lines that it belongs to.
    stretch: usize,
}

#[derive(Debug)]
struct Label {
    span: Range<usize>,
    text: String,
    primary: bool,
    /// Column in the file, from 0.
    column: usize,
}

impl Excerpt {
    fn new(marks: &[&Mark<'_>], sources: &Sources<'_>, width: usize) -> Self {
        let name = marks.first().map_or("", |m| m.at.path.as_str());
        let mut it = Excerpt {
            name: text::clean(name).into_owned(),
            text: String::new(),
            lines: vec![],
            labels: vec![],
        };
        let digits = marks.iter().map(|m| m.at.end_line).max().unwrap_or(1).to_string().len();
        // Beside the number, its frame and two ellipses.
        let room = width.saturating_sub(digits + 6).max(24);
        let mut stretch = 0;
        let mut windows: Vec<Window> = vec![];
        let file = marks.first().and_then(|m| sources.file(m.at));
        let blocks = file.is_some();
        for number in shown_lines(marks, blocks) {
            if it.lines.last().is_some_and(|l| l.number + 1 != number) {
                stretch += 1;
            }
            let from = marks.iter().filter(|m| first_line(m.at) == number).map(|m| column(m.at)).min();
            let from = from.unwrap_or(0);
            let window = match file {
                Some(file) => Window::new(file, number, from, room),
                None => Window::of(&line_from_marks(marks, number), from, room),
            };
            it.lines.push(Line { number, start: it.text.len(), stretch });
            it.text.push_str(&window.text);
            it.text.push('\n');
            windows.push(window);
        }
        for m in marks {
            let label = it.label(m, &windows, room, blocks);
            it.labels.extend(label);
        }
        it.labels.sort_by_key(|l| (l.span.start, l.span.end));
        it
    }

    fn label(&self, m: &Mark<'_>, windows: &[Window], room: usize, blocks: bool) -> Option<Label> {
        let index = |number: usize| self.lines.iter().position(|l| l.number == number);
        let first = index(first_line(m.at))?;
        let last = index(last_line(m.at, blocks))?;
        let mut text = text::clean(&m.label).into_owned();
        let start = windows[first].bytes(column(m.at)..column(m.at) + 1).start;
        let span = if first == last {
            let end_column = if m.at.end_line > m.at.line {
                usize::MAX
            } else {
                m.at.end_column.saturating_sub(1) as usize
            };
            let span = windows[first].bytes(column(m.at)..end_column);
            let shown = &windows[first].text;
            let (span, lines) = fit(shown, span, &text, room);
            text = lines.join("\n");
            span.start + self.lines[first].start..span.end + self.lines[first].start
        } else {
            text = text::wrap(&text, room.saturating_sub(8).max(24)).join("\n");
            let end = windows[last].bytes(0..m.at.end_column.saturating_sub(1) as usize).end;
            start + self.lines[first].start..end + self.lines[last].start
        };
        Some(Label { span, text, primary: m.primary, column: column(m.at) })
    }
}

/// Breaks a label to the room right of where it hangs: under the middle of the place. A place so long that too little room would be left
/// is underlined only in its first part.
fn fit(line: &str, mut span: Range<usize>, label: &str, room: usize) -> (Range<usize>, Vec<String>) {
    const NEEDED: usize = 34;
    let before = text::width(&line[..span.start]);
    let most = (2 * room.saturating_sub(before + NEEDED)).max(8);
    let label_width = text::width(label) + 6;
    if label_width + before + text::width(&line[span.clone()]) / 2 > room
        && text::width(&line[span.clone()]) > most
    {
        let mut used = 0;
        let kept = line[span.clone()].char_indices().find(|(_, c)| {
            used += text::width(c.encode_utf8(&mut [0; 4]));
            used > most
        });
        span.end = kept.map_or(span.end, |(i, _)| span.start + i.max(1));
        while !line.is_char_boundary(span.end) {
            span.end += 1;
        }
    }
    let hangs_at = before + text::width(&line[span.clone()]) / 2 + 4;
    (span, text::wrap(label, room.saturating_sub(hangs_at).max(24)))
}

/// Numbers of the lines to show, from 0, in order. `blocks` tells whether all lines of a place are at hand, or only its first.
fn shown_lines(marks: &[&Mark<'_>], blocks: bool) -> Vec<usize> {
    let mut lines: Vec<usize> =
        marks.iter().flat_map(|m| first_line(m.at)..=last_line(m.at, blocks)).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut out: Vec<usize> = vec![];
    for line in lines {
        match out.last() {
            Some(&last) if blocks && line - last <= MAX_GAP + 1 => out.extend(last + 1..=line),
            _ => out.push(line),
        }
    }
    out
}

fn first_line(at: &Location) -> usize {
    at.line.saturating_sub(1) as usize
}

/// The last line that is shown of a place, from 0.
fn last_line(at: &Location, blocks: bool) -> usize {
    // A place that ends before the first column of a line ends with the line before.
    let end = if at.end_column <= 1 { at.end_line.saturating_sub(1) } else { at.end_line };
    if !blocks || end <= at.line || end - at.line >= MAX_BLOCK { first_line(at) } else { end as usize - 1 }
}

fn column(at: &Location) -> usize {
    at.column.saturating_sub(1) as usize
}

/// What the marks themselves know of a line whose file is not at hand.
fn line_from_marks(marks: &[&Mark<'_>], number: usize) -> String {
    let known = marks.iter().find(|m| first_line(m.at) == number);
    known.map_or(String::new(), |m| " ".repeat(column(m.at).min(1000)) + &m.at.text)
}

impl SourceCode for Excerpt {
    /// The whole lines that a span is on. Spans of two stretches cannot be read as one, so that each gets a box of its own.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let line_of = |offset: usize| self.lines.partition_point(|l| l.start <= offset).checked_sub(1);
        let last_byte = (span.offset() + span.len()).saturating_sub(1).max(span.offset());
        let (Some(first), Some(last)) = (line_of(span.offset()), line_of(last_byte)) else {
            return Err(MietteError::OutOfBounds);
        };
        let (from, to) = (&self.lines[first], &self.lines[last]);
        if from.stretch != to.stretch || last_byte >= self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let end = self.lines.get(last + 1).map_or(self.text.len(), |l| l.start);
        let column = self.labels.iter().find(|l| l.span.start == span.offset()).map_or(0, |l| l.column);
        let stretch = self.lines.iter().filter(|l| l.stretch == from.stretch).count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[from.start..end],
            (from.start, end - from.start).into(),
            from.number,
            column,
            stretch,
        )))
    }
}

/// An excerpt as what miette draws.
#[derive(Debug)]
struct Shown(Excerpt);

impl fmt::Display for Shown {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.0)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.0.labels.iter().map(|l| {
            let label = Some(l.text.clone()).filter(|t| !t.is_empty());
            if l.primary {
                LabeledSpan::new_primary_with_span(label, l.span.clone())
            } else {
                LabeledSpan::new_with_span(label, l.span.clone())
            }
        })))
    }
}
