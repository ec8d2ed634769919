//! The `commonroom` program.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use commonroom::compose::{self, Outcome, Progress};
use commonroom::config::{Config, ConfigError, Format, Log};
use commonroom::gateway::Gateway;
use commonroom::probe;
use commonroom::recording::{self, RecoverError};
use commonroom::shutdown::Signals;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Read if it is there and no other is named.
const DEFAULT_FILE: &str = "config/commonroom.toml";
const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Puts browsers over WebRTC, OBS, ffmpeg and other RTMP clients into one live room.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server until Ctrl-C; what happens without a command.
    Serve(Options),
    /// Reads the configuration and explains what it comes to.
    Check {
        #[command(flatten)]
        options: Options,
        /// Prints only the effective value of one key, such as rtmp.listen, or of a section, such as rtmp.
        #[arg(long, value_name = "KEY")]
        print: Option<String>,
    },
    /// Makes one film of a recorded session, with FFmpeg.
    ///
    /// Everybody has a tile while they are there, with the name, and chapters begin where somebody comes or goes. The
    /// session may be aligned or not; recordings that are missing or broken are left out with a warning. It takes some
    /// tenths of the session's duration.
    Compose(compose::Options),
    /// Says what a file or a live stream is like, with ffprobe.
    ///
    /// Codecs, sizes, rates, B-frames, keyframes, how sound and picture lie against each other, gaps, and what all that
    /// means. Nothing is decoded, so a file of hours takes seconds.
    Probe(probe::Options),
    /// Completes recordings that were interrupted: by a crash, a kill, a power cut.
    ///
    /// A server does so by itself when it starts; this is for folders that no server looks after any more. Each file is cut
    /// behind its last whole second and gets its index, the manifest is completed or, where it is lost, written anew from
    /// what the files say. What is complete is left alone. Exits with 1 where anything is lost.
    Recover {
        /// A session's folder, or one with sessions in it: a room's, or all recordings.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Options {
    /// The configuration file [default: config/commonroom.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Overrides one option of the file, such as --set rtmp.listen=0.0.0.0:1936; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// A configuration and where it came from; `None`: from nowhere but the flags.
struct Loaded {
    config: Config,
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => serve(&cli.options),
        Some(Command::Serve(options)) => serve(&options),
        Some(Command::Check { options, print }) => {
            check(&options, print.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Compose(options)) => until_signal(async |stop| compose(&options, &stop).await),
        Some(Command::Recover { folder }) => recover(&folder),
        Some(Command::Probe(options)) => until_signal(async |stop| probe(&options, &stop).await),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("commonroom: {}", told(&error));
            let is_usage = error.downcast_ref().is_some_and(ConfigError::is_usage)
                || matches!(error.downcast_ref(), Some(compose::Error::Manifest(..)))
                || matches!(
                    error.downcast_ref(),
                    Some(RecoverError::Folder { .. } | RecoverError::NoSession(_))
                );
            ExitCode::from(if is_usage { USAGE } else { FAILED })
        }
    }
}

/// An error with its causes, each once: some say theirs themselves.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn serve(options: &Options) -> anyhow::Result<ExitCode> {
    let Loaded { config, file } = load(options)?;
    init_logs(&config.log);
    match file {
        Some(file) => info!(file = %file.display(), "configuration"),
        None => info!("no {DEFAULT_FILE} here: every option has its default"),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the tokio runtime does not start")?;
    let end = runtime.block_on(run(config));
    // What still runs had its time, or a second signal took it.
    runtime.shutdown_background();
    end
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("signals cannot be handled")?;
    let gateway = Gateway::start(config)?;
    let stop = CancellationToken::new();
    let mut serving = std::pin::pin!(gateway.run(stop.clone()));
    tokio::select! {
        () = serving.as_mut() => return Ok(ExitCode::SUCCESS),
        wish = signals.next() => info!(signal = wish.as_str(), "shutting down; once more to exit at once"),
    }
    stop.cancel();
    tokio::select! {
        () = serving => Ok(ExitCode::SUCCESS),
        wish = signals.next() => {
            warn!(signal = wish.as_str(), "exiting at once");
            Ok(ExitCode::from(wish.exit_code()))
        }
    }
}

async fn compose(options: &compose::Options, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let outcome = compose::run(options, stop, |note| progress.show(note)).await;
    progress.finish();
    match outcome? {
        Outcome::Composed(film) => eprintln!("{} is there", film.display()),
        Outcome::Command(command) => print!("{command}"),
    }
    Ok(())
}

async fn probe(options: &probe::Options, stop: &CancellationToken) -> anyhow::Result<()> {
    let report = probe::run(options, stop).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn recover(folder: &Path) -> anyhow::Result<ExitCode> {
    let reports = recording::recover(folder)?;
    reports.iter().for_each(|report| print!("{report}"));
    let is_bad = reports.iter().any(recording::Report::is_bad);
    Ok(if is_bad { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// Runs a command that ends by itself, or in an orderly way at the first signal, with the exit code of that.
fn until_signal(
    command: impl AsyncFnOnce(CancellationToken) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the tokio runtime does not start")?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("signals cannot be handled")?;
        let stop = CancellationToken::new();
        let mut running = std::pin::pin!(command(stop.clone()));
        let wish = tokio::select! {
            ended = running.as_mut() => return ended.map(|()| ExitCode::SUCCESS),
            wish = signals.next() => wish,
        };
        stop.cancel();
        if let Err(error) = running.await {
            eprintln!("commonroom: {}", told(&error));
        }
        Ok(ExitCode::from(wish.exit_code()))
    })
}

fn check(options: &Options, print: Option<&str>) -> anyhow::Result<()> {
    let Loaded { config, file } = load(options)?;
    match print {
        Some(key) => println!("{}", config.get(key)?),
        None => {
            match file {
                Some(file) => println!("{} is valid\n", file.display()),
                None => println!("there is no {DEFAULT_FILE} here; these are the built-in defaults\n"),
            }
            print!("{}", config.explain());
        }
    }
    Ok(())
}

fn load(options: &Options) -> Result<Loaded, ConfigError> {
    match &options.config {
        Some(file) => Ok(Loaded { config: Config::load(file, &options.set)?, file: Some(file.clone()) }),
        None if Path::new(DEFAULT_FILE).exists() => Ok(Loaded {
            config: Config::load(Path::new(DEFAULT_FILE), &options.set)?,
            file: Some(DEFAULT_FILE.into()),
        }),
        None => Ok(Loaded { config: Config::parse("", Path::new(DEFAULT_FILE), &options.set)?, file: None }),
    }
}

fn init_logs(log: &Log) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(log.level.to_env_filter())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        Format::Text => logs.init(),
        Format::Json => logs.json().flatten_event(true).init(),
    }
}
