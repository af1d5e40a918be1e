//! Routes that files tell: those of pfSense and OPNsense, and the route tables of AWS.

use crate::{check, dump, problems, state};
use havenlint::finding::State::{self, Met, Undecided, Violated};

const OPEN: [&str; 3] = ["ACCEPT", "ACCEPT", "ACCEPT"];
const SHUT: [&str; 3] = ["DROP", "DROP", "ACCEPT"];

// Two gateways with the same networks on both sides, of which only `b` lets anything pass.
fn two_gateways(near: &str, a: &str, b: &str) -> String {
    let one = |name: &str, own: &str| {
        format!(
            "[[gateway]]\nname = \"{name}\"\nfirewall = [\"{name}.v4.rules\"]\n\
            interfaces = {{ eth0 = [\"{own}\", {near}], eth1 = [\"10.1.0.0/24\"] }}\n"
        )
    };
    one("a", a) + &one("b", b)
}

fn in_cloud(tables: &str) -> State {
    let groups = r#"{"SecurityGroups": [{"GroupId": "sg-0a1b2c3d4e5f60718", "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}]}"#;
    let interface = |id: &str, subnet: &str, address: &str| {
        format!(
            r#"{{"NetworkInterfaceId": "{id}", "VpcId": "vpc-1", "SubnetId": "{subnet}", "PrivateIpAddress": "{address}", "Groups": [{{"GroupId": "sg-0a1b2c3d4e5f60718"}}]}}"#
        )
    };
    let interfaces = format!(
        r#"{{"NetworkInterfaces": [{}, {}, {}]}}"#,
        interface("eni-srn", "subnet-1", "172.31.4.11"),
        interface("eni-a", "subnet-2", "172.31.4.2"),
        interface("eni-b", "subnet-2", "172.31.4.3"),
    );
    let deployment = "catalogue = \"safehaven-4\"\n[[site]]\nname = \"east\"\ntype = \"manual\"\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"east\"\nservice = [\"10.1.0.10\"]\n\
        [[node]]\nname = \"srn-1\"\nrole = \"srn\"\nsite = \"east\"\nservice = [\"172.31.4.11\"]\nfirewall = [\"aws/groups.json\"]\n"
        .to_owned()
        + &two_gateways("\"172.31.4.0/24\"", "172.31.4.2/24", "172.31.4.3/24");
    let report = check(
        &deployment,
        &[
            ("aws/groups.json", groups),
            ("aws/interfaces.json", &interfaces),
            ("aws/route-tables.json", tables),
            ("a.v4.rules", &dump(SHUT, &[])),
            ("b.v4.rules", &dump(OPEN, &[])),
        ],
    );
    let told = problems(&report);
    assert!(
        told.iter().all(|m| m.contains("was read with it") || m.contains("were read with it")),
        "{told:?}"
    );
    let rows: Vec<State> = report
        .requirements
        .iter()
        .filter(|r| r.id == "SH4-CMS-CLUSTER" && r.at.ends_with(".rules"))
        .map(|r| r.state)
        .collect();
    let worst = [Violated, Undecided, Met].into_iter().find(|s| rows.contains(s));
    worst.unwrap_or_else(|| panic!("{:#?}", report.requirements))
}

#[test]
fn a_route_table_of_aws_tells_the_next_gateway() {
    let table = |association: &str, route: &str| {
        format!(
            r#"{{"RouteTables": [{{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{association}], "PropagatingVgws": [], "Tags": [],
            "Routes": [{{"DestinationCidrBlock": "172.31.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}}, {route}]}}]}}"#
        )
    };
    let own = r#"{"Main": false, "RouteTableId": "rtb-1", "SubnetId": "subnet-1", "AssociationState": {"State": "associated"}}"#;
    let to = |cidr: &str, target: &str| {
        format!(
            r#"{{"DestinationCidrBlock": "{cidr}", {target}, "Origin": "CreateRoute", "State": "active"}}"#
        )
    };
    let (a, b) = (r#""NetworkInterfaceId": "eni-a""#, r#""NetworkInterfaceId": "eni-b""#);
    for (association, routes, expected) in [
        (own, to("0.0.0.0/0", b), Met),
        (own, to("0.0.0.0/0", a), Violated),
        // The most specific one counts.
        (own, to("0.0.0.0/0", a) + "," + &to("10.1.0.0/16", b), Met),
        (r#"{"Main": true, "RouteTableId": "rtb-1"}"#, to("0.0.0.0/0", b), Met),
        // What is not known decides nothing.
        (r#"{"Main": false, "SubnetId": "subnet-7"}"#, to("0.0.0.0/0", b), Undecided),
        (own, to("0.0.0.0/0", r#""GatewayId": "igw-1""#), Undecided),
        (own, to("0.0.0.0/0", r#""NetworkInterfaceId": "eni-7""#), Undecided),
        (
            own,
            to("0.0.0.0/0", b) + r#", {"DestinationPrefixListId": "pl-7", "NetworkInterfaceId": "eni-a"}"#,
            Undecided,
        ),
    ] {
        assert_eq!(in_cloud(&table(association, &routes)), expected, "{association} {routes}");
    }
    assert_eq!(in_cloud(r#"{"RouteTables": []}"#), Undecided);
}

// A configuration with the networks of the office, the link to two routers, and a route.
fn product(product: &str, gateways: &str, route: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<{product}><version>23.3</version><interfaces>\
        <wan><enable>1</enable><if>em0</if><ipaddr>203.0.113.2</ipaddr><subnet>24</subnet></wan>\
        <lan><enable>1</enable><if>em1</if><ipaddr>10.0.9.1</ipaddr><subnet>24</subnet></lan>\
        <opt1><enable>1</enable><if>em2</if><ipaddr>192.168.7.1</ipaddr><subnet>24</subnet></opt1></interfaces>\
        {gateways}<staticroutes><route>{route}</route></staticroutes>\
        <filter><rule><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><source><any>1</any></source><destination><any>1</any></destination></rule></filter></{product}>\n"
    )
}

const ITEMS: &str = "<gateway_item><name>A</name><interface>opt1</interface><gateway>192.168.7.2</gateway><ipprotocol>inet</ipprotocol></gateway_item>\
    <gateway_item><name>B</name><interface>opt1</interface><gateway>192.168.7.3</gateway><ipprotocol>inet</ipprotocol></gateway_item>\
    <gateway_item><name>UP</name><interface>wan</interface><gateway>dynamic</gateway><ipprotocol>inet</ipprotocol></gateway_item>";

// The state behind the two routers, and what is said beside.
fn behind(config: &str) -> (State, Vec<String>) {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\n\
        [[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\n"
        .to_owned()
        + &two_gateways("\"10.0.9.0/24\"", "192.168.7.2/24", "192.168.7.3/24");
    let files = [("edge.xml", config), ("a.v4.rules", &dump(SHUT, &[])), ("b.v4.rules", &dump(OPEN, &[]))];
    let report = check(&deployment, &files);
    let rows: Vec<State> = report
        .requirements
        .iter()
        .filter(|r| r.id == "SH4-CMS-SSH" && r.at.ends_with(".rules"))
        .map(|r| r.state)
        .collect();
    let worst = [Violated, Undecided, Met].into_iter().find(|s| rows.contains(s));
    (worst.unwrap_or_else(|| panic!("{:#?}", report.requirements)), problems(&report))
}

#[test]
fn a_static_route_tells_the_next_gateway() {
    let pf = format!("<gateways>{ITEMS}</gateways>");
    let opn = format!("<OPNsense><Gateways>{ITEMS}</Gateways></OPNsense>");
    for (name, gateways) in [("pfsense", &pf), ("opnsense", &pf), ("opnsense", &opn)] {
        let say = |route: &str| behind(&product(name, gateways, route));
        let to = |network: &str, gateway: &str| {
            format!("<network>{network}</network><gateway>{gateway}</gateway>")
        };
        assert_eq!(say(&to("10.1.0.0/24", "B")).0, Met, "{name}");
        assert_eq!(say(&to("10.1.0.0/24", "A")).0, Violated, "{name}");
        let (state, told) = say(&to("10.1.0.0/24", "GONE"));
        assert_eq!(state, Undecided, "{name}");
        assert!(told.iter().any(|m| m.contains("there is no gateway `GONE`")), "{name}: {told:?}");
        let (_, told) = say(&to("10.1.0.0/24", "Null4"));
        assert!(
            told.iter().any(|m| m.contains("`edge` discards what is sent to 10.1.0.10 (`cms-1`)")),
            "{told:?}"
        );
    }
}

#[test]
fn the_most_specific_route_tells_the_interface() {
    let deployment = "catalogue = \"safehaven-4\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
        [[node]]\nname = \"cms-1\"\nrole = \"cms\"\nservice = [\"10.1.0.10\"]\n\
        [[gateway]]\nname = \"edge\"\nfirewall = [\"edge.xml\"]\n";
    // Nothing may leave by opt1.
    let shut = "<filter><rule><type>block</type><floating>yes</floating><quick>yes</quick><direction>out</direction><interface>opt1</interface>\
        <ipprotocol>inet</ipprotocol><source><any>1</any></source><destination><any>1</any></destination></rule>";
    let with = |default: &str, routes: &str| {
        let config = product("pfsense", &format!("<gateways>{ITEMS}{default}</gateways>"), routes);
        let config = config.replace("<filter>", shut);
        state(&check(deployment, &[("edge.xml", &config)]), "SH4-CMS-SSH", "edge.xml")
    };
    let route =
        |network: &str, gateway: &str| format!("<network>{network}</network><gateway>{gateway}</gateway>");
    let also = "</route><route>";
    let elsewhere = route("10.7.0.0/16", "UP");
    assert_eq!(with("", &elsewhere), Met);
    assert_eq!(with("<defaultgw4>UP</defaultgw4>", &elsewhere), Met);
    assert_eq!(with("<defaultgw4>B</defaultgw4>", &elsewhere), Violated);
    let (wide, narrow) = (route("10.0.0.0/8", "UP"), route("10.1.0.0/16", "B"));
    assert_eq!(with("", &wide), Met);
    assert_eq!(with("", &format!("{wide}{also}{narrow}")), Violated);
    assert_eq!(with("", &format!("{}{also}{}", route("10.0.0.0/8", "B"), route("10.1.0.0/16", "UP"))), Met);
    assert_eq!(with("<defaultgw4>B</defaultgw4>", &wide), Met);
}
