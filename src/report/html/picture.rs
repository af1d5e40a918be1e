//! A picture of the deployment: nodes by site, and between them the worst state of the flows that the catalogue requires.

use super::super::matrix::{STATES, symbol, words, worse};
use super::super::text::{cut, markup};
use super::class;
use crate::finding::{Member, Report, RuleDoc, State};
use crate::packet::{IntervalSet, addr};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// More nodes than this are no picture any more.
const MAX_NODES: usize = 24;
/// Size of a node's box and the room around it, in pixels.
const BOX: (f64, f64) = (170.0, 52.0);
const GAP: (f64, f64) = (130.0, 58.0);
const TOP: f64 = 96.0;

/// A node as it is drawn: its place is the box's centre.
struct Drawn<'a> {
    name: &'a str,
    role: &'a str,
    addresses: IntervalSet,
    x: f64,
    y: f64,
}

/// Flows from one node to another: the worst state, and what is required.
#[derive(Default)]
struct Flows<'a> {
    state: Option<State>,
    required: BTreeSet<(&'a str, State)>,
}

/// Writes the picture, if there is a deployment of a size that can be drawn.
pub(super) fn write(
    report: &Report,
    rules: &FxHashMap<&str, &RuleDoc>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if report.members.is_empty() || report.members.len() > MAX_NODES {
        return Ok(());
    }
    let mut sites: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for m in &report.members {
        sites.entry(&m.site).or_default().push(m);
    }
    let tallest = sites.values().map(Vec::len).max().unwrap_or(1) as f64;
    let width = sites.len() as f64 * (BOX.0 + GAP.0);
    let height = TOP + tallest * (BOX.1 + GAP.1) + 20.0;
    let mut nodes = vec![Drawn {
        name: "elsewhere",
        role: "all other addresses",
        addresses: IntervalSet::EMPTY,
        x: width / 2.0,
        y: 36.0,
    }];
    writeln!(out, "<section>\n<h2>The deployment</h2>")?;
    writeln!(
        out,
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"Nodes by site and the state of the flows between them\">"
    )?;
    for (i, (site, members)) in sites.iter().enumerate() {
        let left = i as f64 * (BOX.0 + GAP.0) + GAP.0 / 2.0;
        if !site.is_empty() {
            let tall = members.len() as f64 * (BOX.1 + GAP.1);
            writeln!(
                out,
                "<rect class=\"site\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{tall}\" rx=\"10\"/>",
                left - 24.0,
                TOP,
                BOX.0 + 48.0
            )?;
            writeln!(
                out,
                "<text class=\"role\" x=\"{}\" y=\"{}\">site {}</text>",
                left - 14.0,
                TOP + 16.0,
                markup(site)
            )?;
        }
        for (j, m) in members.iter().enumerate() {
            let sets = m.addresses.iter().filter_map(|a| addr::parse(a));
            let addresses = sets.fold(IntervalSet::EMPTY, |all, set| all.union(&set));
            let y = TOP + GAP.1 / 2.0 + j as f64 * (BOX.1 + GAP.1) + BOX.1 / 2.0;
            nodes.push(Drawn { name: &m.name, role: &m.role, addresses, x: left + BOX.0 / 2.0, y });
        }
    }
    for ((from, to), flows) in between(report, rules, &nodes) {
        line(&nodes[from], &nodes[to], &flows, out)?;
    }
    for n in &nodes {
        writeln!(
            out,
            "<rect class=\"node\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text class=\"role\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            n.x - BOX.0 / 2.0,
            n.y - BOX.1 / 2.0,
            BOX.0,
            BOX.1,
            n.x,
            n.y - 2.0,
            markup(&cut(n.name, 22)),
            n.x,
            n.y + 15.0,
            markup(&cut(n.role, 26))
        )?;
    }
    writeln!(out, "</svg>")?;
    let legend: Vec<_> = STATES[..4].iter().map(|s| super::state(*s)).collect();
    writeln!(
        out,
        "<p class=\"soft\">Each line stands for all flows that the catalogue requires between two nodes, in the colour of the worst: {}. \
         Forbidden flows are drawn only where they may get through.</p>\n</section>",
        legend.join(" · ")
    )
}

/// The flows between each two nodes, by their places in the list; 0 = elsewhere.
fn between<'a>(
    report: &'a Report,
    rules: &FxHashMap<&str, &RuleDoc>,
    nodes: &[Drawn<'_>],
) -> BTreeMap<(usize, usize), Flows<'a>> {
    let holder = |texts: &[String]| {
        let sets = texts.iter().filter_map(|t| addr::parse(t));
        let all = sets.fold(IntervalSet::EMPTY, |all, set| all.union(&set));
        nodes.iter().skip(1).position(|n| !all.is_empty() && n.addresses.covers(&all)).map_or(0, |i| i + 1)
    };
    let keeps_out = |id: &str| {
        rules.get(id).is_some_and(|r| r.tags.iter().any(|t| t == "forbidden" || t.starts_with("advised")))
    };
    let mut out: BTreeMap<(usize, usize), Flows<'a>> = BTreeMap::new();
    for r in report.requirements.iter().filter(|r| r.state != State::NotApplicable) {
        if keeps_out(&r.id) && matches!(r.state, State::Met | State::NotChecked) {
            continue;
        }
        let ends = (holder(&r.flow.from), holder(&r.flow.to));
        if ends.0 != ends.1 {
            let flows = out.entry(ends).or_default();
            flows.state = Some(flows.state.map_or(r.state, |s| worse(s, r.state)));
            flows.required.insert((&r.id, r.state));
        }
    }
    out
}

/// A curve from box to box, bent a little to its left so that the line back has room of its own.
fn line(from: &Drawn<'_>, to: &Drawn<'_>, flows: &Flows<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(state) = flows.state else { return Ok(()) };
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(1.0);
    let bend = 18.0 + length / 14.0;
    let (cx, cy) = ((from.x + to.x) / 2.0 + dy / length * bend, (from.y + to.y) / 2.0 - dx / length * bend);
    let (x1, y1) = border(from, cx, cy);
    let (x2, y2) = border(to, cx, cy);
    // The arrow's head lies on the curve's last direction.
    let (hx, hy) = (x2 - cx, y2 - cy);
    let h = hx.hypot(hy).max(1.0);
    let (ux, uy) = (hx / h * 10.0, hy / h * 10.0);
    let required: Vec<String> = flows.required.iter().map(|(id, s)| format!("{} {id}", symbol(*s))).collect();
    writeln!(
        out,
        "<g class=\"{0}\"><title>{1} to {2}: {3}\n{4}</title><path class=\"flow {0}\" d=\"M{x1:.1} {y1:.1} Q{cx:.1} {cy:.1} {x2:.1} {y2:.1}\"/>\
         <path fill=\"currentColor\" d=\"M{x2:.1} {y2:.1} L{5:.1} {6:.1} L{7:.1} {8:.1} Z\"/></g>",
        class(state),
        markup(from.name),
        markup(to.name),
        words(state),
        markup_lines(&required),
        x2 - ux - uy * 0.5,
        y2 - uy + ux * 0.5,
        x2 - ux + uy * 0.5,
        y2 - uy - ux * 0.5,
    )
}

fn markup_lines(lines: &[String]) -> String {
    lines.iter().map(|l| markup(l)).collect::<Vec<_>>().join("\n")
}

/// Where the line from a box's centre to a point leaves the box.
fn border(n: &Drawn<'_>, x: f64, y: f64) -> (f64, f64) {
    let (dx, dy) = (x - n.x, y - n.y);
    let scale = (BOX.0 / 2.0 / dx.abs().max(0.01)).min(BOX.1 / 2.0 / dy.abs().max(0.01)).min(1.0);
    (n.x + dx * scale, n.y + dy * scale)
}
