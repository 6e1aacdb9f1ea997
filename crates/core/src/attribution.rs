//! On whose behalf a request runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::codes;

/// The dimensions that spend and limits are counted by. Each is at most 256 bytes of the client's own naming.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attribution {
    /// An organisation of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Arc<str>>,
    /// A team of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Arc<str>>,
    /// The tenant of our tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
    /// A project of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Arc<str>>,
    /// The person or account at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The feature of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<Arc<str>>,
    /// The conversation or agent run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Arc<str>>,
}

codes! {
    /// One of the things that an attribution says.
    pub enum Aspect {
        /// The organisation.
        Organisation = "organisation",
        /// The team.
        Team = "team",
        /// The project.
        Project = "project",
        /// The customer.
        Customer = "customer",
        /// The user.
        User = "user",
        /// The feature.
        Feature = "feature",
        /// The session.
        Session = "session",
        /// The tags.
        Tags = "tags",
    }
}

// === impl Attribution ===

impl Attribution {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is known of an aspect.
    pub fn has(&self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Tags => !self.tags.is_empty(),
            aspect => self.get(aspect).is_some(),
        }
    }

    /// The value of an aspect that has one at most; `None` for tags.
    pub fn get(&self, aspect: Aspect) -> Option<&Arc<str>> {
        match aspect {
            Aspect::Organisation => self.organisation.as_ref(),
            Aspect::Team => self.team.as_ref(),
            Aspect::Project => self.project.as_ref(),
            Aspect::Customer => self.customer.as_ref(),
            Aspect::User => self.user.as_ref(),
            Aspect::Feature => self.feature.as_ref(),
            Aspect::Session => self.session.as_ref(),
            Aspect::Tags => None,
        }
    }

    /// The place of the value of an aspect that has one at most; `None` for tags.
    pub fn place(&mut self, aspect: Aspect) -> Option<&mut Option<Arc<str>>> {
        match aspect {
            Aspect::Organisation => Some(&mut self.organisation),
            Aspect::Team => Some(&mut self.team),
            Aspect::Project => Some(&mut self.project),
            Aspect::Customer => Some(&mut self.customer),
            Aspect::User => Some(&mut self.user),
            Aspect::Feature => Some(&mut self.feature),
            Aspect::Session => Some(&mut self.session),
            Aspect::Tags => None,
        }
    }
}

// === impl Aspect ===

impl Aspect {
    /// The gateway's own header for it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Organisation => "x-lockgate-organisation",
            Self::Team => "x-lockgate-team",
            Self::Project => "x-lockgate-project",
            Self::Customer => "x-lockgate-customer",
            Self::User => "x-lockgate-user",
            Self::Feature => "x-lockgate-feature",
            Self::Session => "x-lockgate-session",
            Self::Tags => "x-lockgate-tags",
        }
    }

    /// Whether the metadata of a key can fix it. A session is of the moment, so no key can.
    pub const fn can_be_fixed(self) -> bool {
        !matches!(self, Self::Session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aspect_has_a_place_a_name_and_a_header() {
        for aspect in Aspect::ALL {
            assert_eq!(aspect.header(), format!("x-lockgate-{}", aspect.code()));
            let mut attribution = Attribution::default();
            assert!(!attribution.has(*aspect));
            match attribution.place(*aspect) {
                Some(place) => *place = Some("x".into()),
                None => attribution.tags.push("x".into()),
            }
            assert!(attribution.has(*aspect));
            let json = serde_json::to_value(&attribution).unwrap();
            assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), [aspect.code()]);
        }
    }
}
