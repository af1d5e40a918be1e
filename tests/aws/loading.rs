//! Files of one folder, or given together, are one firewall.

use crate::common::verdict;
use havenlint::analysis::Verdict::{Accept, Undecided};
use havenlint::dialect::ReadOptions;
use havenlint::dialect::load::load;
use std::fs;

const GROUPS: &str = r#"{"SecurityGroups":[{"GroupId":"sg-1","VpcId":"vpc-1","IpPermissions":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,
  "UserIdGroupPairs":[{"GroupId":"sg-1"}]}],"IpPermissionsEgress":[]}]}"#;
const INTERFACES: &str = r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-1","VpcId":"vpc-1","PrivateIpAddress":"10.1.0.7",
  "Groups":[{"GroupId":"sg-1"}]}]}"#;
const PACKET: &str = "ingress tcp 10.1.0.7:4000 > 10.1.0.7:22";

#[test]
fn companions_are_found_beside_a_named_file_and_in_a_walked_folder() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in
        [("west/groups.json", GROUPS), ("west/interfaces.json", INTERFACES), ("east/groups.json", GROUPS)]
    {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(dir.path().join("west/package.json"), r#"{"name":"x","entries":[1]}"#).unwrap();
    let options = ReadOptions::default();
    let named = load(&[dir.path().join("west/groups.json")], &options, None);
    assert_eq!((named.firewalls.len(), named.firewalls[0].files.len()), (1, 2));
    assert_eq!(verdict(&named.firewalls[0], None, PACKET), Accept);
    let walked = load(&[dir.path().to_owned()], &options, None);
    let verdicts: Vec<_> = walked.firewalls.iter().map(|f| verdict(f, Some(&["sg-1"]), PACKET)).collect();
    assert_eq!(verdicts, [Undecided, Accept], "east has no interfaces, west has");
    let both =
        load(&[dir.path().join("east/groups.json"), dir.path().join("west/interfaces.json")], &options, None);
    assert_eq!(both.firewalls.len(), 1);
    assert!(walked.unreadable.is_empty(), "{:?}", walked.unreadable);
}
