//! Queries asked, and their answers held against verdicts.

use std::ops::ControlFlow;

use blocknet_query::{PlanKind, Query, Selection};

use super::nets::Snapshot;
use super::oracle::Verdict;

/// What was asked and answered.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) queries: u32,
    pub(crate) records: usize,
    pub(crate) answered: u32,
    pub(crate) undecided: usize,
    pub(crate) forced: u32,
}

/// Plans that answer any query of an area.
pub(crate) const FORCED: [PlanKind; 3] = [PlanKind::Ranges, PlanKind::Skip, PlanKind::Scan];

/// The places in the list of the records that a query answers with, in the order of the answer:
/// as records of its own, as records lent, and as visited.
pub(crate) fn answer(snapshot: &Snapshot<'_>, query: &Query<'_>) -> Vec<usize> {
    let place = |id: &str| {
        *snapshot
            .by_id
            .get(id)
            .unwrap_or_else(|| panic!("{id} is not in this view: {query:?}"))
    };
    let found = query.run(&snapshot.view).unwrap();
    let built: Vec<usize> = found.map(|record| place(&record.unwrap().id)).collect();
    let (mut lent, mut visited) = (Vec::new(), Vec::new());
    let mut search = query.run(&snapshot.view).unwrap();
    let read = search.visit(|record| {
        lent.push(place(record.id));
        ControlFlow::Continue(())
    });
    read.unwrap();
    let read = query.visit(&snapshot.view, |record| {
        visited.push(place(record.id));
        ControlFlow::Continue(())
    });
    assert_eq!(read.unwrap().records, u64::try_from(visited.len()).unwrap());
    assert_eq!(lent, built, "lent: {query:?}");
    assert_eq!(visited, built, "visited: {query:?}");
    built
}

impl Tally {
    /// Asks, and every tenth time asks again by each plan and counts. All answers are to be those
    /// records, each once, that the verdicts say.
    pub(crate) fn ask(
        &mut self,
        snapshot: &Snapshot<'_>,
        selection: &Selection<'_>,
        verdicts: &[Verdict],
    ) {
        let query = Query::from(selection);
        let mut found = answer(snapshot, &query);
        self.queries += 1;
        self.records += found.len();
        self.answered += u32::from(!found.is_empty());
        let undecided = verdicts.iter().filter(|v| **v == Verdict::Either);
        self.undecided += undecided.count();
        found.sort_unstable();
        compare(snapshot, &query, &found, verdicts);
        if self.queries % 10 == 1 {
            for plan in FORCED {
                let query = query.clone().by(plan);
                let mut again = answer(snapshot, &query);
                again.sort_unstable();
                assert_eq!(again, found, "by {plan:?}: {query:?}");
            }
            let count = query.count(&snapshot.view).unwrap();
            assert_eq!(count.records, u64::try_from(found.len()).unwrap());
            self.forced += 1;
        }
    }

    /// Prints what it came to, and holds that it was worth asking.
    pub(crate) fn close(&self, net: &str, shape: &str) {
        let Self {
            queries,
            records,
            answered,
            undecided,
            forced,
        } = self;
        println!(
            "{net}: {shape}: {queries} queries ({forced} by each plan), {answered} with an answer, \
             {records} records, {undecided} too near to say, seed {}",
            super::random::seed()
        );
        assert!(*answered * 4 > *queries, "{shape}: too few have an answer");
        assert!(
            *undecided * 50 <= *records,
            "{shape}: too many records are undecided"
        );
    }
}

/// Holds an answer, sorted, against the verdicts.
fn compare(snapshot: &Snapshot<'_>, query: &Query<'_>, found: &[usize], verdicts: &[Verdict]) {
    let mut times = vec![0_u32; verdicts.len()];
    for &index in found {
        times[index] += 1;
    }
    let wrong: Vec<String> = verdicts
        .iter()
        .zip(&times)
        .zip(&snapshot.known)
        .filter(|((verdict, times), _)| match verdict {
            Verdict::Out => **times != 0,
            Verdict::In => **times != 1,
            Verdict::Either => **times > 1,
        })
        .map(|((verdict, times), known)| {
            format!(
                "{:?} {verdict:?} but {times} times {:?}",
                known.id, known.extent
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} records at {}, as {query:?}:\n{}",
        wrong.len(),
        snapshot.view.valid_at(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}
