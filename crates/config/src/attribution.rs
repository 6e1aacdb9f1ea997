//! `attribution`: what clients may say of whom a request is for, and what they must.

use crate::declare::{choices, settings};

settings! {
    /// On whose behalf requests run. What the metadata of a key says (`organisation`, `team`, `project`, `customer`, `user`,
    /// `feature`, `tags`) holds whatever else is said.
    pub struct Attribution {
        /// What a client may say in headers and bodies, where its key does not fix it.
        from_client: Vec<Aspect> = Aspect::of_clients();
        /// What must be known of every request; one without it is refused.
        required: Vec<Aspect>;
    }
}

choices! {
    /// One of the things that are known of whom a request is for.
    pub enum Aspect {
        /// An organisation of yours.
        Organisation = "organisation",
        /// A team of yours.
        Team = "team",
        /// A project of yours.
        Project = "project",
        /// The customer: the tenant of your application.
        Customer = "customer",
        /// The person or account at the end.
        User = "user",
        /// The feature of the application.
        Feature = "feature",
        /// The conversation or agent run.
        Session = "session",
        /// Free labels.
        Tags = "tags",
    }
}

impl Aspect {
    /// What clients may say where the file does not list it: all but what gives rights and money of others.
    fn of_clients() -> Vec<Self> {
        vec![Self::Project, Self::Customer, Self::User, Self::Feature, Self::Session, Self::Tags]
    }
}
