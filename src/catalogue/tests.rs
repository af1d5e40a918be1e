//! The built-in catalogues against what they were made from, and resolving.

use super::*;
use std::path::Path;

fn shown(c: &Catalogue) -> Vec<String> {
    let place = |d: &Diagnostic| crate::source::locate(&c.files, d.origin);
    c.diagnostics
        .iter()
        .map(|d| {
            let l = place(d);
            format!("{}:{}:{} {} ({})", l.path, l.line, l.column, d.message, d.help)
        })
        .collect()
}

#[test]
fn every_requirement_is_shown_to_hold_and_to_fail() {
    for (name, _) in BUILT_IN {
        for r in &open(name, Path::new(".")).requirements {
            for state in [Expected::Met, Expected::Violated] {
                assert!(
                    r.examples.iter().any(|e| e.expect == state),
                    "{} has no example that is {state:?}",
                    r.id
                );
            }
        }
    }
}

#[test]
fn built_in_catalogues_are_sound() {
    for (name, _) in BUILT_IN {
        let c = open(name, Path::new("."));
        assert_eq!(shown(&c), [""; 0]);
        assert_eq!(c.id, *name);
        // Opening it does not look at the schema.
        let (_, found) = crate::source::document::read::<format::CatalogueFile>(&c.files[0]);
        assert_eq!(found, []);
    }
}

/// A row of the SafeHaven 4 table: id, flow, ports, when, kind.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

// From the table "SafeHaven 4 (the mission)" of the requirements, row by row.
const SAFEHAVEN_4: &[Row] = &[
    ("SH4-CMS-SSH", "admin → cms", "tcp/22", "", "required"),
    ("SH4-CMS-CLUSTER", "srn (service) → cms (service)", "tcp/20081 TLS", "", "required"),
    ("SH4-CMS-GUI", "gui → cms (client)", "tcp/20081 TLS", "", "required"),
    ("SH4-CMS-HEARTBEAT", "srn (service) → cms (service)", "udp/20081", "", "required"),
    ("SH4-SRN-SSH", "admin → srn (service)", "tcp/22", "", "required"),
    ("SH4-SRN-SSH-CMS", "cms (service) → srn (service)", "tcp/22", "", "required"),
    (
        "SH4-SRN-CLUSTER",
        "cms (service), srn (service) of every other site → srn (service)",
        "tcp/20082 TLS",
        "",
        "required",
    ),
    (
        "SH4-SRN-HEARTBEAT",
        "cms (service), srn (service) of every other site → srn (service)",
        "udp/20082",
        "",
        "required",
    ),
    (
        "SH4-SRN-REPLICATION",
        "srn (replication) of every other site → srn (replication)",
        "tcp/22",
        "",
        "required",
    ),
    ("SH4-SRN-HTTP", "protected-server (local) of the same site → srn (local)", "tcp/80", "", "required"),
    ("SH4-SRN-ISCSI", "protected-server (local) of the same site → srn (local)", "tcp/3260", "", "required"),
    (
        "SH4-SRN-AMQP",
        "protected-server (local) of the same site → srn (local)",
        "tcp/5671 TLS",
        "",
        "required",
    ),
    ("SH4-API-VSPHERE", "srn (service) → vcenter of the same site", "tcp/443", "site vmware", "required"),
    ("SH4-API-CLC", "srn (service) → `api.ctl.io`", "tcp/443", "site clc", "required"),
    ("SH4-GUI-VSPHERE", "gui → vcenter", "tcp/443,902", "exists vmware", "required"),
    ("SH4-NET-INSTALL", "cms (service), srn (service) → internet", "tcp/80,443", "installation", "required"),
    ("SH4-NET-UPDATE", "cms (service), srn (service) → `*.ctl.io`", "tcp/443", "", "recommended"),
    ("SH4-NET-EXPOSED", "internet → cms, srn", "every service of the destination", "", "forbidden"),
    ("SH4-NET-EGRESS", "cms, srn → internet", "any protocol", "operation", "advised against"),
    ("SH4-NET-OPEN-INSTALL", "cms, srn → internet", "tcp/80,443", "operation", "advised against"),
];

fn row(c: &Catalogue, r: &Requirement) -> [String; 5] {
    let flow = c.flow_words(r);
    let mut services = match &r.services {
        Services::These(list) => list.iter().map(service_words).collect::<Vec<_>>().join(", "),
        Services::OfDestination => "every service of the destination".to_owned(),
    };
    let flow = flow.strip_suffix(&format!(", {services}")).unwrap();
    if r.tls {
        services.push_str(" TLS");
    }
    let sites = r.when.site_types.iter().map(|t| format!("site {t}"));
    let exists = r.when.site_exists.iter().map(|t| format!("exists {t}"));
    let when = r.when.phases.iter().cloned().chain(sites).chain(exists).collect::<Vec<_>>().join(" ");
    [r.id.clone(), flow.to_owned(), services, when, r.kind.name().to_owned()]
}

fn compare(name: &str, expected: &[Row]) {
    let c = open(name, Path::new("."));
    let found: Vec<_> = c.requirements.iter().map(|r| row(&c, r)).collect();
    let expected: Vec<_> = expected.iter().map(|r| [r.0, r.1, r.2, r.3, r.4].map(str::to_owned)).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_row_of_safehaven_4() {
    compare("safehaven-4", SAFEHAVEN_4);
    let c = open("safehaven-4", Path::new("."));
    // The two sides of the console's flow are one requirement.
    assert_eq!(c.requirement("SH4-GUI-CMS").unwrap().id, "SH4-CMS-GUI");
    for r in &c.requirements {
        let expected = match r.kind {
            Kind::Required | Kind::Forbidden => Severity::Error,
            Kind::Recommended | Kind::AdvisedAgainst => Severity::Note,
        };
        assert_eq!(r.level, expected, "{}", r.id);
        assert!(r.reference.starts_with("kb/329 (2017-01-06), "), "{}", r.reference);
        assert!(!r.rationale.is_empty() && !r.examples.is_empty(), "{}", r.id);
    }
    assert_eq!(c.requirement("SH4-NET-OPEN-INSTALL").unwrap().breach, Breach::Whole);
    let vsphere = c.doc(c.requirement("SH4-GUI-VSPHERE").unwrap());
    assert!(
        vsphere.documentation.contains("* **parameter** `vsphere-console` = 902: The article"),
        "{}",
        vsphere.documentation
    );
}

#[test]
fn safehaven_5_differs_as_its_article_says() {
    let mut rows: Vec<Row> = SAFEHAVEN_4.iter().filter(|r| !r.0.ends_with("HEARTBEAT")).copied().collect();
    for r in &mut rows {
        match r.0 {
            "SH4-CMS-CLUSTER" => r.2 = "tcp/20082 TLS",
            "SH4-SRN-CLUSTER" => r.2 = "tcp/20083 TLS",
            _ => {}
        }
        r.0 = r.0.replace("SH4", "SH5").leak();
    }
    let after = |rows: &[Row], id: &str| rows.iter().position(|r| r.0 == id).unwrap() + 1;
    let at = after(&rows, "SH5-API-CLC");
    rows.insert(at, ("SH5-API-AWS", "srn (service) → `*.amazonaws.com`", "tcp/443", "site aws", "required"));
    let at = after(&rows, "SH5-GUI-VSPHERE");
    rows.insert(at, ("SH5-GUI-AWS", "gui → `*.amazonaws.com`", "tcp/443", "exists aws", "required"));
    compare("safehaven-5", &rows);
}

#[test]
fn documentation_is_complete() {
    let mut names = std::collections::BTreeSet::new();
    for (name, _) in BUILT_IN {
        for doc in open(name, Path::new(".")).docs() {
            assert!(doc.documentation.contains("## Why\n") && doc.documentation.contains("## Reference\n"));
            assert!(doc.summary.len() < 1024 && !doc.summary.ends_with('.'), "{}", doc.id);
            assert!(doc.tags.len() <= 10);
            names.insert(doc.id);
        }
    }
    assert_eq!(names.len(), 40);
}

#[test]
fn the_schema_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/catalogue.schema.json");
    let fresh = schema_text();
    if std::env::var_os("HAVENLINT_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "{} is stale: run this test with HAVENLINT_BLESS=1", path.display());
}

/// What is said of a catalogue's text, as `line:column message (help)`.
fn problems(text: &str) -> Vec<String> {
    let c = read(SourceFile::new("c.toml", text), Path::new("."));
    shown(&c).into_iter().map(|s| s.trim_start_matches("c.toml:").to_owned()).collect()
}

/// A catalogue with one requirement; the last lines belong to the requirement.
fn small(lines: &str) -> String {
    let head = "format = 1\nid = 'x-1'\nversion = '1'\ntitle = 'x'\nphases = [{ name = 'day', summary = 's' }]\n\
        [site-types]\nhill = { summary = 's' }\n[roles.web]\nsummary = 's'\nnetworks = [{ name = 'front', summary = 's' }]\n\
        [parameters.tls-port]\nports = [443]\nreason = 'r'\n[[requirement]]\nid = 'X1-WEB'\nname = 'Web'\ntitle = 't'\n\
        summary = 's'\nkind = 'required'\nsection = ''\nrationale = 'r'\n";
    format!("{head}{lines}")
}

#[test]
fn mistakes_are_told_at_their_place_with_a_suggestion() {
    let flow = "from = [{ set = 'internet' }]\nto = [{ role = 'web', network = 'front' }]\n";
    let sound = format!("{flow}protocols = ['tcp']\nports = ['tls-port', 80, '8000-8010']\n");
    assert_eq!(problems(&small(&sound)), [""; 0]);
    for (lines, expected) in [
        (
            "from = [{ set = 'internet' }]\nto = [{ role = 'wep' }]\nprotocols = ['tcp']",
            "23:16 unknown role `wep` (did you mean `web`?)",
        ),
        (
            "from = [{ set = 'internet' }]\nto = [{ role = 'web', network = 'frnt' }]\nprotocols = ['tcp']",
            "23:33 role `web` has no network `frnt` (did you mean `front`?)",
        ),
        (
            "from = [{ set = 'intenet' }]\nto = [{ role = 'web' }]\nprotocols = ['tcp']",
            "22:17 unknown address set `intenet` (did you mean `internet`?)",
        ),
        (
            "from = [{}]\nto = [{ role = 'web' }]\nprotocols = ['tcp']",
            "22:9 this end of a flow is empty (give one of `role`, `host` and `set`)",
        ),
        (
            "from = [{ host = 'a.example', set = 'internet' }]\nto = [{ role = 'web' }]\nprotocols = ['tcp']",
            "22:9 this end of a flow names more than one thing (give one of `role`, `host` and `set`)",
        ),
        (
            "from = [{ host = 'a b' }]\nto = [{ role = 'web' }]\nprotocols = ['tcp']",
            "22:18 `a b` is not a host name (write api.example.net, or *.example.net for all names under it)",
        ),
        (
            "from = [{ host = 'a.example', place = 'same-site' }]\nto = [{ role = 'web' }]\nprotocols = ['tcp']",
            "22:9 `network` and `place` do not apply to `a.example` (they belong to a `role`)",
        ),
    ] {
        assert_eq!(problems(&small(lines)), [expected], "{lines}");
    }
    for (lines, expected) in [
        ("protocols = ['tpc']", "24:14 unknown protocol `tpc` (did you mean `tcp`?)"),
        ("protocols = ['any', 'tcp']", "24:14 `any` stands for every protocol (leave out the others)"),
        ("protocols = ['icmp']\nports = [8]", "25:10 protocol icmp has no ports (leave out `ports`)"),
        (
            "protocols = ['tcp']\nports = ['tls-prt']",
            "25:10 `tls-prt` is not a port, a range of ports, or a parameter (did you mean `tls-port`?)",
        ),
        (
            "protocols = ['tcp']\nports = ['90-80']",
            "25:10 `90-80` is not a port, a range of ports, or a parameter (ports are 0 to 65535; write the lower end of a range first)",
        ),
        ("protocols = ['tcp']\nports = [70000]", "25:10 `ports` is out of range (use 0 to 65535)"),
        (
            "protocols = ['tcp']\nlevel = 'fatal'",
            "25:9 `level` cannot be `fatal` (use one of `note`, `warning`, `error`)",
        ),
        (
            "protocols = ['tcp']\nbreech = 'some'",
            "25:1 `requirement` has no key `breech` (did you mean `breach`?)",
        ),
        (
            "protocols = ['tcp']\nbreach = 'whole'",
            "15:6 `breach` and `except-wanted` do not apply to a required flow (they are for forbidden flows and flows that are advised against)",
        ),
        ("protocols = ['tcp']\nwhen = { phase = ['night'] }", "25:19 unknown phase `night` (use `day`)"),
        (
            "protocols = ['tcp']\nwhen = { site-type = ['hil'] }",
            "25:23 unknown site type `hil` (did you mean `hill`?)",
        ),
        (
            "protocols = ['tcp']\nservices = 'of-destination'",
            "24:14 `services` and `protocols` exclude each other (keep one of them)",
        ),
        ("protocols = ['tcp']\ntls = 'yes'", "25:7 `tls` must be a boolean, not a string ()"),
        (
            "protocols = ['tcp']\n[[requirement.example]]\ntitle = 'e'\nrole = 'wbe'\nfile = ''\nexpect = 'met'",
            "27:8 unknown role `wbe` (did you mean `web`?)",
        ),
        (
            "protocols = ['tcp']\n[[requirement.example]]\ntitle = 'e'\nrole = 'web'\nfile = ''\nexpect = 'mett'",
            "29:10 `expect` cannot be `mett` (did you mean `met`?)",
        ),
    ] {
        assert_eq!(problems(&small(&format!("{flow}{lines}"))), [expected], "{lines}");
    }
    assert_eq!(problems(&small(flow)), ["14:1 `X1-WEB` has no protocol (add `protocols = [\"tcp\"]`)"]);
}

#[test]
fn a_short_requirement_has_names_of_its_own() {
    let text = "format = 1\nid = 'x-1'\nversion = '1'\ntitle = 'x'\nroles.web = { summary = 's' }\n[[requirement]]\nid = 'WEB-HTTPS'\n\
        kind = 'required'\ntitle = 'Everybody can reach the web servers'\nfrom = [{ set = 'everywhere' }]\nto = [{ role = 'web' }]\n\
        protocols = ['tcp']\nports = [443]\n";
    let c = read(SourceFile::new("c.toml", text), Path::new("."));
    assert_eq!(shown(&c), [""; 0]);
    let r = &c.requirements[0];
    assert_eq!(
        (&*r.name, &*r.summary, &*r.reference),
        ("WebHttps", "Everybody can reach the web servers", "")
    );
    let page = c.doc(r).documentation;
    assert!(!page.contains("## Why") && !page.contains("## Reference"), "{page}");
}

#[test]
fn several_mistakes_are_told_in_one_run() {
    let text =
        small("from = [{ role = 'wbe' }]\nto = [{ role = 'web' }]\nprotocols = ['tcpp']\nports = ['x']\n");
    let text = text.replace("id = 'X1-WEB'", "id = 'x1 web'").replace("name = 'Web'", "name = 'web'");
    let lines: Vec<_> = problems(&text).iter().map(|p| p.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["15:6", "16:8", "22:18", "24:14", "25:10", "25:10"]);
    let broken = problems("format = 2\nid = ''\nversion = '1'\ntitle = 'x'\nroles = [\n");
    assert!(broken[0].starts_with("5:"), "{broken:?}");
    assert_eq!(
        problems("format = 2\nid = ''\nversion = '1'\ntitle = 'x'\n"),
        ["1:10 `format` is out of range (use 1)", "2:6 `id` is empty ()"]
    );
}

/// A user's own catalogue on top of a built-in one.
const OWN: &str = r#"
format = 1
id = "ours"
version = "3"
title = "SafeHaven and what our data centers need beside it"
extends = "safehaven-4"
remove = ["SH4-NET-OPEN-INSTALL"]

[sets.resolvers]
summary = "Our name servers."
addresses = ["10.0.53.1", "10.0.53.2"]

[parameters.vsphere-api]
ports = [8443]
reason = "Our vCenter servers were installed with this port."

[[requirement]]
id = "OUR-DNS"
name = "OurDns"
title = "Every SRN can ask our name servers"
summary = "names are resolved by our own servers"
kind = "required"
section = "Operations handbook"
from = [{ role = "srn", network = "service" }]
to = [{ set = "resolvers" }]
subject = "from"
protocols = ["udp", "tcp"]
ports = [53]
rationale = "Nothing else resolves internal names."

[[requirement]]
id = "SH4-CMS-SSH"
override = true
name = "CmsRemoteManagement"
title = "Administrators can reach the CMS on our ssh port"
summary = "sshd of the CMS listens on another port"
kind = "recommended"
level = "warning"
section = "Operations handbook"
from = [{ role = "admin" }]
to = [{ role = "cms" }]
protocols = ["tcp"]
ports = [2222]
rationale = "Moved by our hardening guide."
"#;

#[test]
fn a_catalogue_extends_another() {
    let base = open("safehaven-4", Path::new("."));
    let c = read(SourceFile::new("ours.toml", OWN), Path::new("."));
    assert_eq!(shown(&c), [""; 0]);
    assert_eq!((c.id.as_str(), c.version.as_str(), c.files.len()), ("ours", "3", 2));
    assert_ne!(c.sha256, base.sha256);
    assert_eq!(c.requirements.len(), base.requirements.len());
    assert!(c.requirement("SH4-NET-OPEN-INSTALL").is_none());
    let ssh = c.requirement("SH4-CMS-SSH").unwrap();
    assert_eq!((ssh.kind, ssh.level), (Kind::Recommended, Severity::Warning));
    assert_eq!(c.requirements[0].id, "SH4-CMS-SSH", "a replaced requirement keeps its place");
    assert_eq!(
        row(&c, c.requirement("OUR-DNS").unwrap())[1..3],
        ["srn (service) → resolvers", "udp/53, tcp/53"]
    );
    // Places lead to the right file.
    assert_eq!(crate::source::locate(&c.files, ssh.origin).path, "ours.toml");
    let own = c.requirement("SH4-SRN-SSH").unwrap().origin;
    assert_eq!(crate::source::locate(&c.files, own).text, "\"SH4-SRN-SSH\"");
    // A parameter that is changed is changed for the requirements that use it, too.
    let vsphere = |c: &Catalogue| row(c, c.requirement("SH4-API-VSPHERE").unwrap())[2].clone();
    assert_eq!((vsphere(&base), vsphere(&c)), ("tcp/443".to_owned(), "tcp/8443".to_owned()));
}

#[test]
fn extending_goes_wrong() {
    let with = |from: &str, to: &str| {
        problems(&OWN.replace(from, to))
            .into_iter()
            .map(|p| p.chars().take(90).collect::<String>())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        with("SH4-NET-OPEN-INSTALL", "SH4-NET-OPEN"),
        ["7:11 unknown requirement of the extended catalogue `SH4-NET-OPEN` (use one of `SH4-CMS-SSH"]
    );
    let missing = with("extends = \"safehaven-4\"", "extends = \"safehaven-3\"");
    assert!(missing[0].starts_with("6:11 cannot read the catalogue ./safehaven-3: "), "{missing:?}");
    assert_eq!(missing.len(), 1, "what follows from it is not told");
    assert_eq!(
        with("override = true\n", ""),
        ["32:6 `SH4-CMS-SSH` is a requirement of the extended catalogue (write `override = true` to "]
    );
    assert_eq!(
        with("id = \"OUR-DNS\"", "id = \"OUR-DNS\"\noverride = true"),
        ["18:6 `OUR-DNS` overrides no requirement of an extended catalogue (use one of `SH4-CMS-SSH`"]
    );
    assert_eq!(
        with("ports = [53]\n", ""),
        ["27:14 `OUR-DNS` names no ports of udp: every port would have to be open (add `ports`; if a",]
    );
    assert_eq!(
        with("to = [{ set = \"resolvers\" }]", "to = []"),
        ["18:6 `to` of `OUR-DNS` is empty: nobody would be asked (write to = [{ role = \"…\" }], or re"]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("circle.toml");
    std::fs::write(&path, OWN.replace("safehaven-4", "circle.toml")).unwrap();
    let circle = open("circle.toml", dir.path());
    assert!(
        shown(&circle).iter().any(|d| d.contains("extend each other in a circle")),
        "{:?}",
        shown(&circle)
    );
}

mod resolving {
    use super::super::resolve::{Addresses, Applies, Endpoint, ResolvedFlow, resolve};
    use super::*;
    use crate::deployment::{self, Deployment, Options, from_options};
    use crate::packet::{addr, public};

    const DEMO: &str = r#"
[networks]
admin = ["10.0.9.0/24", "2001:db8:9::/64"]
gui = ["10.0.8.15"]
[[site]]
name = "east"
type = "vmware"
vcenter = ["10.1.0.20"]
[[site]]
name = "west"
type = "clc"
[[node]]
name = "cms-1"
role = "cms"
site = "east"
address = ["10.1.0.10", "2001:db8:1::10"]
[[node]]
name = "srn-east"
role = "srn"
site = "east"
service = ["10.1.0.11"]
replication = ["10.1.5.11"]
local = ["10.1.8.11"]
interfaces = { eth1 = "replication" }
[[node]]
name = "srn-west"
role = "srn"
site = "west"
service = ["10.2.0.11"]
[[node]]
name = "files-01"
role = "protected-server"
site = "east"
local = ["10.1.8.51"]
"#;

    fn deployment(text: &str, c: &Catalogue) -> Deployment {
        let d = deployment::read(SourceFile::new("havenlint.toml", text), Path::new("."))
            .deployment(&c.vocabulary());
        assert_eq!(d.diagnostics, []);
        d
    }

    fn words(e: &Endpoint) -> String {
        match &e.addresses {
            Addresses::Known(s) if s == public::internet() => format!("{} = public", e.name),
            Addresses::Known(s) if s == public::with_documentation() => format!("{} = public+", e.name),
            Addresses::Known(s) => format!("{} = {}", e.name, addr::display(s).join(",")),
            Addresses::HostName(n) => format!("{} = name {n}", e.name),
            Addresses::Undeclared => format!("{} = ?", e.name),
        }
    }

    fn flows(id: &str, c: &Catalogue, d: &Deployment) -> Vec<String> {
        let of = |f: &&ResolvedFlow| c.requirements[f.requirement].id == id;
        resolve(c, d, &Default::default())
            .iter()
            .filter(of)
            .map(|f| match &f.applies {
                Applies::No(why) => format!("{}: {why}", f.subject_end().name),
                Applies::Yes => format!("{} → {}", words(&f.source), words(&f.destination)),
            })
            .collect()
    }

    #[test]
    fn a_cluster_over_two_sites() {
        let c = open("safehaven-4", Path::new("."));
        let d = deployment(DEMO, &c);
        for (id, expected) in [
            ("SH4-CMS-SSH", &["admin = 10.0.9.0/24,2001:db8:9::/64 → cms-1 = 10.1.0.10,2001:db8:1::10"][..]),
            (
                "SH4-CMS-CLUSTER",
                &[
                    "srn-east = 10.1.0.11 → cms-1 = 10.1.0.10,2001:db8:1::10",
                    "srn-west = 10.2.0.11 → cms-1 = 10.1.0.10,2001:db8:1::10",
                ],
            ),
            (
                "SH4-SRN-CLUSTER",
                &[
                    "cms-1 = 10.1.0.10,2001:db8:1::10 → srn-east = 10.1.0.11",
                    "cms-1 = 10.1.0.10,2001:db8:1::10 → srn-west = 10.2.0.11",
                    "srn-east = 10.1.0.11 → srn-west = 10.2.0.11",
                    "srn-west = 10.2.0.11 → srn-east = 10.1.0.11",
                ],
            ),
            (
                "SH4-SRN-REPLICATION",
                &[
                    "srn-east = 10.1.5.11 → srn-west = 10.2.0.11",
                    "srn-west = 10.2.0.11 → srn-east = 10.1.5.11",
                ],
            ),
            (
                "SH4-SRN-ISCSI",
                &[
                    "files-01 = 10.1.8.51 → srn-east = 10.1.8.11",
                    "protected-server = ? → srn-west = 10.2.0.11",
                ],
            ),
            (
                "SH4-API-VSPHERE",
                &[
                    "srn-east = 10.1.0.11 → vcenter of east = 10.1.0.20",
                    "srn-west: the site west is of type clc, not vmware",
                ],
            ),
            (
                "SH4-API-CLC",
                &[
                    "srn-east: the site east is of type vmware, not clc",
                    "srn-west = 10.2.0.11 → api.ctl.io = name api.ctl.io",
                ],
            ),
            ("SH4-GUI-VSPHERE", &["gui = 10.0.8.15 → vcenter of east = 10.1.0.20"]),
            (
                "SH4-NET-INSTALL",
                &[
                    "cms-1: the phase is operation, not installation",
                    "srn-east: the phase is operation, not installation",
                    "srn-west: the phase is operation, not installation",
                ],
            ),
            (
                "SH4-NET-OPEN-INSTALL",
                &[
                    "cms-1 = 10.1.0.10,2001:db8:1::10 → internet = public",
                    "srn-east = 10.1.0.11,10.1.5.11,10.1.8.11 → internet = public",
                    "srn-west = 10.2.0.11 → internet = public",
                ],
            ),
        ] {
            assert_eq!(flows(id, &c, &d), expected, "{id}");
        }
        let all = resolve(&c, &d, &Default::default());
        let replication = all
            .iter()
            .find(|f| f.source.name == "srn-east" && f.source.network.as_deref() == Some("replication"));
        assert_eq!(replication.unwrap().source.interfaces, ["eth1"]);
        assert_eq!(replication.unwrap().subject_end().name, "srn-west");
    }

    #[test]
    fn what_the_internet_must_not_reach() {
        let c = open("safehaven-4", Path::new("."));
        let d = deployment(DEMO, &c);
        let all = resolve(&c, &d, &Default::default());
        let exposed: Vec<_> =
            all.iter().filter(|f| c.requirements[f.requirement].id == "SH4-NET-EXPOSED").collect();
        let shown: Vec<_> = exposed
            .iter()
            .map(|f| {
                format!(
                    "{} {}",
                    f.destination.name,
                    service_words(&Service { protocol: f.protocol, ports: f.ports.clone() })
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "cms-1 tcp/22,20081",
                "cms-1 udp/20081",
                "srn-east tcp/22,80,3260,5671,20082",
                "srn-east udp/20082",
                "srn-west tcp/22,80,3260,5671,20082",
                "srn-west udp/20082",
            ]
        );
        assert_eq!(words(&exposed[0].source), "internet = public+");
        // Declared administrators with public addresses are wanted. (Documentation addresses stand for public ones.)
        let wanted = &exposed[0].except;
        assert_eq!(wanted.len(), 1, "{wanted:?}");
        assert_eq!(c.requirements[wanted[0].requirement].id, "SH4-CMS-SSH");
    }

    // The Internet of a flow that is to pass has no documentation addresses, that of a flow to be kept out has: what is wanted from the Internet
    // is exempt all the same, wherever it comes from.
    #[test]
    fn what_the_internet_needs_is_exempt_for_all_of_it() {
        let text = "format = 1\nid = 'x-1'\nversion = '1'\ntitle = 'x'\nroles.web = { summary = 's' }\n\
            [[requirement]]\nid = 'WEB-HTTPS'\nkind = 'required'\ntitle = 't'\nfrom = [{ set = 'internet' }]\nto = [{ role = 'web' }]\n\
            protocols = ['tcp']\nports = [443]\n\
            [[requirement]]\nid = 'WEB-CLOSED'\nkind = 'forbidden'\ntitle = 't'\nfrom = [{ set = 'internet' }]\nto = [{ role = 'web' }]\n\
            protocols = ['tcp']\nexcept-wanted = true\n";
        let c = read(SourceFile::new("c.toml", text), Path::new("."));
        let d = deployment("[[node]]\nname = 'web-1'\nrole = 'web'\naddress = ['10.0.20.11']\n", &c);
        let all = resolve(&c, &d, &Default::default());
        let closed = all.iter().find(|f| c.requirements[f.requirement].id == "WEB-CLOSED").unwrap();
        assert_eq!(closed.except.len(), 1);
        assert_eq!(closed.except[0].source, closed.source.addresses);
    }

    #[test]
    fn egress_leaves_out_what_is_wanted() {
        let c = open("safehaven-4", Path::new("."));
        let d = deployment(DEMO, &c);
        let all = resolve(&c, &d, &Default::default());
        let egress = |node: &str| {
            let f = all
                .iter()
                .find(|f| c.requirements[f.requirement].id == "SH4-NET-EGRESS" && f.source.name == node)
                .unwrap();
            assert_eq!((f.protocol, f.ports.count()), (None, 65536));
            f.except.iter().map(|e| c.requirements[e.requirement].id.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(egress("cms-1"), ["SH4-NET-UPDATE"]);
        // The address 2001:db8:1::10 of the CMS stands for a public one.
        let expected = ["SH4-CMS-CLUSTER", "SH4-CMS-HEARTBEAT", "SH4-API-CLC", "SH4-NET-UPDATE"];
        assert_eq!(egress("srn-west"), expected);
    }

    #[test]
    fn without_a_deployment_file() {
        let c = open("safehaven-4", Path::new("."));
        let options = |role: &str, sets: &[(&str, &str)]| {
            let options = Options {
                role: Some(role.to_owned()),
                sets: sets.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
                ..Options::default()
            };
            from_options(&options, &c.vocabulary()).unwrap()
        };
        let d = options("srn", &[]);
        assert_eq!(
            flows("SH4-SRN-CLUSTER", &c, &d),
            ["cms = ? → srn = ?", "srn = ? → srn = ?", "srn = ? → srn = ?"],
            "from the CMS, to a peer, from a peer"
        );
        assert_eq!(
            flows("SH4-CMS-SSH", &c, &d),
            ["cms: no machine or network is declared for its ends (admin, cms)"]
        );
        assert_eq!(flows("SH4-API-CLC", &c, &d), ["srn: the site of srn is not declared as type clc"]);
        let d = options("srn", &[("srn.service", "10.2.0.0/24"), ("cms", "10.1.0.10")]);
        assert_eq!(
            flows("SH4-SRN-CLUSTER", &c, &d),
            [
                "cms = 10.1.0.10 → srn = ?",
                "srn = ? → srn.service = 10.2.0.0/24",
                "srn.service = 10.2.0.0/24 → srn = ?"
            ]
        );
        let d = options("cms", &[("cms.service", "10.1.0.10")]);
        assert_eq!(flows("SH4-CMS-CLUSTER", &c, &d), ["srn = ? → cms = 10.1.0.10"]);
        assert_eq!(
            flows("SH4-SRN-HTTP", &c, &d),
            ["srn: no machine or network is declared for its ends (protected-server, srn)"]
        );
    }
}
