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
fn built_in_catalogues_are_sound() {
    for (name, _) in BUILT_IN {
        let c = open(name, Path::new("."));
        assert_eq!(shown(&c), [""; 0]);
        assert_eq!(c.id, *name);
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
    ("SH4-NET-EXPOSED", "internet → cms, srn", "services", "", "forbidden"),
    ("SH4-NET-EGRESS", "cms, srn → internet", "any protocol", "operation", "advised against"),
    ("SH4-NET-OPEN-INSTALL", "cms, srn → internet", "tcp/80,443", "operation", "advised against"),
];

fn row(c: &Catalogue, r: &Requirement) -> [String; 5] {
    let flow = c.flow_words(r);
    let flow = flow.rsplit_once(", ").unwrap().0.trim_end_matches(|c: char| c.is_ascii_digit() || c == ',');
    let mut services = match &r.services {
        Services::These(list) => list.iter().map(service_words).collect::<Vec<_>>().join(" "),
        Services::OfDestination => "services".to_owned(),
    };
    if r.tls {
        services.push_str(" TLS");
    }
    let sites = r.when.site_types.iter().map(|t| format!("site {t}"));
    let exists = r.when.site_exists.iter().map(|t| format!("exists {t}"));
    let when = r.when.phases.iter().cloned().chain(sites).chain(exists).collect::<Vec<_>>().join(" ");
    let flow = flow.strip_suffix(&format!(", {}", services.trim_end_matches(" TLS"))).unwrap_or(flow);
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
