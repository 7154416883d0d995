//! How far a link may lead: the clients that fetch, each bound to that. Names are held to it where they are looked up, for
//! every connection anew, so that a name that leads somewhere else a moment later gains nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, Url};

use crate::gateway::place::{is_private, leads_to_private};

/// How long reaching a file host may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// What is said of a link that leads to a private network.
const PRIVATE: &str = "it leads to an address of a private network, which only `private_links = true` allows";

/// How far a link may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To hosts that anybody can reach.
    Public,
    /// To this machine and to private networks, too.
    Anywhere,
}

impl Reach {
    /// Whether a link may lead there, as far as itself tells; `Err` says why not.
    pub(super) fn allows(self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("a link may not be of the kind `{}:`", url.scheme()));
        }
        if self == Self::Public && (leads_to_private(url) || leads_to_proxy(url)) {
            return Err(PRIVATE.to_owned());
        }
        Ok(())
    }
}

/// The clients that fetch.
#[derive(Debug)]
pub(super) struct Clients {
    public: Client,
    /// Made when it is needed.
    anywhere: OnceLock<Client>,
}

impl Clients {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { public: builder(Reach::Public).build()?, anywhere: OnceLock::new() })
    }

    /// The client that leads as far as `reach`, and no further.
    pub(super) fn of(&self, reach: Reach) -> Result<&Client, reqwest::Error> {
        match (reach, self.anywhere.get()) {
            (Reach::Public, _) => Ok(&self.public),
            (Reach::Anywhere, Some(client)) => Ok(client),
            (Reach::Anywhere, None) => {
                let client = builder(reach).build()?;
                Ok(self.anywhere.get_or_init(|| client))
            }
        }
    }
}

fn builder(reach: Reach) -> ClientBuilder {
    // An error says that the process has one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("nightreel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .redirect(Policy::custom(move |attempt| follow(attempt, reach)))
        // It would carry the signed link to another host.
        .referer(false);
    match reach {
        Reach::Public => builder.dns_resolver(Arc::new(PublicNames { proxies: PROXIES.clone() })),
        Reach::Anywhere => builder,
    }
}

fn follow(attempt: Attempt<'_>, reach: Reach) -> Action {
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error("too many redirects");
    }
    match reach.allows(attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(why) => attempt.error(format!("a redirect is not followed: {why}")),
    }
}

/// Looks names up, and gives none of their addresses that are private; but for those of proxies, which the user named.
struct PublicNames {
    proxies: BTreeSet<String>,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.contains(&name.as_str().to_ascii_lowercase());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            public(found, is_proxy).ok_or_else(|| PRIVATE.into())
        })
    }
}

/// Those of the addresses that may be asked; `None` where there are some, and none of them may.
fn public(found: Vec<SocketAddr>, is_proxy: bool) -> Option<Addrs> {
    let had_some = !found.is_empty();
    let kept: Vec<SocketAddr> = found.into_iter().filter(|at| is_proxy || !is_private(at.ip())).collect();
    (!kept.is_empty() || !had_some).then(|| Box::new(kept.into_iter()) as Addrs)
}

/// The hosts of the proxies that the environment names: often private ones, by a name of that network. It is read once.
static PROXIES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let named = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    named.into_iter().filter_map(|variable| host_of(&std::env::var(variable).ok()?)).collect()
});

fn host_of(proxy: &str) -> Option<String> {
    let url = if proxy.contains("://") { Url::parse(proxy) } else { Url::parse(&format!("http://{proxy}")) };
    url.ok()?.host_str().map(str::to_ascii_lowercase)
}

/// Whether a link leads to the proxy itself, whose name is let through.
fn leads_to_proxy(url: &Url) -> bool {
    url.host_str().is_some_and(|host| PROXIES.contains(&host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_link_leads_to_no_address_of_ones_own() {
        let allowed = |reach: Reach, link: &str| reach.allows(&Url::parse(link).unwrap()).is_ok();
        for link in ["http://127.0.0.1/v", "http://169.254.169.254/latest", "https://[::1]/v", "http://10.0.0.7:8080/"]
        {
            assert!(!allowed(Reach::Public, link) && allowed(Reach::Anywhere, link), "{link}");
        }
        assert!(allowed(Reach::Public, "https://cdn.klingai.com/v.mp4"));
        for link in ["file:///etc/passwd", "ftp://h/v", "data:video/mp4,x", "javascript:alert(1)"] {
            assert!(!allowed(Reach::Public, link) && !allowed(Reach::Anywhere, link), "{link}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_not_followed() {
        // Every machine has this name, and no other is needed to see that the looked-up address is what counts.
        let looked_up = |proxies: &[&str]| {
            let proxies = proxies.iter().map(|name| (*name).to_owned()).collect();
            PublicNames { proxies }.resolve("localhost".parse().unwrap())
        };
        let refused = looked_up(&[]).await.err().unwrap().to_string();
        assert!(refused.contains("private_links"), "{refused}");
        assert!(looked_up(&["localhost"]).await.unwrap().next().is_some());
    }

    #[test]
    fn of_several_addresses_the_public_ones_are_asked() {
        let at = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let kept = |texts: &[&str], is_proxy| public(at(texts), is_proxy).map(Iterator::collect::<Vec<_>>);
        assert_eq!(kept(&["10.0.0.1:0", "8.8.8.8:0", "[fc00::1]:0"], false), Some(at(&["8.8.8.8:0"])));
        assert_eq!(kept(&["10.0.0.1:0"], true), Some(at(&["10.0.0.1:0"])));
        assert_eq!((kept(&["10.0.0.1:0"], false), kept(&[], false)), (None, Some(Vec::new())));
    }

    #[test]
    fn the_hosts_of_proxies_are_read_as_they_are_written() {
        assert_eq!(host_of("http://user:pass@Proxy.corp:3128/").as_deref(), Some("proxy.corp"));
        assert_eq!(host_of("proxy.corp:3128").as_deref(), Some("proxy.corp"));
        assert_eq!(host_of("socks5h://10.0.0.1:1080").as_deref(), Some("10.0.0.1"));
        assert_eq!(host_of(""), None);
    }
}
