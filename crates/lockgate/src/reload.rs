//! What changes while the process serves: the config file and the list of models that it names, the keys in the store,
//! the certificate. Each change swaps a snapshot whole; a request under way keeps the one that it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lockgate_config::ModelCatalog;
use lockgate_core::port::{DocumentStore, KeyStore};
use lockgate_core::{Event, Key};
use lockgate_engine::{Snapshot, State};
use lockgate_server::Certificates;

use crate::assemble::limits::LimitSources;
use crate::assemble::{self, Sources};
use crate::kept::Kept;
use crate::settings::Settings;

/// How often changes are looked for. Looking is a few calls to the file system and one query of one row.
pub(crate) const EVERY: Duration = Duration::from_millis(250);

/// Looks for changes and puts them in force.
pub(crate) struct Reloader {
    state: Arc<State>,
    store: Arc<dyn KeyStore>,
    documents: Arc<dyn DocumentStore>,
    /// Keys that live only as long as the process.
    own_keys: Vec<Key>,
    limits: LimitSources,
    /// The revision of the documents that the limits in force were made of.
    limits_seen: Option<u64>,
    file: Option<Watched>,
    /// The list of models that the config names.
    catalog: Option<Watched>,
    /// The scores that it names.
    scores: Option<Watched>,
    certificates: Option<(Arc<Certificates>, [Watched; 2])>,
    revision: Option<u64>,
    /// That of the routes and scores of the store.
    kept_revision: Option<u64>,
}

/// A file and what it was when it was last looked at.
struct Watched {
    path: PathBuf,
    seen: Option<Mark>,
}

/// What changes when a file does: its length, its time of change, its place on disk.
type Mark = (u64, Option<std::time::SystemTime>, u64);

impl Reloader {
    /// The revisions are those of the keys and of the documents in force, read before they were: what was made in between is then
    /// seen as new.
    pub(crate) fn new(
        state: Arc<State>,
        (store, documents): (Arc<dyn KeyStore>, Arc<dyn DocumentStore>),
        limits: LimitSources,
        file: Option<PathBuf>,
        lists: &ModelCatalog,
        certificates: Option<Arc<Certificates>>,
        (revision, kept_revision): (Option<u64>, Option<u64>),
    ) -> Self {
        let certificates = certificates.map(|certificates| {
            let watched = certificates.files().map(|path| Watched::new(path.clone()));
            (certificates, watched)
        });
        Self {
            state,
            store,
            documents,
            own_keys: limits.own_keys.clone(),
            limits,
            limits_seen: None,
            file: file.map(Watched::new),
            catalog: lists.file.clone().map(Watched::new),
            scores: lists.scores.clone().map(Watched::new),
            certificates,
            revision,
            kept_revision,
        }
    }

    /// Puts in force what has changed since the last look.
    pub(crate) fn look(&mut self) {
        // Both are looked at, so that neither is seen as new again.
        let files = [&mut self.file, &mut self.catalog, &mut self.scores];
        let in_files =
            files.into_iter().flatten().map(Watched::has_changed).filter(|changed| *changed).count();
        let kept = self.documents.document_revision().ok();
        let in_store = kept.is_some() && kept != self.kept_revision;
        if in_files > 0 || in_store {
            // Also if it turns out to be wrong: it is reported once.
            self.kept_revision = kept.or(self.kept_revision);
            self.reload_config();
        }
        if let Ok(now) = self.store.revision()
            && self.revision != Some(now)
        {
            self.reload_keys(now);
        }
        if let Some(now) = kept
            && self.limits_seen != Some(now)
            && self.reload_limits()
        {
            self.limits_seen = Some(now);
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
            self.kept_revision = self.documents.document_revision().ok();
            self.reload_config();
        }
        if let Ok(now) = self.store.revision() {
            self.reload_keys(now);
        }
        if self.certificates.is_some() {
            self.reload_certificates();
        }
    }

    fn reload_config(&mut self) {
        let file = self.file.as_ref().map(|file| file.path.clone());
        let settings = match Kept::read(&*self.documents) {
            Ok(kept) => Settings::with(file.as_deref(), kept),
            Err(error) => Err(error.into()),
        };
        let made = match settings {
            // At the start it is left out; here the snapshot in force is better than one without it.
            Ok(Settings { left_out, .. }) if !left_out.is_empty() => Err(left_out
                .iter()
                .map(|(name, why)| {
                    format!("the route \"{name}\" of the store is not good under this file: {why}")
                })
                .collect::<Vec<_>>()
                .join("\n")),
            Ok(settings) => {
                // Before the list is read, and also if it cannot be: a correction must be seen.
                self.catalog = settings.config.catalog.file.clone().map(Watched::new);
                self.scores = settings.config.catalog.scores.clone().map(Watched::new);
                assemble::upstreams(&settings.config, file.is_none()).and_then(|upstreams| {
                    let catalog = assemble::catalog(&settings.config, &upstreams)?;
                    let scores = assemble::scores(&settings.config, &settings.kept)?;
                    let sources = Sources { catalog, scores, wall_ms: self.state.clock.wall_ms() };
                    Ok((settings.config, upstreams, sources))
                })
            }
            Err(failure) => Err(failure.message().to_owned()),
        };
        match made {
            Ok((config, upstreams, sources)) => {
                let now = self.state.snapshot.load_full();
                let version = now.table.version() + 1;
                let table = assemble::table(version, &config, upstreams, &self.state.registry, &sources);
                self.state.snapshot.store(Arc::new(Snapshot {
                    table: Arc::new(table),
                    keys: Arc::clone(&now.keys),
                    catalog: sources.catalog,
                    attribution: assemble::attribution(&config),
                }));
                self.limits.said = config.limits;
                self.reload_limits();
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
                    attribution: Arc::clone(&now.attribution),
                }));
                self.revision = Some(revision);
                // A limit may name a key.
                self.reload_limits();
            }
            Err(error) => self.state.events.emit(&Event::StoreFailed { detail: &format!("{error:?}") }),
        }
    }

    /// Puts the limits in force; whether that could be done.
    fn reload_limits(&self) -> bool {
        let clock = &self.state.clock;
        let done = self.limits.put_into(&self.state.limits, clock.wall_ms(), clock.now());
        if let Err(error) = &done {
            self.state.events.emit(&Event::StoreFailed { detail: &format!("{error:?}") });
        }
        done.is_ok()
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
    use lockgate_core::{Clock as _, RequestId};
    use lockgate_dialect::openai_chat::OpenAiChat;
    use lockgate_engine::{Engine, Inbound, chat};
    use lockgate_provider::HttpTransport;
    use lockgate_route::Registry;
    use lockgate_store::Memory;
    use lockgate_testkit::{KeptEvents, KeptRecords, Noted, builder};

    use super::*;
    use crate::assemble::SystemClock;

    /// A gateway without a door, over a config file that can be written anew.
    struct House {
        folder: tempfile::TempDir,
        engine: Engine,
        reloader: Reloader,
        records: Arc<KeptRecords>,
        events: Arc<KeptEvents>,
        memory: Arc<Memory>,
    }

    impl House {
        /// Everything as a start makes it.
        fn of(config: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("lockgate.yaml");
            std::fs::write(&file, config.replace("FOLDER", &folder.path().display().to_string())).unwrap();
            let settings = Settings::read(Some(&file)).unwrap();
            let (clock, registry) = (SystemClock::start(), Arc::new(Registry::default()));
            let memory = Arc::new(Memory::new());
            let store: Arc<dyn KeyStore> = memory.clone();
            let own = vec![builder::key(builder::KEY)];
            let upstreams = assemble::upstreams(&settings.config, false).unwrap();
            let catalog = assemble::catalog(&settings.config, &upstreams).unwrap();
            let scores = assemble::scores(&settings.config, &settings.kept).unwrap();
            let sources = Sources { catalog, scores, wall_ms: clock.wall_ms() };
            let table = assemble::table(1, &settings.config, upstreams, &registry, &sources);
            let keys = assemble::keys(&*store, &own).unwrap();
            let (records, events) = (Arc::new(KeptRecords::default()), Arc::new(KeptEvents::default()));
            let state = Arc::new(State {
                snapshot: Arc::new(assemble::snapshot(table, keys, sources.catalog, Arc::default())).into(),
                registry,
                breakers: lockgate_route::Settings::default(),
                clock: clock.clone(),
                events: events.clone(),
                records: records.clone(),
                purse: None,
                limits: Arc::default(),
                hasher: Box::new(builder::hash),
            });
            let lists = settings.config.catalog;
            let stores = (Arc::clone(&store), memory.clone() as Arc<dyn DocumentStore>);
            let revisions = (None, memory.document_revision().ok());
            let limits = LimitSources {
                keys: Arc::clone(&store),
                documents: memory.clone(),
                own_keys: own,
                said: settings.config.limits,
                file: Arc::default(),
            };
            let reloader =
                Reloader::new(Arc::clone(&state), stores, limits, Some(file), &lists, None, revisions);
            let transport = Arc::new(HttpTransport::new(lockgate_demo::Demo::default(), clock));
            Self { folder, engine: Engine { state, transport }, reloader, records, events, memory }
        }

        fn write(&self, name: &str, text: &str) {
            let text = text.replace("FOLDER", &self.folder.path().display().to_string());
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// Input tokens and nano-dollars of a request, as its record has them.
        fn ask(&self, model: &str) -> (u64, Option<i64>) {
            let clock = &self.engine.state.clock;
            let mut headers = http::HeaderMap::new();
            let key = format!("Bearer {}", builder::KEY).try_into().unwrap();
            headers.insert(http::header::AUTHORIZATION, key);
            let inbound = Inbound {
                id: RequestId::new(clock.wall_ms()),
                arrived: clock.now(),
                dialect: &OpenAiChat,
                named: None,
                headers,
            };
            let body = format!(
                "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}"
            );
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let reply = runtime.block_on(chat(&self.engine, inbound, async { Ok(bytes::Bytes::from(body)) }));
            drop(reply.unwrap());
            let record = self.records.take().remove(0);
            let usage = record.usage.unwrap();
            assert!(usage.output == 0 || usage.input > 0);
            (usage.input, record.cost.map(lockgate_core::Money::nanos))
        }
    }

    #[test]
    fn a_records_cost_changes_when_the_configs_price_does() {
        const START: &str = "providers: { demo: }\n";
        let mut house = House::of(START);
        let (tokens, cost) = house.ask("demo/chat");
        assert_eq!(cost, Some(0), "the demo is free");
        // A thousand dollars per million input tokens are a million nano-dollars for one.
        for (price, nanos) in [("1000", 1_000_000), ("0.5", 500)] {
            let models = format!("models: {{ demo/chat: {{ prices: {{ input: {price}, output: 0 }} }} }}\n");
            house.write("lockgate.yaml", &format!("{START}{models}"));
            house.reloader.reload();
            let expected = i64::try_from(tokens).unwrap() * nanos;
            assert_eq!(house.ask("demo/chat"), (tokens, Some(expected)));
        }
        // A mistake leaves what is in force.
        house.write(
            "lockgate.yaml",
            &format!("{START}models: {{ demo/chat: {{ prices: {{ input: free }} }} }}"),
        );
        house.reloader.reload();
        assert_eq!(house.ask("demo/chat").1, Some(i64::try_from(tokens).unwrap() * 500));
        house.write("lockgate.yaml", START);
        house.reloader.reload();
        assert_eq!(house.ask("demo/chat").1, Some(0));
    }

    #[test]
    fn a_list_of_models_is_taken_over_when_its_file_changes() {
        let list = |price: u32| {
            format!("{{\"format\":1}}\n{{\"p\":\"mine\",\"id\":\"chat\",\"$\":{{\"in\":{price}}}}}\n")
        };
        let cost = |house: &House| {
            let catalog = Arc::clone(&house.engine.state.snapshot.load().catalog);
            let found = catalog.find("mine", "chat")?;
            found.model.prices.standard(lockgate_catalog::Bucket::Input).map(|price| price.0)
        };
        let mut house = House::of("providers: { demo: }\n");
        house.write("lockgate.yaml", "providers: { demo: }\ncatalog: { file: 'FOLDER/models.jsonl' }\n");
        house.reloader.look();
        let rejected = |events: &[Noted]| events.iter().any(|e| format!("{e:?}").contains("models.jsonl"));
        assert!(rejected(&house.events.take()), "the list is not there");
        for price in [5, 70] {
            house.write("models.jsonl", &list(price));
            house.reloader.look();
            assert_eq!(cost(&house), Some(u64::from(price)));
        }
        house.write("models.jsonl", "{\"format\":1}\n{}\n");
        house.reloader.look();
        assert_eq!(cost(&house), Some(70), "a broken list leaves the old one in force");
        assert!(rejected(&house.events.take()));
    }

    #[test]
    fn a_route_of_the_store_is_in_force_at_once_and_never_takes_the_gateway_down() {
        let mut house = House::of("providers: { demo: }\n");
        let put = |house: &House, body: Option<&str>| {
            let draft = lockgate_core::port::Draft {
                kind: crate::kept::ROUTES.into(),
                name: "bot".into(),
                after: None,
                body: body.map(Into::into),
                at_ms: 1,
                by: "me".into(),
                reason: "".into(),
            };
            house.memory.put_document(&draft).unwrap();
        };
        let target = |house: &House| {
            let resolution = house.engine.state.snapshot.load().table.resolve(&"bot".into())?;
            Some(resolution.endpoints[0].target.model.to_string())
        };
        assert_eq!(target(&house), None);
        put(&house, Some(r#"["demo/chat"]"#));
        house.reloader.look();
        assert_eq!(target(&house).as_deref(), Some("chat"));
        let version = house.engine.state.snapshot.load().table.version();
        house.reloader.look();
        assert_eq!(house.engine.state.snapshot.load().table.version(), version, "nothing changed since");
        // What it uses is gone: the snapshot in force stays, and it is said.
        house.events.take();
        house.write("lockgate.yaml", "providers: { other: { type: demo } }\n");
        house.reloader.look();
        assert_eq!(target(&house).as_deref(), Some("chat"));
        let rejected = |events: &[Noted]| {
            events.iter().any(|e| format!("{e:?}").contains("is not good under this file"))
        };
        let events = house.events.take();
        assert!(rejected(&events), "{events:?}");
        put(&house, Some(r#"["other/chat"]"#));
        house.reloader.look();
        assert_eq!(target(&house).as_deref(), Some("chat"));
        assert!(house.engine.state.snapshot.load().table.version() > version, "mended");
        put(&house, None);
        house.reloader.look();
        assert_eq!(target(&house), None);
    }

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
