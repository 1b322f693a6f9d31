# The server of the variant on HashiCorp Vault (../compose.vault.yaml). For
# development; for production copy from vault-config/vault.

plugin_directory = "/opt/landfast"

# Containers here have no IPC_LOCK, and raft wants it so.
disable_mlock = true

storage "raft" {
  path                   = "/srv/landfast/raft"
  performance_multiplier = 1
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/srv/landfast/tls/server.pem"
  tls_key_file    = "/srv/landfast/tls/server.key"
  tls_min_version = "tls13"
}

# Vault has no KMS plugins: landfast's unseal server answers as its transit engine
# does. The client's certificate decides who may use which key.
seal "transit" {
  address         = "https://unseal:8300"
  mount_path      = "transit"
  key_name        = "unseal"
  tls_ca_cert     = "/srv/landfast/tls/unseal-ca.pem"
  tls_client_cert = "/srv/landfast/tls/client.pem"
  tls_client_key  = "/srv/landfast/tls/client.key"

  # Without a token there is nothing to renew.
  disable_renewal = "true"
}

telemetry {
  prometheus_retention_time = "5m"
  disable_hostname          = true
}

ui = true
