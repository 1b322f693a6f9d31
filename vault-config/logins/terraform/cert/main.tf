# What ../../cert.sh does, as Terraform: nodes log in by the certificate that they have.

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

variable "ca_file" {
  description = "The CA that signs the nodes' certificates, in PEM"
  type        = string
}

resource "vault_policy" "node" {
  name   = "node"
  policy = file("${path.module}/../../../policies/node.hcl")
}

resource "vault_auth_backend" "cert" {
  type = "cert"
}

# The common name of the certificate is the node's name, so a node can only renew
# itself. A role of its own, as each is bound to one login.
resource "vault_generic_endpoint" "hybrid_node_cert" {
  path                 = "pki/roles/hybrid-node-cert"
  ignore_absent_fields = true

  data_json = jsonencode({
    preset         = "hybrid-node"
    login          = "cert"
    mount_accessor = vault_auth_backend.cert.accessor
  })
}

# Every name of this CA: the role above decides what comes of it.
resource "vault_cert_auth_backend_role" "nodes" {
  backend              = vault_auth_backend.cert.path
  name                 = "nodes"
  certificate          = file(var.ca_file)
  allowed_common_names = ["*"]
  token_policies       = [vault_policy.node.name]
  token_ttl            = 300
  token_max_ttl        = 1800
}
