//! An output tree that cannot be used at all, as a sink: it refuses everything, and says why. So a run that finds one in its
//! ledger stops as it does before a full disk, and loses nothing.

use std::ops::Range;

use futures::future::BoxFuture;

use super::{Fill, Found, OpenError, Partial, Pieces, Sink, SinkError};
use crate::domain::{Artifact, OutputKey};

/// A sink that refuses everything.
#[derive(Debug)]
pub struct UnusableSink {
    place: String,
    why: OpenError,
}

impl UnusableSink {
    /// A sink at `place`, which could not be opened.
    #[must_use]
    pub const fn new(place: String, why: OpenError) -> Self {
        Self { place, why }
    }

    fn refuse<'a, T: Send + 'a>(&'a self) -> BoxFuture<'a, Result<T, SinkError>> {
        let (place, words, hint) = (self.place.clone(), self.why.to_string(), self.why.hint());
        Box::pin(std::future::ready(Err(SinkError::Refused { place, words, hint })))
    }
}

impl Sink for UnusableSink {
    fn begin<'a>(&'a self, _: &'a OutputKey, _: &'a str) -> BoxFuture<'a, Result<Box<dyn Partial>, SinkError>> {
        self.refuse()
    }

    fn look<'a>(&'a self, _: &'a OutputKey) -> BoxFuture<'a, Result<Found, SinkError>> {
        self.refuse()
    }

    fn read<'a>(&'a self, _: &'a Artifact, _: Range<u64>) -> BoxFuture<'a, Result<Option<Pieces>, SinkError>> {
        self.refuse()
    }

    fn walk<'a>(&'a self, _: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>> {
        self.refuse()
    }

    fn document<'a>(&'a self, _: &'a str, _: &'a mut Fill<'_>) -> BoxFuture<'a, Result<(), SinkError>> {
        self.refuse()
    }

    fn peek<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, SinkError>> {
        self.refuse()
    }

    fn forget<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), SinkError>> {
        self.refuse()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.refuse()
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}
