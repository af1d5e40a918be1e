//! What the terminal can show, and the only ways by which text leaves for it.

use super::status;
use crate::report::Style;
use crate::report::guard::{Spelling, guarded, harmless};
use clap::ColorChoice;
use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};
use supports_hyperlinks::Stream;

/// Columns of a terminal that does not tell.
const UNKNOWN_WIDTH: usize = 100;

/// Says something on standard error, each line safe to show.
#[allow(clippy::print_stderr)]
pub(crate) fn say(text: &str) {
    for line in text.lines() {
        eprintln!("{}", harmless(line, Spelling::Text, false));
    }
}

/// How to write to standard output, or to a file.
pub(crate) fn style(color: ColorChoice, to_file: bool) -> Style {
    let terminal = !to_file && io::stdout().is_terminal();
    let color = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => !to_file && wants_colors(),
    };
    Style {
        color,
        links: color && terminal && supports_hyperlinks::on(Stream::Stdout),
        width: if terminal { terminal_width() } else { 0 },
        ..Style::default()
    }
}

/// Whether standard output is to be coloured: anstream knows `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, `TERM=dumb` and terminals, but not
/// `FORCE_COLOR`, which weighs less than `NO_COLOR`, too.
fn wants_colors() -> bool {
    let set = |name| env::var(name).ok().filter(|v: &String| !v.is_empty());
    match set("FORCE_COLOR") {
        Some(how) if set("NO_COLOR").is_none() => how != "0" && how != "false",
        _ => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
    }
}

/// Columns of the terminal: those that `COLUMNS` asks for, or what the terminal says.
fn terminal_width() -> usize {
    let asked = env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|c| *c > 0);
    let has = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    asked.or_else(has).unwrap_or(UNKNOWN_WIDTH)
}

/// Writes text, safe to show, to standard output; a closed pipe is no error.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> u8 {
    print_exact(|out| guarded(out, Spelling::Text, true, write))
}

/// Writes what another program reads byte for byte, such as a patch.
pub(crate) fn print_exact(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> u8 {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => status::CLEAN,
        Err(e) => {
            // Who closed the pipe knows it.
            if e.kind() != io::ErrorKind::BrokenPipe {
                say(&format!("error: cannot write to standard output: {e}"));
            }
            status::TROUBLE
        }
    }
}
