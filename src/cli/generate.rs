//! `landfast generate`: what AWS must be told, from one small description.

use std::path::PathBuf;

use clap::Args;
use landfast_node::files;
use landfast_node::generate::{Description, DescriptionError};

use super::{Failure, output};

const EXAMPLES: &str = "\
The description, in JSON:
  {
    \"cluster\": \"prod\", \"region\": \"us-west-2\", \"account\": \"111122223333\",
    \"trust_anchor\":
      \"arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/ID\",
    \"nodes\": \"node-*.example\"
  }
Optional: role and profile (names), session_seconds (900 to 43200; 3600), seal
(which servers may unseal with a KMS key, such as \"vault-*\"; they get a role and
a profile of their own, named by seal_role and seal_profile), and profile_arn
once the nodes' profile is there.

For pods of EKS Anywhere, two more parts (paths are relative to the file):
  \"service_accounts\": {
    \"issuer\": \"https://oidc.example/prod\", \"public_keys\": [\"sa.pub\"],
    \"endpoint_chain\": \"chain.pem\", \"subjects\": [\"default/app\"],
    \"webhook\": {
      \"certificate\": \"webhook.pem\", \"private_key\": \"webhook.key\",
      \"ca\": \"ca.pem\"
    }
  }
  \"csi\": {
    \"vault_address\": \"https://vault.example:8200\", \"auth_role\": \"app\",
    \"role\": \"pods\", \"common_name\": \"app.default.svc\", \"name\": \"app\",
    \"image\": \"registry.example/app:1\"
  }

Examples:
  # everything, below the folder \"hybrid\"
  landfast generate hybrid.json --output-dir hybrid
  aws iam create-role --cli-input-json file://hybrid/aws/1-iam-create-role.json

  # or the same as a stack
  aws cloudformation deploy --template-file hybrid/cloudformation.json \\
    --stack-name hybrid --capabilities CAPABILITY_NAMED_IAM

  # for each node, once profile_arn is in the description
  landfast generate hybrid.json --output-dir hybrid --node node-1.example";

/// Write the role, profile, access entry and key policy that hybrid nodes need
///
/// The same resources as requests of the AWS command line, as a CloudFormation
/// template and as Terraform configuration, and NodeConfig for each --node. For
/// pods: the documents of a service-account issuer, and manifests that mount
/// certificates of this engine.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// The description
    #[arg(value_name = "FILE")]
    description: PathBuf,

    /// Where the documents go; made if it is not there
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,

    /// Write NodeConfig for this node; may be repeated
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.description;
    let text = files::read_secret(path)?;
    let wrong = |error: DescriptionError| Failure::Failed(format!("{}: {error}", path.display()));
    let description = Description::read(&String::from_utf8_lossy(text.expose())).map_err(wrong)?;
    // All or nothing: a wrong node name must not leave half of the documents.
    let configs = arguments
        .node
        .iter()
        .map(|node| description.node_config(node));
    let base = files::parent(path).to_owned();
    let read = |name: &std::path::Path| files::read_secret(&base.join(name));
    let mut documents = description.documents();
    documents.extend(description.pod_documents(&read).map_err(wrong)?);
    documents.extend(configs.collect::<Result<Vec<_>, _>>().map_err(wrong)?);
    for document in documents {
        let file = arguments.output_dir.join(&document.path);
        let mode = if document.secret { 0o600 } else { 0o644 };
        output::file(&file, &document.text, mode)?;
        output::print(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
