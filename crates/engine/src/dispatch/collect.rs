//! Reads a provider's answer whole, under a limit.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use lockgate_core::port::Inflow;
use lockgate_core::{Error, Kind};

/// The next piece of a body; `None` at its end.
pub(crate) async fn next(inflow: &mut Inflow) -> Option<Result<Bytes, Error>> {
    loop {
        match poll_fn(|cx| inflow.as_mut().poll_frame(cx)).await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// The whole body behind `first`. One that came in one piece is not copied.
///
/// # Errors
/// The transport's, and `UpstreamBadAnswer` when the body is longer than `most` bytes.
pub(crate) async fn whole(first: Option<Bytes>, inflow: &mut Inflow, most: usize) -> Result<Bytes, Error> {
    let first = match first {
        Some(first) => first,
        None => match next(inflow).await {
            Some(first) => first?,
            None => return Ok(Bytes::new()),
        },
    };
    let too_long = || {
        Error::upstream(
            Kind::UpstreamBadAnswer,
            format!("The provider's answer is longer than {most} bytes."),
        )
    };
    if first.len() > most {
        return Err(too_long());
    }
    if inflow.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next(inflow).await else { return Ok(first) };
    let rest = usize::try_from(inflow.size_hint().lower()).unwrap_or(usize::MAX).min(most);
    let mut all = BytesMut::with_capacity(first.len().saturating_add(rest).min(most));
    all.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(data) = piece {
        let data = data?;
        if all.len() + data.len() > most {
            return Err(too_long());
        }
        all.extend_from_slice(&data);
        piece = next(inflow).await;
    }
    Ok(all.freeze())
}
