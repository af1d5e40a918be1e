//! Arguments, run, exit status.

use clap::Parser;
use havenlint::cli::{Cli, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run(&Cli::parse())
}
