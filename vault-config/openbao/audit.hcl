# The audit device. OpenBao takes it from here, at the start and at SIGHUP, and
# refuses to make one by its API. A server that cannot write to any of its devices
# answers no request: watch the disk.
#
# Copy to /etc/openbao/server.d/audit.hcl, the same on every node.

audit "file" "file" {
  description = "Who asked for what"

  options {
    # Never in plugin_directory. The folder belongs to the server's user, and
    # logrotate sends SIGHUP after it has moved the file away.
    file_path = "/var/log/openbao/audit.log"

    # Only the server's user reads it. An auditor gets a copy, and finds a value in
    # it by `sys/audit-hash/file`: texts stand there as HMACs.
    mode = "0600"

    # Lines hold no secrets. Never true outside a laboratory.
    log_raw = "false"
  }
}

# A second device keeps the server answering when the first one's disk is full:
# standard output, which systemd hands to the journal.
audit "file" "journal" {
  description = "The same for the journal"

  options {
    file_path = "stdout"
    log_raw   = "false"
  }
}
