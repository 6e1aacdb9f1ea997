//! A request as it goes to a target: as it came where the target speaks the client's dialect, translated where it does
//! not.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use lockgate_core::record::Target;
use lockgate_core::{Error, Kind, Prefill, Retry, Speech};
use lockgate_dialect::freeform::Freeform;
use lockgate_dialect::neutral::{Reply, Request};
use lockgate_dialect::seal::{self, Origin};
use lockgate_dialect::{Dialect, Framing, Hub, Losses, Named, Prepared, Turn};
use lockgate_route::RouteSettings;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::handover;
use crate::ledger::Bound;
use crate::relay::{Inlet, Transcode, Transcript};

/// What a client asked for, and how.
pub(crate) struct Ask<'a> {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) turn: Arc<Turn>,
    /// The client's headers.
    pub(crate) headers: &'a HeaderMap,
    /// What was lost of it before any target was asked.
    pub(crate) losses: Losses,
    /// The client wants an error where something cannot be carried.
    pub(crate) strict: bool,
    /// What bears on its cost, once somebody wants to know.
    bound: OnceLock<Bound>,
}

/// A request ready for a target.
pub(crate) struct Outbound {
    /// The dialect that the target is called in.
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) prepared: Prepared,
    pub(crate) headers: HeaderMap,
    pub(crate) losses: Losses,
    /// How the answer comes back, if it must be translated.
    pub(crate) crossing: Option<Crossing>,
}

/// The way of an answer from a provider's dialect to the client's.
pub(crate) struct Crossing {
    from: (&'static dyn Dialect, &'static dyn Hub),
    to: &'static dyn Hub,
    origin: Origin,
    freeform: Freeform,
}

const STRICT: &str = "x-lockgate-strict";

impl<'a> Ask<'a> {
    /// What `turn` asks, with its headers.
    ///
    /// # Errors
    /// `InvalidRequest` when a header of ours says what it cannot.
    pub(crate) fn new(
        dialect: &'static dyn Dialect,
        turn: Turn,
        losses: Losses,
        headers: &'a HeaderMap,
    ) -> Result<Self, Error> {
        Ok(Self::of(dialect, Arc::new(turn), losses, headers, strict(headers)?))
    }

    /// The same of a turn that is shared.
    pub(super) const fn of(
        dialect: &'static dyn Dialect,
        turn: Arc<Turn>,
        losses: Losses,
        headers: &'a HeaderMap,
        strict: bool,
    ) -> Self {
        Self { dialect, turn, headers, losses, strict, bound: OnceLock::new() }
    }

    /// What bears on its cost.
    pub(crate) fn bound(&self) -> &Bound {
        self.bound.get_or_init(|| {
            let payload = &self.turn.payload;
            Bound::of(payload, self.dialect.ceiling().read(payload))
        })
    }

    /// The same with answers of at most so many tokens, as that is what a budget can pay for: told as a loss.
    ///
    /// # Errors
    /// `BudgetExceeded` when the request cannot be told so.
    pub(super) fn limited(&self, tokens: u64) -> Result<Self, Error> {
        let ceiling = self.dialect.ceiling();
        let turn = ceiling.lower(&self.turn, tokens).ok_or_else(|| {
            Error::gateway(
                Kind::BudgetExceeded,
                "A budget does not cover the longest answer to this request.",
            )
            .retry(Retry::Elsewhere)
        })?;
        let mut losses = self.losses.clone();
        losses.lose(ceiling.name(), "a budget pays for no longer answer");
        Ok(Self::of(self.dialect, Arc::new(turn), losses, self.headers, self.strict))
    }
}

impl Outbound {
    /// The request for a target that is spoken to in `speech`.
    ///
    /// # Errors
    /// `InvalidRequest` when the request cannot be said there, or not without losses under `strict`; another target may
    /// be able to take it.
    pub(crate) fn new(
        ask: &Ask<'_>,
        speech: &Speech,
        target: &Target,
        settings: &RouteSettings,
    ) -> Result<Self, Error> {
        let turn = &*ask.turn;
        // In a path these would climb.
        if matches!(&*target.model, "." | "..") {
            let text = "\".\" and \"..\" are no names of models.";
            return Err(Error::client(Kind::ModelNotFound, text).param("model"));
        }
        // The tee reads text events; a stream in frames is taken apart and put together again.
        let passes = ask.dialect.framing() == Framing::Sse || !turn.stream;
        let same = speech.dialect == ask.dialect.name() && passes;
        // A state that the gateway has wrapped must be unwrapped, or left out where it is another's.
        if same && !seal::may_hold(turn.payload.bytes()) {
            within(ask.strict, settings, &ask.losses, target)?;
            return Ok(Self {
                dialect: ask.dialect,
                prepared: ask.dialect.prepare(turn, &target.model, &speech.quirks),
                headers: own_headers(ask),
                losses: ask.losses.clone(),
                crossing: None,
            });
        }
        let theirs = lockgate_dialect::by_name(speech.dialect).ok_or_else(|| chatless(target))?;
        let (Some(_), Some(to)) = (theirs.hub(), ask.dialect.hub()) else {
            return Err(unspoken(speech.dialect));
        };
        let request = to.read_request(turn)?;
        let mut outbound = Self::written(ask, speech, (target, settings), &request, Prefill::No)?;
        if same {
            outbound.crossing = None;
        }
        Ok(outbound)
    }

    /// The request for a target that goes on with what was said: the partial answer is handed over.
    ///
    /// # Errors
    /// As of [`Outbound::new`]; also when the answer cannot be gone on with there.
    pub(crate) fn going_on(
        ask: &Ask<'_>,
        speech: &Speech,
        (target, settings): (&Target, &RouteSettings),
        said: &Transcript,
    ) -> Result<(Self, bool), Error> {
        let theirs = lockgate_dialect::by_name(speech.dialect).ok_or_else(|| chatless(target))?;
        let (Some(from), Some(to)) = (theirs.hub(), ask.dialect.hub()) else {
            return Err(unspoken(speech.dialect));
        };
        let mut request = to.read_request(&ask.turn)?;
        let mut prefill = speech.quirks.prefill;
        if prefill == Prefill::No && from.prefills(&request, &target.model) {
            prefill = Prefill::Last;
        }
        handover::hand_over(&mut request, said, prefill)?;
        let outbound = Self::written(ask, speech, (target, settings), &request, prefill)?;
        Ok((outbound, prefill != Prefill::No))
    }

    /// A neutral request as it goes to a target.
    fn written(
        ask: &Ask<'_>,
        speech: &Speech,
        (target, settings): (&Target, &RouteSettings),
        request: &Request,
        prefill: Prefill,
    ) -> Result<Self, Error> {
        let turn = &*ask.turn;
        let theirs = lockgate_dialect::by_name(speech.dialect).ok_or_else(|| chatless(target))?;
        let (Some(from), Some(to)) = (theirs.hub(), ask.dialect.hub()) else {
            return Err(unspoken(speech.dialect));
        };
        let place = lockgate_dialect::Target {
            provider: &target.provider,
            model: &target.model,
            stream: turn.stream,
        };
        let mut losses = ask.losses.clone();
        let body = request
            .may_go_to(speech.dialect)
            .and_then(|()| from.write_request(request, &place, &mut losses))
            .map_err(|error| error.retry(Retry::Elsewhere))?;
        within(ask.strict, settings, &losses, target)?;
        let body = if prefill == Prefill::Marked { handover::mark(&body) } else { body };
        let named = Named { model: &target.model, stream: turn.stream };
        let written = theirs.peek(body, Some(named)).map_err(|error| {
            Error::gateway(Kind::Internal, "The request could not be put into the provider's dialect.")
                .detail(format!("{error:?}"))
        })?;
        Ok(Self {
            dialect: theirs,
            prepared: theirs.prepare(&written, &target.model, &speech.quirks),
            headers: if speech.dialect == ask.dialect.name() { own_headers(ask) } else { HeaderMap::new() },
            losses,
            crossing: Some(Crossing {
                from: (theirs, from),
                to,
                origin: Origin(Arc::clone(&target.provider)),
                freeform: Freeform::of(request),
            }),
        })
    }
}

impl Crossing {
    /// A whole answer in the client's dialect.
    ///
    /// # Errors
    /// `UpstreamBadAnswer` when it cannot be read; the provider's own error when it holds one.
    pub(crate) fn whole(
        &self,
        body: &Bytes,
        ask: &Ask<'_>,
        losses: &mut Losses,
    ) -> Result<(Bytes, Reply), Error> {
        let mut reply = self.from.1.read_reply(body, &self.origin)?;
        self.freeform.regain(&mut reply);
        Ok((self.to.write_reply(&reply, &ask.turn, losses), reply))
    }

    /// A stream in the client's dialect. `kept`: what is said is remembered.
    pub(crate) fn stream(&self, ask: &Ask<'_>, kept: bool) -> Transcode {
        Transcode::new(self.inlet(), self.to.encoder(&ask.turn), kept)
    }

    /// A reader for the provider's stream.
    pub(crate) fn inlet(&self) -> Inlet {
        Inlet::new(self.from.0.framing(), self.freeform.regaining(self.from.1.decoder(&self.origin)))
    }
}

/// Where a call goes: what stands before its path, if not the address' own prefix, and the path.
pub(crate) fn path(
    dialect: &dyn Dialect,
    speech: &Speech,
    model: &str,
    stream: bool,
) -> (Option<Arc<str>>, Cow<'static, str>) {
    let prefix = speech.paths.prefix.as_deref().map(Arc::from);
    let own = if stream { &speech.paths.stream } else { &speech.paths.whole };
    let path = match own {
        Some(template) => Cow::Owned(filled(template, model)),
        None => dialect.path(model, stream),
    };
    (prefix, path)
}

/// A path with the model in its place.
pub(crate) fn filled(template: &str, model: &str) -> String {
    /// What may stand in a segment of a path as it is (RFC 3986, unreserved).
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    template.replace("{model}", &utf8_percent_encode(model, SEGMENT).to_string())
}

/// Whether the client wants an error where something cannot be carried.
///
/// # Errors
/// `InvalidRequest` when the header says something else than yes or no.
pub(crate) fn strict(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get(STRICT).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"false" | b"0" | b"") => Ok(false),
        Some(b"true" | b"1") => Ok(true),
        Some(_) => {
            let text = "\"x-lockgate-strict\" must be \"true\" or \"false\".";
            Err(Error::client(Kind::InvalidRequest, text).param(STRICT))
        }
    }
}

/// The client's headers that are a part of its dialect.
fn own_headers(ask: &Ask<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ask.dialect.client_headers() {
        if let Some(value) = ask.headers.get(*name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    headers
}

/// A target that answers other things than chat turns: vectors, ranks.
fn chatless(target: &Target) -> Error {
    let text = format!("{} answers no chat turns.", target.provider);
    Error::client(Kind::ModelNotFound, text).param("model").retry(Retry::Elsewhere)
}

fn unspoken(dialect: &str) -> Error {
    Error::client(
        Kind::InvalidRequest,
        format!("This request cannot be put into the dialect of the target, which is {dialect}."),
    )
    .retry(Retry::Elsewhere)
}

/// Whether these losses may be, by the wish of the client (`strict`) and by the route's settings.
///
/// # Errors
/// `InvalidRequest` that lists them; another target may take the request.
pub(crate) fn within(
    strict: bool,
    settings: &RouteSettings,
    losses: &Losses,
    target: &Target,
) -> Result<(), Error> {
    if losses.is_empty() || !(strict || settings.strict == Some(true)) {
        return Ok(());
    }
    let list: Vec<String> = losses.iter().map(|loss| format!("{} ({})", loss.what, loss.why)).collect();
    let text = format!(
        "{}/{} cannot be asked this without losses, and {} forbids them: {}.",
        target.provider,
        target.model,
        if strict { STRICT } else { "the route" },
        list.join("; ")
    );
    Err(Error::client(Kind::InvalidRequest, text).retry(Retry::Elsewhere))
}
