//! The importer killed at a random moment, fifty times: whole commits only, everything acknowledged
//! is there, and the import continues to the same answers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::real_suite::net::check_rule;
use crate::support::run::{Random, blocknet, count, data, json, lines};

const ARGS: [&str; 7] = [
    "--id",
    "identificatie",
    "--valid-from",
    "beginGeldigheid",
    "--recorded-at",
    "tijdstipRegistratie",
    "--create",
];

/// Starts an import and kills it after so long; returns whether it had ended by itself.
fn import_and_kill(store: &str, file: &Path, after: Duration) -> bool {
    let mut child = blocknet()
        .args(["import", store, file.to_str().unwrap()])
        .args(ARGS)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    if ended {
        let summary = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert!(summary.is_some(), "an import that ends says what it did");
    }
    ended
}

/// Every version of every entity in the order of commits, as far as the store shows them.
fn versions(store: &str) -> u64 {
    json(&["stats", store, "--json"])["layers"][0]["versions"]
        .as_u64()
        .unwrap()
}

#[test]
fn an_import_killed_at_any_moment_continues() {
    let Some(file) = data("bag_doesburg_pand_history.geojsonl.gz") else {
        return;
    };
    let mut random = Random::seeded("kill the importer");
    let kills: u32 = std::env::var("BLOCKNET_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(50);
    let root = tempfile::tempdir().unwrap();
    let mut done = 0;
    let mut round = 0;
    let mut midway = 0;
    while done < kills {
        round += 1;
        let store = root.path().join(format!("net-{round}"));
        let store = store.to_str().unwrap();
        let mut before = 0;
        // One store is killed again and again until its import gets through.
        loop {
            let ended =
                import_and_kill(store, &file, Duration::from_millis(20 + random.below(1200)));
            done += 1;
            if !Path::new(store).join("journal").exists() {
                continue;
            }
            let stats = blocknet()
                .args(["stats", store, "--json"])
                .output()
                .unwrap();
            if !stats.status.success() {
                // Killed while the net was being created, before its first commit.
                let message = String::from_utf8_lossy(&stats.stderr).into_owned();
                assert!(message.contains("was not finished"), "{message}");
                std::fs::remove_dir_all(store).unwrap();
                continue;
            }
            let now = versions(store);
            assert!(now >= before, "versions fell from {before} to {now}");
            midway += u32::from(now > 0 && now < 13_098);
            before = now;
            check_commits(store, now);
            if ended || done >= kills {
                break;
            }
        }
        let output = blocknet()
            .args(["import", store, file.to_str().unwrap()])
            .args(ARGS)
            .arg("--json")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(versions(store), 13_098);
        for (day, expected) in [
            ("1980-01-01", 2_247),
            ("2016-01-01", 7_447),
            ("2020-09-15", 7_797),
        ] {
            assert_eq!(
                count(store, &["--valid-at", day]),
                expected,
                "valid at {day}"
            );
        }
        let found = count(
            store,
            &["--as-of", "2011-01-01", "--valid-at", "2010-01-01"],
        );
        assert_eq!(found, 4_583);
        let stats = check_rule(store);
        assert_eq!(stats.supervised, stats.measures.blocks);
        std::fs::remove_dir_all(store).unwrap();
    }
    println!("killed {done} times in {round} stores, {midway} times midway");
}

/// The entities that are there have whole histories: the counts of the layer are those of a scan.
fn check_commits(store: &str, versions: u64) {
    let found = lines(&[
        "query",
        store,
        "--valid-at",
        "9999-01-01",
        "--meta",
        "--json",
    ]);
    let entities = json(&["stats", store, "--json"])["layers"][0]["live"]
        .as_u64()
        .unwrap();
    assert_eq!(found.len() as u64, entities, "at {versions} versions");
}
