//! CPU time of this process and of programs that it runs. Linux only.
#![allow(dead_code, reason = "each benchmark takes a few of them")]

use std::path::Path;
use std::process::{Command, Stdio};

/// CPU seconds of this process, or of its children that have ended (proc(5), `/proc/pid/stat`).
pub fn cpu(children: bool) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let first = if children { 13 } else { 11 };
    let ticks = fields.get(first)?.parse::<u64>().ok()? + fields.get(first + 1)?.parse::<u64>().ok()?;
    // A hundred ticks a second on every Linux that Rust runs on (`USER_HZ`).
    Some(ticks as f64 / 100.0)
}

/// CPU seconds of a command that reads a file on its standard input, or gets its path as the last argument; `None` if it fails.
pub fn command(command: &[&str], file: &Path, on_stdin: bool) -> Option<f64> {
    let before = cpu(true)?;
    let mut c = Command::new(command.first()?);
    c.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    if on_stdin {
        c.stdin(std::fs::File::open(file).ok()?);
    } else {
        c.arg(file).stdin(Stdio::null());
    }
    if c.status().ok()?.success() { Some(cpu(true)? - before) } else { None }
}

/// CPU seconds and the most megabytes of a command that gets a file's path as the last argument, as time(1) tells; `None` if it fails.
pub fn with_memory(command: &[&str], file: &Path) -> Option<(f64, f64)> {
    let told = Command::new("/usr/bin/time")
        .args(["--format=%U %S %M"])
        .args(command)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .ok()?;
    let figures: Vec<f64> = String::from_utf8_lossy(&told.stderr)
        .lines()
        .last()?
        .split(' ')
        .filter_map(|w| w.parse().ok())
        .collect();
    match figures.as_slice() {
        [user, system, kilobytes] if told.status.success() => Some((user + system, kilobytes / 1e3)),
        _ => None,
    }
}
