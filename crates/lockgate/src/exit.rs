//! How a command ends: documented exit codes, and one way to say what went wrong.

use std::process::ExitCode;

use lockgate_core::{Error, Kind};

/// Shown at the end of every help.
pub(crate) const HELP: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 the config has mistakes, 4 not found.";

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    /// Something went wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The arguments make no sense, which could only be seen when they were looked at together.
    pub(crate) fn arguments(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The config has mistakes; they have been or are in the message.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }

    /// What was asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: 4, message: message.into() }
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says it on standard error, and gives the exit code.
    #[expect(clippy::print_stderr, reason = "the last word of a command")]
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json {
            eprintln!("{}", serde_json::json!({ "error": { "code": self.code, "message": self.message } }));
        } else {
            eprintln!("lockgate: {}", self.message);
        }
        ExitCode::from(self.code)
    }
}

/// A person at a terminal may read the private part as well.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = match error.private() {
            Some(detail) => format!("{} ({detail})", error.public()),
            None => error.public().to_owned(),
        };
        if error.kind() == Kind::NotFound { Self::not_found(message) } else { Self::new(message) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
