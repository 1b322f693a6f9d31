//! The host's side of a mount, as a plugin sees it: storage and system view over a brokered connection.

mod channel;
mod storage;
mod system;
mod unread;

pub(crate) use self::{
    channel::HostChannel,
    storage::HostStorage,
    system::{HostSystemView, alias},
};

/// Largest message that either side accepts: what the hosts set.
pub(crate) const LARGEST_MESSAGE: usize = i32::MAX as usize;
