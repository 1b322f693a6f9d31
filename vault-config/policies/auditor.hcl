# auditor: sees how everything is set up and what was issued, changes nothing,
# and reads no secret. The audit log itself is a file on the servers.

# Who may do what, and how they log in.
path "sys/policies/acl"   { capabilities = ["list"] }
path "sys/policies/acl/+" { capabilities = ["read"] }
path "sys/auth"           { capabilities = ["read"] }
path "sys/auth/+/tune"    { capabilities = ["read", "sudo"] }
path "auth/approle/role"   { capabilities = ["list"] }
path "auth/approle/role/+" { capabilities = ["read"] }
path "auth/cert/certs"     { capabilities = ["list"] }
path "auth/cert/certs/+"   { capabilities = ["read"] }
path "auth/kubernetes/role"   { capabilities = ["list"] }
path "auth/kubernetes/role/+" { capabilities = ["read"] }
path "identity/entity/id"   { capabilities = ["list"] }
path "identity/entity/id/+" { capabilities = ["read"] }

# Where what is written down, and whether a value stands in it: texts are HMACs
# there, and this path makes the HMAC of a text.
path "sys/audit"        { capabilities = ["read", "sudo"] }
path "sys/audit-hash/+" { capabilities = ["create", "update"] }
path "sys/config/auditing/request-headers" { capabilities = ["read", "sudo"] }

# What runs: mounts, plugins with their sums, the cluster, the configuration
# without its secrets.
path "sys/mounts"             { capabilities = ["read"] }
path "sys/mounts/+"           { capabilities = ["read"] }
path "sys/mounts/+/tune"      { capabilities = ["read"] }
path "sys/plugins/catalog"            { capabilities = ["read", "list", "sudo"] }
path "sys/plugins/catalog/secret"     { capabilities = ["list", "sudo"] }
path "sys/plugins/catalog/secret/+"   { capabilities = ["read", "sudo"] }
path "sys/config/state/sanitized"     { capabilities = ["read"] }
path "sys/storage/raft/configuration" { capabilities = ["read"] }
path "sys/key-status"                 { capabilities = ["read"] }

# The certificate authority: roles, settings, issuers, and every certificate that
# is stored. (Certificates, chains and CRLs are public; their list is not.)
path "pki/roles"       { capabilities = ["list"] }
path "pki/roles/+"     { capabilities = ["read"] }
path "pki/config/+"    { capabilities = ["read"] }
path "pki/issuer/+"    { capabilities = ["read"] }
path "pki/keys"        { capabilities = ["list"] }
path "pki/key/+"       { capabilities = ["read"] }
path "pki/certs"       { capabilities = ["list"] }
path "pki/certs/+"     { capabilities = ["read", "list"] }
path "pki/seal/status" { capabilities = ["read"] }
