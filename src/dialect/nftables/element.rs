//! Taking an element out of a list.

use crate::source::{Origin, SourceFile};
use std::ops::Range;

/// The lines of a list without one of its elements: first and last line that change, from 1, and what stands there then (nothing, if they
/// held nothing else). `None` where it is the only element, or where more than blanks and a comma stand around it.
pub fn without(file: &SourceFile, element: Origin) -> Option<(u32, u32, String)> {
    let bytes = file.bytes();
    let gone = with_comma(bytes, element.start as usize..element.end as usize)?;
    let (first, last) = (file.line_of(gone.start), file.line_of(gone.end - 1));
    let (from, to) = (file.line_range(first).start, file.line_range(last).end);
    let text = |r: Range<usize>| std::str::from_utf8(bytes.get(r)?).ok();
    let (before, behind) = (text(from..gone.start)?, text(gone.end..to.max(gone.end))?);
    // What is left of the lines, without blanks at its end.
    let left = format!("{before}{behind}");
    let left = left.trim_end();
    Some((first as u32 + 1, last as u32 + 1, left.to_owned()))
}

// With the comma behind it and the blanks that follow on the line; of the last element the one before it.
fn with_comma(bytes: &[u8], element: Range<usize>) -> Option<Range<usize>> {
    let blank = |b: &u8| b.is_ascii_whitespace();
    let behind = bytes.get(element.end..)?;
    let next = behind.iter().position(|b| !blank(b))?;
    if behind[next] == b',' {
        let end = element.end + next + 1;
        let more = bytes[end..].iter().take_while(|b| matches!(**b, b' ' | b'\t')).count();
        return Some(element.start..end + more);
    }
    let before = bytes.get(..element.start)?;
    let at = before.iter().rposition(|b| !blank(b))?;
    (behind[next] == b'}' && before[at] == b',').then_some(at..element.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str, element: &str) -> Option<String> {
        let start = text.find(element).unwrap();
        let file = SourceFile::new("f", text);
        let (first, last, left) = without(&file, Origin::new(0, start, start + element.len()))?;
        let mut lines: Vec<&str> = text.lines().collect();
        let new: Vec<&str> = left.lines().collect();
        lines.splice(first as usize - 1..last as usize, new);
        Some(lines.join("\n"))
    }

    #[test]
    fn an_element_goes_with_one_comma() {
        assert_eq!(taken("x { 1, 22, 3 }", "22").unwrap(), "x { 1, 3 }");
        assert_eq!(taken("x { 22, 3 }", "22").unwrap(), "x { 3 }");
        assert_eq!(taken("x { 1, 22 }", "22").unwrap(), "x { 1 }");
        assert_eq!(taken("x { 1,\n\t22 }\ny", "22").unwrap(), "x { 1 }\ny");
        assert_eq!(taken("x { 1,\n\t22,\n\t3 }\ny", "22").unwrap(), "x { 1,\n\t3 }\ny");
        assert_eq!(taken("x {\n\t1,\n\t22\n}", "22").unwrap(), "x {\n\t1\n}");
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(taken("x { 22 }", "22"), None);
        assert_eq!(taken("x { 1, # one\n 22 # last\n }", "22"), None);
    }
}
