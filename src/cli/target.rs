//! Where reports go: `--format FORMAT[=FILE]`, any number of times; `html=FOLDER/` is a folder of pages.

use super::output::write_file;
use crate::finding::Report;
use crate::report::gathered::{Gathered, STREAMED, WriteGathered};
use crate::report::html::write_folder;
use crate::report::{FORMATS, Style, Write};
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

/// A report that is asked for.
pub(super) struct Target {
    name: &'static str,
    write: Write,
    /// How it is written of a report that is not in memory, if it can be.
    streamed: Option<WriteGathered>,
    /// The format can be a folder of pages.
    pages: bool,
    /// `None` = standard output.
    pub file: Option<PathBuf>,
}

/// What is asked for; nothing = `default` on standard output.
///
/// # Errors
/// A message on a format that does not exist, and on two reports that would be mixed on standard output.
pub(super) fn targets(specs: &[String], default: &str) -> Result<Vec<Target>, String> {
    let default = [default.to_owned()];
    let specs = if specs.is_empty() { &default } else { specs };
    let targets = specs.iter().map(|s| target(s)).collect::<Result<Vec<_>, _>>()?;
    for (n, t) in targets.iter().enumerate() {
        let others = targets[n + 1..].iter().filter(|o| o.file == t.file).map(|o| o.name);
        let names: Vec<&str> = std::iter::once(t.name).chain(others).collect();
        let first = t.name;
        match (&t.file, names.len()) {
            (_, 1) => {}
            (None, _) => {
                return Err(format!(
                    "--format: {} would be mixed on standard output; write all but one to a file, such as --format {first}=report",
                    names.join(" and "),
                ));
            }
            (Some(file), _) => {
                return Err(format!(
                    "--format: {} would write over each other in {}",
                    names.join(" and "),
                    file.display()
                ));
            }
        }
    }
    Ok(targets)
}

fn target(spec: &str) -> Result<Target, String> {
    let (name, file) = spec.split_once('=').map_or((spec, None), |(n, f)| (n, Some(f)));
    let (name, write) = FORMATS.iter().find(|(n, _)| *n == name).copied().ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|(n, _)| *n).collect();
        format!("--format {name}: unknown format; use one of {}", known.join(", "))
    })?;
    if file == Some("") {
        return Err(format!("--format {spec}: name the file after `=`"));
    }
    let streamed = STREAMED.iter().find(|(n, _)| *n == name).map(|(_, w)| *w);
    let file = file.filter(|f| !STDOUT.contains(f)).map(PathBuf::from);
    Ok(Target { name, write, streamed, pages: name == "html", file })
}

/// Other names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

impl Target {
    /// A folder of pages: it is there already, or its name ends like one.
    fn is_folder(&self) -> bool {
        let named =
            |f: &PathBuf| f.to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]) || f.is_dir();
        self.pages && self.file.as_ref().is_some_and(named)
    }

    /// Writes the report; `read` are the files that must not be written over.
    ///
    /// # Errors
    /// A message; an empty one if standard output is a pipe that was closed.
    pub fn write<'a>(
        &self,
        report: &Report,
        style: &Style,
        read: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), String> {
        match &self.file {
            Some(folder) if self.is_folder() => self.told(fs::create_dir_all(folder).and_then(|()| {
                write_folder(report, style, &mut |name, page| {
                    write_file(&folder.join(name), read.clone(), page)
                })
            })),
            _ => self.put(read, |out| (self.write)(report, style, out)),
        }
    }

    /// Whether a report that is not in memory can be written so.
    pub fn streams(&self) -> bool {
        self.streamed.is_some()
    }

    /// Writes such a report.
    ///
    /// # Errors
    /// As [`Target::write`].
    pub fn write_gathered<'a>(
        &self,
        report: &Gathered,
        style: &Style,
        read: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), String> {
        let Some(write) = self.streamed else {
            return Err("this format cannot be written of a report in parts".to_owned());
        };
        self.put(read, |out| write(report, style, out))
    }

    // Writes to where it goes.
    fn put<'a>(
        &self,
        read: impl IntoIterator<Item = &'a str>,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<(), String> {
        self.told(match &self.file {
            Some(path) => write_file(path, read, write),
            None => {
                let mut out = BufWriter::new(io::stdout().lock());
                write(&mut out).and_then(|()| out.flush())
            }
        })
    }

    fn told(&self, written: io::Result<()>) -> Result<(), String> {
        match written {
            // Who closed the pipe knows it.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(String::new()),
            Err(e) => {
                let to = self.file.as_ref().map_or("standard output".to_owned(), |f| f.display().to_string());
                Err(format!("cannot write the report to {to}: {e}"))
            }
            Ok(()) => Ok(()),
        }
    }
}
