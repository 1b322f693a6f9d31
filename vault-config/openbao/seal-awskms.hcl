# The seal by AWS KMS, done by landfast as a KMS plugin. The server unseals by
# itself at every start. Needs OpenBao 2.6 or later, and AWS credentials for the
# server; without those, take seal-unseal-server.hcl.
#
# Copy to /etc/openbao/server.d/seal.hcl, the same on every node. Before the
# start, try it as the server's user, where the server runs:
#
#   landfast unseal check --config /etc/openbao/server.d/seal.hcl

# KMS plugins are known by stanzas only, for they run before there is a
# catalogue. The name is that of the seal. On 2.6, which still has a seal of its
# own by this name, the plugin stands in front of it.
plugin "kms" "awskms" {
  # The file's name in plugin_directory.
  command = "landfast"

  # `sha256sum /opt/plugins/landfast`. The server starts no other file, so after
  # an upgrade of the file this line follows, and SIGHUP takes the new one up.
  sha256sum = "SHA256_OF_THE_FILE"

  # Lets External Keys use the server's own AWS identity. Everybody who may write
  # their configuration can then use every key that the server can: leave it out
  # unless you need it.
  # env = ["LANDFAST_EXTERNAL_KEYS_USE_SERVER_IDENTITY=true"]
}

seal "awskms" {
  # The key, by alias: it can then be replaced without touching this file. An ARN
  # names its Region, too. Never schedule its deletion: what it wrapped, backups
  # as well, is lost with it.
  kms_key_id = "alias/bao-unseal"
  region     = "eu-central-1"

  # No credentials stand here. They come from the instance's role, from
  # AWS_WEB_IDENTITY_TOKEN_FILE, or from a file of AWS's. A machine with a
  # certificate of your own CA gets them by IAM Roles Anywhere:
  # roles_anywhere_trust_anchor_arn = "…"
  # roles_anywhere_profile_arn      = "…"
  # roles_anywhere_role_arn         = "…"

  # Regions with a replica of a multi-Region key, for the time that the first is out.
  # fallback_regions = "eu-west-1"

  # The server tries the key by itself. Every ten minutes is the default, 288
  # calls a day and node; once an hour is 48.
  health_check_interval = "1h"
}
