//! Schedules: when a rule is in force (`filter_get_time_based_rule_status`).

use super::product::Product;
use super::xml::Element;
use jiff::civil::DateTime;

/// Whether some time range of the schedule holds at the moment, the box's local time. `None`: a range could not be read.
pub(super) fn active(schedule: Element<'_>, at: DateTime) -> Option<bool> {
    let mut any = false;
    for range in schedule.list("timerange") {
        any |= holds(range, at)?;
    }
    Some(any)
}

fn holds(range: Element<'_>, at: DateTime) -> Option<bool> {
    let list = |name: &str| -> Option<Vec<i8>> {
        range.word(name).split(',').map(str::trim).filter(|w| !w.is_empty()).map(|w| w.parse().ok()).collect()
    };
    // Monday is 1, Sunday 7.
    let weekdays = list("position")?;
    let (months, days) = (list("month")?, list("day")?);
    let on = |list: &[i8], value: i8| list.is_empty() || list.contains(&value);
    let weekday = at.weekday().to_monday_one_offset();
    let day = match range.product() {
        Product::PfSense => on(&weekdays, weekday) && on(&months, at.month()) && on(&days, at.day()),
        Product::OpnSense if !weekdays.is_empty() => weekdays.contains(&weekday),
        // Months and days are pairs there; lists of unlike length mean no day at all.
        Product::OpnSense => {
            months.len() == days.len()
                && months.iter().zip(&days).any(|(m, d)| (*m, *d) == (at.month(), at.day()))
        }
    };
    let hours = range.word("hour");
    if hours.trim().is_empty() {
        return Some(day);
    }
    let (from, to) = hours.split_once('-')?;
    let minute = |text: &str| -> Option<i32> {
        let (h, m) = text.trim().split_once(':')?;
        Some(h.parse::<i32>().ok()? * 60 + m.parse::<i32>().ok()?)
    };
    let now = i32::from(at.hour()) * 60 + i32::from(at.minute());
    Some(day && (minute(from)?..minute(to)?).contains(&now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;
    use jiff::civil::date;

    #[test]
    fn weekdays_dates_and_hours() {
        let text = "<schedule><timerange><position>1,2,3,4,5</position><hour>8:00-17:30</hour></timerange>\
                    <timerange><month>12,12</month><day>24,31</day><hour>0:00-23:59</hour></timerange></schedule>";
        let doc = super::super::xml::parse(text, &SourceFile::new("c", text)).unwrap();
        let notes = super::super::xml::Notes::of(&doc, Product::PfSense);
        let schedule = Element::root(&doc, &notes);
        for (at, expected) in [
            (date(2026, 11, 23).at(8, 0, 0, 0), true),
            (date(2026, 11, 23).at(17, 29, 59, 0), true),
            (date(2026, 11, 23).at(17, 30, 0, 0), false),
            (date(2026, 11, 22).at(12, 0, 0, 0), false),
            (date(2026, 12, 31).at(22, 0, 0, 0), true),
            (date(2026, 12, 26).at(22, 0, 0, 0), false),
        ] {
            assert_eq!(active(schedule, at), Some(expected), "{at}");
        }
    }
}
