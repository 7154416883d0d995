//! What a store's failure means: that a person must act, or that it may work later. Its own words are not passed on: they hold
//! addresses with signatures and ids of keys. What is told is the status, the store's code, and the system's last cause.

use std::error::Error as _;

use object_store::Error;

use super::super::{Address, Scheme, SinkError};

/// The longest that is told of a cause.
const LONGEST: usize = 120;

/// Codes of a full store.
const FULL: [&str; 4] = ["XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "StorageLimitExceeded"];
/// Codes that pass, though their status says otherwise.
const PASSING: [&str; 4] = ["RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "ServerBusy"];

/// Where a store is, for what is said of its failures.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    place: String,
    scheme: Scheme,
}

/// What is told of a failure.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    status: Option<u16>,
    code: Option<String>,
}

impl Failing {
    pub(super) fn at(address: &Address) -> Self {
        Self { place: address.to_string(), scheme: address.scheme }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What to do about a store that refuses.
    pub(super) const fn hint(&self) -> &'static str {
        match self.scheme {
            Scheme::S3 => {
                "look at the bucket's name, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, and at \
                 what this key may do (list, read, put); then run the same command again"
            }
            Scheme::Gs => {
                "look at the bucket's name, GOOGLE_APPLICATION_CREDENTIALS, and what that account may do (list, read, put); \
                 then run the same command again"
            }
            Scheme::Az => {
                "look at the container's name, AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, and what that key may do \
                 (list, read, put); then run the same command again"
            }
        }
    }

    pub(super) fn sink_error(&self, error: &Error) -> SinkError {
        let told = Told::of(error);
        let code = told.code.as_deref().unwrap_or_default();
        if FULL.contains(&code) || told.status == Some(507) {
            return SinkError::Full;
        }
        let what = match error {
            Error::NotFound { .. } => "there is no such bucket",
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "the credentials do not allow it",
            Error::NotSupported { .. } | Error::NotImplemented { .. } => "the store cannot do it",
            Error::InvalidPath { .. } => "a name in it cannot be read",
            Error::UnknownConfigurationKey { .. } => "a setting is not known",
            _ if PASSING.contains(&code) => return self.unreachable(error),
            _ => match told.status {
                Some(401 | 403) => "the credentials do not allow it",
                Some(404) => "there is no such bucket",
                Some(301 | 307 | 308) => "the bucket is in another region",
                Some(429 | 408 | 409) => return self.unreachable(error),
                Some(status) if status < 500 => "it does not accept the request",
                None if error.to_string().contains("redirect without LOCATION") => "the bucket is in another region",
                Some(_) | None => return self.unreachable(error),
            },
        };
        let said = told.words();
        let words = if said.is_empty() { what.to_owned() } else { format!("{what} ({said})") };
        SinkError::Refused { place: self.place.clone(), words, hint: self.hint() }
    }

    fn unreachable(&self, error: &Error) -> SinkError {
        SinkError::Unreachable { place: self.place.clone(), words: words_of(error) }
    }

    /// Where no credentials are set, the machine's own service is asked for some; that this did not answer means that there
    /// are none.
    pub(super) fn without_credentials(&self, error: SinkError) -> SinkError {
        let names: &[&str] = match self.scheme {
            Scheme::S3 => &[
                "AWS_ACCESS_KEY_ID",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            ],
            Scheme::Gs | Scheme::Az => return error,
        };
        let is_set = names.iter().any(|name| std::env::var_os(name).is_some());
        match error {
            SinkError::Unreachable { place, words } if !is_set => {
                let words = format!("no credentials are set, and this machine has none of its own ({words})");
                SinkError::Refused { place, words, hint: self.hint() }
            }
            other => other,
        }
    }
}

impl Told {
    /// Finds status and code in the words of an error, which are all that is public of it.
    fn of(error: &Error) -> Self {
        let text = error.to_string();
        let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        let code =
            code.filter(|code| (1..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric()));
        Self { status, code: code.map(str::to_owned) }
    }

    fn words(&self) -> String {
        match (self.status, &self.code) {
            (Some(status), Some(code)) => format!("{status} {code}"),
            (Some(status), None) => status.to_string(),
            (None, Some(code)) => code.clone(),
            (None, None) => String::new(),
        }
    }
}

/// What may be told of a failure.
pub(super) fn words_of(error: &Error) -> String {
    let told = Told::of(error).words();
    if !told.is_empty() {
        return told;
    }
    let mut last = error.source();
    while let Some(cause) = last.and_then(std::error::Error::source) {
        last = Some(cause);
    }
    let words = last.map(ToString::to_string).unwrap_or_default();
    if words.is_empty() || words.contains("://") {
        "no answer".to_owned()
    } else {
        words.chars().take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn failing() -> Failing {
        Failing::at(&Address::of(Path::new("s3://videos/wedding")).unwrap().unwrap())
    }

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn what_passes_is_told_from_what_a_person_has_to_mend() {
        let body = |status: &str, code: &str| {
            generic(&format!(
                "Error performing PUT http://h/b?X-Sig=s3cr3t - Server returned non-2xx status code: {status}: <Error><Code>{code}</Code><StringToSign>AK1A</StringToSign>"
            ))
        };
        let denied =
            Error::PermissionDenied { path: "p".into(), source: body("403 Forbidden", "InvalidAccessKeyId").into() };
        for (error, expected) in [
            (denied, "refused: the credentials do not allow it (403 InvalidAccessKeyId)"),
            (
                Error::NotFound { path: "p".into(), source: body("404 Not Found", "NoSuchBucket").into() },
                "refused: there is no such bucket (404 NoSuchBucket)",
            ),
            (body("400 Bad Request", "ExpiredToken"), "refused: it does not accept the request (400 ExpiredToken)"),
            (
                body("301 Moved", "PermanentRedirect"),
                "refused: the bucket is in another region (301 PermanentRedirect)",
            ),
            (body("400 Bad Request", "RequestTimeout"), "later: 400 RequestTimeout"),
            (body("503 Service Unavailable", "SlowDown"), "later: 503 SlowDown"),
            (body("429 Too Many", "x y"), "later: 429"),
            (body("507 Insufficient", "XMinioStorageFull"), "full"),
            (generic("error sending request for url (http://h/?sig=s3cr3t)"), "later: no answer"),
            (generic("connection refused"), "later: connection refused"),
        ] {
            let told = match failing().sink_error(&error) {
                SinkError::Full => "full".to_owned(),
                SinkError::Refused { words, .. } => format!("refused: {words}"),
                SinkError::Unreachable { words, .. } => format!("later: {words}"),
                other => panic!("{other:?}"),
            };
            assert_eq!(told, expected, "{error}");
        }
    }
}
