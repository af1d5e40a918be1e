//! Arguments, run, exit status.

use clap::Parser;
use havenlint::cli::{Cli, run, status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors, unless they cannot be printed.
        Err(e) => {
            let printed = e.print().is_ok();
            return if printed && !e.use_stderr() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(status::TROUBLE)
            };
        }
    };
    // A panic is a bug of this program; its own status tells it from findings and from bad input.
    catch_unwind(AssertUnwindSafe(|| run(&cli))).unwrap_or_else(|_| ExitCode::from(status::INTERNAL))
}
