//! The limits of a config and of the store.

use std::sync::{Arc, PoisonError, RwLock};

use lockgate_config::{Config, RateLimit};
use lockgate_core::port::{DocumentStore, KeyStore};
use lockgate_core::{Error, Key, Tick};
use lockgate_ledger::Limiter;
use lockgate_ledger::rate::{Limit, LimitDraft, shelf};

/// What limits are made from, as long as the process serves.
pub(crate) struct LimitSources {
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) documents: Arc<dyn DocumentStore>,
    /// Keys that live only as long as the process.
    pub(crate) own_keys: Vec<Key>,
    /// What the config file says; its limits are made of it anew when keys come or go.
    pub(crate) said: Vec<RateLimit>,
    /// The limits of the file, for those who look.
    pub(crate) file: Arc<RwLock<Vec<Limit>>>,
}

impl LimitSources {
    /// Puts the limits in force as they are now.
    ///
    /// # Errors
    /// When the store cannot be read; what is in force stays.
    pub(crate) fn put_into(&self, limiter: &Limiter, wall_ms: u64, now: Tick) -> Result<(), Error> {
        let mut keys = self.keys.keys()?;
        keys.extend(self.own_keys.iter().cloned());
        let mut all = of_file(&self.said, &keys, wall_ms);
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = all.clone();
        let kept = shelf::kept(&*self.documents, &keys, wall_ms)?;
        all.extend(kept.into_iter().filter(|limit| !self.said.iter().any(|said| *said.name == *limit.name)));
        limiter.replace(all, now);
        Ok(())
    }
}

/// The limits of a config, for commands that look at it.
pub(crate) fn of_config(config: &Config, keys: &[Key], wall_ms: u64) -> Vec<Limit> {
    of_file(&config.limits, keys, wall_ms)
}

/// What the grammar has let pass is a limit: it has the same rules.
fn of_file(said: &[RateLimit], keys: &[Key], wall_ms: u64) -> Vec<Limit> {
    said.iter().filter_map(|said| draft(said).limit_of_known(keys, wall_ms).ok()).collect()
}

fn draft(said: &RateLimit) -> LimitDraft {
    let whom = &said.audience;
    let dimensions = [
        ("key", &whom.keys),
        ("organisation", &whom.organisations),
        ("team", &whom.teams),
        ("project", &whom.projects),
        ("customer", &whom.customers),
        ("user", &whom.users),
        ("feature", &whom.features),
        ("tag", &whom.tags),
        ("route", &whom.routes),
    ];
    let named = dimensions.into_iter().filter(|(_, values)| !values.is_empty());
    LimitDraft {
        name: Some(said.name.clone()),
        count: Some(said.count.as_str().to_owned()),
        amount: Some(said.amount.into()),
        every: said.every.map(|every| every.as_str().to_owned()),
        burst: said.burst.map(u64::from),
        selector: named.map(|(dimension, values)| (dimension.to_owned(), values.clone())).collect(),
        per: said.per.map(|per| per.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use lockgate_config::{LimitCount, LimitDimension, LimitTime};
    use lockgate_ledger::Dimension;
    use lockgate_ledger::rate::{Count, Every};

    #[test]
    fn the_file_has_the_words_of_the_ledger() {
        let words: Vec<&str> = LimitCount::ALL.iter().map(|count| count.as_str()).collect();
        assert_eq!(words, Count::ALL.map(Count::word));
        let words: Vec<&str> = LimitTime::ALL.iter().map(|every| every.as_str()).collect();
        assert_eq!(words, Every::ALL.map(Every::word));
        for dimension in LimitDimension::ALL {
            assert!(Dimension::from_code(dimension.as_str()).is_some_and(|known| !known.of_target()));
        }
    }
}
