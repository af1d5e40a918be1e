//! Cost grows with the input, not with its square: deployments, and lists that somebody generated. Every command on every kind of ruleset takes minutes:
//! `cargo bench --bench growth`.

#[path = "../../benches/generate/mod.rs"]
mod generate;
#[path = "../../benches/doubling/mod.rs"]
mod measured;

use generate::deployment::{self, Size};
use havenlint::session::{Options, run};
use measured::{BOUND, COMMANDS, Job, costs, growth, inputs, one_thread};

/// Machines of a deployment that all talk to each other.
const MACHINES: [usize; 3] = [64, 128, 256];

#[test]
fn a_deployment_costs_what_its_machines_cost() {
    let pool = one_thread();
    let folders = MACHINES.map(|srns| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("hosts")).expect("a folder");
        let size = Size { sites: 16, srns, servers: 0, by_address: false, faulty: 20 };
        for (name, text) in deployment::files(&size) {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    });
    let judge: Job = |folder| {
        let config = Some(folder.join("havenlint.toml"));
        let outcome = run(&Options { config, no_baseline: true, ..Options::default() });
        assert!(outcome.report.requirements.len() > MACHINES[0], "too little is judged");
        assert!(outcome.report.problems.is_empty(), "{:?}", outcome.report.problems);
    };
    let costs = pool.install(|| {
        // What is read once in a process (the catalogue, the time zones) is no cost of the first deployment.
        judge(folders[0].path());
        costs(&folders, judge)
    });
    let growth = growth(&costs);
    assert!(growth < BOUND, "{MACHINES:?} machines cost {costs:.0?} ms: growth {growth:.1}");
}

/// A cloud of many groups with a role, whether or not the files tell what each is attached to.
#[test]
fn a_cloud_costs_what_its_groups_cost() {
    const GROUPS: usize = 400;
    let (_, judge) = COMMANDS.iter().find(|(name, _)| *name == "check --role").expect("a command");
    let pool = one_thread();
    for kind in generate::KINDS.iter().filter(|k| k.name.starts_with("aws/")) {
        let folders = inputs(kind, [GROUPS; 2], [1, 2, 4]);
        let costs = pool.install(|| {
            // What is read once in a process is no cost of the first size.
            judge(folders[0].path());
            costs(&folders, *judge)
        });
        let growth = growth(&costs);
        assert!(
            growth < BOUND,
            "{} of {GROUPS}, twice and four times as many cost {costs:.0?} ms: growth {growth:.1}",
            kind.name
        );
    }
}

/// Lists that somebody generated: one of many addresses, aliases that name each other one after the other.
#[test]
fn generated_lists_cost_what_they_hold() {
    let network = |n: usize| {
        let all: Vec<String> =
            (0..n).map(|i| format!("\"10.{}.{}.{}\"", i >> 15, (i >> 7) & 255, (i << 1) & 255)).collect();
        let text = format!(
            "catalogue = \"none\"\n[networks]\nadmin = [{}]\n[[node]]\nname = \"a\"\naddress = [\"10.1.0.1\"]\nfirewall = [\"a.rules\"]\n",
            all.join(", ")
        );
        vec![
            ("havenlint.toml", text),
            (
                "a.rules",
                "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n".to_owned(),
            ),
        ]
    };
    let aliases = |n: usize| {
        let alias = |i: usize| {
            format!(
                "<alias><name>A{i}</name><type>host</type><address>A{} 10.9.{}.{}</address></alias>\n",
                i + 1,
                i >> 8,
                i & 255
            )
        };
        let all: String = (0..n).map(alias).collect();
        let text = format!(
            "<pfsense><version>22.9</version><interfaces><lan><enable/><if>em1</if><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet></lan></interfaces>\
             <aliases>{all}<alias><name>A{n}</name><type>host</type><address>10.0.0.9</address></alias></aliases><filter><rule><type>pass</type><interface>lan</interface>\
             <ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><address>A0</address></source><destination><any/><port>22</port></destination></rule></filter></pfsense>\n"
        );
        vec![("config.xml", text)]
    };
    let judge: Job = |folder| {
        let config = Some(folder.join("havenlint.toml")).filter(|c| c.is_file());
        let paths = if config.is_some() { Vec::new() } else { vec![folder.to_owned()] };
        let outcome = run(&Options {
            paths,
            no_config: config.is_none(),
            config,
            no_baseline: true,
            ..Options::default()
        });
        assert!(
            outcome.found
                && outcome.report.problems.iter().all(|p| p.level != havenlint::source::Severity::Error)
        );
    };
    let pool = one_thread();
    let make: [&dyn Fn(usize) -> Vec<(&'static str, String)>; 2] = [&network, &aliases];
    for (make, size) in make.into_iter().zip([8000, 1000]) {
        let folders = [1, 2, 4].map(|times| {
            let folder = tempfile::tempdir().expect("a folder");
            for (name, text) in make(size * times) {
                std::fs::write(folder.path().join(name), text).expect("a file");
            }
            folder
        });
        let costs = pool.install(|| {
            judge(folders[0].path());
            costs(&folders, judge)
        });
        let growth = growth(&costs);
        assert!(
            growth < BOUND,
            "lists of {size}, twice and four times as many cost {costs:.0?} ms: growth {growth:.1}"
        );
    }
}
