//! The service whose users the plugin leases: the truth of who exists, outside of the server, and the place where the plugin is killed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Where in a call to the service something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// It has come, and is done and answered only after what happens.
    Held,
    /// It has come, and nothing is done: nor will it be.
    Before,
    /// It is done, and not answered.
    After,
    /// It was answered so long ago.
    Answered(Duration),
}

/// What shall happen at a call.
struct Plan {
    method: &'static str,
    /// With which the user's name begins.
    name: String,
    when: When,
    strike: Box<dyn FnOnce() + Send>,
    struck: Sender<()>,
}

#[derive(Clone)]
pub(super) struct Service(Arc<Shared>);

struct Shared {
    url: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: BTreeSet<String>,
    plan: Option<Plan>,
    /// Questions for its health wait, and tell when who asked has gone.
    waits: Option<(Sender<()>, Sender<()>)>,
}

impl Service {
    /// Serves until the test program ends.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let service = Self(Arc::new(Shared {
            url: format!("http://{address}"),
            state: Mutex::default(),
        }));
        let serving = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // Whoever was killed has closed the connection.
                thread::spawn(move || drop(serving.answer(&stream)));
            }
        });
        service
    }

    pub(super) fn url(&self) -> &str {
        &self.0.url
    }

    pub(super) fn users(&self) -> BTreeSet<String> {
        self.state().users.clone()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.state().users.contains(name)
    }

    /// Has something happen at the next call with this method of a user whose name begins so. The receiver hears when it has.
    pub(super) fn plan(
        &self,
        method: &'static str,
        name: impl Into<String>,
        when: When,
        strike: impl FnOnce() + Send + 'static,
    ) -> Receiver<()> {
        let (struck, hears) = channel();
        self.state().plan = Some(Plan {
            method,
            name: name.into(),
            when,
            strike: Box::new(strike),
            struck,
        });
        hears
    }

    /// Has the next question for its health wait: the receivers hear that it has come, and that who asked has gone.
    pub(super) fn hang(&self) -> (Receiver<()>, Receiver<()>) {
        let ((came, comes), (went, goes)) = (channel(), channel());
        self.state().waits = Some((came, went));
        (comes, goes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic under the lock")
    }

    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let (method, path) = read(stream)?;
        if path == "/health" {
            let waits = self.state().waits.take();
            if let Some((came, went)) = waits {
                let _ = came.send(());
                // Nothing more is sent: this is the end of the connection.
                let _ = stream.read(&mut [0]);
                let _ = went.send(());
                return Ok(());
            }
        }
        let name = path.strip_prefix("/users/").unwrap_or_default();
        let planned = |plan: &mut Plan| method == plan.method && name.starts_with(&plan.name);
        let plan = self.state().plan.take_if(planned);
        let when = plan.as_ref().map(|plan| plan.when);
        let strike = move || {
            if let Some(plan) = plan {
                (plan.strike)();
                let _ = plan.struck.send(());
            }
        };
        let mut strike = Some(strike);
        let mut strike = || strike.take().map_or((), |strike| strike());
        if matches!(when, Some(When::Before | When::Held)) {
            strike();
        }
        if when == Some(When::Before) {
            return Ok(());
        }
        let found = match &*method {
            "PUT" => self.state().users.insert(name.to_owned()),
            "DELETE" => self.state().users.remove(name),
            _ => true,
        };
        if when == Some(When::After) {
            strike();
            return Ok(());
        }
        let status = if found {
            "204 No Content"
        } else {
            "404 Not Found"
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        if let Some(When::Answered(ago)) = when {
            thread::sleep(ago);
            strike();
        }
        Ok(())
    }
}

/// Method and path of a request, which is read to its end.
fn read(stream: &TcpStream) -> std::io::Result<(String, String)> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim().to_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or_default();
        }
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    Ok((method.unwrap_or_default(), path.unwrap_or_default()))
}
