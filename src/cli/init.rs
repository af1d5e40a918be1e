//! `havenlint init`: writes a first deployment file.

use super::{say, status};
use crate::catalogue;
use crate::compliance::path::is_cloud;
use crate::deployment::{Found, FoundKind, first_file};
use crate::dialect::ReadOptions;
use crate::dialect::load::load;
use crate::model::Firewall;
use crate::session::{DEFAULT_CATALOGUE, DEPLOYMENT_FILE};
use crate::source::discover::shown;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a first havenlint.toml from the firewall files in a folder.
#[derive(Debug, Args)]
#[command(after_help = super::help::INIT)]
pub struct Init {
    /// The folder to search and to write to.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The catalogue that the file names.
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT_CATALOGUE)]
    catalogue: String,
}

/// Runs the command.
pub fn execute(args: &Init) -> u8 {
    let path = args.folder.join(DEPLOYMENT_FILE);
    let catalogue = catalogue::open(&args.catalogue, &args.folder);
    if !catalogue.is_sound() {
        say(&format!(
            "error: the catalogue `{0}` has errors: run `havenlint catalogue lint {0}`",
            args.catalogue
        ));
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
    let text = first_file(&found, &catalogue.vocabulary(), &args.catalogue);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut f| f.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            say(&format!(
                "wrote {}: review it and fill in the blanks, then run `havenlint check {}`",
                shown(&path),
                shown(&args.folder)
            ));
            status::CLEAN
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            say(&format!("error: {} already exists and is unchanged", shown(&path)));
            status::TROUBLE
        }
        Err(e) => {
            say(&format!("error: cannot write {}: {e}", shown(&path)));
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
