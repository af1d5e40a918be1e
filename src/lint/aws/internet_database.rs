//! A security group opens a database to the Internet.
//!
//! ## What it does
//! Reports groups, and interfaces with several groups, through which the Internet reaches the port of a usual database:
//! SQL Server 1433, Oracle 1521, MySQL 3306, PostgreSQL 5432, CouchDB 5984, Redis 6379, Cassandra 9042, Elasticsearch
//! 9200, memcached 11211 (tcp and udp), MongoDB 27017. The union of all rules of a group counts, and of all groups of an
//! interface; sources that together are wider than a /8 (IPv4) or a /16 (IPv6) of public addresses are the Internet, so
//! 0.0.0.0/1 and 128.0.0.0/1 are found like 0.0.0.0/0, also inside a prefix list.
//!
//! ## Why is this bad?
//! Databases are made for trusted networks; some need no password. Their data leaves unnoticed.
//!
//! ## Example
//! ```json
//! {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
//! ```
//!
//! ## Use instead
//! Allow the group of the servers that use the database: a reference to a group instead of a prefix.

use super::exposure_finding::open_ports;
use crate::finding::{Finding, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::lint::sensitive_ports::Class;

/// The check.
pub static CHECK: Check = Check {
    id: "HL-AWS-INTERNET-DATABASE",
    name: "InternetReachesDatabase",
    summary: "the Internet can reach a database",
    level: Severity::Error,
    security_severity: Some(8.6),
    source: include_str!("internet_database.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    open_ports(&CHECK, subject, findings, Class::Database);
}
