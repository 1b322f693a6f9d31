# agent: bao agent or bao proxy on a machine, for services that run there
# (../agent/). It belongs to a login of its own (../agent/login.sh), not to the machine's.

# Certificates of services, key included, from a role that only allows names of
# services.
path "pki/issue/service" { capabilities = ["create", "update"] }

# Settings of services. Not the list, and no version but the current one.
path "secret/data/services/+" { capabilities = ["read"] }
