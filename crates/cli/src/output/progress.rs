//! How far something is: a bar on a terminal, a line for each tenth elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::{note, number};

/// Something that takes a while.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; `terminal` says whether a bar can be drawn.
    pub(crate) fn start(what: &'static str, total: u64, terminal: bool) -> Self {
        let style = ProgressStyle::with_template("  {msg:22} {bar:40} {human_pos}/{human_len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = terminal.then(|| ProgressBar::new(total).with_style(style).with_message(what));
        if bar.is_none() {
            note(format!("  {what}: {}", text(total)));
        }
        Self {
            what,
            total,
            done: AtomicU64::new(0),
            bar,
        }
    }

    /// `n` more are done.
    pub(crate) fn advance(&self, n: usize) {
        let n = n as u64;
        let before = self.done.fetch_add(n, Ordering::Relaxed);
        self.show(before, before + n);
    }

    /// So many are done.
    pub(crate) fn set(&self, done: u64) {
        let before = self.done.swap(done, Ordering::Relaxed);
        self.show(before, done);
    }

    fn show(&self, before: u64, now: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_position(now);
        }
        let tenth = |done: u64| (done.min(self.total) * 10).checked_div(self.total).unwrap_or(10);
        if tenth(now) > tenth(before) {
            note(format!("  {}: {} of {}", self.what, text(now), text(self.total)));
        }
    }

    /// It is over.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

fn text(n: u64) -> String {
    number::count(i64::try_from(n).unwrap_or(i64::MAX))
}
