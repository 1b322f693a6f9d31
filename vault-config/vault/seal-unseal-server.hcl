# The seal by landfast's unseal server, for a Vault without AWS credentials. Vault
# has no KMS plugins: this is the way by which landfast unseals Vault. The stanza
# is Vault's own, and no plugin is needed for it.
#
# Copy to /etc/vault.d/seal.hcl, the same on every node but for the names of
# certificate and key. The other side is ../unseal/unseal.json.

seal "transit" {
  address = "https://unseal.example.com:8300"

  # The path of the key in the unseal server's `keys`, in its two halves.
  mount_path = "transit"
  key_name   = "unseal"

  # Whom to trust, and who this is. The certificate decides; both files are read at
  # the start only, so let the certificate live for some months.
  tls_ca_cert     = "/opt/vault/unseal/ca.pem"
  tls_client_cert = "/opt/vault/unseal/vault-1.pem"
  tls_client_key  = "/opt/vault/unseal/vault-1.key"

  # Without a token there is nothing to renew.
  disable_renewal = "true"
}
