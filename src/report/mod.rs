//! Output formats. Each is one file and one line in [`FORMATS`].

use crate::finding::Report;
use std::io;

/// How a report is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Colours and hyperlinks.
    pub color: bool,
    /// Width of the terminal in columns; 0 = not a terminal.
    pub width: usize,
    /// Only findings, no tables.
    pub quiet: bool,
    /// Counts by rule at the end.
    pub statistics: bool,
    /// Date that the report carries; `None` = none, so that equal inputs give equal bytes.
    pub date: Option<String>,
    /// Category of the run, for code scanning; may be empty.
    pub category: String,
}

/// Writes a report.
pub type Write = fn(&Report, &Style, &mut dyn io::Write) -> io::Result<()>;

/// All formats by name; the first is the default.
pub const FORMATS: &[(&str, Write)] = &[];
