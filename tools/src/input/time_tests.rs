use quickcheck::QuickCheck;

use super::*;

fn parse(text: &str, zone_name: &str, edge: DayEdge) -> Result<Instant, TimeError> {
    Instant::parse(text, &zone(zone_name).unwrap(), edge)
}

/// The instant printed in UTC, by way of `jiff` where it can.
fn utc(text: &str, zone_name: &str) -> Result<String, TimeError> {
    let instant = parse(text, zone_name, DayEdge::Start)?;
    let printed = Instant {
        day: false,
        ..instant
    }
    .format(&TimeZone::UTC);
    if let Ok(timestamp) = Timestamp::from_microsecond(instant.micros()) {
        assert_eq!(printed, timestamp.to_string());
    }
    Ok(printed)
}

#[test]
fn the_three_forms_are_read() {
    for (text, zone, expected) in [
        ("2017-03-21T10:00:00Z", "UTC", "2017-03-21T10:00:00Z"),
        ("2017-03-21t10:00:00z", "UTC", "2017-03-21T10:00:00Z"),
        (
            "2017-03-21 10:00:00.250+01:00",
            "UTC",
            "2017-03-21T09:00:00.25Z",
        ),
        ("2017-03-21T10:00:00-0530", "UTC", "2017-03-21T15:30:00Z"),
        (
            "2017-03-21T10:00:00+00",
            "Europe/Amsterdam",
            "2017-03-21T10:00:00Z",
        ),
        ("2017-03-21T10:00Z", "UTC", "2017-03-21T10:00:00Z"),
        (
            "2017-03-21T10:00:00.1234567Z",
            "UTC",
            "2017-03-21T10:00:00.123456Z",
        ),
        (
            "1969-12-31T23:59:59.9999999Z",
            "UTC",
            "1969-12-31T23:59:59.999999Z",
        ),
        ("2010-12-06T17:04:34.000", "UTC", "2010-12-06T17:04:34Z"),
        (
            "2010-12-06T17:04:34.000",
            "Europe/Amsterdam",
            "2010-12-06T16:04:34Z",
        ),
        (
            "2010-07-06 17:04",
            "Europe/Amsterdam",
            "2010-07-06T15:04:00Z",
        ),
        (" 2010-07-06 ", "Europe/Amsterdam", "2010-07-05T22:00:00Z"),
        ("1286-01-01", "UTC", "1286-01-01T00:00:00Z"),
        ("0001-01-01", "UTC", "0001-01-01T00:00:00Z"),
        ("9999-12-31", "UTC", "9999-12-31T00:00:00Z"),
        (
            "9999-12-31T23:59:59.999999Z",
            "UTC",
            "9999-12-31T23:59:59.999999Z",
        ),
    ] {
        assert_eq!(utc(text, zone).as_deref(), Ok(expected), "{text} in {zone}");
    }
}

#[test]
fn a_date_is_its_first_instant_or_its_last_microsecond() {
    for (text, zone_name, start, end) in [
        (
            "2017-03-21",
            "UTC",
            "2017-03-21T00:00:00Z",
            "2017-03-21T23:59:59.999999Z",
        ),
        // A day of 23 hours.
        (
            "2017-03-26",
            "Europe/Amsterdam",
            "2017-03-25T23:00:00Z",
            "2017-03-26T21:59:59.999999Z",
        ),
        // Midnight was skipped, 23:00 repeated.
        (
            "2017-10-15",
            "America/Sao_Paulo",
            "2017-10-15T03:00:00Z",
            "2017-10-16T01:59:59.999999Z",
        ),
        (
            "2018-02-17",
            "America/Sao_Paulo",
            "2018-02-17T02:00:00Z",
            "2018-02-18T02:59:59.999999Z",
        ),
        // Half an hour before and after midnight was skipped.
        (
            "1919-03-31",
            "America/Toronto",
            "1919-03-31T04:30:00Z",
            "1919-04-01T03:59:59.999999Z",
        ),
        // The day before one that was skipped.
        (
            "2011-12-29",
            "Pacific/Apia",
            "2011-12-29T10:00:00Z",
            "2011-12-30T09:59:59.999999Z",
        ),
        (
            "9999-12-31",
            "America/New_York",
            "9999-12-31T05:00:00Z",
            "9999-12-31T23:59:59.999999Z",
        ),
        (
            "9999-12-31",
            "Asia/Tokyo",
            "9999-12-30T15:00:00Z",
            "9999-12-31T14:59:59.999999Z",
        ),
        (
            "0001-01-01",
            "Asia/Tokyo",
            "0001-01-01T00:00:00Z",
            "0001-01-01T14:41:00.999999Z",
        ),
    ] {
        for (edge, expected) in [(DayEdge::Start, start), (DayEdge::End, end)] {
            let instant = parse(text, zone_name, edge).unwrap();
            assert!(instant.is_day());
            let printed = Instant {
                day: false,
                ..instant
            }
            .format(&TimeZone::UTC);
            assert_eq!(printed, expected, "{edge:?} of {text} in {zone_name}");
            assert_eq!(instant.format(&zone(zone_name).unwrap()), text, "{edge:?}");
        }
    }
}

#[test]
fn clock_changes_are_refused() {
    let amsterdam = "Europe/Amsterdam".to_owned();
    let text = "2017-03-26T02:30:00".to_owned();
    assert_eq!(
        utc(&text, &amsterdam),
        Err(TimeError::Skipped {
            text,
            zone: amsterdam.clone()
        })
    );
    let text = "2017-10-29 02:30".to_owned();
    assert_eq!(
        utc(&text, &amsterdam),
        Err(TimeError::Repeated {
            text,
            zone: amsterdam.clone()
        })
    );
    assert_eq!(
        utc("2017-10-29 02:30+02:00", &amsterdam).unwrap(),
        "2017-10-29T00:30:00Z"
    );
    let error = utc("2011-12-30", "Pacific/Apia").unwrap_err();
    assert!(
        error.to_string().contains("never was in Pacific/Apia"),
        "{error}"
    );
}

#[test]
fn other_texts_are_refused_with_the_reason() {
    for text in [
        "",
        "now",
        "2017",
        "2017-03",
        "20170321",
        "2017-3-21",
        "17-03-2017",
        "+2017-03-21",
        "2017-03-21T",
        "2017-03-21T10",
        "2017-03-21T1000Z",
        "2017-03-21X10:00",
        "2017-03-21T10:00:00+1",
        "2017-03-21T10:00:00+01:0a",
        "2017-03-21T10:00:00+24:00",
        "2017-03-21T10:00:00+01:60",
        "2017-03-21T10:00:00[Europe/Amsterdam]",
        "2017-03-21T10:00:00,5",
        "2017-03-2\u{e9}",
        "12017-03-21",
    ] {
        assert_eq!(
            utc(text, "UTC"),
            Err(TimeError::Syntax {
                text: text.to_owned()
            })
        );
    }
    for text in [
        "2017-02-29",
        "2017-13-01",
        "2017-00-10",
        "2017-03-21T24:00:00",
        "2017-03-21T10:60",
        "2017-03-21T10:00:61Z",
        "2017-03-21T10:00:00.Z",
        "2017-03-21T10:00:",
    ] {
        assert_eq!(
            utc(text, "UTC"),
            Err(TimeError::Calendar {
                text: text.to_owned()
            })
        );
    }
    for text in [
        "0000-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
    ] {
        assert_eq!(
            utc(text, "UTC"),
            Err(TimeError::Range {
                text: text.to_owned()
            })
        );
    }
    for text in ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5+00:00"] {
        assert_eq!(
            utc(text, "UTC"),
            Err(TimeError::LeapSecond {
                text: text.to_owned()
            })
        );
    }
    for name in ["", "Mars/Olympus", "Europe/Amsterdam "] {
        assert_eq!(
            zone(name).unwrap_err(),
            TimeError::Zone {
                name: name.to_owned()
            }
        );
    }
}

#[test]
fn the_range_is_years_1_to_9999() {
    assert_eq!(Instant::from_micros(FIRST - 1, false), None);
    assert_eq!(Instant::from_micros(LAST + 1, false), None);
    assert_eq!(Instant::from_micros(i64::MIN, true), None);
    for (micros, text) in [
        (FIRST, "0001-01-01T00:00:00Z"),
        (LAST, "9999-12-31T23:59:59.999999Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(
            Instant::from_micros(micros, false)
                .unwrap()
                .format(&TimeZone::UTC),
            text
        );
    }
}

#[test]
fn every_instant_is_read_back_from_its_text() {
    fn property(micros: i64, day: bool) -> bool {
        let micros = micros % (LAST - 86_400_000_000);
        let Some(instant) = Instant::from_micros(micros, false) else {
            return micros < FIRST;
        };
        let amsterdam = zone("Europe/Amsterdam").unwrap();
        let back = Instant::parse(&instant.format(&amsterdam), &amsterdam, DayEdge::Start);
        let date = Instant { day, ..instant }.format(&amsterdam);
        let start = Instant::parse(&date, &amsterdam, DayEdge::Start).unwrap();
        let end = Instant::parse(&date, &amsterdam, DayEdge::End).unwrap();
        back == Ok(instant) && start.micros() <= micros && micros <= end.micros()
    }
    QuickCheck::new()
        .tests(2_000)
        .quickcheck(property as fn(i64, bool) -> bool);
}

#[test]
fn any_text_is_read_without_panic() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the form that quickcheck calls"
    )]
    fn property(text: String, at: usize) -> bool {
        let mut time = "2017-03-21T10:00:00.5+01:00".to_owned();
        time.insert_str(at % time.len(), &text);
        for text in [&text, &time] {
            drop(parse(text, "Europe/Amsterdam", DayEdge::End));
        }
        true
    }
    QuickCheck::new()
        .tests(2_000)
        .quickcheck(property as fn(String, usize) -> bool);
}
