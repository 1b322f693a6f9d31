# bao proxy on a machine: programs that speak to the server's API ask here, without a
# token and without TLS of their own, and the proxy asks the server with its token.
# Whoever reaches its address has that token's rights.
#
# Copy to /etc/openbao-agent/proxy.hcl. Programs use VAULT_ADDR=http://127.0.0.1:8100.

vault {
  address = "https://bao.example.com:8200"
  ca_cert = "/etc/openbao-agent/ca.pem"
}

auto_auth {
  # An AppRole of the policy `agent`, as for the agent.
  method "approle" {
    mount_path = "auth/approle-services"

    config = {
      role_id_file_path                   = "/etc/openbao-agent/role-id"
      secret_id_file_path                 = "/etc/openbao-agent/secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

api_proxy {
  # The proxy's own token, whatever the program sends.
  use_auto_auth_token = "force"
}

listener "tcp" {
  # This machine only: there is no TLS and no token on the way.
  address     = "127.0.0.1:8100"
  tls_disable = true

  # Web pages in a browser on this machine cannot send this header: programs do
  # (the command line and the agents by themselves).
  require_request_header = true
}
