//! The Region, when neither the stanza nor the key's ARN nor the environment names one.

use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use tokio::time::timeout;

use super::config::{AwsConfig, DEFAULT_REGION, RegionChoice, Source};
use super::credentials::{METADATA_BUDGET, metadata_client, profile_files};
use super::transport::Transport;

/// What [`Settled::source`] says when nothing named a Region.
pub(super) const NOBODY: &str = "nothing that names one";

/// A Region and who named it.
pub(super) struct Settled {
    pub(super) name: String,
    pub(super) source: &'static str,
}

/// Settles the Region: the shared configuration files, instance metadata, and in the end the old seal's default.
pub(super) async fn settle(config: &AwsConfig, transport: &Transport) -> Settled {
    let settled = |name: &str, source| Settled {
        name: name.to_owned(),
        source,
    };
    if let RegionChoice::Known { name, source } = &config.region {
        return settled(name, source);
    }
    if config.shared_files
        && let Some(region) = from_profile(config).await
    {
        return settled(&region, "the shared configuration files");
    }
    if config.imds {
        let provider = ImdsRegionProvider::builder()
            .imds_client(metadata_client(transport))
            .build();
        if let Ok(Some(region)) = timeout(METADATA_BUDGET, provider.region()).await {
            return settled(region.as_ref(), "instance metadata");
        }
    }
    tracing::warn!(
        "no Region is configured and instance metadata names none: {DEFAULT_REGION} is used; set region in the seal stanza"
    );
    settled(DEFAULT_REGION, NOBODY)
}

async fn from_profile(config: &AwsConfig) -> Option<String> {
    let profile = config
        .credentials
        .sources
        .iter()
        .find_map(|source| match source {
            Source::Profile { file, profile, .. } => Some((file.as_deref(), profile.as_deref())),
            _ => None,
        });
    let (file, name) = profile.unwrap_or_default();
    let mut builder = ProfileFileRegionProvider::builder().profile_files(profile_files(file));
    if let Some(name) = name {
        builder = builder.profile_name(name);
    }
    Some(builder.build().region().await?.as_ref().to_owned())
}
