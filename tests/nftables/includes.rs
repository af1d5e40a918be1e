//! Files that a ruleset includes: those of the box, those that are not there, and too many of them.

use super::around::verdict;
use havenlint::analysis::Verdict::{Accept, Drop, Undecided};
use havenlint::dialect::{Dialect, Includes, ReadOptions, nftables::Nftables};
use havenlint::model::Firewall;
use havenlint::source::{Severity, SourceFile};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

const MAIN: &str = "table inet fw4 {\n chain input {\n type filter hook input priority 0; policy drop;\n\
                    tcp dport 22 accept\n }\n include \"/etc/nftables.d/*.nft\"\n}\n";
const SSH: &str = "input eth0 tcp 10.0.0.5 > 10.1.0.10:22";

fn read(path: &Path, includes: Includes) -> Firewall {
    let file = SourceFile::new(path.to_string_lossy().into_owned(), fs::read(path).unwrap());
    Nftables.read(&[file], &ReadOptions { includes, ..ReadOptions::default() })
}

fn errors(f: &Firewall) -> Vec<&str> {
    f.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.message.as_str()).collect()
}

#[test]
fn absolute_names_are_those_of_the_box() {
    let folder = tempdir().unwrap();
    let (main, root) = (folder.path().join("main.nft"), folder.path().join("box"));
    fs::write(&main, MAIN).unwrap();
    fs::create_dir_all(root.join("etc/nftables.d")).unwrap();

    let unread = read(&main, Includes::default());
    assert_eq!(
        errors(&unread),
        ["`/etc/nftables.d/*.nft` is outside the folder of the input and is not read"]
    );
    assert_eq!(verdict(&unread, SSH), Undecided, "what is not read may drop");

    let empty = read(&main, Includes { assumed_empty: true, ..Includes::default() });
    assert_eq!((errors(&empty), verdict(&empty, SSH)), (Vec::new(), Accept));

    let in_box = Includes { root: Some(root.clone()), ..Includes::default() };
    let none = read(&main, in_box.clone());
    assert_eq!((errors(&none), verdict(&none, SSH)), (Vec::new(), Accept), "no file is fine for a pattern");

    fs::write(
        root.join("etc/nftables.d/10-early.nft"),
        "chain early {\n type filter hook input priority -10; policy accept;\n tcp dport 22 drop\n}\n",
    )
    .unwrap();
    let read_in = read(&main, in_box.clone());
    assert_eq!((errors(&read_in), verdict(&read_in, SSH)), (Vec::new(), Drop));
    let shown = &read_in.files[1].path;
    assert!(shown.ends_with("box/etc/nftables.d/10-early.nft"), "{shown}");

    fs::write(&main, MAIN.replace("*.nft", "missing.nft")).unwrap();
    let missing = read(&main, in_box);
    assert_eq!(
        errors(&missing),
        ["the file `/etc/nftables.d/missing.nft` is not below the folder of --include-root"]
    );
    assert_eq!(verdict(&missing, SSH), Undecided);
}

#[test]
fn includes_are_bounded_and_that_is_said() {
    let folder = tempdir().unwrap();
    for level in 0..15 {
        let name = format!("l{}.nft", level + 1);
        let text = format!("include \"./{name}\"\n").repeat(5);
        fs::write(folder.path().join(format!("l{level}.nft")), text).unwrap();
    }
    fs::write(folder.path().join("l15.nft"), "define x = 1\n").unwrap();
    let main = folder.path().join("main.nft");
    fs::write(&main, format!("{}include \"./l0.nft\"\n", MAIN.replace(" include", " # include"))).unwrap();
    let f = read(&main, Includes::default());
    let bound: Vec<_> = errors(&f).into_iter().filter(|m| m.starts_with("more than")).collect();
    assert_eq!(bound.len(), 1, "once: {bound:?}");
    let help =
        f.diagnostics.iter().find(|d| d.message == bound[0]).map(|d| d.help.as_str()).unwrap_or_default();
    assert!(help.contains("reached by main.nft > l0.nft > l1.nft > "), "{help}");
    assert!(f.files.len() < 2000);
    assert_eq!(verdict(&f, SSH), Undecided);
}
