//! What is learned somewhere in the process and waited for elsewhere.

use futures::Stream;
use tokio::sync::broadcast;

/// Tells whoever listens.
#[derive(Clone)]
pub struct Feed<T>(broadcast::Sender<T>);

impl<T: Clone + Send + 'static> Feed<T> {
    /// So many are kept for a listener that is slow.
    pub fn keeping(count: usize) -> Self {
        Self(broadcast::channel(count).0)
    }

    /// Tells everybody.
    pub fn tell(&self, news: T) {
        // Nobody listens before the controllers start: they look at everything then.
        let _ = self.0.send(news);
    }

    /// What is told from now on. None: too much to tell.
    pub fn listen(&self) -> impl Stream<Item = Option<T>> + Send + use<T> {
        futures::stream::unfold(self.0.subscribe(), |mut receiver| async move {
            match receiver.recv().await {
                Ok(news) => Some((Some(news), receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((None, receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
    }
}
