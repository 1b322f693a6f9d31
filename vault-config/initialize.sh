#!/usr/bin/env bash
# Initialises a server whose seal opens by itself. The recovery shares come out
# encrypted, each to the PGP key of the person who will hold it, and so does the root
# token: nobody sees another's share, and nothing secret is on the screen or in a file.
#
#   initialize.sh THRESHOLD KEY.asc… > shares.json
#   initialize.sh 2 anna.asc boris.asc carla.asc > shares.json
#
# Once, on one server of the cluster; BAO=vault for Vault. The root token is
# encrypted to the first key: that person sets the server up (register.sh,
# policies/apply.sh, logins/) and then revokes it (`bao token revoke -self`). Shares
# are for `bao operator generate-root` and for `sys/rotate/recovery`; they do not
# open the server when the seal's key is lost. Each holder decrypts by
#
#   jq -r '.recovery_keys_b64[0]' shares.json | base64 -d | gpg --decrypt
#   jq -r .root_token shares.json | base64 -d | gpg --decrypt
set -euo pipefail
threshold=${1:?"how many shares are needed"}
shift
(( $# >= threshold && threshold > 0 )) || { echo "initialize.sh: $# keys for a threshold of $threshold" >&2; exit 2; }

keys=$(IFS=,; echo "$*")
exec "${BAO:-bao}" operator init -format=json -recovery-shares=$# -recovery-threshold="$threshold" \
    -recovery-pgp-keys="$keys" -root-token-pgp-key="$1"
