//! What somebody at a terminal, or a log, sees meanwhile.

use super::Note;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A bar with the time that is left, or a line for every tenth where there is no terminal.
pub struct Progress {
    shown: Shown,
    /// Of the film, in seconds.
    duration: f64,
}

enum Shown {
    Bar(ProgressBar),
    /// The tenth that was last told.
    Lines(u8),
}

const STYLE: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed_precise} gone, {eta_precise} left";
/// Steps of the bar in a second of the film.
const STEPS: f64 = 1000.0;

impl Progress {
    /// On the standard error, so that the standard output is the command of a dry run alone.
    pub fn new() -> Self {
        let shown = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::hidden();
            // The text is ours and right; a plain bar is as good.
            if let Ok(style) = ProgressStyle::with_template(STYLE) {
                bar.set_style(style);
            }
            Shown::Bar(bar)
        } else {
            Shown::Lines(0)
        };
        Self { shown, duration: 0.0 }
    }

    /// Shows one note.
    pub fn show(&mut self, note: Note) {
        match (note, &mut self.shown) {
            (Note::Warning(text), Shown::Bar(bar)) => bar.suspend(|| eprintln!("warning: {text}")),
            (Note::Warning(text), Shown::Lines(_)) => eprintln!("warning: {text}"),
            (Note::Begun(duration), shown) => {
                self.duration = duration;
                match shown {
                    Shown::Bar(bar) => {
                        // `as`: milliseconds of some days.
                        bar.set_length((duration * STEPS) as u64);
                        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                        bar.enable_steady_tick(Duration::from_millis(500));
                    }
                    Shown::Lines(_) => eprintln!("composing {duration:.1} s"),
                }
            }
            (Note::Progress(seconds), Shown::Bar(bar)) => {
                bar.set_position((seconds * STEPS) as u64);
                bar.set_message(format!("{seconds:.0} of {:.0} s", self.duration));
            }
            (Note::Progress(seconds), Shown::Lines(told)) => {
                let tenth = (seconds / self.duration * 10.0) as u8;
                if tenth > *told && tenth < 10 {
                    *told = tenth;
                    eprintln!("{} %: {seconds:.1} of {:.1} s", tenth * 10, self.duration);
                }
            }
        }
    }

    /// Nothing more comes.
    pub fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
