//! A PostgreSQL server of a test's own: made in a temporary folder, reached by a socket there, gone with it. PostgreSQL refuses
//! to run as root: where the tests do, it runs as nobody.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

const NOBODY: u32 = 65534;
/// Where it is only a name for the socket.
const PORT: u16 = 5432;

pub(crate) struct Server {
    folder: TempDir,
    /// Whether what it acknowledged outlives the machine: no test needs that, and a kill of the server loses nothing even so.
    durable: bool,
    programs: PathBuf,
    port: u16,
    /// What else it is started with.
    options: String,
}

impl Server {
    /// A server that is up, whose user `night` may do everything without a password.
    pub(crate) fn start() -> Self {
        Self::of(false)
    }

    /// The same, as a server is that somebody relies on.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn durable() -> Self {
        Self::of(true)
    }

    fn of(durable: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("nr-pg-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let options = "-c listen_addresses=''".to_owned();
        let server = Self { programs: programs(), durable, folder, port: PORT, options };
        let data = server.data();
        server.run("initdb", &["-A", "trust", "-U", "night", "--no-sync", "--no-locale", "-E", "UTF8", "-D", &data]);
        server.up();
        server
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn up(&self) {
        let socket = self.folder.path().display();
        let fsync = if self.durable { "on" } else { "off" };
        let (port, more) = (self.port, &self.options);
        let options = format!("-k {socket} -p {port} {more} -c fsync={fsync} -c max_connections=100");
        let log = format!("{socket}/log");
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-s", "-l", &log, "-o", &options, "start"]);
    }

    /// Ends it as a crash would: connections break, and it recovers when it comes up again.
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-s", "-m", "immediate", "stop"]);
    }

    /// Kills the process that all others of the server come from, and waits until they have noticed, and are gone.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn kill(&self) {
        let named = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let first: i32 = named.lines().next().unwrap().parse().unwrap();
        let first = Pid::from_raw(first).unwrap();
        kill_process(first, Signal::KILL).unwrap();
        // Each of the others has the server's folder for its own.
        let data = PathBuf::from(self.data());
        let is_of_it = |process: &fs::DirEntry| fs::read_link(process.path().join("cwd")).is_ok_and(|at| at == data);
        let begun = Instant::now();
        while test_kill_process(first).is_ok()
            || fs::read_dir("/proc").unwrap().any(|process| process.is_ok_and(|process| is_of_it(&process)))
        {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whoever connects now is told that nobody is there.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn sql_is_away(&self) {
        assert!(UnixStream::connect(self.socket()).is_err(), "the server is still up");
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// A new, empty database, and how nightreel is told of it.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.address("night", name)
    }

    pub(crate) fn address(&self, user: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={user}", self.folder.path().display())
    }

    /// Runs a statement, and gives what it told: a line for each row, columns parted by `|`.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        self.asked(database, statement).unwrap_or_else(|wrong| panic!("{statement}: {wrong}"))
    }

    /// The same while the server may be away.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn sql_or_none(&self, database: &str, statement: &str) -> Option<String> {
        self.asked(database, statement).ok()
    }

    fn asked(&self, database: &str, statement: &str) -> Result<String, String> {
        let (socket, port) = (self.folder.path().display().to_string(), self.port.to_string());
        let place = ["-h", &socket, "-p", &port, "-U", "night", "-d", database];
        self.attempt("psql", &[&place[..], &["-X", "-q", "-A", "-t", "-c", statement]].concat())
    }

    /// Demands a password of a user.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn demand_password(&self, user: &str) {
        let path = self.folder.path().join("data/pg_hba.conf");
        let rules = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("local all {user} scram-sha-256\n{rules}")).unwrap();
        self.run("pg_ctl", &["-D", &self.data(), "-s", "reload"]);
    }

    /// Has it listen at `places` from now on, too, where a password is demanded, with this certificate and its key.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) fn with_tls(mut self, places: &str, certificate: &str, key: &str) -> Self {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-s", "-m", "fast", "stop"]);
        self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.options = format!("-c listen_addresses={places} -c ssl=on");
        let data = PathBuf::from(self.data());
        fs::write(data.join("server.crt"), certificate).unwrap();
        let path = data.join("server.key");
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let rules = data.join("pg_hba.conf");
        let known = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, format!("host all all 127.0.0.0/8 scram-sha-256\n{known}")).unwrap();
        self.up();
        self
    }

    /// Where it listens besides.
    #[allow(dead_code, reason = "each of those who share this file needs a part of it")]
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        self.attempt(program, args).unwrap_or_else(|wrong| panic!("{program} {args:?}: {wrong}"))
    }

    /// Runs one of PostgreSQL's programs.
    fn attempt(&self, program: &str, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        // A server that is started keeps what it inherits: with pipes, its end would be waited for.
        let out = self.folder.path().join(format!("{program}.{:x}.out", fastrand::u64(..)));
        let err = out.with_extension("err");
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let status = command.status().unwrap();
        let (told, wrong) = (fs::read_to_string(&out).unwrap(), fs::read_to_string(&err).unwrap());
        fs::remove_file(&out).unwrap();
        fs::remove_file(&err).unwrap();
        if status.success() { Ok(told) } else { Err(format!("{told}{wrong}")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.run("pg_ctl", &["-D", &self.data(), "-w", "-s", "-m", "immediate", "stop"]);
        }
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Where PostgreSQL's programs are: Debian keeps those of each version in a folder of its own.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.map(|entry| entry.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    versions.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let is_whole = |folder: &PathBuf| ["initdb", "pg_ctl", "psql"].iter().all(|name| folder.join(name).exists());
    let found = versions.into_iter().rev().find(is_whole);
    found.unwrap_or_else(|| panic!("PostgreSQL is missing: apt-get install -y postgresql"))
}
