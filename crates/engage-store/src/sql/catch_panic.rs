//! A defect in one piece of work ends that work, and not the thread of the store.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::StoreError;

/// Fails with [`StoreError::Panicked`] where `work` panics.
pub(super) async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, StoreError> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // It is not polled again; a transaction that it had begun is rolled back.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(thrown) => Poll::Ready(Err(panicked(&*thrown))),
        }
    })
    .await
}

pub(super) fn panicked(thrown: &(dyn Any + Send)) -> StoreError {
    let text = thrown.downcast_ref::<&str>().copied();
    let text = text.or_else(|| thrown.downcast_ref::<String>().map(String::as_str));
    StoreError::Panicked {
        message: text.unwrap_or("no message").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_and_comes_back_with_its_message() {
        assert_eq!(catch_panic(async { 1 }).await.unwrap(), 1);
        let failed = catch_panic(async {
            tokio::task::yield_now().await;
            panic!("row {}", 7)
        });
        let failed: Result<(), _> = failed.await;
        let text = failed.unwrap_err().to_string();
        assert_eq!(text, "the device store panicked: row 7");
    }
}
