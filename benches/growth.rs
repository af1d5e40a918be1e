//! Every command on every kind of input, at one, two, four and eight times a size: milliseconds of one thread, and how much more the last
//! doubling adds than the one before. Ends with status 1 if one grows faster than its input. A part of a name as argument chooses kinds.
//!
//! `cargo bench --bench growth -- iptables/deny`

mod doubling;
mod generate;

use doubling::{COMMANDS, costs, inputs, one_thread, shown};
use generate::KINDS;
use std::process::ExitCode;

/// Rules of the smallest input, of dialects that take a line for a rule and of those that take many; and how much larger the others are.
const SMALLEST: [usize; 2] = [300, 80];
const SIZES: [usize; 4] = [1, 2, 4, 8];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let pool = one_thread();
    let mut steep = 0;
    for kind in
        KINDS.iter().filter(|k| wanted.is_empty() || wanted.iter().any(|w| k.name.contains(w.as_str())))
    {
        let folders = inputs(kind, SMALLEST, SIZES);
        for (command, job) in COMMANDS {
            let (line, is_steep) = shown(kind, command, pool.install(|| costs(&folders, *job)));
            println!("{line}{}", if is_steep { "  STEEP" } else { "" });
            steep += usize::from(is_steep);
        }
    }
    println!("{steep} grow faster than their input");
    if steep == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
