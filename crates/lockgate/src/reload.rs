//! What changes while the process serves: the config file, the keys in the store, the certificate. Each change swaps a
//! snapshot whole; a request under way keeps the one that it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::port::KeyStore;
use lockgate_core::{Event, Key};
use lockgate_engine::{Snapshot, State};
use lockgate_server::Certificates;

use crate::assemble;
use crate::settings::Settings;

/// How often changes are looked for. Looking is a few calls to the file system and one query of one row.
pub(crate) const EVERY: Duration = Duration::from_millis(250);

/// Looks for changes and puts them in force.
pub(crate) struct Reloader {
    state: Arc<State>,
    store: Arc<dyn KeyStore>,
    /// Keys that live only as long as the process.
    own_keys: Vec<Key>,
    file: Option<Watched>,
    certificates: Option<(Arc<Certificates>, [Watched; 2])>,
    revision: Option<u64>,
}

/// A file and what it was when it was last looked at.
struct Watched {
    path: PathBuf,
    seen: Option<Mark>,
}

/// What changes when a file does: its length, its time of change, its place on disk.
type Mark = (u64, Option<std::time::SystemTime>, u64);

impl Reloader {
    /// `revision` is that of the keys in force, read before they were: a key made in between is then seen as new.
    pub(crate) fn new(
        state: Arc<State>,
        store: Arc<dyn KeyStore>,
        own_keys: Vec<Key>,
        file: Option<PathBuf>,
        certificates: Option<Arc<Certificates>>,
        revision: Option<u64>,
    ) -> Self {
        let certificates = certificates.map(|certificates| {
            let watched = certificates.files().map(|path| Watched::new(path.clone()));
            (certificates, watched)
        });
        Self { state, store, own_keys, file: file.map(Watched::new), certificates, revision }
    }

    /// Puts in force what has changed since the last look.
    pub(crate) fn look(&mut self) {
        if self.file.as_mut().is_some_and(Watched::has_changed) {
            self.reload_config();
        }
        if let Ok(now) = self.store.revision()
            && self.revision != Some(now)
        {
            self.reload_keys(now);
        }
        if let Some((_, files)) = &mut self.certificates
            // Both are looked at, so that neither is seen as new again.
            && files.iter_mut().map(Watched::has_changed).filter(|changed| *changed).count() > 0
        {
            self.reload_certificates();
        }
    }

    /// Puts everything in force as it is now, changed or not.
    pub(crate) fn reload(&mut self) {
        if self.file.is_some() {
            self.reload_config();
        }
        if let Ok(now) = self.store.revision() {
            self.reload_keys(now);
        }
        if self.certificates.is_some() {
            self.reload_certificates();
        }
    }

    fn reload_config(&self) {
        let Some(file) = &self.file else { return };
        let made = Settings::read(Some(&file.path)).map_err(|failure| failure.message().to_owned()).and_then(
            |settings| {
                let upstreams = assemble::upstreams(&settings.config, false)?;
                Ok((settings.config, upstreams))
            },
        );
        match made {
            Ok((config, upstreams)) => {
                let now = self.state.snapshot.load_full();
                let version = now.table.version() + 1;
                let table = assemble::table(version, &config, upstreams, &self.state.registry);
                self.state.snapshot.store(Arc::new(Snapshot {
                    table: Arc::new(table),
                    keys: Arc::clone(&now.keys),
                    catalog: Arc::clone(&now.catalog),
                }));
                self.state.events.emit(&Event::ConfigReloaded { version });
            }
            Err(detail) => self.state.events.emit(&Event::ConfigRejected { detail: &detail }),
        }
    }

    fn reload_keys(&mut self, revision: u64) {
        match assemble::keys(&*self.store, &self.own_keys) {
            Ok(keys) => {
                let now = self.state.snapshot.load_full();
                self.state.snapshot.store(Arc::new(Snapshot {
                    table: Arc::clone(&now.table),
                    keys: Arc::new(keys),
                    catalog: Arc::clone(&now.catalog),
                }));
                self.revision = Some(revision);
            }
            Err(error) => self.state.events.emit(&Event::StoreFailed { detail: &format!("{error:?}") }),
        }
    }

    fn reload_certificates(&self) {
        let Some((certificates, _)) = &self.certificates else { return };
        match certificates.reload() {
            Ok(()) => self.state.events.emit(&Event::CertificateReloaded),
            Err(error) => self.state.events.emit(&Event::CertificateRejected { detail: &error.to_string() }),
        }
    }
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let seen = mark(&path);
        Self { path, seen }
    }

    /// Whether the file is another than at the last look. A file that is gone, as between two steps of an editor, has
    /// not changed yet.
    fn has_changed(&mut self) -> bool {
        let now = mark(&self.path);
        let changed = now.is_some() && now != self.seen;
        if changed {
            self.seen = now;
        }
        changed
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let about = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let place = std::os::unix::fs::MetadataExt::ino(&about);
    #[cfg(not(unix))]
    let place = 0;
    Some((about.len(), about.modified().ok(), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_file_change_once_and_endures_its_absence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "a").unwrap();
        let mut watched = Watched::new(path.clone());
        assert!(!watched.has_changed());
        std::fs::write(&path, "bc").unwrap();
        assert!(watched.has_changed());
        assert!(!watched.has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(!watched.has_changed());
        std::fs::write(&path, "d").unwrap();
        assert!(watched.has_changed());
    }
}
