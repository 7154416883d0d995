//! The adapter against answers as they were documented or observed, against broken transports, and against the
//! contract.

mod account;
mod answers;
mod contract;
mod tokens;

mod transport;

use std::time::Duration;

use super::*;
use crate::domain::{Effect, ImageSource, Images, Observation, Picture, Progress};
use crate::gateway::{Accepted, Pause};

/// Can be recognised wherever it leaks.
const KEY: &str = "sk-taint-0123456789";

const ABLE: Capabilities = Capabilities { find: true, unique: true, list: true, many: None, refuses: true };

fn client_ref(text: &str) -> ClientRef {
    ClientRef::new(text).unwrap()
}

fn effect() -> Effect {
    let images = Images::One(ImageSource::Url("https://h/a.jpg".into()));
    Effect { scene: "balloon_parade".into(), images, duration: Some("5".into()), model: None, mode: None }
}

fn settings(base_url: impl Into<String>) -> Settings {
    Settings::new(base_url, Credentials::Key(SecretString::from(KEY)), ABLE)
}

fn gateway(settings: Settings) -> KlingGateway {
    KlingGateway::new(settings, Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap())).unwrap()
}

async fn submit(gateway: &KlingGateway, picture: Picture) -> Submitted {
    let (effect, client_ref) = (effect(), client_ref("nr-1-a1"));
    gateway.submit(Order { effect: &effect, pictures: &[picture], client_ref: &client_ref, callback_url: None }).await
}

fn by_url() -> Picture {
    Picture::Url("https://h/a.jpg".into())
}

/// What a submission came to, in few words.
fn submit_says(submitted: &Submitted) -> String {
    match submitted {
        Submitted::Accepted(Accepted { task, request_id: Some(id), .. }) => format!("accepted {task} by {id}"),
        Submitted::Accepted(Accepted { task, request_id: None, .. }) => format!("accepted {task}"),
        Submitted::AlreadyThere => "already there".into(),
        Submitted::Refused(cause) => cause.to_string(),
        Submitted::NotMade(NotMade { limit, .. }) => format!("not made: {limit:?}"),
        Submitted::InDoubt(Doubt::LostAnswer { .. }) => "in doubt: lost".into(),
        Submitted::InDoubt(Doubt::TimedOut) => "in doubt: timed out".into(),
        Submitted::InDoubt(Doubt::ServerError { status, .. }) => format!("in doubt: HTTP {status}"),
        Submitted::InDoubt(Doubt::NotUnderstood { .. }) => "in doubt: not understood".into(),
        // A gateway never says these: they are the pipeline's.
        Submitted::InDoubt(Doubt::Interrupted | Doubt::AlreadyThere) => "in doubt: not by a gateway".into(),
        Submitted::Paused(Pause { reason, .. }) => format!("paused: {reason:?}"),
    }
}

/// What a question came to, in few words.
fn observe_says(observed: &Observed) -> String {
    match observed {
        Observed::Seen(Observation { progress, took, .. }) => {
            let took = took.map(|took| format!(" after {} s", took.as_secs())).unwrap_or_default();
            match progress {
                Progress::Pending { status } => format!("pending {status}"),
                Progress::Succeeded { link } => format!("succeeded {link}{took}"),
                Progress::Failed { words } => format!("failed: {words}{took}"),
            }
        }
        Observed::NotVisible => "not visible".into(),
        Observed::Unclear { .. } => "unclear".into(),
        Observed::Paused(Pause { reason, .. }) => format!("paused: {reason:?}"),
    }
}

#[test]
fn a_base_url_is_taken_with_its_prefix_or_refused_with_a_reason() {
    for (base, tasks) in [
        ("https://api-singapore.klingai.com", "https://api-singapore.klingai.com/v1/videos/effects"),
        (" https://gw.example/kling/ ", "https://gw.example/kling/v1/videos/effects"),
        ("http://[::1]:8080/proxy/kling", "http://[::1]:8080/proxy/kling/v1/videos/effects"),
    ] {
        assert_eq!(addresses(base).unwrap().1.as_str(), tasks);
    }
    for bad in [
        "",
        "api.example",
        "ftp://h",
        "https://u:sk-taint@h",
        "https://h?key=sk-taint",
        "https://h/kling/v1",
        "https://h/v1/videos/effects",
    ] {
        let error = addresses(bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("taint"), "{error:?}");
    }
}

#[test]
fn an_id_is_one_segment_of_the_path() {
    let gateway = gateway(settings("https://h/kling"));
    let url = gateway.task_url("a/../b?c#d%2F");
    assert_eq!(url.as_str(), "https://h/kling/v1/videos/effects/a%2F..%2Fb%3Fc%23d%252F");
}

#[test]
fn a_key_that_no_header_can_carry_is_refused() {
    for key in ["", "  ", "a\nb"] {
        let settings = Settings { credentials: Credentials::Key(key.into()), ..settings("https://h") };
        assert!(matches!(KlingGateway::new(settings, Clock::system()), Err(BuildError::Key)), "{key:?}");
    }
}
