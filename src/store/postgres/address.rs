//! From an address to a way to connect: who, where, how secretly. The password comes from elsewhere, and goes nowhere else.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::place::decoded;

use super::OpenError;

const CONNECT: Duration = Duration::from_secs(5);
/// A peer that says nothing for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(20);

/// A way to connect.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// The address as it may be shown.
    pub(super) shown: String,
}

/// What `sslmode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Never,
    Verified,
}

impl Address {
    /// `text` has no password in it any more.
    pub(super) fn of(text: &str, password: Option<&SecretString>) -> Result<Self, OpenError> {
        let wrong = |words: String| OpenError::Address { place: text.to_owned(), words };
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut kept, mut mode, mut root) = (Vec::new(), None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => mode = Some(value.to_owned()),
                "sslrootcert" => root = Some(PathBuf::from(decoded(value))),
                _ => kept.push(parameter),
            }
        }
        let plain = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        let mut config: Config = plain.parse().map_err(|why: tokio_postgres::Error| wrong(chain(&why)))?;
        if config.get_hosts().is_empty() {
            config.host(env::var("PGHOST").unwrap_or_else(|_| "localhost".to_owned()));
        }
        if config.get_user().is_none()
            && let Ok(user) = env::var("PGUSER")
        {
            config.user(user);
        }
        if config.get_dbname().is_none()
            && let Ok(name) = env::var("PGDATABASE")
        {
            config.dbname(name);
        }
        let near = config.get_hosts().iter().all(is_near);
        let tls = match mode.as_deref() {
            Some("disable") => Tls::Never,
            None if near && root.is_none() => Tls::Never,
            Some("require" | "verify-ca" | "verify-full") | None => Tls::Verified,
            Some(other) => return Err(wrong(format!("sslmode={other} is not known: disable, or verify-full"))),
        };
        config
            .ssl_mode(if tls == Tls::Never { SslMode::Disable } else { SslMode::Require })
            .application_name("nightreel")
            .connect_timeout(CONNECT)
            .keepalives_idle(CONNECT)
            .tcp_user_timeout(SILENCE);
        if let Some(password) = password.cloned().or_else(|| from_environment(&config)) {
            config.password(password.expose_secret());
        }
        let tls = MakeRustlsConnect::new(trust(root.as_deref(), tls).map_err(wrong)?);
        Ok(Self { config, tls, shown: text.to_owned() })
    }
}

/// A socket, or this machine.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
        Host::Unix(_) => true,
    }
}

/// Whom TLS trusts: a file of certificates, or whom the system trusts.
fn trust(root: Option<&Path>, tls: Tls) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = root {
        let unreadable = |why: &dyn std::error::Error| format!("sslrootcert {}: {why}", path.display());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|why| unreadable(&why))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|why| unreadable(&why))?;
            roots.add(certificate).map_err(|why| unreadable(&why))?;
        }
    } else if tls == Tls::Verified {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    Ok(config.map_err(|why| why.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// Where PostgreSQL's own programs look for a password: `PGPASSWORD`, then the file of passwords.
fn from_environment(config: &Config) -> Option<SecretString> {
    if let Ok(password) = env::var("PGPASSWORD") {
        return Some(password.into());
    }
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".pgpass"));
    let path = env::var_os("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    let about = fs::metadata(&path).ok()?;
    if about.permissions().mode() & 0o077 != 0 {
        let words = path.display().to_string();
        tracing::warn!(error = words, "the file of passwords can be read by others, and was not used");
        return None;
    }
    let text = fs::read_to_string(&path).ok()?;
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    let ports = config.get_ports();
    config.get_hosts().iter().enumerate().find_map(|(place, host)| {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.to_string_lossy().into_owned(),
        };
        let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432).to_string();
        listed(&text, [&host, &port, database, user])
    })
}

/// The password of the first line of a file of passwords that fits host, port, database and user.
fn listed(text: &str, wanted: [&str; 4]) -> Option<SecretString> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => fields.last_mut()?.extend(chars.next()),
                ':' if fields.len() < 5 => fields.push(String::new()),
                c => fields.last_mut()?.push(c),
            }
        }
        let password = fields.get(4)?.clone();
        let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.into())
    })
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_secret_unless_said_otherwise() {
        let mode = |text: &str| Address::of(text, None).map(|address| address.config.get_ssl_mode());
        assert_eq!(mode("postgres://night@db/n").unwrap(), SslMode::Require);
        assert_eq!(mode("postgres://night@db/n?sslmode=disable").unwrap(), SslMode::Disable);
        assert_eq!(mode("postgres://night@127.0.0.1/n").unwrap(), SslMode::Disable);
        assert_eq!(mode("postgres://night@localhost/n?sslmode=verify-full").unwrap(), SslMode::Require);
        assert_eq!(mode("postgres:///n?host=/run/postgresql").unwrap(), SslMode::Disable);
        for wrong in
            ["postgres://night@db/n?sslmode=prefer", "postgres://db/n?sslrootcert=/nowhere", "postgres://db:x/n"]
        {
            assert!(matches!(mode(wrong), Err(OpenError::Address { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_passwords_is_read_as_others_read_it() {
        let text = "# ours\nelse:5432:*:*:no\ndb:*:night\\:reel:night:a\\:b\\\\c\n*:*:*:night:any\n";
        let found = |host, database, user| {
            listed(text, [host, "5432", database, user]).map(|found| found.expose_secret().to_owned())
        };
        assert_eq!(found("db", "night:reel", "night").as_deref(), Some("a:b\\c"));
        assert_eq!(found("db", "other", "night").as_deref(), Some("any"));
        assert_eq!(found("db", "other", "day"), None);
    }
}
