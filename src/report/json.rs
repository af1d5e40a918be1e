//! The machine-readable report: [`Report`] as it serialises, version 1 of the format.

use super::guard::commands;
use super::text::visible;
use super::{Style, causes, sites};
use crate::finding::Report;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Writes the report as one indented JSON document.
pub fn write(report: &Report, _: &Style, out: &mut dyn Write) -> io::Result<()> {
    write_document(&Document { report, causes: causes::listed(report), sites: sites::listed(report) }, out)
}

/// An element of one of the document's lists, as it stands there.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn fragment(value: &impl Serialize) -> io::Result<Vec<u8>> {
    const INDENT: &[u8] = b"    ";
    let mut text = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut text, Escaping(PrettyFormatter::with_indent(b"  "))))
        .map_err(io::Error::from)?;
    let mut out = Vec::with_capacity(text.len() * 3 / 2);
    for line in text.split_inclusive(|b| *b == b'\n') {
        out.extend_from_slice(if out.is_empty() { b"" } else { INDENT });
        out.extend_from_slice(line);
    }
    Ok(out)
}

/// The report, with what is made from it for programs that do not want to.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    causes: Vec<causes::Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sites: Vec<sites::Listed<'a>>,
}

/// Writes any value as an indented JSON document that is safe to look at: a character that a terminal would obey, that turns the direction
/// of writing, or that makes a command of a line in a log, is written as `\u…`, which means the same to programs.
///
/// # Errors
/// Whatever writing gives.
pub fn write_document(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    write_with(PrettyFormatter::with_indent(b"  "), value, out)
}

/// The same on one line.
///
/// # Errors
/// Whatever writing gives.
pub fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    write_with(CompactFormatter, value, out)
}

fn write_with(form: impl Formatter, value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Escaping(form))).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// One of serde_json's forms with more escapes in strings.
struct Escaping<F>(F);

/// Hands a method on to the formatter inside.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*)),* $(,)?) => {$(
        fn $name<W: ?Sized + Write>(&mut self, out: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(out $(, $arg)*)
        }
    )*};
}

impl<F: Formatter> Formatter for Escaping<F> {
    delegate!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    );

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        // Nearly all text is plain.
        if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'#' && b != b':') {
            return out.write_all(text.as_bytes());
        }
        let commands = commands(text);
        let mut plain = 0;
        let unsafe_here = |(i, c): &(usize, char)| visible(*c) != *c || *c == '#' && commands.contains(i);
        for (i, c) in text.char_indices().filter(unsafe_here) {
            out.write_all(&text.as_bytes()[plain..i])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain = i + c.len_utf8();
        }
        out.write_all(&text.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_the_same() {
        let text = "a\x1b\u{9b}\u{202e}\u{e0041}\u{2028}\\\"\n ü 漢 # ::x ##[y]";
        for on_one_line in [false, true] {
            let mut out = vec![];
            if on_one_line { write_line(&text, &mut out) } else { write_document(&text, &mut out) }.unwrap();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(
                out,
                "\"a\\u001b\\u009b\\u202e\\udb40\\udc41\\u2028\\\\\\\"\\n ü 漢 # ::x #\\u0023[y]\"\n"
            );
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
