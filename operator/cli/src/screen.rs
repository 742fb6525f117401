//! A screen of text: tables whose columns line up and never wrap, and sentences that are broken between words. Pure.
//!
//! Styles are always written; the stream that it is printed to takes them out where they aren't wanted.

use anstyle::{AnsiColor, Style};
use tidewatch_prober::readable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Narrowest screen that is laid out; a narrower terminal wraps.
const NARROWEST: usize = 40;
/// Width to which any column is cut on the narrowest screens.
const LEAST: usize = 4;
/// Room between two columns.
const GAP: usize = 2;

/// State of a shown thing, which gives it its sign and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    Bad,
    Warning,
    Unknown,
    Good,
    /// Neither good nor bad.
    Plain,
}

impl Tone {
    /// A sign that tells the tones apart without colour.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Bad => "✗",
            Self::Warning => "!",
            Self::Unknown => "?",
            Self::Good => "✓",
            Self::Plain => " ",
        }
    }

    pub(crate) fn style(self) -> Style {
        match self {
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Unknown => AnsiColor::Magenta.on_default(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Plain => Style::new(),
        }
    }
}

/// Treatment of a column where the screen is too narrow for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It stays as it is, as long as there is another way.
    Keep,
    /// Its texts are cut, but not below this width.
    Cut(usize),
    /// It is left out, those with the highest number first.
    Drop(u8),
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub title: &'static str,
    pub fit: Fit,
}

/// The text of one place in a table, with what came from the cluster made harmless.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), style: Style::new() }
    }

    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { style: tone.style(), ..Self::new(text) }
    }
}

/// A line of a table, and a sentence below it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub tone: Tone,
    pub cells: Vec<Cell>,
    pub note: Option<String>,
}

/// Text from the cluster as it may be shown: in one line, with control characters escaped.
pub(crate) fn plain(text: &str) -> String {
    readable(text.as_bytes())
}

/// `text` in at most `width` columns, with … where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// The text that will be printed, line by line.
#[derive(Debug)]
pub(crate) struct Screen {
    width: usize,
    text: String,
}

impl Screen {
    pub(crate) fn new(width: usize) -> Self {
        Self { width: width.max(NARROWEST), text: String::new() }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A heading, with how many there are of what follows or another remark beside it.
    pub(crate) fn heading(&mut self, title: &str, remark: &str) {
        let bold = Style::new().bold();
        let room = self.width.saturating_sub(title.width() + GAP);
        let remark = cut(&plain(remark), room);
        let space = if remark.is_empty() { "" } else { "  " };
        self.text.push_str(&format!("{bold}{title}{bold:#}{space}{remark}\n"));
    }

    /// A sentence with a sign before it, broken between words.
    pub(crate) fn signed(&mut self, tone: Tone, sentence: &str) {
        self.after_sign(tone, sentence, 0);
    }

    /// The same as an item of a list.
    pub(crate) fn item(&mut self, tone: Tone, sentence: &str) {
        self.after_sign(tone, sentence, 2);
    }

    fn after_sign(&mut self, tone: Tone, sentence: &str, indent: usize) {
        let style = tone.style();
        let text = self.filled(sentence, indent + 2);
        self.text.push_str(&format!("{:indent$}{style}{}{style:#} {text}\n", "", tone.sign()));
    }

    /// A sentence broken between words, each line indented.
    pub(crate) fn sentence(&mut self, sentence: &str, indent: usize) {
        let text = self.filled(sentence, indent);
        self.text.push_str(&format!("{:indent$}{text}\n", ""));
    }

    /// A sentence after a word that says what it is, such as `Do:`, whose lines stand below one another.
    pub(crate) fn labelled(&mut self, label: &str, sentence: &str, indent: usize, room: usize) {
        let dim = Style::new().dimmed();
        let text = self.filled(sentence, indent + room);
        self.text.push_str(&format!("{:indent$}{dim}{label:room$}{dim:#}{text}\n", ""));
    }

    fn filled(&self, sentence: &str, indent: usize) -> String {
        let below = " ".repeat(indent);
        let width = self.width.saturating_sub(indent).max(NARROWEST / 2);
        // Names and links have hyphens that a copy must keep together.
        let options = textwrap::Options::new(width)
            .break_words(true)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(&plain(sentence), options).join(&format!("\n{below}"))
    }

    /// A table. Its first column is the tone's sign.
    pub(crate) fn table(&mut self, columns: &[Column], rows: &[Row]) {
        let widths = widths(columns, rows, self.width.saturating_sub(4));
        let dim = Style::new().dimmed();
        if columns.iter().any(|column| !column.title.is_empty()) {
            let titles: Vec<Cell> =
                columns.iter().map(|column| Cell { text: column.title.to_owned(), style: dim }).collect();
            self.line("    ", &titles, &widths);
        }
        for row in rows {
            let style = row.tone.style();
            self.line(&format!("  {style}{}{style:#} ", row.tone.sign()), &row.cells, &widths);
            if let Some(note) = &row.note {
                self.sentence(note, 6);
            }
        }
    }

    fn line(&mut self, before: &str, cells: &[Cell], widths: &[Option<usize>]) {
        let mut line = before.to_owned();
        let mut owed = 0;
        for (cell, width) in cells.iter().zip(widths) {
            let Some(width) = *width else { continue };
            let text = cut(&cell.text, width);
            let style = cell.style;
            if !text.is_empty() {
                line.push_str(&" ".repeat(owed));
                line.push_str(&format!("{style}{text}{style:#}"));
                owed = 0;
            }
            // Spaces are owed until something follows, so that no line ends in one.
            // A text may be wider than its characters together, such as with U+FE0F, and so wider than it was cut to.
            owed += width.saturating_sub(text.width()) + GAP;
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// The width of each column in a screen with this much room; none for a column that is left out.
fn widths(columns: &[Column], rows: &[Row], room: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let longest = rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| cell.text.width()).max();
            // A column that nobody fills takes no room.
            longest.filter(|width| *width > 0).map(|width| width.max(column.title.width()))
        })
        .collect();
    while needed(&widths) > room {
        let excess = needed(&widths) - room;
        if !narrowed(columns, &mut widths, excess) {
            break;
        }
    }
    widths
}

fn needed(widths: &[Option<usize>]) -> usize {
    let shown: Vec<usize> = widths.iter().flatten().copied().collect();
    shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1)
}

/// Leaves a column out, or else cuts the widest one. False where no column can be narrowed further.
fn narrowed(columns: &[Column], widths: &mut [Option<usize>], excess: usize) -> bool {
    let to_drop = columns.iter().enumerate().filter_map(|(at, column)| match column.fit {
        Fit::Drop(order) => Some((order, at)),
        Fit::Keep | Fit::Cut(_) => None,
    });
    let to_drop = to_drop.filter(|(_, at)| widths.get(*at).is_some_and(Option::is_some)).max();
    if let Some((_, at)) = to_drop {
        widths.iter_mut().skip(at).take(1).for_each(|width| *width = None);
        return true;
    }
    // Columns with Fit::Keep are cut too where nothing else is left to narrow.
    let cut_to = |least_of: fn(Fit) -> Option<usize>, widths: &mut [Option<usize>]| {
        let cuttable = columns.iter().zip(widths.iter_mut()).filter_map(|(column, width)| {
            let (width, least) = (width.as_mut()?, least_of(column.fit)?);
            let spare = width.saturating_sub(least);
            (spare > 0).then_some((width, spare))
        });
        let Some((width, spare)) = cuttable.max_by_key(|(width, _)| **width) else { return false };
        // Little by little, so that two long columns share what is missing.
        *width -= spare.min(excess).min(4);
        true
    };
    let named = |fit| match fit {
        Fit::Cut(least) => Some(least),
        Fit::Keep | Fit::Drop(_) => None,
    };
    cut_to(named, widths) || cut_to(|_| Some(LEAST), widths)
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
