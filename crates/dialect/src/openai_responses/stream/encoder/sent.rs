//! What a client was sent by another hand: from then on events have the numbers and names that it knows.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DONE, ResponsesEncoder, append};

/// What names and numbers things in an event that was sent.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    sequence_number: Option<u64>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    #[serde(borrow)]
    item_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl ResponsesEncoder {
    /// Joins on to an event that another hand has sent, see [`Encoder::sent`](crate::Encoder::sent).
    pub(super) fn joins_on(&mut self, data: &[u8]) -> bool {
        let Ok(sent) = serde_json::from_slice::<Sent<'_>>(data) else { return false };
        if let Some(number) = sent.sequence_number {
            self.next = number + 1;
        }
        self.ended |= matches!(&*sent.kind, "response.completed" | "response.incomplete");
        let Some(index) = sent.output_index else { return self.ended };
        self.items = self.items.max(index + 1);
        if let Some(item) = sent.item.filter(|_| sent.kind == DONE) {
            // It is done for the client, with its own names: so it is for us.
            append(&mut self.sent, |sent| {
                sent.extend_from_slice(item.get().as_bytes());
                true
            });
            self.output.clone_from(&self.sent);
            (self.message, self.open) = (None, None);
            return false;
        }
        let named = sent.item.and_then(|item| serde_json::from_str::<Named<'_>>(item.get()).ok()?.id);
        let Some(id) = sent.item_id.or(named) else { return false };
        // What is under way has the name and the place that the client knows.
        match (&mut self.message, &mut self.open) {
            (Some(message), open) => {
                (message.id, message.index) = (id.to_string(), index);
                if let Some(open) = open {
                    (open.id, open.index) = (id.into_owned(), index);
                    open.part = sent.content_index.unwrap_or(open.part);
                }
            }
            (None, Some(open)) => (open.id, open.index) = (id.into_owned(), index),
            (None, None) => {}
        }
        false
    }
}
