//! Request bodies that come back from their handlers, so that what was not read of them can be.
//!
//! An answer that overtakes its request leaves the rest of the request in the connection. hyper then closes it, and a
//! client that took the answer for the end of the exchange sends its next request into a connection that is being
//! closed. Either the rest is read, or the answer says that the connection ends with it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use super::answer::BodyError;
use super::patience::Patience;

/// As much of a body that nobody wanted is read and dropped.
const LIMIT: usize = 8 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
/// A client that sends nothing for so long in the middle of a body has gone away without a word. Long enough for a disk
/// or a network to recover, which is what clients retry for.
const STALLED: Duration = Duration::from_mins(2);

/// A request's body in the hands of a handler.
pub(super) struct Lent {
    /// Until it is read to its end.
    rest: Option<(Rest, oneshot::Sender<Rest>)>,
    patience: Patience,
}

struct Rest {
    body: Incoming,
    touched: bool,
}

/// Where the body returns to.
pub(super) struct Lender {
    returned: oneshot::Receiver<Rest>,
    asks_first: bool,
}

/// Lends the body. `asks_first`: the client sends it only when somebody starts to read (`Expect: 100-continue`).
pub(super) fn lend(body: Incoming, asks_first: bool) -> (Lent, Lender) {
    let (lender, returned) = oneshot::channel();
    let rest = Some((Rest { body, touched: false }, lender));
    (Lent { rest, patience: Patience::new(STALLED) }, Lender { returned, asks_first })
}

impl Lender {
    /// Reads what the handler left, and answers whether the connection can carry another request. A client that is
    /// still sending when its connection is closed finds a broken pipe instead of the answer.
    pub(super) async fn settle(mut self) -> bool {
        let Rest { mut body, touched } = match self.returned.try_recv() {
            Ok(rest) => rest,
            Err(error) => return error == oneshot::error::TryRecvError::Closed,
        };
        if self.asks_first && !touched {
            return false;
        }
        let reading = async {
            let mut left = LIMIT;
            while let Some(frame) = body.frame().await {
                left = left.checked_sub(frame.ok()?.data_ref().map_or(0, Bytes::len))?;
            }
            Some(())
        };
        matches!(tokio::time::timeout(TIMEOUT, reading).await, Ok(Some(())))
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some((rest, _)) = this.rest.as_mut() else { return Poll::Ready(None) };
        rest.touched = true;
        let polled = Pin::new(&mut rest.body).poll_frame(cx);
        let Some(frame) = ready!(this.patience.poll(cx, polled)) else {
            return Poll::Ready(Some(Err(format!("nothing came for {} seconds", STALLED.as_secs()).into())));
        };
        if matches!(frame, None | Some(Err(_))) {
            this.rest = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(|(rest, _)| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or(SizeHint::with_exact(0), |(rest, _)| rest.body.size_hint())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((rest, lender)) = self.rest.take()
            && !rest.body.is_end_stream()
        {
            // Nobody waits for it any more when the connection is gone.
            let _ = lender.send(rest);
        }
    }
}
