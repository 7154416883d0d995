//! The accounts that pay: from `[[account]]` tables, or one that is described by flags, variables and the file's own settings.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalogue::PriceTable;
use crate::domain::{AccountName, Currency, Money};
use crate::gateway::{Credentials, Overrides, Parameters, Preset, Region, Spec};
use crate::pace::Rate;
use crate::pipeline::InDoubt;
use crate::sink::Address;

use super::find::{Find, wrong};
use super::layer::Layer;
use super::secret::{self, Source, Sources};
use super::setting::Key;
use super::{ConfigError, Unsettled, parse_span};

/// One account.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Its name, where it is not made from the gateway.
    pub name: Option<AccountName>,
    /// The kind of its gateway; `None` where none was named.
    pub preset: Option<Preset>,
    /// Where that is, where it is not the preset's own place.
    pub base_url: Option<String>,
    /// Which of Kling's places.
    pub region: Region,
    /// Where what shows it who asks is to be found. Nothing is read before it is needed: who only looks needs no key.
    pub sources: Sources,
    /// What the gateway can do, against its preset.
    pub overrides: Overrides,
    /// Which of a row's parameters are sent.
    pub parameters: Parameters,
    /// How long an answer to a request that may be paid is waited for. Default 2 min.
    pub request_timeout: Duration,
    /// Requests that may be paid: how many in which time. Default 60/min.
    pub rate: Rate,
    /// Parallel generations. Default 5.
    pub in_flight: usize,
    /// Whether `in_flight` is all that the account allows, so that the next row finds out whether a slot has come free.
    /// Default no.
    pub probe: bool,
    /// The shortest span between two questions about a task. Default: the preset's.
    pub min_poll: Option<Duration>,
    /// Whether links to its videos may lead to private networks, also where its gateway is public. Default no.
    pub private_links: bool,
    /// Where its local pictures are lent, and for how long a link is good. Default: they are sent within the request.
    pub lends: Option<Lends>,
    /// What becomes of rows that stay in doubt. Default hold.
    pub in_doubt: InDoubt,
    /// Its share of the rows that several accounts could send at the same moment. Default 1.
    pub weight: u32,
    /// Accounts of one pool share their parallel generations.
    pub pool: Option<String>,
    /// What it asks for effects. Default: Kling's list.
    pub prices: PriceTable,
}

/// How pictures are lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lends {
    /// The object store, with the prefix under which they lie.
    pub at: Address,
    /// How long a link to one is good. Default 24 h.
    pub good_for: Duration,
}

impl Lends {
    /// How long a link is good where nothing is set: as long as a task may take.
    const GOOD_FOR: Duration = Duration::from_hours(24);
    /// The shortest and the longest: no store signs for longer than a week.
    const RANGE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(7 * 24));
}

impl AccountSettings {
    /// The rate where none is set: 60/min.
    pub const RATE: Rate = Rate::per_minute(NonZeroU32::MIN.saturating_add(59));
    /// Parallel generations where no number is set: 5.
    pub const IN_FLIGHT: usize = 5;

    /// The description of its gateway, which is of the kind `preset` at `base_url`. Reads its credentials.
    pub fn spec(&self, preset: Preset, base_url: Option<String>) -> Result<Spec, ConfigError> {
        // A simulator is shown no real key.
        let (credentials, account_token) = match preset {
            Preset::Simulator => (Credentials::None, None),
            _ => (self.sources.credentials(self.name.as_ref())?, self.sources.account_token()?),
        };
        Ok(Spec {
            preset,
            base_url,
            region: self.region,
            credentials,
            account_token,
            overrides: self.overrides,
            parameters: self.parameters,
            request_timeout: self.request_timeout,
        })
    }
}

/// All accounts that the layers describe: those of the tables, but for flags or variables that name a gateway and so
/// describe another one. Those that cannot be settled are added to `unsettled`.
pub(super) fn settle(layers: &[Layer], unsettled: &mut Vec<Unsettled>) -> Vec<AccountSettings> {
    let (above, tables): (Vec<&Layer>, Vec<&Layer>) =
        (layers.iter().skip(1).collect(), layers.iter().flat_map(Layer::accounts).collect());
    let elsewhere = above.iter().any(|layer| layer.get(Key::Gateway).is_some());
    if tables.is_empty() || elsewhere {
        let settled = alone(&Find::over(layers.iter().collect()));
        return settled.map_err(|error| unsettled.push(Unsettled { account: None, error })).into_iter().collect();
    }
    let mut accounts = Vec::new();
    let mut names = Vec::new();
    for table in tables {
        let settled = named(table).and_then(|name| {
            if names.contains(&name) {
                return Err(ConfigError::NamedTwice { name });
            }
            names.push(name.clone());
            of_table(layers, table, &above, name)
        });
        match settled {
            Ok(account) => accounts.push(account),
            Err(error) => {
                let account = table.get(Key::Account).and_then(|(_, name)| AccountName::new(name).ok());
                unsettled.push(Unsettled { account, error });
            }
        }
    }
    match chosen(&names, &above) {
        Ok(Some(wanted)) => accounts.retain(|account| account.name.as_ref().is_some_and(|name| wanted.contains(name))),
        Ok(None) => {}
        Err(error) => unsettled.push(Unsettled { account: None, error }),
    }
    accounts
}

/// The one account that is described without a table of its own.
fn alone(find: &Find<'_>) -> Result<AccountSettings, ConfigError> {
    let name = find.parse(Key::Account, |text| AccountName::new(text).ok(), "1 to 200 printable characters")?;
    one(find, find, &secret::Variables::default(), name)
}

/// The name of a table's account.
fn named(table: &Layer) -> Result<AccountName, ConfigError> {
    let Some((origin, name)) = table.get(Key::Account) else {
        return Err(ConfigError::NoName { origin: table.origin().to_owned() });
    };
    AccountName::new(name).map_err(|bad| wrong(origin, Key::Account, name, bad.expected))
}

/// The account of a table.
fn of_table(
    layers: &[Layer],
    table: &Layer,
    above: &[&Layer],
    name: AccountName,
) -> Result<AccountSettings, ConfigError> {
    if table.get(Key::Gateway).is_none() {
        return Err(ConfigError::NoGateway { origin: table.origin().to_owned(), name });
    }
    // The file, then the account's own table, then variables and flags.
    let mut over: Vec<&Layer> = layers.iter().take(1).collect();
    over.push(table);
    over.extend(above);
    one(&Find::over(over), &Find::over(vec![table]), &secret::Variables::none(), Some(name))
}

/// The names of all tables.
pub(super) fn tables(layers: &[Layer]) -> Vec<AccountName> {
    let names = layers.iter().flat_map(Layer::accounts).filter_map(|table| table.get(Key::Account));
    names.filter_map(|(_, name)| AccountName::new(name).ok()).collect()
}

/// Those that `--account` names, where it does.
fn chosen(known: &[AccountName], above: &[&Layer]) -> Result<Option<Vec<AccountName>>, ConfigError> {
    let Some((origin, wanted)) = above.iter().rev().find_map(|layer| layer.get(Key::Account)) else {
        return Ok(None);
    };
    let wanted = wanted.split(',').map(str::trim).map(|wanted| {
        known.iter().find(|known| known.as_str() == wanted).cloned().ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(AccountName::as_str).collect();
            wrong(origin, Key::Account, wanted, &format!("one of {}", known.join(", ")))
        })
    });
    wanted.collect::<Result<_, _>>().map(Some)
}

/// One account: its settings from `find`, its credentials and its place from `own`.
fn one(
    find: &Find<'_>,
    own: &Find<'_>,
    variables: &secret::Variables,
    name: Option<AccountName>,
) -> Result<AccountSettings, ConfigError> {
    let kinds = Preset::ALL.map(Preset::word).join(", ");
    let preset: Option<Preset> = own.parse(Key::Gateway, |text| text.parse().ok(), &format!("one of {kinds}"))?;
    let source = |env: Key, file: Key, default: Option<&'static str>| Source {
        named: own.text(env).map(str::to_owned),
        variable: default,
        file: own.text(file).map(PathBuf::from),
    };
    let sources = Sources {
        key: source(Key::KeyEnv, Key::KeyFile, variables.key),
        access_key: source(Key::AccessKeyEnv, Key::AccessKeyFile, variables.access_key),
        secret_key: source(Key::SecretKeyEnv, Key::SecretKeyFile, variables.secret_key),
        account_token: source(Key::AccountTokenEnv, Key::AccountTokenFile, variables.account_token),
        webhook_secret: source(Key::WebhookSecretEnv, Key::WebhookSecretFile, variables.webhook_secret),
    };
    let rate = |text: &str| text.parse::<Rate>().ok();
    Ok(AccountSettings {
        name,
        preset,
        base_url: own.text(Key::BaseUrl).map(|url| url.trim_end_matches('/').to_owned()),
        region: find.parse(Key::Region, |text| text.parse().ok(), "singapore or beijing")?.unwrap_or_default(),
        sources,
        overrides: Overrides {
            find: find.truth(Key::Find)?,
            unique: find.truth(Key::Unique)?,
            list: find.truth(Key::List)?,
            many: find.truth(Key::Many)?,
        },
        parameters: find.parse(Key::Parameters, parameters, "all, none or preset")?.unwrap_or_default(),
        request_timeout: find.span(Key::RequestTimeout)?.unwrap_or(Duration::from_mins(2)),
        rate: find.parse(Key::Rate, rate, "a rate such as 20/min, 5/s or 300/h")?.unwrap_or(AccountSettings::RATE),
        in_flight: find.count(Key::InFlight, 10_000)?.unwrap_or(AccountSettings::IN_FLIGHT),
        probe: find.truth(Key::Probe)?.unwrap_or(false),
        min_poll: find.span(Key::MinPoll)?,
        private_links: find.truth(Key::PrivateLinks)?.unwrap_or(false),
        lends: lends(find)?,
        in_doubt: find.parse(Key::InDoubt, in_doubt, "hold or resend")?.unwrap_or_default(),
        weight: find.count(Key::Weight, 1000)?.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1),
        pool: find.text(Key::Pool).map(str::to_owned),
        prices: prices(find)?,
    })
}

/// Where pictures are lent. What is no address is not shown: it may hold credentials.
fn lends(find: &Find<'_>) -> Result<Option<Lends>, ConfigError> {
    let span = |text: &str| {
        let (least, most) = Lends::RANGE;
        parse_span(text).filter(|span| (least..=most).contains(span))
    };
    let good_for = find.parse(Key::ImagesFor, span, "a span from 1m to 7d, such as 24h")?;
    let Some((origin, text)) = find.told(Key::ImagesVia).filter(|(_, text)| *text != "off") else { return Ok(None) };
    let Ok(Some(at)) = Address::of(Path::new(text)) else {
        let expected = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX, without credentials; or off";
        return Err(ConfigError::Hidden { origin: origin.to_owned(), key: Key::ImagesVia.word(), expected });
    };
    Ok(Some(Lends { at, good_for: good_for.unwrap_or(Lends::GOOD_FOR) }))
}

fn parameters(text: &str) -> Option<Parameters> {
    match text {
        "preset" => Some(Parameters::Preset),
        "all" => Some(Parameters::All),
        "none" => Some(Parameters::None),
        _ => None,
    }
}

fn in_doubt(text: &str) -> Option<InDoubt> {
    match text {
        "hold" => Some(InDoubt::Hold),
        "resend" => Some(InDoubt::Resend),
        _ => None,
    }
}

/// The vendor's list, with what is set over it.
fn prices(find: &Find<'_>) -> Result<PriceTable, ConfigError> {
    const AMOUNT: &str = "an amount such as 0.28";
    let money = |text: &str| text.parse::<Money>().ok();
    let list = PriceTable::kling_list();
    let mut per_scene = BTreeMap::new();
    let mut origins = BTreeMap::new();
    for (scene, (origin, text)) in find.prices() {
        let amount = money(text).ok_or_else(|| ConfigError::Value {
            origin: origin.clone(),
            key: "prices.scenes",
            value: text.clone(),
            expected: AMOUNT.to_owned(),
        })?;
        origins.insert(scene.to_owned(), origin.clone());
        per_scene.insert(scene.to_owned(), amount);
    }
    let table = PriceTable {
        currency: find
            .parse(Key::Currency, |text| Currency::new(text).ok(), "1 to 12 letters, such as USD or credits")?
            .unwrap_or(list.currency),
        unit_price: find.parse(Key::UnitPrice, money, AMOUNT)?.unwrap_or(list.unit_price),
        default: find.parse(Key::DefaultPrice, money, AMOUNT)?,
        per_scene,
    };
    if let Some(name) = table.unusable().next() {
        return Err(ConfigError::Value {
            origin: origins.get(name).cloned().unwrap_or_default(),
            key: "prices.scenes",
            value: name.to_owned(),
            expected: "a scene, or \"scene/10\", \"scene/pro\", \"scene/pro/10\"".to_owned(),
        });
    }
    Ok(table)
}
