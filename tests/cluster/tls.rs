//! Between here and the database: who may read along, and whom a password is told.
//!
//! `tls/` has an authority, a server's certificate by it for 127.0.0.2 and nothing else, with its key, and an authority that
//! nobody knows; all are good for a hundred years.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::support::{Ran, World, interrupt};

const AUTHORITY: &str = include_str!("tls/authority.pem");
const STRANGER: &str = include_str!("tls/stranger.pem");
const CERTIFICATE: &str = include_str!("tls/server.pem");
const KEY: &str = include_str!("tls/server.key");
const PASSWORD: &str = "pw-recognisable-7151";

/// Where the server is by its certificate, and where it is besides. To nightreel neither is the machine itself.
const NAMED: &str = "127.0.0.2";
const UNNAMED: &str = "127.0.0.3";

/// A world, a server that may be spoken to by TLS or without, and whom the system trusts.
struct Secret {
    world: World,
    server: Server,
}

impl Secret {
    fn new() -> Self {
        let world = World::new(&[]);
        world.write("authority.pem", AUTHORITY);
        world.write("stranger.pem", STRANGER);
        let server = Server::start().with_tls(&format!("127.0.0.1,{NAMED},{UNNAMED}"), CERTIFICATE, KEY);
        server.sql("postgres", &format!("CREATE USER guarded PASSWORD '{PASSWORD}'"));
        server.sql("postgres", "CREATE DATABASE night OWNER guarded");
        Self { world, server }
    }

    fn address(&self, place: &str, more: &str) -> String {
        format!("postgres://guarded@{place}:{}/night{more}", self.server.port())
    }

    /// A command on a machine whose system trusts `authority`.
    fn command(&self, authority: &str, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command.env("SSL_CERT_FILE", self.world.path(authority)).env("PGPASSWORD", PASSWORD);
        command
    }

    /// What it comes to to ask how a ledger stands.
    fn status(&self, authority: &str, state: &str) -> Ran {
        self.command(authority, &["status", "--state", state]).output().unwrap().into()
    }

    /// Begins a worker.
    fn worker(&self, authority: &str, state: &str) -> Child {
        let mut args = self.world.kling(&["--state", state]);
        args[0] = "worker";
        self.command(authority, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Whether all connections of a worker are secret, and whether any is.
    fn are_secret(&self) -> String {
        let begun = Instant::now();
        loop {
            let told = self.server.sql(
                "night",
                "SELECT bool_and(ssl), bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                 WHERE application_name = 'nightreel' HAVING count(*) > 1",
            );
            if !told.is_empty() {
                return told.trim().to_owned();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "a worker never connects");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_database_elsewhere_is_spoken_to_in_secret_and_only_where_its_certificate_is_right() {
    let secret = Secret::new();
    let state = secret.address(NAMED, "");
    let manifest = secret.world.manifest("m.csv", 2);
    let night = secret.world.kling(&[manifest.to_str().unwrap(), "--state", &state]);
    Ran::from(secret.command("authority.pem", &night).output().unwrap()).exits(0);
    secret.world.paid_once(2);
    let worker = secret.worker("authority.pem", &state);
    assert_eq!(secret.are_secret(), "t|t");
    interrupt(worker);

    // By a file of its own, too; that is the only one then.
    let by_file = |file: &str| {
        let file = secret.world.path(file);
        secret.address(NAMED, &format!("?sslmode=verify-full&sslrootcert={}", file.display()))
    };
    secret.status("stranger.pem", &by_file("authority.pem")).exits(0);

    let refused = |what: &str, authority: &str, state: &str, words: &str| {
        let begun = Instant::now();
        let refused = secret.status(authority, state).exits(2);
        assert!(refused.err.contains(words) && refused.err.contains("sslrootcert=FILE"), "{what}: {}", refused.err);
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: told after {:?}", begun.elapsed());
    };
    refused("an authority that is not known", "stranger.pem", &state, "UnknownIssuer");
    refused("one that the file does not name", "authority.pem", &by_file("stranger.pem"), "UnknownIssuer");
    refused("another host's certificate", "authority.pem", &secret.address(UNNAMED, ""), "not valid for name");
    // Checked all the same by a word that elsewhere means less.
    for mode in ["require", "verify-ca", "verify-full"] {
        let state = secret.address("127.0.0.1", &format!("?sslmode={mode}"));
        refused(mode, "authority.pem", &state, "not valid for name");
    }
}

#[test]
fn on_the_machine_itself_or_by_ones_word_a_database_is_spoken_to_without_tls() {
    let secret = Secret::new();
    let near = secret.address("127.0.0.1", "");
    for state in [near, secret.address(NAMED, "?sslmode=disable")] {
        let worker = secret.worker("stranger.pem", &state);
        assert_eq!(secret.are_secret(), "f|f", "{state}");
        interrupt(worker);
    }
}

#[test]
fn a_server_without_tls_is_told_nothing_where_tls_is_demanded() {
    /// What a client sends to ask for TLS.
    const WANTED: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let world = World::new(&[]);
    let listener = TcpListener::bind(format!("{NAMED}:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let noted = Arc::clone(&heard);
    std::thread::spawn(move || {
        for visitor in listener.incoming() {
            let mut visitor = visitor.unwrap();
            let mut first = [0; 8];
            visitor.read_exact(&mut first).unwrap();
            noted.lock().unwrap().extend(first);
            // There is none; and the password, please, as it is. Who has left already does not hear it.
            drop(visitor.write_all(b"NR\0\0\0\x08\0\0\0\x03"));
            drop(visitor.shutdown(Shutdown::Write));
            let mut rest = Vec::new();
            drop(visitor.read_to_end(&mut rest));
            noted.lock().unwrap().extend(rest);
        }
    });
    for mode in ["", "?sslmode=require"] {
        let state = format!("postgres://guarded@{NAMED}:{port}/night{mode}");
        let told = world.command(&["status", "--state", &state]).env("PGPASSWORD", PASSWORD).output().unwrap();
        let told = Ran::from(told).exits(2);
        assert!(told.err.contains("server does not support TLS"), "{}", told.err);
        assert_eq!(std::mem::take(&mut *heard.lock().unwrap()), WANTED, "{mode}");
    }
    // The same ears hear who a client is where TLS is not demanded.
    let state = format!("postgres://guarded@{NAMED}:{port}/night?sslmode=disable");
    let mut open = world.command(&["status", "--state", &state]).env("PGPASSWORD", PASSWORD).spawn().unwrap();
    let begun = Instant::now();
    while heard.lock().unwrap().len() <= WANTED.len() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing was heard");
        std::thread::sleep(Duration::from_millis(20));
    }
    open.kill().unwrap();
    open.wait().unwrap();
    let text = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(text.contains("guarded"), "{text:?}");
}
