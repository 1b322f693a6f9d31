#!/usr/bin/env bash
# Pods log in by the token of their service account: nothing is handed to them.
#
#   KUBERNETES_HOST=https://10.0.0.1:6443 KUBERNETES_CA=ca.pem REVIEWER=reviewer.jwt logins/kubernetes.sh
#
# REVIEWER is the file with the token of an account that may review tokens
# (ClusterRole system:auth-delegator). A server that runs in the cluster leaves
# REVIEWER and KUBERNETES_CA out and uses its own. Needs a token that may enable
# logins. BAO=vault for Vault. In the pod, then:
#
#   landfast enroll --auth kubernetes --auth-role node --role hybrid-node-kubernetes --node-name node-1
set -euo pipefail
bao=${BAO:-bao}

grep -q '"kubernetes/"' <<<"$("$bao" auth list -format=json)" || "$bao" auth enable kubernetes

# The token is read from its file: arguments can be read by everybody on the machine.
"$bao" write auth/kubernetes/config kubernetes_host="${KUBERNETES_HOST:?where the API server answers}" \
    ${KUBERNETES_CA:+kubernetes_ca_cert=@"$KUBERNETES_CA" disable_local_ca_jwt=true} \
    ${REVIEWER:+token_reviewer_jwt=@"$REVIEWER"}

# Accounts of one namespace; which account it is decides the name below.
"$bao" write auth/kubernetes/role/node bound_service_account_names='*' \
    bound_service_account_namespaces="${NAMESPACE:-nodes}" audience="${AUDIENCE:-vault}" \
    alias_name_source=serviceaccount_uid token_policies=node token_ttl=5m token_max_ttl=30m

# The alias is the account's UID; its metadata has the account's name. The preset
# knows no login by Kubernetes, so its fields stand here: that name, and nothing
# else. A role of its own, for each is bound to one login.
accessor=$("$bao" read -field=accessor sys/auth/kubernetes)
"$bao" write pki/roles/hybrid-node-kubernetes \
    allowed_domains="{{identity.entity.aliases.$accessor.metadata.service_account_name}}" \
    allowed_domains_template=true allow_bare_domains=true allow_ip_sans=false allow_localhost=false \
    allow_wildcard_certificates=false cn_validations=hostname key_type=ec key_bits=256 \
    key_usage=DigitalSignature server_flag=false client_flag=true not_after_bound=forbid ttl=24h max_ttl=72h
