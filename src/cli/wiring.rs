//! Settings to parts: which ledger, which remote, which key. Nothing is sent from here.

mod images;
mod ledger;
mod trees;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{AccountSettings, Settings};
use crate::domain::{AccountName, BatchName, Currency, Price};
use crate::gateway::{self, Pause, PauseReason, Preset, Region};
use crate::pace::Clock;
use crate::pipeline::download::Downloader;
use crate::pipeline::{LaneSettings, Parts, Trees};
use crate::plan::{Sender, Senders, USUAL_TASK};
use crate::simulator::{self, Simulator};
use crate::store::{self, Account, Batch, Store};

pub(super) use images::{lender, must_be_lendable, must_be_lent};
pub(super) use ledger::{Opened, is_there, must_be_a_file, must_open, must_read, no_ledger, open, open_to_read};
pub(super) use trees::{must_be_ready, must_be_ready_for_all, sink, tree};

use super::exit::Exit;
use super::failure::Failure;
use super::near;

/// The remotes of a run.
pub(super) struct Remotes {
    pub(super) lanes: Vec<LaneSettings>,
    /// Embedded simulators, which live as long as the run.
    pub(super) simulators: Vec<Simulator>,
    /// Accounts of several that cannot be used, and why: the others go on.
    pub(super) unusable: Vec<(AccountName, Pause)>,
    /// Accounts whose links may lead to private networks.
    private: Vec<AccountName>,
}

impl Remotes {
    /// Ends what lives as long as the run.
    pub(super) async fn shutdown(self) {
        for simulator in self.simulators {
            simulator.shutdown().await;
        }
    }
}

/// The remotes that the settings name; else the one that the ledger knows, when it knows just one.
pub(super) async fn remotes(settings: &Settings, opened: &Opened) -> Result<Remotes, Failure> {
    let mut remotes = Remotes { lanes: Vec::new(), simulators: Vec::new(), unusable: Vec::new(), private: Vec::new() };
    let mut failed = None;
    let known = opened.store.accounts().await?;
    for account in &settings.accounts {
        let place = place_of(account, &known)?;
        let mut base_url = place.base_url.clone();
        let embedded = place.is_embedded();
        if embedded {
            if opened.store.fleet().is_some() {
                return Err(Failure::new(Exit::Usage, "a simulator within this process is unknown to the others")
                    .hint(
                        "start one for all: nightreel simulate --port 8099; then --gateway simulator --base-url URL",
                    ));
            }
            let several = settings.accounts.len() > 1;
            let simulator =
                embed(settings, account, several.then_some(place.name.as_ref()).flatten(), &opened.clock).await?;
            base_url = Some(simulator.base_url().to_owned());
            remotes.simulators.push(simulator);
        }
        let built = match (built(account, &place, base_url, &opened.clock), &account.name) {
            (Ok(built), _) => built,
            (Err(failure), Some(name)) if settings.accounts.len() > 1 => {
                let words = failure.words();
                remotes.unusable.push((name.clone(), Pause { reason: PauseReason::Key, words }));
                failed = Some(failure);
                continue;
            }
            (Err(failure), _) => return Err(failure),
        };
        let name = match place.name {
            Some(name) => name,
            None => account_name(place.preset, (!embedded).then_some(&built.base_url))?,
        };
        if account.private_links {
            remotes.private.push(name.clone());
        }
        let base_url = if embedded { String::new() } else { built.base_url };
        let wanted = Account { name, gateway: place.preset.word().to_owned(), base_url, last_submit_at: None };
        is_where_it_was(&wanted, &known, opened.store.as_ref()).await?;
        remotes.lanes.push(LaneSettings {
            account: wanted,
            gateway: built.gateway,
            interval: account.rate.interval(),
            in_flight: account.in_flight,
            min_poll: account.min_poll.unwrap_or_else(|| place.preset.min_poll()),
            usual_task: usual_task(embedded),
            in_doubt: account.in_doubt,
            weight: account.weight,
            pool: account.pool.clone(),
            probe: account.probe,
            prices: account.prices.clone(),
            lender: images::any(account),
            callback_url: None,
        });
    }
    match failed {
        Some(failure) if remotes.lanes.is_empty() => Err(failure),
        Some(_) | None => Ok(remotes),
    }
}

/// The gateway of an account. Reads its credentials.
fn built(
    account: &AccountSettings,
    place: &Place,
    base_url: Option<String>,
    clock: &Clock,
) -> Result<gateway::Built, Failure> {
    Ok(gateway::build(account.spec(place.preset, base_url)?, clock.clone())?)
}

/// Says before a ledger is made whether there is any account to run with.
pub(super) fn must_be_usable(settings: &Settings) -> Result<(), Failure> {
    let mut failed = None;
    for account in &settings.accounts {
        let place = place_of(account, &[])?;
        if place.is_embedded() {
            return Ok(());
        }
        match built(account, &place, place.base_url.clone(), &Clock::system()) {
            Ok(_) => return Ok(()),
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// An account is known by its name: one whose rows are at another address would be asked about them in vain, and could be
/// paid for them again.
async fn is_where_it_was(wanted: &Account, known: &[Account], store: &dyn Store) -> Result<(), Failure> {
    let Some(before) = known.iter().find(|known| known.name == wanted.name) else { return Ok(()) };
    if (&before.gateway, &before.base_url) == (&wanted.gateway, &wanted.base_url) {
        return Ok(());
    }
    let open = store.open_of(wanted.name.clone()).await?;
    let rows = open.submitting + open.waiting + open.held + open.stuck;
    if rows == 0 {
        return Ok(());
    }
    let (name, gateway, place) = (&wanted.name, &before.gateway, &before.base_url);
    let words = format!("{rows} rows are at account {name}, which was {gateway} at {place}, and is elsewhere now");
    Err(Failure::new(Exit::Usage, words)
        .hint("to use the new place beside it, give it a name of its own: --account NAME, or name = in its table")
        .hint(format!("to collect first: nightreel collect {}", at(before))))
}

/// The flags that lead to an account as the ledger has it.
pub(super) fn at(account: &Account) -> String {
    let Account { name, gateway, base_url, .. } = account;
    let place = if base_url.is_empty() { String::new() } else { format!(" --base-url {base_url}") };
    format!("--gateway {gateway}{place} --account {:?}", name.as_str())
}

/// What a task is taken to need while few were seen.
fn usual_task(embedded: bool) -> Duration {
    if embedded { simulator::Settings::default().task_for.1 } else { USUAL_TASK }
}

/// An account as far as it is known without its key.
pub(super) struct Known<'a> {
    pub(super) settings: &'a AccountSettings,
    /// Its gateway, where the settings or the ledger name one.
    pub(super) preset: Option<Preset>,
    /// Its name, where it has a gateway.
    pub(super) name: Option<AccountName>,
    /// Whether it is the simulator within this process.
    pub(super) embedded: bool,
}

/// The accounts of the settings. One without a gateway is the one that the ledger knows, when it knows just one; else it
/// stands for any.
pub(super) async fn known_accounts<'a>(
    settings: &'a Settings,
    store: Option<&dyn Store>,
) -> Result<Vec<Known<'a>>, Failure> {
    let in_ledger = match store {
        Some(store) => store.accounts().await?,
        None => Vec::new(),
    };
    let mut known = Vec::new();
    for account in &settings.accounts {
        let is_told = account.preset.is_some()
            || matches!(in_ledger.as_slice(), [only] if account.name.as_ref().is_none_or(|name| *name == only.name));
        let place = if is_told { Some(place_of(account, &in_ledger)?) } else { None };
        known.push(match place {
            Some(Place { preset, base_url, name }) => {
                let embedded = preset == Preset::Simulator && base_url.is_none();
                let base_url = base_url.or_else(|| preset.default_base_url(account.region).map(str::to_owned));
                let name = match name {
                    Some(name) => name,
                    None => account_name(preset, base_url.as_ref())?,
                };
                Known { settings: account, preset: Some(preset), name: Some(name), embedded }
            }
            None => Known { settings: account, preset: None, name: None, embedded: false },
        });
    }
    Ok(known)
}

/// Who could send the rows of a manifest. What rows may name is known where a gateway is configured.
pub(super) fn senders(settings: &Settings, known: &[Known<'_>]) -> Senders {
    let sender = |known: &Known<'_>| Sender {
        name: known.name.clone(),
        preset: known.preset,
        parameters: known.settings.parameters,
        prices: known.settings.prices.clone(),
    };
    let configured =
        known.iter().filter(|known| known.settings.preset.is_some()).filter_map(|known| known.name.clone());
    let mut named: Vec<AccountName> = settings.tables.iter().cloned().chain(configured).collect();
    named.sort();
    named.dedup();
    Senders { at_work: known.iter().map(sender).collect(), named }
}

/// Which remote an account is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) preset: Preset,
    pub(super) base_url: Option<String>,
    pub(super) name: Option<AccountName>,
}

impl Place {
    /// Whether it is a simulator within this process.
    pub(super) fn is_embedded(&self) -> bool {
        self.preset == Preset::Simulator && self.base_url.is_none()
    }
}

/// The remote that an account's settings name; else the one that the ledger knows, when it knows just one.
pub(super) fn place_of(account: &AccountSettings, known: &[Account]) -> Result<Place, Failure> {
    if let Some(preset) = account.preset {
        return Ok(Place { preset, base_url: account.base_url.clone(), name: account.name.clone() });
    }
    let wanted = account.name.as_ref();
    let known: Vec<&Account> = known.iter().filter(|known| wanted.is_none_or(|wanted| known.name == *wanted)).collect();
    match known.as_slice() {
        [only] => {
            let preset = only.gateway.parse().map_err(|_| {
                Failure::new(Exit::Usage, format!("the ledger names the unknown gateway {:?}", only.gateway))
            })?;
            let base_url = Some(only.base_url.clone()).filter(|url| !url.is_empty());
            Ok(Place { preset, base_url: account.base_url.clone().or(base_url), name: Some(only.name.clone()) })
        }
        [] => Err(Failure::new(Exit::Usage, "which gateway?").hint("to rehearse: --gateway simulator").hint(
            "with a key in NIGHTREEL_API_KEY: --gateway kling, cometapi or kkiai, or --gateway kling-compatible --base-url URL",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|account| account.name.as_str()).collect();
            let failure = Failure::new(Exit::Usage, format!("which gateway? The ledger knows {}", names.join(", ")));
            Err(failure
                .hint("name one with --gateway, and --base-url where it needs one")
                .hint("to use several: an [[account]] table for each in nightreel.toml"))
        }
    }
}

/// Names an account by its gateway, and by its host where that is not the preset's own.
pub(super) fn account_name(preset: Preset, url: Option<&String>) -> Result<AccountName, Failure> {
    let named = match url {
        // Another region is another account.
        Some(url) if preset.default_base_url(Region::default()) != Some(url.as_str()) => {
            format!("{preset} at {}", url.split("://").last().unwrap_or(url))
        }
        Some(_) | None => preset.word().to_owned(),
    };
    Ok(AccountName::new(named)?)
}

/// The simulator within this process. It remembers its tasks beside the ledger, so that a run that was interrupted finds
/// them again.
async fn embed(
    settings: &Settings,
    account: &AccountSettings,
    name: Option<&AccountName>,
    clock: &Clock,
) -> Result<Simulator, Failure> {
    let in_flight = u32::try_from(account.in_flight).unwrap_or(u32::MAX);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let of = name.map_or_else(String::new, |name| format!("{}.", name.as_str().chars().map(plain).collect::<String>()));
    let journal = Some(store::beside(&settings.state).with_extension(format!("{of}simulator.jsonl")));
    let wanted = simulator::Settings { in_flight: Some(in_flight), journal, ..simulator::Settings::default() };
    Ok(Simulator::start(wanted, clock.clone()).await?)
}

/// What fetches videos of these remotes.
pub(super) fn downloader(opened: &Opened, settings: &Settings, remotes: &Remotes) -> Result<Downloader, Failure> {
    let downloader = Downloader::new(opened.clock.clone(), Downloader::STALL_AFTER, settings.max_video)?;
    Ok(downloader.allowing(remotes.private.clone()))
}

/// What a run works with.
pub(super) fn parts(opened: &Opened, settings: &Settings, remotes: &Remotes) -> Result<Parts, Failure> {
    let downloader = downloader(opened, settings, remotes)?;
    Ok(Parts {
        ledger: opened.ledger.clone(),
        trees: Arc::new(Trees::new(Arc::clone(&opened.store), trees::any(settings))),
        downloader: Arc::new(downloader),
    })
}

/// The batch of a manifest: the name that was given, or the manifest's own.
pub(super) fn batch_name(given: Option<&str>, manifest: &Path) -> Result<BatchName, Failure> {
    let stem = manifest.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(BatchName::new(given.map_or(stem, str::to_owned))?)
}

/// The batch that a manifest goes on with, where the ledger has one of its name. Two manifests that only happen to have
/// the same name are not taken for one, unless the batch was named; one that was moved is.
pub(super) async fn batch_of(
    store: &dyn Store,
    name: &BatchName,
    given: Option<&str>,
    manifest: &Path,
) -> Result<Option<Batch>, Failure> {
    let Some(batch) = store.batches().await?.into_iter().find(|batch| batch.name == *name) else { return Ok(None) };
    if given.is_none() && batch.manifest != absolute(manifest)? && batch.manifest.exists() {
        let words = format!("the ledger has a batch {:?} already, of {}", name.as_str(), batch.manifest.display());
        return Err(Failure::new(Exit::Usage, words)
            .hint("to make this one a batch of its own: --batch ANOTHER_NAME")
            .hint(format!("to go on with that batch: --batch {:?}", name.as_str())));
    }
    Ok(Some(batch))
}

/// The batch of this name, or the failure that there is none.
pub(super) async fn named_batch(store: &dyn Store, name: Option<&str>) -> Result<Option<Batch>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let batches = store.batches().await?;
    let known: Vec<&str> = batches.iter().map(|batch| batch.name.as_str()).collect();
    let meant = near::near(name, known.iter().copied()).map(|meant| format!("did you mean {meant:?}?"));
    let has = if known.is_empty() { "no batch yet".to_owned() } else { known.join(", ") };
    if let Some(batch) = batches.into_iter().find(|batch| batch.name.as_str() == name) {
        return Ok(Some(batch));
    }
    let failure = Failure::new(Exit::Usage, format!("there is no batch named {name:?}"));
    Err(meant.into_iter().fold(failure, Failure::hint).hint(format!("the ledger has: {has}")))
}

/// An absolute path.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, error))
}

/// The budget in the currency of the accounts, which must have one in common.
pub(super) fn budget<'a>(
    settings: &Settings,
    mut currencies: impl Iterator<Item = &'a Currency>,
) -> Result<Option<Price>, Failure> {
    let Some(amount) = settings.budget else { return Ok(None) };
    let Some(currency) = currencies.next() else { return Ok(None) };
    if let Some(other) = currencies.find(|other| *other != currency) {
        let words = format!("a budget needs one currency, and the accounts' prices are in {currency} and {other}");
        return Err(Failure::new(Exit::Usage, words).hint("set prices.currency the same for all, or use --account"));
    }
    Ok(Some(Price { amount, currency: currency.clone() }))
}
