//! A clock that is seldom set: most deadlines are pushed on and never reached, and to set one costs more than to look at it once
//! more than needed (Tokio wakes its own thread for each that is sooner than those before it).

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep};

/// See the module. It may fire too soon: whoever waits for it looks at the time.
pub(super) type Timer = Pin<Box<Sleep>>;

/// The clock, set so that it fires at this time or sooner. It is made when something is first waited for.
pub(super) fn set(timer: &mut Option<Timer>, wake: Instant) -> &mut Timer {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
    if timer.deadline() > wake || timer.is_elapsed() {
        timer.as_mut().reset(wake);
    }
    timer
}

/// Awaits this until a deadline; `None`: that has passed.
pub(super) async fn by<T>(
    deadline: Instant,
    timer: &mut Option<Timer>,
    mut doing: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    if let Poll::Ready(done) = futures::poll!(&mut doing) {
        return Some(done);
    }
    loop {
        tokio::select! { biased;
            done = &mut doing => return Some(done),
            () = set(timer, deadline) => if Instant::now() >= deadline { return None },
        }
    }
}

/// A time-out whose clock is looked at only if it must be waited. What is done is pinned where it was made: handed over, it
/// would be copied.
pub(super) async fn within<T>(limit: Duration, mut doing: Pin<&mut impl Future<Output = T>>) -> Result<T, Elapsed> {
    match futures::poll!(&mut doing) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(limit, doing).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_fires_sooner_is_left_alone_and_still_the_deadline_counts() {
        let now = Instant::now();
        let mut timer = None;
        assert_eq!(set(&mut timer, now + SECOND).deadline(), now + SECOND);
        assert_eq!(set(&mut timer, now + 9 * SECOND).deadline(), now + SECOND);
        assert_eq!(by(now + 5 * SECOND, &mut timer, pin!(std::future::pending::<()>())).await, None);
        assert_eq!(Instant::now(), now + 5 * SECOND);
        assert_eq!(set(&mut timer, now + 7 * SECOND).deadline(), now + 7 * SECOND);
        assert_eq!(set(&mut timer, now + 6 * SECOND).deadline(), now + 6 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_is_done() {
        let now = Instant::now();
        let mut timer = None;
        assert_eq!(by(now, &mut timer, pin!(std::future::ready(1))).await, Some(1));
        assert!(timer.is_none(), "nothing was waited for");
        let later = async {
            tokio::time::sleep(2 * SECOND).await;
            2
        };
        set(&mut timer, now + SECOND);
        assert_eq!(by(now + 3 * SECOND, &mut timer, pin!(later)).await, Some(2));
    }
}
