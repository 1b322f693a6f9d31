# What all servers of the stack have in common. The parts that differ, and the
# SHA-256 of the plugin, server.sh adds at each start. This is for development:
# for production copy from vault-config/openbao.

plugin_directory = "/opt/landfast"

# The plugin stanzas that server.sh writes are taken into the catalogue.
plugin_auto_register = true

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/tmp/server.pem"
  tls_key_file    = "/tmp/server.key"
  tls_min_version = "tls13"
}

# Unseals by itself, with a key of the stand-in for AWS KMS. Credentials are in the
# environment; the stand-in takes any.
seal "awskms" {
  region     = "us-west-2"
  endpoint   = "http://kms:4566"
  kms_key_id = "alias/landfast-unseal"
}

# For sys/metrics, which asks for a token with the policy `monitoring`.
telemetry {
  prometheus_retention_time = "5m"
  disable_hostname          = true
}

ui = true
