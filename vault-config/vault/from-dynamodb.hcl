# The layout of the years before raft, Vault on DynamoDB with a seal by AWS KMS, and
# what each of its lines is today on Vault. ../openbao/from-dynamodb.hcl is the same for
# OpenBao. migrate-from-dynamodb.hcl moves the data.
#
# Copy to /etc/vault.d/server.hcl in place of single.hcl.

# was: storage "dynamodb" {
#        region     = "eu-central-1"
#        table      = "vault-data"
#        ha_enabled = "true"
#      }
# Raft replaces the table: data on the node's own disk, and no AWS to store them. Backups
# are snapshots (policy `backup`) where point-in-time recovery of the table was.
storage "raft" {
  path    = "/opt/vault/data"
  node_id = "vault-1"

  # was: nothing, for nodes met at the table. Raft nodes have to find each other.
  retry_join {
    # Every node that carries the tag, in place of fixed names. Needs
    # ec2:DescribeInstances.
    auto_join           = "provider=aws region=eu-central-1 tag_key=vault tag_value=server"
    auto_join_scheme    = "https"
    leader_ca_cert_file = "/opt/vault/tls/ca.pem"

    # The nodes are found by address, and their certificates hold names.
    leader_tls_servername = "vault-1.example.com"
  }
}

# was: ha_storage "dynamodb" { … table = "vault-lock" }
# Gone: raft elects the leader by itself, and a lock in a table cannot outlive its holder.

# was: disable_mlock = false, with cap_ipc_lock on the binary
# With raft, memory is not locked; switch swap off instead.
disable_mlock = true

# was: listener "tcp" { address = "0.0.0.0:8200"  tls_disable = 1 }, behind a load
#      balancer that had the certificate
# TLS ends here, or client certificates (login `cert`, landfast renew) never arrive.
# The load balancer passes TCP on, and looks at /v1/sys/health?standbyok=true.
listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/opt/vault/tls/vault-1.pem"
  tls_key_file    = "/opt/vault/tls/vault-1.key"
  tls_min_version = "tls13"
}

# was: the instances' addresses, written by user data. Still so; names are steadier.
api_addr     = "https://vault-1.example.com:8200"
cluster_addr = "https://vault-1.example.com:8201"

# Unchanged. The data stays wrapped by the same key.
seal "awskms" {
  region     = "eu-central-1"
  kms_key_id = "alias/vault-unseal"
}

# New: landfast lies here.
plugin_directory = "/opt/plugins"
