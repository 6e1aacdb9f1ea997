//! The installation's secret, in a file of its own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lockgate_core::{Error, Kind};
use zeroize::Zeroizing;

use crate::hash::fill;
use crate::private;

/// The installation's secret: 32 bytes, in a file of 64 hexadecimal digits that only its owner may read. Made at the
/// first call, with its folders; of several processes that start at once all get the same one.
///
/// # Errors
/// [`Kind::Internal`] when the file cannot be read or made, or does not hold such a secret.
pub fn secret_file(path: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
    match read_secret(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make_secret(path).and_then(|()| read_secret(path).map_err(|e| unusable(path, &e)))
        }
        read => read.map_err(|e| unusable(path, &e)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::gateway(Kind::Internal, "the file of the installation's secret cannot be used")
        .detail(format!("{}: {error}", path.display()))
}

fn read_secret(path: &Path) -> io::Result<Zeroizing<[u8; 32]>> {
    let text = Zeroizing::new(fs::read(path)?);
    let mut secret = Zeroizing::new([0_u8; 32]);
    let digits = text.trim_ascii();
    let whole = digits.len() == 64
        && digits.chunks_exact(2).zip(secret.iter_mut()).all(|(pair, byte)| {
            let value = |digit: u8| char::from(digit).to_digit(16);
            value(pair[0]).zip(value(pair[1])).is_some_and(|(high, low)| {
                *byte = (high << 4 | low) as u8;
                true
            })
        });
    if whole {
        Ok(secret)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it does not hold 64 hexadecimal digits"))
    }
}

/// Makes the file appear at once and whole, unless there is one: a draft beside it is linked to its place.
fn make_secret(path: &Path) -> Result<(), Error> {
    let mut chance = Zeroizing::new([0_u8; 40]);
    fill(&mut chance[..])?;
    let (secret, mark) = chance.split_at(32);
    let draft = sibling(path, &format!(".{}.draft", hex(mark).as_str()));
    let made = write_draft(path, &draft, &hex(secret)).and_then(|()| match fs::hard_link(&draft, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // The draft holds a secret; where it cannot be removed there is nothing more to be done about it.
    let _ = fs::remove_file(&draft);
    made.map_err(|e| unusable(path, &e))
}

fn write_draft(path: &Path, draft: &Path, digits: &str) -> io::Result<()> {
    private::make_parents(path)?;
    let mut file = private::owner_only(fs::OpenOptions::new().write(true).create_new(true)).open(draft)?;
    file.write_all(digits.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    // Room for all of it at once: a string that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/secret");
        let first = secret_file(&path).unwrap();
        assert_eq!(*first, *secret_file(&path).unwrap());
        assert_ne!(*first, [0; 32]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn many_at_once_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secrets: HashSet<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| *secret_file(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(secrets.len(), 1);
    }

    #[test]
    fn a_damaged_secret_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for text in ["", "abc", &"g".repeat(64), &"0".repeat(66)] {
            fs::write(&path, text).unwrap();
            let error = secret_file(&path).unwrap_err();
            assert_eq!(error.kind(), Kind::Internal);
            assert!(!format!("{error}").contains("secret\""), "the path is for the log alone");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
