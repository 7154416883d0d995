//! What was paid, by the receipt and by the remote's own books.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use crate::support::World;

/// The lines of a receipt, by task.
fn lines(csv: &str) -> BTreeMap<String, HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.deserialize().map(|row| row.unwrap());
    rows.map(|row: HashMap<String, String>| (row["task_id"].clone(), row)).collect()
}

#[test]
fn every_task_that_the_remote_made_stands_in_the_receipt_with_what_it_cost() {
    let world = World::new(&["--units", "3.5", "--fault", "fail=0.5", "--seed", "3"]);
    let manifest = world.manifest("m.csv", 8);
    let args = [manifest.to_str().unwrap(), "--max-failures", "off"];
    world.run(&args).exits(3);
    world.nightreel(&["retry", "--all"]).exits(0);
    world.run(&args);
    let tasks = world.tasks();
    assert!(tasks.len() > 9, "some are tried again");
    let ran = world.nightreel(&["receipt"]).exits(0);
    let lines = lines(&ran.out);
    assert_eq!(lines.len(), tasks.len());
    for task in &tasks {
        let line = &lines[task["task_id"].as_str().unwrap()];
        assert_eq!(line["external_task_id"], task["external_task_id"].as_str().unwrap());
        assert!(!line["request_id"].is_empty() && !line["sent"].is_empty(), "{line:?}");
        let made = task["fails"].is_null();
        assert_eq!(line["verdict"], if made { "made" } else { "failed" }, "{line:?}");
        let paid = (line["estimate"].as_str(), line["currency"].as_str(), line["actual"].as_str());
        if made {
            assert_eq!(paid, ("0.28", "USD", "0.49"));
        }
    }
    // The second attempt of a row that failed is a line of its own.
    assert!(lines.values().any(|line| line["attempt"] == "2"));
    let named = world.nightreel(&["receipt", "--batch", "other"]).exits(2);
    assert!(named.err.contains("the ledger has: m"), "{}", named.err);
    let named = world.nightreel(&["receipt", "--account", "nobody"]).exits(2);
    assert!(named.err.contains("it knows: kling at 127.0.0.1"), "{}", named.err);
}

#[test]
fn the_account_is_asked_what_it_charged_and_what_no_row_knows_is_told() {
    let world = World::new(&["--units", "3"]);
    let manifest = world.manifest("m.csv", 3);
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    let table = world.nightreel(&["receipt", "--settle", "--out", "r.csv"]).exits(0);
    let row: Vec<&str> = table.out.lines().find(|line| line.contains("squish")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["squish", "3", "3", "0", "USD", "0.84", "USD", "1.26", "+0.42"], "{}", table.out);
    assert!(!table.out.contains("rescue"), "{}", table.out);
    assert_eq!(lines(&fs::read_to_string(world.path("r.csv")).unwrap()).len(), 3);
    // Somebody else works with the same account.
    let other = world.manifest("other.csv", 2);
    world.run(&[other.to_str().unwrap(), "--state", "other.db", "--out", "other"]).exits(0);
    let told = world.nightreel(&["receipt", "--settle", "--json"]).exits(0).json();
    assert_eq!(told["requests"], 3);
    assert_eq!(told["stray_charges"].as_array().unwrap().len(), 2, "{told}");
    let table = world.nightreel(&["receipt", "--settle", "--out", "r.csv"]).exits(0);
    assert!(table.out.contains("next: nightreel rescue"), "{}", table.out);
    world.nightreel(&["receipt", "--json", "--out", "-"]).exits(2);
    let unasked = world.command(&["receipt", "--settle", "--json"]).env("NIGHTREEL_API_KEY", "wrong").output().unwrap();
    assert_eq!(unasked.status.code(), Some(8), "what could not be learned is no success");
}
