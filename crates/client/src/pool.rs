//! Several connections to one service.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use assay_platform::{Channel, ChannelOptions, channel::ChannelError, connect_lazy};

/// Connections that take turns. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    channels: Arc<[Channel]>,
    turn: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn connect(
        uri: &str,
        options: &ChannelOptions,
        connections: NonZero<usize>,
    ) -> Result<Self, ChannelError> {
        let channels = (0..connections.get()).map(|_| connect_lazy(uri, options));
        Ok(Self {
            channels: channels.collect::<Result<_, _>>()?,
            turn: Arc::default(),
        })
    }

    /// The connection whose turn it is.
    pub(crate) fn next(&self) -> Channel {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.channels[turn % self.channels.len()].clone()
    }
}
