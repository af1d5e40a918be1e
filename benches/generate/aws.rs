//! Answers of the EC2 API.

use super::dotted;
use std::fmt::Write as _;

fn group(g: usize) -> String {
    format!("sg-{g:017x}")
}

// A list of objects as the AWS CLI prints it, one an item.
fn list(name: &str, count: usize, object: impl Fn(usize) -> String) -> String {
    let mut out = format!("{{\n    \"{name}\": [\n");
    for n in 0..count {
        let comma = if n + 1 < count { "," } else { "" };
        let _ = writeln!(out, "        {}{comma}", object(n));
    }
    out + "    ]\n}\n"
}

/// Groups of three services; one in 25 lets in the Internet, and one service of each a neighbour group.
pub fn groups(count: usize) -> String {
    list("SecurityGroups", count, |g| {
        let entry = |port: u16, peers: String| {
            format!(r#"{{"IpProtocol": "tcp", "FromPort": {port}, "ToPort": {port}, {peers}}}"#)
        };
        let nets = |list: &[String]| {
            let all: Vec<String> = list.iter().map(|c| format!(r#"{{"CidrIp": "{c}"}}"#)).collect();
            format!(r#""IpRanges": [{}]"#, all.join(", "))
        };
        let ssh = match g % 25 {
            0 => nets(&["0.0.0.0/1".to_owned(), "128.0.0.0/1".to_owned()]),
            _ => nets(&[format!("10.{}.{}.0/24", g % 250, g % 249)]),
        };
        let pair = format!(r#""UserIdGroupPairs": [{{"GroupId": "{}"}}]"#, group((g * 7 + 1) % count));
        let entries =
            [entry(443, nets(&[format!("10.{}.0.0/16", g % 250)])), entry(20082, pair), entry(22, ssh)];
        format!(
            r#"{{"GroupId": "{}", "GroupName": "service-{g}", "Description": "service {g}", "VpcId": "vpc-0d5e1a7c93b24f680", "IpPermissions": [{}], "IpPermissionsEgress": [{{"IpProtocol": "-1", "IpRanges": [{{"CidrIp": "0.0.0.0/0"}}]}}]}}"#,
            group(g),
            entries.join(", ")
        )
    })
}

/// An interface for each of so many groups; every other one carries a second group.
pub fn interfaces(count: usize) -> String {
    list("NetworkInterfaces", count, |i| {
        let second = match i % 2 {
            1 if i * 3 % count != i => format!(r#", {{"GroupId": "{}"}}"#, group(i * 3 % count)),
            _ => String::new(),
        };
        let address = dotted(172 << 24 | 16 << 16 | i as u32);
        format!(
            r#"{{"NetworkInterfaceId": "eni-{i:017x}", "VpcId": "vpc-0d5e1a7c93b24f680", "PrivateIpAddress": "{address}", "PrivateIpAddresses": [{{"PrivateIpAddress": "{address}", "Primary": true}}], "Groups": [{{"GroupId": "{}"}}{second}], "Status": "in-use"}}"#,
            group(i)
        )
    })
}
