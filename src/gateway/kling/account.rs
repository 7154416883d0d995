//! Questions about the account, none of which costs anything: what is left, what was charged, which tasks it has, and
//! several tasks at once. All of them are extras: where one is not answered, nothing else suffers.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json as object};

use super::classify::{self, Answer, NoTask};
use super::record::Record;
use super::shape::{Foreign, Shape};
use super::{KlingGateway, LARGEST_PAGE};
use crate::domain::{Observation, TaskId};
use crate::gateway::{Balance, Charge, Charges, Listed, Pause, PauseReason, Told, http, json};

/// Where `CometAPI` tells what is left (documented).
pub(in crate::gateway) const COMET_QUOTA: &str = "https://query.cometapi.com/user/quota";

/// How far back the packs are asked for, in days.
const PACKS_OF: i64 = 30;

/// The most charges on a page (documented).
const CHARGES: u32 = 500;

/// Which questions about the account there are.
#[derive(Debug, Clone)]
pub enum Account {
    /// None.
    Silent,
    /// Kling's: resource packs and their deductions.
    Kling,
    /// `CometAPI`'s.
    Comet {
        /// What its list of tasks is asked with: another secret than the key, and never sent with anything else.
        token: Option<SecretString>,
        /// Where the balance is told.
        quota: String,
    },
}

impl KlingGateway {
    /// See [`crate::gateway::Gateway::balance`].
    pub(super) async fn left(&self) -> Told<Balance> {
        match &self.account {
            Account::Silent => Told::NotOffered,
            Account::Kling => match self.packs().await {
                Ok(balance) => Told::Answer(balance),
                Err(none) => told(none),
            },
            Account::Comet { quota, .. } => match self.quota(quota).await {
                Ok(balance) => Told::Answer(balance),
                Err(words) => Told::Unclear { words },
            },
        }
    }

    /// Kling's resource packs (documented; what it counts lags behind by up to 12 hours).
    async fn packs(&self) -> Result<Balance, NoTask> {
        let now = self.wire.clock.now();
        let from = now.saturating_sub(SignedDuration::from_hours(24 * PACKS_OF)).unwrap_or(Timestamp::MIN);
        let mut url = self.beside_tasks("account/costs");
        url.query_pairs_mut()
            .append_pair("start_time", &from.as_millisecond().to_string())
            .append_pair("end_time", &now.as_millisecond().to_string());
        let data = self.account_data(&self.wire.ask(|| self.wire.get(&url), LARGEST_PAGE).await.map_err(unclear)?)?;
        let packs = data.get("resource_pack_subscribe_infos").and_then(Value::as_array);
        let Some(packs) = packs else { return Err(unclear(self.wire.wording.of(&words_of(&data)))) };
        let online = || packs.iter().filter(|pack| pack.get("status").and_then(Value::as_str) == Some("online"));
        let left: f64 = online().filter_map(|pack| number(pack.get("remaining_quantity"))).sum();
        let names = online().map(|pack| {
            let name = pack.get("resource_pack_name").and_then(Value::as_str).unwrap_or("a pack");
            let end = pack.get("invalid_time").and_then(|end| millisecond(Some(end)));
            end.map_or_else(|| name.to_owned(), |end| format!("{name} until {}", end.strftime("%Y-%m-%d")))
        });
        let names = names.collect::<Vec<_>>().join(", ");
        let words = if names.is_empty() { "no resource pack is online".to_owned() } else { names };
        Ok(Balance { left: Some(decimal(left)), of: "units".to_owned(), words: self.wire.wording.of(&words) })
    }

    /// What `CometAPI` says is left (documented). The key stands in the query: the address is shown nowhere.
    async fn quota(&self, quota: &str) -> Result<Balance, String> {
        let key = self.key.as_ref().ok_or("there is no key to ask with")?;
        let mut url = Url::parse(quota).map_err(|error| error.to_string())?;
        url.query_pairs_mut().append_pair("key", key.expose_secret());
        let answer = self.wire.in_time(self.wire.once(self.wire.get(&url), None, LARGEST_PAGE)).await?;
        let value = self.success(&answer)?;
        // Of several keys nobody says which one is ours; the account's total is for all of them.
        let keys = value.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let remains = match keys {
            [only] => number(only.get("remain_quota")),
            _ => None,
        };
        let total = number(value.get("total_quota"));
        let left = match (remains, total) {
            // -1 is a key without a limit of its own.
            (Some(remains), _) if remains >= 0.0 => remains,
            (_, Some(total)) => total,
            (_, None) => return Err(self.unreadable(&answer)),
        };
        let words = number(value.get("total_used_quota")).map(|used| format!("{} USD used so far", decimal(used)));
        Ok(Balance { left: Some(decimal(left)), of: "USD".to_owned(), words: words.unwrap_or_default() })
    }

    /// See [`crate::gateway::Gateway::charges`].
    pub(super) async fn charged(&self, span: (Timestamp, Timestamp), next: Option<&str>) -> Told<Charges> {
        match &self.account {
            Account::Kling => match self.deductions(span, next).await {
                Ok(charges) => Told::Answer(charges),
                Err(none) => told(none),
            },
            Account::Silent | Account::Comet { .. } => Told::NotOffered,
        }
    }

    async fn deductions(&self, (from, to): (Timestamp, Timestamp), next: Option<&str>) -> Result<Charges, NoTask> {
        let body = match next {
            Some(cursor) => object!({"cursor": cursor, "limit": CHARGES}),
            None => {
                object!({"start_time": from.as_millisecond(), "end_time": to.as_millisecond(), "limit": CHARGES})
            }
        };
        let url = self.beside_tasks("account/billing/package");
        let asked = self.wire.ask(|| self.wire.post(&url, &body), LARGEST_PAGE).await.map_err(unclear)?;
        let data = self.account_data(&asked)?;
        let detail = data.get("result").and_then(|result| result.get("detail")).and_then(Value::as_array);
        let Some(detail) = detail else { return Err(unclear(self.wire.wording.of(&words_of(&data)))) };
        let charges = detail.iter().filter_map(|row| {
            let task = TaskId::new(row.get("task_id")?.as_str()?).ok()?;
            let units = match row.get("deduction_amount")? {
                Value::String(text) if number(row.get("deduction_amount")).is_some() => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            Some(Charge { task, units, at: millisecond(row.get("deduction_time")) })
        });
        let more = data.get("has_more").and_then(Value::as_bool).unwrap_or(true);
        let cursor = data.get("next_cursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty());
        // A cursor that stays where it is would be asked for forever.
        let next = cursor.filter(|cursor| more && Some(*cursor) != next).map(str::to_owned);
        Ok(Charges { charges: charges.collect(), next })
    }

    /// See [`crate::gateway::Gateway::recent`].
    pub(super) async fn latest(&self, page: u32, size: u32) -> Told<Vec<Observation>> {
        match &self.account {
            Account::Comet { token: Some(token), .. } => match self.rows(token, page, size).await {
                Ok(rows) => Told::Answer(rows),
                Err(words) => Told::Unclear { words },
            },
            Account::Silent | Account::Kling | Account::Comet { token: None, .. } if self.capabilities.list => {
                match self.page(page, size).await {
                    Ok(Listed::Page(tasks)) => Told::Answer(tasks),
                    Ok(Listed::Unclear { words, .. }) => Told::Unclear { words },
                    Ok(Listed::Paused(pause)) => Told::Paused(pause),
                    Err(none) => told(none),
                }
            }
            Account::Silent | Account::Kling | Account::Comet { token: None, .. } => Told::NotOffered,
        }
    }

    /// The rows of new-api's list of tasks (read in `CometAPI`'s own command line). A token that is not let in pauses
    /// nothing: it is not the key.
    async fn rows(&self, token: &SecretString, page: u32, size: u32) -> Result<Vec<Observation>, String> {
        let mut url = self.tasks.clone();
        url.set_path("/api/task/self");
        url.query_pairs_mut()
            .append_pair("p", &page.to_string())
            .append_pair("page_size", &size.to_string())
            .append_pair("platform", "kling");
        let shown = http::authorization("Bearer", token).ok_or("the account token is not usable")?;
        let answer = self.wire.in_time(self.wire.once(self.wire.get(&url), Some(shown), LARGEST_PAGE)).await?;
        if matches!(answer.status, 401 | 403) {
            return Err(format!("the account token was not accepted: {}", self.unreadable(&answer)));
        }
        let value = self.success(&answer)?;
        let data = value.get("data");
        let rows = data.and_then(Value::as_array).or_else(|| data?.get("items")?.as_array());
        let Some(rows) = rows else { return Err(self.unreadable(&answer)) };
        let records = rows.iter().filter_map(Value::as_object).filter_map(|row| Record::of(row, None));
        Ok(records.filter_map(|record| self.observation(record)).collect())
    }

    /// See [`crate::gateway::Gateway::observe_many`].
    pub(super) async fn several(&self, tasks: &[TaskId]) -> Result<Listed, NoTask> {
        let Some(most) = self.capabilities.many else {
            return Err(unclear("this gateway cannot be asked for several tasks at once".to_owned()));
        };
        if self.many_is_off.load(Ordering::Relaxed) {
            return Err(unclear("this gateway was asked for several tasks at once, and does not tell them".to_owned()));
        }
        // Within a list of ids a comma would be the end of one.
        let plain = |task: &&TaskId| task.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
        let ids: Vec<&str> = tasks.iter().filter(plain).take(most).map(TaskId::as_str).collect();
        if ids.is_empty() {
            return Ok(Listed::Page(Vec::new()));
        }
        let mut url = self.beside_tasks("tasks");
        url.set_query(Some(&format!("task_ids={}", ids.join(","))));
        let (answer, shape) = self.wire.ask(|| self.wire.get(&url), LARGEST_PAGE).await.map_err(unclear)?;
        match shape {
            Shape::Tasks(records) if answer.is_success() => {
                let seen = records.into_iter().filter_map(|record| self.observation(record));
                let seen: Vec<Observation> = seen.filter(|seen| ids.contains(&seen.task.as_str())).collect();
                if seen.is_empty() {
                    // Whether it knows effects at all is not documented.
                    self.ask_one_by_one();
                }
                Ok(Listed::Page(seen))
            }
            shape if is_not_there(&answer, &shape) => {
                self.ask_one_by_one();
                Err(unclear("this gateway does not tell of several tasks at once".to_owned()))
            }
            shape => Err(classify::no_task(&answer, &shape, &self.wire.wording)),
        }
    }

    /// From now on nobody is asked for several tasks at once.
    fn ask_one_by_one(&self) {
        self.many_is_off.store(true, Ordering::Relaxed);
        tracing::debug!("this gateway does not tell of several tasks at once: they are asked for one by one");
    }

    /// The address of what stands beside the tasks, not under `/v1` (documented).
    fn beside_tasks(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    /// The `data` of an answer about the account: Kling puts a second envelope within the first (documented).
    fn account_data(&self, (answer, shape): &(Answer, Shape)) -> Result<Map<String, Value>, NoTask> {
        let value = json::read(&answer.body).unwrap_or_default();
        let data = value.get("data").and_then(Value::as_object);
        match (shape, data) {
            (Shape::Error(_) | Shape::Foreign(_), _) | (_, None) => {
                Err(classify::no_task(answer, shape, &self.wire.wording))
            }
            (_, Some(data)) if answer.is_success() => {
                let code = data.get("code").and_then(Value::as_i64).unwrap_or(0);
                if code == 0 { Ok(data.clone()) } else { Err(unclear(self.wire.wording.of(&words_of(data)))) }
            }
            (_, Some(_)) => Err(classify::no_task(answer, shape, &self.wire.wording)),
        }
    }

    /// The object that a success is; `Err` says what came instead.
    fn success(&self, answer: &Answer) -> Result<Map<String, Value>, String> {
        match json::read(&answer.body) {
            Some(Value::Object(object))
                if answer.is_success() && object.get("success").and_then(Value::as_bool) != Some(false) =>
            {
                Ok(object)
            }
            Some(_) | None => Err(self.unreadable(answer)),
        }
    }

    fn unreadable(&self, answer: &Answer) -> String {
        match classify::no_task(answer, &Shape::of(&answer.body), &self.wire.wording) {
            NoTask::Unclear { words, .. } => words,
            NoTask::Paused(pause) => pause.words,
            NoTask::NotVisible => format!("HTTP {}", answer.status),
        }
    }
}

/// `secret` as it stands in the query of an address, where that is not as it is.
pub(super) fn in_address(secret: &SecretString) -> Option<SecretString> {
    let secret = secret.expose_secret().trim();
    let url = Url::parse_with_params("http://h", [("", secret)]).ok()?;
    let encoded = url.query()?.strip_prefix('=')?;
    (encoded != secret).then(|| SecretString::from(encoded))
}

/// Whether an answer says that there is no such question, or not for such a key (Kling: 401 with 1002, observed).
fn is_not_there(answer: &Answer, shape: &Shape) -> bool {
    match shape {
        Shape::Foreign(Foreign::Html { .. }) => answer.is_success() || matches!(answer.status, 404 | 405),
        Shape::Error(error) if answer.status == 401 => error.number() == Some(1002),
        _ => matches!(answer.status, 404 | 405),
    }
}

fn told<T>(none: NoTask) -> Told<T> {
    match none {
        NoTask::NotVisible => Told::Unclear { words: "there is no such question".to_owned() },
        // That an extra is not there says nothing about what is needed.
        NoTask::Unclear { words, .. } | NoTask::Paused(Pause { reason: PauseReason::Route, words }) => {
            Told::Unclear { words }
        }
        NoTask::Paused(pause) => Told::Paused(pause),
    }
}

fn unclear(words: String) -> NoTask {
    NoTask::Unclear { words, retry_after: None }
}

fn words_of(data: &Map<String, Value>) -> String {
    let said = ["msg", "message"].iter().find_map(|key| data.get(*key)?.as_str());
    said.unwrap_or("an answer that was not understood").to_owned()
}

/// A number, or a text that is one.
fn number(value: Option<&Value>) -> Option<f64> {
    let number = match value? {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    number.is_finite().then_some(number)
}

/// A sum of decimals, without what binary fractions add to it, and without the sign of a zero (that of no summands has one).
fn decimal(number: f64) -> String {
    format!("{}", (number * 1000.0).round() / 1000.0 + 0.0)
}

fn millisecond(value: Option<&Value>) -> Option<Timestamp> {
    let millisecond = match value? {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_i64()?,
    };
    Timestamp::from_millisecond(millisecond).ok().filter(|at| *at > Timestamp::UNIX_EPOCH)
}
