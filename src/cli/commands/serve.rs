//! `nightreel serve`: shows how a ledger stands, beside a run or without one; and the dashboard of a run itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::json;

use crate::config::{AccountSettings, DashboardSettings, Settings};
use crate::domain::Price;
use crate::gateway::Preset;
use crate::gateway::published::PublishedKeys;
use crate::pace::Clock;
use crate::pipeline::Control;
use crate::serve::{self, Bound, Desk, Hooks, Server, Signature};

use super::super::args::Global;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::terminal;
use super::super::wiring::{self, Remotes};

pub(in crate::cli) async fn serve(global: &Global, settings: &Settings, signals: &Signals) -> Result<Exit, Failure> {
    wiring::must_be_a_file(settings, "serve", "nightreel status tells how the ledger stands")?;
    let address = settings.dashboard.address.unwrap_or(DashboardSettings::ADDRESS);
    let bound = take(&settings.dashboard, address).await?;
    let url = url(bound.address());
    let server = bound.serve(Desk::Ledger, settings.state.clone(), None, Clock::system());
    if global.json {
        terminal::json(&json!({ "url": url }));
    } else {
        terminal::out(&format!("{url}\n"));
    }
    if !global.quiet {
        terminal::err(&format!("showing {}; to stop: Ctrl-C\n", settings.state.display()));
    }
    signals.first().await;
    server.shutdown().await;
    Ok(Exit::Done)
}

/// A run's dashboard: its place is taken before the run begins.
pub(super) struct Shown {
    bound: Bound,
    hooks: Option<Arc<Hooks>>,
}

impl Shown {
    /// Takes the place that the settings name, where they name one, and tells the accounts where to have themselves called.
    pub(super) async fn prepare(
        settings: &Settings,
        remotes: &mut Remotes,
        clock: &Clock,
    ) -> Result<Option<Self>, Failure> {
        let dashboard = &settings.dashboard;
        let Some(address) =
            dashboard.address.or_else(|| dashboard.callback_url.is_some().then_some(DashboardSettings::ADDRESS))
        else {
            return Ok(None);
        };
        let bound = take(dashboard, address).await?;
        let hooks = match &dashboard.callback_url {
            Some(base) => Some(hooks(settings, base, remotes, clock)?),
            None => None,
        };
        Ok(Some(Self { bound, hooks }))
    }

    /// Shows the run.
    pub(super) fn open(
        self,
        control: Control,
        budget: Option<Price>,
        settings: &Settings,
        global: &Global,
        clock: Clock,
    ) -> Server {
        if !global.quiet {
            terminal::err(&format!("dashboard: {}\n", url(self.bound.address())));
        }
        self.bound.serve(Desk::Run { control, budget }, settings.state.clone(), self.hooks, clock)
    }
}

/// Where each account is called back, of which it is told.
fn hooks(settings: &Settings, base: &str, remotes: &mut Remotes, clock: &Clock) -> Result<Arc<Hooks>, Failure> {
    let mut accounts = Vec::new();
    for lane in &remotes.lanes {
        // Only one that stands alone may have no name of its own.
        let named = |account: &&AccountSettings| account.name.as_ref().is_none_or(|name| *name == lane.account.name);
        let account = settings.accounts.iter().find(named);
        let signature = match lane.account.gateway.parse() {
            Ok(Preset::WaveSpeed) => Signature::WaveSpeed,
            Ok(Preset::Fal) => PublishedKeys::of_fal(&lane.account.base_url, clock.clone())
                .map_or(Signature::Standard, |keys| Signature::Fal(Box::new(keys))),
            Ok(_) | Err(_) => Signature::Standard,
        };
        let secret = account.map(|account| account.sources.webhook_secret()).transpose()?.flatten();
        accounts.push((lane.account.name.clone(), signature, secret.into_iter().collect()));
    }
    let hooks = Hooks::open(&settings.state, base, accounts)?;
    for lane in &mut remotes.lanes {
        lane.callback_url = hooks.url_of(&lane.account.name);
    }
    Ok(Arc::new(hooks))
}

async fn take(dashboard: &DashboardSettings, address: SocketAddr) -> Result<Bound, Failure> {
    let token = dashboard.token.load().map_err(crate::config::ConfigError::from)?;
    let wanted = serve::Settings { address, token, names: dashboard.names.clone() };
    Ok(Bound::take(wanted).await?)
}

/// What a browser on this machine is told.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
