//! [`Queries`]: which questions the database was asked, told by the spans of its room.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Once;

use tracing::span::{Attributes, Id};
use tracing::subscriber::{Subscriber, set_global_default};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Notes the questions of this thread. A test that runs a server in the runtime of one thread sees all of its.
pub struct Queries(PhantomData<*const ()>);

thread_local! {
    static ASKED: RefCell<Option<Vec<&'static str>>> = const { RefCell::new(None) };
}

impl Queries {
    /// Listens from now on.
    pub fn listen() -> Self {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let questions = Asked.with_filter(filter_fn(|span| span.name().starts_with("db.")));
            set_global_default(tracing_subscriber::registry().with(questions)).unwrap();
        });
        ASKED.set(Some(Vec::new()));
        Self(PhantomData)
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<&'static str> {
        ASKED.replace(Some(Vec::new())).unwrap_or_default()
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        ASKED.set(None);
    }
}

struct Asked;

impl<S: Subscriber> Layer<S> for Asked {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        ASKED.with_borrow_mut(|asked| {
            if let Some(asked) = asked {
                asked.push(span.metadata().name());
            }
        });
    }
}
