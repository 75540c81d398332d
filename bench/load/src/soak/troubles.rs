//! What goes wrong beside strangers, by the second of the minute.

use tokio::time::Instant;

use super::host::SoakedHost;
use super::receiver::WebhookReceiver;
use crate::trouble::Outcome;

/// What is still to come, and when.
pub(super) struct Troubles {
    began: Instant,
    coming: Vec<(u64, Trouble)>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Reload,
    Clock(u32),
    ReceiverDown,
    ReceiverUp,
    DiskFull,
    DiskEmpty,
}

impl Troubles {
    /// None in the first minute.
    pub(super) fn of_minute(number: u32) -> Self {
        let mut coming = Vec::new();
        if number > 0 {
            // Forwards and back, and never before the certificates.
            let ahead = [3600, 90_000, 1800, 0][number as usize % 4];
            coming.extend([
                (5, Trouble::Reload),
                (10, Trouble::Clock(ahead)),
                (12, Trouble::ReceiverDown),
                (24, Trouble::ReceiverUp),
                (25, Trouble::Reload),
            ]);
        }
        if number % 3 == 2 {
            coming.extend([(30, Trouble::DiskFull), (36, Trouble::DiskEmpty)]);
        }
        coming.reverse();
        Self {
            began: Instant::now(),
            coming,
        }
    }

    /// Does what is due.
    pub(super) async fn next(
        &mut self,
        host: &SoakedHost,
        receiver: &WebhookReceiver,
    ) -> Outcome<()> {
        let second = self.began.elapsed().as_secs();
        while let Some((_, trouble)) = self.coming.pop_if(|(at, _)| *at <= second) {
            trouble.begin(host, receiver).await?;
        }
        Ok(())
    }

    /// Whatever was not reached is over.
    pub(super) fn end(host: &SoakedHost, receiver: &WebhookReceiver) -> Outcome<()> {
        receiver.set_down(false);
        host.empty_disk()
    }
}

impl Trouble {
    async fn begin(self, host: &SoakedHost, receiver: &WebhookReceiver) -> Outcome<()> {
        match self {
            Self::Reload => host.reload()?,
            Self::Clock(ahead) => host.set_clock(ahead)?,
            Self::ReceiverDown => receiver.set_down(true),
            Self::ReceiverUp => receiver.set_down(false),
            Self::DiskFull => host.fill_disk().await?,
            Self::DiskEmpty => host.empty_disk()?,
        }
        Ok(())
    }
}
