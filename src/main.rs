//! Arguments, run, exit status.

use clap::Parser;
use havenlint::cli::{Cli, run, status};
use std::panic::{set_hook, take_hook};
use std::process::{ExitCode, exit};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    give_panics_a_status();
    match Cli::try_parse() {
        Ok(cli) => run(&cli),
        // Help and version are no errors, unless they cannot be printed.
        Err(e) => match e.print() {
            Ok(()) if !e.use_stderr() => ExitCode::SUCCESS,
            _ => ExitCode::from(status::TROUBLE),
        },
    }
}

// A panic is a bug of this program; its own status tells it from findings and from bad input, in whatever thread it is.
fn give_panics_a_status() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        tell(panic);
        exit(status::INTERNAL.into());
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::Command;

    /// Tells the test that it is the program that panics, and where.
    const PANICS: &str = "HAVENLINT_TEST_PANICS_IN";

    #[test]
    fn a_panic_is_told_and_ends_the_program_with_its_own_status() {
        if let Ok(thread) = env::var(PANICS) {
            give_panics_a_status();
            match thread.as_str() {
                "this" => panic!("in this thread"),
                "another" => drop(std::thread::spawn(|| panic!("in another thread")).join()),
                // Rayon would carry it back to who waits.
                _ => rayon::scope(|s| s.spawn(|_| panic!("in a pool's thread"))),
            }
            unreachable!("the program goes on after a panic");
        }
        for thread in ["this", "another", "a pool's"] {
            let child = Command::new(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "tests::a_panic_is_told_and_ends_the_program_with_its_own_status",
                    "--nocapture",
                ])
                .env(PANICS, thread)
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&child.stderr);
            assert_eq!(child.status.code(), Some(status::INTERNAL.into()), "{thread}: {told}");
            assert!(told.contains(&format!("in {thread} thread")), "{thread}: {told}");
        }
    }
}
