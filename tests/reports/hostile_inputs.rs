//! Inputs of every dialect, with a deployment and a catalogue, in which somebody writes the same hostile text wherever text can stand: names of
//! files, tables, chains, sets, interfaces and machines, comments, descriptions, tags, titles, reasons. Every format shows it harmlessly.

use crate::hostile::{faults, styles};
use crate::sample::render;
use havenlint::report::FORMATS;
use havenlint::session::{Options, run};
use std::fs;
use std::path::Path;

/// One at a time: each must survive the way into the file, so that it comes out again.
const TEXTS: &[&str] = &[
    "::stop-commands::x",
    "##[error]x ##vso[task.setvariable variable=x]y ##teamcity[message text='x']",
    "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m",
    "\u{202e}dlrow\u{2066}\u{200b}\u{ad}\u{feff}\u{e0041}",
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "]]><!-- </failure></testcase> &lt;&#x1b; <?xml?>",
    "[x](javascript:alert(1)) ![x](http://evil.example) `c` **x** ~~x~~ @everyone #1",
    "| x | y |\n|---|---|\n```\n# x\n> [!CAUTION]\n::error::x",
    "=HYPERLINK(\"http://evil.example\")",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "%0A::error::x%25, a,b:c=d",
    "\n::error::x\r::add-mask::x\u{2028}::error::x",
];

/// How a text is written in a kind of file.
type Writing = fn(&str) -> String;

/// In one line, between quotes that nothing inside can end.
fn quoted(text: &str) -> String {
    text.replace(['"', '\\', '\n', '\r'], "_")
}

/// A name without blanks, as the tools take it.
fn word(text: &str) -> String {
    let plain = text.replace(['"', '\'', '\\', '\n', '\r', ' ', '\t', ',', '{', '}', ';'], "_");
    plain.chars().take(5).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text");
    quoted[1..quoted.len() - 1].to_owned()
}

/// XML has no control characters but these.
fn xml(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r')).collect();
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const IPTABLES: &str = "# @q@\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:@w@ - [0:0]\n\
    -A INPUT -j @w@\n-A INPUT -i @w@ -p tcp -m tcp --dport 22 -m comment --comment \"@q@\" -j ACCEPT\n\
    -A INPUT -i @w@ -p tcp -m tcp --dport 22 -m comment --comment \"@q@\" -j ACCEPT\n\
    # havenlint: allow HL-DUPLICATE @q@ owner=@w@\n\
    -A INPUT -i @w@ -p tcp -m tcp --dport 22 -m comment --comment \"@q@\" -j ACCEPT\n\
    # havenlint: allow @w@ @q@\n\
    -A INPUT -m set --match-set @w@ src -m string --string \"@q@\" --algo bm -j ACCEPT\n\
    -A INPUT -j LOG --log-prefix \"@q@\"\n-A INPUT -m @w@ --@w@ \"@q@\" -j ACCEPT\n-A @w@ -p tcp -m tcp --dport 3389 -j ACCEPT\n\
    -A INPUT -j @w@x\n@q@\nCOMMIT\n";
const NFTABLES: &str = "# @q@\ndefine x = \"@q@\"\ntable inet t {\n  comment \"@q@\"\n  set s { type ipv4_addr; comment \"@q@\"; elements = { 192.0.2.1 comment \"@q@\" } }\n\
    chain input { type filter hook input priority 0; policy accept;\n    iifname \"@q@\" tcp dport 22 accept comment \"@q@\"\n\
    iifname \"@q@\" tcp dport 22 accept comment \"havenlint:allow=@q@\"\n    ip saddr @s log prefix \"@q@\" drop\n    meta x \"@q@\" accept\n    tcp dport { 3389, \"@q@\" } accept\n  }\n}\n\
    include \"@q@\"\n@q@\n";
const NFTABLES_JSON: &str = "{\"nftables\":[{\"metainfo\":{\"version\":\"@q@\",\"json_schema_version\":1}},{\"table\":{\"family\":\"inet\",\"name\":\"@q@\",\"comment\":\"@q@\"}},\n\
    {\"chain\":{\"family\":\"inet\",\"table\":\"@q@\",\"name\":\"@q@\",\"type\":\"filter\",\"hook\":\"input\",\"prio\":0,\"policy\":\"accept\"}},\n\
    {\"rule\":{\"family\":\"inet\",\"table\":\"@q@\",\"chain\":\"@q@\",\"comment\":\"havenlint:allow=@q@\",\"expr\":[{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"iifname\"}},\"right\":\"@q@\"}},{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"tcp\",\"field\":\"dport\"}},\"right\":22}},{\"accept\":null}]}},\n\
    {\"rule\":{\"family\":\"inet\",\"table\":\"@q@\",\"chain\":\"@q@\",\"expr\":[{\"@q@\":\"@q@\"},{\"accept\":null}]}}]}";
const PFSENSE: &str = "<?xml version=\"1.0\"?>\n<pfsense><version>22.9</version><system><hostname>@q@</hostname><domain>@q@</domain></system><interfaces>\
    <wan><enable/><if>em0</if><descr>@q@</descr><ipaddr>198.51.100.2</ipaddr><subnet>24</subnet><gateway>GW</gateway></wan>\
    <lan><enable/><if>@q@</if><descr>@q@</descr><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet></lan></interfaces>\
    <gateways><gateway_item><interface>wan</interface><gateway>198.51.100.1</gateway><name>GW</name><descr>@q@</descr></gateway_item></gateways>\
    <aliases><alias><name>A</name><type>host</type><address>@q@</address><descr>@q@</descr><detail>@q@</detail></alias><alias><name>@q@</name><type>host</type><address>10.0.0.9</address></alias></aliases>\
    <filter><rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><any/></source>\
    <destination><any/><port>22</port></destination><descr>@q@</descr><tracker>@q@</tracker><created><username>@q@</username></created></rule>\
    <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><any/></source>\
    <destination><any/><port>22</port></destination><descr>havenlint:allow=@q@</descr><sched>@q@</sched></rule>\
    <rule><type>@q@</type><interface>@q@</interface><source><address>@q@</address></source><destination><address>A</address><port>@q@</port></destination></rule></filter></pfsense>\n";
const AWS: &str = "{\"SecurityGroups\":[{\"GroupId\":\"sg-@q@\",\"GroupName\":\"@q@\",\"Description\":\"@q@\",\"VpcId\":\"@q@\",\"Tags\":[{\"Key\":\"@q@\",\"Value\":\"@q@\"}],\n\
    \"IpPermissions\":[{\"IpProtocol\":\"tcp\",\"FromPort\":22,\"ToPort\":22,\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\",\"Description\":\"havenlint:allow=@q@\"}],\"UserIdGroupPairs\":[{\"GroupId\":\"@q@\",\"Description\":\"@q@\"}]},\n\
    {\"IpProtocol\":\"@q@\",\"FromPort\":1,\"ToPort\":2,\"IpRanges\":[{\"CidrIp\":\"@q@\"}]}],\"IpPermissionsEgress\":[{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}]}]}]}";
const CLOUDFORMATION: &str = "{\"AWSTemplateFormatVersion\":\"2010-09-09\",\"Description\":\"@q@\",\"Resources\":{\"Web\":{\"Type\":\"AWS::EC2::SecurityGroup\",\"Properties\":{\"GroupDescription\":\"@q@\",\"GroupName\":\"@q@\",\"VpcId\":\"@q@\",\n\
    \"SecurityGroupIngress\":[{\"IpProtocol\":\"tcp\",\"FromPort\":22,\"ToPort\":22,\"CidrIp\":\"0.0.0.0/0\",\"Description\":\"@q@\"},{\"IpProtocol\":\"tcp\",\"FromPort\":{\"Ref\":\"@q@\"},\"ToPort\":23,\"CidrIp\":\"@q@\"}]}},\"@q@\":{\"Type\":\"AWS::EC2::SecurityGroup\",\"Properties\":{\"@q@\":1}}}}";
const TERRAFORM: &str = "# @q@\nresource \"aws_security_group\" \"@w@\" {\n  name        = \"@q@\"\n  description = \"@q@\"\n  vpc_id      = var.x\n  tags        = { Name = \"@q@\" }\n\
      ingress {\n    description = \"@q@\"\n    from_port   = 22\n    to_port     = 22\n    protocol    = \"tcp\"\n    cidr_blocks = [\"0.0.0.0/0\"]\n  }\n\
      ingress {\n    from_port   = 23\n    to_port     = 23\n    protocol    = \"@q@\"\n    cidr_blocks = [\"@q@\"]\n  }\n}\n";
const DEPLOYMENT: &str = "catalogue = \"policy.toml\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\"@q@\" = [\"10.0.8.0/24\"]\n[names]\n\"@q@\" = [\"198.51.100.7\"]\n\
    [[node]]\nname = \"@q@\"\nrole = \"web\"\naddress = [\"10.1.0.10\"]\nfirewall = [\"host.rules\"]\n\
    [[gateway]]\nname = \"@q@ 2\"\nfirewall = [\"@q@\"]\n\
    [[waiver]]\nrule = \"WEB-HTTPS\"\nreason = \"@q@\"\nowner = \"@q@\"\n[[waiver]]\nrule = \"HL-ANY-ANY\"\nreason = \"@q@\"\npath = \"@q@\"\n";
const POLICY: &str = "format = 1\nid = \"@q@\"\nversion = \"@q@\"\ntitle = \"@q@\"\nroles.web = { summary = \"@q@\" }\nroles.admin = { summary = \"@q@\", declared = \"network\" }\n\
    [[requirement]]\nid = \"WEB-HTTPS\"\nkind = \"required\"\ntitle = \"@q@\"\nfrom = [{ set = \"everywhere\" }]\nto = [{ role = \"web\" }]\nprotocols = [\"tcp\"]\nports = [443]\n\
    [[requirement]]\nid = \"WEB-SSH\"\nkind = \"required\"\ntitle = \"@q@\"\nfrom = [{ role = \"admin\" }]\nto = [{ role = \"web\" }]\nprotocols = [\"tcp\"]\nports = [222]\n\
    [[requirement]]\nid = \"WEB-CLOSED\"\nkind = \"forbidden\"\ntitle = \"@q@\"\nfrom = [{ set = \"internet\" }]\nto = [{ role = \"web\" }]\nprotocols = [\"tcp\", \"udp\"]\nexcept-wanted = true\n";

fn filled(template: &str, text: &str, writing: Writing) -> String {
    template.replace("@q@", &writing(text)).replace("@w@", &word(text))
}

/// The reports of a folder in every format and style, judged; how often a part of the text was shown.
fn shown(options: &Options, text: &str) -> usize {
    let report = run(options).report;
    let mut seen = 0;
    for style in styles() {
        for (format, _) in FORMATS {
            let out = render(format, &report, &style);
            let faults = faults(format, &style, &out);
            assert!(faults.is_empty(), "{text:?}, {format}: {}\n{out}", faults.join("\n"));
            seen += out.len();
        }
    }
    seen
}

#[test]
fn what_stands_in_a_file_of_any_dialect_harms_nobody() {
    let dialects: [(&str, &str, Writing); 7] = [
        ("host.rules", IPTABLES, quoted),
        ("host.nft", NFTABLES, quoted),
        ("host.json", NFTABLES_JSON, json),
        ("config.xml", PFSENSE, xml),
        ("groups.json", AWS, json),
        ("template.json", CLOUDFORMATION, json),
        ("main.tf", TERRAFORM, quoted),
    ];
    for (name, template, writing) in dialects {
        for text in TEXTS {
            let dir = tempfile::tempdir().expect("a folder");
            // The file's name is hostile, too, as far as the system lets it be.
            let folder = dir.path().join(text.replace(['/', '\0'], "|"));
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join(name), filled(template, text, writing)).expect("a file");
            let read =
                Options { paths: vec![folder], no_config: true, no_baseline: true, ..Options::default() };
            assert!(run(&read).found, "{name} {text:?}");
            assert!(shown(&read, text) > 10_000, "{name} {text:?}");
        }
    }
}

#[test]
fn what_stands_in_a_deployment_and_a_catalogue_harms_nobody() {
    for text in TEXTS {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, template: &str, writing: Writing| {
            fs::write(dir.path().join(name), filled(template, text, writing)).expect("a file");
        };
        write("havenlint.toml", DEPLOYMENT, toml);
        write("policy.toml", POLICY, toml);
        write("host.rules", IPTABLES, quoted);
        let config: &Path = &dir.path().join("havenlint.toml");
        // Sound, so that the names get into findings, and as it is.
        shown(&Options { config: Some(config.to_owned()), no_baseline: true, ..Options::default() }, text);
        let sound = filled(DEPLOYMENT, text, toml).split("[[gateway]]").next().unwrap_or_default().to_owned();
        fs::write(config, sound).expect("a file");
        let read = Options { config: Some(config.to_owned()), no_baseline: true, ..Options::default() };
        let report = run(&read).report;
        assert!(!report.requirements.is_empty(), "{text:?}: {:#?}", report.problems);
        assert!(shown(&read, text) > 10_000, "{text:?}");
    }
}

/// A text of TOML, with its signs written as escapes.
fn toml(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}
