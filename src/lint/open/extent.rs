//! The packets that a finding about what is open is about.

use super::facing::Facing;
use super::{Cause, Opening};
use crate::analysis::flow::numbers;
use crate::finding::Part;
use crate::lint::sensitive_ports::{self, Class};
use crate::packet::{Field, IntervalSet, Path, Region, addr, proto};

impl Cause {
    /// All that it opens to the outside.
    pub fn extent(&self) -> Vec<Part> {
        let depends = self.because.iter().map(|b| b.text.as_str()).collect::<Vec<_>>().join(" and ");
        self.outside().flat_map(|o| o.parts(&depends, vec![o.region.clone()])).collect()
    }

    /// What it opens of one kind of service.
    pub fn extent_of(&self, class: Class) -> Vec<Part> {
        let hits = |o: &&Opening| {
            let reach = o.reach();
            sensitive_ports::of(class).any(|p| p.within(reach.of(p.protocol)).is_some())
        };
        let parts = |o: &Opening| match o.inner {
            // Under which ports it is published says nothing about the service.
            Some(_) => o.parts("", vec![o.region.clone()]),
            None => o.parts("", of_class(&o.region, class)),
        };
        self.outside().filter(hits).flat_map(parts).collect()
    }

    fn outside(&self) -> impl Iterator<Item = &Opening> {
        self.openings.iter().filter(|o| o.facing != Facing::Inside)
    }
}

/// The packets of a region to services of a kind.
pub fn of_class(region: &Region, class: Class) -> Vec<Region> {
    let of = |protocol: u8| {
        let rows = sensitive_ports::of(class).filter(|p| p.protocol == protocol);
        let ports = IntervalSet::from_ranges(rows.map(|p| (p.first.into(), p.last.into())));
        region.protocol(protocol).cut(Field::Dport, &ports)
    };
    [proto::TCP, proto::UDP].map(of).into_iter().filter(|r| !r.is_empty()).collect()
}

impl Opening {
    fn parts(&self, depends: &str, regions: Vec<Region>) -> Vec<Part> {
        let through = if self.path == Path::Forward { "forwarded" } else { "" };
        let inner = self.inner.as_ref().map(|i| {
            let ports = numbers(&i.ports).join(",");
            format!("sent on to {} port {ports}", addr::display(&i.to).join(","))
        });
        let words = [through, inner.as_deref().unwrap_or_default()];
        let how = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", ");
        // What goes both ways is what goes through, and more: it is compared as such.
        let how = if self.both { format!("to it and {how}") } else { how };
        let part = |region| Part { how: how.clone(), depends: depends.to_owned(), region };
        regions.into_iter().map(part).collect()
    }
}
