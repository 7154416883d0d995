//! Settings to parts: which ledger, which remote, which key. Nothing is sent from here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::domain::{AccountName, BatchName};
use crate::gateway::{self, Capabilities, Credentials, Gateway, Overrides, Preset, Region, Spec};
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::pipeline::download::Downloader;
use crate::pipeline::{Parts, Trees};
use crate::simulator::{self, Simulator};
use crate::sink::{LocalSink, Sink};
use crate::store::sqlite::SqliteStore;
use crate::store::{Account, Batch, Store};

use super::exit::Exit;
use super::failure::Failure;

/// A ledger that this process works on.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
}

/// Opens the ledger to work on it.
pub(super) fn open(settings: &Settings) -> Result<Opened, Failure> {
    let clock = Clock::system();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&settings.state, clock.now())?);
    let ledger = Ledger::new(Arc::clone(&store), clock.clone());
    Ok(Opened { store, ledger, clock })
}

/// Opens the ledger to read it, also beside a run; `None` when there is none.
pub(super) fn open_to_read(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Failure> {
    let store = SqliteStore::open_to_read(&settings.state)?;
    Ok(store.map(|store| -> Arc<dyn Store> { Arc::new(store) }))
}

/// Opens the ledger to read it, or says that there is none.
pub(super) fn must_read(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    open_to_read(settings)?.ok_or_else(|| no_ledger(settings))
}

/// Opens the ledger to work on it, or says that there is none.
pub(super) fn must_open(settings: &Settings) -> Result<Opened, Failure> {
    if settings.state.exists() { open(settings) } else { Err(no_ledger(settings)) }
}

fn no_ledger(settings: &Settings) -> Failure {
    Failure::new(Exit::Usage, format!("{}: there is no ledger yet", settings.state.display()))
        .hint("`nightreel run MANIFEST` makes one; `--state PATH` names another")
}

/// The remote of a run.
pub(super) struct Remote {
    pub(super) account: Account,
    pub(super) gateway: Arc<dyn Gateway>,
    /// The embedded simulator, which lives as long as the run.
    pub(super) simulator: Option<Simulator>,
}

/// The remote that the settings name; else the one that the ledger knows, when it knows just one.
pub(super) async fn remote(settings: &Settings, opened: &Opened) -> Result<Remote, Failure> {
    let known = opened.store.accounts().await?;
    let (preset, base_url, name) = match (settings.gateway, known.as_slice()) {
        (Some(preset), _) => (preset, settings.base_url.clone(), settings.account.clone()),
        (None, [only]) => {
            let preset = only.gateway.parse().map_err(|_| {
                Failure::new(Exit::Usage, format!("the ledger names the unknown gateway {:?}", only.gateway))
            })?;
            let base_url = Some(only.base_url.clone()).filter(|url| !url.is_empty());
            (preset, settings.base_url.clone().or(base_url), Some(only.name.clone()))
        }
        (None, []) => {
            return Err(Failure::new(Exit::Usage, "which gateway?").hint("to rehearse: --gateway simulator").hint(
                "with a key in NIGHTREEL_API_KEY: --gateway kling, or --gateway kling-compatible --base-url URL",
            ));
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|account| account.name.as_str()).collect();
            let failure = Failure::new(Exit::Usage, format!("which gateway? The ledger knows {}", names.join(", ")));
            return Err(failure.hint("name one with --gateway, and --base-url where it needs one"));
        }
    };
    let mut simulator = None;
    let url = match (preset, base_url) {
        (_, Some(url)) => url,
        (Preset::Simulator, None) => {
            let started = embedded(settings, &opened.clock).await?;
            let url = started.base_url().to_owned();
            simulator = Some(started);
            url
        }
        (_, None) => match preset.default_base_url(Region::default()) {
            Some(url) => url.to_owned(),
            None => {
                return Err(Failure::new(Exit::Usage, format!("--gateway {preset} needs --base-url"))
                    .hint("the gateway's documentation names it; leave out what begins with /v1"));
            }
        },
    };
    if preset != Preset::Simulator && settings.key.is_none() {
        return Err(Failure::new(Exit::Usage, format!("--gateway {preset} needs a key"))
            .hint("export NIGHTREEL_API_KEY=…, or name a file with key_file in nightreel.toml"));
    }
    let embedded = simulator.is_some();
    let name = match name {
        Some(name) => name,
        None => account_name(preset, if embedded { None } else { Some(&url) })?,
    };
    let capabilities = capabilities(settings, preset);
    let key = settings.key.clone().filter(|_| preset != Preset::Simulator);
    let spec = Spec {
        base_url: Some(url),
        credentials: key.map_or(Credentials::None, Credentials::Key),
        overrides: Overrides {
            find: Some(capabilities.find),
            unique: Some(capabilities.unique),
            list: Some(capabilities.list),
            many: Some(capabilities.many.is_some()),
        },
        request_timeout: settings.request_timeout,
        ..Spec::new(preset)
    };
    let built = gateway::build(spec, opened.clock.clone())?;
    let base_url = if embedded { String::new() } else { built.base_url };
    let account = Account { name, gateway: preset.word().to_owned(), base_url, last_submit_at: None };
    Ok(Remote { account, gateway: built.gateway, simulator })
}

/// What was set, or what the preset can do when the gateway is the ledger's.
fn capabilities(settings: &Settings, preset: Preset) -> Capabilities {
    if settings.gateway.is_some() || preset == Preset::KlingCompatible {
        settings.capabilities
    } else {
        preset.capabilities()
    }
}

/// Names an account by its gateway, and by its host where that is not the preset's own.
fn account_name(preset: Preset, url: Option<&str>) -> Result<AccountName, Failure> {
    let named = match url {
        Some(url) if preset.default_base_url(Region::default()) != Some(url) => {
            format!("{preset} at {}", url.split("://").last().unwrap_or(url))
        }
        Some(_) | None => preset.word().to_owned(),
    };
    Ok(AccountName::new(named)?)
}

/// The simulator within this process. It remembers its tasks beside the ledger, so that a run that was interrupted finds
/// them again.
async fn embedded(settings: &Settings, clock: &Clock) -> Result<Simulator, Failure> {
    let in_flight = u32::try_from(settings.in_flight).unwrap_or(u32::MAX);
    let journal = Some(settings.state.with_extension("simulator.jsonl"));
    let wanted = simulator::Settings { in_flight: Some(in_flight), journal, ..simulator::Settings::default() };
    Ok(Simulator::start(wanted, clock.clone()).await?)
}

/// What a run works with.
pub(super) fn parts(opened: &Opened, remote: &Remote) -> Result<Parts, Failure> {
    let clock = opened.clock.clone();
    let downloader = Downloader::new(clock, Downloader::STALL_AFTER, Downloader::MAX_BYTES)?;
    Ok(Parts {
        ledger: opened.ledger.clone(),
        gateway: Arc::clone(&remote.gateway),
        trees: Arc::new(Trees::new(Arc::clone(&opened.store), sink)),
        downloader: Arc::new(downloader),
    })
}

/// The sink of an output tree.
pub(super) fn sink(out: PathBuf) -> Arc<dyn Sink> {
    Arc::new(LocalSink::new(out))
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
    let known = known.join(", ");
    match batches.into_iter().find(|batch| batch.name.as_str() == name) {
        Some(batch) => Ok(Some(batch)),
        None => Err(Failure::new(Exit::Usage, format!("there is no batch named {name:?}"))
            .hint(format!("the ledger has: {known}"))),
    }
}

/// An absolute path.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, error))
}
