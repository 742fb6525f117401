//! The output for the reader: a timeline, in colour on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub struct Report {
    started: Instant,
    colours: bool,
    /// Where several tell their timelines at the same time: whose line it is.
    lane: Option<&'static str>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    pub fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { started: Instant::now(), colours, lane: None }
    }

    /// The same report, with `lane` in front of each line.
    #[must_use]
    pub fn of_lane(self, lane: &'static str) -> Self {
        Self { lane: Some(lane), ..self }
    }

    /// A step begins.
    pub fn step(&self, text: &str) {
        self.line(&self.paint("1", text));
    }

    /// Something worth knowing within a step.
    pub fn note(&self, text: &str) {
        self.line(&format!("  {}", self.paint("2", text)));
    }

    pub fn right(&self, text: &str, took: Duration) {
        self.line(&format!("  {} {text} {}", self.paint("32;1", "✓"), self.paint("2", &seconds(took))));
    }

    pub fn wrong(&self, text: &str) {
        self.line(&format!("  {} {text}", self.paint("31;1", "✗")));
    }

    pub fn line(&self, text: &str) {
        let lane = self.lane.map(|lane| format!("{lane:>6} ")).unwrap_or_default();
        let at = format!("{lane}{:6.1}s", self.started.elapsed().as_secs_f64());
        println!("{} {text}", self.paint("2", &at));
    }

    pub fn plain(&self, text: &str) {
        println!("{text}");
    }

    pub fn good(&self, text: &str) -> String {
        self.paint("32;1", text)
    }

    pub fn bad(&self, text: &str) -> String {
        self.paint("31;1", text)
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `12.3 s`
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
