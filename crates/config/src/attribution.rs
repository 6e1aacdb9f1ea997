//! `attribution`: what clients may say of whom a request is for, and what they must.

use crate::context::Context;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::setting::{Fields, Place};

settings! {
    /// On whose behalf requests run. What the metadata of a key says (`organisation`, `team`, `project`, `customer`, `user`,
    /// `feature`, `tags`) holds whatever else is said.
    pub struct Attribution, check Attribution::check {
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

impl Attribution {
    /// A session is of the moment: no key can fix it, so it can only be required of clients that may say it.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if self.required.contains(&Aspect::Session) && !self.from_client.contains(&Aspect::Session) {
            let complaint = Complaint::new("requires session, which no key can fix and no client may say")
                .hint("add session to from_client");
            cx.inside(Place::Key("required".to_owned()), |cx| cx.error(from.at("required"), complaint));
        }
    }
}

impl Aspect {
    /// What clients may say where the file does not list it: all but what gives rights and money of others.
    fn of_clients() -> Vec<Self> {
        vec![Self::Project, Self::Customer, Self::User, Self::Feature, Self::Session, Self::Tags]
    }
}
