//! A rule opens a database to any address.
//!
//! ## What it does
//! Reports rules that let anybody reach the port of a usual database: SQL Server 1433, Oracle 1521, MySQL 3306, PostgreSQL 5432,
//! Redis 6379, Elasticsearch 9200, memcached 11211, MongoDB 27017 and others. A port that Docker publishes passes by the rules of INPUT, and so
//! by those of ufw. Packets that open a connection are followed, from public addresses, by any interface but the loopback, to the machine and
//! through it: what counts is what is let through in the end, by which rule, published ports and other translations included. Sources
//! that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses count as anybody. A rate limit closes nothing. One rule
//! that opens several services has one finding, of the worst of them.
//!
//! Where the files tell that an interface faces the Internet (pfSense: it has a gateway, or its address from a provider), this is
//! an error; where nothing tells, the level is one lower. What comes in by interfaces that face inside is listed in the report and is no
//! finding.
//!
//! ## Why is this bad?
//! Databases are made for trusted networks; some need no password. Their data leaves unnoticed.
//!
//! ## Example
//! ```text
//! -A DOCKER ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432
//! -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! -A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::services;
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-DATABASE",
    name: "ExposedDatabase",
    summary: "any address can reach a database",
    level: Severity::Warning,
    security_severity: Some(8.6),
    source: include_str!("exposed_database.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    services(&CHECK, subject, findings, Class::Database);
}
