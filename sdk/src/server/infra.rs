//! The small services that every plugin serves beside its own.

use std::sync::Arc;

use landfast_proto::{
    logical::{self, VersionReply, plugin_version_server::PluginVersion},
    multiplexing::{
        MultiplexingSupportRequest, MultiplexingSupportResponse,
        plugin_multiplexing_server::PluginMultiplexing,
    },
    plugin::{
        Empty, StdioData, grpc_controller_server::GrpcController, grpc_stdio_server::GrpcStdio,
    },
};
use tokio_stream::Pending;
use tonic::{Request, Response, Status};

use super::life::{End, Life};

/// Ends the process when the host asks for it.
pub(crate) struct Controller(pub(crate) Arc<Life>);

#[tonic::async_trait]
impl GrpcController for Controller {
    /// The answer goes out first: the server gives its connections time to write before it stops.
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.end(End::Shutdown);
        Ok(Response::new(Empty {}))
    }
}

/// Standard output of the plugin, for the host's. There is none: the log goes to stderr.
pub(crate) struct Stdio;

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = Pending<Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}

/// One process serves all mounts of a plugin.
pub(crate) struct Multiplexing;

#[tonic::async_trait]
impl PluginMultiplexing for Multiplexing {
    async fn multiplexing_support(
        &self,
        _: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse {
            supported: true,
        }))
    }
}

/// The plugin's version, which may be empty.
pub(crate) struct Version(pub(crate) String);

#[tonic::async_trait]
impl PluginVersion for Version {
    async fn version(&self, _: Request<logical::Empty>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(VersionReply {
            plugin_version: self.0.clone(),
        }))
    }
}
