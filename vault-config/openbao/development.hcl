# For development on one machine: no TLS, nothing beyond this machine, data in
# memory. Nothing of it belongs in production; take single.hcl there.
#
#   bao server -dev -dev-no-store-token -dev-root-token-id=root -config=development.hcl
#
# The development server brings its own storage, and a listener on
# 127.0.0.1:8200 unless -dev-listen-address says another; it is unsealed.

# Where `landfast` lies. A folder of your own will do; it must not be a
# symbolic link.
plugin_directory = "/opt/plugins"

# A second listener for programs that know only this address. Loopback, as
# everything here that has no TLS.
listener "tcp" {
  address     = "127.0.0.1:8210"
  tls_disable = true
}

# Everything that happens, so that a plugin's own lines are to be seen.
log_level = "debug"

# The console, at http://127.0.0.1:8200/ui.
ui = true
