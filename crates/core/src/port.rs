//! What the engine needs from the world.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::Body;

use crate::error::{Error, Kind};
use crate::event::Event;
use crate::id::RequestId;
use crate::key::Key;
use crate::record::{Outcome, Record};
use crate::segments::Segments;
use crate::upstream::{Speech, Upstream};

/// A future that a port hands out.
pub type Ready<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The body of a provider's answer as it comes in. Dropping it ends the call.
pub type Inflow = Pin<Box<dyn Body<Data = Bytes, Error = Error> + Send>>;

/// A call to a provider.
#[derive(Debug)]
pub struct Call {
    /// Whom to call.
    pub upstream: Arc<Upstream>,
    /// The dialect it is called in: headers and signature.
    pub speech: Arc<Speech>,
    /// What is done: mostly `POST`.
    pub method: Method,
    /// What stands before the path in place of the address' prefix.
    pub prefix: Option<Arc<str>>,
    /// The path behind the prefix, with a slash at its start and its query.
    pub path: Cow<'static, str>,
    /// Headers of this call alone. They stand in place of the usual ones of the same name.
    pub headers: HeaderMap,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// The body.
    pub body: Segments,
    /// The longest wait for the head of the answer.
    pub first_byte: Duration,
    /// The longest this call may take in all, its body included.
    pub total: Duration,
}

/// A provider's answer up to its body.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Inflow,
}

/// What came of a call that asks to speak another protocol.
pub enum Switched {
    /// The provider does: its headers, and the connection from there on.
    Yes(HeaderMap, Line),
    /// It answered as usual instead.
    No(Answer),
}

/// A connection that carries bytes both ways, once HTTP has stepped aside.
pub type Line = Pin<Box<dyn Wire>>;

/// Bytes both ways. As in `std::io`, reading nothing into room that is there means the end.
pub trait Wire: Send {
    /// Reads what is there.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes as much as goes.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends what was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Signs calls to a provider, where a fixed header is not enough.
pub trait Signer: Send + Sync {
    /// The headers that prove who calls. May make calls of its own through `transport`, such as for a token.
    fn sign<'a>(
        &'a self,
        unsigned: Unsigned<'a>,
        transport: &'a dyn Transport,
    ) -> Ready<'a, Result<HeaderMap, Error>>;
}

/// A call as it will be sent, but for its signature.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// The upstream that is called.
    pub upstream: &'a Arc<Upstream>,
    /// What is done.
    pub method: &'a Method,
    /// Host and port.
    pub authority: &'a str,
    /// The whole path with its query.
    pub path: &'a str,
    /// The content type.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a Segments,
    /// The wall clock, in Unix milliseconds.
    pub wall_ms: u64,
}

/// Reaches providers.
pub trait Transport: Send + Sync {
    /// Makes a call, and returns at the head of the answer. Keeps the upstream's connect time-out and the call's own
    /// limits; the body keeps the time-out between bytes. A dropped future or body ends the call at the provider.
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>>;

    /// Makes a call without a body whose headers ask for another protocol, and returns when the provider has agreed or has
    /// answered otherwise. Keeps the connect time-out and the call's wait for the head.
    fn switch(&self, call: Call) -> Ready<'_, Result<Switched, Error>> {
        let _ = call;
        Box::pin(async {
            Err(Error::gateway(Kind::NotFound, "This provider is not reached by another protocol than HTTP."))
        })
    }
}

/// Sees every event. Must not block.
pub trait EventSink: Send + Sync {
    /// Takes note of an event.
    fn emit(&self, event: &Event<'_>);
}

/// Takes finished records. Must not block: what cannot be taken is counted and lost.
pub trait RecordSink: Send + Sync {
    /// Hands a record over.
    fn offer(&self, record: Box<Record>);
}

/// Keeps records. Called on a thread of its own, so it may block.
pub trait RecordStore: Send + Sync {
    /// Does now what is slow when it is done for the first time. Called once, before the first record.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be written.
    fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Writes records, all or none. Writing one twice leaves one.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot take them now.
    fn append(&self, records: &[Box<Record>]) -> Result<(), Error>;

    /// The records that fit, in the order of their ids; see [`Filter`].
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn find(&self, filter: &Filter) -> Result<Vec<Record>, Error>;

    /// One record.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn get(&self, id: RequestId) -> Result<Option<Record>, Error>;

    /// Deletes the records that arrived before `wall_ms` (Unix milliseconds); how many there were.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be written.
    fn forget_before(&self, wall_ms: u64) -> Result<u64, Error>;
}

/// Keeps virtual keys. May block.
pub trait KeyStore: Send + Sync {
    /// Every key, revoked ones too, in the order of their making.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn keys(&self) -> Result<Vec<Key>, Error>;

    /// Adds a key.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when a key that is not revoked has the same name; [`Kind::Internal`] otherwise.
    fn add(&self, key: &Key) -> Result<(), Error>;

    /// Replaces a key's hash, hint, expiry, revocation, models and metadata; `false` when there is no key of this id.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be written.
    fn update(&self, key: &Key) -> Result<bool, Error>;

    /// A number that changes whenever a key does, in any process. Cheap.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn revision(&self) -> Result<u64, Error>;
}

/// Keeps documents that are made through the gateway and not in its file: routes, limits, scores. A change makes a new
/// version; those before it stay. May block.
pub trait DocumentStore: Send + Sync {
    /// The newest version of every document of a kind that is not removed, in the order of their names.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn documents(&self, kind: &str) -> Result<Vec<Document>, Error>;

    /// Every version of a document, the oldest first, its removals too.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Error>;

    /// Makes the next version of a document; its number, from 1.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when `draft.after` is set and is not the number of the newest version (0: there is none, or it
    /// is removed), what is to be removed is not there, or kind or name have more than 256 bytes; [`Kind::Internal`] when the store cannot be written.
    fn put_document(&self, draft: &Draft) -> Result<u64, Error>;

    /// A number that changes whenever a document does, in any process. Cheap.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the store cannot be read.
    fn document_revision(&self) -> Result<u64, Error>;
}

/// A version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is: `route`, `limit`.
    pub kind: Arc<str>,
    /// Its name; unique among those of its kind.
    pub name: Arc<str>,
    /// Its number, from 1; without gaps.
    pub version: u64,
    /// What it says, as JSON; `None`: with this version it was removed.
    pub body: Option<Arc<str>>,
    /// When it was made, in Unix milliseconds.
    pub at_ms: u64,
    /// Who made it.
    pub by: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

/// The next version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The number of the version that it changes, if it must be the newest; 0 for a document that must be new, though one that
    /// was removed may have had its name.
    pub after: Option<u64>,
    /// What it says, as JSON; `None` removes it.
    pub body: Option<Arc<str>>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// Who makes it.
    pub by: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

/// Which records are wanted. Everything that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Arrived in this span of Unix milliseconds.
    pub arrived_ms: Option<Range<u64>>,
    /// Came after this one.
    pub after: Option<RequestId>,
    /// The id or the name of the key.
    pub key: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// The model, as asked for or as answered; may end in `*`.
    pub model: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What went wrong.
    pub error: Option<Kind>,
    /// On behalf of this customer.
    pub customer: Option<String>,
    /// At most so many; 0 means 100.
    pub limit: usize,
    /// The latest that fit (still in ascending order) instead of the earliest.
    pub latest: bool,
}
