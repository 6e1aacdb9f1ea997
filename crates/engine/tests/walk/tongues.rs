//! Requests in any dialect, as their clients send them.

use bytes::Bytes;
use lockgate_dialect::by_name;
use lockgate_engine::chat;

use crate::stage::{Heard, Stage, hear};

/// A request in `dialect` with the tests' key, and all of its answer. `model` and `stream` stand in the path where the
/// dialect has them there.
pub(crate) async fn ask_in(
    stage: &Stage,
    dialect: &str,
    (model, stream): (&str, bool),
    body: impl Into<Bytes>,
) -> Heard {
    let mut inbound = stage.inbound(&[("authorization", "Bearer lg-test-key")]);
    inbound.dialect = by_name(dialect).unwrap();
    inbound.named = Some((model.to_owned(), stream));
    let body = body.into();
    hear(chat(&stage.engine, inbound, async { Ok(body) }).await).await
}
