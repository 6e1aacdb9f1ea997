//! What ties a request to the dialect that it came in.

use lockgate_core::{Error, Kind};

use crate::neutral::Request;

/// A member without which a request would be another one, as it names state that only a provider of its dialect has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tied {
    /// Whose it is: a dialect's name.
    pub dialect: &'static str,
    /// The member.
    pub member: &'static str,
    /// What the client can do instead, as a sentence.
    pub remedy: &'static str,
}

impl Request {
    /// Whether it can be written in `dialect` and still be the same request. Asked first by every writer.
    ///
    /// # Errors
    /// A caller's error that names the member which ties it elsewhere and says what to do.
    pub fn may_go_to(&self, dialect: &str) -> Result<(), Error> {
        match self.tied {
            Some(tied) if tied.dialect != dialect => Err(Error::client(
                Kind::InvalidRequest,
                format!(
                    "\"{}\" needs a provider that speaks {}, and this model is reached in {dialect}. {}",
                    tied.member, tied.dialect, tied.remedy
                ),
            )
            .param(tied.member)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tied_goes_nowhere_else() {
        let tied = Tied { dialect: "a", member: "state", remedy: "Send all of it." };
        let request = Request { tied: Some(tied), ..Request::default() };
        assert!(request.may_go_to("a").is_ok());
        let error = request.may_go_to("b").unwrap_err();
        assert_eq!(error.at(), Some("state"));
        assert!(error.public().ends_with("Send all of it."));
        assert!(Request::default().may_go_to("b").is_ok());
    }
}
