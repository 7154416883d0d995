//! Pictures in a bucket: each under the digest of its bytes, so that it is put once, whoever asks for it how often; and a signed
//! link to it for each request. nightreel removes none: others may be fetching it, and a rule of the bucket does it better.

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::signer::{Method, Signer, Url};
use object_store::{Attribute, Attributes, Error, PutMode, PutOptions};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::super::lend::{LendError, Lender, Ready};
use super::super::local::off_thread;
use super::super::{Address, OpenError, SinkError};
use super::bucket::{Bucket, SHA256, Seen};
use super::connect;
use crate::domain::{Digest, Picture};

/// What every PNG file begins with. Nothing but JPEG and PNG comes here.
const PNG: &[u8] = b"\x89PNG";

/// Pictures that are held in memory at a time, each of 10 MB at the most.
const AT_ONCE: usize = 4;

/// A part of a bucket, from which pictures are lent.
pub struct ObjectLender {
    bucket: Bucket,
    signer: Arc<dyn Signer>,
    good_for: Duration,
    putting: Semaphore,
}

impl fmt::Debug for ObjectLender {
    /// Does not show the signer, which holds the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectLender").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl ObjectLender {
    /// A lender of what lies below an address, with credentials from the environment or the machine. Asks nobody yet.
    pub fn open(address: &Address, good_for: Duration) -> Result<Self, OpenError> {
        let (bucket, signer) = connect::connect(address)?;
        Ok(Self::over(bucket, signer, good_for))
    }

    pub(super) fn over(bucket: Bucket, signer: Arc<dyn Signer>, good_for: Duration) -> Self {
        Self { bucket, signer, good_for, putting: Semaphore::new(AT_ONCE) }
    }

    async fn lent(&self, picture: Picture, digest: Digest) -> Result<Picture, LendError> {
        let (is_png, bytes) = match &picture {
            Picture::Url(_) | Picture::Lent(_) => return Ok(picture),
            Picture::Raw(bytes) => (bytes.starts_with(PNG), bytes.len() as u64),
            Picture::File(file) => (file.begins_with(PNG), file.bytes()),
        };
        let (ending, kind) = if is_png { ("png", "image/png") } else { ("jpg", "image/jpeg") };
        let name = format!("{digest}.{ending}");
        if !self.is_there(&name, bytes, digest).await? {
            // Nobody closes it.
            let _one = self.putting.acquire().await.map_err(|_| LendError::Later("the run ends".to_owned()))?;
            self.put(&name, kind, digest, whole(picture).await?).await?;
        }
        Ok(Picture::Lent(SecretString::from(String::from(self.link(&name).await?))))
    }

    /// Whether this very picture lies at its name. What else may lie there is not touched.
    async fn is_there(&self, name: &str, bytes: u64, digest: Digest) -> Result<bool, SinkError> {
        let found = match self.bucket.see(name).await? {
            None => return Ok(false),
            Some(Seen { bytes: found, .. }) if found != bytes => None,
            Some(Seen { sha256: Some(sha256), .. }) => Some(sha256),
            Some(Seen { sha256: None, .. }) => match self.bucket.hash(name).await? {
                None => return Ok(false),
                found => found,
            },
        };
        if found == Some(digest) { Ok(true) } else { Err(self.taken(name)) }
    }

    async fn put(&self, name: &str, kind: &'static str, digest: Digest, bytes: Bytes) -> Result<(), SinkError> {
        let path = self.bucket.path(name)?;
        let options = |mode| {
            let mut attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
            attributes.insert(Attribute::Metadata(SHA256.into()), digest.to_string().into());
            PutOptions { mode, attributes, ..PutOptions::default() }
        };
        let length = bytes.len() as u64;
        let put = match self.bucket.store.put_opts(&path, bytes.clone().into(), options(PutMode::Create)).await {
            // The store knows no conditions; what lies under this name is this picture.
            Err(Error::NotImplemented { .. }) => {
                self.bucket.store.put_opts(&path, bytes.into(), options(PutMode::Overwrite)).await
            }
            other => other,
        };
        match put {
            Ok(_) => Ok(()),
            // Another process was faster, or an answer was lost and the request made again.
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                if self.is_there(name, length, digest).await? {
                    return Ok(());
                }
                let words = "what was put there is gone again".to_owned();
                Err(SinkError::Unreachable { place: self.bucket.place().to_owned(), words })
            }
            Err(error) => Err(self.bucket.failed(&error)),
        }
    }

    async fn link(&self, name: &str) -> Result<Url, SinkError> {
        let path = self.bucket.path(name)?;
        let signed = self.signer.signed_url(Method::GET, &path, self.good_for).await;
        signed.map_err(|error| self.bucket.failed(&error))
    }

    fn taken(&self, name: &str) -> SinkError {
        SinkError::Refused {
            place: self.bucket.place().to_owned(),
            words: format!("{name} is something else than the picture of that digest"),
            hint: "remove it, or name another prefix; then run the same command again",
        }
    }
}

impl Lender for ObjectLender {
    fn lend(&self, picture: Picture, digest: Digest) -> BoxFuture<'_, Result<Picture, LendError>> {
        Box::pin(self.lent(picture, digest))
    }

    fn ready(&self) -> BoxFuture<'_, Result<Ready, SinkError>> {
        Box::pin(async move {
            self.bucket.ready().await?;
            // Nothing lies there; that links can be signed is all that is to be known.
            let link = self.link(&format!("{}.jpg", Digest::of(b""))).await?;
            Ok(Ready { host: link.host_str().unwrap_or_default().to_owned() })
        })
    }

    fn place(&self) -> String {
        self.bucket.place().to_owned()
    }
}

/// All of a picture, which must be the one that was admitted to its end.
async fn whole(picture: Picture) -> Result<Bytes, LendError> {
    match picture {
        Picture::Url(_) | Picture::Lent(_) => Ok(Bytes::new()),
        Picture::Raw(bytes) => Ok(bytes),
        Picture::File(file) => {
            let read = off_thread(move || {
                let mut bytes = Vec::with_capacity(usize::try_from(file.bytes()).unwrap_or_default());
                file.reader().read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
            });
            read.await?.map_err(|error| LendError::Picture(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use object_store::aws::AmazonS3Builder;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::ImageSource;
    use crate::image;

    /// A lender over a store in memory, whose links are signed as those of S3.
    fn lender() -> (Arc<dyn ObjectStore>, ObjectLender) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = Address::of(FilePath::new("s3://videos/lent")).unwrap().unwrap();
        let bucket = Bucket::new(Arc::new(InMemory::new()), &address);
        let signer = AmazonS3Builder::new()
            .with_bucket_name("videos")
            .with_region("eu-central-1")
            .with_access_key_id("AKIARECOGNISABLE5EED")
            .with_secret_access_key("recognisable-5eed5eed")
            .build()
            .unwrap();
        (Arc::clone(&bucket.store), ObjectLender::over(bucket, Arc::new(signer), Duration::from_hours(1)))
    }

    fn picture(start: &[u8], size: usize) -> Bytes {
        let mut bytes = start.to_vec();
        bytes.resize(size, 7);
        bytes.into()
    }

    async fn lent(lender: &ObjectLender, bytes: &Bytes) -> Result<String, LendError> {
        let picture = lender.lend(Picture::Raw(bytes.clone()), Digest::of(bytes)).await?;
        assert!(!format!("{picture:?} {lender:?}").contains("AKIA"), "a link or a key shows itself");
        let Picture::Lent(link) = picture else { panic!("it is not lent: {picture:?}") };
        Ok(link.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_picture_is_put_once_under_its_digest_and_lent_by_a_link_that_ends() {
        let (store, lender) = lender();
        for (start, ending, kind) in [(PNG, "png", "image/png"), (&[0xFF, 0xD8, 0xFF][..], "jpg", "image/jpeg")] {
            let bytes = picture(start, 1000);
            let name = format!("lent/{}.{ending}", Digest::of(&bytes));
            let link = lent(&lender, &bytes).await.unwrap();
            assert!(link.contains(&format!("/{name}?")) && link.contains("X-Amz-Expires=3600"), "{link}");
            let found = store.get(&Path::parse(&name).unwrap()).await.unwrap();
            assert_eq!(found.attributes.get(&Attribute::ContentType).map(AsRef::as_ref), Some(kind));
            let first = found.meta.e_tag.clone();
            assert_eq!(found.bytes().await.unwrap(), bytes);
            lent(&lender, &bytes).await.unwrap();
            assert_eq!(store.head(&Path::parse(&name).unwrap()).await.unwrap().e_tag, first, "it was put again");
        }
        let url = lender.lend(Picture::Url("https://h/a.jpg".into()), Digest::of(b"")).await.unwrap();
        assert!(matches!(url, Picture::Url(url) if url == "https://h/a.jpg"));
        assert_eq!(lender.ready().await.unwrap().host, "s3.eu-central-1.amazonaws.com");
    }

    #[tokio::test]
    async fn what_is_something_else_is_not_touched_and_what_says_no_digest_is_read() {
        let (store, lender) = lender();
        let bytes = picture(PNG, 1000);
        let path = Path::parse(format!("lent/{}.png", Digest::of(&bytes))).unwrap();
        for other in [picture(PNG, 999), picture(b"else", 1000)] {
            store.put(&path, other.clone().into()).await.unwrap();
            let refused = lent(&lender, &bytes).await.unwrap_err();
            assert!(matches!(&refused, LendError::Refused(words) if words.contains("something else")), "{refused:?}");
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), other);
        }
        store.put(&path, bytes.clone().into()).await.unwrap();
        lent(&lender, &bytes).await.unwrap();
    }

    #[tokio::test]
    async fn a_large_file_is_put_whole_and_one_that_changes_is_not() {
        let (store, lender) = lender();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let bytes = picture(PNG, 3_000_000);
        std::fs::write(&path, &bytes).unwrap();
        let digest = Digest::of(&bytes);
        let source = ImageSource::File { path: path.clone(), digest };
        let picture = image::load(&source).unwrap();
        assert!(matches!(picture, Picture::File(_)));
        std::fs::write(&path, &bytes[..2_000_000]).unwrap();
        let changed = lender.lend(picture, digest).await.unwrap_err();
        assert!(matches!(&changed, LendError::Picture(words) if words.contains("changed")), "{changed:?}");
        let name = Path::parse(format!("lent/{digest}.png")).unwrap();
        assert!(store.head(&name).await.is_err(), "half a picture is lent");
        std::fs::write(&path, &bytes).unwrap();
        lender.lend(image::load(&source).unwrap(), digest).await.unwrap();
        assert_eq!(store.get(&name).await.unwrap().bytes().await.unwrap(), bytes);
    }
}
