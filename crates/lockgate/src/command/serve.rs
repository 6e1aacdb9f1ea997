//! `lockgate serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lockgate_config::{LogFormat, LogLevel, Metrics, Retention};
use lockgate_core::port::{DocumentStore, EventSink, KeyStore, RecordSink, RecordStore, Transport};
use lockgate_core::{Clock, Error, Event, Key, Kind, Secret};
use lockgate_demo::Demo;
use lockgate_engine::State;
use lockgate_engine::alert::{Desk, Plan, Watch};
use lockgate_engine::ledger::{Clerk, Keeper, Pace, Purse};
use lockgate_engine::record::{Queue, Writer};
use lockgate_ledger::{LedgerStore, Limiter};
use lockgate_provider::HttpTransport;
use lockgate_route::{Registry, Settings as Breakers};
use lockgate_server::cabinet::Cabinet;
use lockgate_server::{Certificates, Doors, Drain, House, Limits, MetricsAccess, NewKey, open};
use lockgate_store::{new_key, new_key_id};
use lockgate_telemetry::{Format, Level, Telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Context;
use crate::assemble::limits::LimitSources;
use crate::assemble::{self, Sources, SystemClock};
use crate::cabinet::Drawers;
use crate::exit::{Failure, Outcome};
use crate::installation::Installation;
use crate::kept::Kept;
use crate::notices;
use crate::reload::{EVERY, Reloader};
use crate::settings::Settings;
use crate::terminal::{say, say_json};

/// Start the gateway.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate serve\n  lockgate serve --config lockgate.yaml --listen 0.0.0.0:4100\n\nWithout a config file the gateway serves the demo provider and every provider whose key is in the environment,\nand prints a key that is good until it stops. SIGHUP reloads, SIGTERM drains and stops."
)]
pub(crate) struct Args {
    /// Where to listen; overrides the config.
    #[arg(long, env = "LOCKGATE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// New connections are served for this long after the order to stop, as balancers learn of it only then.
const NOTICE: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let mut settings = Settings::read(context.config.as_deref())?;
    if let Some(listen) = args.listen {
        settings.config.server.listen = listen;
    }
    let running = Running::start(&settings)?;
    running.announce(&settings, context.json)?;
    running.until_stopped(&settings)
}

/// A gateway that serves.
struct Running {
    state: Arc<State>,
    store: Arc<dyn KeyStore>,
    drain: Arc<Drain>,
    doors: Doors,
    writer: Writer,
    keeper: Keeper,
    /// Only where somebody is to be told.
    desk: Option<Desk>,
    reloader: Reloader,
    url: String,
    admin_token: Secret,
    /// Whether the admin token was made up at this start.
    token_is_new: bool,
    /// The key that lives as long as the process; only without a config.
    session_key: Option<Secret>,
}

impl Running {
    fn start(settings: &Settings) -> Result<Self, Failure> {
        let config = &settings.config;
        let zero_config = settings.file.is_none();
        raise_file_limit();
        let clock: Arc<dyn Clock> = SystemClock::start();
        let telemetry = Arc::new(telemetry(config, &clock));
        // Where nobody is to be told, nothing stands before telemetry.
        let watch =
            (!config.alerts.channels.is_empty()).then(|| Watch::new(telemetry.clone(), Arc::clone(&clock)));
        let events: Arc<dyn EventSink> = match &watch {
            Some(watch) => watch.clone(),
            None => telemetry.clone(),
        };
        let channels = notices::channels(config, &clock).map_err(|error| Failure::config(error.public()))?;

        // What can be wrong with the config comes before anything is made on disk.
        let upstreams = assemble::upstreams(config, zero_config).map_err(Failure::config)?;
        let catalog = assemble::catalog(config, &upstreams).map_err(Failure::config)?;
        let scores = assemble::scores(config, &settings.kept).map_err(Failure::config)?;
        let sources = Sources { catalog, scores, wall_ms: clock.wall_ms() };
        let certificates =
            config.server.tls.as_ref().map(|tls| Certificates::read(tls.cert.clone(), tls.key.clone()));
        let certificates = certificates
            .transpose()
            .map_err(|error| Failure::config(format!("server.tls: {error}")))?
            .map(Arc::new);

        let Installation { store, hasher, .. } = Installation::open(config)?;
        let (session_key, own_keys) = if zero_config {
            let (secret, key) = session_key(&hasher, &*clock)?;
            (Some(secret), vec![key])
        } else {
            (None, Vec::new())
        };
        // Before the keys are read, so that one made in between is seen as new.
        let revision = store.revision().ok();
        // Likewise: what was kept since the config was read is seen at the first look.
        let kept_revision = store.document_revision().ok();
        let kept_revision =
            kept_revision.filter(|_| Kept::read(&*store).is_ok_and(|now| now == settings.found));
        let registry = Arc::new(Registry::default());
        let table = assemble::table(1, config, upstreams, &registry, &sources);
        let keys = assemble::keys(&*store, &own_keys)?;
        let snapshot = assemble::snapshot(table, keys, sources.catalog, assemble::attribution(config));

        let queue = Queue::new(usize::try_from(config.records.queue).unwrap_or(usize::MAX));
        let retention = match config.records.retention {
            Retention::Forever => Duration::ZERO,
            Retention::For(time) => time,
        };
        let records: Arc<dyn RecordStore> = store.clone();
        records.warm_up()?;
        let writer = Writer::spawn(
            Arc::clone(&queue),
            Arc::clone(&records),
            Arc::clone(&events),
            Arc::clone(&clock),
            config.records.flush,
            retention,
        )?;

        let purse = Purse::new();
        let ledger: Arc<dyn LedgerStore> = store.clone();
        let clerk = Clerk::new(
            Arc::clone(&purse),
            Arc::clone(&ledger),
            Arc::clone(&events),
            Arc::clone(&clock),
            node_name(),
            Pace::default(),
        );
        let keeper = Keeper::spawn(&purse, clerk)?;

        let documents: Arc<dyn DocumentStore> = store.clone();
        let rates = LimitSources {
            keys: store.clone(),
            documents: Arc::clone(&documents),
            own_keys,
            said: config.limits.clone(),
            file: Arc::default(),
        };
        let limiter = Arc::new(Limiter::default());
        rates.put_into(&limiter, clock.wall_ms(), clock.now())?;
        let (desk, alerts) = match watch {
            Some(watch) => {
                let plan = Plan {
                    watch,
                    channels,
                    digest: config.alerts.digest,
                    anomaly_floor: notices::floor(config),
                    registry: Arc::clone(&registry),
                    breakers: Breakers::default(),
                    ledger: Arc::clone(&ledger),
                    clock: Arc::clone(&clock),
                    node: node_name().into(),
                };
                let (desk, alerts) = Desk::spawn(plan)?;
                (Some(desk), Some(alerts))
            }
            None => (None, None),
        };

        let sink: Arc<dyn RecordSink> = queue;
        let state = Arc::new(State {
            snapshot: Arc::new(snapshot).into(),
            registry,
            breakers: Breakers::default(),
            clock,
            events,
            records: sink,
            purse: Some(Arc::clone(&purse)),
            limits: limiter,
            hasher: Box::new(move |key| hasher.hash(key)),
        });
        let token_is_new = config.server.admin_token.is_none();
        let admin_token = match &config.server.admin_token {
            Some(token) => token.clone(),
            None => new_token()?,
        };
        let drain = Arc::new(Drain::default());
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let documents: Arc<dyn DocumentStore> = store.clone();
        let cabinet: Arc<dyn Cabinet> = Arc::new(Drawers {
            store: Arc::clone(&documents),
            file: settings.file.clone(),
            clock: Arc::clone(&state.clock),
        });
        let keys: Arc<dyn KeyStore> = store;
        let house = |address| {
            Arc::new(House {
                state: Arc::clone(&state),
                keys: Arc::clone(&keys),
                new_key: Box::new(fresh_key),
                ledger: Arc::clone(&ledger),
                cabinet: Arc::clone(&cabinet),
                documents: Arc::clone(&documents),
                file_limits: Arc::clone(&rates.file),
                records: Arc::clone(&records),
                alerts: alerts.clone(),
                admin_token: admin_token.clone(),
                metrics: match config.server.metrics {
                    Metrics::Admin => MetricsAccess::Admin,
                    Metrics::Public => MetricsAccess::Public,
                },
                render_metrics: {
                    let telemetry = Arc::clone(&telemetry);
                    Box::new(move || telemetry.render())
                },
                ready: Box::new(|| Ok(())),
                limits: limits(&config.server.limits),
                drain: Arc::clone(&drain),
                url: url(scheme, address),
                sessions: lockgate_server::Sessions::default(),
            })
        };
        let workers = match config.server.workers {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            workers => usize::from(workers),
        };
        let transport = {
            let clock = Arc::clone(&state.clock);
            move || -> Arc<dyn Transport> {
                Arc::new(HttpTransport::new(Demo::default(), Arc::clone(&clock)))
            }
        };
        let listen = config.server.listen;
        let doors = open(listen, workers, house, certificates.as_ref(), &transport)
            .map_err(|error| Failure::new(format!("cannot listen on {listen}: {error}")))?;
        let url = url(scheme, doors.address());
        for (name, why) in &settings.left_out {
            let detail = format!("the route \"{name}\" of the store is left out: {why}");
            state.events.emit(&Event::ConfigRejected { detail: &detail });
        }
        state.events.emit(&Event::Started { address: &url, version: state.snapshot.load().table.version() });
        let reloader = Reloader::new(
            Arc::clone(&state),
            (Arc::clone(&keys), documents),
            rates,
            settings.file.clone(),
            &config.catalog,
            certificates,
            (revision, kept_revision),
        );
        Ok(Self {
            state,
            store: keys,
            drain,
            doors,
            writer,
            keeper,
            desk,
            reloader,
            url,
            admin_token,
            token_is_new,
            session_key,
        })
    }

    /// Says where everything is, and a line to paste.
    fn announce(&self, settings: &Settings, json: bool) -> Outcome {
        let key = self.session_key.as_ref().map(Secret::expose);
        let shown_token = self.token_is_new.then(|| self.admin_token.expose());
        if json {
            say_json(&serde_json::json!({
                "url": self.url, "key": key, "admin_token": shown_token,
                "config": settings.file.as_ref().map(|file| file.display().to_string()),
            }));
            return Ok(());
        }
        let snapshot = self.state.snapshot.load();
        let providers: Vec<&str> =
            snapshot.table.upstreams().iter().map(|upstream| &*upstream.name).collect();
        say(&format!("Lockgate {} serves {}", env!("CARGO_PKG_VERSION"), self.url));
        say(&format!("  start page   {}/", self.url));
        say(&format!(
            "  providers    {}",
            if providers.is_empty() { "none".into() } else { providers.join(", ") }
        ));
        match shown_token {
            Some(token) => say(&format!(
                "  admin token  {token}  (until it stops; set LOCKGATE_ADMIN_TOKEN to keep one)"
            )),
            None => say("  admin token  as configured"),
        }
        match key {
            Some(key) => {
                say(&format!(
                    "  key          {key}  (until it stops; `lockgate keys create` makes lasting ones)"
                ));
                say("\nTry it:\n");
                say(&format!(
                    "curl {}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n  -d '{{\"model\": \"demo/chat\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n",
                    self.url
                ));
            }
            None => {
                let active = assemble::active_keys(&*self.store, self.state.clock.wall_ms())?;
                say(&match active {
                    0 => {
                        "  keys         none yet: make one with `lockgate keys create --name NAME`".to_owned()
                    }
                    n => format!("  keys         {n} active"),
                });
            }
        }
        for warning in &settings.warnings {
            let file = settings.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
            say(&warning.in_file(&file).to_string());
        }
        Ok(())
    }

    /// Serves until SIGTERM or SIGINT; a second one ends it at once.
    fn until_stopped(mut self, settings: &Settings) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut stop, mut hangup) = {
            let _inside = runtime.enter();
            let terminate = signal(SignalKind::terminate())?;
            (Stop { terminate, interrupt: signal(SignalKind::interrupt())? }, signal(SignalKind::hangup())?)
        };
        loop {
            let wake = runtime.block_on(async {
                tokio::select! {
                    () = stop.asked() => Wake::Stop,
                    _ = hangup.recv() => Wake::Reload,
                    () = tokio::time::sleep(EVERY) => Wake::Look,
                }
            });
            // Outside the runtime: a store may wait for its database.
            match wake {
                Wake::Stop => break,
                Wake::Reload => self.reloader.reload(),
                Wake::Look => self.reloader.look(),
            }
        }
        self.state.events.emit(&Event::Draining { in_flight: self.drain.in_flight() });
        let cut_off = runtime.block_on(async {
            tokio::select! {
                cut_off = self.drain.run(NOTICE, settings.config.server.drain) => cut_off,
                () = stop.asked() => self.drain.cut(),
            }
        });
        // The last requests hand their records over as they end; then the writer has them all.
        self.doors.join();
        self.keeper.close();
        self.writer.close();
        // Last: what the others had to say at their end is told as well.
        if let Some(desk) = self.desk.take() {
            desk.close();
        }
        self.state.events.emit(&Event::Stopped { cut_off });
        Ok(())
    }
}

/// What the ledger calls this process: where it runs, and which one there.
fn node_name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", std::process::id())
}

/// What the main thread is woken for.
enum Wake {
    Stop,
    Reload,
    Look,
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn url(scheme: &str, address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("{scheme}://127.0.0.1:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

fn telemetry(config: &lockgate_config::Config, clock: &Arc<dyn Clock>) -> Telemetry {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let level = match config.log.level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    Telemetry::new(format, level, config.log.requests, Box::new(std::io::stderr()), Arc::clone(clock))
}

fn limits(limits: &lockgate_config::Limits) -> Limits {
    Limits {
        body: limits.body.as_len(),
        header: limits.header.as_len(),
        header_timeout: limits.header_timeout,
        body_timeout: limits.body_timeout,
        write_timeout: limits.write_timeout,
        connections: usize::try_from(limits.connections).unwrap_or(usize::MAX),
    }
}

/// A key that opens the door until the process ends. It is never written anywhere.
fn session_key(hasher: &lockgate_store::Hasher, clock: &dyn Clock) -> Result<(Secret, Key), Error> {
    let (secret, hint) = new_key()?;
    let key = Key {
        id: new_key_id()?,
        name: "session".into(),
        hint,
        hash: hasher.hash(secret.expose()),
        created_ms: clock.wall_ms(),
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: std::collections::BTreeMap::new(),
    };
    Ok((secret, key))
}

/// What a key that is made over the network is known by and opens with.
fn fresh_key() -> Result<NewKey, Error> {
    let (secret, hint) = new_key()?;
    Ok(NewKey { id: new_key_id()?, secret, hint })
}

fn new_token() -> Result<Secret, Error> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| {
        Error::gateway(Kind::Internal, "the system has no random source").detail(error.to_string())
    })?;
    Ok(Secret::new(random.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Every stream takes two open files. The soft limit is often 1,024; a process may raise it up to the hard one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it fails the limit stays as it was; `lockgate doctor` says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
