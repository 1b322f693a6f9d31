# monitoring: numbers for Prometheus and for alarms, and nothing that has a name
# or a value of anybody. Whether a server is up, sealed or active, everybody may
# ask (`sys/health`, `sys/seal-status`); so may they for issuers and CRLs.

# The server's metrics, of each node of its own.
path "sys/metrics" { capabilities = ["read"] }

# Which nodes there are, which of them lag, and whether one may be lost.
path "sys/ha-status"                    { capabilities = ["read"] }
path "sys/storage/raft/configuration"   { capabilities = ["read"] }
path "sys/storage/raft/autopilot/state" { capabilities = ["read"] }

# What the certificate authority issued, refused and revoked, and how its CRLs are.
path "pki/metrics" { capabilities = ["read"] }

# How many CA keys are sealed by AWS KMS, and how many are not.
path "pki/seal/status" { capabilities = ["read"] }
