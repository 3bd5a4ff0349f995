use super::{newest, one, payload, state};
use crate::testing::{DIR, TestClock, builder, day};
use crate::writer::CLOCK_TOLERANCE_MICROS;
use crate::{AsOf, Assertion, Basis, Commit, ErrorKind, LayerDef, Moment, Net, Recorded};
use blocknet_geocode::NetSpec;
use blocknet_wal::MemEnv;
use std::sync::Arc;

fn net_at(clock: &Arc<TestClock>) -> Net {
    builder(&MemEnv::new(1))
        .clock(Arc::clone(clock) as _)
        .create(DIR, NetSpec::city())
        .unwrap()
}

fn after(moment: Moment, micros: i64) -> Moment {
    Moment::from_micros(moment.as_micros() + micros)
}

fn recorded(at: Moment, id: &str) -> Commit {
    Commit {
        recorded: Recorded::At(at),
        ..one(id, "said")
    }
}

#[test]
fn a_clock_far_behind_is_refused_until_it_is_accepted_and_then_the_commit_says_so() {
    let clock = TestClock::at(day(100));
    let net = net_at(&clock);
    let receipt = net.commit(&one("a", "1")).unwrap();
    assert_eq!((receipt.recorded, receipt.basis), (day(100), Basis::Clock));

    // An hour behind may be a clock being set right; recorded time stands still meanwhile.
    clock.set(after(day(100), -CLOCK_TOLERANCE_MICROS));
    let receipt = net.commit(&one("a", "2")).unwrap();
    assert_eq!((receipt.recorded, receipt.basis), (day(100), Basis::Clock));

    clock.set(after(day(100), -CLOCK_TOLERANCE_MICROS - 1));
    let before = newest(&net);
    for request in [one("a", "3"), recorded(day(50), "b")] {
        let error = net.commit(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Clock, "{error}");
        assert!(error.to_string().contains("accept"), "{error}");
    }
    let error = net
        .create_layer(LayerDef::new("x"), "test", "")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Clock);
    assert_eq!(newest(&net), before);
    assert_eq!(payload(&net, "a").as_deref(), Some("2"));

    let accepted = Commit {
        accept_clock: true,
        ..one("a", "3")
    };
    let receipt = net.commit(&accepted).unwrap();
    assert_eq!(receipt.basis, Basis::ClockAccepted);
    assert_eq!(receipt.recorded, day(100), "it never runs backwards");
    let view = net.view(AsOf::Newest, day(1)).unwrap();
    let info = view.commit(receipt.commit.unwrap()).unwrap();
    assert_eq!(info.basis, Basis::ClockAccepted);
    assert_eq!(info.written, after(day(100), -CLOCK_TOLERANCE_MICROS - 1));

    // Right again: no word about it.
    clock.set(day(101));
    let receipt = net.commit(&one("a", "4")).unwrap();
    assert_eq!((receipt.recorded, receipt.basis), (day(101), Basis::Clock));
}

#[test]
fn an_asserted_recorded_time_lies_not_in_the_future_and_not_before_the_layers_newest() {
    let clock = TestClock::at(day(100));
    let net = net_at(&clock);
    let receipt = net.commit(&recorded(day(50), "a")).unwrap();
    assert_eq!(
        (receipt.recorded, receipt.basis),
        (day(50), Basis::Asserted)
    );
    let before = newest(&net);
    let outside = [Moment::MIN, Moment::MAX, after(Moment::FIRST, -1)];
    for moment in [after(day(100), 1), after(day(50), -1)]
        .into_iter()
        .chain(outside)
    {
        let error = net.commit(&recorded(moment, "b")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{moment}");
    }
    assert_eq!(newest(&net), before, "nothing was written");

    // The same moment again, and now, are fine; another layer has its own course of time.
    net.commit(&recorded(day(50), "b")).unwrap();
    net.commit(&recorded(day(100), "c")).unwrap();
    let other = net
        .create_layer(LayerDef::new("other"), "test", "")
        .unwrap();
    let elsewhere = Commit {
        recorded: Recorded::At(day(10)),
        ..Commit::new(
            "test",
            vec![Assertion {
                layer: other,
                ..state("a", "x")
            }],
        )
    };
    net.commit(&elsewhere).unwrap();
    // As of day 60 the one layer is known up to its second commit, the other up to its only one.
    let view = net.view(AsOf::Recorded(day(60)), day(1)).unwrap();
    assert_eq!(view.bound(crate::LayerId::MAIN), 3);
    assert_eq!(view.bound(other), 6);
    assert!(view.get(crate::LayerId::MAIN, "b").unwrap().is_some());
    assert!(view.get(crate::LayerId::MAIN, "c").unwrap().is_none());
    assert!(view.get(other, "a").unwrap().is_some());
}
