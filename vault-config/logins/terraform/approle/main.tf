# What ../../approle.sh does once, and for each node, as Terraform. Secret ids are left
# out on purpose: Terraform would keep them in its state. Make them by
# `../../approle.sh NODE`, which finds the node's role there.

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
  description = "Names of the nodes that log in by AppRole"
  type        = set(string)
}

# The policy of nodes, from the file that apply.sh writes.
resource "vault_policy" "node" {
  name   = "node"
  policy = file("${path.module}/../../../policies/node.hcl")
}

resource "vault_auth_backend" "approle" {
  type = "approle"
}

# Each node its own name: the role takes it from the login's metadata.
resource "vault_generic_endpoint" "hybrid_node" {
  path = "pki/roles/hybrid-node"

  # The preset is read back as the plain fields that it wrote.
  ignore_absent_fields = true

  data_json = jsonencode({
    preset         = "hybrid-node"
    mount_accessor = vault_auth_backend.approle.accessor
  })
}

# A login for each node, named as the node. Minutes are enough to have a
# certificate signed; the secret id is for many logins.
resource "vault_approle_auth_backend_role" "node" {
  for_each           = var.nodes
  backend            = vault_auth_backend.approle.path
  role_name          = each.value
  token_policies     = [vault_policy.node.name]
  token_ttl          = 300
  token_max_ttl      = 1800
  secret_id_num_uses = 0
}
