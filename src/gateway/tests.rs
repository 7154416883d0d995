//! Every preset against the simulated remote in its own dialect: adapter and simulator are two readings of the same
//! documents, made apart from each other. What is proven here is that they are one.

mod account;
mod contract;
mod faults;
mod lives;
mod webhooks;

use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::Value;

use super::*;
use crate::domain::{ImageSource, Images, Progress};
use crate::pace::Clock;
use crate::simulator::{self, Answers, Dialect, Simulator, Stats};

/// Can be recognised wherever they leak.
const KEY: &str = "sk-taint/0123456789";
const PAIR: (&str, &str) = ("ak-taint-0123456789", "secret-taint-0123456789");
const TOKEN: &str = "at-taint-0123456789";

const LINK: &str = "https://example.com/a.jpg";

/// Every way in which a remote of one kind is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The simulator by its own name, which demands nothing.
    Simulator,
    /// Kling, with a plain key.
    Kling,
    /// Kling, with an access key and a secret key; its clock is ahead by so many minutes.
    KlingPair {
        ahead: i64,
    },
    Comet,
    /// As `CometAPI` was seen to wrap its answers.
    CometWrapped,
    Kkiai,
    /// A gateway of new-api's family of which nothing more is known.
    Compatible,
    /// A gateway that a person says to be as able as Kling.
    CompatibleAble,
    Fal,
    WaveSpeed,
}

use Member::{Comet, CometWrapped, Compatible, CompatibleAble, Fal, Kkiai, Kling, KlingPair, WaveSpeed};

const ALL: [Member; 12] = [
    Member::Simulator,
    Kling,
    KlingPair { ahead: 0 },
    KlingPair { ahead: 10 },
    KlingPair { ahead: -10 },
    Comet,
    CometWrapped,
    Kkiai,
    Compatible,
    CompatibleAble,
    Fal,
    WaveSpeed,
];

/// One of each dialect, and of each way to show who asks.
const EACH: [Member; 6] = [Kling, KlingPair { ahead: -10 }, Comet, Kkiai, Fal, WaveSpeed];

impl Member {
    const fn preset(self) -> Preset {
        match self {
            Self::Simulator => Preset::Simulator,
            Self::Kling | Self::KlingPair { .. } => Preset::Kling,
            Self::Comet | Self::CometWrapped => Preset::CometApi,
            Self::Kkiai => Preset::Kkiai,
            Self::Compatible | Self::CompatibleAble => Preset::KlingCompatible,
            Self::Fal => Preset::Fal,
            Self::WaveSpeed => Preset::WaveSpeed,
        }
    }

    const fn dialect(self) -> Dialect {
        match self {
            Self::Simulator | Self::Kling | Self::KlingPair { .. } | Self::CompatibleAble => Dialect::Kling,
            Self::Comet | Self::CometWrapped => Dialect::Comet,
            Self::Kkiai | Self::Compatible => Dialect::NewApi,
            Self::Fal => Dialect::Fal,
            Self::WaveSpeed => Dialect::WaveSpeed,
        }
    }

    /// Whether it speaks Kling's wire, on which our reference goes along.
    const fn is_klings_wire(self) -> bool {
        !matches!(self, Self::Fal | Self::WaveSpeed)
    }

    /// The remote: it demands what this member shows, and takes any number of tasks, which end at once.
    fn remote(self) -> simulator::Settings {
        let mut settings = simulator::Settings {
            task_for: (Duration::ZERO, Duration::ZERO),
            in_flight: None,
            ..simulator::Settings::speaking(self.dialect())
        };
        match self {
            Self::Simulator => {}
            Self::KlingPair { ahead } => {
                settings.credentials.pair = Some((PAIR.0.to_owned(), PAIR.1.to_owned()));
                settings.clock_offset = SignedDuration::from_mins(ahead);
            }
            _ => settings.credentials.key = Some(KEY.to_owned()),
        }
        if matches!(self, Self::Comet | Self::CometWrapped) {
            settings.credentials.account_token = Some(TOKEN.to_owned());
        }
        if self == Self::CometWrapped {
            settings.answers = Answers::Wrapped;
        }
        // As each is usually reached.
        if matches!(self.dialect(), Dialect::Comet | Dialect::NewApi) {
            settings.prefix = "/kling".to_owned();
        }
        settings
    }

    fn credentials(self) -> Credentials {
        match self {
            Self::Simulator => Credentials::None,
            Self::KlingPair { .. } => Credentials::AccessKey { access: PAIR.0.into(), secret: PAIR.1.into() },
            _ => Credentials::Key(KEY.into()),
        }
    }

    fn spec(self, base_url: &str) -> Spec {
        let able = (self == Self::CompatibleAble).then_some(true);
        Spec {
            base_url: Some(base_url.to_owned()),
            credentials: self.credentials(),
            account_token: matches!(self, Self::Comet | Self::CometWrapped).then(|| SecretString::from(TOKEN)),
            overrides: Overrides { find: able, unique: able, list: able, many: None },
            ..Spec::new(self.preset())
        }
    }

    async fn start(self) -> Pairing {
        self.start_with(self.remote()).await
    }

    /// A remote with `faults` besides.
    async fn faulty(self, faults: &[&str]) -> Pairing {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        self.start_with(simulator::Settings { faults, ..self.remote() }).await
    }

    async fn start_with(self, settings: simulator::Settings) -> Pairing {
        let simulator = Simulator::start(settings, Clock::system()).await.unwrap();
        let gateway = built(self.spec(simulator.base_url()));
        Pairing { member: self, simulator, gateway }
    }
}

fn built(spec: Spec) -> std::sync::Arc<dyn Gateway> {
    build(spec, Clock::system()).unwrap().gateway
}

/// A remote, and what asks it.
struct Pairing {
    member: Member,
    simulator: Simulator,
    gateway: std::sync::Arc<dyn Gateway>,
}

fn client_ref(number: u32) -> ClientRef {
    ClientRef::new(format!("nr-pair-{number}-a1")).unwrap()
}

/// A picture as a file, by its looks.
fn png(side: u32) -> Bytes {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(side.to_be_bytes());
    bytes.extend(side.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    bytes.into()
}

impl Pairing {
    async fn submit(&self, number: u32, scene: &str, pictures: &[Picture]) -> Submitted {
        let image = || ImageSource::Url(LINK.to_owned());
        let images = if pictures.len() == 1 { Images::One(image()) } else { Images::Two(image(), image()) };
        let effect = Effect { scene: scene.to_owned(), images, duration: Some("5".into()), model: None, mode: None };
        self.gateway
            .submit(Order { effect: &effect, pictures, client_ref: &client_ref(number), callback_url: None })
            .await
    }

    async fn submit_link(&self, number: u32) -> Submitted {
        self.submit(number, "squish", &[Picture::Url(LINK.to_owned())]).await
    }

    #[track_caller]
    fn accepted(&self, submitted: Submitted) -> Accepted {
        match submitted {
            Submitted::Accepted(accepted) => accepted,
            other => panic!("{:?}: not accepted: {other:?}", self.member),
        }
    }

    async fn made(&self, number: u32) -> Accepted {
        let submitted = self.submit_link(number).await;
        self.accepted(submitted)
    }

    async fn observe(&self, accepted: &Accepted) -> Observed {
        self.gateway.observe(Asked { task: &accepted.task, handle: accepted.handle.as_ref() }).await
    }

    /// Asks for a task until it has ended, whatever else is heard meanwhile but that we may not ask.
    async fn ended(&self, accepted: &Accepted) -> Observation {
        let clock = Clock::system();
        for _ in 0..1000 {
            match self.observe(accepted).await {
                Observed::Seen(seen) if !matches!(seen.progress, Progress::Pending { .. }) => return seen,
                Observed::Paused(pause) => panic!("{:?}: {pause}", self.member),
                Observed::Seen(_) | Observed::NotVisible | Observed::Unclear { .. } => {}
            }
            clock.sleep(Duration::from_millis(2)).await;
        }
        panic!("{:?}: it never ends", self.member);
    }

    fn stats(&self) -> Stats {
        self.simulator.stats()
    }

    /// Asks the remote's host without any key, as a file host is asked.
    async fn fetch(&self, url: &str) -> (u16, Bytes) {
        http::ready_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    }

    /// What the remote says that it made, in its order.
    async fn judged(&self) -> Vec<Value> {
        let host = self.simulator.base_url().trim_end_matches("/kling");
        let (_, told) = self.fetch(&format!("{host}/_simulator/tasks")).await;
        serde_json::from_slice(&told).unwrap()
    }
}
