//! Ctrl-C: whoever waits gives up, and what was started is taken down on the way out.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Time in which waiting threads can notice the interrupt before the clean-up begins without them.
const GRACE: Duration = Duration::from_secs(5);

/// True if the user has asked to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Relaxed)
}

/// From now on SIGINT and SIGTERM make [`interrupted`] true; if the program hasn't ended soon after, `clean_up` is
/// called and it ends.
pub fn on_interrupt(clean_up: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("signal handling")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        INTERRUPTED.store(true, Relaxed);
        eprintln!("interrupted: cleaning up");
        std::thread::sleep(GRACE);
        clean_up();
        std::process::exit(130);
    })?;
    Ok(())
}
