# For cert-manager's Vault issuer: it signs requests under one role, and nothing else.
path "pki/sign/workload" {
  capabilities = ["update"]
}
