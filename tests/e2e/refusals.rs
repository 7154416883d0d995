//! Commands that cannot be done as they were typed: what, where, why, and what to type instead.

use crate::support::World;

#[test]
fn every_refusal_says_what_to_type() {
    let world = World::new(&[]);
    world.write("m.csv", "scene,images,duration\nsquish,https://example.com/a.jpg,5\n");
    world.write("file", "");
    let simulated = ["run", "m.csv", "--gateway", "simulator"];
    let with = |more: &[&'static str]| [&simulated[..], more].concat();
    for (args, code, says) in [
        (vec!["run", "m.csv"], 2, vec!["which gateway?", "hint: to rehearse: --gateway simulator"]),
        (
            vec!["run", "m.csv", "--gateway", "simulatr"],
            2,
            vec!["--gateway", "\"simulatr\"", "one of simulator, kling"],
        ),
        (
            vec!["run", "m.csv", "--gateway", "kling-compatible"],
            2,
            vec!["needs a base URL", "hint: ", "--base-url URL"],
        ),
        (
            vec!["run", "nope.csv", "--gateway", "simulator"],
            2,
            vec!["nope.csv", "No such file", "hint: `nightreel scan"],
        ),
        (vec!["check", "nope.csv"], 2, vec!["nope.csv", "No such file", "hint: `nightreel scan"]),
        (vec!["schedule", "nope.csv"], 2, vec!["nope.csv: there is no such manifest", "hint: `nightreel scan"]),
        (vec!["scan", "nowhere", "--scene", "squish"], 2, vec!["nowhere: there is no such", "hint: "]),
        (
            with(&["--config", "nope.toml"]),
            2,
            vec!["nope.toml", "hint: `nightreel init --config nope.toml` writes one"],
        ),
        (with(&["--rate", "fast"]), 2, vec!["--rate", "\"fast\"", "such as 20/min"]),
        (with(&["--budget", "many"]), 2, vec!["--budget", "\"many\"", "such as 50"]),
        (with(&["--window", "5"]), 2, vec!["--window", "\"5\"", "such as 22:00-06:00"]),
        (
            with(&["--name", "{nope}"]),
            2,
            vec!["{nope}", "there are {scene}", "hint: such as --name '{scene}/{id}.mp4'"],
        ),
        (with(&["--state", "file/x.db"]), 9, vec!["file", "hint: name a place that you can write with --state PATH"]),
        (
            with(&["--state", "m.csv"]),
            2,
            vec!["m.csv: this file is not a ledger", "hint: name the ledger with --state PATH"],
        ),
        (with(&["--out", "ftp://videos/x"]), 2, vec!["ftp:// is no kind of object store", "hint: s3://BUCKET/PREFIX"]),
        #[cfg(not(feature = "object-store"))]
        (
            with(&["--out", "s3://videos/wedding/"]),
            2,
            vec!["built without object stores", "s3://videos/wedding", "hint: ", "--features object-store"],
        ),
        #[cfg(not(feature = "postgres"))]
        (
            with(&["--state", "postgres://night@db/nightreel"]),
            2,
            vec![
                "postgres://night@db/nightreel",
                "built without ledgers in PostgreSQL",
                "hint: ",
                "--features cluster",
            ],
        ),
        #[cfg(not(feature = "postgres"))]
        (
            vec!["status", "--state", "postgresql://night@db/nightreel"],
            2,
            vec!["built without ledgers in PostgreSQL", "hint: ", "--features cluster"],
        ),
        (with(&["--log-format", "yaml"]), 2, vec!["--log-format", "text or json"]),
        (vec!["import", "nope.db"], 2, vec!["nope.db", "hint: name a file that `nightreel export FILE` wrote"]),
        (
            vec!["status", "--state", "none.db"],
            2,
            vec!["there is no ledger yet", "hint: `nightreel run MANIFEST` makes one"],
        ),
        (vec!["serve", "nowhere"], 2, vec!["\"nowhere\"", "such as 127.0.0.1:8787"]),
        (vec!["simulate", "--fault", "nonsense"], 2, vec!["\"nonsense\"", "hint: nightreel simulate --fault list"]),
        (vec!["explain", "zzzz"], 2, vec!["\"zzzz\"", "hint: `nightreel explain` lists"]),
        (vec!["resolve"], 2, vec!["required", "Usage: nightreel resolve"]),
        (vec!["frobnicate"], 2, vec!["'frobnicate'", "--help"]),
    ] {
        let mut command = world.command(&args);
        command.env_remove("NIGHTREEL_API_KEY");
        let ran: crate::support::Ran = command.output().unwrap().into();
        let err = ran.err.clone();
        ran.exits(code);
        assert!(err.lines().any(|line| line.starts_with("error: ")), "{args:?}\n{err}");
        for part in says {
            assert!(err.contains(part), "{args:?}: {part}\n{err}");
        }
    }
    assert_eq!(world.tasks().len(), 0);
}
