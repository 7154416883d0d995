//! Whom a run tells: the `[notify]` table. Its addresses are secrets; what is wrong with one is told without it.

use super::account::AccountSettings;
use super::find::Find;
use super::setting::Key;
use super::{ConfigError, Unsettled, kept, secret};
use crate::notify::{Address, Kind, Occasion, Settings};
use crate::store::without_password;

/// Variables that hold addresses which are as good as credentials.
const ADDRESSES: [&str; 2] = ["NIGHTREEL_NOTIFY_URL", "NIGHTREEL_NOTIFY_PING"];
/// The password of a ledger in PostgreSQL, as its own tools know it.
const DATABASE_PASSWORD: &str = "PGPASSWORD";
/// Where the ledger is: a secret where its address holds a password.
const LEDGER: &str = "NIGHTREEL_STATE";

/// Settles the table; what cannot be settled has its default.
pub(super) fn settle(find: &Find<'_>, accounts: &[AccountSettings], unsettled: &mut Vec<Unsettled>) -> Settings {
    let default = Settings::default();
    let kind = |text: &str| Kind::ALL.into_iter().find(|kind| kind.word() == text);
    let named = |word: &str| Occasion::ALL.into_iter().find(|occasion| occasion.word() == word.trim());
    let on = |text: &str| text.split(',').map(named).collect::<Option<Vec<_>>>();
    let sources = accounts.iter().map(|account| &account.sources);
    let sources =
        sources.flat_map(|of| [&of.key, &of.access_key, &of.secret_key, &of.account_token, &of.webhook_secret]);
    let withheld = sources.filter_map(|source| source.named.clone());
    let ledger = find.told(Key::State).filter(|(_, at)| without_password(at).1.is_some()).map(|_| LEDGER);
    let others = secret::VARIABLES.into_iter().chain(ADDRESSES).chain([DATABASE_PASSWORD]).chain(ledger);
    Settings {
        webhook: kept(address(find, Key::NotifyUrl), unsettled),
        kind: kept(find.parse(Key::NotifyKind, kind, "json, slack or ntfy"), unsettled).unwrap_or(default.kind),
        ping: kept(address(find, Key::NotifyPing), unsettled),
        command: find.text(Key::NotifyCommand).filter(|command| !command.trim().is_empty()).map(str::to_owned),
        on: kept(find.parse(Key::NotifyOn, on, "end, pause and failures, with commas between"), unsettled)
            .unwrap_or(default.on),
        withheld: withheld.chain(others.map(str::to_owned)).collect(),
    }
}

fn address(find: &Find<'_>, key: Key) -> Result<Option<Address>, ConfigError> {
    let hidden = |origin: &str| ConfigError::Hidden {
        origin: origin.to_owned(),
        key: key.word(),
        expected: "an address that begins with http:// or https:// and a host",
    };
    find.told(key).map(|(origin, value)| value.parse().map_err(|_| hidden(origin))).transpose()
}
