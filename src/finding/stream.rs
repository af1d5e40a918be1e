//! A report that is read from JSON without holding its long lists.

use super::{Finding, Input, Open, Report, Requirement};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

/// An element of a long list.
pub enum Element {
    /// Of `requirements`.
    Requirement(Box<Requirement>),
    /// Of `findings`.
    Finding(Box<Finding>),
}

/// Takes an element; an error ends the reading.
pub type Take<'t> = &'t mut dyn FnMut(Element) -> Result<(), String>;

/// Reads a report; the elements of its long lists are given away one by one, and those lists of the result are empty.
///
/// # Errors
/// It is not a report, it cannot be read, or an element was not taken.
pub fn read(from: impl Read, take: Take<'_>) -> Result<Report, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_reader(from);
    let report = Whole { take }.deserialize(&mut from)?;
    from.end()?;
    Ok(report)
}

struct Whole<'t> {
    take: Take<'t>,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Report;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Report, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Report;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Report, A::Error> {
        let mut rest = Map::new();
        let (mut inputs, mut open): (Vec<Input>, Vec<Open>) = Default::default();
        for list in ["inputs", "requirements", "findings"] {
            rest.insert(list.to_owned(), Value::Null);
        }
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "requirements" => {
                    map.next_value_seed(Each(|r| (self.take)(Element::Requirement(r)), PhantomData))?
                }
                "findings" => map.next_value_seed(Each(|f| (self.take)(Element::Finding(f)), PhantomData))?,
                "inputs" => inputs = map.next_value()?,
                "open" => open = map.next_value()?,
                // They are made anew.
                "causes" | "sites" => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {
                    rest.insert(key, map.next_value()?);
                    continue;
                }
            }
            rest.insert(key, Value::Array(Vec::new()));
        }
        let report: Report = serde_json::from_value(Value::Object(rest)).map_err(A::Error::custom)?;
        Ok(Report { inputs, open, ..report })
    }
}

// A list of which each element is given away.
struct Each<F, T>(F, PhantomData<T>);

impl<'de, T, F> DeserializeSeed<'de> for Each<F, T>
where
    T: Deserialize<'de>,
    F: FnMut(Box<T>) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T, F> Visitor<'de> for Each<F, T>
where
    T: Deserialize<'de>,
    F: FnMut(Box<T>) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<T>()? {
            (self.0)(Box::new(element)).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
