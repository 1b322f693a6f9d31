//! The Region, when neither the stanza nor the environment names one.

use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use tokio::time::timeout;

use super::credentials::{METADATA_BUDGET, metadata_client, profile_files};
use crate::config::{AwsConfig, DEFAULT_REGION, RegionChoice, Source};

/// Settles the Region: the shared configuration files, the key's ARN, instance metadata, and in the end the old seal's default.
pub(super) async fn settle(config: &AwsConfig) -> String {
    let from_key = match &config.region {
        RegionChoice::Known { name, .. } => return name.clone(),
        RegionChoice::Discover { from_key } => from_key,
    };
    if config.shared_files
        && let Some(region) = from_profile(config).await
    {
        return region;
    }
    if let Some(region) = from_key {
        return region.clone();
    }
    if config.imds {
        let provider = ImdsRegionProvider::builder()
            .imds_client(metadata_client())
            .build();
        if let Ok(Some(region)) = timeout(METADATA_BUDGET, provider.region()).await {
            return region.as_ref().to_owned();
        }
    }
    tracing::warn!(
        "no Region is configured and instance metadata names none: {DEFAULT_REGION} is used; set region in the seal stanza"
    );
    DEFAULT_REGION.to_owned()
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
