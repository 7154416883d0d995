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
