//! The names of all settings, and whom each is for.

/// Whom a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// One account: it may stand in an `[[account]]` table, and above all of them for each.
    Account,
    /// What shows an account's remote who asks: in an `[[account]]` table only for that account, above them for none of
    /// them.
    Credentials,
    /// The whole run.
    Run,
}

macro_rules! settings {
    ($($name:ident $word:literal $scope:ident,)*) => {
        /// A setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each is described at the field that it settles")]
        pub enum Key {
            $($name,)*
        }

        impl Key {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the file; with a dot where it stands in a table.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Whom it is for.
            pub(super) const fn scope(self) -> Scope {
                match self {
                    $(Self::$name => Scope::$scope,)*
                }
            }
        }
    };
}

settings! {
    Gateway "gateway" Account,
    BaseUrl "base_url" Account,
    Region "region" Account,
    Account "account" Run,
    KeyFile "key_file" Credentials,
    KeyEnv "key_env" Credentials,
    AccessKeyFile "access_key_file" Credentials,
    AccessKeyEnv "access_key_env" Credentials,
    SecretKeyFile "secret_key_file" Credentials,
    SecretKeyEnv "secret_key_env" Credentials,
    AccountTokenFile "account_token_file" Credentials,
    AccountTokenEnv "account_token_env" Credentials,
    Rate "rate" Account,
    InFlight "in_flight" Account,
    Probe "probe" Account,
    Weight "weight" Account,
    Pool "pool" Account,
    Parameters "parameters" Account,
    RequestTimeout "request_timeout" Account,
    MinPoll "min_poll" Account,
    PrivateLinks "private_links" Account,
    ImagesVia "images_via" Account,
    ImagesFor "images_for" Account,
    WebhookSecretFile "webhook_secret_file" Credentials,
    WebhookSecretEnv "webhook_secret_env" Credentials,
    InDoubt "in_doubt" Account,
    Find "capabilities.find" Account,
    Unique "capabilities.unique" Account,
    List "capabilities.list" Account,
    Many "capabilities.many" Account,
    Currency "prices.currency" Account,
    UnitPrice "prices.unit" Account,
    DefaultPrice "prices.default" Account,
    Out "out" Run,
    State "state" Run,
    Name "name" Run,
    SettleAfter "settle_after" Run,
    Deadline "deadline" Run,
    Downloads "downloads" Run,
    MaxVideo "max_video" Run,
    Canary "canary" Run,
    MaxFailures "max_failures" Run,
    Budget "budget" Run,
    Stages "stages" Run,
    LogFormat "log_format" Run,
    Until "until" Run,
    MaxRuntime "max_runtime" Run,
    Window "window" Run,
    NotifyUrl "notify.url" Run,
    NotifyKind "notify.kind" Run,
    NotifyPing "notify.ping" Run,
    NotifyCommand "notify.command" Run,
    NotifyOn "notify.on" Run,
    Dashboard "dashboard" Run,
    DashboardHosts "dashboard_hosts" Run,
    DashboardTokenFile "dashboard_token_file" Run,
    CallbackUrl "callback_url" Run,
}
