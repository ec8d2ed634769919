//! The operator's wish to stop: SIGINT (Ctrl-C) and SIGTERM.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// One expression of that wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Listens for both signals from its creation on, so that none is lost between two waits.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Wish {
    /// The signal's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// What shells report of a process that the signal has ended.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal. Cancel-safe.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Interrupt,
            _ = self.terminate.recv() => Wish::Terminate,
        }
    }
}
