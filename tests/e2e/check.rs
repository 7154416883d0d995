//! What `check` says before anything is paid: what would be sent, what that costs and takes, what looks wrong.

use crate::support::{Ran, World};

/// Six rows of a scene that is gone, and one that is misspelt.
fn manifest(world: &World) {
    let mut text = "id,scene,images,duration,account\n".to_owned();
    for row in 0..6 {
        text.push_str(&format!("row{row},squish,https://example.com/{row}.jpg,5,\n"));
    }
    text.push_str("typo,hug_prp,https://example.com/t.jpg|https://example.com/u.jpg,5,\n");
    world.write("m.csv", text);
}

fn check(world: &World, more: &[&str]) -> Ran {
    let mut args = vec!["check", "m.csv"];
    args.extend(more);
    world.nightreel(&args)
}

#[test]
fn cost_time_and_warnings_are_told_before_anything_is_sent() {
    let world = World::new(&[]);
    manifest(&world);
    let plain = check(&world, &[]).exits(0);
    for said in [
        "m.csv: 7 rows, no problems\n0 done, 0 changed, 7 new\n",
        "to send: 7 requests, about USD 1.96 (of which USD 0.28 is guessed: the vendor publishes no prices per scene)\n",
        // Two rounds of five, and one more for the rest of squish, which waits for its first rows.
        "about 16 min at the default 60/min and 5 parallel generations of 5 min 20 s each (a guess: none has ended yet); \
         done at ",
        "  6 rows (line 2, 3, 4 …): squish is gone from the vendor's newest pages; gateways may still offer it\n",
        "  1 row (line 8): \"hug_prp\" is not among the scenes that nightreel knows; did you mean \"hug_pro\"?\n",
    ] {
        assert!(plain.out.contains(said), "{said}\n---\n{}", plain.out);
    }
    assert!(!plain.out.contains("budget") && !plain.out.contains("note:"), "{}", plain.out);

    let flags = ["--gateway", "kling", "--rate", "1/min", "--in-flight", "1", "--canary", "0", "--budget", "1.20"];
    let kling = check(&world, &flags).exits(0);
    for said in [
        "about 37 min at 1/min and 1 parallel generation of 5 min 20 s each",
        "budget:  USD 1.20: enough for about 4 of 7 rows\n",
        "note: kling does not take duration, model or mode for effects: 7 rows have them, they are not sent",
    ] {
        assert!(kling.out.contains(said), "{said}\n---\n{}", kling.out);
    }
    // Nobody is asked, so no key is needed.
    let mut keyless = world.command(&["check", "m.csv", "--gateway", "cometapi"]);
    Ran::from(keyless.env_remove("NIGHTREEL_API_KEY").output().unwrap()).exits(0);
    assert_eq!(world.stats()["creations"], 0);
    assert!(!world.path("state").exists(), "a check makes no ledger");
}

#[test]
fn programs_are_told_the_same_as_people() {
    let world = World::new(&[]);
    manifest(&world);
    let told = check(&world, &["--json", "--gateway", "cometapi", "--budget", "50"]).exits(0).json();
    let estimate = &told["estimate"];
    assert_eq!((&estimate["requests"], &estimate["bound"]), (&7.into(), &"about".into()), "{told:#}");
    assert_eq!(estimate["cost"][0]["currency"], "USD");
    assert_eq!((&estimate["cost"][0]["amount"], &estimate["cost"][0]["guessed"]), (&"1.96".into(), &"0.28".into()));
    assert_eq!(estimate["cost"][0]["derived"], "1.68");
    assert_eq!(estimate["seconds"], 320 * 3);
    assert_eq!((&estimate["scenes"]["squish"], &estimate["shared"]), (&6.into(), &7.into()));
    let account = &estimate["accounts"][0];
    assert_eq!((&account["account"], &account["task_time"]), (&"cometapi".into(), &"guessed".into()));
    assert!(estimate["done_at"].as_str().is_some_and(|at| at.contains('T')), "{estimate}");
    assert_eq!((&told["budget"]["amount"], &told["budget"]["enough_for"]), (&"50.00".into(), &7.into()));
    let warnings = told["warnings"].as_array().unwrap();
    let kinds: Vec<_> = warnings.iter().map(|warning| (&warning["kind"], &warning["rows"])).collect();
    assert_eq!(kinds, [(&"gone".into(), &6.into()), (&"unknown".into(), &1.into())]);
    assert_eq!((&warnings[1]["like"], &warnings[1]["lines"][0]), (&"hug_pro".into(), &8.into()));
    assert_eq!((&told["new"], &told["problem_count"]), (&7.into(), &0.into()));
}

#[test]
fn a_row_for_an_account_that_is_not_configured_is_rejected_at_its_line() {
    let world = World::new(&[]);
    let accounts = ["a", "b"].map(|name| {
        let prices = if name == "a" { "0.10" } else { "0.25" };
        format!(
            "[[account]]\nname = \"{name}\"\ngateway = \"kling\"\nbase_url = \"{}\"\n\
             key_env = \"NIGHTREEL_API_KEY\"\n\
             [account.prices]\ndefault = {prices}\n",
            world.base_url
        )
    });
    world.write("nightreel.toml", accounts.concat());
    let row = |id: &str, account: &str| format!("{id},dj_pet,https://example.com/{id}.jpg,,{account}\n");
    let header = "id,scene,images,duration,account\n";
    world.write("m.csv", [header, &row("1", "a"), &row("2", "c"), &row("3", "")].concat());
    let told = check(&world, &["--json"]).exits(7).json();
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["column"], &problem["found"]), (&3.into(), &"account".into(), &"c".into()));
    assert_eq!(told["problem_count"], 1);
    assert!(problem["expected"].as_str().unwrap().contains("a, b"), "{problem}");
    world.nightreel(&["run", "m.csv"]).exits(7);

    // One account's row, and one that both could send: the dearer one is counted.
    world.write("m.csv", [header, &row("1", "a"), &row("3", "")].concat());
    let shown = check(&world, &[]).exits(0);
    let most = "to send: 2 requests, at the most USD 0.35, by the dearest account that could send each row\n";
    assert!(shown.out.contains(most), "{}", shown.out);
    assert!(shown.out.contains("(a: 60/min and 5 parallel"), "{}", shown.out);
    // An account that is configured and not chosen keeps its rows; that is no mistake.
    let chosen = check(&world, &["--account", "b"]).exits(0);
    assert!(chosen.out.contains("to send: 1 request, about USD 0.25\n"), "{}", chosen.out);
    assert!(chosen.out.contains("1 row names an account that is not at work: not sent\n"), "{}", chosen.out);
    assert_eq!(world.stats()["creations"], 0);
}

#[test]
fn a_run_says_that_there_are_warnings_and_a_check_afterwards_knows_what_was_paid_and_how_long_it_took() {
    let world = World::new(&[]);
    manifest(&world);
    let ran = world.run(&["m.csv"]).exits(0);
    assert!(ran.err.contains("3 warnings: nightreel check m.csv shows them\n"), "{}", ran.err);
    // The second run admits nothing, and a quiet one says nothing.
    assert!(!world.run(&["m.csv"]).exits(0).err.contains("warning"));
    let done = check(&world, &["--budget", "2"]).exits(0);
    assert!(done.out.contains("7 done, 0 changed, 0 new\nto send: nothing\n"), "{}", done.out);
    assert!(!done.out.contains("warnings"), "{}", done.out);
    let paid = "budget:  USD 2.00, of which USD 1.96 may have been paid already: enough\n";
    assert!(done.out.contains(paid), "{}", done.out);

    // More of it: by the times that were seen, and squish needs no first rows any more.
    let text = std::fs::read_to_string(world.path("m.csv")).unwrap();
    world.write("m.csv", format!("{text}more,squish,https://example.com/more.jpg,5,\n"));
    let more = check(&world, &["--json"]).exits(0).json();
    let account = &more["estimate"]["accounts"][0];
    assert_eq!((&account["task_time"], &account["gateway"]), (&"seen".into(), &"kling".into()), "{more:#}");
    assert!(account["task_seconds"].as_f64().unwrap() < 10.0, "{account}");
    assert!(!world.run(&["m.csv", "--quiet"]).exits(0).err.contains("warning"));
}

#[test]
fn a_store_of_pictures_that_this_build_cannot_reach_is_told_before_anything_is_begun() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    let manifest = manifest.to_str().unwrap();
    if !cfg!(feature = "object-store") {
        let via = ["--images-via", "s3://videos/lent"];
        for args in [[&["check", manifest][..], &via].concat(), world.kling(&[&[manifest][..], &via].concat())] {
            let told = world.nightreel(&args).exits(2);
            assert!(told.err.contains("--features object-store"), "{}", told.err);
        }
        assert!(!world.path("state").exists());
    }
    for wrong in ["pictures/", "ftp://videos/lent", "s3://key:s3cr3t@videos/lent"] {
        let told = world.nightreel(&["check", manifest, "--images-via", wrong]).exits(2);
        assert!(told.err.contains("s3://BUCKET/PREFIX") && !told.err.contains("s3cr3t"), "{}", told.err);
    }
    world.nightreel(&["check", manifest, "--images-via", "off"]).exits(0);
    // What is paid is collected all the same.
    world.run(&[manifest]).exits(0);
    world.write("nightreel.toml", "images_via = \"s3://videos/lent\"\n");
    world.nightreel(&["collect", "--gateway", "kling", "--base-url", &world.base_url]).exits(0);
}
