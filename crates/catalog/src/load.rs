//! Reading the catalogue's lines. They may come from a stranger: every bound is checked, every mistake has its line.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use lockgate_core::money::Price;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::{Capabilities, Day, Limits, Modalities, Mode, Model, Origin, Uplift};
use crate::price::{Bucket, Card, Entry, Prices, Window};

/// Why a catalogue cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The first line of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The version of the form of lines.
    format: u32,
    /// The day whose prices these are.
    #[serde(default)]
    pub(crate) day: String,
    /// Name and version of each package, by its letter.
    #[serde(default)]
    pub(crate) packages: BTreeMap<char, (Box<str>, Box<str>)>,
    /// Addresses by their keys.
    #[serde(default)]
    sources: BTreeMap<Box<str>, Box<str>>,
}

/// What a catalogue's text holds.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    /// The addresses, in the order that rows name them by.
    pub(crate) sources: Box<[Box<str>]>,
    pub(crate) models: Vec<Model>,
}

const FORMAT: u32 = 1;
/// A line of a model is about 200 bytes, the longest that there is 1.4 KB; the head is longer.
const LONGEST_LINE: usize = 16 * 1_024;
const LONGEST_HEAD: usize = 1024 * 1_024;
const MOST_MODELS: usize = 100_000;
const MOST_PRICES: usize = 500;
const LONGEST_NAME: usize = 256;

/// Reads a catalogue. Lines are a head and models in order; empty ones are passed over.
pub(crate) fn read(text: &str) -> Result<Loaded, LoadError> {
    let mut first = None;
    let loaded = walk(text, |mistake| {
        first = Some(mistake);
        false
    });
    match (loaded, first) {
        (Some(loaded), None) => Ok(loaded),
        (_, mistake) => Err(mistake.unwrap_or(LoadError { line: 1, what: "there is no line".into() })),
    }
}

/// The first mistakes of a text, at most so many.
pub(crate) fn mistakes(text: &str, most: usize) -> Vec<LoadError> {
    let mut found = Vec::new();
    walk(text, |mistake| {
        found.push(mistake);
        found.len() < most
    });
    found.truncate(most);
    found
}

/// Reads what is good. `wrong` is told each mistake and says whether to go on. There is nothing without a good head.
fn walk(text: &str, mut wrong: impl FnMut(LoadError) -> bool) -> Option<Loaded> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut fail = |line: usize, what: String| wrong(LoadError { line, what });
    let Some((number, first)) = lines.next() else {
        fail(1, "there is no line".into());
        return None;
    };
    let mut head = match head(first) {
        Ok(head) => head,
        Err(what) => {
            fail(number, what);
            return None;
        }
    };
    let sources = std::mem::take(&mut head.sources);
    let (keys, sources): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
    let mut models: Vec<Model> = Vec::with_capacity(text.len() / 180);
    for (number, line) in lines {
        let what = match model(line, &keys, models.last()) {
            Ok(model) if models.last().is_some_and(|last| last.key() >= model.key()) => {
                "models must be sorted by provider, id and variant, none twice".into()
            }
            Ok(_) if models.len() == MOST_MODELS => {
                fail(number, format!("more than {MOST_MODELS} models"));
                break;
            }
            Ok(model) => {
                models.push(model);
                continue;
            }
            Err(what) => what,
        };
        if !fail(number, what) {
            break;
        }
    }
    models.shrink_to_fit();
    Some(Loaded { head, sources: sources.into_boxed_slice(), models })
}

fn head(line: &str) -> Result<Head, String> {
    if line.len() > LONGEST_HEAD {
        return Err(format!("the head is longer than {LONGEST_HEAD} bytes"));
    }
    let head: Head = serde_json::from_str(line).map_err(|e| format!("the head: {e}"))?;
    if head.format != FORMAT {
        return Err(format!("format {} is not known, only {FORMAT}", head.format));
    }
    if head.sources.len() > usize::from(u16::MAX) {
        return Err("too many sources".into());
    }
    Ok(head)
}

fn model(line: &str, sources: &[Box<str>], before: Option<&Model>) -> Result<Model, String> {
    if line.len() > LONGEST_LINE {
        return Err(format!("longer than {LONGEST_LINE} bytes"));
    }
    let row: Row = serde_json::from_str(line).map_err(|e| e.to_string())?;
    row.model(sources, before)
}

/// One line as it is written.
#[derive(Default)]
struct Row {
    provider: String,
    id: String,
    variant: Option<String>,
    mode: Mode,
    free: bool,
    context: Option<NonZeroU32>,
    input: Option<NonZeroU32>,
    output: Option<NonZeroU32>,
    dimensions: Option<NonZeroU32>,
    modalities_in: Modalities,
    modalities_out: Modalities,
    capabilities: Capabilities,
    released: Option<Day>,
    retires: Option<Day>,
    entries: Vec<Entry>,
    windows: Vec<Window>,
    uplift: Uplift,
    package: u8,
    source: Option<String>,
    day: Option<Day>,
}

// === impl Row ===

impl Row {
    fn model(self, sources: &[Box<str>], before: Option<&Model>) -> Result<Model, String> {
        named(&self.provider, "p")?;
        named(&self.id, "id")?;
        let window_of = |e: &Entry| e.card.window.is_some_and(|w| usize::from(w) >= self.windows.len());
        if self.entries.iter().any(window_of) {
            return Err("a price names a window that is not there".into());
        }
        let count = self.entries.len();
        let prices = Prices::new(self.entries, self.windows);
        if prices.entries().len() < count {
            return Err("a price stands there twice".into());
        }
        if self.free && count > 0 {
            return Err("a free model has no prices".into());
        }
        let source = match &self.source {
            Some(key) => Some(place(sources, key)?),
            None => None,
        };
        let provider = match before {
            Some(model) if *model.provider == *self.provider => Arc::clone(&model.provider),
            _ => self.provider.into(),
        };
        Ok(Model {
            provider,
            id: self.id.into_boxed_str(),
            variant: self.variant.map(String::into_boxed_str),
            mode: self.mode,
            free: self.free,
            input: self.modalities_in,
            output: self.modalities_out,
            capabilities: self.capabilities,
            limits: Limits { context: self.context, input: self.input, output: self.output },
            dimensions: self.dimensions,
            released: self.released,
            retires: self.retires,
            uplift: self.uplift,
            origin: Origin { package: self.package, source, day: self.day },
            prices,
        })
    }

    /// Takes one member of the line.
    fn take<'de, A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        match field {
            Field::Provider => self.provider = map.next_value()?,
            Field::Id => self.id = map.next_value()?,
            Field::Variant => self.variant = Some(map.next_value()?),
            Field::Mode => self.mode = map.next_value_seed(By(Mode::from_name, "mode"))?,
            Field::Free => self.free = map.next_value()?,
            Field::Context => self.context = Some(map.next_value()?),
            Field::Input => self.input = Some(map.next_value()?),
            Field::Output => self.output = Some(map.next_value()?),
            Field::Dimensions => self.dimensions = Some(map.next_value()?),
            Field::ModalitiesIn => {
                self.modalities_in = map.next_value_seed(By(Modalities::from_letters, "modalities"))?;
            }
            Field::ModalitiesOut => {
                self.modalities_out = map.next_value_seed(By(Modalities::from_letters, "modalities"))?;
            }
            Field::Capabilities => {
                self.capabilities = map.next_value_seed(By(Capabilities::from_letters, "capabilities"))?;
            }
            Field::Released => self.released = Some(map.next_value_seed(By(Day::parse, "day"))?),
            Field::Retires => self.retires = Some(map.next_value_seed(By(Day::parse, "day"))?),
            Field::Windows => self.windows = map.next_value::<Windows>()?.0,
            Field::Uplift => self.uplift = map.next_value::<UpliftRow>()?.into(),
            Field::Package => self.package = map.next_value_seed(By(letter, "package"))?,
            Field::Source => self.source = Some(map.next_value()?),
            Field::Day => self.day = Some(map.next_value_seed(By(Day::parse, "day"))?),
            Field::Prices(card) => map.next_value_seed(PricesOf(card, &mut self.entries))?,
        }
        Ok(())
    }
}

fn letter(text: &str) -> Option<u8> {
    u8::try_from(text.chars().next()?).ok()
}

/// A text that stands for something: how it is read, and what it should be.
struct By<F>(F, &'static str);

impl<'de, T, F: Fn(&str) -> Option<T>> DeserializeSeed<'de> for By<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for By<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a {}", self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom(format_args!("{text:?} is no {}", self.1)))
    }
}

fn named(text: &str, field: &str) -> Result<(), String> {
    let good = !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
    if good { Ok(()) } else { Err(format!("`{field}` is missing, too long, or no name")) }
}

fn place(sources: &[Box<str>], key: &str) -> Result<u16, String> {
    let place = sources.binary_search_by(|known| (**known).cmp(key)).ok();
    place.and_then(|at| at.try_into().ok()).ok_or_else(|| format!("source {key:?} is not in the head"))
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;

        impl<'de> Visitor<'de> for Line {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut row = Row::default();
                while let Some(field) = map.next_key_seed(By(Field::of, "field"))? {
                    row.take(field, &mut map)?;
                }
                Ok(row)
            }
        }

        deserializer.deserialize_map(Line)
    }
}

/// A member of a line.
#[derive(Clone, Copy)]
enum Field {
    Provider,
    Id,
    Variant,
    Mode,
    Free,
    Context,
    Input,
    Output,
    Dimensions,
    ModalitiesIn,
    ModalitiesOut,
    Capabilities,
    Released,
    Retires,
    Windows,
    Uplift,
    Package,
    Source,
    Day,
    Prices(Card),
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "p" => Self::Provider,
            "id" => Self::Id,
            "var" => Self::Variant,
            "m" => Self::Mode,
            "free" => Self::Free,
            "ctx" => Self::Context,
            "in" => Self::Input,
            "out" => Self::Output,
            "dims" => Self::Dimensions,
            "mi" => Self::ModalitiesIn,
            "mo" => Self::ModalitiesOut,
            "cap" => Self::Capabilities,
            "rel" => Self::Released,
            "dep" => Self::Retires,
            "win" => Self::Windows,
            "up" => Self::Uplift,
            "by" => Self::Package,
            "src" => Self::Source,
            "at" => Self::Day,
            _ => Self::Prices(Card::from_key(name.strip_prefix('$')?)?),
        })
    }
}

/// The prices of one card, added to those that are there.
struct PricesOf<'a>(Card, &'a mut Vec<Entry>);

impl<'de> DeserializeSeed<'de> for PricesOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PricesOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prices by bucket")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(card, entries) = self;
        let start = entries.len();
        while let Some(bucket) = map.next_key_seed(By(Bucket::from_key, "bucket"))? {
            if entries.len() == MOST_PRICES {
                return Err(de::Error::custom(format_args!("more than {MOST_PRICES} prices")));
            }
            if entries.iter().skip(start).any(|e| e.bucket == bucket) {
                return Err(de::Error::custom(format_args!("{:?} stands there twice", bucket.key())));
            }
            entries.push(Entry { card, bucket, price: Price(map.next_value()?) });
        }
        Ok(())
    }
}

/// Windows, each a list of spans.
struct Windows(Vec<Window>);

impl<'de> Deserialize<'de> for Windows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Windows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("windows of the week")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Windows, A::Error> {
                let mut windows = Vec::new();
                while let Some(spans) = seq.next_element::<Vec<(u16, u16)>>()? {
                    let window = Window::new(spans);
                    windows.push(window.ok_or_else(|| de::Error::custom("a span is not in the week"))?);
                }
                Ok(Windows(windows))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Surcharges as they are written: 1100 is 10 % more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpliftRow {
    us: Option<u16>,
    eu: Option<u16>,
    regional: Option<u16>,
}

impl From<UpliftRow> for Uplift {
    fn from(row: UpliftRow) -> Self {
        let above = |factor: Option<u16>| factor.unwrap_or(1_000).saturating_sub(1_000);
        Self { us: above(row.us), eu: above(row.eu), regional: above(row.regional) }
    }
}

// === impl LoadError ===

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"format":1,"day":"2026-11-21","packages":{"x":["acme","1"]},"sources":{"a1":"https://acme.example"}}"#;

    fn load(lines: &[&str]) -> Result<Vec<Model>, String> {
        let text = format!("{HEAD}\n{}\n", lines.join("\n"));
        read(&text).map(|loaded| loaded.models).map_err(|e| e.to_string())
    }

    fn wrong(line: &str) -> String {
        load(&[line]).expect_err("the line is wrong")
    }

    #[test]
    fn a_line_is_a_model() {
        let models = load(&[
            r#"{"p":"acme","id":"a","m":"embedding","ctx":10,"in":9,"out":8,"dims":3,"mi":"t","cap":"tk","rel":"2026","dep":"2027-01-02","$":{"in":5},"$batch>100":{"in":4},"$@0":{"in":3},"win":[[[0,60]]],"up":{"us":1100},"by":"x","src":"a1","at":"2026-11"}"#,
            r#"{"p":"acme","id":"a","var":"eu"}"#,
            r#"{"p":"acme","id":"b","free":true}"#,
        ]);
        let models = models.expect("good lines");
        let model = &models[0];
        assert_eq!((&*model.provider, &*model.id, model.mode), ("acme", "a", Mode::Embedding));
        assert_eq!(model.limits.context.map(NonZeroU32::get), Some(10));
        assert_eq!(model.prices.standard(Bucket::Input), Some(Price(5)));
        assert_eq!(model.prices.entries().len(), 3);
        assert_eq!(model.uplift, Uplift { us: 100, eu: 0, regional: 0 });
        assert_eq!((model.origin.package, model.origin.source), (b'x', Some(0)));
        assert_eq!(models[1].variant.as_deref(), Some("eu"));
        assert!(models[2].free && models[2].is_priced() && !models[0].is_priced());
        assert!(Arc::ptr_eq(&models[0].provider, &models[2].provider), "names of providers are shared");
    }

    #[test]
    fn a_mistake_has_its_line() {
        let good = r#"{"p":"acme","id":"a"}"#;
        let error = load(&[good, "", r#"{"p":"acme","id":"b","$":{"in":-1}}"#]).expect_err("negative");
        assert!(error.starts_with("line 4: invalid value: integer `-1`"), "{error}");
        assert_eq!(read("").expect_err("nothing").line, 1);
        assert!(read("{}").expect_err("no format").what.contains("format"));
        assert!(read(r#"{"format":2}"#).expect_err("another format").what.contains("format 2"));
    }

    #[test]
    fn all_mistakes_are_listed_up_to_a_bound() {
        let bad = r#"{"p":"acme","id":"b","$":{"inn":1}}"#;
        let text = format!("{HEAD}\n{bad}\n{}\n{bad}\n[]\n", r#"{"p":"acme","id":"a"}"#);
        let lines = |most| mistakes(&text, most).iter().map(|m| m.line).collect::<Vec<_>>();
        assert_eq!(lines(10), [2, 4, 5]);
        assert_eq!(lines(2), [2, 4]);
        assert_eq!(read(&text).map(|_| ()), Err(mistakes(&text, 1).remove(0)));
        assert_eq!(mistakes(&format!("{HEAD}\n"), 10), []);
        assert_eq!(mistakes("", 10).len(), 1);
        assert_eq!(mistakes("{}", 10).len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (line, part) in [
            (r#"{"p":"acme","id":"a","$":{"inn":1}}"#, "\"inn\" is no bucket"),
            (r#"{"p":"acme","id":"a","$cheap":{"in":1}}"#, "\"$cheap\" is no field"),
            (r#"{"p":"acme","id":"a","price":1}"#, "\"price\" is no field"),
            (r#"{"p":"acme","id":"a","$":{"in":1.5}}"#, "floating point"),
            (r#"{"p":"acme","id":"a","$":{"in":"1"}}"#, "invalid type"),
            (r#"{"p":"acme","id":"a","$@0":{"in":1}}"#, "window that is not there"),
            (r#"{"p":"acme","id":"a","win":[[[5,5]]]}"#, "not in the week"),
            (r#"{"p":"acme","id":"a","free":true,"$":{"in":1}}"#, "a free model"),
            (r#"{"p":"acme","id":"a","src":"zz"}"#, "not in the head"),
            (r#"{"p":"acme","id":"a","m":"chatter"}"#, "is no mode"),
            (r#"{"p":"acme","id":"a","in":0}"#, "nonzero"),
            (r#"{"p":"acme","id":""}"#, "`id`"),
            (r#"{"id":"a"}"#, "`p`"),
            ("[]", "invalid type"),
            ("{", "EOF"),
        ] {
            let error = wrong(line);
            assert!(error.starts_with("line 2: ") && error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn bounds_hold_against_a_hostile_file() {
        let long = format!(r#"{{"p":"acme","id":"{}"}}"#, "x".repeat(LONGEST_LINE));
        assert!(wrong(&long).contains("longer than"));
        let deep = format!(r#"{{"p":"acme","id":"a","win":{}}}"#, "[".repeat(10_000));
        assert!(wrong(&deep).starts_with("line 2: "));
        let twice = format!(r#"{{"p":"acme","id":"a","$":{{{}"in":1}}}}"#, r#""in":1,"#.repeat(100));
        assert!(wrong(&twice).contains("twice"));
        let again = r#"{"p":"acme","id":"a","$":{"in":1},"$":{"in":2}}"#;
        assert!(wrong(again).contains("twice"));
        let cards: String = (1..600).map(|n| format!(r#","$>{n}":{{"in":1}}"#)).collect();
        assert!(wrong(&format!(r#"{{"p":"acme","id":"a"{cards}}}"#)).contains("prices"));
    }

    #[test]
    fn order_is_kept_and_nothing_stands_twice() {
        let (a, b) = (r#"{"p":"acme","id":"a"}"#, r#"{"p":"acme","id":"b"}"#);
        assert!(load(&[a, b]).is_ok());
        assert!(load(&[b, a]).expect_err("unsorted").starts_with("line 3: models must be sorted"));
        assert!(load(&[a, a]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_broken_file_is_an_error_and_no_panic(at in 0_usize..4_000, byte: u8, cut in 0_usize..4_000) {
            let lines: Vec<&str> = include_str!("../data/models.jsonl").lines().skip(40).step_by(300).collect();
            let mut bytes = format!("{HEAD}\n{}\n", lines.join("\n")).into_bytes();
            let place = at % bytes.len();
            bytes[place] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let _ = read(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = read(&text);
            let _ = read(&format!("{HEAD}\n{text}"));
        }
    }
}
