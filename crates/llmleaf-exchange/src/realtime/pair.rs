//! The two ends of a session, and the pressure of each on the other.

use llmleaf_transport::{Fault, Leg, Received};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// The two ends.
pub struct Pair<C, P> {
    pub consumer: Leg<C>,
    pub provider: Leg<P>,
}

/// What came of which end: a message, or its end.
#[derive(Debug)]
pub enum Came {
    Consumer(Received),
    Provider(Received),
}

impl<C, P> Pair<C, P>
where
    C: AsyncRead + AsyncWrite + Unpin,
    P: AsyncRead + AsyncWrite + Unpin,
{
    /// What comes next. Meanwhile what waits is sent, and the clocks are looked at. An end that takes nothing keeps the other from being
    /// read; what the consumer is told of its own events keeps it from being read, too.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
        loop {
            if self.provider.has_room()
                && self.consumer.has_room()
                && let Poll::Ready(received) = self.consumer.socket.poll_next(cx)
            {
                return Poll::Ready(Came::Consumer(received));
            }
            if self.consumer.has_room()
                && let Poll::Ready(received) = self.provider.socket.poll_next(cx)
            {
                return Poll::Ready(Came::Provider(received));
            }
            let room = self.room();
            if let Some(came) = self.poll_out(cx) {
                return Poll::Ready(came);
            }
            // An end that was not read for want of room wakes nobody: whoever makes room has to read it.
            if self.room() == room {
                return Poll::Pending;
            }
        }
    }

    /// Which ends have room.
    fn room(&self) -> (bool, bool) {
        (self.provider.has_room(), self.consumer.has_room())
    }

    /// Sends what waits at both ends, and looks at their clocks.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Option<Came> {
        if let Poll::Ready(Err(_)) = self.consumer.poll_send(cx) {
            return Some(Came::Consumer(Received::Failed(Fault::Gone)));
        }
        if let Poll::Ready(Err(fault)) = self.provider.poll_send(cx) {
            return Some(Came::Provider(Received::Failed(fault)));
        }
        let (provider, consumer) = self.room();
        if let Poll::Ready(fault) = self.consumer.socket.poll_clock(provider && consumer, cx) {
            return Some(Came::Consumer(Received::Failed(fault)));
        }
        if let Poll::Ready(fault) = self.provider.socket.poll_clock(consumer, cx) {
            return Some(Came::Provider(Received::Failed(fault)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_transport::{Bounds, Message, Role, WebSocket};
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::DuplexStream;
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    /// Longer than anything that is to happen by itself.
    const LONG: Duration = Duration::from_secs(600);
    const BOUNDS: Bounds = Bounds {
        message_bytes: 1 << 20,
        ping: LONG,
        unheard: 9,
    };

    /// An end of a pair, and whoever is there.
    async fn end(role: Role) -> (Leg<DuplexStream>, WebSocket<DuplexStream>) {
        let other = match role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let (near, far) = tokio::io::duplex(4096);
        let near = WebSocket::new(near, &[], role, BOUNDS).await;
        let far = WebSocket::new(far, &[], other, BOUNDS).await;
        (Leg::new(near), far)
    }

    async fn say(socket: &mut WebSocket<DuplexStream>, text: &str) {
        poll_fn(|cx| socket.poll_ready(cx)).await.expect("ready");
        socket.send(Message::text(text)).expect("sent");
        poll_fn(|cx| socket.poll_flush(cx)).await.expect("taken");
    }

    async fn hear(socket: &mut WebSocket<DuplexStream>) -> usize {
        match poll_fn(|cx| socket.poll_next(cx)).await {
            Received::Message(message) => message.len(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_for_room_is_read_when_there_is_some() {
        for of_consumer in [true, false] {
            let (consumer, near) = end(Role::Server).await;
            let (provider, far) = end(Role::Client).await;
            let mut pair = Pair { consumer, provider };
            // More waits for the slow end than it has room for, so the other one is not read.
            let large = "x".repeat(2 * llmleaf_transport::WAITING_BYTES);
            match of_consumer {
                true => pair.provider.push(Message::text(large.clone())),
                false => pair.consumer.push(Message::text(large.clone())),
            }
            let (mut slow, mut other) = match of_consumer {
                true => (far, near),
                false => (near, far),
            };
            let began = Instant::now();
            let ends = async move {
                assert_eq!(hear(&mut slow).await, large.len());
                say(&mut other, "now").await;
                std::future::pending::<()>().await;
            };
            // In tasks of their own: what wakes one does not wake the other.
            let tasks = LocalSet::new();
            tasks.spawn_local(ends);
            let came = tasks.spawn_local(async move { poll_fn(|cx| pair.poll_next(cx)).await });
            match tasks.run_until(came).await.expect("it runs") {
                Came::Consumer(Received::Message(said)) => assert!(of_consumer && said.len() == 3),
                Came::Provider(Received::Message(said)) => assert!(!of_consumer && said.len() == 3),
                other => panic!("{other:?}"),
            }
            // No clock had to go off for it.
            assert_eq!(began.elapsed(), Duration::ZERO, "{of_consumer}");
        }
    }
}
