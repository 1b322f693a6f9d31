# One OpenBao server with its own storage. Production on one machine, or the
# first machine of what becomes a cluster (then take cluster.hcl).
#
# Copy to /etc/openbao/server.d/server.hcl. The server is started on the folder
# (`bao server -config=/etc/openbao/server.d`) and reads every .hcl file in it:
# put one seal-*.hcl, one plugins-*.hcl and audit.hcl beside this one.
# Certificate and key come from ../make-tls.sh, or from a CA that you have.

# Raft is storage that the server keeps itself, on a local disk. It works for
# one node as for three, so a second and a third can join later.
storage "raft" {
  # Only the server's user may look into it (0700).
  path = "/var/lib/openbao"

  # The node's name in the cluster. It stays for as long as the data does.
  node_id = "bao-1"
}

listener "tcp" {
  # Every interface: clients are other machines. The firewall says which.
  address = "0.0.0.0:8200"

  # Where the other nodes connect. One node alone needs it for nothing, but
  # takes part in no cluster without it.
  cluster_address = "0.0.0.0:8201"

  # The server's certificate, followed by that of its CA, and its key. They are
  # read again at SIGHUP (`systemctl reload openbao`), so renewals need no restart.
  tls_cert_file = "/etc/openbao/tls/bao-1.pem"
  tls_key_file  = "/etc/openbao/tls/bao-1.key"

  # All clients of landfast and OpenBao speak TLS 1.3. Take "tls12" if others do not.
  tls_min_version = "tls13"
}

# How clients and the other nodes reach this node. The plugin host needs
# api_addr, too: without it no plugin is mounted.
api_addr     = "https://bao-1.example.com:8200"
cluster_addr = "https://bao-1.example.com:8201"

# Plugins are started from here only. Root owns folder and files, the server's
# user reads them, and neither is a symbolic link. plugins-file.hcl and
# plugins-image.hcl say what is in it.
plugin_directory = "/opt/plugins"

# The console at /ui. It shows nothing without a token, but it is one more thing
# that answers: leave it off where nobody uses it.
ui = true

# Numbers for `sys/metrics`, in the form that Prometheus reads (the policy
# `monitoring` allows it). Kept for half a minute after their last change, which
# is longer than the time between two scrapes.
telemetry {
  prometheus_retention_time = "30s"

  # Names of metrics without the machine's name: Prometheus adds a label for it.
  disable_hostname = true
}

# Certificates and tokens may live this long unless their mount or role says
# otherwise. landfast's mount is tuned to the life of its CA instead
# (`-max-lease-ttl=87600h`, register.sh).
default_lease_ttl = "1h"
max_lease_ttl     = "768h"
