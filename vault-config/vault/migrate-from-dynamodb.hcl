# Moves the data of a Vault from DynamoDB to raft, once, offline: no Vault may run on
# the table meanwhile. The seal stays the same, and nothing is unsealed by it.
#
#   vault operator migrate -config=migrate-from-dynamodb.hcl
#
# Then start Vault with single.hcl, or cluster.hcl on the first of three nodes, and the
# old seal stanza. Keep the table until the new storage has been backed up.

# Where the data is. AWS credentials come from the environment or the instance's role;
# they need dynamodb:Scan and dynamodb:GetItem on the table.
storage_source "dynamodb" {
  region = "eu-central-1"
  table  = "vault-data"
}

# Where it goes: the path and name that single.hcl has. The folder is empty and belongs
# to Vault's user, as whom this is run.
storage_destination "raft" {
  path    = "/opt/vault/data"
  node_id = "vault-1"
}

# Raft keeps the address in its data.
cluster_addr = "https://vault-1.example.com:8201"
