//! Flows that were seen, as an export of a flow collector: what is needed beside the catalogue.
//!
//! A CSV file with the header `from,to,proto,port`, or a JSON array of objects with these keys. `from` and `to` are addresses, prefixes or
//! ranges; `proto` is a name or a number; `port` is the destination port, `22` or `80-443`, empty or left out where the protocol has none.

use super::trouble;
use crate::finding::Problem;
use crate::packet::{Family, Field, IntervalSet, Region, addr, proto};
use crate::source::discover::{bytes, shown};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    from: String,
    to: String,
    proto: Word,
    #[serde(default)]
    port: Option<Word>,
}

// A number may stand without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u32),
    Text(String),
}

impl Word {
    fn text(&self) -> String {
        match self {
            Word::Number(n) => n.to_string(),
            Word::Text(t) => t.clone(),
        }
    }
}

/// The first packets of the flows of a file.
///
/// # Errors
/// What is wrong with it, with its line where that is known.
pub fn read(path: &Path) -> Result<Vec<Region>, Box<Problem>> {
    let at = |line: usize, message: String| {
        let mut p =
            trouble(&shown(path), message, "write from,to,proto,port, such as 10.0.9.7,10.1.0.10,tcp,443");
        (p.location.line, p.location.end_line) = (line as u32, line as u32);
        Box::new(p)
    };
    let text = bytes(path).map_err(|e| at(1, e.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| at(1, "it is not UTF-8".to_owned()))?;
    if text.trim_start().starts_with('[') {
        let flows: Vec<Seen> = serde_json::from_str(&text).map_err(|e| at(e.line(), e.to_string()))?;
        let number = |(i, s): (usize, &Seen)| {
            let port = s.port.as_ref().map(Word::text).unwrap_or_default();
            regions([&s.from, &s.to, &s.proto.text(), &port])
                .map_err(|e| at(1, format!("flow {}: {e}", i + 1)))
        };
        let read: Result<Vec<_>, _> = flows.iter().enumerate().map(number).collect();
        return Ok(read?.into_iter().flatten().collect());
    }
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())) {
        let words: Vec<&str> = line.split(',').map(|w| w.trim().trim_matches('"')).collect();
        if line.is_empty() || line.starts_with('#') || i == 1 && words.first() == Some(&"from") {
            continue;
        }
        let four = match words.as_slice() {
            [from, to, proto] => [*from, *to, *proto, ""],
            [from, to, proto, port] => [*from, *to, *proto, *port],
            _ => return Err(at(i, format!("{} values instead of four", words.len()))),
        };
        out.extend(regions(four).map_err(|e| at(i, e))?);
    }
    Ok(out)
}

fn regions([from, to, protocol, port]: [&str; 4]) -> Result<Vec<Region>, String> {
    let address = |t: &str| addr::parse(t).ok_or_else(|| format!("`{t}` is no address"));
    let (from, to) = (address(from)?, address(to)?);
    let number = proto::parse(protocol).ok_or_else(|| format!("`{protocol}` is no protocol"))?;
    let ports = match port.split_once('-').unwrap_or((port, port)) {
        ("", _) => None,
        (lo, hi) => match (lo.trim().parse::<u16>(), hi.trim().parse::<u16>()) {
            (Ok(lo), Ok(hi)) if lo <= hi => Some(IntervalSet::range(lo, hi)),
            _ => return Err(format!("`{port}` is no port")),
        },
    };
    let of = |family: Family| {
        let region = Region::all(family).cut(Field::Src, &from).cut(Field::Dst, &to).protocol(number);
        match &ports {
            Some(ports) => region.cut(Field::Dport, ports),
            None => region,
        }
    };
    Ok(Family::ALL.map(of).into_iter().filter(|r| !r.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            let path = folder.path().join("flows");
            std::fs::write(&path, text).unwrap();
            read(&path).map_err(|p| (p.location.line, p.message))
        };
        let csv =
            of("from,to,proto,port\n10.0.9.7,10.1.0.10,tcp,443\n2001:db8::7,2001:db8::10,udp,500-501\n")
                .unwrap();
        let json = of(r#"[{"from":"10.0.9.7","to":"10.1.0.10","proto":"tcp","port":443},
            {"from":"2001:db8::7","to":"2001:db8::10","proto":17,"port":"500-501"}]"#);
        assert_eq!(csv, json.unwrap());
        assert_eq!(csv.len(), 2);
        assert_eq!(
            of("from,to,proto,port\n10.0.9.7,10.1.0.10,tcp,443\n10.0.9.7,x,tcp,443\n").unwrap_err(),
            (3, "`x` is no address".to_owned())
        );
        assert!(of("10.0.9.7,10.1.0.10\n").unwrap_err().1.contains("2 values"));
    }
}
