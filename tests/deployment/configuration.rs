//! What a deployment file says to no effect, or against its files, is told.

use crate::{check, dump, problems};

const NODE: &str =
    "[[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\nfirewall = [\"a.v4.rules\"]\n";

fn told(text: &str) -> Vec<String> {
    let open = dump(["ACCEPT", "ACCEPT", "ACCEPT"], &[]);
    let pfsense = "<?xml version=\"1.0\"?>\n<pfsense><version>23.3</version><interfaces>\
        <wan><enable/><if>em0</if><ipaddr>203.0.113.2</ipaddr><subnet>24</subnet></wan>\
        <lan><enable/><if>em1</if><descr>OFFICE</descr><ipaddr>10.1.0.1</ipaddr><subnet>24</subnet></lan></interfaces></pfsense>\n";
    let head = "catalogue = \"safehaven-4\"\n";
    // A file that nothing names would be told.
    let files = [("a.v4.rules", open.as_str()), ("edge.xml", pfsense)];
    let named = if text.contains("edge.xml") { &files[..] } else { &files[..1] };
    problems(&check(&format!("{head}{text}"), named))
}

#[test]
fn what_has_no_effect_is_told() {
    for (text, expected) in [
        (NODE.to_owned(), &[][..]),
        // A list with a mistake in it may be used once it is mended.
        (format!("[networks]\nlab = []\n{NODE}"), &["this list of addresses is empty"]),
        (format!("[networks]\nlab = [\"10.7.0.0/24\"]\n{NODE}"), &["nothing uses the network `lab`"]),
        (format!("[networks]\nlab = [\"10.7.0.0/24\"]\nadmin = [\"lab\"]\n{NODE}"), &[]),
        (format!("[names]\n\"api.ctl.io\" = [\"45.77.3.80\"]\n{NODE}"), &[]),
        (
            format!("[names]\n\"api.ctl.oi\" = [\"45.77.3.80\"]\n{NODE}"),
            &["nothing uses the name `api.ctl.oi`"],
        ),
        (format!("{NODE}[[site]]\nname = \"east\"\ntype = \"manual\"\n"), &["nothing is in the site `east`"]),
        (
            NODE.replace("[\"a.v4.rules\"]", "[]"),
            &["this list of files is empty", "no node or gateway of the deployment file names it"],
        ),
        (
            format!("[networks]\nadmin = [\"10.0.9.0/24\"]\nsrn = [\"10.1.0.0/24\"]\n{NODE}"),
            &["nothing uses the network `srn`"],
        ),
        (
            format!(
                "{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\ninterfaces = {{ lan = [\"10.77.0.0/24\"], wan = [\"internet\"] }}\n"
            ),
            &["`edge` is on no path: of its interfaces, only `wan`"],
        ),
        (NODE.replace("service = [\"10.1.0.10\"]\n", ""), &["`cms-1` has no address"]),
        (
            NODE.to_owned() + &NODE.replace("cms-1", "cms-2").replace(".10\"", ".11\""),
            &["is the firewall of `cms-1` and of `cms-2`"],
        ),
        (
            format!("{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"a.v4.rules\"]\n"),
            &[
                "is the firewall of `cms-1` and of `edge`",
                "nothing says which networks are behind the interfaces of `edge`",
            ],
        ),
        (format!("{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\n"), &[]),
        (
            format!(
                "{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\ninterfaces = {{ lan = [\"10.1.0.0/24\"], em0 = [\"internet\"], opt7 = [\"10.9.0.0/24\"] }}\n"
            ),
            &["`edge` has no interface `opt7` in its file"],
        ),
        (
            format!(
                "{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\ninterfaces = {{ OFFICE = [\"10.1.0.0/24\"] }}\n"
            ),
            &["`edge` has one interface"],
        ),
        (
            format!(
                "{NODE}[[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\ninterfaces = {{ lan = [\"10.1.0.0/24\"], wan = [\"10.1.0.0/24\"] }}\n"
            ),
            &["the same addresses are behind lan and wan of `edge`"],
        ),
    ] {
        let mut left = told(&text);
        for part in expected {
            let at = left
                .iter()
                .position(|m| m.contains(part))
                .unwrap_or_else(|| panic!("{part}: {left:?}\n{text}"));
            left.remove(at);
        }
        assert!(left.is_empty(), "{left:?}\n{text}");
    }
}

#[test]
fn one_mistake_is_told_once() {
    let open = dump(["ACCEPT", "ACCEPT", "ACCEPT"], &[]);
    let own = "format = 1\nid = \"own\"\nversion = \"1\"\ntitle = \"t\"\nextends = \"safehaven-44\"\n\
        [[requirement]]\nid = \"OWN-A\"\ntitle = \"t\"\nkind = \"required\"\nfrom = [{ role = \"admin\" }]\nto = [{ role = \"cms\" }]\nprotocols = [\"tcp\"]\nports = [22]\n";
    let deployment = format!(
        "catalogue = \"own.toml\"\nphase = \"operation\"\n[[site]]\nname = \"east\"\ntype = \"manual\"\n{NODE}"
    );
    let report = check(&deployment, &[("a.v4.rules", &open), ("own.toml", own)]);
    let all = problems(&report);
    assert!(matches!(all.as_slice(), [one] if one.contains("cannot read the catalogue")), "{all:?}");
}
