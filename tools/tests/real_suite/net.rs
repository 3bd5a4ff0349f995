//! The net of blocks of real registers: every block supervised, every hash recomputed from payload
//! bytes, and the net the propagation rule gives for the whole file, also after kills.

use std::path::Path;

use blocknet_engine::{BlockSet, Commit, Net, NetStats, propagate_alone};

use crate::support::run::{data, json};

const DUTCH: &[&str] = &[
    "--id",
    "identificatie",
    "--valid-from",
    "beginGeldigheid",
    "--recorded-at",
    "tijdstipRegistratie",
    "--create",
    "--json",
];
const FAROE: &[&str] = &[
    "--id",
    "osm_id",
    "--valid-from",
    "valid_from",
    "--removed-when",
    "event=deleted,untagged",
    "--create",
    "--json",
];
const PLAIN: &[&str] = &["--create", "--json"];

fn import(store: &str, file: &Path, args: &[&str]) {
    let mut all = vec!["import", store, file.to_str().unwrap()];
    all.extend(args);
    json(&all);
}

/// Checks that the stored net is the one the rule gives for the set of all its blocks.
pub(crate) fn check_rule(store: &str) -> NetStats {
    let net = Net::builder().open_read_only(store).unwrap();
    let view = net.now_view().unwrap();
    let linked = view.linked(None).unwrap();
    let blocks = linked.blocks().unwrap().map(|found| found.unwrap().0);
    let graph = propagate_alone(BlockSet::new(net.spec(), blocks), &[]);
    for (index, block) in graph.blocks().iter().enumerate() {
        let origin = linked.origin(&block).unwrap().unwrap();
        let expected = graph.origin(index);
        // A block may be created before a neighbour that comes after it; links both ways agree.
        assert_eq!(
            (origin.round, origin.source),
            (expected.round, expected.source),
            "{block}"
        );
        let successors = linked.successors(&block).unwrap();
        let mut found: Vec<_> = successors.into_iter().map(|next| next.block).collect();
        found.sort_unstable();
        let mut wanted: Vec<_> = graph
            .successors(index)
            .map(|next| graph.blocks().get(next))
            .collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "successors of {block}");
    }
    let stats = linked.stats().unwrap();
    assert_eq!(stats.measures.links, graph.measure().links);
    stats
}

#[test]
fn every_block_is_supervised_and_every_hash_is_that_of_the_payloads() {
    for (name, args) in [
        ("bag_doesburg_pand_history.geojsonl.gz", DUTCH),
        ("monaco_osm_2016.geojson.gz", PLAIN),
    ] {
        let Some(file) = data(name) else { continue };
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("net");
        let store = store.to_str().unwrap();
        import(store, &file, args);
        let stats = check_rule(store);
        assert_eq!(stats.supervised, stats.measures.blocks, "{name}");
        assert_eq!(stats.registry, stats.measures.out_degree[0], "{name}");
        assert!(stats.measures.acyclic, "{name}");
        assert_eq!(stats.measures.two_way_pairs, 0, "{name}");
        let net = Net::builder().open_read_only(store).unwrap();
        let audit = net.audit(|finding| panic!("{name}: {finding}")).unwrap();
        assert_eq!(audit.block_versions, stats.versions, "{name}");
        assert_eq!(audit.links, stats.measures.links, "{name}");
        assert!(audit.genes > 0 && stats.gene_covered > 0, "{name}");
        println!(
            "{name}: {} versions, {} block versions, {} genes, {} links, {} in the registry: \
             recomputed; {} of the block versions are covered by a gene",
            audit.versions,
            audit.block_versions,
            audit.genes,
            audit.links,
            audit.edges,
            stats.gene_covered
        );
    }
}

#[test]
fn an_expansion_cut_off_after_any_commit_goes_on_to_the_net_of_the_rule() {
    for (name, args) in [
        ("monaco_osm_2016.geojson.gz", PLAIN),
        ("osm_history_faroe-islands.geojsonl.gz", FAROE),
    ] {
        let Some(file) = data(name) else { continue };
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        import(path("whole").to_str().unwrap(), &file, args);
        let whole = Net::builder().open_read_only(path("whole")).unwrap();
        let view = whole.now_view().unwrap();
        let blocks = view.linked(None).unwrap().blocks().unwrap();
        let blocks = BlockSet::new(whole.spec(), blocks.map(|found| found.unwrap().0));

        // A copy of the files as they are is what a killed process leaves behind.
        let net = Net::builder()
            .create(path("expanding"), *whole.spec())
            .unwrap();
        let mut copies = Vec::new();
        net.expand(&blocks, &Commit::default(), |receipt| {
            let copy = path(&format!("killed-{}", copies.len()));
            copy_dir(&path("expanding"), &copy);
            copies.push((copy, receipt.new_blocks));
        })
        .unwrap();
        drop(net);
        let mut made = 0;
        for (copy, new) in &copies {
            made += new;
            let copy = copy.to_str().unwrap();
            let found = json(&["stats", copy, "--json"])["blocks"].as_u64();
            assert_eq!(found, Some(made));
            import(copy, &file, args);
            let stats = check_rule(copy);
            assert_eq!(stats.measures.blocks, blocks.len() as u64);
            assert_eq!(stats.supervised, stats.measures.blocks);
        }
        assert!(copies.len() > 1, "killed amid the expansion, too");
        println!(
            "{name}: expanded in {} commits, cut off after each",
            copies.len()
        );
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
