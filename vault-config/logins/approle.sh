#!/usr/bin/env bash
# Nodes log in by AppRole: an id that is no secret, and a secret id that the node
# is handed once. For machines that nothing else knows.
#
#   logins/approle.sh            the login, the role of certificates, the policy's binding
#   logins/approle.sh node-1     a login for this node, and its two ids as files here
#
# Needs a token that may enable logins for the first; the policy `operator` does
# for the second. landfast is mounted at pki/, and policies/apply.sh has run.
# BAO=vault for Vault. On the node, then:
#
#   landfast enroll --auth approle --role-id-file node-1.role-id --secret-id-file node-1.secret-id
set -euo pipefail
bao=${BAO:-bao}

if (( $# == 0 )); then
    # Once: a second run finds it enabled.
    grep -q '"approle/"' <<<"$("$bao" auth list -format=json)" || "$bao" auth enable approle

    # The alias of an AppRole login is a UUID; its metadata has the role's name.
    # The preset takes the node's name from there, so each node gets its own only.
    accessor=$("$bao" read -field=accessor sys/auth/approle)
    "$bao" write pki/roles/hybrid-node preset=hybrid-node mount_accessor="$accessor"
    exit
fi

for node in "$@"; do
    # Minutes are enough to have a certificate signed. The secret id is for many
    # logins, as the node renews for years; the addresses bind it to the machine.
    "$bao" write "auth/approle/role/$node" token_policies=node token_ttl=5m token_max_ttl=30m \
        secret_id_num_uses=0 ${CIDRS:+secret_id_bound_cidrs="$CIDRS" token_bound_cidrs="$CIDRS"}

    "$bao" read -field=role_id "auth/approle/role/$node/role-id" >"$node.role-id"
    # The file is for its owner only from the start. Handed over by somebody else,
    # wrap it: `-wrap-ttl=10m -field=wrapping_token`, and enroll with --secret-id-wrapped.
    (umask 077 && "$bao" write -f -field=secret_id "auth/approle/role/$node/secret-id" >"$node.secret-id")
done
