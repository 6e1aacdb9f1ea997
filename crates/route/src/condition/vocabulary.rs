//! What a condition can speak of: variables, their types, and where their values are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::decision::Class;

use crate::ask::Ask;
use crate::view::Ability;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Any other number.
    Float,
    /// Text.
    Text,
    /// A list of things.
    List(Box<Self>),
    /// Texts by name.
    Texts,
    /// Not known before it is evaluated.
    Any,
}

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    RequestModel,
    RequestDialect,
    RequestStream,
    RequestInputTokens,
    RequestOutputTokens,
    Needs(u8),
    KeyId,
    KeyName,
    KeyMetadata,
    CustomerName,
    CustomerTier,
    Organisation,
    Team,
    Project,
    User,
    Feature,
    Session,
    Region,
    Tags,
    BudgetLimited,
    BudgetUsed,
    BudgetLeftCents,
    Time(Part),
    Class(u8),
    ClassLikeliest,
    Complexity,
}

/// A part of the time of day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Hour,
    Minute,
    Day,
    Month,
    Year,
    Weekday,
}

/// What a variable holds.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Tags(&'a [Arc<str>]),
    Texts(&'a BTreeMap<String, String>),
}

/// A variable's name in two halves (the second is empty where there is only one), its type and its meaning.
pub(crate) struct Entry {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) field: Field,
    pub(crate) about: &'static str,
}

/// Abilities that a request can need, and what they are called here.
const NEEDS: [(Ability, &str, &str); 7] = [
    (Ability::Tools, "tools", "whether it has tools"),
    (Ability::Schema, "schema", "whether it wants an answer by a JSON schema"),
    (Ability::Images, "images", "whether it has images"),
    (Ability::Audio, "audio", "whether it has audio"),
    (Ability::Video, "video", "whether it has video"),
    (Ability::Files, "files", "whether it has documents such as PDF"),
    (Ability::Reasoning, "reasoning", "whether it asks for reasoning"),
];

const WEEKDAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/// The names of all variables with their meaning, in the order in which they are documented.
pub fn variables() -> Vec<(String, &'static str, &'static str)> {
    let name = |entry: &Entry| {
        if entry.name.is_empty() { entry.group.to_owned() } else { format!("{}.{}", entry.group, entry.name) }
    };
    entries().iter().map(|entry| (name(entry), entry.field.kind().word(), entry.about)).collect()
}

/// All variables.
pub(crate) fn entries() -> Vec<Entry> {
    let entry = |group, name, field, about| Entry { group, name, field, about };
    let mut all = vec![
        entry("request", "model", Field::RequestModel, "the model as the client named it"),
        entry("request", "dialect", Field::RequestDialect, "the client's dialect, such as `openai.chat`"),
        entry("request", "stream", Field::RequestStream, "whether a stream is asked for"),
        entry("request", "input_tokens", Field::RequestInputTokens, "estimated input tokens"),
        entry(
            "request",
            "output_tokens",
            Field::RequestOutputTokens,
            "the most output tokens that are asked for; 0: not said",
        ),
    ];
    let needs = NEEDS.iter().zip(0..);
    all.extend(needs.map(|((_, name, about), at)| entry("request", name, Field::Needs(at), about)));
    all.extend([
        entry("key", "id", Field::KeyId, "the id of the virtual key"),
        entry("key", "name", Field::KeyName, "its name"),
        entry(
            "key",
            "metadata",
            Field::KeyMetadata,
            "its metadata: `key.metadata.plan`, `\"plan\" in key.metadata`",
        ),
        entry("customer", "name", Field::CustomerName, "the customer"),
        entry("customer", "tier", Field::CustomerTier, "`tier` of the key's metadata"),
        entry("organisation", "", Field::Organisation, "the organisation"),
        entry("team", "", Field::Team, "the team"),
        entry("project", "", Field::Project, "the project"),
        entry("user", "", Field::User, "the person at the end"),
        entry("feature", "", Field::Feature, "the feature of the application"),
        entry("session", "", Field::Session, "the conversation or agent run, where the client names it"),
        entry("region", "", Field::Region, "where the request wants to be processed"),
        entry("tags", "", Field::Tags, "the request's tags: `\"pii\" in tags`"),
        entry("budget", "limited", Field::BudgetLimited, "whether there is a budget"),
        entry("budget", "used", Field::BudgetUsed, "what is used of the tightest budget, in percent"),
        entry(
            "budget",
            "left_cents",
            Field::BudgetLeftCents,
            "what is left of it, in whole cents; 0 without a budget",
        ),
        entry("time", "hour", Field::Time(Part::Hour), "the hour in UTC, 0 to 23"),
        entry("time", "minute", Field::Time(Part::Minute), "the minute"),
        entry(
            "time",
            "weekday",
            Field::Time(Part::Weekday),
            "`mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`",
        ),
        entry("time", "day", Field::Time(Part::Day), "the day of the month"),
        entry("time", "month", Field::Time(Part::Month), "the month, 1 to 12"),
        entry("time", "year", Field::Time(Part::Year), "the year"),
        entry(
            "class",
            "likeliest",
            Field::ClassLikeliest,
            "the kind of work that the request most likely is",
        ),
    ]);
    let classes = Class::ALL.iter().zip(0..);
    all.extend(classes.map(|(class, at)| {
        entry("class", class.code(), Field::Class(at), "how much speaks for this kind of work, 0 to 1")
    }));
    all.push(entry("complexity", "", Field::Complexity, "how hard the request looks, 0 to 1"));
    all
}

/// The variable of a name in two halves.
pub(crate) fn find(group: &str, name: &str) -> Option<Field> {
    let fits = |entry: &Entry| entry.group == group && entry.name == name;
    entries().into_iter().find(fits).map(|entry| entry.field)
}

// === impl Type ===

impl Type {
    /// What it is called in a message.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::List(_) => "a list",
            Self::Texts => "texts by name",
            Self::Any => "anything",
        }
    }

    /// Whether it is a number, or may be one.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Any)
    }

    /// Whether a value of this type can stand where the other is wanted.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) => a.fits(b),
            (a, b) => a == b || a.is_number() && b.is_number(),
        }
    }
}

// === impl Field ===

impl Field {
    /// Its type.
    pub(crate) fn kind(self) -> Type {
        match self {
            Self::RequestStream | Self::Needs(_) | Self::BudgetLimited => Type::Bool,
            Self::RequestInputTokens
            | Self::RequestOutputTokens
            | Self::BudgetUsed
            | Self::BudgetLeftCents => Type::Int,
            Self::Time(Part::Weekday) => Type::Text,
            Self::Time(_) => Type::Int,
            Self::Class(_) | Self::Complexity => Type::Float,
            Self::Tags => Type::List(Box::new(Type::Text)),
            Self::KeyMetadata => Type::Texts,
            _ => Type::Text,
        }
    }

    /// Its value. What is not known is an empty text, or 0.
    pub(crate) fn value<'a>(self, ask: &'a Ask<'_>) -> Val<'a> {
        let text = |value: Option<&'a str>| Val::Text(Cow::Borrowed(value.unwrap_or_default()));
        let count = |value: u64| Val::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let whose = ask.attribution;
        match self {
            Self::RequestModel => text(Some(ask.model)),
            Self::RequestDialect => text(Some(ask.dialect)),
            Self::RequestStream => Val::Bool(ask.stream),
            Self::RequestInputTokens => count(ask.input_tokens()),
            Self::RequestOutputTokens => count(ask.output_ceiling().unwrap_or(0)),
            Self::Needs(at) => {
                Val::Bool(NEEDS.get(usize::from(at)).is_some_and(|need| ask.needs().has(need.0)))
            }
            Self::KeyId => text(Some(&ask.key.id)),
            Self::KeyName => text(Some(&ask.key.name)),
            Self::KeyMetadata => Val::Texts(&ask.key.metadata),
            Self::CustomerName => text(whose.customer.as_deref()),
            Self::CustomerTier => text(ask.metadata("tier")),
            Self::Organisation => text(ask.organisation()),
            Self::Team => text(ask.team()),
            Self::Project => text(whose.project.as_deref()),
            Self::User => text(whose.user.as_deref()),
            Self::Feature => text(whose.feature.as_deref()),
            Self::Session => text(whose.session.as_deref()),
            Self::Region => text(ask.region),
            Self::Tags => Val::Tags(&whose.tags),
            Self::BudgetLimited => Val::Bool(ask.budget.used_percent.is_some() || ask.budget.left.is_some()),
            Self::BudgetUsed => Val::Int(ask.budget.used_percent.unwrap_or(0).into()),
            Self::BudgetLeftCents => Val::Int(ask.budget.left.map_or(0, |left| left.nanos() / 10_000_000)),
            Self::Time(part) => part.value(ask.wall_ms),
            Self::Class(at) => {
                let class = Class::ALL.get(usize::from(at));
                Val::Float(f64::from(class.map_or(0, |class| ask.task().share(*class))) / 1e6)
            }
            Self::ClassLikeliest => text(Some(ask.task().likeliest().code())),
            Self::Complexity => Val::Float(f64::from(ask.task().complexity) / 1e6),
        }
    }
}

// === impl Part ===

impl Part {
    fn value<'a>(self, wall_ms: u64) -> Val<'a> {
        let minutes = i64::try_from(wall_ms / 60_000).unwrap_or(i64::MAX);
        let days = minutes / 1_440;
        let (year, month, day) = date(days);
        match self {
            Self::Hour => Val::Int(minutes / 60 % 24),
            Self::Minute => Val::Int(minutes % 60),
            Self::Day => Val::Int(day),
            Self::Month => Val::Int(month),
            Self::Year => Val::Int(year),
            Self::Weekday => {
                let weekday = usize::try_from(days % 7).unwrap_or(0);
                Val::Text(Cow::Borrowed(WEEKDAYS[weekday]))
            }
        }
    }
}

/// Year, month and day of a day, counted from 1970-01-01. The calendar of 400 years repeats; years begin in March, so that
/// the leap day is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let from_march = days + 719_468;
    let era = from_march.div_euclid(ERA);
    let day = from_march.rem_euclid(ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        // 2026-11-22 was a Sunday.
        assert!(matches!(Part::Weekday.value(20_779 * 86_400_000), Val::Text(day) if day == "sun"));
    }

    #[test]
    fn no_name_stands_for_two_variables() {
        let mut names: Vec<String> = variables().into_iter().map(|(name, ..)| name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
