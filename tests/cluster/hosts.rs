//! Two hosts, each with a network of its own, of which one is cut off and comes back. Where this machine gives no right to make
//! networks, it is cut off from the ledger alone, by what stands between them.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::nights::{Cluster, ends_well};

/// The other end of a door.
#[derive(Clone)]
enum Behind {
    Tcp(String),
    Unix(PathBuf),
}

/// Both directions of a connection.
struct Ends {
    hears: Box<dyn Read + Send>,
    says: Box<dyn Write + Send>,
    shut: Box<dyn Fn() + Send>,
}

impl Behind {
    fn connect(&self) -> std::io::Result<Ends> {
        Ok(match self {
            Self::Tcp(place) => over(TcpStream::connect(place)?)?,
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                let (hears, says) = (stream.try_clone()?, stream.try_clone()?);
                let shut = move || drop(stream.shutdown(Shutdown::Both));
                Ends { hears: Box::new(hears), says: Box::new(says), shut: Box::new(shut) }
            }
        })
    }
}

fn over(stream: TcpStream) -> std::io::Result<Ends> {
    stream.set_nodelay(true)?;
    let (hears, says) = (stream.try_clone()?, stream.try_clone()?);
    let shut = move || drop(stream.shutdown(Shutdown::Both));
    Ok(Ends { hears: Box::new(hears), says: Box::new(says), shut: Box::new(shut) })
}

/// Listens for a host, and leads it to what it cannot reach by itself. Gives the port.
fn door(at: IpAddr, behind: Behind, is_shut: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind((at, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_shut = Arc::clone(is_shut);
    thread::spawn(move || {
        for visitor in listener.incoming() {
            let (Ok(visitor), Ok(behind)) = (visitor.and_then(over), behind.connect()) else { continue };
            lead(visitor.hears, behind.says, behind.shut, &is_shut);
            lead(behind.hears, visitor.says, visitor.shut, &is_shut);
        }
    });
    port
}

/// Carries bytes one way until either end is gone; while the door is shut, none.
fn lead(
    mut from: Box<dyn Read + Send>,
    mut to: Box<dyn Write + Send>,
    shut: Box<dyn Fn() + Send>,
    is_shut: &Arc<AtomicBool>,
) {
    let is_shut = Arc::clone(is_shut);
    thread::spawn(move || {
        let mut bytes = [0; 16384];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            while is_shut.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        shut();
    });
}

fn ip(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Where this machine is to be found by hosts that have networks of their own.
struct Ground {
    number: u16,
    place: IpAddr,
}

impl Ground {
    /// `None` where this machine gives no right to make networks.
    fn new() -> Option<Self> {
        let ground = Self { number: fastrand::u16(..), place: Ipv4Addr::LOCALHOST.into() };
        let ground = Self { place: ground.address(9).into(), ..ground };
        ip(&format!("addr add {}/32 dev lo", ground.place)).then_some(ground)
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, high, low, last)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        ip(&format!("addr del {}/32 dev lo", self.place));
    }
}

/// A network of its own, joined to the machine's by a pair of devices.
struct Network {
    name: String,
    device: String,
}

impl Network {
    fn new(ground: &Ground, host: u8) -> Self {
        let (number, near, far) = (ground.number, ground.address(4 * host + 1), ground.address(4 * host + 2));
        let network = Self { name: format!("nightreel-{number}-{host}"), device: format!("nr{number}h{host}") };
        let (name, device) = (&network.name, &network.device);
        let other = format!("{device}p");
        for step in [
            format!("netns add {name}"),
            format!("link add {device} type veth peer name {other}"),
            format!("link set {other} netns {name}"),
            format!("addr add {near}/30 dev {device}"),
            format!("link set {device} up"),
            format!("-n {name} addr add {far}/30 dev {other}"),
            format!("-n {name} link set {other} up"),
            format!("-n {name} link set lo up"),
            format!("-n {name} route add default via {near}"),
        ] {
            assert!(ip(&step), "ip {step}");
        }
        network
    }

    /// Whether this machine gives the right to make one.
    fn may_be() -> bool {
        let name = format!("nightreel-{}", fastrand::u32(..));
        let (device, other) = (format!("nr{}", fastrand::u16(..)), format!("nr{}p", fastrand::u16(..)));
        let made = ip(&format!("netns add {name}")) && ip(&format!("link add {device} type veth peer name {other}"));
        ip(&format!("link del {device}"));
        ip(&format!("netns del {name}"));
        made
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.device));
        ip(&format!("netns del {}", self.name));
    }
}

/// A host: with a network of its own, or none; then only the ledger can be taken from it.
struct Host {
    network: Option<Network>,
    is_shut: Arc<AtomicBool>,
    state: String,
}

impl Host {
    fn new(ground: Option<&Ground>, number: u8, cluster: &Cluster) -> Self {
        let network = ground.map(|ground| Network::new(ground, number));
        let place = ground.map_or(Ipv4Addr::LOCALHOST.into(), |ground| ground.place);
        let is_shut = Arc::new(AtomicBool::new(false));
        let port = door(place, Behind::Unix(cluster.server.socket()), &is_shut);
        Self { network, is_shut, state: format!("postgres://night@{place}:{port}/night?sslmode=disable") }
    }

    /// Begins a run on this host.
    fn spawn(&self, cluster: &Cluster, more: &[&str]) -> Child {
        let mut args = cluster.world.kling(&["--state", &self.state]);
        args.extend(more);
        let run = cluster.world.command(&args);
        let mut command = match &self.network {
            Some(network) => {
                let mut inside = Command::new("ip");
                inside.args(["netns", "exec", &network.name]).arg(run.get_program()).args(run.get_args());
                inside.current_dir(&cluster.world.folder).env_clear().envs(cluster.world.secrets());
                inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
                inside
            }
            None => run,
        };
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn cut_off(&self) {
        match &self.network {
            Some(network) => assert!(ip(&format!("link set {} down", network.device))),
            None => self.is_shut.store(true, Ordering::SeqCst),
        }
    }

    fn come_back(&self) {
        match &self.network {
            Some(network) => assert!(ip(&format!("link set {} up", network.device))),
            None => self.is_shut.store(false, Ordering::SeqCst),
        }
    }
}

#[test]
fn a_host_that_is_cut_off_for_longer_than_its_lease_pays_for_nothing_twice() {
    const ROWS: usize = 100;
    // Answers come late, so that some requests are always on their way; their tasks are made all the same.
    let cluster = Cluster::new(&["--task-time", "300ms..900ms", "--fault", "slow-answer=1:700ms"]);
    let manifest = cluster.world.manifest("wedding.csv", ROWS);
    let ground = Network::may_be().then(Ground::new).flatten();
    eprintln!("networks of their own: {}", ground.is_some());
    let remote = cluster.world.base_url.trim_start_matches("http://").to_owned();
    let base_url = match &ground {
        Some(ground) => {
            let port = door(ground.place, Behind::Tcp(remote), &Arc::default());
            format!("http://{}:{port}", ground.place)
        }
        None => cluster.world.base_url.clone(),
    };
    let (first, second) = (Host::new(ground.as_ref(), 0, &cluster), Host::new(ground.as_ref(), 1, &cluster));
    let limits = ["--in-flight", "8", "--rate", "12/s", "--no-report", "--base-url", &base_url];
    // Videos are fetched afterwards, from where the simulator says that they are.
    let sends = [&[manifest.to_str().unwrap(), "--stages", "submit,watch"], limits.as_slice()].concat();
    let cut = first.spawn(&cluster, &sends);
    cluster.world.until_made(10);
    first.cut_off();
    let sending = cluster.count("state = 2");
    assert_ne!(sending, 0, "nothing was on its way");
    let other = second.spawn(&cluster, &sends);
    // Until its lease is over, and what it was sending is taken up by the other: as what is in doubt.
    let doubted = "SELECT count(DISTINCT job) FROM nightreel.events WHERE name = 'doubted'";
    let doubted = || cluster.server.sql("night", doubted).trim().parse::<usize>().unwrap();
    let begun = Instant::now();
    while doubted() < sending {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} of {sending} are in doubt", doubted());
        thread::sleep(Duration::from_millis(100));
    }
    let away = begun.elapsed();
    first.come_back();
    ends_well(other);
    ends_well(cut);
    assert_eq!(cluster.count("state = 5"), ROWS);
    let fetch = [&["--state", &cluster.state, "--stages", "collect"], limits.as_slice()].concat();
    cluster.world.run(&fetch).exits(0);
    cluster.world.paid_once(ROWS);
    cluster.nothing_is_held();
    let stats = cluster.world.stats();
    assert!(stats["peak_parallel"].as_u64().unwrap() <= 8, "{stats}");
    assert!(stats["peak_per_second"].as_u64().unwrap() <= 12, "{stats}");
    // Nothing was sent a second time but what the remote had been asked for and did not know.
    let unasked = "SELECT count(*) FROM nightreel.jobs j WHERE
        (SELECT count(*) FROM nightreel.events e WHERE e.job = j.id AND e.name = 'submit_started') > 1
        AND NOT EXISTS (SELECT 1 FROM nightreel.events e WHERE e.job = j.id AND e.name IN ('looked_absent', 'put_off'))";
    assert_eq!(cluster.server.sql("night", unasked), "0\n");
    eprintln!("cut off for {away:?}, {sending} requests were on their way, {} in doubt; {stats}", doubted());
}
