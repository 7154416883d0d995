//! The list of scenes, as a person and as a program sees it.

use crate::support::World;

#[test]
fn the_scenes_are_listed_and_those_that_are_gone_are_counted() {
    let world = World::new(&[]);
    let known = include_str!("../../src/catalogue/scenes.csv").lines().skip(1);
    let (current, other): (Vec<_>, Vec<_>) =
        known.partition(|line| line.split(',').nth(2).unwrap().starts_with("current"));
    let listed = world.nightreel(&["scenes"]).exits(0);
    let counts = format!("\n{} scenes; {} more that", current.len(), other.len());
    assert!(listed.out.contains(&counts) && listed.out.contains("--gone"), "{}", listed.out);
    assert!(!listed.out.lines().any(|line| line.trim_start().starts_with("squish ")), "{}", listed.out);
    let all = world.nightreel(&["scenes", "--gone"]).exits(0);
    assert!(all.out.contains(&format!("\n{} scenes\n", current.len() + other.len())), "{}", all.out);
    let hugs = world.nightreel(&["scenes", "hug", "--gone"]).exits(0);
    let line = |name: &str| {
        let lines = hugs.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.into_iter().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default()
    };
    assert_eq!(line("hug_pro"), "hug_pro 2 current ~2 ~USD 0.28");
    assert_eq!(line("hug"), "hug 2 gone, discontinued 2026-01-30 ~2 ~USD 0.28");
    assert!(!hugs.out.contains("color_mixing"), "{}", hugs.out);
    let only_gone = world.nightreel(&["scenes", "bloombloom"]).exits(0);
    assert!(only_gone.out.starts_with("0 scenes; 1 more that"), "{}", only_gone.out);
    assert!(!world.path("state").exists(), "a ledger was made");
}

#[test]
fn a_program_reads_scenes_with_prices_as_texts() {
    let world = World::new(&[]);
    let listing = world.nightreel(&["scenes", "bloombloom", "--gone", "--json"]).exits(0).json();
    let expected = serde_json::json!({
        "scenes": [{
            "scene": "bloombloom", "images": 1, "standing": "gone", "discontinued": null,
            "units": "3.5", "price": "0.49", "sure": "derived",
        }],
        "hidden": 0, "currency": "USD", "unit_price": "0.14",
    });
    assert_eq!(listing, expected);
}

#[test]
fn a_word_that_no_scene_has_ends_with_what_was_meant() {
    let world = World::new(&[]);
    for (word, meant) in [("hug_prp", "did you mean hug_pro?"), ("ballon", "did you mean balloon_parade?")] {
        let none = world.nightreel(&["scenes", word]).exits(2);
        assert!(none.out.is_empty() && none.err.contains(meant), "{}", none.err);
    }
    let none = world.nightreel(&["scenes", "zzzzzz", "--json"]).exits(2).json();
    assert_eq!(none["exit_code"], 2, "{none}");
    assert!(none["error"]["message"].as_str().unwrap().contains("\"zzzzzz\""), "{none}");
}
