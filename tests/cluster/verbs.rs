//! What else can be done with a ledger in PostgreSQL, and what cannot.

use crate::nights::Cluster;

#[test]
fn every_verb_works_or_says_that_it_cannot() {
    let cluster = Cluster::new(&["--fail-scene", "hug_pro"]);
    let world = &cluster.world;
    let text = "id,scene,images,duration\nanna,squish,https://e.com/a.jpg,5\n\
                bert,hug_pro,https://e.com/b.jpg|https://e.com/c.jpg,5\n";
    let manifest = world.write("m.csv", text);
    let state = ["--state", cluster.state.as_str()];
    let with = |args: &[&str]| world.nightreel(&[args, &state].concat());
    let missing = with(&["status"]).exits(2);
    assert!(missing.err.contains("there is no ledger yet"), "{}", missing.err);
    let args = cluster.run(&[manifest.to_str().unwrap()]);
    let first = world.nightreel(&args).exits(3);
    assert!(first.out.contains("2 rows were submitted"), "{}", first.out);
    let status = with(&["status", "--json"]).exits(0).json();
    assert_eq!((&status["done"], &status["failed"]), (&1.into(), &1.into()));
    assert!(with(&["logs", "anna"]).exits(0).out.contains("stored"));
    assert!(with(&["receipt"]).exits(0).out.contains("anna"));
    with(&["report"]).exits(0);
    with(&["check", manifest.to_str().unwrap()]).exits(0);
    std::fs::remove_file(world.path("videos/squish/anna.mp4")).unwrap();
    with(&["verify"]).exits(3);
    with(&["collect", "--min-poll", "30ms"]).exits(3);
    with(&["verify"]).exits(0);
    with(&["retry", "bert"]).exits(0);
    world.nightreel(&args).exits(3);
    assert_eq!(world.tasks().len(), 3, "only what was asked for again was sent again");
    let pruned = with(&["prune", "--batch", "m", "--forget-paid", "--yes", "--json"]).exits(0).json();
    assert_eq!(pruned["rows"], 2);
    for verb in [["export", "copy.db"].as_slice(), &["import", "copy.db"], &["serve"], &["doctor"]] {
        let refused = with(verb).exits(2);
        assert!(refused.err.contains("needs a ledger in a file"), "{}", refused.err);
    }
    let embedded = with(&["run", manifest.to_str().unwrap(), "--gateway", "simulator"]).exits(2);
    assert!(embedded.err.contains("unknown to the others"), "{}", embedded.err);
    let alone = world.nightreel(&["worker"]).exits(2);
    assert!(alone.err.contains("a ledger that others share"), "{}", alone.err);
}

#[test]
fn a_newer_ledger_is_refused_and_a_database_that_is_not_there_is_told() {
    let cluster = Cluster::new(&[]);
    let (world, state) = (&cluster.world, cluster.state.as_str());
    let manifest = world.manifest("m.csv", 1);
    let args = cluster.run(&[manifest.to_str().unwrap()]);
    world.nightreel(&args).exits(0);
    cluster.server.sql("night", "INSERT INTO nightreel.migrations (number, name, digest) VALUES (99, 'later', '')");
    for args in [args.as_slice(), &["status", "--state", state]] {
        let refused = world.nightreel(args).exits(2);
        assert!(refused.err.contains("format is 99") && refused.err.contains("newer nightreel"), "{}", refused.err);
    }
    let elsewhere = state.replace("/night?", "/day?");
    let refused = world.nightreel(&["status", "--state", &elsewhere]).exits(2);
    assert!(refused.err.contains("does not exist"), "{}", refused.err);
    let wrong = world.nightreel(&["status", "--state", "postgres://db/n?sslmode=prefer"]).exits(2);
    assert!(wrong.err.contains("sslmode=prefer is not known"), "{}", wrong.err);
}
