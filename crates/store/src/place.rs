//! Where a record is kept: the two columns of its id, which sort as ids do, so that spans of time are spans of rows.

use lockgate_core::{Error, RequestId};

use crate::damaged;

/// The bits of an id that are its milliseconds, and those below them.
const TIME_BITS: u32 = 48;
const REST_BITS: u32 = 80;

/// A sum for people and reports: what does not fit is shown as the largest number.
pub(crate) fn column(total: u64) -> i64 {
    i64::try_from(total).unwrap_or(i64::MAX)
}

/// The two columns that an id is kept in; they sort as ids do.
pub(crate) fn split(id: RequestId) -> (i64, [u8; 10]) {
    let mut rest = [0; 10];
    rest.copy_from_slice(&id.as_u128().to_be_bytes()[6..]);
    // 48 bits always fit.
    (id.wall_ms().cast_signed(), rest)
}

/// The id that stands in two columns.
///
/// # Errors
/// [`Kind::Internal`](lockgate_core::Kind::Internal) when no id has such a time.
pub(crate) fn joined(at: i64, rest: [u8; 10]) -> Result<RequestId, Error> {
    let at =
        u64::try_from(at).ok().filter(|at| at >> TIME_BITS == 0).ok_or_else(|| damaged("record: no time"))?;
    let mut low = [0; 16];
    low[6..].copy_from_slice(&rest);
    Ok(RequestId::from_u128(u128::from(at) << REST_BITS | u128::from_be_bytes(low)))
}
