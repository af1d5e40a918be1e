//! Arguments, run, exit status.

use clap::Parser;
use havenlint::cli::{Cli, run, status};
use std::panic::{set_hook, take_hook};
use std::process::{ExitCode, exit};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A panic is a bug of this program; its own status tells it from findings and from bad input, in whatever thread it is.
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        tell(panic);
        exit(status::INTERNAL.into());
    }));
    match Cli::try_parse() {
        Ok(cli) => run(&cli),
        // Help and version are no errors, unless they cannot be printed.
        Err(e) => match e.print() {
            Ok(()) if !e.use_stderr() => ExitCode::SUCCESS,
            _ => ExitCode::from(status::TROUBLE),
        },
    }
}
