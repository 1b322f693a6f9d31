#!/usr/bin/env bash
# A login for agents and proxies: AppRoles with the policy `agent`, on a mount of their
# own. The one of the nodes is the operators', who may log in as every role of it.
#
#   agent/login.sh machine-1     a login for the agent of this machine; its two ids as files here
#
# Needs a token that may enable logins; policies/apply.sh has run. BAO=vault for Vault. The
# files go to /etc/openbao-agent/role-id and secret-id, for root only.
set -euo pipefail
bao=${BAO:-bao}

# Once: a second run finds it enabled.
grep -q '"approle-services/"' <<<"$("$bao" auth list -format=json)" ||
    "$bao" auth enable -path=approle-services approle

for machine in "$@"; do
    # The agent renews its token by itself, and logs in anew when that ends.
    "$bao" write "auth/approle-services/role/$machine" token_policies=agent token_ttl=1h token_max_ttl=24h \
        secret_id_num_uses=0 ${CIDRS:+secret_id_bound_cidrs="$CIDRS" token_bound_cidrs="$CIDRS"}
    "$bao" read -field=role_id "auth/approle-services/role/$machine/role-id" >"$machine.role-id"
    (umask 077 && "$bao" write -f -field=secret_id "auth/approle-services/role/$machine/secret-id" >"$machine.secret-id")
done
