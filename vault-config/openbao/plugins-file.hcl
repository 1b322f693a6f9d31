# landfast's secrets engine, from a file that you put into plugin_directory.
# The server registers it at every start, so nobody needs the right to register
# plugins. (By hand it goes too: register.sh.)
#
# Copy to /etc/openbao/server.d/plugins.hcl, the same on every node.

# Stanzas count. OpenBao 2.7 does so by itself, 2.6 wants to be told.
plugin_auto_register = true

plugin "secret" "landfast" {
  # The file's name in plugin_directory. A new version goes beside the old one
  # under a name of its own, with a stanza of its own: mounts are moved one by one.
  command = "landfast"

  # What `landfast --version` says. Mounts keep to the version that they name.
  version = "v0.1.0"

  # `sha256sum /opt/plugins/landfast`. `landfast register --server openbao` prints
  # this whole stanza with it.
  sha256sum = "SHA256_OF_THE_FILE"
}
