//! The preferences of a request as OpenRouter's clients send them: the member `provider` of the body. Its companion `models`, further
//! models to fall back to, is known and not heeded: that is what a route says.

use std::sync::Arc;

use lockgate_core::money::{Money, Price};
use lockgate_core::{Error, Kind, Payload};
use serde_json::Value as Json;

use super::{MaxPrice, Preferences, Sort};

/// The member that lists further models.
const MODELS: &str = "models";
/// The member that holds the rest.
const PROVIDER: &str = "provider";
/// What is understood of it.
const HEEDED: [&str; 9] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "require_parameters",
    "zdr",
    "data_collection",
    "sort",
    "max_price",
];
/// The most names that a list of a request may have.
const MOST: usize = 64;
/// Nano-dollars of a dollar.
const NANOS: usize = 9;

/// What a body prefers; `None` if it says nothing.
///
/// # Errors
/// `InvalidRequest` that names the member which cannot be understood.
pub fn read(payload: &Payload) -> Result<Option<Box<Preferences>>, Error> {
    if !payload.has(MODELS) && !payload.has(PROVIDER) {
        return Ok(None);
    }
    if let Some(value) = member(payload, MODELS)? {
        names(&value, MODELS)?;
    }
    let mut found = Preferences::default();
    if let Some(value) = member(payload, PROVIDER)? {
        let Json::Object(members) = value else { return Err(malformed(PROVIDER, "an object")) };
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            found.set(name, value)?;
        }
    }
    Ok((found != Preferences::default()).then(|| Box::new(found)))
}

/// The members that ask for something which is not done here: only OpenRouter itself would.
pub fn unheeded(payload: &Payload) -> Vec<String> {
    let mut names = Vec::new();
    let says = |value: &Json| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    if let Ok(Some(value)) = member(payload, MODELS)
        && says(&value)
    {
        names.push(MODELS.to_owned());
    }
    if let Ok(Some(Json::Object(members))) = member(payload, PROVIDER) {
        let unknown = members.iter().filter(|(name, value)| says(value) && !HEEDED.contains(&name.as_str()));
        names.extend(unknown.map(|(name, _)| format!("{PROVIDER}.{name}")));
    }
    names
}

/// The body without them, for a provider that does not know them.
pub fn without(payload: &Payload) -> Option<Payload> {
    if !payload.has(MODELS) && !payload.has(PROVIDER) {
        return None;
    }
    Payload::parse(payload.splice().remove(MODELS).remove(PROVIDER).segments().join()).ok()
}

impl Preferences {
    /// Takes a member of `provider`. What is not known here is for OpenRouter alone: [`unheeded`] names it.
    fn set(&mut self, name: &str, value: &Json) -> Result<(), Error> {
        let at = format!("{PROVIDER}.{name}");
        let flag = |value: &Json| value.as_bool().ok_or_else(|| malformed(&at, "true or false"));
        match name {
            "order" => self.order = names(value, &at)?,
            "only" => self.only = names(value, &at)?,
            "ignore" => self.ignore = names(value, &at)?,
            "allow_fallbacks" => self.no_fallbacks = !flag(value)?,
            "require_parameters" => self.require_parameters = flag(value)?,
            "zdr" => self.zero_retention = flag(value)?,
            "data_collection" => {
                self.deny_collection = match value.as_str() {
                    Some("allow") => false,
                    Some("deny") => true,
                    _ => return Err(malformed(&at, "\"allow\" or \"deny\"")),
                };
            }
            "sort" => {
                let word = value.get("by").unwrap_or(value).as_str();
                self.sort = Some(match word {
                    Some("price") => Sort::Price,
                    Some("throughput") => Sort::Throughput,
                    Some("latency") => Sort::Latency,
                    _ => return Err(malformed(&at, "\"price\", \"throughput\" or \"latency\"")),
                });
            }
            "max_price" => {
                let Json::Object(members) = value else { return Err(malformed(&at, "an object")) };
                let mut most = MaxPrice::default();
                for (unit, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    let at = format!("{at}.{unit}");
                    let nanos =
                        dollars(value).ok_or_else(|| malformed(&at, "an amount in dollars, such as 2.5"))?;
                    match unit.as_str() {
                        "prompt" => most.input = Some(Price(nanos)),
                        "completion" => most.output = Some(Price(nanos)),
                        "request" => {
                            most.request = Some(Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)));
                        }
                        "image" | "audio" => {
                            let text = "a limit for \"prompt\", \"completion\" or \"request\": others cannot be kept here";
                            return Err(malformed(&at, text));
                        }
                        _ => {
                            return Err(malformed(
                                &at,
                                "a limit for \"prompt\", \"completion\" or \"request\"",
                            ));
                        }
                    }
                }
                self.max_price = most;
            }
            _ => {}
        }
        Ok(())
    }
}

fn member(payload: &Payload, name: &'static str) -> Result<Option<Json>, Error> {
    let Some(bytes) = payload.get(name) else { return Ok(None) };
    let value: Json = serde_json::from_slice(bytes).map_err(|_| malformed(name, "JSON"))?;
    Ok(Some(value).filter(|value| !value.is_null()))
}

fn names(value: &Json, at: &str) -> Result<Vec<Arc<str>>, Error> {
    const LONGEST: usize = 256;
    let wanted = || malformed(at, &format!("a list of at most {MOST} names"));
    let list = value.as_array().filter(|list| list.len() <= MOST).ok_or_else(wanted)?;
    let name = |name: &Json| name.as_str().filter(|name| (1..=LONGEST).contains(&name.len())).map(Arc::from);
    list.iter().map(|item| name(item).ok_or_else(wanted)).collect()
}

/// An amount in nano-dollars, from a number or from text, digit by digit. What is finer than that is cut off: a limit of it
/// is as strict or stricter.
fn dollars(value: &Json) -> Option<u64> {
    let text = match value {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(NANOS)];
    let number = format!("{whole}{fraction:0<NANOS$}");
    number.parse().ok()
}

fn malformed(at: &str, wanted: &str) -> Error {
    Error::client(Kind::InvalidRequest, format!("\"{at}\" must be {wanted}.")).param(at.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<Option<Box<Preferences>>, Error> {
        read(&Payload::parse(body.to_owned().into()).unwrap())
    }

    #[test]
    fn a_body_without_preferences_has_none() {
        assert_eq!(of(r#"{"model":"x"}"#).unwrap(), None);
        assert_eq!(of(r#"{"model":"x","provider":{},"models":null}"#).unwrap(), None);
    }

    #[test]
    fn every_preference_is_read() {
        let found = of(
            r#"{"model":"x","models":["a/b","c"],"provider":{"order":["openai","groq"],"only":["openai"],"ignore":["azure"],
                "sort":"throughput","max_price":{"prompt":2.5,"completion":"15","request":1.0},"allow_fallbacks":false,
                "require_parameters":true,"data_collection":"deny","zdr":true,"quantizations":["fp8"]}}"#,
        );
        let found = found.unwrap().unwrap();
        assert_eq!(found.order.len(), 2);
        assert_eq!(found.sort, Some(Sort::Throughput));
        assert_eq!(found.max_price.input, Some(Price(2_500_000_000)));
        assert_eq!(found.max_price.output, Some(Price(15_000_000_000)));
        assert_eq!(found.max_price.request.map(Money::nanos), Some(1_000_000_000));
        assert!(
            found.no_fallbacks && found.require_parameters && found.deny_collection && found.zero_retention
        );
        let partitioned = of(r#"{"provider":{"sort":{"by":"price","partition":"none"}}}"#).unwrap().unwrap();
        assert_eq!(partitioned.sort, Some(Sort::Price));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (body, at) in [
            (r#"{"models":"a"}"#, "models"),
            (r#"{"models":[1]}"#, "models"),
            (r#"{"provider":"openai"}"#, "provider"),
            (r#"{"provider":{"order":"openai"}}"#, "provider.order"),
            (r#"{"provider":{"sort":"best"}}"#, "provider.sort"),
            (r#"{"provider":{"allow_fallbacks":"no"}}"#, "provider.allow_fallbacks"),
            (r#"{"provider":{"max_price":3}}"#, "provider.max_price"),
            (r#"{"provider":{"max_price":{"prompt":-1}}}"#, "provider.max_price.prompt"),
            (r#"{"provider":{"max_price":{"image":1}}}"#, "provider.max_price.image"),
            (r#"{"provider":{"data_collection":true}}"#, "provider.data_collection"),
        ] {
            let error = of(body).expect_err(body);
            assert_eq!((error.kind(), error.at()), (Kind::InvalidRequest, Some(at)), "{body}");
        }
    }

    #[test]
    fn what_is_not_heeded_is_named() {
        let unheeded = |body: &str| unheeded(&Payload::parse(body.to_owned().into()).unwrap());
        assert_eq!(
            unheeded(
                r#"{"models":["a"],"provider":{"only":["x"],"quantizations":["fp8"],"new":1,"old":null}}"#
            ),
            ["models", "provider.new", "provider.quantizations"]
        );
        assert!(unheeded(r#"{"models":[],"provider":{"sort":"price"}}"#).is_empty());
        for name in HEEDED {
            let body = format!(r#"{{"provider":{{"{name}":7}}}}"#);
            assert!(of(&body).is_err() && self::unheeded(&Payload::parse(body.into()).unwrap()).is_empty());
        }
    }

    #[test]
    fn they_can_be_taken_out_and_the_rest_stays_as_it_was() {
        let payload =
            Payload::parse(r#"{"model":"x", "provider":{"sort":"price"},"models":["a"], "n": 1}"#.into())
                .unwrap();
        let left = without(&payload).unwrap();
        assert_eq!(left.names().collect::<Vec<_>>(), ["model", "n"]);
        assert!(without(&left).is_none());
    }
}
