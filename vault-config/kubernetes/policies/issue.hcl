# For the Secrets Store CSI driver and the Vault Secrets Operator: both take a certificate
# with its key under one role, and nothing else.
path "pki/issue/workload" {
  capabilities = ["update"]
}
