//! `havenlint catalogue`: look after catalogues.

use super::output::create_file;
use super::{print, say, status, style};
use crate::catalogue::{self, BUILT_IN, Catalogue, Example, Expected, Requirement, TEMPLATE};
use crate::compliance::example;
use crate::finding::{Problem, Report, State};
use crate::report::FORMATS;
use crate::source::discover::shown;
use clap::{Args, ColorChoice, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Begin a catalogue, check it, run its examples, or print the format's JSON schema.
#[derive(Debug, Args)]
#[command(after_help = super::help::CATALOGUE)]
pub struct CatalogueArgs {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report what is wrong with catalogues.
    Lint {
        /// Catalogue files, or names of built-in catalogues.
        #[arg(required = true, value_name = "FILE|NAME")]
        catalogues: Vec<String>,
    },
    /// Write a catalogue to begin your own with.
    New {
        /// The file, which must not be there yet. Left out: it is printed.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the JSON schema of catalogue files.
    Schema,
    /// Run the examples in catalogues: each must have its expected state.
    Test {
        /// Catalogue files, or names of built-in catalogues. Left out: all built-in ones.
        #[arg(value_name = "FILE|NAME")]
        catalogues: Vec<String>,
        /// Print only what fails.
        #[arg(long, short)]
        quiet: bool,
    },
}

/// Runs the command.
pub fn execute(args: &CatalogueArgs, color: ColorChoice) -> u8 {
    match &args.command {
        Command::Schema => print(|out| out.write_all(catalogue::schema_text().as_bytes())),
        Command::New { file: None } => print(|out| out.write_all(TEMPLATE.as_bytes())),
        Command::New { file: Some(file) } => match create_file(file, TEMPLATE) {
            Ok(()) => {
                say(&format!("wrote {0}: change it, then run `havenlint catalogue lint {0}`", shown(file)));
                status::CLEAN
            }
            Err(e) => {
                say(&format!("error: {e}"));
                status::TROUBLE
            }
        },
        Command::Lint { catalogues } => worst(catalogues.iter().map(|spec| lint(spec, color))),
        Command::Test { catalogues, quiet } => {
            let all: Vec<String> = BUILT_IN.iter().map(|b| b.0.to_owned()).collect();
            let specs = if catalogues.is_empty() { &all } else { catalogues };
            worst(specs.iter().map(|spec| test(spec, *quiet, color)))
        }
    }
}

fn worst(statuses: impl Iterator<Item = u8>) -> u8 {
    statuses.max().unwrap_or(status::CLEAN)
}

fn lint(spec: &str, color: ColorChoice) -> u8 {
    let catalogue = catalogue::open(spec, Path::new(""));
    let told = tell(&catalogue, color);
    if !catalogue.is_sound() || told != status::CLEAN {
        return status::TROUBLE;
    }
    for (id, missing) in without_example(&catalogue) {
        say(&format!(
            "note: {id} has no example that is {missing}: nothing shows that the requirement can come out so"
        ));
    }
    let examples: usize = catalogue.requirements.iter().map(|r| r.examples.len()).sum();
    print(|out| {
        writeln!(
            out,
            "{spec}: {} {}, {} requirements, {examples} examples, sha256 {}",
            catalogue.id,
            catalogue.version,
            catalogue.requirements.len(),
            catalogue.sha256
        )
    })
}

// Requirements without an example that holds, or without one that fails.
fn without_example(catalogue: &Catalogue) -> Vec<(&str, &'static str)> {
    let states = [(Expected::Met, "met"), (Expected::Violated, "violated")];
    let lacks = |r: &Requirement, e: Expected| r.examples.iter().all(|x| x.expect != e);
    let of = |r| states.into_iter().filter(move |(e, _)| lacks(r, *e));
    catalogue.requirements.iter().flat_map(|r| of(r).map(|(_, word)| (r.id.as_str(), word))).collect()
}

// Shows what is wrong with a catalogue.
fn tell(catalogue: &Catalogue, color: ColorChoice) -> u8 {
    if catalogue.diagnostics.is_empty() {
        return status::CLEAN;
    }
    let problems = catalogue.diagnostics.iter().map(|d| Problem::of(d, &catalogue.files)).collect();
    let report = Report::of_problems(problems, catalogue.files.clone());
    let style = crate::report::Style { quiet: true, ..style(color, false) };
    print(|out| (FORMATS[0].1)(&report, &style, out))
}

fn test(spec: &str, quiet: bool, color: ColorChoice) -> u8 {
    let catalogue = catalogue::open(spec, Path::new(""));
    tell(&catalogue, color);
    if !catalogue.is_sound() {
        return status::TROUBLE;
    }
    let mut failed = 0;
    let mut passed = 0;
    let printed = print(|out| {
        for r in &catalogue.requirements {
            for e in &r.examples {
                let outcome = one(&catalogue, r, e);
                let good = outcome.is_ok();
                passed += usize::from(good);
                failed += usize::from(!good);
                line(&catalogue, r, e, outcome, quiet, out)?;
            }
        }
        writeln!(out, "{spec}: {passed} examples passed, {failed} failed")
    });
    if failed > 0 { status::FINDINGS } else { printed }
}

fn one(catalogue: &Catalogue, r: &Requirement, e: &Example) -> Result<(), String> {
    let state = example::run(catalogue, r, e)?;
    let expected = match e.expect {
        Expected::Met => State::Met,
        Expected::Violated => State::Violated,
        Expected::Undecided => State::Undecided,
        Expected::NotApplicable => State::NotApplicable,
    };
    if state == expected {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, found {state:?}")
            .to_lowercase()
            .replace("notapplicable", "not applicable")
            .replace("notchecked", "not checked"))
    }
}

fn line(
    catalogue: &Catalogue,
    r: &Requirement,
    e: &Example,
    outcome: Result<(), String>,
    quiet: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    match outcome {
        Ok(()) if quiet => Ok(()),
        Ok(()) => writeln!(out, "ok    {}: {}", r.id, e.title),
        Err(why) => {
            let at = crate::source::locate(&catalogue.files, e.origin);
            writeln!(out, "FAIL  {}: {}\n      {}:{}: {why}", r.id, e.title, at.path, at.line)
        }
    }
}
