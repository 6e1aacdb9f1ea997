//! What a request is counted by.

use std::sync::Arc;

use lockgate_core::{Attribution, KeyId};
use serde::{Deserialize, Serialize};

/// What spending can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Dimension {
    /// The virtual key, by its id.
    Key,
    /// The person or account at the end.
    User,
    /// The tenant of our tenant.
    Customer,
    /// A project.
    Project,
    /// A team.
    Team,
    /// An organisation.
    Organisation,
    /// A feature of the application.
    Feature,
    /// A free label.
    Tag,
    /// The route, or the name that was asked for.
    Route,
    /// The model that is called, by the provider's name for it.
    Model,
    /// The provider that is called.
    Provider,
}

/// Every dimension, those with the most distinct values first.
pub const DIMENSIONS: [Dimension; 11] = [
    Dimension::Key,
    Dimension::User,
    Dimension::Customer,
    Dimension::Project,
    Dimension::Team,
    Dimension::Organisation,
    Dimension::Feature,
    Dimension::Tag,
    Dimension::Route,
    Dimension::Model,
    Dimension::Provider,
];

/// A request as budgets see it: a view that borrows all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    values: [Option<&'a str>; DIMENSIONS.len()],
    tags: &'a [Arc<str>],
}

// === impl Dimension ===

impl Dimension {
    /// Its stable name in text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Customer => "customer",
            Self::Project => "project",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Feature => "feature",
            Self::Tag => "tag",
            Self::Route => "route",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }

    /// The dimension of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        DIMENSIONS.into_iter().find(|dimension| dimension.code() == code)
    }

    /// Whether it is only known once a target is chosen.
    pub const fn of_target(self) -> bool {
        matches!(self, Self::Model | Self::Provider)
    }
}

// === impl Subject ===

impl<'a> Subject<'a> {
    /// A request of which nothing is known.
    pub const fn new() -> Self {
        Self { values: [None; DIMENSIONS.len()], tags: &[] }
    }

    /// A request under a key, on somebody's behalf; neither its route nor its target is known yet.
    pub fn of(key: &'a KeyId, whose: &'a Attribution) -> Self {
        Self::new()
            .with(Dimension::Key, Some(key))
            .with(Dimension::User, whose.user.as_deref())
            .with(Dimension::Customer, whose.customer.as_deref())
            .with(Dimension::Project, whose.project.as_deref())
            .with(Dimension::Team, whose.team.as_deref())
            .with(Dimension::Organisation, whose.organisation.as_deref())
            .with(Dimension::Feature, whose.feature.as_deref())
            .tagged(&whose.tags)
    }

    /// The same with a value. Tags go by [`Subject::tagged`].
    #[must_use]
    pub const fn with(mut self, dimension: Dimension, value: Option<&'a str>) -> Self {
        self.values[dimension as usize] = value;
        self
    }

    /// The same with these tags.
    #[must_use]
    pub const fn tagged(mut self, tags: &'a [Arc<str>]) -> Self {
        self.tags = tags;
        self
    }

    /// The value of a dimension that has one at most; `None` for tags.
    pub const fn get(&self, dimension: Dimension) -> Option<&'a str> {
        self.values[dimension as usize]
    }

    /// Every value of a dimension.
    pub fn values(&self, dimension: Dimension) -> impl Iterator<Item = &'a str> + use<'a> {
        let tags = if matches!(dimension, Dimension::Tag) { self.tags } else { &[] };
        self.values[dimension as usize].into_iter().chain(tags.iter().map(|tag| &**tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_dimensions_and_back() {
        for (place, dimension) in DIMENSIONS.into_iter().enumerate() {
            assert_eq!(dimension as usize, place);
            assert_eq!(Dimension::from_code(dimension.code()), Some(dimension));
            assert_eq!(serde_json::to_string(&dimension).unwrap(), format!("\"{}\"", dimension.code()));
        }
    }
}
