//! The help of every verb, word for word, at a hundred columns.

use crate::support::World;

/// The help as a terminal of a hundred columns shows it.
fn help(world: &World, args: &[&str]) -> String {
    let shown = world.command(args).env("COLUMNS", "100").output().unwrap();
    assert_eq!(shown.status.code(), Some(0), "{args:?}");
    String::from_utf8(shown.stdout).unwrap()
}

#[test]
fn help_is_as_it_was_read_last() {
    let world = World::new(&[]);
    let top = help(&world, &["--help"]);
    let verbs: Vec<&str> = top
        .lines()
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split(' ').next().filter(|verb| verb.starts_with(|c: char| c.is_ascii_lowercase())))
        .collect();
    assert!(verbs.len() > 15, "{top}");
    insta::assert_snapshot!("nightreel", top);
    for verb in verbs {
        let shown = help(&world, &[verb, "--help"]);
        assert!(shown.contains("\nExample"), "{verb} has no example:\n{shown}");
        let widest = shown.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{verb}: {widest:?}");
        insta::assert_snapshot!(format!("nightreel-{verb}"), shown);
    }
}
