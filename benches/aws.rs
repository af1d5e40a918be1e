//! Ten thousand security groups, 15 MB: reading them, every question about the Internet, requirements of single nodes.
//!
//! To beat: 0.75 s, in which a Rego rule (regorus) answers one question, whether tcp/22 is open, about the same number of groups.

use criterion::{Criterion, criterion_group, criterion_main};
use havenlint::analysis::decide::{Question, decide};
use havenlint::analysis::{Environment, Point};
use havenlint::dialect::aws::Aws;
use havenlint::dialect::{Dialect, ReadOptions};
use havenlint::finding::Finding;
use havenlint::lint::registry::{CHECKS, Run, Subject};
use havenlint::model::Firewall;
use havenlint::packet::{Family, Field, IntervalSet, Path, Region, addr, proto};
use havenlint::source::SourceFile;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

/// A dump as the AWS CLI prints it. One group in 25 is open, in one of several ways.
fn dump(groups: usize) -> String {
    let mut out = String::from("{\n    \"SecurityGroups\": [\n");
    for g in 0..groups {
        let comma = if g + 1 < groups { "," } else { "" };
        let _ = write!(
            out,
            "        {{\n            \"GroupId\": \"sg-{g:017x}\",\n            \"GroupName\": \"service-{g}\",\n            \"Description\": \"group of service {g}\",\n            \"OwnerId\": \"111122223333\",\n            \"VpcId\": \"vpc-0d5e1a7c93b24f680\",\n            \"IpPermissions\": [\n"
        );
        for p in 0..3 {
            let open = g % 25 == 0 && p == 2;
            let cidr =
                if open { "0.0.0.0/1".to_owned() } else { format!("10.{}.{}.0/24", g % 250, (g + p) % 250) };
            let other = if open { "128.0.0.0/1".to_owned() } else { format!("172.16.{}.0/24", g % 250) };
            let port = [443, 20082, 22][p];
            let more = if open { format!(", {{\"CidrIp\": \"{other}\"}}") } else { String::new() };
            let end = if p < 2 { "," } else { "" };
            let _ = writeln!(
                out,
                "                {{\n                    \"IpProtocol\": \"tcp\",\n                    \"FromPort\": {port},\n                    \"ToPort\": {port},\n                    \"UserIdGroupPairs\": [],\n                    \"IpRanges\": [\n                        {{\n                            \"CidrIp\": \"{cidr}\"\n                        }}{more}\n                    ],\n                    \"Ipv6Ranges\": [],\n                    \"PrefixListIds\": []\n                }}{end}"
            );
        }
        let _ = writeln!(
            out,
            "            ],\n            \"IpPermissionsEgress\": [\n                {{\n                    \"IpProtocol\": \"-1\",\n                    \"IpRanges\": [\n                        {{\n                            \"CidrIp\": \"0.0.0.0/0\"\n                        }}\n                    ]\n                }}\n            ]\n        }}{comma}"
        );
    }
    out.push_str("    ]\n}\n");
    out
}

fn read(file: &Arc<SourceFile>) -> Firewall {
    Aws.read(std::slice::from_ref(file), &ReadOptions::default())
}

/// All checks about clouds: what the Internet reaches, by every group, over both families, and the hygiene.
fn checks(firewall: &Firewall) -> Vec<Finding> {
    let environment = Environment::default();
    let beside = [firewall];
    let subject = Subject::new(firewall, &beside, &environment, "cloud");
    let mut findings = Vec::new();
    for check in CHECKS.iter().filter(|c| c.id.starts_with("HL-AWS-INTERNET")) {
        if let Run::Firewall(run) = check.run {
            run(&subject, &mut findings);
        }
    }
    findings
}

/// Twenty requirements of a catalogue, asked of ten nodes: 200 exact region decisions.
fn requirements(firewall: &Firewall, groups: usize) -> usize {
    let mut parts = 0;
    for node in 0..10 {
        let label = format!("sg-{:017x}", node * (groups / 10));
        let environment = Environment { labels: Some(vec![label]), ..Environment::default() };
        let firewalls = [firewall];
        let point = Point { firewalls: &firewalls, environment: &environment };
        for n in 0..20u16 {
            let (path, own, peer) = if n % 2 == 0 {
                (Path::Ingress, Field::Dst, Field::Src)
            } else {
                (Path::Egress, Field::Src, Field::Dst)
            };
            let region = Region::all(Family::V4)
                .with(own, addr::parse("172.31.4.11").unwrap_or_default())
                .cut(peer, &addr::parse("10.0.0.0/8").unwrap_or_default())
                .protocol(proto::TCP)
                .with(Field::Dport, IntervalSet::single(20080 + n / 2))
                .with(Field::State, IntervalSet::single(0u8));
            let answer = decide(&Question { point, path, region, mark: 0, delivered_to: None });
            parts += answer.accepted.len() + answer.denied.len() + answer.undecided.len();
        }
    }
    parts
}

fn benches(c: &mut Criterion) {
    let groups = 10_000;
    let file = SourceFile::new("groups.json", dump(groups));
    let firewall = read(&file);
    let open = checks(&firewall).iter().filter(|f| f.rule == "HL-AWS-INTERNET-SSH").count();
    assert_eq!(open, groups / 25, "every open group is found");
    let mut g = c.benchmark_group(format!("aws {groups} groups {} MB", file.bytes().len() / 1_000_000));
    g.sample_size(10);
    g.bench_function("read", |b| b.iter(|| black_box(read(&file)).rule_count()));
    g.bench_function("what the Internet reaches, all checks", |b| {
        b.iter(|| black_box(checks(&firewall)).len())
    });
    g.bench_function("200 requirements", |b| b.iter(|| black_box(requirements(&firewall, groups))));
    g.bench_function("all of it", |b| {
        b.iter(|| {
            let firewall = read(&file);
            (checks(&firewall).len(), requirements(&firewall, groups))
        });
    });
    g.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
