//! `limits`: how many requests and tokens may pass in a time, and how many requests may be under way.

use crate::context::Context;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::policy::refuse_name;
use crate::setting::{Fields, Place};

settings! {
    /// What may pass. Every limit that counts a request must have room for it; each gateway process counts for itself.
    pub struct RateLimit named name by refuse_name, check RateLimit::check {
        /// What is counted.
        count: LimitCount = LimitCount::Requests => required;
        /// How much of it.
        amount: u32 = 1 => required, within 1..=MOST;
        /// The time in which that comes back, evenly. Not for `concurrent`.
        every: Option<LimitTime> = None, shown "none";
        /// How much may pass at once after a pause. Not for `concurrent`.
        burst: Option<u32> = None, shown "`amount`", within Some(1)..=Some(MOST);
        /// Every distinct value of this is counted by itself, all under this limit.
        per: Option<LimitDimension> = None, shown "none";
        /// Which requests it counts: those that fit all that is named. Without it: all.
        audience as "for": LimitAudience;
    }
}

settings! {
    /// Requests, by what is known of them. A value may end in `*` and stands for all that begin so. What is empty fits all.
    pub struct LimitAudience {
        /// Names or ids of virtual keys.
        keys: Vec<String>;
        /// Organisations.
        organisations: Vec<String>;
        /// Teams.
        teams: Vec<String>;
        /// Projects.
        projects: Vec<String>;
        /// Customers.
        customers: Vec<String>;
        /// Users.
        users: Vec<String>;
        /// Features.
        features: Vec<String>;
        /// Tags, of which the request has one at least.
        tags: Vec<String>;
        /// Routes, or other names that are asked for.
        routes: Vec<String>;
    }
}

choices! {
    /// What a limit counts.
    pub enum LimitCount {
        /// Requests.
        Requests = "requests",
        /// Tokens that go in.
        InputTokens = "input_tokens",
        /// Tokens that come out.
        OutputTokens = "output_tokens",
        /// Both.
        Tokens = "tokens",
        /// Requests that are under way.
        Concurrent = "concurrent",
    }
}

choices! {
    /// The time in which a limit's amount comes back.
    pub enum LimitTime {
        /// A second.
        Second = "second",
        /// A minute.
        Minute = "minute",
        /// An hour.
        Hour = "hour",
        /// 24 hours.
        Day = "day",
    }
}

choices! {
    /// What limits can count apart.
    pub enum LimitDimension {
        /// The virtual key.
        Key = "key",
        /// The person or account at the end.
        User = "user",
        /// The customer.
        Customer = "customer",
        /// The project.
        Project = "project",
        /// The team.
        Team = "team",
        /// The organisation.
        Organisation = "organisation",
        /// The feature.
        Feature = "feature",
        /// Each tag.
        Tag = "tag",
        /// The route, or the name that was asked for.
        Route = "route",
    }
}

/// The largest amount and burst.
const MOST: u32 = 1_000_000_000;

impl LimitTime {
    const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl RateLimit {
    /// Judges what several fields decide together.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        /// The longest time in which a burst may come back, in seconds.
        const YEAR: u64 = 366 * 86_400;
        let mut wrong = |field: &'static str, message: &str, hint: &str| {
            let complaint = Complaint::new(message).hint(hint);
            cx.inside(Place::Key(field.to_owned()), |cx| cx.error(from.at(field), complaint));
        };
        let under_way = self.count == LimitCount::Concurrent;
        match (under_way, self.every) {
            (true, Some(_)) => {
                wrong("every", "has no meaning for requests that are under way", "leave it out");
            }
            (false, None) if from.has("count") => {
                wrong("every", "is missing", "write second, minute, hour or day");
            }
            _ => {}
        }
        if let Some(burst) = self.burst {
            if under_way {
                wrong("burst", "has no meaning for requests that are under way", "leave it out");
            } else if let Some(every) = self.every
                && u128::from(burst) * u128::from(every.seconds())
                    > u128::from(YEAR) * u128::from(self.amount)
            {
                wrong("burst", "would take more than a year to come back", "make it less");
            }
        }
    }
}
