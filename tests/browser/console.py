#!/usr/bin/env python3
"""The server's own web console, clicked through in a real browser, on a mount of type `pki` that landfast serves.

Each step stands for what a person does; they build on each other, and a step that fails leaves a screenshot, the page and the browser's
log under target/browser/. Prints one line a step and `N passed, N failed` at the end.

    tests/browser/console.py --server .tools/openbao/2.7.2/bao --landfast target/debug/landfast [--picture FILE]
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import traceback

from driver import Browser, Failure
from server import Server

CSR = "-----BEGIN CERTIFICATE REQUEST-----"
MOUNT = "pki-console"


class Steps:
    """What is clicked. Methods whose names begin with `step_` run in the order in which they stand here."""

    def __init__(self, browser, server, picture):
        self.browser = browser
        self.server = server
        self.picture = picture
        self.serial = None

    def page(self, path, *texts):
        """Opens a page of the mount and waits for what it shows."""
        self.browser.open(f"/ui/vault/secrets/{MOUNT}/pki/{path}")
        for text in texts:
            self.browser.wait_text(text)

    def api(self, path):
        """What the server itself has, to hold the console against."""
        return self.server.call("GET", f"{MOUNT}/{path}")["data"]

    def step_mount(self):
        browser = self.browser
        browser.open("/ui/vault/settings/mount-secret-backend")
        browser.click('[data-test-mount-type="pki"]')
        browser.press("Next")
        browser.clear('[data-test-input="path"]')
        browser.type('[data-test-input="path"]', MOUNT)
        browser.press("Enable Engine")
        browser.wait_url(f"/secrets/{MOUNT}/pki")
        mount = self.server.call("GET", f"sys/mounts/{MOUNT}")["data"]
        same(mount["type"], "pki")
        same(mount["running_plugin_version"], self.server.version)
        self.server.call("POST", f"sys/mounts/{MOUNT}/tune", {"max_lease_ttl": "87600h"})
        self.page("overview", "Configure PKI")

    def step_root(self):
        browser = self.browser
        self.page("configuration/create")
        browser.click('[data-test-pki-config-option="generate-root"]')
        browser.select('[data-test-input="type"]', "internal")
        browser.type('[data-test-input="commonName"]', "Example Root CA")
        browser.type('[data-test-input="issuerName"]', "root")
        browser.type('[data-test-ttl-value="TTL"]', "3650")
        browser.select('[data-test-select="ttl-unit"]', "d")
        browser.click('[data-test-toggle-group="Key parameters"]')
        browser.select('[data-test-input="keyType"]', "ec")
        browser.click("[data-test-pki-generate-root-save]")
        browser.wait_text("View root certificate", "Example Root CA")
        issuer = self.api("issuer/root")
        same(issuer["issuer_name"], "root")
        self.page("issuers", "root", "default issuer")

    def step_intermediate(self):
        browser = self.browser
        self.page("issuers/generate-intermediate")
        browser.select('[data-test-input="type"]', "internal")
        browser.type('[data-test-input="commonName"]', "Example Issuing CA")
        browser.click('[data-test-toggle-group="Key parameters"]')
        browser.select('[data-test-input="keyType"]', "ec")
        browser.click("[data-test-save]")
        browser.wait_text("CSR")
        csr = browser.copied(CSR)

        self.page("issuers/root/sign")
        browser.type('[data-test-input="csr"]', csr)
        browser.type('[data-test-input="commonName"]', "Example Issuing CA")
        browser.type('[data-test-ttl-value="TTL"]', "365")
        browser.select('[data-test-select="ttl-unit"]', "d")
        browser.click("[data-test-pki-sign-intermediate-save]")
        browser.wait_text("Serial number", "Issuing CA")
        certificate = browser.copied("-----BEGIN CERTIFICATE-----")

        self.page("issuers/import")
        browser.import_text(certificate)
        browser.click("[data-test-pki-import-pem-bundle]")
        browser.wait_text("imported")
        same(len(self.api("issuers?list=true")["keys"]), 2)

    def step_issuer_pages(self):
        browser = self.browser
        self.page("issuers/root/details", "Example Root CA", "Certificate")
        if self.picture:
            browser.picture(self.picture)
        self.page("issuers/root/edit")
        browser.click("[data-test-save]")
        browser.wait_url("/details")
        same(self.api("issuer/root")["issuer_name"], "root")
        self.page("issuers/root/cross-sign")
        self.page("issuers/root/rotate-root")

    def step_role_with_the_defaults_that_the_form_shows(self):
        browser = self.browser
        self.page("roles/create")
        for group in ["Domain handling", "Key parameters", "Key usage"]:
            browser.click(f'[data-test-toggle-group="{group}"]')
        for group in ["Subject Alternative Name (SAN) Options"]:
            browser.click(f'[data-test-toggle-group="{group}"]')
        shown = {
            "allow_localhost": browser.ticked('[data-test-input="allowLocalhost"]'),
            "allow_any_name": browser.ticked('[data-test-input="allowAnyName"]'),
            "allow_bare_domains": browser.ticked('[data-test-input="allowBareDomains"]'),
            "allow_glob_domains": browser.ticked('[data-test-input="allowGlobDomains"]'),
            "enforce_hostnames": browser.ticked('[data-test-input="enforceHostnames"]'),
            "allow_ip_sans": browser.ticked('[data-test-input="allowIpSans"]'),
            "no_store": browser.ticked('[data-test-input="noStore"]'),
            "generate_lease": browser.ticked('[data-test-input="generateLease"]'),
            "key_type": browser.value('[data-test-input="keyType"]'),
            "key_bits": int(browser.value('[data-test-input="keyBits"]')),
            "not_before_duration": int(browser.value('[data-test-ttl-value="Backdate validity"]')),
        }
        usages = {
            name: browser.ticked(f'[data-test-checkbox="{name}"]')
            for name in ["DigitalSignature", "KeyAgreement", "KeyEncipherment", "CertSign", "CrlSign"]
        }
        # What the built-in engine's form shows, whatever the engine behind it.
        same(shown["allow_localhost"], True)
        same(shown["enforce_hostnames"], True)
        same(shown["allow_ip_sans"], True)
        same([name for name, on in usages.items() if on], ["DigitalSignature", "KeyAgreement", "KeyEncipherment"])
        browser.type('[data-test-input="name"]', "web")
        browser.type('[data-test-string-list-input="0"]', "example.com")
        browser.tick('[data-test-input="allowSubdomains"]')
        browser.click("[data-test-pki-role-save]")
        browser.wait_url("/roles/web/details")
        role = self.api("roles/web")
        for field, value in shown.items():
            same((field, role[field]), (field, value))
        same(sorted(role["key_usage"]), ["DigitalSignature", "KeyAgreement", "KeyEncipherment"])
        same(role["allowed_domains"], ["example.com"])
        same((role["client_flag"], role["server_flag"], role["use_csr_common_name"], role["use_csr_sans"]), (True,) * 4)
        # Saved again, it stays what it is.
        self.page("roles/web/edit")
        browser.click("[data-test-pki-role-save]")
        browser.wait_url("/roles/web/details")
        same(self.api("roles/web"), role)
        self.page("roles", "web")

    def step_issue(self):
        browser = self.browser
        self.page("roles/web/generate")
        browser.type('[data-test-input="commonName"]', "www.example.com")
        browser.click("[data-test-pki-generate-button]")
        browser.wait_text("private key", "Serial number")
        stored = self.api("certs?list=true")["keys"]
        shown = browser.text()
        self.serial = next(serial for serial in stored if serial in shown)

    def step_sign(self):
        browser = self.browser
        self.page("roles/web/sign")
        browser.type('[data-test-input="csr"]', self.server.csr("sub.example.com"))
        browser.type('[data-test-input="commonName"]', "sub.example.com")
        before = len(self.api("certs?list=true")["keys"])
        browser.click("[data-test-pki-generate-button]")
        browser.wait_text("Serial number")
        same(len(self.api("certs?list=true")["keys"]), before + 1)

    def step_revoke(self):
        browser = self.browser
        self.page("certificates", self.serial)
        self.page(f"certificates/{self.serial.replace(':', '-')}/details", "www.example.com")
        browser.click("[data-test-pki-cert-revoke-button]")
        browser.click('[data-test-confirm-button], [data-test-confirm-button="true"]')
        browser.wait_text("Revocation time")
        if not self.api(f"cert/{self.serial}")["revocation_time"]:
            raise Failure("the certificate is not revoked")
        same(self.serial in self.api("certs/revoked?list=true")["keys"], True)

    def step_every_configuration_is_saved(self):
        browser = self.browser
        address = "https://pki.example.com/v1/" + MOUNT
        acme = self.api("config/acme")
        self.page("configuration/edit")
        browser.type('[data-test-input="path"]', address)
        browser.type('[data-test-input="aiaPath"]', address)
        browser.type('[data-test-input="dnsResolver"]', "192.0.2.1:53")
        browser.fill_list("issuingCertificates", address + "/ca")
        browser.click("[data-test-configuration-edit-save]")
        browser.wait_url(f"/{MOUNT}/pki/configuration")
        browser.wait_text("Cluster Config", "192.0.2.1:53", address)
        browser.wait_gone("[data-test-configuration-edit-save]")
        same(self.api("config/cluster"), {"path": address, "aia_path": address})
        same(self.api("config/acme"), acme | {"dns_resolver": "192.0.2.1:53"})
        same(self.api("config/urls")["issuing_certificates"], [address + "/ca"])
        same(self.api("config/crl")["expiry"], "72h")

    def step_acme_is_turned_on(self):
        browser = self.browser
        self.page("configuration/edit")
        browser.tick('[data-test-input="enabled"]')
        browser.click("[data-test-configuration-edit-save]")
        browser.wait_url(f"/{MOUNT}/pki/configuration")
        browser.wait_gone("[data-test-configuration-edit-save]")
        same(self.api("config/acme")["enabled"], True)
        directory = browser.fetch(f"/v1/{MOUNT}/acme/directory")
        same(directory["newOrder"], f"https://pki.example.com/v1/{MOUNT}/acme/new-order")

    def step_external_accounts_are_asked_for(self):
        """All that the consoles of 2.7.2 and 2.6.2 have of external accounts is their policy: no page makes, lists or deletes one."""
        browser = self.browser
        acme = self.api("config/acme")
        self.page("configuration/edit")
        same(browser.value('[data-test-input="eabPolicy"]'), acme["eab_policy"])
        browser.select('[data-test-input="eabPolicy"]', "always-required")
        browser.click("[data-test-configuration-edit-save]")
        browser.wait_url(f"/{MOUNT}/pki/configuration")
        browser.wait_text("EAB policy", "always-required")
        browser.wait_gone("[data-test-configuration-edit-save]")
        same(self.api("config/acme"), acme | {"eab_policy": "always-required"})
        same(browser.fetch(f"/v1/{MOUNT}/acme/directory")["meta"]["externalAccountRequired"], True)

    def step_an_external_account_is_made_in_the_explorer(self):
        browser = self.browser
        browser.open("/ui/vault/api-explorer")
        browser.type("[data-test-filter-input]", f"/{MOUNT}/acme/new-eab")
        browser.click(f'.opblock-post:has([data-path="/{MOUNT}/acme/new-eab"]) .opblock-summary-control')
        browser.press("Try it out")
        browser.press("Execute")
        browser.wait_text("key_type", "acme_directory")
        accounts = self.api("eab?list=true")
        same(len(accounts["keys"]), 1)
        browser.wait_text(accounts["keys"][0])

    def step_tidy(self):
        browser = self.browser
        self.page("tidy")
        self.page("tidy/auto/configure")
        browser.click("[data-test-pki-tidy-button]")
        browser.wait_url("/tidy/auto")
        same(self.api("config/auto-tidy")["enabled"], False)
        self.page("tidy/manual")
        browser.tick('[data-test-input="tidyCertStore"]')
        browser.click("[data-test-pki-tidy-button]")
        browser.wait_url(f"/{MOUNT}/pki/tidy")
        browser.wait_text("Tidy operation finished")
        same(self.api("tidy-status")["state"], "Finished")

    def step_keys(self):
        browser = self.browser
        self.page("keys/create")
        browser.type('[data-test-input="keyName"]', "spare")
        browser.select('[data-test-input="type"]', "internal")
        browser.select('[data-test-input="keyType"]', "ec")
        browser.click("[data-test-pki-key-save]")
        browser.wait_url("/details")
        browser.wait_text("spare")
        key = self.api("key/spare")["key_id"]
        self.page(f"keys/{key}/edit")
        browser.type('[data-test-input="keyName"]', "-kept")
        browser.click("[data-test-pki-key-save]")
        browser.wait_url("/details")
        same(self.api(f"key/{key}")["key_name"], "spare-kept")
        self.page("keys", "spare-kept")

    def step_help(self):
        browser = self.browser
        # The console's own command line shows the help texts, its API explorer the document.
        browser.open("/ui/vault/api-explorer")
        browser.type("[data-test-filter-input]", f"/{MOUNT}/config/a")
        browser.wait_text(f"/{MOUNT}/config/acme", f"/{MOUNT}/config/auto-tidy")
        for path in ["config/acme", "config/auto-tidy", "config/cluster", "config/urls", "issue/web", "sign/web", "roles/web",
                     "issuer/root/sign-intermediate"]:
            answer = browser.fetch(f"/v1/{MOUNT}/{path}?help=1")
            item = next(iter(answer["openapi"]["paths"].values()))
            fields = item["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
            if not fields or "## PARAMETERS" not in answer["help"]:
                raise Failure(f"the help of {path} names no fields")

    def step_nothing_broke_on_the_way(self):
        self.browser.refuse_errors()


def same(left, right):
    """Fails with both when they differ."""
    if left != right:
        raise Failure(f"{left!r} is not {right!r}")


def run(arguments):
    passed = failed = 0
    output = arguments.output
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="lf-browser-") as folder:
        with Server(arguments.server, arguments.landfast, pathlib.Path(folder)) as server:
            with Browser(server.address, pathlib.Path(folder), server.person) as browser:
                steps = Steps(browser, server, arguments.picture)
                for name in [name for name in vars(Steps) if name.startswith("step_")]:
                    title = name.removeprefix("step_").replace("_", " ")
                    try:
                        getattr(steps, name)()
                    except Exception:  # Whatever it was, the steps after it say more.
                        failed += 1
                        print(f"FAILED {server.release} {title}")
                        traceback.print_exc()
                        browser.keep(output, name, server.log())
                    else:
                        passed += 1
                        print(f"ok {server.release} {title}")
                    sys.stdout.flush()
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=pathlib.Path, action="append", required=True)
    parser.add_argument("--landfast", type=pathlib.Path, required=True)
    parser.add_argument("--picture", type=pathlib.Path, help="where the page of an issuer is kept as a picture")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("target/browser"))
    arguments = parser.parse_args()
    passed = failed = 0
    root = arguments.output
    for server in arguments.server:
        arguments.server = server
        arguments.output = root / server.resolve().parent.name
        counts = run(arguments)
        passed, failed = passed + counts[0], failed + counts[1]
        arguments.picture = None
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
