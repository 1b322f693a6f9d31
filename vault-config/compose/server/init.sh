#!/bin/sh
# Initialises the first server, mounts the engine and configures it. It runs at
# each `up`, changes only what is missing, and says how much that was.
set -eu
umask 077
keys=/srv/landfast/operator
login=/srv/landfast/login
public=/srv/landfast/public
monitoring=/srv/landfast/monitoring
node=${NODE:-node-1}
# Vault's client has other names for the same.
if [ "${CLIENT:-bao}" = vault ]; then
    bao() { vault "$@"; }
fi
changes=0
change() {
    changes=$((changes + 1))
    echo "init: $1"
}

# 0: unsealed, 2: sealed or not initialised; else it is not there yet.
status() {
    code=0
    bao status >/dev/null 2>&1 || code=$?
    echo "$code"
}
# Waits for one of these, a minute at most.
wait_for() {
    tries=0
    until case " $* " in *" $(status) "*) true ;; *) false ;; esac; do
        tries=$((tries + 1))
        if [ "$tries" -gt 240 ]; then
            echo "init: the server does not come (wanted status $*)" >&2
            bao status >&2 || true
            exit 1
        fi
        sleep 0.25
    done
}

wait_for 0 2
if ! bao operator init -status >/dev/null 2>&1; then
    bao operator init -recovery-shares=1 -recovery-threshold=1 -format=json >"$keys/init.json.new"
    mv "$keys/init.json.new" "$keys/init.json"
    change "initialised; recovery key and root token are in the volume \"operator\""
fi
if [ ! -s "$keys/init.json" ]; then
    echo "init: the server was initialised by somebody else; \`down -v\` begins anew" >&2
    exit 1
fi
wait_for 0
BAO_TOKEN=$(sed -n 's/.*"root_token": *"\([^"]*\)".*/\1/p' "$keys/init.json")
VAULT_TOKEN=$BAO_TOKEN
export BAO_TOKEN VAULT_TOKEN
# Unsealed is not yet active: while nobody is, answers are 5xx, and asked for again.
export BAO_MAX_RETRIES=20 VAULT_MAX_RETRIES=20
bao token lookup >/dev/null

for policy in node monitoring; do
    file=/configuration/policies/$policy.hcl
    if [ "$(bao policy read "$policy" 2>/dev/null)" != "$(cat "$file")" ]; then
        bao policy write "$policy" "$file" >/dev/null
        change "policy $policy"
    fi
done

# Both lists as `name/`, one a line.
mounts=$(bao secrets list | cut -d ' ' -f 1)
logins=$(bao auth list | cut -d ' ' -f 1)
has() { printf '%s\n' "$1" | grep -qxF "$2"; }

# OpenBao takes the plugin from a stanza, Vault from its catalogue.
if [ "${CLIENT:-bao}" = vault ]; then
    sum=$(sha256sum /opt/landfast/landfast | cut -d ' ' -f 1)
    version=v$(/opt/landfast/landfast --version | cut -d ' ' -f 2)
    if [ "$(bao read -field=sha256 sys/plugins/catalog/secret/landfast version="$version" 2>/dev/null)" != "$sum" ]; then
        bao plugin register -sha256="$sum" -command=landfast -version="$version" secret landfast >/dev/null
        change "plugin landfast"
    fi
fi
if ! has "$mounts" pki/; then
    bao secrets enable -path=pki -max-lease-ttl=87600h landfast >/dev/null
    change "mount pki/"
fi
if ! bao list pki/issuers >/dev/null 2>&1; then
    # It warns that it has no URLs for clients that look for CA and CRL: none do here.
    bao write -format=json pki/root/generate/internal \
        common_name="landfast development CA" key_type=ec ttl=43800h >/dev/null
    change "a CA"
fi
if ! has "$logins" approle/; then
    bao auth enable approle >/dev/null
    change "login approle/"
fi
# Each caller gets its own name and no other. An hour, so that a renewal is to be seen.
if ! bao read pki/roles/hybrid-node >/dev/null 2>&1; then
    accessor=$(bao read -field=accessor sys/auth/approle)
    bao write pki/roles/hybrid-node preset=hybrid-node mount_accessor="$accessor" ttl=1h >/dev/null
    change "role hybrid-node"
fi
if ! bao read "auth/approle/role/$node" >/dev/null 2>&1; then
    bao write "auth/approle/role/$node" token_policies=node token_ttl=10m >/dev/null
    change "login of $node"
fi

# FILE TEXT: it appears whole, or not at all.
put() {
    printf '%s\n' "$2" >"$1.new"
    mv "$1.new" "$1"
}
if [ ! -s "$login/secret-id" ]; then
    role_id=$(bao read -field=role_id "auth/approle/role/$node/role-id")
    secret_id=$(bao write -f -field=secret_id "auth/approle/role/$node/secret-id")
    put "$login/role-id" "$role_id"
    put "$login/secret-id" "$secret_id"
    change "role id and secret id of $node"
fi
# In a shell of its own, for there it is the token; it never is an argument.
renew() {
    (
        BAO_TOKEN=$(cat "$monitoring/token")
        VAULT_TOKEN=$BAO_TOKEN
        bao token renew >/dev/null 2>&1
    )
}
if [ ! -s "$monitoring/token" ] || ! renew; then
    token=$(bao token create -orphan -policy=monitoring -period=768h -field=token)
    put "$monitoring/token" "$token"
    change "a token for Prometheus"
fi
anchor=$(bao read -field=certificate pki/cert/ca)
if [ "$anchor" != "$(cat "$public/anchor.pem" 2>/dev/null)" ]; then
    put "$public/anchor.pem" "$anchor"
    chmod 644 "$public/anchor.pem"
    change "the trust anchor for the lab"
fi

echo "init: $changes changes"
