//! Pictures that are lent to a remote: they lie in an object store, and the remote is told of a link to each that is good for a
//! while. So a request is small, whatever its pictures weigh.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Address, OpenError, SinkError};
use crate::domain::{Digest, Picture};

/// A picture could not be lent. Its row was not sent, and nothing was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LendError {
    /// The picture itself cannot be read, or is another one by now.
    Picture(String),
    /// The store does not answer, or fails; later it may work.
    Later(String),
    /// The store does not take it until a person acts.
    Refused(String),
}

impl From<SinkError> for LendError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unreachable { .. } => Self::Later(error.to_string()),
            SinkError::Full
            | SinkError::Unwritable { .. }
            | SinkError::Refused { .. }
            | SinkError::NotAVideo { .. } => Self::Refused(error.to_string()),
        }
    }
}

/// Where pictures are lent.
pub trait Lender: fmt::Debug + Send + Sync {
    /// Puts a picture, whose digest this is, where the remote can fetch it, unless it lies there already; and gives the link to
    /// it, which is made anew each time. A picture that has a URL is given back as it is.
    fn lend(&self, picture: Picture, digest: Digest) -> BoxFuture<'_, Result<Picture, LendError>>;

    /// Whether something could be put here and lent now, as far as can be told without leaving a trace.
    fn ready(&self) -> BoxFuture<'_, Result<Ready, SinkError>>;

    /// Where the pictures are, for people.
    fn place(&self) -> String;
}

/// A lender that lends nothing, and says why: what was paid for is collected all the same.
#[derive(Debug)]
pub struct UnusableLender {
    place: String,
    why: OpenError,
}

impl UnusableLender {
    /// A lender at `address`, which could not be opened.
    #[must_use]
    pub fn new(address: &Address, why: OpenError) -> Self {
        Self { place: address.to_string(), why }
    }

    fn refusal(&self) -> SinkError {
        SinkError::Refused { place: self.place.clone(), words: self.why.to_string(), hint: self.why.hint() }
    }
}

impl Lender for UnusableLender {
    fn lend(&self, picture: Picture, _: Digest) -> BoxFuture<'_, Result<Picture, LendError>> {
        Box::pin(std::future::ready(match picture {
            Picture::Url(_) => Ok(picture),
            Picture::Lent(_) | Picture::Raw(_) | Picture::File(_) => Err(self.refusal().into()),
        }))
    }

    fn ready(&self) -> BoxFuture<'_, Result<Ready, SinkError>> {
        Box::pin(std::future::ready(Err(self.refusal())))
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

/// What is known of a store that is ready to lend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The host that its links lead to.
    pub host: String,
}

/// What lends pictures from below an address, by links that are good for so long. Asks nobody yet.
#[cfg(feature = "object-store")]
pub fn lender(address: &Address, good_for: Duration) -> Result<Arc<dyn Lender>, OpenError> {
    Ok(Arc::new(super::ObjectLender::open(address, good_for)?))
}

/// What would lend pictures, if this nightreel had been built for it.
#[cfg(not(feature = "object-store"))]
pub fn lender(address: &Address, _good_for: Duration) -> Result<Arc<dyn Lender>, OpenError> {
    Err(OpenError::NotBuilt(address.to_string()))
}
