//! Arguments, run, exit status.

use clap::Parser;
use havenlint::cli::{Cli, run, status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic is a bug of this program; its own status tells it from findings and from bad input.
    catch_unwind(AssertUnwindSafe(|| run(&cli))).unwrap_or_else(|_| ExitCode::from(status::INTERNAL))
}
