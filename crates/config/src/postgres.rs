//! `store: postgres://...`: which PostgreSQL database, and how it is spoken to.
//!
//! The address is that of libpq, less what a gateway has no use for. It can hold a password, so no fault of it quotes more
//! than the name of a parameter.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use lockgate_core::Secret;

/// A PostgreSQL database. It can be printed: the password cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Who signs in.
    pub user: String,
    /// With what, if the server asks for it.
    pub password: Option<Secret>,
    /// The server's name or address; or, with a slash at its start, the folder of its Unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The schema that the tables are in: a-z, 0-9 and `_`, at most 63 characters.
    pub schema: String,
    /// Whether the connection is encrypted, and to whom it may lead. A Unix socket never is.
    pub tls: PostgresTls,
    /// Whose certificates are good, in a file of PEM, in place of the public authorities.
    pub roots: Option<PathBuf>,
}

/// `sslmode`, as libpq means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostgresTls {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can, with whatever certificate it shows.
    #[default]
    Prefer,
    /// Always encrypted. Any certificate is good, unless there is a file of good ones.
    Require,
    /// Always encrypted, and the certificate must be good, whomever it names.
    VerifyCa,
    /// Always encrypted, and the certificate must be good and name the host.
    VerifyFull,
}

/// What is wrong with an address. Completes "the address".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongPostgres(Cow<'static, str>);

const USUAL_PORT: u16 = 5432;
const USUAL_SCHEMA: &str = "lockgate";
/// What PostgreSQL cuts names off at.
const MOST_SCHEMA: usize = 63;
const KNOWN: &str = "host, port, schema, sslmode and sslrootcert";

// === impl Postgres ===

impl Postgres {
    /// The part behind the scheme of such an address, if the text is one.
    pub(crate) fn behind_scheme(text: &str) -> Option<&str> {
        text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
    }

    fn parse(rest: &str) -> Result<Self, WrongPostgres> {
        // A password that a variable brought may hold any sign: the last `@` before the parameters ends it.
        let before_parameters = rest.find('?').unwrap_or(rest.len());
        let at = rest[..before_parameters].rfind('@').or_else(|| rest.rfind('@'));
        let (who, where_) = at.map_or(("", rest), |at| (&rest[..at], &rest[at + 1..]));
        let (place, parameters) = where_.split_once('?').unwrap_or((where_, ""));
        let (server, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (user, Some(Secret::new(decoded(password)?))),
            None => (who, None),
        };
        let user = decoded(user)?;
        if user.is_empty() {
            return Err(WrongPostgres("names no user: write postgres://USER@HOST/DATABASE".into()));
        }
        let (host, port) = split_port(server)?;
        let database = decoded(database)?;
        let mut made = Self {
            database: if database.is_empty() { user.clone() } else { database },
            user,
            password: password.filter(|password| !password.expose().is_empty()),
            host: decoded(host)?,
            port,
            schema: USUAL_SCHEMA.to_owned(),
            tls: PostgresTls::default(),
            roots: None,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            made.set(name, decoded(value)?)?;
        }
        if made.host.is_empty() {
            return Err(WrongPostgres("names no host: write postgres://USER@HOST/DATABASE".into()));
        }
        if [&made.host, &made.user, &made.database].into_iter().any(|part| part.contains(['\0', ','])) {
            let wrong = "has a NUL or a comma in it: one user at one host is what is supported";
            return Err(WrongPostgres(wrong.into()));
        }
        Ok(made)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), WrongPostgres> {
        match name {
            "host" => self.host = value,
            "port" => self.port = port(&value)?,
            "schema" => self.schema = schema(value)?,
            "sslmode" => self.tls = value.parse()?,
            "sslrootcert" => self.roots = (value != "system" && !value.is_empty()).then(|| value.into()),
            // What looks like a name may be the rest of a password, unless it is plainly none.
            _ if name.bytes().all(|sign| sign.is_ascii_lowercase() || sign == b'_') => {
                return Err(WrongPostgres(
                    format!("has a parameter \"{name}\", which is not known here; known are {KNOWN}").into(),
                ));
            }
            _ => {
                return Err(WrongPostgres(
                    format!("has a parameter that is not known here; known are {KNOWN}").into(),
                ));
            }
        }
        Ok(())
    }

    /// Whether the host is the folder of a Unix socket.
    pub fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Without the password, and nothing that a colleague could not know.
impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, database, .. } = self;
        if self.is_local() {
            write!(f, "postgres://{user}@/{database}?host={host}")?;
            return if *port == USUAL_PORT { Ok(()) } else { write!(f, "&port={port}") };
        }
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "postgres://{user}@{open}{host}{close}:{port}/{database}")
    }
}

impl FromStr for Postgres {
    type Err = WrongPostgres;

    fn from_str(text: &str) -> Result<Self, WrongPostgres> {
        let none = || WrongPostgres("does not begin with postgres://".into());
        Self::parse(Self::behind_scheme(text).ok_or_else(none)?)
    }
}

impl FromStr for PostgresTls {
    type Err = WrongPostgres;

    fn from_str(text: &str) -> Result<Self, WrongPostgres> {
        Ok(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                let known = "disable, prefer, require, verify-ca or verify-full";
                return Err(WrongPostgres(format!("has an sslmode that is none of {known}").into()));
            }
        })
    }
}

impl fmt::Display for WrongPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongPostgres {}

// === parts of an address ===

/// Host and port of `host`, `host:port`, `[::1]`, `[::1]:port`.
fn split_port(server: &str) -> Result<(&str, u16), WrongPostgres> {
    let (host, rest) = match server.strip_prefix('[') {
        Some(inner) => inner
            .split_once(']')
            .ok_or_else(|| WrongPostgres("has a host in brackets that are not closed".into()))?,
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    match rest.strip_prefix(':') {
        Some(number) => Ok((host, port(number)?)),
        None if rest.is_empty() => Ok((host, USUAL_PORT)),
        None => Err(WrongPostgres("has something between its host and its port".into())),
    }
}

fn port(text: &str) -> Result<u16, WrongPostgres> {
    let wrong = || WrongPostgres("has a port that is no number from 1 to 65535".into());
    text.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)
}

fn schema(name: String) -> Result<String, WrongPostgres> {
    let fits = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'_';
    let starts = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if starts && name.len() <= MOST_SCHEMA && name.bytes().all(fits) && !name.starts_with("pg_") {
        return Ok(name);
    }
    let rule = "a-z, 0-9 and _, at most 63 characters, no digit and no pg_ at its start";
    Err(WrongPostgres(format!("has a schema that is not written in {rule}").into()))
}

/// Text with each `%XX` as the byte that it stands for.
fn decoded(text: &str) -> Result<String, WrongPostgres> {
    let wrong = || {
        WrongPostgres(
            "has a % that does not begin a byte such as %2F: write signs of a user or a password percent-encoded, and a % as %25"
                .into(),
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| behind.get(at).and_then(|sign| char::from(*sign).to_digit(16));
        let (high, low) = digit(0).zip(digit(1)).ok_or_else(wrong)?;
        bytes.push((high << 4 | low) as u8);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Postgres {
        text.parse().unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    #[test]
    fn an_address_says_who_where_and_how() {
        let full = read(
            "postgresql://gate:p%40ss@db.example:6432/ledger?sslmode=verify-full&sslrootcert=/etc/ca.pem&schema=gate_1",
        );
        let wanted = Postgres {
            user: "gate".into(),
            password: Some(Secret::new("p@ss".into())),
            host: "db.example".into(),
            port: 6432,
            database: "ledger".into(),
            schema: "gate_1".into(),
            tls: PostgresTls::VerifyFull,
            roots: Some("/etc/ca.pem".into()),
        };
        assert_eq!(full, wanted);
        let short = read("postgres://gate@db");
        assert_eq!((&*short.database, short.port, &*short.schema), ("gate", 5432, "lockgate"));
        assert_eq!((short.tls, short.password, short.roots), (PostgresTls::Prefer, None, None));
        assert_eq!(read("postgres://u@[::1]:1/d").host, "::1");
        for local in ["postgres://u@/d?host=/run/pg&port=7", "postgres://u@%2Frun%2Fpg:7/d"] {
            assert_eq!((&*read(local).host, read(local).port, read(local).is_local()), ("/run/pg", 7, true));
        }
    }

    #[test]
    fn a_password_that_a_variable_brought_may_hold_signs_of_an_address() {
        for password in ["a@b", "a/b", "a:b", "a?b", "a#b", "a?b=c&d", "@", "a@b/c:5"] {
            let made = read(&format!("postgres://gate:{password}@db:1/d?sslmode=require"));
            assert_eq!(made.password.as_ref().map(Secret::expose), Some(password));
            assert_eq!((&*made.host, &*made.database, made.tls), ("db", "d", PostgresTls::Require));
        }
    }

    #[test]
    fn what_is_printed_leads_there_and_tells_no_password() {
        for text in [
            "postgres://gate:hidden@db:5432/ledger",
            "postgres://gate:hidden@[::1]:7/ledger",
            "postgres://gate:hidden@/ledger?host=/run/pg",
            "postgres://gate:hidden@/ledger?host=/run/pg&port=7",
        ] {
            let address = read(text);
            assert_eq!(address.to_string(), text.replace(":hidden", ""));
            assert!(!format!("{address:?}{address}").contains("hidden"));
        }
    }

    #[test]
    fn a_wrong_address_is_explained_without_the_password() {
        for (text, part) in [
            ("postgres://db/ledger", "names no user"),
            ("postgres://gate:hidden@", "names no host"),
            ("postgres://gate:hidden@db:0/d", "a port that is no number"),
            ("postgres://gate:hidden@db:hidden/d", "a port that is no number"),
            ("postgres://gate:hid%en@db/d", "a % that does not begin a byte"),
            ("postgres://gate:hidden@db/d?sslmode=hidden", "an sslmode that is none of"),
            ("postgres://gate:hidden@db/d?sslmode=allow", "an sslmode that is none of"),
            ("postgres://gate:hidden@db/d?schema=Hidden", "a schema that is not written in"),
            ("postgres://gate:hidden@db/d?schema=pg_x", "a schema that is not written in"),
            ("postgres://gate:hidden@db/d?options=-c", "a parameter \"options\""),
            ("postgres://gate:hidden@db/d?HIDDEN=hidden", "a parameter that is not known here"),
            ("postgres://gate:hidden@a,b/d", "one user at one host"),
            ("postgres://gate:hidden@[::1/d", "brackets that are not closed"),
        ] {
            let wrong = text.parse::<Postgres>().expect_err(text).to_string();
            assert!(wrong.contains(part), "{text}: {wrong}");
            assert!(!wrong.to_lowercase().contains("hidden") && !wrong.contains("hid%"), "{text}: {wrong}");
        }
    }
}
