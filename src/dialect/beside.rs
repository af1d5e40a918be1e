//! Files that lie beside those that are named and may be read with them.

use super::load::{claimed, position};
use super::{Role, World, detect};
use crate::source::discover::{head, siblings};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What lies in the folders of named files: each folder is looked through once, however many members of a deployment have their files in it.
#[derive(Debug, Default)]
pub struct Folders(Mutex<HashMap<PathBuf, Arc<[Beside]>>>);

/// A file that may be part of a firewall by its place.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    pub path: PathBuf,
    pub dialect: usize,
    pub role: Role,
    pub world: World,
}

impl Folders {
    /// Such files in the folder of a file, in order of path; maybe the file itself.
    pub(super) fn of(&self, named: &Path) -> Arc<[Beside]> {
        let folder = named.parent().unwrap_or(Path::new("")).to_owned();
        let Ok(mut known) = self.0.lock() else { return look(&folder) };
        Arc::clone(known.entry(folder).or_insert_with_key(|folder| look(folder)))
    }
}

fn look(folder: &Path) -> Arc<[Beside]> {
    siblings(folder).into_iter().filter_map(recognised).collect()
}

fn recognised(path: PathBuf) -> Option<Beside> {
    let start = head(&path).ok()?;
    let seen = detect(&start).map(|(d, role)| (d, role, d.world(&start)));
    let (dialect, role, world) = seen.or_else(|| claimed(&path, false))?;
    let dialect = position(dialect);
    (role == Role::Companion || world == World::Folder).then_some(Beside { path, dialect, role, world })
}
