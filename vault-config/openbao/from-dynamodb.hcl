# The layout of the years before raft, Vault on DynamoDB with a seal by AWS KMS, and
# what each of its lines is today on OpenBao, which has neither that storage nor, from
# 2.7 on, that seal of its own.
#
# The data: first to raft, still with Vault (../vault/migrate-from-dynamodb.hcl), then as
# OpenBao's guide for migrations says, which starts from Vault 1.14.1 and was tried with
# no newer one. From a newer Vault, set up a new server and import the CA there.
#
# Copy to /etc/openbao/server.d/server.hcl in place of single.hcl; plugins-file.hcl and
# audit.hcl belong beside it.

# was: storage "dynamodb" {
#        region     = "eu-central-1"
#        table      = "vault-data"
#        ha_enabled = "true"
#      }
# Raft replaces the table: data on the node's own disk, and no AWS to store them. Backups
# are snapshots (policy `backup`) where point-in-time recovery of the table was.
storage "raft" {
  path    = "/var/lib/openbao"
  node_id = "bao-1"

  # was: nothing, for nodes met at the table. Raft nodes have to find each other; this is
  # the list of all three, as in cluster.hcl.
  retry_join {
    leader_api_addr     = "https://bao-2.example.com:8200"
    leader_ca_cert_file = "/etc/openbao/tls/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://bao-3.example.com:8200"
    leader_ca_cert_file = "/etc/openbao/tls/ca.pem"
  }
}

# was: ha_storage "dynamodb" { … table = "vault-lock" }
# Gone: raft elects the leader by itself, and a lock in a table cannot outlive its holder.

# was: disable_mlock = false, with cap_ipc_lock on the binary
# Gone: OpenBao locks no memory. ../systemd/openbao.service keeps it out of swap.

# was: listener "tcp" { address = "0.0.0.0:8200"  tls_disable = 1 }, behind a load
#      balancer that had the certificate
# TLS ends here, or client certificates (login `cert`, landfast renew) never arrive.
# The load balancer passes TCP on, and looks at /v1/sys/health?standbyok=true.
listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/etc/openbao/tls/bao-1.pem"
  tls_key_file    = "/etc/openbao/tls/bao-1.key"
  tls_min_version = "tls13"
}

# was: the instances' addresses, written by user data. Still so; names are steadier.
api_addr     = "https://bao-1.example.com:8200"
cluster_addr = "https://bao-1.example.com:8201"

# New: landfast lies here, the seal and the secrets engine in one file.
plugin_directory = "/opt/plugins"

# was: seal "awskms" { … }, built in
# The stanza is unchanged, and the same key opens the same data, with no migration. What
# does it is named here: see seal-awskms.hcl.
plugin "kms" "awskms" {
  command   = "landfast"
  sha256sum = "SHA256_OF_THE_FILE"
}
seal "awskms" {
  region     = "eu-central-1"
  kms_key_id = "alias/vault-unseal"
}
