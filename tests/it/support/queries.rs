//! [`Queries`]: which questions the database was asked, told by the spans of its room.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Once;

use tracing::span::{Attributes, Id};
use tracing::subscriber::{Subscriber, set_global_default};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::work;

/// Notes the questions of this thread. A test that runs a server in the runtime of one thread sees all of its.
pub struct Queries(PhantomData<*const ()>);

thread_local! {
    static ASKED: RefCell<Option<Vec<&'static str>>> = const { RefCell::new(None) };
}

impl Queries {
    /// Listens from now on.
    pub fn listen() -> Self {
        install();
        ASKED.set(Some(Vec::new()));
        Self(PhantomData)
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<&'static str> {
        ASKED.replace(Some(Vec::new())).unwrap_or_default()
    }
}

/// Installs what listens for all tests of this process: a process has one subscriber.
pub fn install() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let questions = Asked.with_filter(filter_fn(|span| span.is_span() && span.name().starts_with("db.")));
        let amounts = work::Reported.with_filter(filter_fn(work::is_reported));
        set_global_default(tracing_subscriber::registry().with(questions).with(amounts)).unwrap();
    });
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
