//! Where what was pulled goes.

use super::Offer;
use super::follow::Sink;
use crate::pull::{Pull, Trouble};
use crate::{identity, verdicts};
use bytes::Bytes;
use llmleaf_auth::{Authenticator, Verdicts};
use llmleaf_route::Millis;
use tokio::sync::{mpsc, oneshot};

pub(super) struct IdentitySink<'a> {
    pub authenticator: &'a Authenticator,
    pub alone: bool,
}

impl Sink for IdentitySink<'_> {
    type Value = identity::Identity;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let read = identity::read(body)?;
        let rows = read.rows;
        Ok((read, rows))
    }

    async fn install(&mut self, value: Self::Value) -> Result<(), Trouble> {
        if !value.too_costly.is_empty() {
            let keys = value.too_costly.join(", ");
            tracing::error!(keys, "keys whose hash costs too much to check are left out");
        }
        self.authenticator
            .install_upper(Some(value.roster), self.alone);
        Ok(())
    }

    fn after(&mut self, pull: &Pull, now: Millis) {
        self.authenticator.set_cold(pull.is_cold(now));
    }
}

pub(super) struct VerdictsSink<'a> {
    pub authenticator: &'a Authenticator,
    pub closed: bool,
}

impl Sink for VerdictsSink<'_> {
    type Value = Verdicts;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let read = verdicts::read(body)?;
        let size = read.len();
        Ok((read, size))
    }

    async fn install(&mut self, value: Self::Value) -> Result<(), Trouble> {
        self.authenticator.install_verdicts(value);
        Ok(())
    }

    fn after(&mut self, pull: &Pull, now: Millis) {
        self.authenticator
            .set_closed(self.closed && pull.is_cold(now));
    }
}

pub(super) struct TopologySink<'a>(pub &'a mpsc::Sender<Offer>);

impl Sink for TopologySink<'_> {
    type Value = Bytes;

    fn read(body: &Bytes) -> Result<(Self::Value, usize), Trouble> {
        let size = crate::topology::size(body)?;
        Ok((body.clone(), size))
    }

    async fn install(&mut self, value: Self::Value) -> Result<(), Trouble> {
        let (taken, heard) = oneshot::channel();
        let offer = Offer {
            body: Some(value),
            taken,
        };
        let nobody = || Trouble::Refused("nobody takes it".to_owned());
        self.0.send(offer).await.map_err(|_| nobody())?;
        match heard.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Trouble::Refused(why)),
            Err(_) => Err(nobody()),
        }
    }
}
