# One HashiCorp Vault server with its own storage. What differs from OpenBao's
# (../openbao/single.hcl) is said at the line.
#
# Copy to /etc/vault.d/server.hcl. Vault is started on the folder
# (`vault server -config=/etc/vault.d`) and reads every .hcl file in it: put one
# seal-*.hcl beside this one. There is no plugins.hcl and no audit.hcl, for Vault
# has stanzas for neither: register.sh and audit.sh do it, once.

storage "raft" {
  path    = "/opt/vault/data"
  node_id = "vault-1"
}

# Vault's own: raft keeps its data in mapped files, which mlock would pin all at
# once. So memory is not locked here, and the machine has no swap instead
# (MemorySwapMax=0 of the unit). OpenBao has no such line.
disable_mlock = true

listener "tcp" {
  # Every interface: clients are other machines. The firewall says which.
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"

  # The certificate, followed by that of its CA, and its key; read again at SIGHUP.
  tls_cert_file   = "/opt/vault/tls/vault-1.pem"
  tls_key_file    = "/opt/vault/tls/vault-1.key"
  tls_min_version = "tls13"
}

# Plugins need api_addr: without it none is mounted.
api_addr     = "https://vault-1.example.com:8200"
cluster_addr = "https://vault-1.example.com:8201"

# Root owns folder and file, Vault's user reads them, and neither is a symbolic
# link. The same file on every node.
plugin_directory = "/opt/plugins"

# The console at /ui. Its form for certificates sends an empty not_after, which
# landfast takes as not sent on Vault.
ui = true

# Numbers for `sys/metrics`, in the form that Prometheus reads.
telemetry {
  prometheus_retention_time = "30s"
  disable_hostname          = true
}

# The bounds of leases where neither mount nor role says otherwise.
default_lease_ttl = "1h"
max_lease_ttl     = "768h"
