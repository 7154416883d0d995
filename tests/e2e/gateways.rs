//! Every gateway by the real binary, against a remote that speaks its dialect and has its failings.

use std::collections::HashSet;

use serde_json::Value;

use crate::support::{A_KEY, A_KEY_AND_A_TOKEN, A_PAIR, Ran, Shown, World};

const ROWS: usize = 12;

/// What goes a little wrong in any night.
const FAULTS: [&str; 4] = ["lose-answer=0.15", "refuse-429=0.05", "query-500=0.1", "truncate=0.2"];

/// A kind of gateway, the remote that it is for, and what it is shown.
#[derive(Debug, Clone, Copy)]
struct Kind {
    gateway: &'static str,
    remote: &'static [&'static str],
    shown: Shown,
}

const KLING: Kind = Kind { gateway: "kling", remote: &[], shown: A_KEY };
const KLING_BY_TOKENS: Kind = Kind { shown: A_PAIR, ..KLING };
const COMETAPI: Kind =
    Kind { gateway: "cometapi", remote: &["--dialect", "comet", "--prefix", "/kling"], shown: A_KEY_AND_A_TOKEN };
const KKIAI: Kind = Kind { gateway: "kkiai", remote: &["--dialect", "new-api", "--prefix", "/kling"], shown: A_KEY };
const FAL: Kind = Kind { gateway: "fal", remote: &["--dialect", "fal"], shown: A_KEY };
const WAVESPEED: Kind = Kind { gateway: "wavespeed", remote: &["--dialect", "wavespeed"], shown: A_KEY };

impl Kind {
    fn world(self, flags: &[&str]) -> World {
        World::demanding(self.shown, &[self.remote, flags].concat())
    }

    /// Runs the manifest, and says everything that it can say.
    fn run(self, world: &World, more: &[&str]) -> Ran {
        world.command(&world.through(self.gateway, more)).env("RUST_LOG", "trace").output().unwrap().into()
    }

    /// A night with mild faults: what is not in doubt is made, nothing is paid twice, no key goes astray.
    fn survives_a_night(self) {
        let faults: Vec<&str> = FAULTS.iter().flat_map(|fault| ["--fault", fault]).collect();
        let world = self.world(&faults);
        let manifest = world.manifest("m.csv", ROWS);
        let ran = self.run(&world, &[manifest.to_str().unwrap()]);
        let status = world.status();
        let count = |state: &str| usize::try_from(status[state].as_u64().unwrap()).unwrap();
        let (done, held) = (count("done"), count("held"));
        assert_eq!((done + held, count("failed")), (ROWS, 0), "{self:?}: {status}\n{}", ran.out);
        ran.exits(if held == 0 { 0 } else { 4 });
        let tasks = world.tasks();
        let images: HashSet<String> = tasks.iter().map(|task| task["images"].to_string()).collect();
        assert_eq!((images.len(), tasks.len()), (ROWS, ROWS), "{self:?}: a row was paid twice or not at all");
        world.every_video_is_right(done);
        assert_eq!(world.stats()["keys_leaked"], 0);
        world.no_file_holds_a_secret();
        if self.gateway == "kling" {
            assert_eq!(held, 0, "what is in doubt there is looked up");
        }
    }
}

#[test]
fn a_night_at_kling_with_a_key() {
    KLING.survives_a_night();
}

#[test]
fn a_night_at_kling_with_an_access_key_and_a_secret_key() {
    KLING_BY_TOKENS.survives_a_night();
}

#[test]
fn a_night_at_cometapi() {
    COMETAPI.survives_a_night();
}

#[test]
fn a_night_at_kkiai() {
    KKIAI.survives_a_night();
}

#[test]
fn a_night_at_fal() {
    FAL.survives_a_night();
}

#[test]
fn a_night_at_wavespeed() {
    WAVESPEED.survives_a_night();
}

#[test]
fn a_clock_that_is_off_costs_nothing() {
    for offset in ["--clock-offset=10m", "--clock-offset=-10m"] {
        let world = KLING_BY_TOKENS.world(&[offset]);
        let manifest = world.manifest("m.csv", 3);
        let ran = KLING_BY_TOKENS.run(&world, &[manifest.to_str().unwrap()]).exits(0);
        assert_eq!(ran.err.matches("this machine's clock is").count(), 1, "{}", ran.err);
        world.paid_once(3);
        world.no_file_holds_a_secret();
    }
}

#[test]
fn a_token_that_grows_old_is_made_anew_within_a_night() {
    let world = KLING_BY_TOKENS.world(&["--token-age", "2s", "--task-time", "600ms"]);
    let manifest = world.manifest("m.csv", ROWS);
    KLING_BY_TOKENS.run(&world, &[manifest.to_str().unwrap(), "--in-flight", "2"]).exits(0);
    world.paid_once(ROWS);
    let tasks = world.tasks();
    let at = |what| tasks.iter().map(move |task: &Value| task[what].as_i64().unwrap());
    let lasted = at("ends_at").max().unwrap() - at("created_at").min().unwrap();
    assert!(lasted > 3_000, "the night was shorter than a token: {lasted} ms");
}

#[test]
fn a_gateway_without_the_route_stops_the_run_and_fails_no_row() {
    for kind in [KLING, KLING_BY_TOKENS, COMETAPI, KKIAI, FAL, WAVESPEED] {
        let world = kind.world(&["--fault", "html-200=1"]);
        let manifest = world.manifest("m.csv", 3);
        let ran = kind.run(&world, &[manifest.to_str().unwrap()]).exits(8);
        assert!(ran.err.contains("this gateway has no such route"), "{kind:?}: {}", ran.err);
        let status = world.status();
        assert_eq!((&status["planned"], &status["failed"]), (&3.into(), &0.into()), "{kind:?}: {status}");
        assert!(world.tasks().is_empty());
    }
}

#[test]
fn a_key_that_dies_while_tasks_run_fails_none_and_a_later_run_collects_them_all() {
    for kind in [KLING, COMETAPI, KKIAI, FAL, WAVESPEED] {
        let mut world = kind.world(&["--world", "world.jsonl", "--fault", "query-401=1"]);
        let manifest = world.manifest("m.csv", 4);
        let manifest = manifest.to_str().unwrap();
        let more = [manifest, "--canary", "0"];
        let ran = kind.run(&world, &more).exits(8);
        assert!(ran.err.contains("the key was not accepted"), "{kind:?}: {}", ran.err);
        let paid = world.tasks().len();
        let status = world.status();
        assert!(paid > 0, "{kind:?}: {status}");
        assert_eq!((&status["failed"], &status["held"]), (&0.into(), &0.into()), "{kind:?}: {status}");
        world.replace(&[kind.remote, &["--world", "world.jsonl"]].concat());
        world.nightreel(&["collect", "--min-poll", "30ms", "--settle-after", "400ms"]).exits(0);
        assert_eq!((world.tasks().len(), world.status()["done"].as_u64()), (paid, Some(paid as u64)), "{kind:?}");
        kind.run(&world, &more).exits(0);
        world.paid_once(4);
        world.no_file_holds_a_secret();
    }
}
