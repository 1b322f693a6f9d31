#!/usr/bin/env bash
# Writes the policies of this folder to the server, each under its file's name.
# Needs a token that may write `sys/policies/acl/*`: the root token at set-up.
# Run it again after a change: it writes what stands here. BAO=vault for Vault.
set -euo pipefail
cd "$(dirname "$0")"

for policy in *.hcl; do
    "${BAO:-bao}" policy write "${policy%.hcl}" "$policy"
done
