//! What a translation could not carry.

use std::borrow::Cow;

use crate::neutral::CacheMark;

/// The losses of one translation, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Loss>);

/// One thing that was not carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What: the path of a member as the client knows it, such as `logit_bias` or `messages.thinking`. Names of the
    /// client's own may stand in it, so it is cut to what a list in a header can hold: visible ASCII without commas.
    pub what: Cow<'static, str>,
    /// Why, in a few words.
    pub why: &'static str,
}

/// More are not listed: a hostile request must not make a header of any length.
const MOST: usize = 32;
/// A longer path is cut, in bytes.
const LONGEST: usize = 96;

/// How long a mark asks for that says nothing.
const USUAL_TTL: &str = "5m";

impl Losses {
    /// Takes note of a loss.
    pub fn lose(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        let what = shown(what.into());
        if self.0.len() < MOST && !self.0.iter().any(|loss| loss.what == what) {
            self.0.push(Loss { what, why });
        }
    }

    /// A prompt-cache mark for a target that caches every prefix by itself. What it asks for is done unasked, so it is no
    /// loss, unless it also says for how long.
    pub fn cached_anyway(&mut self, mark: &CacheMark) {
        if mark.ttl.as_deref().is_some_and(|ttl| ttl != USUAL_TTL) {
            self.lose("cache_control.ttl", "the target caches by itself, for as long as it likes");
        }
    }

    /// Whether nothing was lost.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was lost, in the order in which it was noticed.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }

    /// Takes those of another translation in as well.
    pub fn extend(&mut self, other: Self) {
        for loss in other.0 {
            self.lose(loss.what, loss.why);
        }
    }
}

fn shown(what: Cow<'static, str>) -> Cow<'static, str> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if what.is_empty() {
        return Cow::Borrowed("\"\"");
    }
    if what.len() <= LONGEST && what.bytes().all(fits) {
        return what;
    }
    let fits = |letter: char| u8::try_from(letter).is_ok_and(fits);
    what.chars().take(LONGEST).map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_clients_own_fit_into_a_list_in_a_header() {
        let mut losses = Losses::default();
        losses.lose("tools.a, b\r\nx-evil: \u{1f9ca}", "made up");
        losses.lose("x".repeat(1_000), "made up");
        losses.lose("", "made up");
        let names: Vec<&str> = losses.iter().map(|loss| &*loss.what).collect();
        assert_eq!(names[0], "tools.a__b__x-evil:__");
        assert_eq!((names[1].len(), names[2]), (LONGEST, "\"\""));
    }

    #[test]
    fn a_mark_is_lost_to_a_target_that_caches_by_itself_only_in_how_long() {
        let mut losses = Losses::default();
        for ttl in [None, Some("5m")] {
            losses.cached_anyway(&CacheMark { ttl: ttl.map(str::to_owned) });
        }
        assert!(losses.is_empty());
        losses.cached_anyway(&CacheMark { ttl: Some("1h".into()) });
        assert_eq!(losses.iter().map(|loss| &*loss.what).collect::<Vec<_>>(), ["cache_control.ttl"]);
    }

    #[test]
    fn a_loss_is_named_once_and_a_list_has_an_end() {
        let mut losses = Losses::default();
        losses.lose("seed", "the target has none");
        losses.lose("seed", "the target has none");
        assert_eq!(losses.iter().count(), 1);
        for i in 0..100 {
            losses.lose(format!("m{i}"), "made up");
        }
        assert_eq!(losses.iter().count(), MOST);
    }
}
