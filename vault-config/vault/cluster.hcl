# One of three HashiCorp Vault servers that share their data by raft.
#
# Copy to /etc/vault.d/server.hcl of each node, and put the node's own name in the
# five lines that end with `# own name`. Beside it belongs one seal-*.hcl,
# the same on every node. The file of the plugin lies on every node; it is
# registered once, on any of them. A standby of Vault hands requests to the active
# node, so certificates are signed there only, unlike with OpenBao.

storage "raft" {
  path    = "/opt/vault/data"
  node_id = "vault-1" # own name

  # Whom to join: all three on every node.
  retry_join {
    leader_api_addr     = "https://vault-1.example.com:8200"
    leader_ca_cert_file = "/opt/vault/tls/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://vault-2.example.com:8200"
    leader_ca_cert_file = "/opt/vault/tls/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://vault-3.example.com:8200"
    leader_ca_cert_file = "/opt/vault/tls/ca.pem"
  }
}

# See single.hcl: with raft, memory is not locked.
disable_mlock = true

listener "tcp" {
  # Clients, and the other nodes, whose traffic has TLS of its own.
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"

  tls_cert_file   = "/opt/vault/tls/vault-1.pem" # own name
  tls_key_file    = "/opt/vault/tls/vault-1.key" # own name
  tls_min_version = "tls13"
}

# How clients and the other nodes reach this node, not the cluster.
api_addr     = "https://vault-1.example.com:8200" # own name
cluster_addr = "https://vault-1.example.com:8201" # own name

# The same file on every node, for the active one starts it, and each may be that.
plugin_directory = "/opt/plugins"

# The console at /ui.
ui = true

# Numbers for `sys/metrics`.
telemetry {
  prometheus_retention_time = "30s"
  disable_hostname          = true
}

# The bounds of leases where neither mount nor role says otherwise.
default_lease_ttl = "1h"
max_lease_ttl     = "768h"
