//! Foreground, background, and the signals between (AG-042..AG-045, AP-29).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::pid::{self, Running};
use crate::agent::Agent;
use crate::clock;
use crate::config::Config;
use crate::identity;
use crate::layout::Layout;
use crate::logs::AgentLog;
use crate::sys::process::isolate;
use crate::tracking::Tracker;

/// AP-29.
const NOT_RUNNING: u8 = 3;
const RUNNING_TEXT: &str = "The AWS CodeDeploy agent is running as PID";
/// What the daemon tells the process that started it.
const READY: &str = "ready";
const LOCKED: &str = "locked";

/// `run`: in the foreground, logging to standard error.
pub(super) fn run(config: &Config) -> ExitCode {
    let log = AgentLog::to_stderr(config.verbose);
    match serve(config, &log, || {}) {
        Ok(Served::Ended) => ExitCode::SUCCESS,
        Ok(Served::Locked) => {
            eprintln!("error: another agent is running with this PID directory");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `start`: the daemon, which tells when it is ready and then lets go of the terminal.
pub(super) fn run_daemon(config: &Config) -> ExitCode {
    isolate();
    // Away from the terminal and its signals; it fails only for a process that is a leader already.
    let _ = rustix::process::setsid();
    // Away from the directory of whoever started it (AS-107).
    let _ = ["/opt/codedeploy-agent", "/"].iter().find(|home| std::env::set_current_dir(home).is_ok());
    let outcome = config.prepare_directories().map_err(|error| error.to_string()).and_then(|()| {
        let log = AgentLog::to_file(&config.log_dir, &config.program_name, config.verbose)
            .map_err(|error| format!("{}: {error}", config.log_dir.display()))?;
        serve(config, &log, || {
            println!("{READY}");
            let _ = std::io::stdout().flush();
            leave_terminal();
        })
        .inspect_err(|error| log.error(error))
    });
    match outcome {
        Ok(Served::Ended) => ExitCode::SUCCESS,
        Ok(Served::Locked) => {
            println!("{LOCKED}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn leave_terminal() {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

enum Served {
    Ended,
    Locked,
}

/// Takes the lock, builds the agent, runs it until a signal. `ready` is called when it is about to poll.
fn serve(config: &Config, log: &AgentLog, ready: impl FnOnce()) -> Result<Served, String> {
    isolate();
    config.prepare_directories().map_err(|error| error.to_string())?;
    for danger in config.open_to_others() {
        log.warn(danger);
    }
    let lock = config.lock_file();
    let running = Running::take(config).map_err(|error| format!("{}: {error}", lock.display()))?;
    let Some(running) = running else {
        log.info(format_args!("Could not acquire lock on {} - aborting start!", lock.display()));
        return Ok(Served::Locked);
    };
    if config.hardening.disable_core_dumps {
        // The process holds keys. The attribute ends at exec, so scripts keep their own limits (AP-30).
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Unpacking and copying; their threads end soon after, so that an idle agent is small.
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let outcome = runtime.block_on(async {
        // Before anything is promised: a signal from now on is a request to stop.
        let stop = stop_on_signal(log.clone()).map_err(|error| format!("signals: {error}"))?;
        let host = identity::of_this_host(config, log).await.map_err(|error| error.to_string())?;
        let agent = Agent::new(config, host, own_path(), log, stop).map_err(|error| error.to_string())?;
        running.announce().map_err(|error| format!("{}: {error}", config.pid_file().display()))?;
        log.info(format_args!("Started master {} with 1 children", std::process::id()));
        ready();
        agent.run().await;
        log.info("Stopped");
        Ok(Served::Ended)
    });
    // Commands have had their time (AG-045): a thread that hangs in a file system must not hold up the stop. What it was
    // doing is as after a crash.
    runtime.shutdown_background();
    outcome
}

fn stop_on_signal(log: AgentLog) -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
            }
            log.info("Told to stop: no more polls, running commands may finish");
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}

/// This program; the name in `/proc` also works after an update has replaced the file.
fn own_path() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or(link) }
}

/// `start` (AG-043).
pub(super) fn start(config: &Config) -> ExitCode {
    let spawned = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .arg("__daemon")
            .arg("--config-file")
            .arg(std::path::absolute(&config.path)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
    });
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("error: the agent cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut word = String::new();
    if let Some(output) = child.stdout.take() {
        // The daemon closes its end when it is ready or has failed.
        let _ = BufReader::new(output).read_line(&mut word);
    }
    match word.trim() {
        READY => {
            println!("{RUNNING_TEXT} {}", child.id());
            ExitCode::SUCCESS
        }
        LOCKED => ExitCode::SUCCESS,
        // The daemon has said why.
        _ => ExitCode::FAILURE,
    }
}

/// `status` (AG-042).
pub(super) fn status(config: &Config) -> ExitCode {
    if let Some(pid) = pid::running(config) {
        println!("{RUNNING_TEXT} {}", pid.as_raw_nonzero());
        ExitCode::SUCCESS
    } else {
        eprintln!("error: No AWS CodeDeploy agent running");
        ExitCode::from(NOT_RUNNING)
    }
}

/// `stop` (AG-044).
pub(super) fn stop(config: &Config) -> ExitCode {
    println!("Checking first if a deployment is already in progress");
    let Some(pid) = pid::running(config) else {
        println!("Nothing running that could be stopped");
        return ExitCode::SUCCESS;
    };
    let tracker = Tracker::new(&Layout::new(&config.root_dir, &config.ongoing_deployment_tracking));
    if tracker.in_progress(clock::now()) {
        eprintln!("error: A deployment is already in Progress");
        return ExitCode::FAILURE;
    }
    println!("Stopping master {}", pid.as_raw_nonzero());
    if let Err(error) = kill_process(pid, Signal::TERM) {
        eprintln!("error: the agent cannot be stopped: {error}");
        return ExitCode::FAILURE;
    }
    let deadline = Instant::now() + config.kill_agent_max_wait_time;
    while pid::is_alive(pid) {
        if Instant::now() >= deadline {
            eprintln!("error: AWS CodeDeploy agent is still running");
            return ExitCode::FAILURE;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ExitCode::SUCCESS
}

/// `restart`: stop, a second, start (AG-044).
pub(super) fn restart(config: &Config) -> ExitCode {
    let stopped = stop(config);
    if stopped != ExitCode::SUCCESS {
        return stopped;
    }
    std::thread::sleep(Duration::from_secs(1));
    start(config)
}
