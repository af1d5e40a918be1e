//! `havenlint init`: writes a first deployment file.

use super::output::create_file;
use super::{say, status};
use crate::catalogue::{self, NONE};
use crate::compliance::path::is_cloud;
use crate::deployment::{Found, FoundKind, first_file, tells_roles};
use crate::dialect::ReadOptions;
use crate::dialect::load::load;
use crate::model::Firewall;
use crate::session::{DEFAULT_CATALOGUE, DEPLOYMENT_FILE};
use crate::source::discover::shown;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write a first havenlint.toml from the firewall files in a folder.
#[derive(Debug, Args)]
#[command(after_help = super::help::INIT)]
pub struct Init {
    /// The folder to search and to write to.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The catalogue that the file names. Left out: safehaven-4 if a file's name tells one of its roles, else `none`, which requires nothing.
    #[arg(long, value_name = "NAME|FILE")]
    catalogue: Option<String>,
}

/// Runs the command.
pub fn execute(args: &Init) -> u8 {
    let path = args.folder.join(DEPLOYMENT_FILE);
    let mut name = args.catalogue.as_deref().unwrap_or(DEFAULT_CATALOGUE);
    let mut catalogue = catalogue::open(name, &args.folder);
    if !catalogue.is_sound() {
        say(&format!("error: the catalogue `{name}` has errors: run `havenlint catalogue lint {name}`"));
        return status::TROUBLE;
    }
    let loaded = load(std::slice::from_ref(&args.folder), &ReadOptions::default(), None);
    for u in &loaded.unreadable {
        say(&format!("warning: {}: {}", u.path, u.message));
    }
    let found: Vec<Found> = loaded.firewalls.iter().flat_map(|f| files(f, &args.folder)).collect();
    if found.is_empty() {
        say(&format!("error: no firewall file found in {}", shown(&args.folder)));
        return status::NOTHING;
    }
    if args.catalogue.is_none() && !tells_roles(&found, &catalogue.vocabulary()) {
        name = NONE;
        catalogue = catalogue::open(name, &args.folder);
    }
    let text = first_file(&found, &catalogue.vocabulary(), name);
    match create_file(&path, &text) {
        Ok(()) => {
            say(&format!(
                "wrote {}: review it and fill in the blanks, then run `havenlint check {}`",
                shown(&path),
                shown(&args.folder)
            ));
            status::CLEAN
        }
        Err(e) => {
            say(&format!("error: {e}"));
            status::TROUBLE
        }
    }
}

fn files(firewall: &Firewall, folder: &Path) -> Vec<Found> {
    let kind = match () {
        () if is_cloud(firewall) => FoundKind::Cloud,
        // A configuration that describes interfaces with their networks is a router's.
        () if !firewall.interfaces.is_empty() => FoundKind::Gateway,
        () => FoundKind::Host,
    };
    let relative = |p: &str| {
        let path = Path::new(p);
        shown(path.strip_prefix(folder).unwrap_or(path)).trim_start_matches("./").to_owned()
    };
    // Companions of a host's file are found beside it; files of a cloud belong together.
    let count = if kind == FoundKind::Cloud { firewall.files.len() } else { 1 };
    firewall.files.iter().take(count).map(|f| Found { path: relative(&f.path), kind }).collect()
}
