//! From the provider to the client: bytes untouched and a meter beside them, or in the words of another dialect.

mod align;
mod course;
mod estimate;
mod headers;
mod joint;
mod quiet;
mod stream;
mod tee;
mod transcode;
mod transcript;

use lockgate_core::{Outcome, RequestId};

use crate::dispatch::{Landed, Landing};
use crate::record::Ticket;
use crate::reply::{Reply, ReplyBody};

use align::Diverged;
pub(crate) use course::Course;
pub(crate) use estimate::{input_estimate, tokens, usage_estimate, usage_of};
pub(crate) use headers::{for_client, strip};
pub(crate) use joint::Joint;
pub(crate) use stream::Begun;
pub use stream::Relay;
pub(crate) use tee::{Flow, Tee};
pub(crate) use transcode::{Inlet, Transcode, says_something};
pub(crate) use transcript::{Transcript, owned};

/// Turns what a target said into the client's answer.
pub(crate) fn relay(landed: Landed, mut ticket: Ticket, id: RequestId) -> Reply {
    let status = landed.status;
    ticket.answering(status.as_u16());
    ticket.lost(&landed.losses);
    if let Landing::Whole { usage, .. } = &landed.landing {
        ticket.used(*usage);
    }
    let headers = for_client(landed.headers, &ticket, id, &landed.losses);
    let body = match landed.landing {
        Landing::Whole { body, .. } => {
            ticket.finish(Outcome::Ok, None);
            ReplyBody::whole(body)
        }
        Landing::Stream(begun) => ReplyBody::Stream(Box::new(Relay::new(begun, ticket, id))),
    };
    Reply { status, headers, body }
}
