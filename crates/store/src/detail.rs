//! What a record has of its own and no filter asks for: who, how many tokens, which attempts.
//!
//! Versions 1 and 2: a version byte, a byte of flags, then the fields in the order of [`write`] in the form of [`crate::codec`];
//! the columns `asked`, `provider` and `model` count as seen. Version 2 has the last two flags as well; what needs neither
//! is still written as version 1. Version 3 has a second byte of flags behind the first, and what those say at the end.

use std::sync::Arc;

use lockgate_core::decision::Choice;
use lockgate_core::record::{Attempt, Record, Target};
use lockgate_core::usage::{Source, Usage};
use lockgate_core::{Error, Kind, Money, Role};

use crate::codec::{Eye, Pen};
use crate::damaged;

const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;

/// Bits of the flags byte of a record.
mod has {
    pub(super) const USAGE: u8 = 1;
    pub(super) const ESTIMATED: u8 = 1 << 1;
    pub(super) const DETAIL: u8 = 1 << 2;
    pub(super) const USER: u8 = 1 << 3;
    pub(super) const SESSION: u8 = 1 << 4;
    pub(super) const TAGS: u8 = 1 << 5;
    pub(super) const RARE_COUNTS: u8 = 1 << 6;
    pub(super) const LOSSES: u8 = 1 << 7;
}

/// Bits of the second flags byte of a record.
mod also_has {
    /// What was weighed for the request: a note of JSON, as it has many parts and will have more.
    pub(super) const CHOICE: u8 = 1;
}

/// Bits of the flags byte of an attempt.
mod attempt_has {
    pub(super) const STATUS: u8 = 1;
    pub(super) const ERROR: u8 = 1 << 1;
    pub(super) const DETAIL: u8 = 1 << 2;
    pub(super) const CREDENTIAL: u8 = 1 << 3;
    pub(super) const ROLE: u8 = 1 << 4;
    pub(super) const USAGE: u8 = 1 << 5;
    pub(super) const ESTIMATED: u8 = 1 << 6;
    pub(super) const COST: u8 = 1 << 7;
}

/// What [`read`] gives back.
#[derive(Debug, PartialEq)]
pub(crate) struct Detail {
    pub(crate) overhead_us: u32,
    pub(crate) usage: Option<Usage>,
    pub(crate) detail: Option<String>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) losses: Vec<Arc<str>>,
    pub(crate) choice: Option<Box<Choice>>,
}

// === writing ===

/// Puts the detail of a record behind what is in `out`.
pub(crate) fn write(record: &Record, out: &mut Vec<u8>) {
    let mut pen = Pen::new(out);
    pen.remember(&record.asked);
    if let Some(target) = &record.target {
        pen.remember(&target.provider);
        pen.remember(&target.model);
    }
    let whose = &record.attribution;
    let rare = record.usage.as_ref().map(rare_counts).filter(|counts| counts.iter().any(|n| *n > 0));
    let second = rare.is_some() || !record.losses.is_empty();
    let choice = record.decision.as_ref().and_then(|decision| decision.choice.as_ref());
    // A choice holds nothing that could not be written: no map with odd keys, no number out of range.
    let choice = choice.and_then(|choice| serde_json::to_string(choice).ok());
    let also = flag(choice.is_some(), also_has::CHOICE);
    pen.byte(if also > 0 {
        THIRD
    } else if second {
        SECOND
    } else {
        FIRST
    });
    pen.byte(
        flag(record.usage.is_some(), has::USAGE)
            | flag(record.usage.is_some_and(|usage| !usage.reported()), has::ESTIMATED)
            | flag(record.detail.is_some(), has::DETAIL)
            | flag(whose.user.is_some(), has::USER)
            | flag(whose.session.is_some(), has::SESSION)
            | flag(!whose.tags.is_empty(), has::TAGS)
            | flag(rare.is_some(), has::RARE_COUNTS)
            | flag(!record.losses.is_empty(), has::LOSSES),
    );
    if also > 0 {
        pen.byte(also);
    }
    pen.number(u64::from(record.overhead_us));
    if let Some(usage) = &record.usage {
        usual_counts(usage).into_iter().for_each(|count| pen.number(count));
    }
    if let Some(rare) = rare {
        rare.into_iter().for_each(|count| pen.number(count));
    }
    if let Some(detail) = &record.detail {
        pen.note(detail);
    }
    if let Some(user) = &whose.user {
        pen.word(user);
    }
    if let Some(session) = &whose.session {
        pen.word(session);
    }
    if !whose.tags.is_empty() {
        pen.number(whose.tags.len() as u64);
        whose.tags.iter().for_each(|tag| pen.word(tag));
    }
    pen.number(record.attempts.len() as u64);
    record.attempts.iter().for_each(|attempt| write_attempt(&mut pen, attempt));
    if !record.losses.is_empty() {
        pen.number(record.losses.len() as u64);
        record.losses.iter().for_each(|loss| pen.word(loss));
    }
    if let Some(choice) = &choice {
        pen.note(choice);
    }
}

fn write_attempt<'a>(pen: &mut Pen<'a>, attempt: &'a Attempt) {
    pen.byte(
        flag(attempt.status.is_some(), attempt_has::STATUS)
            | flag(attempt.error.is_some(), attempt_has::ERROR)
            | flag(attempt.detail.is_some(), attempt_has::DETAIL)
            | flag(attempt.credential.is_some(), attempt_has::CREDENTIAL)
            | flag(!attempt.role.is_usual(), attempt_has::ROLE)
            | flag(attempt.usage.is_some(), attempt_has::USAGE)
            | flag(attempt.usage.is_some_and(|usage| !usage.reported()), attempt_has::ESTIMATED)
            | flag(attempt.cost.is_some(), attempt_has::COST),
    );
    pen.word(&attempt.target.provider);
    pen.word(&attempt.target.model);
    pen.number(u64::from(attempt.at_us));
    pen.number(u64::from(attempt.took_us));
    if let Some(status) = attempt.status {
        pen.number(u64::from(status));
    }
    if let Some(error) = attempt.error {
        pen.word(error.code());
    }
    if let Some(detail) = &attempt.detail {
        pen.note(detail);
    }
    if let Some(credential) = &attempt.credential {
        pen.word(credential);
    }
    if !attempt.role.is_usual() {
        pen.word(attempt.role.code());
    }
    if let Some(usage) = &attempt.usage {
        usage.counts().into_iter().for_each(|count| pen.number(count));
    }
    if let Some(cost) = attempt.cost {
        pen.number(cost.nanos() as u64);
    }
}

const fn flag(is: bool, bit: u8) -> u8 {
    if is { bit } else { 0 }
}

const fn usual_counts(usage: &Usage) -> [u64; 7] {
    [
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.audio_input,
        usage.output,
        usage.reasoning,
        usage.audio_output,
    ]
}

const fn rare_counts(usage: &Usage) -> [u64; 4] {
    [usage.cache_write_1h, usage.image_input, usage.image_output, usage.searches]
}

// === reading ===

/// Reads what [`write`] wrote beside these columns.
///
/// # Errors
/// [`Kind::Internal`] when the bytes are not what [`write`] writes, or of a newer version.
pub(crate) fn read(bytes: &[u8], asked: &Arc<str>, target: Option<&Target>) -> Result<Detail, Error> {
    let mut eye = Eye::new(bytes);
    eye.remember(asked);
    if let Some(target) = target {
        eye.remember(&target.provider);
        eye.remember(&target.model);
    }
    read_detail(&mut eye)
        .filter(|_| eye.is_at_end())
        .ok_or_else(|| damaged("record: the detail cannot be read"))
}

fn read_detail(eye: &mut Eye<'_>) -> Option<Detail> {
    let version = eye.byte()?;
    let flags = eye.byte()?;
    let later = has::RARE_COUNTS | has::LOSSES;
    if !matches!((version, flags & later), (FIRST, 0) | (SECOND, 1..) | (THIRD, _)) {
        return None;
    }
    let also = if version == THIRD { eye.byte()? } else { 0 };
    if version == THIRD && also != also_has::CHOICE {
        return None;
    }
    let has = |bit: u8| flags & bit != 0;
    Some(Detail {
        overhead_us: eye.number()?,
        usage: if has(has::USAGE) { Some(read_usage(eye, flags)?) } else { None },
        detail: if has(has::DETAIL) { Some(eye.note()?) } else { None },
        user: if has(has::USER) { Some(eye.word()?) } else { None },
        session: if has(has::SESSION) { Some(eye.word()?) } else { None },
        tags: if has(has::TAGS) { eye.list(Eye::word)? } else { Vec::new() },
        attempts: eye.list(read_attempt)?,
        losses: if has(has::LOSSES) { eye.list(Eye::word)? } else { Vec::new() },
        choice: if also & also_has::CHOICE != 0 { serde_json::from_str(&eye.note()?).ok()? } else { None },
    })
}

fn read_usage(eye: &mut Eye<'_>, flags: u8) -> Option<Usage> {
    let mut usage = Usage {
        input: eye.number()?,
        cache_read: eye.number()?,
        cache_write: eye.number()?,
        audio_input: eye.number()?,
        output: eye.number()?,
        reasoning: eye.number()?,
        audio_output: eye.number()?,
        source: if flags & has::ESTIMATED != 0 { Source::Estimated } else { Source::Reported },
        ..Usage::default()
    };
    if flags & has::RARE_COUNTS != 0 {
        usage.cache_write_1h = eye.number()?;
        usage.image_input = eye.number()?;
        usage.image_output = eye.number()?;
        usage.searches = eye.number()?;
    }
    Some(usage)
}

fn read_attempt(eye: &mut Eye<'_>) -> Option<Attempt> {
    let flags = eye.byte()?;
    let has = |bit: u8| flags & bit != 0;
    Some(Attempt {
        target: Target { provider: eye.word()?, model: eye.word()? },
        at_us: eye.number()?,
        took_us: eye.number()?,
        status: if has(attempt_has::STATUS) { Some(eye.number()?) } else { None },
        error: if has(attempt_has::ERROR) { Some(Kind::from_code(&eye.word()?)?) } else { None },
        detail: if has(attempt_has::DETAIL) { Some(eye.note()?) } else { None },
        credential: if has(attempt_has::CREDENTIAL) { Some(eye.word()?) } else { None },
        role: if has(attempt_has::ROLE) { Role::from_code(&eye.word()?)? } else { Role::Usual },
        usage: if has(attempt_has::USAGE) { Some(read_own_usage(eye, flags)?) } else { None },
        cost: if has(attempt_has::COST) {
            Some(Money::from_nanos(eye.number::<u64>()? as i64))
        } else {
            None
        },
    })
}

fn read_own_usage(eye: &mut Eye<'_>, flags: u8) -> Option<Usage> {
    let mut counts = [0; Usage::COUNTS.len()];
    for count in &mut counts {
        *count = eye.number()?;
    }
    let estimated = flags & attempt_has::ESTIMATED != 0;
    Some(Usage::from_counts(counts, if estimated { Source::Estimated } else { Source::Reported }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exam;

    fn written(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(record, &mut bytes);
        bytes
    }

    #[test]
    fn the_stored_form_does_not_change() {
        // Bytes of version 1, which every later program must read. The target of the attempt is that of the record.
        let bytes = b"\x01\x01\x29\xac\x06\0\0\0\x9a\x01\0\0\x01\x01\x03\x05\x29\x86\xf7\x12\xc8\x01";
        let record = exam::record(1);
        assert_eq!(written(&record), bytes);
        let detail = read(bytes, &record.asked, record.target.as_ref()).unwrap();
        assert_eq!((detail.usage, detail.attempts), (record.usage, record.attempts));
    }

    proptest! {
        #[test]
        fn bytes_that_were_never_written_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &Arc::from("m"), None);
        }

        #[test]
        fn a_detail_that_is_cut_is_refused_and_one_that_is_changed_never_panics(
            record in exam::any_record(), cut: prop::sample::Index, flip: u8
        ) {
            let mut bytes = written(&record);
            let at = cut.index(bytes.len());
            prop_assert!(read(&bytes[..at], &record.asked, record.target.as_ref()).is_err());
            bytes[at] ^= flip;
            let _ = read(&bytes, &record.asked, record.target.as_ref());
        }
    }
}
