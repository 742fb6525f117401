//! Files that grow by whole zstd frames; the oldest are deleted when all of them exceed a limit. A process that is
//! stopped while it writes leaves a truncated frame at a file's end, and begins a new file after its restart.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;

/// zstd's compression level, which compresses flow records to about a fifteenth.
const LEVEL: i32 = 3;
/// Number of full files that make up the limit: a file is full at this fraction of it.
const FILES: u64 = 16;
const SUFFIX: &str = ".jsonl.zst";

pub(super) struct Files {
    directory: PathBuf,
    most_bytes: u64,
    /// The file of each series that is being written.
    open: BTreeMap<String, Segment>,
}

struct Segment {
    name: String,
    file: File,
    bytes: u64,
}

impl Files {
    pub(super) fn new(directory: PathBuf, most_bytes: u64) -> Self {
        Self { directory, most_bytes, open: BTreeMap::new() }
    }

    /// Appends the output of `text` to `series` as one frame. A file is named after the window that it begins with.
    pub(super) fn append(
        &mut self,
        series: &str,
        start: Timestamp,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        text(&mut encoder)?;
        let frame = encoder.finish()?;
        let full = self.most_bytes / FILES;
        let mut segment = match self.open.remove(series).filter(|segment| segment.bytes < full) {
            Some(segment) => segment,
            None => self.begin(series, start)?,
        };
        // After a failure the file may end within a frame: it isn't added to any more.
        segment.file.write_all(&frame)?;
        segment.bytes += frame.len() as u64;
        self.open.insert(series.to_owned(), segment);
        Ok(())
    }

    fn begin(&self, series: &str, start: Timestamp) -> io::Result<Segment> {
        fs::create_dir_all(&self.directory)?;
        let name = format!("{series}-{}{SUFFIX}", start.strftime("%Y%m%dT%H%M%SZ"));
        let file = File::create_new(self.directory.join(&name))?;
        Ok(Segment { name, file, bytes: 0 })
    }

    /// Removes the oldest files, those of earlier processes included, until the rest is within the limit.
    pub(super) fn expire(&self) -> io::Result<()> {
        let open: BTreeSet<&str> = self.open.values().map(|segment| segment.name.as_str()).collect();
        let (mut held, mut total) = (BTreeMap::new(), 0);
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(begun) = name.to_str().and_then(begun) else { continue };
            let bytes = entry.metadata()?.len();
            total += bytes;
            if !name.to_str().is_some_and(|name| open.contains(name)) {
                held.insert((begun.to_owned(), name), bytes);
            }
        }
        while total > self.most_bytes {
            let Some(((_, name), bytes)): Option<((String, OsString), u64)> = held.pop_first() else { break };
            fs::remove_file(self.directory.join(name))?;
            total -= bytes;
        }
        Ok(())
    }
}

/// The start in the name of a file; `None` if the file isn't a recording.
fn begun(name: &str) -> Option<&str> {
    let series_and_start = name.strip_suffix(SUFFIX)?;
    let ours = ["windows-", "verdicts-"].iter().any(|prefix| series_and_start.starts_with(prefix));
    Some(series_and_start.rsplit_once('-')?.1).filter(|_| ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_348_800 + second).unwrap()
    }

    /// Text that doesn't get shorter by compression.
    fn noise(seed: i64, bytes: usize) -> Vec<u8> {
        let mut state = seed.unsigned_abs() + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn names(files: &Files) -> Vec<String> {
        let entries = fs::read_dir(&files.directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn bytes(files: &Files) -> u64 {
        names(files).iter().map(|name| fs::metadata(files.directory.join(name)).unwrap().len()).sum()
    }

    #[test]
    fn the_oldest_files_go_and_only_ours() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("verdicts-15s-Standard-20200101T000000Z.jsonl.zst"), noise(1, 900))
            .unwrap();
        for other in ["notes.txt", "other-20200101T000000Z.jsonl.zst"] {
            fs::write(folder.path().join(other), noise(2, 9_000)).unwrap();
        }
        let mut files = Files::new(folder.path().to_owned(), 16_000);
        for window in 0..100 {
            files.append("windows-15s", at(window * 15), |out| out.write_all(&noise(window, 500))).unwrap();
            files.append("verdicts-15s-Standard", at(window * 15), |out| out.write_all(b"{}\n")).unwrap();
            files.expire().unwrap();
            assert!(bytes(&files) <= 16_000 + 18_000, "window {window}: {}", bytes(&files));
        }
        let left = names(&files);
        assert!(
            left.contains(&"notes.txt".to_owned())
                && left.contains(&"other-20200101T000000Z.jsonl.zst".to_owned())
        );
        let windows: Vec<&String> = left.iter().filter(|name| name.starts_with("windows-15s-")).collect();
        assert!((12..=16).contains(&windows.len()), "{left:?}");
        // Two frames make a file of 1,000 bytes full.
        assert_eq!(windows.last().unwrap().as_str(), "windows-15s-20261122T122430Z.jsonl.zst");
        assert!(!left.contains(&"verdicts-15s-Standard-20200101T000000Z.jsonl.zst".to_owned()), "{left:?}");
    }

    #[test]
    fn who_comes_back_begins_a_new_file_and_changes_none() {
        let folder = tempfile::tempdir().unwrap();
        let append = |second| {
            let mut files = Files::new(folder.path().to_owned(), 1 << 20);
            files.append("windows-15s", at(second), |out| out.write_all(b"a line\n"))
        };
        append(0).unwrap();
        append(15).unwrap();
        assert_eq!(append(15).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let files = Files::new(folder.path().to_owned(), 1 << 20);
        assert_eq!(names(&files).len(), 2);
    }
}
