# bao agent on a machine: logs in, and writes certificates and settings of services
# into files, at boot and whenever they change. Vault's agent reads the same file.
#
# Copy to /etc/openbao-agent/agent.hcl with the two templates beside it, and start it
# by ../systemd/openbao-agent.service. The machine's own certificate is not its
# business: `landfast renew` keeps that, with a key that never leaves the machine. Here,
# the server makes the keys.

vault {
  # Any node of the cluster, or what stands in front of them.
  address = "https://bao.example.com:8200"

  # Whom to trust.
  ca_cert = "/etc/openbao-agent/ca.pem"

  # While the server is away, the files stay as they are.
  retry {
    num_retries = 5
  }
}

auto_auth {
  # An AppRole of the policy `agent` (../policies/agent.hcl), by login.sh.
  method "approle" {
    mount_path = "auth/approle-services"

    config = {
      role_id_file_path   = "/etc/openbao-agent/role-id"
      secret_id_file_path = "/etc/openbao-agent/secret-id"

      # Needed again at the next start. True suits a secret id for one use that
      # something brings at each boot.
      remove_secret_id_file_after_reading = false
    }
  }

  # No `sink`: the token stays in the agent's memory.
}

template_config {
  # How often settings are looked at; certificates know their own time.
  static_secret_render_interval = "5m"

  # An agent that gave up ends, and systemd starts it again.
  exit_on_retry_failure = true
}

# A service's certificate. The template writes three files by itself; what it prints
# is the one line of the destination, which names the certificate in place.
template {
  source      = "/etc/openbao-agent/service.ctmpl"
  destination = "/run/service/tls/serial"
  perms       = "0640"

  # A field that is not there is a mistake, not the text "<no value>".
  error_on_missing_key = true

  # After a new certificate is in place. An array: no shell in between.
  exec {
    command = ["systemctl", "try-reload-or-restart", "service.service"]
    timeout = "30s"
  }
}

# A service's settings, from the kv engine (version 2) at secret/.
template {
  source               = "/etc/openbao-agent/settings.ctmpl"
  destination          = "/run/service/settings.env"
  perms                = "0600"
  error_on_missing_key = true

  exec {
    command = ["systemctl", "try-restart", "service.service"]
    timeout = "30s"
  }
}
