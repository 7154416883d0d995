//! One account: where it is, what it shows, what it may do, and what its remote says to that.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::config::AccountSettings;
use crate::domain::AccountName;
use crate::gateway::{self, Capabilities, Credentials, Gateway, Preset};
use crate::pace::Clock;
use crate::pipeline::InDoubt;
use crate::store::{Account, Store};

use super::super::super::failure::Failure;
use super::super::super::wiring::{self, Place};
use super::finding::{About, Findings};
use super::images;
use super::remote::{self, Way};

/// How long a task is taken to need as long as none has ended; published figures for effects are 2 to 6 minutes.
const USUAL_TASK: Duration = Duration::from_secs(360);
/// How many of the last tasks tell how long one takes.
const REMEMBERED: usize = 64;

/// A key of fewer characters was probably not copied whole.
const SHORT: usize = 16;

/// What an account can make.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Capacity {
    /// Videos in an hour.
    pub(super) per_hour: f64,
    /// Those of one pool share what they can make.
    pub(super) pool: Option<String>,
}

/// An account, examined.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) findings: Findings,
    /// `None` where it can make nothing, or nobody knows how much.
    pub(super) capacity: Option<Capacity>,
}

/// Looks at an account, and asks its remote.
pub(super) async fn examine(
    account: &AccountSettings,
    known: &[Account],
    store: Option<&dyn Store>,
    clock: &Clock,
) -> Examined {
    let place = match wiring::place_of(account, known) {
        Ok(place) => place,
        Err(failure) => {
            let about = account.name.as_ref().map_or(About::Settings, |name| About::Account(name.to_string()));
            let mut findings = Findings::new(about);
            findings.bad("gateway", failure.words(), failure.hints().join("\n"));
            return Examined { findings, capacity: None };
        }
    };
    if place.is_embedded() {
        let mut findings = Findings::new(About::Account(named(account, &place, None)));
        findings
            .good("gateway", "the simulator within nightreel itself: a rehearsal that costs nothing and needs no key");
        findings.good("limits", limits(account));
        return Examined { findings, capacity: None };
    }
    let spec = match account.spec(place.preset, place.base_url.clone()) {
        Ok(spec) => spec,
        Err(error) => {
            let mut findings = Findings::new(About::Account(named(account, &place, place.base_url.as_ref())));
            let hint = error.hint().unwrap_or_default();
            findings.bad("key", Failure::from(error).words(), hint);
            return Examined { findings, capacity: None };
        }
    };
    let credentials = spec.credentials.clone();
    let built = match gateway::build(spec, clock.clone()) {
        Ok(built) => built,
        Err(error) => {
            let mut findings = Findings::new(About::Account(named(account, &place, place.base_url.as_ref())));
            let hint = error.hint().unwrap_or_default();
            findings.bad("gateway", Failure::from(error).words(), hint);
            return Examined { findings, capacity: None };
        }
    };
    let name = named(account, &place, Some(&built.base_url));
    let way = Way {
        preset: place.preset,
        region: account.region,
        base_url: &built.base_url,
        credentials: &credentials,
        proxy: proxy(&built.base_url),
    };
    let way = Way { proxy: way.proxy.filter(|_| !way.is_here()), ..way };
    let mut findings = Findings::new(About::Account(name.clone()));
    place_and_key(account, way, &mut findings);
    images::examine(account, way.is_here(), &mut findings).await;
    let gateway: Arc<dyn Gateway> = built.gateway;
    remote::judge(&remote::ask(gateway.as_ref(), clock).await, way, &mut findings);
    doubt(account, gateway.capabilities(), &mut findings);
    probes(account, gateway.capabilities(), &mut findings);
    findings.good("limits", limits(account));
    let tasks = match (store, AccountName::new(name)) {
        (Some(store), Ok(name)) => store.recent_durations(name, REMEMBERED).await.unwrap_or_default(),
        (_, _) => Vec::new(),
    };
    let capacity = match (place.preset, median(tasks)) {
        // Nobody waits for a simulator.
        (Preset::Simulator, None) => None,
        (_, known) => Some(pace(account, known, &mut findings)),
    };
    Examined { findings, capacity }
}

/// The name that a run would give it.
fn named(account: &AccountSettings, place: &Place, base_url: Option<&String>) -> String {
    let name = account.name.clone().or_else(|| place.name.clone());
    let made = || wiring::account_name(place.preset, base_url).ok();
    name.or_else(made).map_or_else(|| place.preset.to_string(), |name| name.to_string())
}

/// The variable that names the proxy to `base_url`, where one does.
fn proxy(base_url: &str) -> Option<&'static str> {
    let names: &[&str] = if base_url.starts_with("https:") {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    names.iter().copied().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn place_and_key(account: &AccountSettings, way: Way<'_>, findings: &mut Findings) {
    let region = if way.preset == Preset::Kling { format!(", region {}", way.region) } else { String::new() };
    findings.good("gateway", format!("{} at {}{region}", way.preset, way.base_url));
    if let Some(proxy) = way.proxy {
        findings.remark("proxy", format!("requests go through the proxy of {proxy}, unless NO_PROXY names the host"));
    }
    let from = account.sources.places().join(" and ");
    match way.credentials {
        _ if way.preset == Preset::Simulator => findings.good("key", "none: a simulator is shown no real key"),
        Credentials::None => findings.remark("key", "none"),
        Credentials::AccessKey { access, secret } => {
            let (access, secret) = (length(access), length(secret));
            findings
                .good("key", format!("access key of {access}, secret key of {secret}, from {from}; tokens are signed"));
        }
        Credentials::Key(key) => {
            let words = format!("{}, {}, from {from}", length(key), shape(key));
            if is_token(key) {
                let hint =
                    "use an API key, or NIGHTREEL_ACCESS_KEY and NIGHTREEL_SECRET_KEY, from which tokens are made";
                findings.note("key", format!("{words}: such a token ends after half an hour or so"), hint);
            } else if key.expose_secret().len() < SHORT {
                findings.note(
                    "key",
                    format!("{words}: shorter than any key that is known"),
                    "look whether it was copied whole",
                );
            } else {
                findings.good("key", words);
            }
        }
    }
    let shown = !matches!(way.credentials, Credentials::None) && way.preset != Preset::Simulator;
    if shown && way.base_url.starts_with("http:") && !way.is_here() {
        findings.note("secrecy", "the key goes over the network unencrypted", "use https:// in the base URL");
    }
}

fn length(secret: &SecretString) -> String {
    match secret.expose_secret().len() {
        1 => "1 character".to_owned(),
        more => format!("{more} characters"),
    }
}

/// A token that somebody signed, rather than a key.
fn is_token(key: &SecretString) -> bool {
    let key = key.expose_secret();
    key.starts_with("eyJ") && key.matches('.').count() == 2
}

/// What a key looks like, without telling it.
fn shape(key: &SecretString) -> &'static str {
    let text = key.expose_secret();
    if is_token(key) {
        "looks like a signed token"
    } else if text.starts_with("sk-") {
        "looks like sk-..."
    } else if text.contains(':') {
        "looks like ID:SECRET"
    } else {
        "of no known shape"
    }
}

/// What becomes of rows of which nobody knows whether they were paid.
fn doubt(account: &AccountSettings, capabilities: Capabilities, findings: &mut Findings) {
    const HELD: &str = "in the morning, if there are any: nightreel status, then nightreel resolve";
    const ASK: &str = "to have a person decide instead: --in-doubt hold";
    let looks = capabilities.find || capabilities.list;
    match (capabilities.resend_is_safe(), looks, account.in_doubt) {
        // Nothing is left to choose.
        (true, _, InDoubt::Hold | InDoubt::Resend) => {
            findings.good("doubt", "a lost answer is looked up at the remote, and settled without a person");
        }
        (false, true, InDoubt::Hold) => {
            let words = "a lost answer is looked up at the remote; rows that it does not show are held for a person";
            findings.note("doubt", words, HELD);
        }
        (false, false, InDoubt::Hold) => {
            let words = "nothing can be looked up here: rows whose answer was lost are held for a person";
            findings.note("doubt", words, HELD);
        }
        (false, _, InDoubt::Resend) => {
            let words = "rows whose answer was lost are sent again (in_doubt = resend): they may be paid twice";
            findings.note("doubt", words, ASK);
        }
    }
}

/// Whether slots that have probably come free are found out by the next row.
fn probes(account: &AccountSettings, capabilities: Capabilities, findings: &mut Findings) {
    if !account.probe {
        return;
    }
    if capabilities.refuses {
        let words = format!(
            "the next row is sent to find out whether a slot is free: {} must be all that the account allows",
            account.in_flight
        );
        findings.good("probe", words);
    } else {
        let words =
            "probe is not heeded: that this gateway refuses what goes beyond the parallel limit is documented nowhere";
        findings.note("probe", words, "leave probe out for this account");
    }
}

fn limits(account: &AccountSettings) -> String {
    let prices = &account.prices;
    let mut words = format!("{}, {} at once", account.rate, account.in_flight);
    if let Some(pool) = &account.pool {
        words.push_str(&format!(" shared by pool {pool}"));
    }
    if account.weight != 1 {
        words.push_str(&format!(", weight {}", account.weight));
    }
    words.push_str(&format!("; prices in {}: {} a unit", prices.currency, prices.unit_price));
    if let Some(default) = &prices.default {
        words.push_str(&format!(", {default} a video"));
    }
    if !prices.per_scene.is_empty() {
        words.push_str(&format!(", {} of their own", prices.per_scene.len()));
    }
    words
}

fn median(mut tasks: Vec<Duration>) -> Option<Duration> {
    tasks.sort_unstable();
    tasks.get(tasks.len() / 2).copied()
}

/// How many videos an hour its limits allow, and which of them is the narrow one.
fn pace(account: &AccountSettings, known: Option<Duration>, findings: &mut Findings) -> Capacity {
    let task = known.unwrap_or(USUAL_TASK).max(Duration::from_secs(1));
    let by_slots = account.in_flight as f64 * 3600.0 / task.as_secs_f64();
    let by_rate = 3600.0 / account.rate.interval().as_secs_f64();
    let long = remote::span(task.as_secs());
    let long = if known.is_some() {
        format!("{long} a task, as its last ones took")
    } else {
        format!("{long} a task, a guess")
    };
    if by_rate < by_slots {
        let words = format!(
            "about {by_rate:.0} videos an hour: {} cannot keep {} busy ({long})",
            account.rate, account.in_flight
        );
        findings.note("pace", words, "raise rate, if the account allows more requests");
    } else {
        let words = format!("about {by_slots:.0} videos an hour: {} at once ({long})", account.in_flight);
        findings.good("pace", words);
    }
    Capacity { per_hour: by_slots.min(by_rate), pool: account.pool.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Mark;
    use super::*;
    use crate::config::{Key, Layer, Settings};

    #[test]
    fn a_probe_is_told_of_and_where_it_is_not_heeded_that_is_said() {
        let mark = |probe: &str, refuses: bool| {
            let mut findings = Findings::new(About::Machine);
            let capabilities = Capabilities { refuses, ..Capabilities::default() };
            probes(&settled(&[(Key::Probe, probe)]), capabilities, &mut findings);
            findings.list.iter().map(|finding| finding.mark).collect::<Vec<_>>()
        };
        assert_eq!((mark("false", true), mark("true", true)), (vec![], vec![Mark::Good]));
        assert_eq!(mark("true", false), [Mark::Note]);
    }

    fn settled(flags: &[(Key, &str)]) -> AccountSettings {
        let flags = flags.iter().map(|(key, value)| (*key, Some((*value).to_owned())));
        Settings::settle(&[Layer::from_flags(flags)]).unwrap().accounts.remove(0)
    }

    #[test]
    fn the_narrow_limit_is_named_and_is_a_note_where_it_is_the_rate() {
        for (rate, known, mark, expected) in [
            ("60/min", None, Mark::Good, "about 50 videos an hour: 5 at once (6 min a task, a guess)"),
            ("20/h", None, Mark::Note, "about 20 videos an hour: 20/h cannot keep 5 busy (6 min a task, a guess)"),
            (
                "60/min",
                Some(90),
                Mark::Good,
                "about 200 videos an hour: 5 at once (90 s a task, as its last ones took)",
            ),
        ] {
            let mut findings = Findings::new(About::Machine);
            pace(&settled(&[(Key::Rate, rate)]), known.map(Duration::from_secs), &mut findings);
            let found = &findings.list[0];
            assert_eq!((found.mark, found.words.as_str()), (mark, expected));
        }
    }

    #[test]
    fn a_key_is_described_and_not_shown() {
        for (key, expected) in [
            ("sk-taint", "looks like sk-..."),
            ("eyJhbGciOi.taint.taint", "looks like a signed token"),
            ("taint:taint", "looks like ID:SECRET"),
            ("taint", "of no known shape"),
        ] {
            assert_eq!(shape(&SecretString::from(key)), expected);
        }
    }

    #[test]
    fn sending_again_what_is_in_doubt_is_told_as_what_it_is() {
        let kling = Preset::Kling.capabilities();
        for (capabilities, choice, mark, expected) in [
            (kling, "hold", Mark::Good, "settled without a person"),
            (kling, "resend", Mark::Good, "settled without a person"),
            (Capabilities { unique: false, ..kling }, "hold", Mark::Note, "does not show are held"),
            (Capabilities { unique: false, ..kling }, "resend", Mark::Note, "may be paid twice"),
            (Preset::Fal.capabilities(), "hold", Mark::Note, "held for a person"),
            (Preset::Fal.capabilities(), "resend", Mark::Note, "may be paid twice"),
        ] {
            let mut findings = Findings::new(About::Machine);
            doubt(&settled(&[(Key::InDoubt, choice)]), capabilities, &mut findings);
            let found = &findings.list[0];
            assert!(found.mark == mark && found.words.contains(expected), "{found:?}");
        }
    }
}
