//! Where a run is shown, who may look, and where remotes call back.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::ConfigError;
use super::find::Find;
use super::secret::{DASHBOARD_TOKEN, Source};
use super::setting::Key;

/// Where a run is shown, and where remotes call back.
#[derive(Debug, Clone, Default)]
pub struct DashboardSettings {
    /// Where. Default: nowhere; [`DashboardSettings::ADDRESS`] where one is needed.
    pub address: Option<SocketAddr>,
    /// Further names under which it may be reached.
    pub names: Vec<String>,
    /// What lets visitors in: `NIGHTREEL_DASHBOARD_TOKEN`, or a file that only its owner can read.
    pub token: Source,
    /// The public address that leads here, and that remotes are told to call. Default: none is told.
    pub callback_url: Option<String>,
}

impl DashboardSettings {
    /// Where a dashboard is that was asked for without an address.
    pub const ADDRESS: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8787));
}

pub(super) fn settle(find: &Find<'_>) -> Result<DashboardSettings, ConfigError> {
    let names = |text: &str| {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        names.iter().all(is_name).then_some(names)
    };
    let expected = "a public address such as https://night.example/hook, without a query";
    Ok(DashboardSettings {
        address: find.parse(Key::Dashboard, address, "an address and a port such as 127.0.0.1:8787")?,
        names: find
            .parse(Key::DashboardHosts, names, "host names such as night.example, with commas between")?
            .unwrap_or_default(),
        token: Source {
            named: None,
            variable: Some(DASHBOARD_TOKEN),
            file: find.text(Key::DashboardTokenFile).map(PathBuf::from),
        },
        callback_url: find.parse(Key::CallbackUrl, public_url, expected)?,
    })
}

fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    text.strip_prefix("localhost:").map_or_else(|| text.parse().ok(), |port| format!("127.0.0.1:{port}").parse().ok())
}

/// An http(s) address without a query, a fragment or a password.
fn public_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split('/').next().unwrap_or_default();
    let plain =
        rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'"' | b'\\' | b'<' | b'>'));
    (plain && !host.is_empty() && !host.starts_with(':')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_address_is_one_that_a_path_can_be_put_behind() {
        for (text, expected) in [
            ("https://night.example/hook/", Some("https://night.example/hook")),
            ("http://127.0.0.1:8787", Some("http://127.0.0.1:8787")),
            ("night.example/hook", None),
            ("https://", None),
            ("https://:80", None),
            ("https://night.example/?a=b", None),
            ("https://user:word@night.example", None),
            ("https://night example", None),
        ] {
            assert_eq!(public_url(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(address("localhost:1"), "127.0.0.1:1".parse().ok());
        assert_eq!(address("[::1]:8787"), "[::1]:8787".parse().ok());
        assert_eq!((address("127.0.0.1"), address("8787"), address("night.example:1")), (None, None, None));
    }
}
