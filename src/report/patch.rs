//! The difference between two versions of a file, in the unified form that `patch -p1` and `git apply` take.
//!
//! To programs its lines are those of the file, byte for byte, whatever stands in them; but a line that a build server would take for a
//! command is no context: it goes and comes again. To people (a terminal, colours) lines are cleaned.

use super::Style;
use super::guard::{Spelling, harmless};
use super::text::{Ink, Paint, clean};
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};
use std::io::{self, Write};
use std::ops::Range;

// Lines that stand around a change.
const CONTEXT: usize = 3;

/// Writes the difference; nothing where there is none.
///
/// # Errors
/// Whatever writing gives.
pub fn write(path: &str, old: &[u8], new: &[u8], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let (a, b) = (lines(old), lines(new));
    let ops = fewer(&a, &b).unwrap_or_else(|| capture_diff_slices(Algorithm::Myers, &a, &b));
    let hunks = group_diff_ops(ops, CONTEXT);
    let hunks: Vec<_> =
        hunks.iter().filter(|h| h.iter().any(|op| !matches!(op, DiffOp::Equal { .. }))).collect();
    if hunks.is_empty() {
        return Ok(());
    }
    let page = Page { paint: Paint { color: style.color }, exact: !style.color && style.width == 0 };
    let path = path.trim_start_matches('/');
    page.heading("---", &format!("a/{path}"), out)?;
    page.heading("+++", &format!("b/{path}"), out)?;
    for hunk in hunks {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old = first.old_range().start..last.old_range().end;
        let new = first.new_range().start..last.new_range().end;
        let head = format!("@@ -{} +{} @@", span(&old), span(&new));
        writeln!(out, "{}", page.paint.ink(Ink::Cyan, &head))?;
        for op in hunk.iter() {
            let same = matches!(op, DiffOp::Equal { .. });
            for line in &a[op.old_range()] {
                if same && !(page.exact && is_command(line)) {
                    page.line(' ', line, out)?;
                } else {
                    page.line('-', line, out)?;
                    if same {
                        page.line('+', line, out)?;
                    }
                }
            }
            for line in b[op.new_range()].iter().filter(|_| !same) {
                page.line('+', line, out)?;
            }
        }
    }
    Ok(())
}

// The difference of a file from which lines only went, in one pass: the general way takes the square of their number. `None` = others came.
fn fewer(old: &[&[u8]], new: &[&[u8]]) -> Option<Vec<DiffOp>> {
    let mut ops = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() {
        let same = old[i..].iter().zip(&new[j..]).take_while(|(a, b)| a == b).count();
        if same > 0 {
            ops.push(DiffOp::Equal { old_index: i, new_index: j, len: same });
        }
        (i, j) = (i + same, j + same);
        let gone = match new.get(j) {
            Some(next) => old[i..].iter().position(|line| line == next)?,
            None => old.len() - i,
        };
        if gone > 0 {
            ops.push(DiffOp::Delete { old_index: i, old_len: gone, new_index: j });
        }
        i += gone;
    }
    (j == new.len()).then_some(ops)
}

// With their line feeds: a last line without one is another line.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').collect()
}

// First line, from 1, and number; an empty range is named by the line above it.
fn span(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        n => format!("{},{n}", range.start + 1),
    }
}

// Whether a line, indented by a blank, is a command to a build server: one that begins with `::`.
fn is_command(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).trim_start().starts_with("::")
}

struct Page {
    paint: Paint,
    /// For programs: the file's own bytes.
    exact: bool,
}

impl Page {
    /// The name of a file. One with characters that are not plain is quoted, as git and GNU patch do.
    fn heading(&self, sign: &str, path: &str, out: &mut dyn Write) -> io::Result<()> {
        let plain =
            path.chars().all(|c| clean(c.encode_utf8(&mut [0; 4])) == c.to_string() && !"\"\\".contains(c));
        let name = if plain { path.to_owned() } else { quoted(path) };
        writeln!(
            out,
            "{}",
            self.paint.ink(Ink::Bold, &harmless(&format!("{sign} {name}"), Spelling::Text, false))
        )
    }

    fn line(&self, sign: char, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let (text, ended) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, false),
        };
        if self.exact {
            write!(out, "{sign}")?;
            out.write_all(text)?;
            writeln!(out)?;
        } else {
            // A carriage return at the end moves nothing.
            let text =
                String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).replace('\t', "    ");
            let text = format!("{sign}{}", clean(&text));
            let text = harmless(&text, Spelling::Text, false);
            let text = match sign {
                '+' => self.paint.ink(Ink::Green, &text),
                '-' => self.paint.ink(Ink::Red, &text),
                _ => text.into_owned(),
            };
            writeln!(out, "{text}")?;
        }
        if !ended {
            writeln!(out, "\\ No newline at end of file")?;
        }
        Ok(())
    }
}

/// A name between quotes, with all bytes that are not plain ASCII in octal.
fn quoted(name: &str) -> String {
    let mut out = String::from("\"");
    for b in name.bytes() {
        match b {
            b'"' | b'\\' => out.extend(['\\', char::from(b)]),
            b' '..=b'~' => out.push(char::from(b)),
            _ => out += &format!("\\{b:03o}"),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_only_go_are_found_in_one_pass() {
        for (old, new) in
            [("a a b c a", "a c a"), ("a b c", "b"), ("a b c", "c"), ("a a a", "a a"), ("a", ""), ("", "")]
        {
            let (a, b): (Vec<&[u8]>, Vec<&[u8]>) =
                (old.split(' ').map(str::as_bytes).collect(), new.split(' ').map(str::as_bytes).collect());
            let (a, b) = (if old.is_empty() { vec![] } else { a }, if new.is_empty() { vec![] } else { b });
            let ops = fewer(&a, &b).unwrap();
            let kept = ops.iter().filter(|op| matches!(op, DiffOp::Equal { .. }));
            assert_eq!(kept.clone().flat_map(|op| &a[op.old_range()]).copied().collect::<Vec<_>>(), b);
            assert_eq!(kept.flat_map(|op| &b[op.new_range()]).copied().collect::<Vec<_>>(), b);
            assert!(ops.iter().map(|op| op.old_range().len()).sum::<usize>() == a.len(), "{ops:?}");
        }
        assert!(fewer(&[b"a"], &[b"b"]).is_none() && fewer(&[b"a"], &[b"a", b"b"]).is_none());
    }

    fn diff(old: &str, new: &str) -> String {
        let mut out = Vec::new();
        write("/etc/f", old.as_bytes(), new.as_bytes(), &Style::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_name_and_no_context_is_a_command() {
        assert_eq!(
            diff("a\n ::stop-commands::x\nb\n", "a\n ::stop-commands::x\nc\n"),
            "--- a/etc/f\n+++ b/etc/f\n@@ -1,3 +1,3 @@\n a\n- ::stop-commands::x\n+ ::stop-commands::x\n-b\n+c\n"
        );
        let mut out = Vec::new();
        write("a\x1b[2J\"\n::error::ü", b"", b"a\x1b\n", &Style::default(), &mut out).unwrap();
        let names = r#""a/a\033[2J\"\012::error::\303\274""#;
        let names = format!("--- {names}\n+++ {}\n", names.replacen("a/", "b/", 1));
        assert_eq!(String::from_utf8(out).unwrap(), names + "@@ -0,0 +1 @@\n+a\x1b\n");
        let mut out = Vec::new();
        write("f", b"", b"::x\x1b\n", &Style { width: 80, ..Style::default() }, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().ends_with("+::x␛\n"), "to a terminal nothing goes raw");
    }

    #[test]
    fn hunks() {
        assert_eq!(diff("a\n", "a\n"), "");
        assert_eq!(diff("", "a\n"), "--- a/etc/f\n+++ b/etc/f\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(
            diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nnew\n5\n6\n7\n8\n"),
            "--- a/etc/f\n+++ b/etc/f\n@@ -2,8 +2,8 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n 8\n-9\n"
        );
    }

    #[test]
    fn last_lines_without_end() {
        assert_eq!(
            diff("a\nb", "a\nb\nc"),
            "--- a/etc/f\n+++ b/etc/f\n@@ -1,2 +1,3 @@\n a\n-b\n\\ No newline at end of file\n+b\n+c\n\\ No newline at end of file\n"
        );
    }
}
