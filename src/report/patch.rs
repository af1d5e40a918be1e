//! The difference between two versions of a file, in the unified form that `patch -p1` and `git apply` take.

use super::text::{Ink, Paint, clean};
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};
use std::io::{self, Write};
use std::ops::Range;

// Lines that stand around a change.
const CONTEXT: usize = 3;

/// Writes the difference; nothing where there is none. With colours it is for people: then what a terminal would obey is replaced.
///
/// # Errors
/// Whatever writing gives.
pub fn write(path: &str, old: &[u8], new: &[u8], color: bool, out: &mut dyn Write) -> io::Result<()> {
    let (a, b) = (lines(old), lines(new));
    let hunks = group_diff_ops(capture_diff_slices(Algorithm::Myers, &a, &b), CONTEXT);
    let hunks: Vec<_> =
        hunks.iter().filter(|h| h.iter().any(|op| !matches!(op, DiffOp::Equal { .. }))).collect();
    if hunks.is_empty() {
        return Ok(());
    }
    let paint = Paint { color };
    let path = path.trim_start_matches('/');
    writeln!(out, "{}", paint.ink(Ink::Bold, &format!("--- a/{path}")))?;
    writeln!(out, "{}", paint.ink(Ink::Bold, &format!("+++ b/{path}")))?;
    for hunk in hunks {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old = first.old_range().start..last.old_range().end;
        let new = first.new_range().start..last.new_range().end;
        let head = format!("@@ -{} +{} @@", span(&old), span(&new));
        writeln!(out, "{}", paint.ink(Ink::Cyan, &head))?;
        for op in hunk.iter() {
            let goes = if matches!(op, DiffOp::Equal { .. }) { ' ' } else { '-' };
            for line in &a[op.old_range()] {
                write_line(goes, line, paint, out)?;
            }
            if goes == '-' {
                for line in &b[op.new_range()] {
                    write_line('+', line, paint, out)?;
                }
            }
        }
    }
    Ok(())
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

fn write_line(sign: char, line: &[u8], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let (text, ended) = match line.strip_suffix(b"\n") {
        Some(text) => (text, true),
        None => (line, false),
    };
    if paint.color {
        // A carriage return at the end moves nothing.
        let text = String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).replace('\t', "    ");
        let text = format!("{sign}{}", clean(&text));
        let text = match sign {
            '+' => paint.ink(Ink::Green, &text),
            '-' => paint.ink(Ink::Red, &text),
            _ => text,
        };
        writeln!(out, "{text}")?;
    } else {
        write!(out, "{sign}")?;
        out.write_all(text)?;
        writeln!(out)?;
    }
    if !ended {
        writeln!(out, "\\ No newline at end of file")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> String {
        let mut out = Vec::new();
        write("/etc/f", old.as_bytes(), new.as_bytes(), false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
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
