//! Pictures that a creation names by a link to this very machine: they are fetched, as the remote would fetch them, so that
//! whoever rehearses sees whether they can be. Links to anywhere else are taken for pictures: the simulator goes nowhere.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, Url};
use sha2::{Digest, Sha256};

use super::media::hex;
use super::refusal::Refusal;
use super::task::Wanted;
use crate::pace::Clock;

/// How long a picture may take. What the remote allows is not documented.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried; that is not documented either.
const TRIES: usize = 3;
/// The largest picture (documented).
const LARGEST: usize = 10 << 20;
/// The documented least width and height.
const LEAST_PIXELS: usize = 300;

/// What fetches pictures.
#[derive(Debug, Default)]
pub(super) struct Fetcher(OnceLock<Option<Client>>);

impl Fetcher {
    /// Puts the digest of its bytes in the place of each link to this machine, and says how many there were.
    pub(super) async fn fetch(&self, mut wanted: Wanted, clock: &Clock) -> Result<(Wanted, u64), Refusal> {
        let mut fetched = 0;
        for name in &mut wanted.images {
            let Some(url) = Url::parse(name).ok().filter(is_here) else { continue };
            let mut bytes = None;
            for _ in 0..TRIES {
                bytes = clock.within(PATIENCE, self.bytes(url.clone())).await.flatten();
                if bytes.is_some() {
                    break;
                }
            }
            let bytes = bytes.ok_or_else(|| Refusal::Invalid(format!("the image cannot be fetched: {name}")))?;
            let (digest, too_small) = picture(&bytes)?;
            wanted.too_small |= too_small;
            *name = digest;
            fetched += 1;
        }
        Ok((wanted, fetched))
    }

    async fn bytes(&self, url: Url) -> Option<Vec<u8>> {
        let client = self.0.get_or_init(|| {
            // Installed by whoever comes first.
            drop(rustls::crypto::ring::default_provider().install_default());
            // A redirect could lead away from this machine.
            Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok()
        });
        let mut answer = client.as_ref()?.get(url).send().await.ok().filter(|answer| answer.status() == 200)?;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.ok()? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LARGEST {
                return None;
            }
        }
        Some(bytes)
    }
}

/// The digest of a picture, however it came, and whether it is too small.
pub(super) fn picture(bytes: &[u8]) -> Result<(String, bool), Refusal> {
    let size = imagesize::blob_size(bytes).map_err(|_| Refusal::invalid("File is not a valid image"))?;
    Ok((hex(&Sha256::digest(bytes)), size.width < LEAST_PIXELS || size.height < LEAST_PIXELS))
}

/// Whether a link leads to this very machine, by number.
fn is_here(url: &Url) -> bool {
    let bare = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    url.scheme() == "http" && bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request with this, and says where.
    async fn host(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a.png?sig=5eed", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut visitor, _) = listener.accept().await.unwrap();
                drop(visitor.read(&mut [0; 4096]).await);
                visitor.write_all(&answer).await.unwrap();
            }
        });
        url
    }

    fn png(width: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend([0, 0, 1, 144, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(), body]
            .concat()
    }

    async fn fetched(images: &[&str]) -> Result<(Vec<String>, bool, u64), Refusal> {
        let wanted = Wanted { images: images.iter().map(ToString::to_string).collect(), ..Wanted::default() };
        let fetched = Fetcher::default().fetch(wanted, &Clock::system()).await;
        fetched.map(|(wanted, count)| (wanted.images, wanted.too_small, count))
    }

    #[tokio::test]
    async fn a_link_to_this_machine_is_followed_and_no_other() {
        for (width, too_small) in [(400, false), (200, true)] {
            let picture = png(width);
            let here = host(answer("200 OK", &picture)).await;
            let elsewhere = "https://example.com/b.jpg";
            let digest = hex(&Sha256::digest(&picture));
            let (images, small, count) = fetched(&[&here, elsewhere]).await.unwrap();
            assert_eq!((images, small, count), (vec![digest, elsewhere.to_owned()], too_small, 1));
        }
        for other in ["http://192.0.2.1/a", "ftp://127.0.0.1/a", "http://127.0.0.1.example/a", "5eed"] {
            assert_eq!(fetched(&[other]).await.unwrap().2, 0, "{other}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_is_refused() {
        for answer in [answer("403 Forbidden", b"no"), answer("302 Found", b""), answer("200 OK", b"text"), Vec::new()]
        {
            assert!(fetched(&[&host(answer).await]).await.is_err());
        }
    }
}
