//! What a remote answers to questions that cost nothing, and what each answer means to a person.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::Observation;
use crate::gateway::{
    self, Balance, Charges, Credentials, Gateway, Observed, Pause, PauseReason, Preset, Probe, Region, Told,
};
use crate::pace::Clock;

use super::finding::Findings;

/// How long the first question may take: longer than connecting may, so that it is told what did not connect.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long each of the questions after it may take; they are asked at the same time.
const MORE_PATIENCE: Duration = Duration::from_secs(5);
/// An answer that takes longer is worth a word.
const SLOW: Duration = Duration::from_secs(3);
/// Clocks that differ by less are as good as equal, in seconds.
const SAME: u64 = 5;
/// Tokens of clocks that differ by more are refused until an answer has told the remote's time, in seconds.
const FAR: u64 = 60;

/// What is known of a remote before it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) preset: Preset,
    pub(super) region: Region,
    /// As it is used.
    pub(super) base_url: &'a str,
    pub(super) credentials: &'a Credentials,
    /// The variable that names the proxy between us.
    pub(super) proxy: Option<&'static str>,
}

impl Way<'_> {
    /// The host, with its port where that is not the usual one.
    pub(super) fn host(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Whether it is this machine.
    pub(super) fn is_here(&self) -> bool {
        ["localhost", "127.", "[::1]"].iter().any(|here| self.host().starts_with(here))
    }

    /// Whether it is Kling's own place in its region.
    fn is_klings_own(&self) -> bool {
        self.preset == Preset::Kling && self.preset.default_base_url(self.region) == Some(self.base_url)
    }

    /// What to look at where the base URL may be wrong.
    fn look_at_base_url(&self) -> String {
        let path =
            self.base_url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        if path.split('/').any(|part| part == "v1") {
            return format!("cut /v1 and what follows off the base URL, which is {}", self.base_url);
        }
        let prefix = if path.is_empty() { "often it ends in /kling" } else { "often it has another path" };
        format!(
            "look the base URL up at the gateway: up to what stands before /v1, without /v1; {prefix}. It is {}",
            self.base_url
        )
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Heard {
    /// `None` when nothing came in time.
    pub(super) probe: Option<Result<Probe, String>>,
    /// `None` when it was not asked.
    more: Option<More>,
}

/// What was told of the account.
#[derive(Debug)]
struct More {
    balance: Told<Balance>,
    charges: Told<Charges>,
    recent: Told<Vec<Observation>>,
}

/// Asks for a task that does not exist; whoever lets us in is asked about the account too. Costs nothing.
pub(super) async fn ask(gateway: &dyn Gateway, clock: &Clock) -> Heard {
    let probe = clock.within(PATIENCE, gateway.probe()).await;
    let is_in = matches!(
        &probe,
        Some(Ok(Probe { observed: Observed::NotVisible | Observed::Seen(_) | Observed::Unclear { .. }, .. }))
    );
    if !is_in {
        return Heard { probe, more: None };
    }
    let now = clock.now();
    let lately = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
    let (balance, charges, recent) = futures::future::join3(
        in_time(gateway.balance(), clock),
        in_time(gateway.charges((lately, now), None), clock),
        in_time(gateway.recent(1, 1), clock),
    )
    .await;
    Heard { probe, more: Some(More { balance, charges, recent }) }
}

/// What was told, or that nothing was.
async fn in_time<T>(question: impl Future<Output = Told<T>>, clock: &Clock) -> Told<T> {
    let told = clock.within(MORE_PATIENCE, question).await;
    told.unwrap_or_else(|| Told::Unclear { words: format!("no answer within {} s", MORE_PATIENCE.as_secs()) })
}

/// What it means.
pub(super) fn judge(heard: &Heard, way: Way<'_>, findings: &mut Findings) {
    match &heard.probe {
        None => {
            let words = format!("{} did not answer within {} s", way.host(), PATIENCE.as_secs());
            findings.bad("reach", words, with_proxy("try again; then look whether a firewall is in between", way));
        }
        Some(Err(words)) => {
            // What the client's layers say of themselves helps nobody.
            let told = ["error sending request: ", "client error (Connect): ", "client error (SendRequest): "];
            let told = told.iter().fold(words.as_str(), |words, layer| words.trim_start_matches(layer));
            findings.bad("reach", format!("{} was not reached: {told}", way.host()), unreached(words, way));
        }
        Some(Ok(probe)) => {
            answered(probe, way, findings);
            if let Some(More { balance, charges, recent }) = &heard.more {
                left(balance, findings);
                offered(charges, recent, findings);
            }
        }
    }
}

/// What to do where nothing came back, by the transport's words.
fn unreached(words: &str, way: Way<'_>) -> String {
    let low = words.to_lowercase();
    let says = |known: &[&str]| known.iter().any(|known| low.contains(known));
    if let Some(proxy) = way.proxy.filter(|_| says(&["tunnel", "proxy"])) {
        return format!("the proxy that {proxy} names did not take it there: check it, or unset {proxy}");
    }
    let hint = if says(&["dns error", "failed to lookup", "name or service", "resolve"]) {
        let bare = way.host().split(':').next().unwrap_or_default();
        format!("check the host's spelling in the base URL, then this machine's DNS: getent hosts {bare}")
    } else if says(&["certificate", "unknownissuer", "invalid peer"]) {
        "install the system's root certificates (ca-certificates) and check this machine's date; a company's proxy needs \
         its own root installed"
            .to_owned()
    } else if says(&["corrupt", "invalidcontenttype", "invalid content", "invalid message"]) {
        "nothing there speaks TLS: is it http:// instead of https://, or another port?".to_owned()
    } else if says(&["refused"]) && way.is_here() {
        "nothing listens there: check the port; a simulator is started with: nightreel simulate --port PORT".to_owned()
    } else if says(&["refused"]) {
        "nothing listens there: check host and port of the base URL".to_owned()
    } else if says(&["unreachable"]) {
        "this machine has no way there: check its network".to_owned()
    } else if says(&["timed out", "deadline", "did not"]) {
        "no connection came about: look whether a firewall or a missing proxy is in between".to_owned()
    } else {
        "something broke in between: try again, then check the base URL".to_owned()
    };
    with_proxy(&hint, way)
}

fn with_proxy(hint: &str, way: Way<'_>) -> String {
    way.proxy.map_or_else(
        || hint.to_owned(),
        |proxy| format!("{hint}; requests go through the proxy of {proxy}: try without"),
    )
}

/// What an answer says of the way, the clocks and the key.
fn answered(probe: &Probe, way: Way<'_>, findings: &mut Findings) {
    let took = format!("{} answered in {} ms", way.host(), probe.took.as_millis());
    if probe.took > SLOW {
        findings.note("reach", took, with_proxy("slow, but well within --request-timeout", way));
    } else {
        findings.good("reach", took);
    }
    clocks(probe.ahead, way, findings);
    match &probe.observed {
        Observed::NotVisible | Observed::Seen(_) => findings.good("access", "it let us in and knows no such task"),
        Observed::Unclear { words, retry_after: Some(_) } => {
            findings.note("access", format!("it is busy: {words}"), "ask again in a minute");
        }
        Observed::Unclear { words, retry_after: None } => {
            let hint = match status(words) {
                Some(300..=399 | 404 | 405) => way.look_at_base_url(),
                Some(429) => "ask again in a minute".to_owned(),
                Some(500..=599) => {
                    "it has trouble of its own: ask again in a minute, then look at its status page".to_owned()
                }
                _ => "ask again in a minute; if it stays so, check the base URL".to_owned(),
            };
            match status(words) {
                Some(429) => findings.note("access", format!("it is busy: {words}"), hint),
                _ => findings.bad("access", format!("no usable answer: {words}"), hint),
            }
        }
        Observed::Paused(pause) => {
            let (words, hint) = refused(pause, way);
            findings.bad("access", words, hint);
        }
    }
}

/// The HTTP status that the words of an answer begin with.
fn status(words: &str) -> Option<u16> {
    words.split("HTTP ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What a refusal says, and what to do about it.
fn refused(pause: &Pause, way: Way<'_>) -> (String, String) {
    let advised = gateway::all_advice().iter().find_map(|advice| {
        let words = pause.words.strip_suffix(advice.hint)?.strip_suffix("; ")?;
        Some((words, advice.hint.to_owned()))
    });
    let (words, advice) = advised.map_or((pause.words.as_str(), None), |(words, hint)| (words, Some(hint)));
    let hint = match pause.reason {
        PauseReason::Route => way.look_at_base_url(),
        PauseReason::Key => {
            let hint =
                advice.unwrap_or_else(|| "copy the key again; another gateway's key does not work here".to_owned());
            if way.is_klings_own() {
                let other = if way.region == Region::Singapore { Region::Beijing } else { Region::Singapore };
                format!("{hint}; this is the region {}, for a key of the other: --region {other}", way.region)
            } else {
                hint
            }
        }
        PauseReason::Balance => advice.unwrap_or_else(|| "top the account up".to_owned()),
        PauseReason::Account | PauseReason::Failures | PauseReason::Pictures => {
            advice.unwrap_or_else(|| "look at the account in the gateway's console".to_owned())
        }
    };
    (format!("{}: {words}", pause.reason), hint)
}

/// What is said of the clocks.
fn clocks(ahead: Option<i64>, way: Way<'_>, findings: &mut Findings) {
    const SET: &str = "set this machine's clock: timedatectl set-ntp true";
    let Some(ahead) = ahead else {
        findings.good("clock", "the remote does not tell the time");
        return;
    };
    let seconds = ahead.unsigned_abs();
    let signs = matches!(way.credentials, Credentials::AccessKey { .. });
    let which = if ahead > 0 { "behind" } else { "ahead of" };
    let words = format!("this machine's clock is {} {which} the remote's", span(seconds));
    if seconds <= SAME {
        findings.good("clock", format!("as the remote's, to {SAME} s"));
    } else if signs && seconds > FAR {
        let words = format!("{words}, and tokens are signed by the clock");
        findings.bad("clock", words, format!("{SET}; until then nightreel signs by the remote's time"));
    } else {
        let harm =
            if signs { "nightreel signs by the remote's time meanwhile" } else { "an API key does not depend on it" };
        findings.note("clock", words, format!("{SET}; {harm}"));
    }
}

/// `45 s`, `12 min`, `3 h`, `40 days`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn left(balance: &Told<Balance>, findings: &mut Findings) {
    match balance {
        Told::Answer(Balance { left: None, words, .. }) => {
            findings.good("balance", format!("no limit{}", in_brackets(words)));
        }
        Told::Answer(Balance { left: Some(left), of, words }) => {
            let told = format!("{left} {of} left{}", in_brackets(words));
            if left.parse().is_ok_and(|left: f64| left <= 0.0) {
                findings.bad("balance", told, "top the account up: every request would be refused");
            } else {
                findings.good("balance", told);
            }
        }
        Told::Unclear { words } => findings.remark("balance", format!("not told: {words}")),
        Told::Paused(pause) => findings.remark("balance", format!("not told to this key: {}", pause.words)),
        Told::NotOffered => findings.good("balance", "this gateway has no question for it: look at its console"),
    }
}

fn in_brackets(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

fn offered(charges: &Told<Charges>, recent: &Told<Vec<Observation>>, findings: &mut Findings) {
    fn word<T>(told: &Told<T>) -> &'static str {
        match told {
            Told::Answer(_) => "yes",
            Told::Unclear { .. } => "not now",
            Told::Paused(_) => "not to this key",
            Told::NotOffered => "no",
        }
    }
    findings
        .good("extras", format!("tells what each task cost: {}; lists recent tasks: {}", word(charges), word(recent)));
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::super::finding::{About, Finding, Mark};
    use super::*;

    fn found(heard: &Heard, way: Way<'_>) -> Vec<Finding> {
        let mut findings = Findings::new(About::Account("a".to_owned()));
        judge(heard, way, &mut findings);
        findings.list
    }

    fn way<'a>(base_url: &'a str, credentials: &'a Credentials) -> Way<'a> {
        Way { preset: Preset::Kling, region: Region::Singapore, base_url, credentials, proxy: None }
    }

    fn answer(ahead: i64, observed: Observed) -> Heard {
        Heard { probe: Some(Ok(Probe { took: Duration::from_millis(12), ahead: Some(ahead), observed })), more: None }
    }

    const OWN: &str = "https://api-singapore.klingai.com";

    #[test]
    fn a_clock_that_is_off_matters_to_those_who_sign() {
        let pair = Credentials::AccessKey { access: SecretString::from("a"), secret: SecretString::from("s") };
        let key = Credentials::Key(SecretString::from("k"));
        for (ahead, credentials, mark, words) in [
            (-4, &pair, Mark::Good, "as the remote's"),
            (9, &pair, Mark::Note, "9 s behind the remote's"),
            (-400, &key, Mark::Note, "6 min ahead of the remote's"),
            (400, &pair, Mark::Bad, "6 min behind the remote's, and tokens"),
        ] {
            let list = found(&answer(ahead, Observed::NotVisible), way(OWN, credentials));
            let clock = list.iter().find(|one| one.what == "clock").unwrap();
            assert!(clock.mark == mark && clock.words.contains(words), "{clock:?}");
            assert_eq!(clock.hint.is_some(), mark != Mark::Good);
        }
    }

    #[test]
    fn whoever_was_not_reached_or_refused_is_told_what_to_do() {
        let key = Credentials::Key(SecretString::from("k"));
        let paused = |reason, words: &str| answer(0, Observed::Paused(Pause { reason, words: words.to_owned() }));
        let unclear = |words: &str| answer(0, Observed::Unclear { words: words.to_owned(), retry_after: None });
        let broken = |words: &str| Heard { probe: Some(Err(words.to_owned())), more: None };
        let advice = gateway::advice("1002").unwrap();
        for (heard, base_url, expected) in [
            (Heard { probe: None, more: None }, OWN, "firewall"),
            (broken("tcp connect error: Connection refused"), "http://127.0.0.1:1", "nightreel simulate"),
            (broken("dns error: failed to lookup address"), "https://h.example:1/k", "getent hosts h.example"),
            (broken("invalid peer certificate: UnknownIssuer"), OWN, "ca-certificates"),
            (paused(PauseReason::Key, &format!("no; {}", advice.hint)), OWN, "--region beijing"),
            (paused(PauseReason::Key, "no"), "https://h.example", "another gateway's key"),
            (paused(PauseReason::Route, "page"), "https://h.example/kling/v1", "cut /v1"),
            (unclear("HTTP 404: page"), "https://h.example", "often it ends in /kling"),
            (unclear("HTTP 502: page"), "https://h.example", "trouble of its own"),
        ] {
            let list = found(&heard, way(base_url, &key));
            let bad: Vec<&Finding> = list.iter().filter(|one| one.mark == Mark::Bad).collect();
            let [one] = bad.as_slice() else { panic!("{list:?}") };
            assert!(one.hint.as_ref().unwrap().contains(expected), "{one:?}");
            assert!(!one.words.contains(advice.hint), "{one:?}");
        }
    }

    #[test]
    fn a_proxy_in_between_is_named() {
        let key = Credentials::Key(SecretString::from("k"));
        for (words, expected) in [
            ("tunnel error: tcp connect error: Connection refused", "check it, or unset HTTPS_PROXY"),
            ("operation timed out", "through the proxy of HTTPS_PROXY"),
        ] {
            let heard = Heard { probe: Some(Err(words.to_owned())), more: None };
            let list = found(&heard, Way { proxy: Some("HTTPS_PROXY"), ..way(OWN, &key) });
            assert!(list[0].hint.as_ref().unwrap().contains(expected), "{list:?}");
        }
    }

    #[test]
    fn an_empty_balance_is_a_problem_and_one_without_limit_is_none() {
        let key = Credentials::Key(SecretString::from("k"));
        for (left, mark) in
            [(Some("0"), Mark::Bad), (Some("-0.5"), Mark::Bad), (Some("12.5"), Mark::Good), (None, Mark::Good)]
        {
            let balance = Balance { left: left.map(str::to_owned), of: "units".to_owned(), words: String::new() };
            let more =
                Some(More { balance: Told::Answer(balance), charges: Told::NotOffered, recent: Told::NotOffered });
            let list = found(&Heard { more, ..answer(0, Observed::NotVisible) }, way(OWN, &key));
            assert_eq!(list.iter().find(|one| one.what == "balance").unwrap().mark, mark, "{left:?}");
        }
    }
}
