//! The plugin as a process: its exit codes, its signals, its log, and that it never outlives its host.
//!
//! This program has no test harness because it is the plugin too: started with the magic cookie it serves.

#[allow(dead_code, reason = "each test program uses a part")]
mod fake_host;
mod probe;

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use landfast_sdk::{Options, PluginKind, launched_as};
use rustix::process::{Pid, Signal, kill_process};

use self::{
    fake_host::{FakeHost, Handshake, Store},
    probe::Probe,
};

/// Set in a process that starts the plugin and goes away.
const PARENT: &str = "PROCESS_TEST_PARENT";
/// How many threads the plugin asks for.
const THREADS: &str = "PROCESS_TEST_THREADS";

fn main() -> ExitCode {
    if env::var_os(PARENT).is_some() {
        return go_away();
    }
    if launched_as() == Some(PluginKind::Secret) {
        let threads = env::var(THREADS).ok().and_then(|text| text.parse().ok());
        let options = Options::default();
        return landfast_sdk::serve::<Probe>(match threads {
            Some(threads) => options.threads(threads),
            None => options,
        });
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    by_hand_it_explains_itself();
    an_old_protocol_ends_it_at_once();
    a_socket_path_that_is_too_long_is_explained();
    runtime.block_on(it_logs_panics_ignores_interrupts_and_ends_in_order());
    runtime.block_on(it_ends_on_terminate_and_removes_its_socket());
    it_has_the_threads_that_are_asked_for();
    runtime.block_on(it_ends_when_its_host_is_killed());
    it_ends_when_its_parent_is_gone_before_anybody_connected();
    println!("8 tests passed");
    ExitCode::SUCCESS
}

/// A plugin process and the first line of its output.
struct Plugin {
    child: Child,
    stdout: BufReader<ChildStdout>,
    line: String,
}

impl Plugin {
    fn start(host: &FakeHost) -> Self {
        let mut child = command(host).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Self {
            child,
            stdout,
            line,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the end; returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, Vec<serde_json::Value>) {
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        let code = self.child.wait().unwrap().code();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "nothing but the handshake on stdout");
        (code, log_lines(&log))
    }
}

fn command(host: &FakeHost) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .envs(host.environment(PluginKind::Secret))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Every line must be one that the host can take.
fn log_lines(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        for name in ["@level", "@message", "@timestamp"] {
            assert!(line[name].is_string(), "{line}");
        }
        line
    });
    lines.collect()
}

/// Those that answer; one looks after the process.
fn it_has_the_threads_that_are_asked_for() {
    let host = FakeHost::new();
    for (asked, wanted) in [(None, 2), (Some("1"), 1), (Some("4"), 4)] {
        let mut command = command(&host);
        command.envs(asked.map(|asked| (THREADS, asked)));
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let names = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
            let names =
                tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
            names
                .filter(|name| name.as_ref().is_ok_and(|name| name.starts_with("tokio")))
                .count()
        };
        let end = Instant::now() + Duration::from_secs(10);
        while names() != wanted {
            assert!(Instant::now() < end, "{} threads, not {wanted}", names());
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

fn by_hand_it_explains_itself() {
    let output = Command::new(env::current_exe().unwrap())
        .env(PARENT, "by hand")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is a plugin"));
}

fn an_old_protocol_ends_it_at_once() {
    let host = FakeHost::new();
    let output = command(&host)
        .env("PLUGIN_PROTOCOL_VERSIONS", "3,4")
        .env_remove("PLUGIN_CLIENT_CERT")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let log = log_lines(&String::from_utf8(output.stderr).unwrap());
    assert!(log[0]["@message"].as_str().unwrap().contains("3,4"));
}

fn a_socket_path_that_is_too_long_is_explained() {
    let host = FakeHost::new();
    let long = host.dir.path().join("x".repeat(100));
    std::fs::create_dir(&long).unwrap();
    let output = command(&host).env("TMPDIR", &long).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let log = log_lines(&String::from_utf8(output.stderr).unwrap());
    assert!(log[0]["@message"].as_str().unwrap().contains("107"));
}

async fn it_logs_panics_ignores_interrupts_and_ends_in_order() {
    let host = FakeHost::new();
    let plugin = Plugin::start(&host);
    let handshake = Handshake::parse(&plugin.line);
    let connection = host.connect(&handshake).await;
    let mount = host
        .mount(&handshake, &connection, 1, &Store::openbao())
        .await;

    kill_process(plugin.pid(), Signal::INT).unwrap();
    mount.request("read", "panic", "null").await.unwrap();
    kill_process(plugin.pid(), Signal::INT).unwrap();
    assert_eq!(mount.data("read", "self").await["uuid"], "uuid-1");

    let began = Instant::now();
    connection.shut_down().await.unwrap();
    drop((connection, mount));
    let (code, log) = plugin.end();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(code, Some(0));
    assert!(!handshake.path.exists());
    let panic = log.iter().find(|line| line["@module"] == "panic").unwrap();
    assert_eq!(panic["@level"], "error");
    assert_eq!(
        panic["@message"],
        "panicked: told to \"panic\"\\non two lines"
    );
    assert!(panic["location"].as_str().unwrap().contains("probe"));
}

async fn it_ends_on_terminate_and_removes_its_socket() {
    let host = FakeHost::new();
    let plugin = Plugin::start(&host);
    let handshake = Handshake::parse(&plugin.line);
    let _connection = host.connect(&handshake).await;
    kill_process(plugin.pid(), Signal::TERM).unwrap();
    assert_eq!(plugin.end().0, Some(0));
    assert!(!handshake.path.exists());
}

async fn it_ends_when_its_host_is_killed() {
    let host = FakeHost::new();
    let plugin = Plugin::start(&host);
    let handshake = Handshake::parse(&plugin.line);
    let connection = host.connect(&handshake).await;
    // The kernel closes the sockets of a process that is killed; nobody says goodbye.
    drop(connection);
    assert_eq!(plugin.end().0, Some(0));
    assert!(!handshake.path.exists());
}

/// Starts the plugin through a process that ends right after, without a connection.
fn it_ends_when_its_parent_is_gone_before_anybody_connected() {
    let host = FakeHost::new();
    let output = command(&host).env(PARENT, "go away").output().unwrap();
    // The output ends when the last process that holds the pipes does: the plugin has ended.
    let handshake = Handshake::parse(&String::from_utf8(output.stdout).unwrap());
    assert!(!handshake.path.exists());
}

/// The process between: it serves as the plugin's parent until the plugin is up.
#[allow(clippy::zombie_processes, reason = "the plugin outlives this process")]
fn go_away() -> ExitCode {
    if launched_as().is_none() {
        return landfast_sdk::serve::<Probe>(Options::default());
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .env_remove(PARENT)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    print!("{line}");
    ExitCode::SUCCESS
}
