//! What nightreel is installed by: the container's recipe, the Debian package and its units, held to the code they install.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{KEY, QUICK, Ran, World, files, is_rust};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cargo_toml() -> toml::Table {
    text("Cargo.toml").parse().unwrap()
}

/// The instructions of a Dockerfile: their first word, and the rest.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let told = joined.lines().filter(|line| !line.trim().is_empty());
    told.map(|line| {
        let (word, rest) = line.trim().split_once(' ').unwrap();
        (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
    })
    .collect()
}

/// Whether a build would be given this path: the last pattern that matches decides. Patterns here are names, or all.
fn is_given(dockerignore: &str, path: &str) -> bool {
    let mut given = true;
    for pattern in dockerignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (again, name) = pattern.strip_prefix('!').map_or((false, pattern), |name| (true, name));
        assert!(name == "*" || !name.contains(['*', '?', '[']), "this test does not understand {pattern:?}");
        if name == "*" || path == name || path.starts_with(&format!("{name}/")) {
            given = again;
        }
    }
    given
}

/// Whether an instruction copies this, or a folder around it, out of the project.
fn copied_from_here(all: &[(String, String)], place: &str) -> bool {
    let copies = all.iter().filter(|(word, rest)| word == "COPY" && !rest.starts_with("--from="));
    copies.flat_map(|(_, rest)| rest.split(' ')).any(|source| Path::new(place).starts_with(source))
}

#[test]
fn the_image_is_built_from_what_is_there_and_keeps_ledger_and_videos_in_one_volume() {
    let all = instructions(&text("Dockerfile"));
    let of = |word: &str| all.iter().filter(|(one, _)| one == word).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>();
    let [build, image] = of("FROM")[..] else { panic!("two stages: {:?}", of("FROM")) };
    let rust_version = cargo_toml()["package"]["rust-version"].as_str().unwrap().to_owned();
    let debian =
        build.strip_prefix(&format!("rust:{rust_version}-slim-")).and_then(|rest| rest.strip_suffix(" AS build"));
    assert_eq!(
        image,
        format!("debian:{}-slim", debian.unwrap_or_else(|| panic!("{build} is not Rust {rust_version}")))
    );
    let last_stage = all.iter().rposition(|(word, _)| word == "FROM").unwrap();

    let ignored = text(".dockerignore");
    let (from_build, from_here): (Vec<&str>, Vec<&str>) =
        of("COPY").into_iter().partition(|rest| rest.starts_with("--from=build "));
    assert!(!from_here.is_empty());
    for copied in from_here {
        let words: Vec<&str> = copied.split(' ').collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "{source} is not there");
            assert!(is_given(&ignored, source), "{source} is kept from the build");
        }
    }
    for needed in ["Cargo.toml", "Cargo.lock", "src/main.rs", "src/store/sqlite/migrations/0001_ledger.sql"] {
        assert!(root().join(needed).exists() && is_given(&ignored, needed), "{needed}");
    }
    for kept in [
        "target/release/nightreel",
        "state/nightreel.db",
        "videos/a.mp4",
        ".git/config",
        "nightreel.toml",
        "nightreel.env",
        ".env",
        "kling.key",
    ] {
        assert!(!is_given(&ignored, kept), "{kept} would be given to the build");
    }
    // Cargo builds nothing where a part that Cargo.toml names without its path is not there.
    for (part, folder) in [("bench", "benches"), ("example", "examples"), ("test", "tests")] {
        let named = cargo_toml().get(part).and_then(|targets| targets.as_array().cloned()).unwrap_or_default();
        if named.iter().any(|target| target.get("path").is_none()) {
            assert!(is_given(&ignored, folder) && copied_from_here(&all, folder), "{folder} is kept from the build");
        }
    }
    // What the code takes in must be among what is copied.
    for source in files(&root().join("src")).iter().filter(|name| is_rust(name)) {
        let path = root().join("src").join(source);
        for part in fs::read_to_string(&path).unwrap().split("include_").skip(1) {
            let Some((_, rest)) = part.split_once("!(\"").filter(|(kind, _)| ["str", "bytes"].contains(kind)) else {
                continue;
            };
            let taken = path.parent().unwrap().join(rest.split('"').next().unwrap()).canonicalize().unwrap();
            assert!(taken.starts_with(root().join("src").canonicalize().unwrap()), "{source} takes in {taken:?}");
        }
    }

    let runs = of("RUN");
    assert!(runs.iter().any(|run| run.contains("cargo build --release --locked --bin nightreel")), "{runs:?}");
    assert!(runs.iter().any(|run| run.contains(" ca-certificates ") && run.contains(" tzdata ")), "{runs:?}");
    let entry: Vec<String> = serde_json::from_str(of("ENTRYPOINT")[0]).unwrap();
    assert!(
        from_build.iter().any(|copied| copied.ends_with(&format!(" /usr/local/bin/{}", entry[0]))),
        "{from_build:?}"
    );

    let user = all[last_stage..].iter().rev().find(|(word, _)| word == "USER").unwrap().1.as_str();
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() >= 1000 && gid.parse::<u32>().unwrap() >= 1000, "USER {user}");
    assert!(runs.iter().any(|run| run.contains(&format!("--uid {uid} ")) && run.contains(&format!("--gid {gid} "))));

    // The defaults lie in the volume, and no further volume would be laid over a part of it.
    assert_eq!(of("VOLUME"), [all[last_stage..].iter().rev().find(|(word, _)| word == "WORKDIR").unwrap().1.as_str()]);
    let world = World::new(&[]);
    world.run(&[world.manifest("m.csv", 1).to_str().unwrap()]).exits(0);
    assert!(world.path("state/nightreel.db").exists() && world.path("videos/results.csv").exists());
}

#[test]
fn what_is_kept_from_an_image_is_judged_as_it_is_written() {
    let rules = "# words\n*\n!src\nsrc/secret\n";
    for (path, given) in [("src/main.rs", true), ("src", true), ("srcs", false), ("src/secret/a", false), ("a", false)]
    {
        assert_eq!(is_given(rules, path), given, "{path}");
    }
    assert!(is_given("target\n", "src"));
}

/// What a folder to be packaged from becomes when `packaging/deb` is run in it, with cargo standing aside: what it was asked.
struct Packaged {
    folder: TempDir,
    asked: String,
}

fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::create_dir_all(folder).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn packaged() -> Packaged {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("packaging/deb");
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    fs::copy(root().join("packaging/deb"), &script).unwrap();
    let aside = folder.path().join("aside");
    let asked = folder.path().join("asked");
    let cargo = format!(
        "echo \"$@\" >> {asked}\n[ \"$1\" != build ] || {{ mkdir -p target/release && cp {binary} target/release/nightreel; }}",
        asked = asked.display(),
        binary = env!("CARGO_BIN_EXE_nightreel"),
    );
    program(&aside, "cargo", &cargo);
    program(&aside, "cargo-deb", "");
    program(&aside, "dpkg-shlibdeps", "");
    let ran: Ran = Command::new(&script)
        .env("PATH", format!("{}:/usr/bin:/bin", aside.display()))
        // Settings of whoever builds change nothing.
        .env("NIGHTREEL_API_KEY", KEY)
        .env("NIGHTREEL_RATE", "nonsense")
        .arg("--deb-revision=2")
        .output()
        .unwrap()
        .into();
    ran.exits(0);
    Packaged { asked: fs::read_to_string(&asked).unwrap(), folder }
}

/// The assets of the package: from where, to where, with which permissions.
fn assets() -> Vec<(String, String, String)> {
    let cargo_toml = cargo_toml();
    let assets = cargo_toml["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let word = |asset: &toml::Value, at: usize| asset[at].as_str().unwrap().to_owned();
    assets.iter().map(|asset| (word(asset, 0), word(asset, 1), word(asset, 2))).collect()
}

/// Where in the package a file comes to lie.
fn installed(source: &str) -> PathBuf {
    let (from, to, _) = assets().into_iter().find(|(from, _, _)| from == source).unwrap_or_else(|| panic!("{source}"));
    let to = if to.ends_with('/') { format!("{to}{}", from.rsplit('/').next().unwrap()) } else { to };
    Path::new("/").join(to)
}

#[test]
fn the_package_has_the_binary_its_pages_and_completions_and_all_that_it_names_is_there() {
    let packaged = packaged();
    let asked: Vec<&str> = packaged.asked.lines().collect();
    assert_eq!(asked[0], "build --release --locked --bin nightreel");
    assert!(asked[1].starts_with("deb --no-build ") && asked[1].ends_with(" --deb-revision=2"), "{asked:?}");
    let assets = assets();
    for (from, to, mode) in &assets {
        let base = if from.starts_with("target/") { packaged.folder.path() } else { root() };
        let (folder, name) = from.rsplit_once('/').unwrap_or((".", from));
        let there = files(&base.join(folder)).into_iter().filter(|file| match name.strip_prefix('*') {
            Some(end) => file.ends_with(end) && file.starts_with("nightreel"),
            None => file == name,
        });
        assert!(there.count() > usize::from(name.starts_with('*')) * 15, "{from} is not there");
        assert!(!to.starts_with('/') && !to.contains(".."), "{to}");
        assert_eq!(mode, if to == "usr/bin/" { "755" } else { "644" }, "{from}");
    }
    // Whatever is made for it is in it.
    for made in files(&packaged.folder.path().join("target/packaging")) {
        let named =
            |from: &str| from == format!("target/packaging/{made}") || (made.ends_with(".1") && from.ends_with("/*.1"));
        assert!(assets.iter().any(|(from, _, _)| named(from)), "{made} is made, and not packaged");
    }
    let settings = fs::read_to_string(packaged.folder.path().join("target/packaging/nightreel.toml")).unwrap();
    assert!(settings.contains("\ngateway = \"kling\"") && !settings.contains(KEY), "{settings}");
    let deb = &cargo_toml()["package"]["metadata"]["deb"];
    for depended in ["$auto", "ca-certificates", "tzdata"] {
        assert!(deb["depends"].as_str().unwrap().split(", ").any(|one| one == depended), "{depended}");
    }
    for kept in deb["conf-files"].as_array().unwrap() {
        assert_eq!(installed("packaging/debian/README.etc"), Path::new(kept.as_str().unwrap()));
    }
    assert_eq!(installed("target/release/nightreel"), Path::new("/usr/bin/nightreel"));
}

/// The settings of a unit, in order; several of one name are kept.
fn settings(unit: &str) -> Vec<(&str, &str)> {
    unit.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

fn only<'a>(unit: &'a str, name: &str) -> &'a str {
    let found: Vec<&str> = settings(unit).into_iter().filter(|(one, _)| *one == name).map(|(_, value)| value).collect();
    let [value] = found[..] else { panic!("{name}: {found:?}") };
    value
}

/// A unit of the package as one of its jobs would have it.
fn unit(kind: &str, job: &str) -> String {
    text(&format!("packaging/systemd/nightreel@.{kind}")).replace("%i", job)
}

#[test]
fn the_units_of_the_package_end_as_those_that_schedule_prints_and_systemd_takes_them() {
    let world = World::new(&[]);
    let args = ["schedule", world.manifest("m.csv", 1).to_str().unwrap(), "--gateway", "simulator", "--json"]
        .map(str::to_owned);
    let told = world.nightreel(&args.iter().map(String::as_str).collect::<Vec<_>>()).exits(0).json();
    let (service, timer) = (unit("service", "wedding"), unit("timer", "wedding"));
    let printed = told["service"].as_str().unwrap();
    for name in
        ["Type", "SuccessExitStatus", "Restart", "TimeoutStartSec", "TimeoutStopSec", "KillMode", "NoNewPrivileges"]
    {
        assert_eq!(only(&service, name), only(printed, name), "{name}");
    }
    for name in ["OnCalendar", "Persistent", "WantedBy"] {
        assert_eq!(only(&timer, name), only(told["timer"].as_str().unwrap(), name), "{name}");
    }
    // What is explained there is explained here in the same words.
    for words in printed.lines().filter(|line| line.starts_with("# ") && !line.contains("chmod")) {
        assert!(service.lines().any(|line| line == words), "{words}");
    }
    assert!(!service.contains("[Install]"), "a job is run by its timer");

    let folder = tempfile::tempdir().unwrap();
    let program = only(&service, "ExecStart").split(' ').next().unwrap().to_owned();
    assert_eq!(Path::new(&program), installed("target/release/nightreel"));
    let here = service.replace(&program, env!("CARGO_BIN_EXE_nightreel"));
    let names = [("nightreel@wedding.service", here), ("nightreel@wedding.timer", timer)];
    for (name, content) in &names {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let judged = Command::new("systemd-analyze")
        .args(["--man=no", "verify"])
        .args(names.iter().map(|(name, _)| folder.path().join(name)))
        .output()
        .expect("systemd-analyze judges the units: apt-get install -y systemd");
    let said = String::from_utf8_lossy(&judged.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("nightreel")).collect();
    assert!(ours.is_empty(), "{said}");
}

#[test]
fn a_job_that_is_set_up_as_its_readme_says_makes_its_night() {
    let world = World::new(&[]);
    let readme = text("packaging/debian/README.etc");
    let service = unit("service", "wedding");
    let [config, env] = ["/etc/nightreel/wedding.toml", "/etc/nightreel/wedding.env"];
    assert!(readme.contains(config) && service.contains(config));
    assert_eq!(only(&service, "EnvironmentFile"), format!("-{env}"));
    assert!(readme.contains(env));
    let home = Path::new("/var/lib").join(only(&service, "StateDirectory"));
    assert_eq!(Path::new(only(&service, "WorkingDirectory")), home);
    assert!(readme.contains(&format!("{}/wedding.csv", home.display())));

    // The line of the README that makes the settings, as it stands, but for where they go and where the remote is.
    let init = readme.lines().find_map(|line| line.trim().strip_prefix("sudo nightreel init ")).unwrap();
    let here = world.path("etc/wedding.toml");
    fs::create_dir_all(here.parent().unwrap()).unwrap();
    let init = init.replace(config, here.to_str().unwrap());
    let mut words = vec!["init"];
    words.extend(init.split(' '));
    words.extend(["--base-url", &world.base_url]);
    world.nightreel(&words).exits(0);
    // Only its owner can read it: it must be given to whom the job runs as, and so must the rest.
    assert_eq!(fs::metadata(&here).unwrap().permissions().mode() & 0o777, 0o600);
    let user = only(&service, "User");
    for given in [format!("sudo chown {user}: {config}"), format!("sudo chown -R {user}: {}", home.display())] {
        assert!(readme.lines().any(|line| line.trim() == given), "{given}");
    }

    fs::rename(world.manifest("m.csv", 3), world.path("wedding.csv")).unwrap();
    let command = only(&service, "ExecStart").replace(config, here.to_str().unwrap());
    let mut words: Vec<&str> = command.split(' ').skip(1).collect();
    words.extend(QUICK);
    let quiet: Ran = world.command(&words).output().unwrap().into();
    let quiet = quiet.exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    world.paid_once(3);
    assert!(world.path("state/nightreel.db").exists());
    assert_eq!(world.nightreel(&["status", "--batch", "wedding", "--json"]).exits(0).json()["done"], 3);
}

fn ran(command: &mut Command) -> Output {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    ran
}

#[test]
fn installing_makes_the_user_of_the_units_and_removing_removes_nothing_of_theirs() {
    let conf = installed("packaging/systemd/sysusers.conf");
    assert_eq!(conf.parent(), Some(Path::new("/usr/lib/sysusers.d")));
    let name = conf.file_name().unwrap().to_str().unwrap().to_owned();
    // The scripts as dpkg runs them, with everything that they could call standing aside.
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    for called in ["systemd-sysusers", "systemctl", "deb-systemd-helper", "rm", "userdel", "deluser"] {
        program(folder.path(), called, &format!("echo {called} \"$@\" >> {}", asked.display()));
    }
    let run = |script: &str, words: &[&str]| {
        fs::write(&asked, "").unwrap();
        let path = root().join("packaging/debian").join(script);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755, "{script}");
        ran(Command::new(path).args(words).env("PATH", format!("{}:/usr/bin:/bin", folder.path().display())));
        let asked = fs::read_to_string(&asked).unwrap();
        asked.lines().filter(|line| *line != "systemctl daemon-reload").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run("postinst", &["configure", ""]), [format!("systemd-sysusers {name}")]);
    assert_eq!(run("postinst", &["abort-upgrade", "0.1.0"]), Vec::<String>::new());
    for words in [&["remove"][..], &["purge"], &["upgrade", "0.2.0"]] {
        assert_eq!(run("postrm", words), Vec::<String>::new(), "{words:?}");
    }
    let scripts: BTreeMap<String, String> = files(&root().join("packaging/debian"))
        .into_iter()
        .map(|name| (name.clone(), text(&format!("packaging/debian/{name}"))))
        .collect();
    assert!(!scripts.values().any(|script| script.contains("systemctl enable ") && script.starts_with("#!")));

    // The system's own tool makes that user of the file.
    let there = folder.path().join("root");
    fs::create_dir_all(there.join("etc")).unwrap();
    let file = root().join("packaging/systemd/sysusers.conf");
    let made =
        ran(Command::new("systemd-sysusers").arg("--dry-run").arg(format!("--root={}", there.display())).arg(file));
    let said = format!("{}{}", String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    let user = only(&unit("service", "wedding"), "User").to_owned();
    assert_eq!(only(&unit("service", "wedding"), "Group"), user);
    assert!(said.contains(&format!("Creating user '{user}'")), "{said}");
}
