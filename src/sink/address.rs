//! Addresses of output trees that are no folders: `s3://bucket/prefix`. Known with and without the means to go there, so that
//! none is ever taken for a folder of that name.

use std::fmt;
use std::path::Path;

use crate::domain::OutputKey;

/// The longest prefix, so that with the longest name of a video it is no longer than a store allows.
const LONGEST_PREFIX: usize = 200;

/// Which kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon S3, and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

impl Scheme {
    const fn word(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }
}

/// Where an output tree is in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The kind of store.
    pub scheme: Scheme,
    /// The bucket; at Azure the container.
    pub bucket: String,
    /// What stands before each name: folders without a slash at either end, or nothing.
    pub prefix: String,
}

/// An address that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It names no kind of store that is known.
    #[error("{0}:// is no kind of object store that nightreel knows")]
    Scheme(String),
    /// Something is wrong with the rest of it.
    #[error("{found:?} is no address of an output tree: {why}")]
    Rest {
        /// What was found; nothing that stands before an `@`.
        found: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl BadAddress {
    /// What to write instead.
    pub const HINT: &'static str =
        "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; a folder is named without ://";
}

/// Whether this names an object store, and not a folder.
#[must_use]
pub fn is_address(tree: &Path) -> bool {
    tree.to_str().is_some_and(|text| split(text).is_some())
}

/// The scheme and the rest, where it has a scheme.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain)).then_some((scheme, rest))
}

impl Address {
    /// Reads an address: of a folder there is none.
    pub fn of(tree: &Path) -> Result<Option<Self>, BadAddress> {
        let Some((scheme, rest)) = tree.to_str().and_then(split) else { return Ok(None) };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Scheme::S3,
            "gs" | "gcs" => Scheme::Gs,
            "az" | "azure" => Scheme::Az,
            other => return Err(BadAddress::Scheme(other.to_owned())),
        };
        let shown = rest.rsplit('@').next().unwrap_or_default();
        let bad = |why| Err(BadAddress::Rest { found: format!("{}://{shown}", scheme.word()), why });
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if rest.contains('@') {
            return bad("credentials come from the environment, never from an address");
        }
        if !(3..=255).contains(&bucket.len()) || !bucket.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        {
            return bad("a bucket has a name of at least 3 letters, digits, dots and dashes");
        }
        let prefix = prefix.trim_end_matches('/');
        if prefix.len() > LONGEST_PREFIX {
            return bad("what follows the bucket is longer than 200 bytes");
        }
        if prefix.contains('#') || (!prefix.is_empty() && OutputKey::new(prefix).is_err()) {
            return bad("what follows the bucket has to be plain names with / between them");
        }
        Ok(Some(Self { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn read(text: &str) -> Result<Option<String>, BadAddress> {
        Address::of(Path::new(text)).map(|address| address.map(|address| address.to_string()))
    }

    #[test]
    fn an_address_has_one_way_to_be_written() {
        for (text, canonical) in [
            ("s3://videos", "s3://videos"),
            ("s3://videos/", "s3://videos"),
            ("S3A://videos/wedding/2026/", "s3://videos/wedding/2026"),
            ("gs://my-bucket_1/été", "gs://my-bucket_1/été"),
            ("azure://container/a b", "az://container/a b"),
        ] {
            assert_eq!(read(text).unwrap().as_deref(), Some(canonical));
            assert!(is_address(Path::new(text)));
        }
    }

    #[test]
    fn folders_are_no_addresses() {
        let odd = Path::new(OsStr::from_bytes(b"s3://vid\xffeos"));
        for folder in ["videos", "/srv/videos", "s3:/videos", "a/b://c", "://x", "1s3://videos", ""] {
            assert_eq!(read(folder).unwrap(), None, "{folder}");
            assert!(!is_address(Path::new(folder)));
        }
        assert_eq!(Address::of(odd).unwrap(), None);
    }

    #[test]
    fn what_leads_nowhere_is_told_and_shows_no_credentials() {
        assert_eq!(read("ftp://videos/x"), Err(BadAddress::Scheme("ftp".to_owned())));
        for bad in [
            "s3://",
            "s3://ab",
            "s3:///x",
            "s3://bucket/../x",
            "s3://bucket//x",
            "s3://bucket/.x",
            "s3://bucket/x?versionId=1",
            "s3://bucket/#x",
            "s3://key:secret@bucket/x",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
