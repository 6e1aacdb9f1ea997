//! What a translation could not carry.

use std::borrow::Cow;

/// The losses of one translation, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Loss>);

/// One thing that was not carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What: the path of a member as the client knows it, such as `logit_bias` or `messages.thinking`.
    pub what: Cow<'static, str>,
    /// Why, in a few words.
    pub why: &'static str,
}

/// More are not listed: a hostile request must not make a header of any length.
const MOST: usize = 32;

impl Losses {
    /// Takes note of a loss.
    pub fn lose(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        let what = what.into();
        if self.0.len() < MOST && !self.0.iter().any(|loss| loss.what == what) {
            self.0.push(Loss { what, why });
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

#[cfg(test)]
mod tests {
    use super::*;

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
