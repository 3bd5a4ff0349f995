//! Times as texts, in time zones. What is read is written, and read again as the same instant.
#![no_main]

use arbitrary::Arbitrary;
use blocknet_engine::Moment;
use blocknet_tools::input::{DayEdge, Instant, zone};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    zone: u8,
    micros: i64,
    /// A time; for other zones than the known ones, the zone's name and a zero byte come first.
    text: &'a str,
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "Pacific/Apia",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
];

fuzz_target!(|input: Input<'_>| {
    let known = ZONES.get(usize::from(input.zone) % (ZONES.len() + 1));
    let (name, text) = match known {
        Some(name) => (*name, input.text),
        None => input.text.split_once('\0').unwrap_or_default(),
    };
    let Ok(zone) = zone(name) else {
        return;
    };
    let range = Moment::FIRST.as_micros()..=Moment::LAST.as_micros();
    for edge in [DayEdge::Start, DayEdge::End] {
        let Ok(instant) = Instant::parse(text, &zone, edge) else {
            continue;
        };
        assert!(range.contains(&instant.micros()));
        let written = instant.format(&zone);
        let again = Instant::parse(&written, &zone, edge);
        let again = again.unwrap_or_else(|error| panic!("{written}: {error}"));
        // A day cut at the ends of time may be written as the one beside it.
        let cut = [*range.start(), *range.end()].contains(&instant.micros());
        assert!(again == instant || (instant.is_day() && cut), "{written}");
    }
    let moment = Moment::from_micros(input.micros).to_string();
    match Instant::from_micros(input.micros, false) {
        Some(instant) => {
            assert_eq!(instant.format(&zone), moment);
            let again = Instant::parse(&moment, &zone, DayEdge::Start);
            assert_eq!(again.map(Instant::micros), Ok(input.micros));
        }
        None => assert!(!Moment::from_micros(input.micros).is_date()),
    }
});
