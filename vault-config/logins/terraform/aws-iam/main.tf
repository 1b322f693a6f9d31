# What ../../aws-iam.sh does, as Terraform, with the IAM roles' names. Vault's AWS method;
# OpenBao has none built in.

terraform {
  required_providers {
    # The provider for Vault speaks to OpenBao, too. Address and token come from
    # VAULT_ADDR and VAULT_TOKEN of the environment; no secret stands in a file.
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.0"
    }
  }
}

variable "nodes" {
  description = "Names of the nodes, each with an IAM role of its name"
  type        = set(string)
}

variable "account" {
  description = "The AWS account of the IAM roles, twelve digits"
  type        = string
}

variable "server_id" {
  description = "A name of this server, which each signed request has to hold"
  type        = string
  default     = "vault.example.com"
}

resource "vault_auth_backend" "aws" {
  type = "aws"
}

# A signed request counts for this server only. No AWS credentials: the server
# compares names, and AWS checks the signature.
resource "vault_aws_auth_backend_client" "this" {
  backend                    = vault_auth_backend.aws.path
  iam_server_id_header_value = var.server_id
}

# The alias of this login is no node name: each node has a role of its own, with its
# name in it, and a policy for that role alone.
resource "vault_generic_endpoint" "node" {
  for_each             = var.nodes
  path                 = "pki/roles/${each.value}"
  ignore_absent_fields = true

  data_json = jsonencode({
    preset    = "hybrid-node"
    node_name = each.value
  })
}

resource "vault_policy" "node" {
  for_each = var.nodes
  name     = each.value
  policy   = "path \"pki/sign/${each.value}\" { capabilities = [\"create\", \"update\"] }"
}

resource "vault_aws_auth_backend_role" "node" {
  for_each                 = var.nodes
  backend                  = vault_auth_backend.aws.path
  role                     = each.value
  auth_type                = "iam"
  bound_iam_principal_arns = ["arn:aws:iam::${var.account}:role/${each.value}"]
  resolve_aws_unique_ids   = false
  token_policies           = [vault_policy.node[each.value].name]
  token_ttl                = 300
  token_max_ttl            = 1800
}
