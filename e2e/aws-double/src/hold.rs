//! Calls that are held on their way, until they are let go or forgotten: for whoever wants to know what becomes of a
//! caller that ends while its call is under way.

use tokio::sync::oneshot;

/// Told when what was let go is done.
type Done = oneshot::Sender<()>;

/// The calls that are held.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    waiting: Vec<oneshot::Sender<Done>>,
}

/// One of them, as its connection sees it.
#[derive(Debug)]
pub(crate) struct Hold(oneshot::Receiver<Done>);

impl Holds {
    pub(crate) fn hold(&mut self) -> Hold {
        let (go, going) = oneshot::channel();
        self.waiting.push(go);
        Hold(going)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets all go; each of these ends when one of them is done.
    pub(crate) fn let_go(&mut self) -> Vec<oneshot::Receiver<()>> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting
            .filter_map(|go| {
                let (done, ended) = oneshot::channel();
                go.send(done).ok().map(|()| ended)
            })
            .collect()
    }

    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }
}

impl Hold {
    /// Until it is let go: then with whom to tell that it is done. None if it is forgotten.
    pub(crate) async fn until_let_go(self) -> Option<Done> {
        self.0.await.ok()
    }
}
