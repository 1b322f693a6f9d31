# What ../../kubernetes.sh does, as Terraform. For a server outside of the cluster, the
# reviewer's token is left out on purpose, for Terraform would keep it in its
# state: write it by ../../kubernetes.sh.

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

variable "kubernetes_host" {
  description = "Where the API server answers, such as https://10.0.0.1:6443"
  type        = string
}

variable "kubernetes_ca_file" {
  description = "The CA of the API server, in PEM"
  type        = string
}

resource "vault_policy" "node" {
  name   = "node"
  policy = file("${path.module}/../../../policies/node.hcl")
}

resource "vault_auth_backend" "kubernetes" {
  type = "kubernetes"
}

resource "vault_kubernetes_auth_backend_config" "cluster" {
  backend              = vault_auth_backend.kubernetes.path
  kubernetes_host      = var.kubernetes_host
  kubernetes_ca_cert   = file(var.kubernetes_ca_file)
  disable_local_ca_jwt = true
}

# Accounts of one namespace; the role below decides the name.
resource "vault_kubernetes_auth_backend_role" "node" {
  backend                          = vault_auth_backend.kubernetes.path
  role_name                        = "node"
  bound_service_account_names      = ["*"]
  bound_service_account_namespaces = ["nodes"]
  audience                         = "vault"
  alias_name_source                = "serviceaccount_uid"
  token_policies                   = [vault_policy.node.name]
  token_ttl                        = 300
  token_max_ttl                    = 1800
}

# The preset knows no login by Kubernetes, so its fields stand here: the name is
# the account's, from the login's metadata, and nothing else comes in.
resource "vault_generic_endpoint" "hybrid_node_kubernetes" {
  path                 = "pki/roles/hybrid-node-kubernetes"
  ignore_absent_fields = true

  data_json = jsonencode({
    allowed_domains             = ["{{identity.entity.aliases.${vault_auth_backend.kubernetes.accessor}.metadata.service_account_name}}"]
    allowed_domains_template    = true
    allow_bare_domains          = true
    allow_ip_sans               = false
    allow_localhost             = false
    allow_wildcard_certificates = false
    cn_validations              = ["hostname"]
    key_type                    = "ec"
    key_bits                    = 256
    key_usage                   = ["DigitalSignature"]
    server_flag                 = false
    client_flag                 = true
    not_after_bound             = "forbid"
    ttl                         = "24h"
    max_ttl                     = "72h"
  })
}
