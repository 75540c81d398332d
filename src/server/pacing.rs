//! Deadlines at the socket, where no layer above can forget one.
//!
//! A [`Paced`] stream knows what its connection is waiting for, because the routes
//! tell it through the shared [`Pacing`]; each phase has its deadline from `[limits]`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::admission::Permit;
use super::held::Held;
use crate::config::Limits;
use crate::connection::{ListenerKind, Pacing, Phase};
use crate::telemetry::{Metrics, OpenConnection};
use crate::tls::hello::HELLO_BYTES;

/// An accepted connection whose every wait ends.
pub(super) struct Paced {
    stream: TcpStream,
    /// Bytes that came with a PROXY protocol header and belong to what follows it.
    ahead: Bytes,
    limits: Arc<Limits>,
    pacing: Arc<Pacing>,
    seen: Phase,
    /// When the phase that was last seen began.
    since: Instant,
    last_read: Instant,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    record: Option<Box<Record>>,
    held: Held,
    visit: Visit,
}

/// The place that a connection takes up, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) listener: ListenerKind,
    pub(super) metrics: Arc<Metrics>,
    pub(super) _permit: Permit,
    pub(super) _open: OpenConnection,
}

/// What went over the socket before the handshake was done, to explain its failure.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The first bytes received, at most [`HELLO_BYTES`].
    pub(super) received: Vec<u8>,
    /// How many bytes were sent.
    pub(super) sent: usize,
}

impl Record {
    fn receive(&mut self, bytes: &[u8]) {
        let room = HELLO_BYTES - self.received.len();
        self.received
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Paced {
    pub(super) fn new(
        stream: TcpStream,
        ahead: Bytes,
        limits: Arc<Limits>,
        pacing: Arc<Pacing>,
        visit: Visit,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            ahead,
            limits,
            seen: pacing.phase(),
            pacing,
            since: now,
            last_read: now,
            read_timer: None,
            write_timer: None,
            record: None,
            held: Held::default(),
            visit,
        }
    }

    /// Starts to keep what a handshake's failure is explained from.
    pub(super) fn start_record(&mut self) {
        self.record = Some(Box::default());
    }

    /// Ends the record and hands it over.
    pub(super) fn take_record(&mut self) -> Record {
        self.record.take().map(|record| *record).unwrap_or_default()
    }

    /// The moment at which the current phase has waited long enough for the client.
    fn deadline(&mut self) -> Instant {
        let phase = self.pacing.phase();
        if phase != self.seen {
            self.enter(phase);
        }
        let Limits {
            tls_handshake,
            request_head,
            body_idle,
            body_total,
            keep_alive_idle,
            ..
        } = *self.limits;
        match phase {
            Phase::Handshake => self.since + tls_handshake,
            Phase::Head => self.since + request_head,
            Phase::Request => (self.since + body_total).min(self.last_read + body_idle),
            Phase::Idle | Phase::Farewell => self.since + keep_alive_idle,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.seen = phase;
        self.since = Instant::now();
        self.last_read = self.since;
    }

    /// Notes `received` bytes: the first byte after an answer begins the next request's head.
    fn note_received(&mut self, received: &[u8]) {
        if received.is_empty() {
            return;
        }
        if let Some(record) = &mut self.record {
            record.receive(received);
        }
        match self.pacing.phase() {
            Phase::Idle | Phase::Farewell => {
                self.pacing.enter(Phase::Head);
                self.enter(Phase::Head);
            }
            Phase::Request => self.last_read = Instant::now(),
            Phase::Handshake | Phase::Head => {}
        }
    }
}

impl Drop for Paced {
    /// After a request to CONNECT hyper ends a connection without its shutdown.
    fn drop(&mut self) {
        if !self.held.is_empty() {
            // At once: the end may be a reset, which takes back what waits for it.
            let _ = self.stream.try_write(self.held.bytes());
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_release(context))?;
        let filled = buffer.filled().len();
        if this.ahead.has_remaining() {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
        } else if Pin::new(&mut this.stream)
            .poll_read(context, buffer)?
            .is_pending()
        {
            if this.write_timer.is_some() {
                // The client is not idle: it has not taken its answer, which has its own deadline.
                return Poll::Pending;
            }
            let deadline = this.deadline();
            ready!(poll_timer(&mut this.read_timer, deadline, context));
            let (limit, what) = match this.seen {
                Phase::Handshake => ("tls_handshake_seconds", "the TLS handshake did not finish"),
                Phase::Head => ("request_head_seconds", "the request head did not arrive"),
                Phase::Request => ("body_idle_seconds", "the request body did not arrive"),
                Phase::Idle | Phase::Farewell => {
                    ("keep_alive_idle_seconds", "the next request did not arrive")
                }
            };
            return Poll::Ready(Err(this.too_slow(limit, what)));
        }
        this.note_received(&buffer.filled()[filled..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pacing.phase() == Phase::Farewell && self.held.has_room(bytes.len()) {
            self.held.push(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_release(context))?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.finish_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.pacing.phase() == Phase::Farewell && self.held.has_room(length) {
            for slice in slices {
                self.held.push(slice);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_release(context))?;
        let stream = Pin::new(&mut self.stream);
        let written = match slices {
            // `send`, which costs the kernel less than `writev`: a short TLS answer is one record.
            [one] => stream.poll_write(context, one),
            _ => stream.poll_write_vectored(context, slices),
        };
        self.finish_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.stays_at_flush() {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // What this does not send, or fails to, is tried again in the ordinary way.
        let _ = this.held.send_before_end(&this.stream);
        ready!(this.poll_release(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl Paced {
    /// Sends what is held.
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, self.held.bytes());
            match ready!(self.finish_write(written, context))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.held.sent(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A write that cannot proceed may wait [`Limits::stalled_write`] for the client to read.
    fn finish_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.write_timer = None;
            if let (Some(record), Ok(written)) = (&mut self.record, &written) {
                record.sent += written;
            }
            return Poll::Ready(written);
        }
        let deadline = match &self.write_timer {
            Some(timer) => timer.deadline(),
            None => Instant::now() + self.limits.stalled_write,
        };
        ready!(poll_timer(&mut self.write_timer, deadline, context));
        Poll::Ready(Err(self.too_slow(
            "stalled_write_seconds",
            "the client did not take its answer",
        )))
    }

    /// Counts the deadline that was missed, named as in `[limits]`.
    fn too_slow(&self, limit: &'static str, what: &str) -> io::Error {
        self.visit.metrics.refused(self.visit.listener, limit);
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what} in time (`[limits] {limit}`)"),
        )
    }
}

/// Ready once `deadline` has passed.
///
/// A timer that is set to fire earlier is left alone, and set again when it fires: at a request
/// after the other, that is once in a while instead of each time.
fn poll_timer(
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    context: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
    ready!(timer.as_mut().poll(context));
    if timer.deadline() < deadline {
        timer.as_mut().reset(deadline);
        return timer.as_mut().poll(context);
    }
    Poll::Ready(())
}
