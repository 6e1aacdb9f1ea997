//! Values on their way into columns and out of them.
//!
//! Text of PostgreSQL holds every sign but NUL, and names come from clients: so NUL stands as two bytes U+0001 U+0001, and
//! U+0001 as U+0001 U+0002. That keeps texts apart, keeps their order and what they begin with, and leaves all others as
//! they are. Every column of text is in the collation "C", which compares bytes.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::link::Fault;

/// A value of a statement, or a whole column of values.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Number(Option<i64>),
    Text(Option<Kept<'a>>),
    Bytes(&'a [u8]),
    /// The part of an id below its milliseconds.
    Rest([u8; 10]),
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<Kept<'a>>>),
    ManyBytes(Vec<&'a [u8]>),
}

/// Text as a column keeps it.
#[derive(Debug, Clone)]
pub(super) struct Kept<'a>(Cow<'a, str>);

const MARK: char = '\u{1}';
const NUL: char = '\u{1}';
const ITSELF: char = '\u{2}';

// === impl Value ===

impl Value<'_> {
    pub(super) const fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) | Self::Rest(_) => Type::BYTEA,
            Self::Numbers(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::ManyBytes(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Number(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::Rest(rest) => (&rest[..]).to_sql(kind, out),
            Self::Numbers(numbers) => numbers.to_sql(kind, out),
            Self::Texts(texts) => texts.to_sql(kind, out),
            Self::ManyBytes(many) => many.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each value is sent as the type of its own [`Value::kind`].
        true
    }

    to_sql_checked!();
}

macro_rules! values {
    ($($from:ty => |$value:ident| $into:expr;)+) => { $(
        impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )+ };
}

values! {
    i64 => |number| Self::Number(Some(number));
    Option<i64> => |number| Self::Number(number);
    &'a str => |text| Self::Text(Some(Kept::new(text)));
    &'a Arc<str> => |text| Self::Text(Some(Kept::new(text)));
    Option<&'a str> => |text| Self::Text(text.map(Kept::new));
    &'a [u8] => |bytes| Self::Bytes(bytes);
    [u8; 10] => |rest| Self::Rest(rest);
    Vec<i64> => |numbers| Self::Numbers(numbers.into_iter().map(Some).collect());
    Vec<Option<i64>> => |numbers| Self::Numbers(numbers);
    Vec<&'a str> => |texts| Self::Texts(texts.into_iter().map(|text| Some(Kept::new(text))).collect());
    Vec<Option<&'a str>> => |texts| Self::Texts(texts.into_iter().map(|text| text.map(Kept::new)).collect());
    Vec<&'a [u8]> => |many| Self::ManyBytes(many);
}

// === impl Kept ===

impl<'a> Kept<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        if !text.contains(['\0', MARK]) {
            return Self(Cow::Borrowed(text));
        }
        let mut kept = String::with_capacity(text.len() + 8);
        for sign in text.chars() {
            match sign {
                '\0' => kept.extend([MARK, NUL]),
                MARK => kept.extend([MARK, ITSELF]),
                sign => kept.push(sign),
            }
        }
        Self(Cow::Owned(kept))
    }

    /// The text that was kept; `None` when nothing is kept so.
    fn meant(kept: &str) -> Option<Cow<'_, str>> {
        if !kept.contains(MARK) {
            return Some(Cow::Borrowed(kept));
        }
        let mut text = String::with_capacity(kept.len());
        let mut signs = kept.chars();
        while let Some(sign) = signs.next() {
            text.push(match sign {
                MARK => match signs.next()? {
                    NUL => '\0',
                    ITSELF => MARK,
                    _ => return None,
                },
                sign => sign,
            });
        }
        Some(Cow::Owned(text))
    }
}

impl ToSql for Kept<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        (&*self.0).to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <&str as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

/// Text that was read from a column.
struct Meant<'a>(Cow<'a, str>);

impl<'a> FromSql<'a> for Meant<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let kept = <&str as FromSql>::from_sql(kind, raw)?;
        Kept::meant(kept).map(Self).ok_or_else(|| "a text that was never kept so".into())
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql>::accepts(kind)
    }
}

// === reading rows ===

/// Columns of a row by their places. What cannot be read is damage.
pub(super) trait Columns {
    fn number(&self, at: usize) -> Result<i64, Fault>;
    fn number_or_none(&self, at: usize) -> Result<Option<i64>, Fault>;
    fn text(&self, at: usize) -> Result<Arc<str>, Fault>;
    fn text_or_none(&self, at: usize) -> Result<Option<Arc<str>>, Fault>;
    fn bytes(&self, at: usize) -> Result<&[u8], Fault>;
    fn numbers(&self, at: usize) -> Result<Vec<i64>, Fault>;
    fn flag(&self, at: usize) -> Result<bool, Fault>;
}

impl Columns for Row {
    fn number(&self, at: usize) -> Result<i64, Fault> {
        Ok(self.try_get(at)?)
    }

    fn number_or_none(&self, at: usize) -> Result<Option<i64>, Fault> {
        Ok(self.try_get(at)?)
    }

    fn text(&self, at: usize) -> Result<Arc<str>, Fault> {
        Ok(self.try_get::<_, Meant<'_>>(at)?.0.into())
    }

    fn text_or_none(&self, at: usize) -> Result<Option<Arc<str>>, Fault> {
        Ok(self.try_get::<_, Option<Meant<'_>>>(at)?.map(|text| text.0.into()))
    }

    fn bytes(&self, at: usize) -> Result<&[u8], Fault> {
        Ok(self.try_get(at)?)
    }

    fn numbers(&self, at: usize) -> Result<Vec<i64>, Fault> {
        Ok(self.try_get(at)?)
    }

    fn flag(&self, at: usize) -> Result<bool, Fault> {
        Ok(self.try_get(at)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(text: &str) -> String {
        Kept::new(text).0.into_owned()
    }

    proptest! {
        #[test]
        fn what_is_kept_has_no_nul_and_means_the_same_text(text in "[\\x00-\\x03a\u{e9}]{0,6}") {
            let kept = kept(&text);
            prop_assert!(!kept.contains('\0'));
            let meant = Kept::meant(&kept);
            prop_assert_eq!(meant.as_deref(), Some(&*text));
        }

        #[test]
        fn order_and_beginnings_are_kept(a in "[\\x00-\\x03a]{0,4}", b in "[\\x00-\\x03a]{0,4}") {
            prop_assert_eq!(kept(&a).cmp(&kept(&b)), a.cmp(&b));
            prop_assert_eq!(kept(&a).starts_with(&kept(&b)), a.starts_with(&*b));
        }

        #[test]
        fn what_was_never_kept_never_panics(text: String) {
            let _ = Kept::meant(&text);
        }
    }
}
