//! A picture of the deployment: nodes and gateways by site, and the flows between them, those that fail drawn through the gateway that
//! decides. A larger deployment is drawn by sites.

use super::super::matrix::{STATES, is_advice, symbol, words, worse};
use super::super::sites::{ELSEWHERE, Sites};
use super::super::text::cut;
use super::class;
use crate::finding::{Member, Report, Requirement, State};
use crate::packet::{IntervalSet, addr};
use maud::{Markup, html};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// More nodes, and more sites, than this are no picture any more.
const MAX_DRAWN: usize = 24;
/// Size of a box and the room around it, in pixels.
const BOX: (f64, f64) = (150.0, 48.0);
const GAP: (f64, f64) = (110.0, 44.0);
const TOP: f64 = 100.0;

/// Something drawn: its place is the box's centre.
struct Drawn<'a> {
    name: &'a str,
    role: &'a str,
    addresses: IntervalSet,
    x: f64,
    y: f64,
    gateway: bool,
}

/// Flows from one box to another: the worst state, what is required, and the gateways on the way.
#[derive(Default)]
struct Flows<'a> {
    state: Option<State>,
    required: BTreeSet<(&'a str, State)>,
    by: BTreeSet<usize>,
}

/// What is drawn.
struct Scene<'a> {
    width: f64,
    height: f64,
    frames: Vec<(&'a str, f64, f64)>,
    boxes: Vec<Drawn<'a>>,
    flows: BTreeMap<(usize, usize), Flows<'a>>,
}

/// The picture, if there is a deployment of a size that can be drawn.
pub(super) fn picture(report: &Report) -> Markup {
    let nodes = report.members.len();
    let scene = match nodes {
        0 => None,
        n if n <= MAX_DRAWN => Some(of_nodes(report)),
        _ => of_sites(report),
    };
    let Some(scene) = scene else { return html! {} };
    let drawn = scene
        .flows
        .iter()
        .filter(|(_, f)| f.state.is_some_and(|s| s == State::Violated || s == State::Undecided))
        .count();
    let label = format!(
        "{nodes} nodes and gateways by site; {drawn} connections with flows that fail or are undecided"
    );
    html! {
        section {
            h2 { "The deployment" }
            div.scroll tabindex="0" role="region" aria-label="Picture of the deployment" {
                svg viewBox={ "0 0 " (scene.width) " " (scene.height) } width=(scene.width) height=(scene.height) role="img" aria-label=(label) {
                    @for (site, x, height) in &scene.frames {
                        @if !site.is_empty() {
                            rect.site x=(x - 20.0) y=(TOP) width=(BOX.0 + 40.0) height=(height) rx="10" {}
                            text.role x=(x - 10.0) y=(TOP + 16.0) { "site " (site) }
                        }
                    }
                    // What works stays behind what fails.
                    @for ((from, to), flows) in sorted(&scene.flows) { (line(&scene, *from, *to, flows)) }
                    @for b in &scene.boxes {
                        rect class=(if b.gateway { "node gateway" } else { "node" }) x=(b.x - BOX.0 / 2.0) y=(b.y - BOX.1 / 2.0) width=(BOX.0) height=(BOX.1) rx=(if b.gateway { 22 } else { 6 }) {}
                        text x=(b.x) y=(b.y - 2.0) text-anchor="middle" { (cut(b.name, 20)) }
                        text.role x=(b.x) y=(b.y + 14.0) text-anchor="middle" { (cut(b.role, 24)) }
                    }
                }
            }
            p.soft {
                "Each line stands for all flows that the catalogue speaks of between two ends, in the colour of the worst: "
                @for s in &STATES[..4] { (super::state(*s)) " " }
                "It leads through the gateways that decide about it. Forbidden flows are drawn only where they may get through, recommendations not at all."
            }
        }
    }
}

fn sorted<'s, 'a>(
    flows: &'s BTreeMap<(usize, usize), Flows<'a>>,
) -> Vec<(&'s (usize, usize), &'s Flows<'a>)> {
    let mut out: Vec<_> = flows.iter().collect();
    out.sort_by_key(|(_, f)| std::cmp::Reverse(STATES.iter().position(|s| Some(*s) == f.state)));
    out
}

fn of_nodes(report: &Report) -> Scene<'_> {
    let mut sites: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for m in &report.members {
        sites.entry(&m.site).or_default().push(m);
    }
    let tallest = sites.values().map(Vec::len).max().unwrap_or(1) as f64;
    let width = sites.len() as f64 * (BOX.0 + GAP.0);
    let mut scene = Scene {
        width,
        height: TOP + tallest * (BOX.1 + GAP.1) + 20.0,
        frames: vec![],
        boxes: vec![elsewhere(width)],
        flows: BTreeMap::new(),
    };
    for (i, (site, members)) in sites.iter().enumerate() {
        let left = i as f64 * (BOX.0 + GAP.0) + GAP.0 / 2.0;
        scene.frames.push((site, left, members.len() as f64 * (BOX.1 + GAP.1)));
        // Gateways stand on top, where the way to elsewhere begins.
        let gateways = members.iter().filter(|m| m.role == "gateway");
        let nodes = members.iter().filter(|m| m.role != "gateway");
        for (j, m) in gateways.chain(nodes).enumerate() {
            let sets = m.addresses.iter().filter_map(|a| addr::parse(a));
            let addresses = sets.fold(IntervalSet::EMPTY, |all, set| all.union(&set));
            let y = TOP + GAP.1 / 2.0 + j as f64 * (BOX.1 + GAP.1) + BOX.1 / 2.0 + 6.0;
            let gateway = m.role == "gateway";
            scene.boxes.push(Drawn {
                name: &m.name,
                role: &m.role,
                addresses,
                x: left + BOX.0 / 2.0,
                y,
                gateway,
            });
        }
    }
    scene.flows = between(report, &scene.boxes);
    scene
}

fn of_sites(report: &Report) -> Option<Scene<'_>> {
    let sites = Sites::of(report).filter(|s| s.names.len() <= MAX_DRAWN)?;
    let named: Vec<&str> = sites.names.iter().copied().filter(|n| *n != ELSEWHERE).collect();
    let columns = (named.len() as f64).sqrt().ceil().max(1.0) as usize;
    let width = columns as f64 * (BOX.0 + GAP.0);
    let rows = named.len().div_ceil(columns) as f64;
    let mut boxes = vec![elsewhere(width)];
    for (i, name) in named.iter().enumerate() {
        let (row, column) = ((i / columns) as f64, (i % columns) as f64);
        boxes.push(Drawn {
            name,
            role: "site",
            addresses: IntervalSet::EMPTY,
            x: column * (BOX.0 + GAP.0) + (BOX.0 + GAP.0) / 2.0,
            y: TOP + GAP.1 / 2.0 + row * (BOX.1 + 2.0 * GAP.1) + BOX.1 / 2.0,
            gateway: false,
        });
    }
    let place = |i: usize| if i < named.len() { i + 1 } else { 0 };
    let mut flows: BTreeMap<(usize, usize), Flows<'_>> = BTreeMap::new();
    for ((from, to), (state, row)) in sites.overall() {
        if from != to {
            let own = flows.entry((place(from), place(to))).or_default();
            own.state = Some(own.state.map_or(state, |s| worse(s, state)));
            own.required.insert((&row.id, state));
        }
    }
    Some(Scene { width, height: TOP + rows * (BOX.1 + 2.0 * GAP.1) + 20.0, frames: vec![], boxes, flows })
}

fn elsewhere<'a>(width: f64) -> Drawn<'a> {
    Drawn {
        name: ELSEWHERE,
        role: "all other addresses",
        addresses: IntervalSet::EMPTY,
        x: width / 2.0,
        y: 36.0,
        gateway: false,
    }
}

/// The flows between each two boxes, by their places in the list; 0 = elsewhere.
fn between<'a>(report: &'a Report, boxes: &[Drawn<'_>]) -> BTreeMap<(usize, usize), Flows<'a>> {
    let holder = |texts: &[String]| {
        let sets = texts.iter().filter_map(|t| addr::parse(t));
        let all = sets.fold(IntervalSet::EMPTY, |all, set| all.union(&set));
        let own = |b: &Drawn<'_>| !b.gateway && b.addresses.covers(&all);
        boxes.iter().skip(1).position(|b| !all.is_empty() && own(b)).map_or(0, |i| i + 1)
    };
    let keeps_out: BTreeSet<&str> = report
        .rules
        .iter()
        .filter(|r| r.tags.iter().any(|t| t == "forbidden"))
        .map(|r| r.id.as_str())
        .collect();
    let files: FxHashMap<&str, &str> = report
        .members
        .iter()
        .filter(|m| m.role == "gateway")
        .flat_map(|m| m.files.iter().map(|f| (f.as_str(), m.name.as_str())))
        .collect();
    let mut out: BTreeMap<(usize, usize), Flows<'a>> = BTreeMap::new();
    let advice: BTreeSet<&str> =
        report.rules.iter().filter(|r| is_advice(report, &r.id)).map(|r| r.id.as_str()).collect();
    let drawn = |r: &&Requirement| r.state != State::NotApplicable && !advice.contains(r.id.as_str());
    for r in report.requirements.iter().filter(drawn) {
        if keeps_out.contains(r.id.as_str()) && matches!(r.state, State::Met | State::NotChecked) {
            continue;
        }
        let ends = (holder(&r.flow.from), holder(&r.flow.to));
        if ends.0 == ends.1 {
            continue;
        }
        let flows = out.entry(ends).or_default();
        flows.state = Some(flows.state.map_or(r.state, |s| worse(s, r.state)));
        flows.required.insert((&r.id, r.state));
        let gateway = files.get(r.at.as_str());
        flows.by.extend(gateway.and_then(|g| boxes.iter().position(|b| b.gateway && b.name == *g)));
    }
    out
}

/// A curve from box to box, through the gateways on the way.
fn line(scene: &Scene<'_>, from: usize, to: usize, flows: &Flows<'_>) -> Markup {
    let Some(state) = flows.state else { return html! {} };
    let boxes = &scene.boxes;
    let mut stops: Vec<&Drawn<'_>> = vec![&boxes[from]];
    stops.extend(flows.by.iter().map(|i| &boxes[*i]));
    stops.push(&boxes[to]);
    let title =
        flows.required.iter().map(|(id, s)| format!("{} {id}", symbol(*s))).collect::<Vec<_>>().join("\n");
    html! {
        g class=(class(state)) {
            title { (boxes[from].name) " to " (boxes[to].name) ": " (words(state)) "\n" (title) }
            @for pair in stops.windows(2) { (curve(pair[0], pair[1], state)) }
        }
    }
}

/// One curve, bent a little to its left so that the line back has room of its own, with an arrow's head.
fn curve(from: &Drawn<'_>, to: &Drawn<'_>, state: State) -> Markup {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(1.0);
    // Beyond its neighbour in one column, a line must pass beside the boxes between.
    let bend = if dx.abs() < 1.0 && length > BOX.1 + GAP.1 + 1.0 { BOX.0 } else { 14.0 + length / 14.0 };
    let (cx, cy) = ((from.x + to.x) / 2.0 + dy / length * bend, (from.y + to.y) / 2.0 - dx / length * bend);
    let (x1, y1) = border(from, cx, cy);
    let (x2, y2) = border(to, cx, cy);
    // The arrow's head lies on the curve's last direction.
    let (hx, hy) = (x2 - cx, y2 - cy);
    let h = hx.hypot(hy).max(1.0);
    let (ux, uy) = (hx / h * 9.0, hy / h * 9.0);
    let path = format!("M{x1:.1} {y1:.1} Q{cx:.1} {cy:.1} {x2:.1} {y2:.1}");
    let head = format!(
        "M{x2:.1} {y2:.1} L{:.1} {:.1} L{:.1} {:.1} Z",
        x2 - ux - uy * 0.5,
        y2 - uy + ux * 0.5,
        x2 - ux + uy * 0.5,
        y2 - uy - ux * 0.5
    );
    html! { path class={ "flow " (class(state)) } d=(path) {} path.head d=(head) {} }
}

/// Where the line from a box's centre to a point leaves the box.
fn border(b: &Drawn<'_>, x: f64, y: f64) -> (f64, f64) {
    let (dx, dy) = (x - b.x, y - b.y);
    let scale = (BOX.0 / 2.0 / dx.abs().max(0.01)).min(BOX.1 / 2.0 / dy.abs().max(0.01)).min(1.0);
    (b.x + dx * scale, b.y + dy * scale)
}
