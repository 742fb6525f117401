//! Whether a run left a process behind.

use std::path::Path;
use std::time::{Duration, Instant};

/// Chromium's helpers end by themselves once it has.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits until no process names `folder` on its command line, and answers with those that still do at the end.
pub async fn ended(folder: &Path) -> Vec<String> {
    let until = Instant::now() + LIMIT;
    loop {
        let left = naming(folder);
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn naming(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&*folder))
        .collect()
}
