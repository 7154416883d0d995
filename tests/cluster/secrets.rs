//! A database's password goes nowhere.

use std::process::Command;

use crate::nights::Cluster;
use crate::support::{Ran, files};

const PASSWORD: &str = "pw-recognisable-5eed5eed";

fn ran(command: &mut Command) -> Ran {
    let ran = Ran::from(command.env("RUST_LOG", "trace").output().unwrap());
    assert!(!ran.out.contains(PASSWORD) && !ran.err.contains(PASSWORD), "it was shown:\n{}{}", ran.out, ran.err);
    ran
}

#[test]
fn a_password_comes_from_where_it_is_safe_and_is_shown_nowhere() {
    let cluster = Cluster::new(&[]);
    let (world, server) = (&cluster.world, &cluster.server);
    server
        .sql("night", &format!("CREATE USER guarded PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE night TO guarded"));
    server.demand_password("guarded");
    let state = server.address("guarded", "night");
    let manifest = world.manifest("m.csv", 2);
    let args = world.kling(&[manifest.to_str().unwrap(), "--state", &state]);
    let refused = ran(&mut world.command(&args)).exits(2);
    assert!(refused.err.contains("PGPASSWORD"), "{}", refused.err);
    let wrong = ran(world.command(&args).env("PGPASSWORD", "another")).exits(2);
    assert!(wrong.err.contains("password authentication failed"), "{}", wrong.err);
    ran(world.command(&args).env("PGPASSWORD", PASSWORD)).exits(0);
    // In a file of passwords; or with the address, where that is no argument.
    let socket = state.split("host=").nth(1).unwrap().split('&').next().unwrap();
    let file = world.write("passwords", format!("{socket}:5432:night:guarded:{PASSWORD}\n"));
    let mut by_file = world.command(&["status", "--state", &state]);
    ran(by_file.env("PGPASSFILE", &file)).exits(2);
    Command::new("chmod").arg("600").arg(&file).status().unwrap();
    ran(by_file.env("PGPASSFILE", &file)).exits(0);
    std::fs::remove_file(&file).unwrap();
    let whole = state.replace("postgres:///", &format!("postgres://guarded:{PASSWORD}@/")).replace("&user=guarded", "");
    let mut by_variable = world.command(&["status", "--json"]);
    ran(by_variable.env("NIGHTREEL_STATE", &whole)).exits(0);
    let on_the_command_line = ran(&mut world.command(&["status", "--state", &whole])).exits(2);
    assert!(on_the_command_line.err.contains("seen by all"), "{}", on_the_command_line.err);
    for file in files(world.folder.path()) {
        let bytes = std::fs::read(world.path(&file)).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{file} holds it");
    }
    let told = server.sql("night", "SELECT data FROM nightreel.events UNION ALL SELECT name FROM nightreel.workers");
    assert!(!told.contains(PASSWORD));
}

/// A file of settings is the user's own to keep: what is read there is shown nowhere else, not to the commands that are started
/// either, and not when the database does not answer.
#[test]
fn a_password_in_the_file_of_settings_is_shown_nowhere_else() {
    let cluster = Cluster::new(&["--task-time", "1s..1s"]);
    let (world, server) = (&cluster.world, &cluster.server);
    server
        .sql("night", &format!("CREATE USER guarded PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE night TO guarded"));
    server.demand_password("guarded");
    let address = server.address("guarded", "night").replace("&user=guarded", "");
    let whole = address.replace("postgres:///", &format!("postgres://guarded:{PASSWORD}@/"));
    // What is told of the run's end is told by a command: what it is shown, and who is at work meanwhile.
    let tells = "env > told.env; cat /proc/[0-9]*/cmdline > told.list 2> /dev/null; true";
    let settings = format!("state = \"{whole}\"\n[notify]\ncommand = \"{tells}\"\non = \"end\"\n");
    world.write("nightreel.toml", &settings);
    world.manifest("m.csv", 2);
    let args = world.kling(&["m.csv"]);
    ran(world.command(&args).env("PATH", "/usr/bin:/bin")).exits(0);
    let told = std::fs::read_to_string(world.path("told.env")).unwrap();
    assert!(told.contains("NIGHTREEL_EVENT=end") && !told.contains(PASSWORD), "{told}");
    assert!(std::fs::read_to_string(world.path("told.list")).is_ok_and(|list| list.contains("nightreel")));
    let place = ["--gateway", "kling", "--base-url", &world.base_url];
    for args in [
        vec!["status", "--json"],
        vec!["logs", "row0"],
        vec!["report"],
        vec!["receipt"],
        vec!["verify"],
        vec!["retry", "--all"],
        vec!["resolve", "row0", "--drop"],
        vec!["schedule", "m.csv", "--at", "22:00"],
        vec!["export", "copy.db"],
        vec!["prune", "--older-than", "1d"],
        [&["check", "m.csv"], &place[..]].concat(),
        [&["doctor", "m.csv"], &place[..]].concat(),
        [&["collect"], &place[..]].concat(),
    ] {
        ran(&mut world.command(&args));
    }
    // Another password; a mistake on the same line; nobody there.
    world.write("wrong.toml", settings.replace(PASSWORD, "another-one"));
    let wrong = ran(&mut world.command(&["status", "--config", "wrong.toml"])).exits(2);
    assert!(
        wrong.err.contains("password authentication failed") && !wrong.err.contains("another-one"),
        "{}",
        wrong.err
    );
    world.write("broken.toml", format!("state = \"{whole}\" oops\n"));
    ran(&mut world.command(&["status", "--config", "broken.toml"])).exits(2);
    server.crash();
    let doctor = [&["doctor", "m.csv"], &place[..]].concat();
    // Each waits for twenty seconds: the server may be starting.
    std::thread::scope(|scope| {
        for args in [&["status"][..], &["status", "--json"], &doctor] {
            scope.spawn(move || {
                let away = ran(&mut world.command(args));
                assert!(away.code.is_some_and(|code| code != 0), "{args:?}: {}", away.out);
            });
        }
    });
    let settings = ["nightreel.toml", "wrong.toml", "broken.toml"];
    for file in files(world.folder.path()).iter().filter(|file| !settings.contains(&file.as_str())) {
        let bytes = std::fs::read(world.path(file)).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{file} holds it");
    }
    server.up();
}
