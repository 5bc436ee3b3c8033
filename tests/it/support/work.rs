//! [`Work`]: the amounts of work that the server reports in its debug events, for tests of bounds. It measures no time.

use std::cell::RefCell;
use std::marker::PhantomData;

use tracing::field::{Field, Visit};
use tracing::subscriber::Subscriber;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Layer};

use super::queries::install;

/// Notes the amounts of this thread. A test that runs a server in the runtime of one thread sees all of its.
pub struct Work(PhantomData<*const ()>);

/// A reported amount: the name of its field, and how much.
pub type Amount = (&'static str, u64);

thread_local! {
    static NOTED: RefCell<Option<Vec<Amount>>> = const { RefCell::new(None) };
}

impl Work {
    /// Notes amounts from now on.
    pub fn listen() -> Self {
        install();
        NOTED.set(Some(Vec::new()));
        Self(PhantomData)
    }

    /// The amounts of `field` since the last call, in order. All others are forgotten.
    pub fn take(&self, field: &str) -> Vec<u64> {
        let noted = NOTED.replace(Some(Vec::new())).unwrap_or_default();
        noted.into_iter().filter(|(name, _)| *name == field).map(|(_, amount)| amount).collect()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        NOTED.set(None);
    }
}

/// Whether an event reports an amount.
pub fn is_reported(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("symdepot::debug_files")
}

/// Notes what events report.
pub struct Reported;

struct Numbers;

impl<S: Subscriber> Layer<S> for Reported {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Numbers);
    }
}

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, value: u64) {
        NOTED.with_borrow_mut(|noted| {
            if let Some(noted) = noted {
                noted.push((field.name(), value));
            }
        });
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
