# landfast's secrets engine, from an OCI image that the server fetches itself.
# Needs OpenBao 2.7. In place of plugins-file.hcl, not beside it.
#
# Copy to /etc/openbao/server.d/plugins.hcl, the same on every node. The server
# writes what it fetches into plugin_directory, so here that folder belongs to
# the server's user: give it one that nothing else uses. Credentials for a
# private registry are looked for where Docker and Podman keep them.

# Fetch at the start and at SIGHUP what is not there yet. Without this line,
# `bao plugin init -config=/etc/openbao/server.d` fetches.
plugin_auto_download = true

# A server that cannot fetch does not start: better than one whose mounts have no
# engine. "warn" starts it all the same.
plugin_download_behavior = "fail"

# Stanzas count.
plugin_auto_register = true

# Nothing larger is unpacked. The default is 512 MiB; landfast is far below this.
plugin_download_max_size = 134217728

plugin "secret" "landfast" {
  # Tag and digest of the manifest: the tag is the version that the catalogue
  # shows, the digest decides what is run. One digest may name an index with an
  # image for each architecture. `docker buildx imagetools inspect IMAGE:TAG`
  # prints it; take it from there and from nobody's page. The registry here is an
  # example, for there is no public image yet.
  image = "registry.example.com/landfast:v0.1.0@sha256:DIGEST_OF_THE_MANIFEST"

  # The binary's name comes from the image's ENTRYPOINT, its SHA-256 need not be
  # known. Say it all the same where somebody else may write to the folder:
  # the server then looks at each start, but only for one architecture.
  # sha256sum = "…"
}
