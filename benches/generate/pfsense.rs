//! Configurations of pfSense.

use super::{Numbers, dotted};
use std::fmt::Write as _;

const HEAD: &str = "<?xml version=\"1.0\"?>
<pfsense>
\t<version>23.3</version>
\t<system><hostname>fw</hostname><domain>haven.example</domain></system>
\t<interfaces>
\t\t<wan><enable></enable><if>em0</if><descr>WAN</descr><ipaddr>203.0.113.2</ipaddr><subnet>29</subnet></wan>
\t\t<lan><enable></enable><if>em1</if><descr>LAN</descr><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet></lan>
\t</interfaces>
";

fn filter(count: usize, n: &mut Numbers, source: &dyn Fn(usize, &mut Numbers) -> String) -> String {
    let mut out = String::from("\t<filter>\n");
    for i in 0..count {
        let source = source(i, n);
        let (kind, on) = (n.pick(&["pass", "pass", "block"]), n.pick(&["wan", "lan"]));
        let _ = writeln!(
            out,
            "\t\t<rule>\n\t\t\t<tracker>{}</tracker>\n\t\t\t<type>{kind}</type>\n\t\t\t<interface>{on}</interface>\n\t\t\t<ipprotocol>inet</ipprotocol>\n\t\t\t<protocol>tcp</protocol>\n\t\t\t<source><address>{source}</address></source>\n\t\t\t<destination><any></any><port>{}</port></destination>\n\t\t\t<descr><![CDATA[rule {i}]]></descr>\n\t\t</rule>",
            1_700_000_000 + i,
            1 + n.below(65_535)
        );
    }
    out + "\t</filter>\n</pfsense>\n"
}

/// Rules of single prefixes and ports, a third of them blocks.
pub fn rules(count: usize) -> String {
    let source = |_: usize, n: &mut Numbers| {
        let (a, length) = n.prefix();
        format!("{}/{length}", dotted(a))
    };
    HEAD.to_owned() + &filter(count, &mut Numbers::new(29), &source)
}

/// Each rule with an alias of its own; aliases hold each other in chains of fifty.
pub fn aliases(count: usize) -> String {
    let mut n = Numbers::new(31);
    let mut out = format!("{HEAD}\t<aliases>\n");
    for i in 0..count {
        let more = if i % 50 == 0 { String::new() } else { format!(" A{}", i - 1) };
        let _ = writeln!(
            out,
            "\t\t<alias><name>A{i}</name><type>network</type><address>{}{more}</address><descr></descr></alias>",
            dotted(n.address())
        );
    }
    out + "\t</aliases>\n" + &filter(count, &mut n, &|i, _| format!("A{i}"))
}
