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

// Sites with their gateways below them; gateways of no site stand in a row of their own, before the sites.
fn of_sites(report: &Report) -> Option<Scene<'_>> {
    let sites = Sites::of(report).filter(|s| s.names.len() <= MAX_DRAWN)?;
    let named: Vec<&str> = sites.names.iter().copied().filter(|n| *n != ELSEWHERE).collect();
    let mut gateways: Vec<&Member> = report.members.iter().filter(|m| m.role == "gateway").collect();
    if gateways.len() > MAX_DRAWN {
        gateways.clear();
    }
    let columns = (named.len() as f64).sqrt().ceil().max(1.0) as usize;
    let width = columns as f64 * (BOX.0 + GAP.0);
    let mut boxes = vec![elsewhere(width)];
    let mut place = |name, role, column: usize, y: f64, gateway| {
        let x = column as f64 * (BOX.0 + GAP.0) + (BOX.0 + GAP.0) / 2.0;
        boxes.push(Drawn { name, role, addresses: IntervalSet::EMPTY, x, y: y + BOX.1 / 2.0, gateway });
    };
    let step = BOX.1 + GAP.1 / 2.0;
    let mut top = TOP + GAP.1 / 2.0;
    let mut below: Vec<(&Member, usize, f64)> = Vec::new();
    let free: Vec<&Member> = gateways.iter().copied().filter(|g| g.site.is_empty()).collect();
    for row in free.chunks(columns) {
        below.extend(row.iter().enumerate().map(|(column, g)| (*g, column, top)));
        top += step;
    }
    for row in named.chunks(columns) {
        let own = |name: &str| gateways.iter().copied().filter(|g| g.site == name).collect::<Vec<_>>();
        let most = row.iter().map(|name| own(name).len()).max().unwrap_or(0) as f64;
        for (column, name) in row.iter().enumerate() {
            place(*name, "site", column, top, false);
            for (n, g) in own(name).into_iter().enumerate() {
                below.push((g, column, top + (n as f64 + 1.0) * step));
            }
        }
        top += BOX.1 + most * step + 2.0 * GAP.1;
    }
    // Sites come first, so that their places are those of the list of names.
    for (g, column, y) in below {
        place(&g.name, "gateway", column, y, true);
    }
    let index = |i: usize| if i < named.len() { i + 1 } else { 0 };
    let files = gateway_files(report);
    let mut flows: BTreeMap<(usize, usize), Flows<'_>> = BTreeMap::new();
    for ((from, to), (state, row)) in sites.overall() {
        if from != to {
            let own = flows.entry((index(from), index(to))).or_default();
            own.state = Some(own.state.map_or(state, |s| worse(s, state)));
            own.required.insert((&row.id, state));
            let gateway = files.get(row.at.as_str());
            own.by.extend(gateway.and_then(|g| boxes.iter().position(|b| b.gateway && b.name == *g)));
        }
    }
    Some(Scene { width, height: top, frames: Vec::new(), boxes, flows })
}

// The gateway that each of their files belongs to.
fn gateway_files(report: &Report) -> FxHashMap<&str, &str> {
    let gateways = report.members.iter().filter(|m| m.role == "gateway");
    gateways.flat_map(|m| m.files.iter().map(|f| (f.as_str(), m.name.as_str()))).collect()
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
    let files = gateway_files(report);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Flow;

    #[test]
    fn by_sites_a_failing_flow_leads_through_the_gateway_that_decides() {
        let member = |name: String, role: &str, site: &str, address: &str| Member {
            name,
            role: role.to_owned(),
            site: site.to_owned(),
            addresses: vec![address.to_owned()],
            ..Member::default()
        };
        let mut members: Vec<Member> = (1..=30)
            .map(|n| {
                let (site, net) = if n % 2 == 0 { ("east", 1) } else { ("west", 2) };
                member(format!("srn-{n}"), "srn", site, &format!("10.{net}.0.{n}"))
            })
            .collect();
        for (name, site) in [("edge-east", "east"), ("border", "")] {
            let gateway = member(name.to_owned(), "gateway", site, "192.0.2.1");
            members.push(Member { addresses: vec![], files: vec![format!("{name}.rules")], ..gateway });
        }
        let row = |state, at: &str, from: &str, to: &str| Requirement {
            id: "SRN-CLUSTER".to_owned(),
            state,
            subject: "srn-1".to_owned(),
            at: at.to_owned(),
            flow: Flow { from: vec![from.to_owned()], to: vec![to.to_owned()], ..Flow::default() },
            witness: None,
            remainder: vec![],
            decided_by: vec![],
            because: vec![],
            point: String::new(),
        };
        let requirements = vec![
            row(State::Violated, "edge-east.rules", "10.1.0.2", "10.2.0.1"),
            row(State::Violated, "srn-2.rules", "10.2.0.1", "10.1.0.2"),
        ];
        let report = Report { members, requirements, ..Report::default() };
        let text = picture(&report).into_string();
        assert_eq!(text.matches("class=\"node gateway\"").count(), 2, "{text}");
        assert!(text.contains(">edge-east<") && text.contains(">border<"), "{text}");
        let curves = |title: &str| {
            let from = text.split(title).nth(1).unwrap_or_else(|| panic!("{title}: {text}"));
            from.split("</g>").next().unwrap_or_default().matches("class=\"head\"").count()
        };
        assert_eq!(curves("east to west"), 2, "by the gateway");
        assert_eq!(curves("west to east"), 1, "straight");
    }
}
