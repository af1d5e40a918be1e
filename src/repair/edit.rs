//! Edits of whole lines, several of one file at a time.

use super::Blame;
use crate::finding::Fix;
use crate::source::{Origin, SourceFile};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;

/// A file after its edits.
#[derive(Debug, Default)]
pub(super) struct Edit {
    /// The new content.
    pub bytes: Vec<u8>,
    // Bytes of the new content that fixes brought, and those of the old content that they took; fixes by their index. Two fixes that add
    // the same lines at one place share them.
    brought: Vec<(Range<usize>, Vec<usize>)>,
    taken: Vec<(Range<usize>, usize)>,
}

impl Edit {
    /// The fixes that brought a place of the new content, if it is new as a whole.
    pub fn brought(&self, at: Origin) -> Option<&[usize]> {
        around(&self.brought, at).map(Vec::as_slice)
    }

    /// The fix that took a place of the old content away as a whole.
    pub fn taken(&self, at: Origin) -> Option<usize> {
        around(&self.taken, at).copied()
    }
}

// What goes with the range that holds a place; ranges are in order and apart from each other.
fn around<T>(ranges: &[(Range<usize>, T)], at: Origin) -> Option<&T> {
    let (start, end) = (at.start as usize, at.end as usize);
    let (range, with) = ranges.get(ranges.partition_point(|(r, _)| r.end < end))?;
    (start < end && range.start <= start).then_some(with)
}

/// Applies the edits of some fixes to a file. Line ends stay as they are: new lines end as those beside them, and a file whose last line
/// does not end stays so.
///
/// # Errors
/// What stands in the way, by the fixes whose fault it is: an earlier one wants the same line.
pub(super) fn apply<'f>(
    file: &SourceFile,
    fixes: impl Iterator<Item = (usize, &'f Fix)>,
) -> Result<Edit, BTreeMap<usize, Blame>> {
    let old: Vec<&[u8]> = file.bytes().split_inclusive(|b| *b == b'\n').collect();
    // What is inserted, by the number of lines above it.
    let mut insertions: Vec<(usize, &str, Vec<usize>)> = Vec::new();
    let mut inserted: FxHashMap<(usize, &str), usize> = FxHashMap::default();
    let mut goes: Vec<Option<usize>> = vec![None; old.len()];
    let mut wrong = BTreeMap::new();
    for (index, fix) in fixes {
        for lines in &fix.delete {
            for line in lines.from_line..=lines.to_line {
                let why = match (line as usize).checked_sub(1).and_then(|l| goes.get_mut(l)) {
                    Some(free @ None) => {
                        *free = Some(index);
                        continue;
                    }
                    Some(Some(_)) => format!("another repair changes line {line} too"),
                    None => format!("there is no line {line}"),
                };
                wrong.entry(index).or_insert_with(|| Blame::together(why));
            }
        }
        let after = (fix.after_line as usize).min(old.len());
        if fix.text.is_empty() {
            continue;
        }
        let at = *inserted.entry((after, fix.text.as_str())).or_insert(insertions.len());
        match insertions.get_mut(at) {
            Some((_, _, owners)) => owners.push(index),
            None => insertions.push((after, &fix.text, vec![index])),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    insertions.sort_by_key(|(after, ..)| *after);

    let mut out = Edit::default();
    let mut coming = insertions.into_iter().peekable();
    let mut offset = 0;
    for at in 0..=old.len() {
        let end = line_end(&old, at);
        while let Some((_, text, owners)) = coming.next_if(|(after, ..)| *after == at) {
            let start = out.bytes.len();
            for line in text.lines() {
                out.bytes.extend_from_slice(line.as_bytes());
                out.bytes.extend_from_slice(end);
            }
            out.brought.push((start..out.bytes.len(), owners));
        }
        let Some(line) = old.get(at) else { break };
        match goes.get(at).copied().flatten() {
            Some(fix) => out.taken.push((offset..offset + line.len(), fix)),
            None => {
                out.bytes.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    out.bytes.extend_from_slice(end);
                }
            }
        }
        offset += line.len();
    }
    join(&mut out.taken);
    if old.last().is_some_and(|l| !l.ends_with(b"\n")) {
        let end = line_end(&old, old.len());
        let kept = out.bytes.strip_suffix(end).map_or(out.bytes.len(), <[u8]>::len);
        out.bytes.truncate(kept);
    }
    Ok(out)
}

// How lines end beside a place: as the one above, or the first one.
fn line_end(lines: &[&[u8]], at: usize) -> &'static [u8] {
    let beside = lines[..at.min(lines.len())].iter().rev().find(|l| l.ends_with(b"\n"));
    match beside.or(lines.first()) {
        Some(l) if l.ends_with(b"\r\n") => b"\r\n",
        _ => b"\n",
    }
}

// Lines that follow each other and go by one fix are one range: what spans them goes as a whole.
fn join(taken: &mut Vec<(Range<usize>, usize)>) {
    taken.dedup_by(|next, before| {
        let follows = before.0.end == next.0.start && before.1 == next.1;
        if follows {
            before.0.end = next.0.end;
        }
        follows
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Lines;

    fn fix(after_line: u32, text: &str, delete: &[(u32, u32)]) -> Fix {
        let delete = delete.iter().map(|(f, t)| Lines { from_line: *f, to_line: *t }).collect();
        Fix { after_line, text: text.to_owned(), delete, ..Fix::default() }
    }

    fn applied(text: &str, fixes: &[Fix]) -> Result<String, BTreeMap<usize, Blame>> {
        let edit = apply(&SourceFile::new("f", text), fixes.iter().enumerate())?;
        Ok(String::from_utf8(edit.bytes).unwrap())
    }

    #[test]
    fn lines_are_added_and_taken_away() {
        let fixes = [fix(2, "y\nz", &[]), fix(0, "x", &[]), fix(1, "B", &[(2, 2)])];
        assert_eq!(applied("a\nb\nc\n", &fixes).unwrap(), "x\na\nB\ny\nz\nc\n");
        assert_eq!(applied("a\nb\n", &[fix(9, "c", &[])]).unwrap(), "a\nb\nc\n");
        assert_eq!(applied("a\nb\nc\n", &[fix(0, "", &[(1, 1), (3, 3)])]).unwrap(), "b\n");
        assert_eq!(applied("", &[fix(0, "a", &[])]).unwrap(), "a\n");
    }

    #[test]
    fn line_ends_stay() {
        assert_eq!(applied("a\r\nb\r\n", &[fix(1, "x\ny", &[])]).unwrap(), "a\r\nx\r\ny\r\nb\r\n");
        assert_eq!(applied("a\r\nb", &[fix(2, "x", &[])]).unwrap(), "a\r\nb\r\nx");
        assert_eq!(applied("a\nb", &[fix(2, "x", &[])]).unwrap(), "a\nb\nx");
        assert_eq!(applied("a\nb", &[fix(1, "x", &[])]).unwrap(), "a\nx\nb");
        assert_eq!(applied("a\nb", &[fix(1, "", &[(2, 2)])]).unwrap(), "a");
    }

    #[test]
    fn each_line_goes_once_and_comes_once() {
        let taken = applied("a\nb\n", &[fix(0, "", &[(1, 2)]), fix(1, "", &[(2, 2)])]);
        assert_eq!(taken.unwrap_err(), [(1, Blame::together("another repair changes line 2 too"))].into());
        assert!(applied("a\n", &[fix(0, "", &[(2, 2)])]).is_err());
        let file = SourceFile::new("f", "a\nb\n");
        let twice = [fix(1, "x", &[]), fix(1, "x", &[])];
        let edit = apply(&file, twice.iter().enumerate()).unwrap();
        assert_eq!(edit.bytes, b"a\nx\nb\n");
        assert_eq!(edit.brought(Origin::new(0, 2, 3)), Some(&[0, 1][..]));
        assert_eq!(edit.brought(Origin::new(0, 1, 3)), None);
    }

    #[test]
    fn what_spans_the_lines_goes_with_them() {
        let file = SourceFile::new("f", "a\n<r>\n</r>\nb\n");
        let edit = apply(&file, [fix(0, "", &[(2, 3)])].iter().enumerate()).unwrap();
        assert_eq!(edit.taken(Origin::new(0, 2, 10)), Some(0));
        assert_eq!(edit.taken(Origin::new(0, 0, 10)), None);
    }
}
