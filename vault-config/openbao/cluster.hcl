# One of three OpenBao servers that share their data by raft. Each survives the
# loss of one of them; clients may ask any.
#
# Copy to /etc/openbao/server.d/server.hcl of each node, and put the node's own
# name in the five lines that end with `# own name`. Beside it belong
# one seal-*.hcl, one plugins-*.hcl and audit.hcl, the same on every node.
# `make-tls.sh` makes the CA and a certificate for each node at set-up; no key is
# in any repository.
#
# Order of the first start: bao-1 alone, `initialize.sh` on it, then the others.
# They find it by themselves and unseal by their own seal.

storage "raft" {
  path    = "/var/lib/openbao"
  node_id = "bao-1" # own name

  # Whom to join. All three on every node: a node that finds itself in the list
  # passes over it, and a node that comes back finds whoever is there.
  retry_join {
    leader_api_addr     = "https://bao-1.example.com:8200"
    leader_ca_cert_file = "/etc/openbao/tls/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://bao-2.example.com:8200"
    leader_ca_cert_file = "/etc/openbao/tls/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://bao-3.example.com:8200"
    leader_ca_cert_file = "/etc/openbao/tls/ca.pem"
  }
}

listener "tcp" {
  # Clients, on every interface.
  address = "0.0.0.0:8200"

  # The other nodes. What goes on here has its own TLS, with keys that the
  # cluster makes for itself: open it to the three nodes only.
  cluster_address = "0.0.0.0:8201"

  # The node's certificate, followed by that of its CA, and its key.
  tls_cert_file = "/etc/openbao/tls/bao-1.pem" # own name
  tls_key_file  = "/etc/openbao/tls/bao-1.key" # own name

  # All clients of landfast and OpenBao speak TLS 1.3.
  tls_min_version = "tls13"
}

# How clients and the other nodes reach this node, not the cluster.
api_addr     = "https://bao-1.example.com:8200" # own name
cluster_addr = "https://bao-1.example.com:8201" # own name

# The same file on every node: a standby starts the plugin, too, and answers
# what needs no write. So certificates of roles with `no_store` are signed on
# every node.
plugin_directory = "/opt/plugins"

# The console at /ui.
ui = true

# Numbers for `sys/metrics`, for each node of its own.
telemetry {
  prometheus_retention_time = "30s"
  disable_hostname          = true
}

# The bounds of leases where neither mount nor role says otherwise.
default_lease_ttl = "1h"
max_lease_ttl     = "768h"
