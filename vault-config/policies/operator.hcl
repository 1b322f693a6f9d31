# operator: runs the certificate authority at `pki/` and enrols nodes.
#
# It shapes the CA, but takes no CA key out, brings none in, signs no other CA and
# no certificate, reads no secret, and gives nobody more rights: it writes no
# policies, enables no logins, registers no plugins, and its nodes have the policy
# `node` and no other. Who writes roles and logins can still become any node: the
# audit log shows it.
# `+` is one step of a path; `*` is used nowhere, for it would open what lies below.

# Roles: what may be signed.
path "pki/roles"   { capabilities = ["list"] }
path "pki/roles/+" { capabilities = ["create", "read", "update", "patch", "delete"] }

# Issuers and keys: make them here (not `exported`, which hands the key out), take
# what a higher CA has signed, rotate, and choose the default. Not here, because
# they are done with a root token and are rare: importing keys, signing another
# CA, deleting issuers, keys or the root.
path "pki/root/generate/internal" { capabilities = ["create", "update"] }
path "pki/root/generate/kms"      { capabilities = ["create", "update"] }
path "pki/root/rotate/internal"   { capabilities = ["create", "update"] }
path "pki/root/rotate/kms"        { capabilities = ["create", "update"] }
path "pki/root/replace"           { capabilities = ["create", "update"] }
path "pki/intermediate/generate/internal" { capabilities = ["create", "update"] }
path "pki/intermediate/generate/kms"      { capabilities = ["create", "update"] }
path "pki/intermediate/set-signed"        { capabilities = ["create", "update"] }
path "pki/issuer/+" { capabilities = ["read", "update", "patch"] }
path "pki/keys"     { capabilities = ["list"] }
path "pki/key/+"    { capabilities = ["read", "update"] }

# Settings of the mount, one by one: `config/ca` imports keys. What lends the
# server's own AWS identity to `config/kms` is an option of the mount, which is
# refused below.
path "pki/config/crl"       { capabilities = ["create", "read", "update"] }
path "pki/config/urls"      { capabilities = ["create", "read", "update"] }
path "pki/config/issuers"   { capabilities = ["create", "read", "update"] }
path "pki/config/keys"      { capabilities = ["create", "read", "update"] }
path "pki/config/cluster"   { capabilities = ["create", "read", "update"] }
path "pki/config/kms"       { capabilities = ["create", "read", "update", "delete"] }
path "pki/config/seal"      { capabilities = ["create", "read", "update", "delete"] }
path "pki/config/auto-tidy" { capabilities = ["create", "read", "update"] }
path "pki/config/acme"            { capabilities = ["create", "read", "update"] }
path "pki/config/acme-validation" { capabilities = ["create", "read", "update"] }
path "pki/eab"                    { capabilities = ["list"] }
path "pki/eab/+"                  { capabilities = ["delete"] }
path "pki/roles/+/acme/new-eab"   { capabilities = ["create", "update"] }
path "pki/seal/status"      { capabilities = ["read"] }
path "pki/seal/migrate"     { capabilities = ["create", "update"] }

# Certificates that exist: find and revoke them, and publish that.
path "pki/certs"           { capabilities = ["list"] }
path "pki/certs/+"         { capabilities = ["read", "list"] }
path "pki/revoke"          { capabilities = ["create", "update"] }
path "pki/issuer/+/revoke" { capabilities = ["create", "update"] }
path "pki/crl/rotate"       { capabilities = ["read", "update"] }
path "pki/crl/rotate-delta" { capabilities = ["read", "update"] }

# The mount itself: enable it, tune it, move it to another version of the plugin.
path "sys/mounts" { capabilities = ["read"] }
path "sys/mounts/pki" {
  capabilities = ["create", "read", "update"]

  # Of landfast only, and without `options`: one of them lends the server's AWS
  # identity to whoever may write `config/kms`.
  allowed_parameters = {
    "type"        = ["landfast", "pki"]
    "description" = []
    "config"      = []
  }
}
path "sys/mounts/pki/tune" {
  capabilities = ["read", "update"]
  allowed_parameters = {
    "default_lease_ttl"            = []
    "max_lease_ttl"                = []
    "description"                  = []
    "plugin_version"               = []
    "audit_non_hmac_request_keys"  = []
    "audit_non_hmac_response_keys" = []
    "passthrough_request_headers"  = []
    "allowed_response_headers"     = []
  }
}
# After a new file was put in its place: only the plugin of this mount.
path "sys/plugins/reload/backend" {
  capabilities = ["update"]
  allowed_parameters = {
    "plugin" = ["landfast", "pki"]
    "mounts" = ["pki/", ["pki/"]]
    "scope"  = ["global"]
  }
}

# Nodes: an AppRole of its own for each, named as the node. Its tokens have the
# policy `node` and no other; the sub-paths that set policies one by one
# (`…/policies`, `…/token-policies`) are not here. Who may make a secret id may log in
# as its role: so this mount holds nodes only, and everybody else's AppRoles lie on
# mounts of their own (../agent/login.sh).
path "auth/approle/role" { capabilities = ["list"] }
path "auth/approle/role/+" {
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {
    "token_policies"        = ["node", ["node"]]
    "token_ttl"             = []
    "token_max_ttl"         = []
    "token_num_uses"        = []
    "token_bound_cidrs"     = []
    "secret_id_ttl"         = []
    "secret_id_num_uses"    = []
    "secret_id_bound_cidrs" = []
  }
}
path "auth/approle/role/+/role-id"   { capabilities = ["read"] }
path "auth/approle/role/+/secret-id" { capabilities = ["create", "update", "list"] }
path "auth/approle/role/+/secret-id/destroy"          { capabilities = ["create", "update"] }
path "auth/approle/role/+/secret-id-accessor/destroy" { capabilities = ["create", "update"] }

# The accessor of the login, by which a role binds names to callers.
path "sys/auth" { capabilities = ["read"] }
