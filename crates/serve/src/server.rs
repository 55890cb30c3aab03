//! Opens the port, takes connections, and stops without losing an answer.

use crate::config::ServeConfig;
use crate::error::{Error, Result};
use crate::event::{Event, Listener};
use crate::http;
use crate::patience::Patient;
use crate::queue::Job;
use crate::reload::{self, Reload};
use crate::scorer;
use crate::shared::Shared;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longest head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// The answer to a connection beyond the limit.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\
    connection: close\r\n\r\n";

/// A server whose port is open, and that does not answer yet.
pub struct Server {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    socket: std::net::TcpListener,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    reloads: (mpsc::Sender<Reload>, mpsc::Receiver<Reload>),
}

/// Tells a running server what to do, from any thread.
#[derive(Clone)]
pub struct Handle {
    stop: watch::Sender<bool>,
    reloads: mpsc::Sender<Reload>,
}

impl Handle {
    /// Has the server answer what is in work and then end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Has the server read the model and the keys again.
    pub fn reload(&self) {
        // A server that has ended has nothing to reload.
        let _ = self.reloads.send(Reload);
    }
}

impl Server {
    /// Opens the port.
    ///
    /// # Errors
    /// An address that is taken, or that other machines can reach while there are no keys; a file
    /// of keys that cannot be used.
    pub fn bind(config: ServeConfig, listener: Listener) -> Result<Self> {
        let host = config.host;
        if !host.is_loopback() && config.api_keys.is_none() && !config.allow_anonymous {
            return Err(Error::Anonymous { host });
        }
        let asked = SocketAddr::new(host, config.port);
        let (shared, jobs) = Shared::new(config, listener)?;
        let listening = |source| Error::Listen { address: asked, source };
        let socket = std::net::TcpListener::bind(asked).map_err(listening)?;
        socket.set_nonblocking(true).map_err(listening)?;
        let address = socket.local_addr().map_err(listening)?;
        let (stop, _) = watch::channel(false);
        let reloads = mpsc::channel();
        Ok(Self { shared: Arc::new(shared), jobs, socket, address, stop, reloads })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn handle(&self) -> Handle {
        Handle { stop: self.stop.clone(), reloads: self.reloads.0.clone() }
    }

    /// Loads the model and answers, until it is told to stop.
    ///
    /// # Errors
    /// The model cannot be loaded.
    pub fn run(self) -> Result<()> {
        let Self { shared, jobs, socket, address, stop, reloads: (_, wishes) } = self;
        shared.tell(Event::Listening {
            address: address.to_string(),
            model: shared.config.model.display().to_string(),
        });
        let scoring = Arc::clone(&shared);
        spawn("scoring thread", move || scorer::run(&jobs, &scoring.metrics))?;
        let (failed, failure) = mpsc::channel();
        let (loading, stopping) = (Arc::clone(&shared), stop.clone());
        spawn("loading thread", move || {
            if let Err(error) = reload::run(&loading, &wishes) {
                let _ = failed.send(error);
                stopping.send_replace(true);
            }
        })?;
        let runtime = runtime()?;
        let outcome = runtime.block_on(serve(&shared, socket, &stop));
        // Does not wait for the work of clients that went away.
        runtime.shutdown_background();
        outcome.map_err(starting("listener"))?;
        // Nothing is sent if the loading thread is only busy.
        failure.try_recv().map_or(Ok(()), Err)
    }
}

fn starting(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Start { what, source }
}

fn spawn(what: &'static str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().name(what.into()).spawn(work);
    thread.map(|_| ()).map_err(starting(what))
}

/// How many requests are parsed and tokenized at a time. More threads than cores would only be in
/// each other's way.
pub fn tokenizing_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(tokenizing_threads())
        .build()
        .map_err(starting("runtime"))
}

/// Takes connections until the server is told to stop, then waits for those that are in work.
async fn serve(
    shared: &Arc<Shared>,
    socket: std::net::TcpListener,
    stop: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    let router = http::router(Arc::clone(shared));
    let mut connections = JoinSet::new();
    let mut stopped = stop.subscribe();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        shared.metrics.connections.store(connections.len() as u64, Relaxed);
        match accepted {
            Ok((stream, _)) if connections.len() >= shared.config.limits.max_connections => {
                // Nothing is in the way of these few bytes. If they do not fit, the client is gone.
                let _ = stream.try_write(FULL);
            }
            Ok((stream, _)) => {
                let (shared, router) = (Arc::clone(shared), router.clone());
                connections.spawn(converse(shared, stream, router, stop.subscribe()));
            }
            Err(error) => {
                // Most likely there are no file descriptors left: others must close first.
                shared.tell(Event::AcceptFailed { reason: error.to_string() });
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    shared.tell(Event::Stopping { in_work: shared.queue.requests() });
    let all = async { while connections.join_next().await.is_some() {} };
    let unanswered = match timeout(shared.config.limits.grace, all).await {
        Ok(()) => 0,
        Err(_) => shared.queue.requests(),
    };
    shared.tell(Event::Stopped { unanswered });
    Ok(())
}

/// Answers the requests of one connection.
async fn converse(
    shared: Arc<Shared>,
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = shared.config.limits;
    // Small answers should not wait for more.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, limits.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        // A client's broken connection is its own affair.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
