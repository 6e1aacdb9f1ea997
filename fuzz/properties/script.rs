//! How an input is laid out: a line of choices, then the bytes that are read. Both can be written by hand.

/// The choices, which are all before the first line feed, and the bytes behind it. Without a line feed there are no
/// choices.
pub(crate) fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&[], data),
    }
}
