# Vault's own seal by AWS KMS, without landfast: for servers that have AWS
# credentials. It is here because what it wraps opens with landfast's plugin, should
# the data move to OpenBao (../openbao/seal-awskms.hcl has the same key).
#
# Copy to /etc/vault.d/seal.hcl, the same on every node.

seal "awskms" {
  # From Vault 1.15 on, AWS_REGION in the environment beats this line. On OpenBao
  # with landfast, the line does.
  region     = "eu-central-1"
  kms_key_id = "alias/vault-unseal"
}
