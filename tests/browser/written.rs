//! What the report's folder holds, and when it is written.

use std::fs;

use serde_json::Value;

use crate::support::{World, files};

/// What `results.json` says.
fn rows(world: &World, folder: &str) -> Vec<Value> {
    let text = fs::read_to_string(world.path(folder).join("results.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().clone()
}

#[test]
fn the_report_has_every_row_and_never_a_key() {
    let world = World::new(&["--fail-scene", "bloom"]);
    let manifest = "id,scene,images,duration,guest\na,squish,https://example.com/a.jpg,5,Ann\nb,bloom,https://example.com/b.jpg,5,\n";
    world.write("m.csv", manifest);
    let ran = world.run(&["m.csv", "--json"]).exits(3).json();
    assert!(ran["reports"][0].as_str().unwrap().ends_with("/videos/report/index.html"), "{ran}");
    let report = world.path("videos/report");
    assert_eq!(files(&report), ["data.js", "index.html", "results.csv", "results.json"]);
    let [made, failed] = &rows(&world, "videos/report")[..] else { panic!() };
    assert_eq!((&made["id"], &made["state"], &made["columns"]["guest"]), (&"a".into(), &"done".into(), &"Ann".into()));
    assert!(world.path("videos").join(made["file"].as_str().unwrap()).exists());
    assert!(failed["cause"].as_str().unwrap().contains("the task failed") && failed["hint"].is_string(), "{failed}");
    let csv = |name: &str| fs::read_to_string(world.path(name)).unwrap();
    assert_eq!(csv("videos/report/results.csv"), csv("videos/results.csv"));
    world.no_file_holds_a_secret();
    // Written again only when something happened; and never when that is not wanted.
    let page = report.join("data.js");
    fs::write(&page, "old").unwrap();
    world.run(&["m.csv"]).exits(3);
    assert_eq!(fs::read_to_string(&page).unwrap(), "old");
    world.manifest("n.csv", 1);
    world.run(&["n.csv", "--out", "other", "--no-report"]).exits(0);
    assert!(!world.path("other/report").exists());
    // A verb of its own: of all, of one batch, elsewhere.
    let told = world.nightreel(&["report"]).exits(0);
    assert_eq!(told.out, "report: other/report/index.html (1 row)\nreport: videos/report/index.html (2 rows)\n");
    assert_ne!(fs::read_to_string(&page).unwrap(), "old");
    let told = world.nightreel(&["report", "--batch", "n", "--out", "a/b c", "--json"]).exits(0).json();
    assert_eq!((&told["reports"][0]["rows"], rows(&world, "a/b c").len()), (&1.into(), 1));
    assert!(fs::read_to_string(world.path("a/b c/data.js")).unwrap().contains("\"videos\":\"../../other/\""));
    world.nightreel(&["report", "--out", "a/b c"]).exits(0);
    assert_eq!(rows(&world, "a/b c").len(), 3, "all batches, in the place of the one");
    let unknown = world.nightreel(&["report", "--batch", "x"]).exits(2);
    assert!(unknown.err.contains("the ledger has: m, n"), "{}", unknown.err);
}

#[test]
fn nothing_of_anybody_elses_is_overwritten() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    world.write("videos/report/index.html", "<p>mine");
    let ran = world.run(&[manifest.to_str().unwrap()]).exits(0);
    assert!(ran.err.contains("the report was not written"), "{}", ran.err);
    let refused = world.nightreel(&["report"]).exits(2);
    assert!(refused.err.contains("holds other files") && refused.err.contains("--out DIR"), "{}", refused.err);
    world.nightreel(&["report", "--out", "."]).exits(2);
    assert_eq!(fs::read_to_string(world.path("videos/report/index.html")).unwrap(), "<p>mine");
    // A link in the tree leads nowhere.
    fs::remove_dir_all(world.path("videos/report")).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(world.path("elsewhere"), world.path("videos/report")).unwrap();
    world.nightreel(&["report"]).exits(9);
    assert_eq!(files(&world.path("elsewhere")), Vec::<String>::new());
}
