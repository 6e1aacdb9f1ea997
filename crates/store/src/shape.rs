//! What many records have in common, kept once: whose key, which model and target, how it was decided, how it ended.
//!
//! A busy gateway writes thousands of records of a few shapes, and a row that names its shape is a third of the size.
//! A shape may be there twice (another process, an earlier run, a cache that was full); nothing relies on it being one.

use std::sync::Arc;

use lockgate_core::decision::{Candidate, Choice, Decision, Exclusion, Matched, Standing};
use lockgate_core::record::{Outcome, Record, Target};
use lockgate_core::{Attribution, Error, KeyId, Kind, Money, RequestId};

use crate::codec::{Eye, Pen};
use crate::{damaged, detail};

const VERSION: u8 = 1;
/// With notes of candidates.
const NOTED: u8 = 2;
/// With organisation and team, and notes.
const OWNED: u8 = 3;

/// The part of a record that others share.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) key: KeyId,
    pub(crate) key_name: Arc<str>,
    pub(crate) customer: Option<Arc<str>>,
    pub(crate) asked: Arc<str>,
    pub(crate) target: Option<Target>,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<Kind>,
    pub(crate) status: u16,
    pub(crate) body: Body,
}

/// The part of a shape that no filter asks for.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) dialect: Arc<str>,
    pub(crate) stream: bool,
    pub(crate) project: Option<Arc<str>>,
    pub(crate) feature: Option<Arc<str>>,
    pub(crate) organisation: Option<Arc<str>>,
    pub(crate) team: Option<Arc<str>>,
    pub(crate) decision: Option<Arc<Decision>>,
}

/// The columns that a shape is searched by, as they stand in a row.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) key: KeyId,
    pub(crate) key_name: Arc<str>,
    pub(crate) customer: Option<Arc<str>>,
    pub(crate) asked: Arc<str>,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) outcome: Arc<str>,
    pub(crate) error: Option<Arc<str>>,
    pub(crate) status: u16,
}

/// What a row has beside its shape.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) id: RequestId,
    pub(crate) cost: Option<Money>,
    pub(crate) took_us: u32,
    pub(crate) first_content_us: Option<u32>,
    /// In the form of [`detail::write`].
    pub(crate) detail: &'a [u8],
}

// === writing ===

/// Bytes that are the same for the same shape, and for no other. They are never stored.
pub(crate) fn fingerprint(record: &Record, out: &mut Vec<u8>) {
    let mut pen = Pen::new(out);
    let whose = &record.attribution;
    pen.note(&record.key);
    pen.note(&record.key_name);
    pen.note(&record.asked);
    pen.note(&record.dialect);
    for option in [&whose.customer, &whose.project, &whose.feature, &whose.organisation, &whose.team] {
        pen.option(option.as_deref(), Pen::note);
    }
    pen.option(record.target.as_ref(), |pen, target| {
        pen.note(&target.provider);
        pen.note(&target.model);
    });
    pen.byte(u8::from(record.stream));
    pen.byte(record.outcome as u8);
    pen.number(record.error.map_or(0, |error| error as u64 + 1));
    pen.number(u64::from(record.status));
    pen.option(record.decision.as_deref(), |pen, decision| {
        pen.number(decision.snapshot);
        pen.byte(decision.matched as u8);
        pen.number(decision.candidates.len() as u64);
        for candidate in decision.candidates.iter() {
            pen.note(&candidate.provider);
            pen.note(&candidate.model);
            pen.byte(match candidate.standing {
                Standing::Eligible => 0,
                Standing::Excluded(exclusion) => exclusion as u8 + 1,
            });
            pen.option(candidate.note.as_deref(), Pen::note);
        }
    });
}

/// A version byte, then the fields in this order. The columns `asked`, `provider` and `model` count as seen. Version 2 has
/// notes of candidates; what needs none is still written as version 1. Version 3 has those, and organisation and team. What was weighed for one request is no part of a
/// shape but of the detail.
pub(crate) fn write_body(record: &Record, out: &mut Vec<u8>) {
    let mut pen = Pen::new(out);
    pen.remember(&record.asked);
    if let Some(target) = &record.target {
        pen.remember(&target.provider);
        pen.remember(&target.model);
    }
    let whose = &record.attribution;
    let owned = whose.organisation.is_some() || whose.team.is_some();
    let noted = record
        .decision
        .as_ref()
        .is_some_and(|decision| decision.candidates.iter().any(|it| it.note.is_some()));
    pen.byte(if owned {
        OWNED
    } else if noted {
        NOTED
    } else {
        VERSION
    });
    pen.word(&record.dialect);
    pen.byte(u8::from(record.stream));
    pen.option(whose.project.as_deref(), Pen::word);
    pen.option(whose.feature.as_deref(), Pen::word);
    if owned {
        pen.option(whose.organisation.as_deref(), Pen::word);
        pen.option(whose.team.as_deref(), Pen::word);
    }
    pen.option(record.decision.as_deref(), |pen, decision| {
        pen.number(decision.snapshot);
        pen.word(decision.matched.code());
        pen.number(decision.candidates.len() as u64);
        for candidate in decision.candidates.iter() {
            pen.word(&candidate.provider);
            pen.word(&candidate.model);
            // No exclusion has an empty code.
            pen.word(match candidate.standing {
                Standing::Eligible => "",
                Standing::Excluded(exclusion) => exclusion.code(),
            });
            if noted || owned {
                pen.option(candidate.note.as_deref(), Pen::word);
            }
        }
    });
}

// === reading ===

impl Columns {
    /// The shape of these columns and a body.
    ///
    /// # Errors
    /// [`Kind::Internal`] when they hold what was never written.
    pub(crate) fn shape(self, body: &[u8]) -> Result<Shape, Error> {
        let unknown = |code: &str| damaged(&format!("shape: unknown code \"{code}\""));
        let target = match (self.provider, self.model) {
            (Some(provider), Some(model)) => Some(Target { provider, model }),
            (None, None) => None,
            _ => return Err(damaged("shape: half a target")),
        };
        let mut eye = Eye::new(body);
        eye.remember(&self.asked);
        if let Some(target) = &target {
            eye.remember(&target.provider);
            eye.remember(&target.model);
        }
        let body = read_body(&mut eye)
            .filter(|_| eye.is_at_end())
            .ok_or_else(|| damaged("shape: the body cannot be read"))?;
        Ok(Shape {
            key: self.key,
            key_name: self.key_name,
            customer: self.customer,
            asked: self.asked,
            target,
            outcome: Outcome::from_code(&self.outcome).ok_or_else(|| unknown(&self.outcome))?,
            error: self.error.map(|code| Kind::from_code(&code).ok_or_else(|| unknown(&code))).transpose()?,
            status: self.status,
            body,
        })
    }
}

impl Shape {
    /// The record of this shape and of what its row has of its own.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the detail cannot be read.
    pub(crate) fn record(&self, own: &Own<'_>) -> Result<Record, Error> {
        let detail = detail::read(own.detail, &self.asked, self.target.as_ref())?;
        Ok(Record {
            id: own.id,
            dialect: self.body.dialect.clone(),
            key: self.key.clone(),
            key_name: self.key_name.clone(),
            attribution: Attribution {
                organisation: self.body.organisation.clone(),
                team: self.body.team.clone(),
                customer: self.customer.clone(),
                project: self.body.project.clone(),
                user: detail.user,
                feature: self.body.feature.clone(),
                session: detail.session,
                tags: detail.tags,
            },
            asked: self.asked.clone(),
            stream: self.body.stream,
            target: self.target.clone(),
            outcome: self.outcome,
            status: self.status,
            error: self.error,
            detail: detail.detail,
            usage: detail.usage,
            cost: own.cost,
            took_us: own.took_us,
            first_content_us: own.first_content_us,
            overhead_us: detail.overhead_us,
            decision: self.decision(detail.choice),
            attempts: detail.attempts,
            losses: detail.losses,
        })
    }

    /// What is of the shape, and what was weighed for this request.
    fn decision(&self, choice: Option<Box<Choice>>) -> Option<Arc<Decision>> {
        let decision = self.body.decision.as_ref()?;
        Some(match choice {
            None => Arc::clone(decision),
            choice => Arc::new(Decision { choice, ..Decision::clone(decision) }),
        })
    }
}

fn read_body(eye: &mut Eye<'_>) -> Option<Body> {
    let (noted, owned) = match eye.byte()? {
        VERSION => (false, false),
        NOTED => (true, false),
        OWNED => (true, true),
        _ => return None,
    };
    Some(Body {
        dialect: eye.word()?,
        stream: match eye.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        },
        project: eye.option(Eye::word)?,
        feature: eye.option(Eye::word)?,
        organisation: if owned { eye.option(Eye::word)? } else { None },
        team: if owned { eye.option(Eye::word)? } else { None },
        decision: eye.option(|eye| read_decision(eye, noted))?.map(Arc::new),
    })
}

fn read_decision(eye: &mut Eye<'_>, noted: bool) -> Option<Decision> {
    Some(Decision {
        snapshot: eye.number()?,
        matched: Matched::from_code(&eye.word()?)?,
        candidates: eye
            .list(|eye| {
                let (provider, model, code) = (eye.word()?, eye.word()?, eye.word()?);
                let standing = match &*code {
                    "" => Standing::Eligible,
                    code => Standing::Excluded(Exclusion::from_code(code)?),
                };
                let note = if noted { eye.option(Eye::word)? } else { None };
                Some(Candidate { provider, model, standing, note })
            })?
            .into(),
        choice: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exam;

    fn body(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_body(record, &mut bytes);
        bytes
    }

    #[test]
    fn the_stored_form_does_not_change() {
        // Bytes of version 1, which every later program must read.
        let bytes =
            b"\x01\x16openai_chat\x01\0\0\x01\x07\x0aroute\x02\x03\x05\0\x08groq\x1allama-4-scout\x0b";
        assert_eq!(body(&exam::record(1)), bytes);
        // Of version 3: the same with organisation and team.
        let bytes = b"\x03\x16openai_chat\x01\0\0\x01\x0anorth\x01\x08care\x01\x07\x0aroute\x02\x03\x05\0\0\x08groq\x1allama-4-scout\x0f\0";
        let mut record = exam::record(1);
        record.attribution.organisation = Some("north".into());
        record.attribution.team = Some("care".into());
        assert_eq!(body(&record), bytes);
    }

    proptest! {
        #[test]
        fn bytes_that_were_never_written_never_panic(bytes: Vec<u8>) {
            let _ = read_body(&mut Eye::new(&bytes));
        }

        #[test]
        fn a_fingerprint_tells_shapes_apart_and_nothing_else(a in exam::any_record(), b in exam::any_record()) {
            let print = |record: &Record| {
                let mut bytes = Vec::new();
                fingerprint(record, &mut bytes);
                bytes
            };
            // What was weighed is of one request; the rest of a decision is of the shape.
            let shape_of = |record: &Record| {
                let mut record = record.clone();
                if let Some(decision) = &mut record.decision {
                    Arc::make_mut(decision).choice = None;
                }
                record
            };
            let (a, b) = (shape_of(&a), shape_of(&b));
            // `b` in the shape of `a`.
            let mut shaped = b.clone();
            shaped.attribution.customer = a.attribution.customer.clone();
            shaped.attribution.project = a.attribution.project.clone();
            shaped.attribution.feature = a.attribution.feature.clone();
            shaped.attribution.organisation = a.attribution.organisation.clone();
            shaped.attribution.team = a.attribution.team.clone();
            let shaped = Record {
                dialect: a.dialect.clone(),
                key: a.key.clone(),
                key_name: a.key_name.clone(),
                asked: a.asked.clone(),
                stream: a.stream,
                target: a.target.clone(),
                outcome: a.outcome,
                status: a.status,
                error: a.error,
                decision: a.decision.clone(),
                ..shaped
            };
            prop_assert_eq!(print(&a), print(&shaped));
            prop_assert_eq!(print(&b) == print(&shaped), b == shaped);
        }
    }
}
