"""Holds the manifests of vault-config/kubernetes against what a cluster would say, without one:

- objects of Kubernetes itself against its schemas, strictly (kubernetes-validate);
- objects of cert-manager, the Secrets Store CSI driver with the Vault provider, and the Vault Secrets Operator against the fields that
  their definitions name, which stand below: no field that is not there, none missing, each of its kind;
- every pod against the restricted pod security standard, with limits and a read-only root;
- names of one object in another: labels, secrets, accounts, ports, volumes.

Prints as JSON the requests that the three clients make of a server, for a test that makes them.
"""

import json
import pathlib
import sys

import kubernetes_validate
import yaml

VERSION = "1.34"

# Fields by their kinds: a type, a list of one kind, or a table; `!` behind a name means that it must be there. A set is a choice.
# Sources: cert-manager's documentation of the Vault issuer, secrets-store-csi-driver config/crd/bases and apis/v1, vault-csi-provider
# internal/config/config.go, vault-secrets-operator config/crd/bases.
DURATION = "duration"
FIELDS = {
    ("cert-manager.io/v1", "Issuer"): {
        "vault!": {
            "server!": str, "path!": str, "namespace": str, "caBundle": str, "serverName": str,
            "caBundleSecretRef": {"name!": str, "key": str},
            "clientCertSecretRef": {"name!": str, "key": str}, "clientKeySecretRef": {"name!": str, "key": str},
            "auth!": {
                "kubernetes": {"mountPath": str, "role!": str, "serviceAccountRef": {"name!": str, "audiences": [str]}},
            },
        },
    },
    ("cert-manager.io/v1", "Certificate"): {
        "secretName!": str, "issuerRef!": {"name!": str, "kind": {"Issuer", "ClusterIssuer"}, "group": str},
        "commonName": str, "dnsNames": [str], "ipAddresses": [str], "uris": [str], "isCA": bool, "duration": DURATION,
        "renewBefore": DURATION, "renewBeforePercentage": int, "revisionHistoryLimit": int,
        "usages": [{"signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment",
                    "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing",
                    "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing",
                    "microsoft sgc", "netscape sgc"}],
        "privateKey": {"algorithm": {"RSA", "ECDSA", "Ed25519"}, "encoding": {"PKCS1", "PKCS8"}, "rotationPolicy": {"Never", "Always"},
                       "size": int},
    },
    ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass"): {"provider!": {"vault"}, "parameters!": "parameters"},
    ("secrets.hashicorp.com/v1beta1", "VaultConnection"): {
        "address!": str, "caCertSecretRef": str, "headers": dict, "skipTLSVerify!": bool, "timeout": DURATION, "tlsServerName": str,
    },
    ("secrets.hashicorp.com/v1beta1", "VaultAuth"): {
        "allowedNamespaces": [str], "headers": dict, "method": {"kubernetes"}, "mount": str, "namespace": str, "params": dict,
        "vaultConnectionRef": str,
        "kubernetes": {"audiences": [str], "role": str, "serviceAccount": str, "tokenExpirationSeconds": int},
    },
    ("secrets.hashicorp.com/v1beta1", "VaultPKISecret"): {
        "altNames": [str], "clear": bool, "commonName": str, "excludeCNFromSans": bool, "expiryOffset": DURATION,
        "format": {"pem", "der", "pem_bundle"}, "ipSans": [str], "issuerRef": str, "mount!": str, "namespace": str, "notAfter": str,
        "otherSans": [str], "privateKeyFormat": {"der", "pkcs8"}, "revoke": bool, "role!": str, "ttl": DURATION, "uriSans": [str],
        "userIDs": [str], "vaultAuthRef": str,
        "destination!": {"annotations": dict, "create": bool, "labels": dict, "name!": str, "overwrite": bool, "type": str},
        "rolloutRestartTargets": [{"kind!": {"Deployment", "DaemonSet", "StatefulSet", "argo.Rollout"}, "name!": str}],
    },
}
# All are texts.
PARAMETERS = {"roleName!": str, "vaultAddress": str, "vaultNamespace": str, "vaultCACertPath": str, "vaultCADirectory": str,
              "vaultTLSServerName": str, "vaultTLSClientCertPath": str, "vaultTLSClientKeyPath": str, "vaultKubernetesMountPath": str,
              "vaultAuthMountPath": str, "audience": str, "vaultSkipTLSVerify": str, "objects!": str}
OBJECT = {"objectName!": str, "secretPath!": str, "secretKey!": str, "method": {"GET", "PUT"}, "secretArgs": dict, "filePermission": int,
          "encoding": {"", "base64", "hex", "utf-8"}}


def need(condition, text):
    if not condition:
        raise SystemExit(text)


def check(value, kind, place):
    """One value against its kind."""
    if isinstance(kind, dict):
        need(isinstance(value, dict), f"{place}: no object")
        names = {name.rstrip("!"): rule for name, rule in kind.items()}
        for name in value:
            need(name in names, f"{place}.{name}: there is no such field")
        for name in kind:
            need(not name.endswith("!") or name[:-1] in value, f"{place}.{name[:-1]} is missing")
        for name, one in value.items():
            check(one, names[name], f"{place}.{name}")
    elif isinstance(kind, list):
        need(isinstance(value, list), f"{place}: no list")
        for index, one in enumerate(value):
            check(one, kind[0], f"{place}[{index}]")
    elif isinstance(kind, set):
        need(value in kind, f"{place}: {value!r} is none of {sorted(kind)}")
    elif kind == DURATION:
        need(isinstance(value, str) and value[:-1].isdigit() and value[-1] in "smh", f"{place}: {value!r} is no duration")
    elif kind == "parameters":
        check(value, PARAMETERS, place)
        check(yaml.safe_load(value["objects"]), [OBJECT], f"{place}.objects")
    else:
        need(type(value) is kind, f"{place}: {value!r} is no {kind.__name__}")


def pods(document):
    """The pod of an object, if it has one."""
    if document["kind"] == "Pod":
        yield document["spec"]
    elif document["kind"] == "Deployment":
        template = document["spec"]["template"]
        need(document["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items(), "the selector is not its pods'")
        yield template["spec"]


def restricted(pod, place):
    """The restricted standard, and what these manifests promise besides. Source: Kubernetes, "Pod Security Standards"."""
    context = pod["securityContext"]
    need(context["runAsNonRoot"] is True and context["runAsUser"] > 0, f"{place}: may be root")
    need(context["seccompProfile"] == {"type": "RuntimeDefault"}, f"{place}: seccomp")
    need(pod["automountServiceAccountToken"] is False, f"{place}: a token that nobody needs")
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        need(name not in pod, f"{place}: {name}")
    volumes = {volume["name"]: next(key for key in volume if key != "name") for volume in pod["volumes"]}
    need(set(volumes.values()) <= {"configMap", "secret", "projected", "emptyDir", "csi"}, f"{place}: {volumes}")
    used = set()
    for container in pod.get("initContainers", []) + pod["containers"]:
        where = f"{place}/{container['name']}"
        own = container["securityContext"]
        need(own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True, f"{where}: privileges")
        need(own["capabilities"] == {"drop": ["ALL"]}, f"{where}: capabilities")
        need("privileged" not in own and "runAsUser" not in own, f"{where}: privileges of its own")
        need({"cpu", "memory"} <= container["resources"]["limits"].keys(), f"{where}: no limits")
        need({"cpu", "memory"} <= container["resources"]["requests"].keys(), f"{where}: no requests")
        need(":" in container["image"].rsplit("/", 1)[-1] and not container["image"].endswith(":latest"), f"{where}: no version")
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                need(container[probe]["httpGet"]["port"] in ports, f"{where}: {probe}")
        for mount in container["volumeMounts"]:
            need(mount["name"] in volumes and "subPath" not in mount, f"{where}: {mount}")
            used.add(mount["name"])
    need(used == set(volumes), f"{place}: volumes that nobody mounts")


def main():
    folder = pathlib.Path(sys.argv[1])
    documents = {}
    for file in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            place = f"{file.name}: {document['kind']}/{document['metadata']['name']}"
            kind = (document["apiVersion"], document["kind"])
            if kind in FIELDS:
                need(set(document) == {"apiVersion", "kind", "metadata", "spec"}, f"{place}: fields")
                need(set(document["metadata"]) == {"name", "namespace"}, f"{place}: metadata")
                check(document["spec"], FIELDS[kind], place)
            else:
                # What it does not know, it refuses.
                kubernetes_validate.validate(document, VERSION, strict=True)
            for pod in pods(document):
                restricted(pod, place)
            documents[(file.name, document["kind"], document["metadata"]["name"])] = document
    need(len(documents) >= 20, f"{len(documents)} objects")

    def one(file, kind, name):
        return documents[(file, kind, name)]

    # What stands in one object and is meant in another.
    for file in ("unseal-server.yaml", "sidecar.yaml"):
        labels = {name: one(*key)["spec"]["template"]["metadata"]["labels"] for key in documents for name in [key[2]]
                  if key[0] == file and key[1] == "Deployment"}
        for key, document in documents.items():
            if key[0] == file and key[1] in ("NetworkPolicy", "PodDisruptionBudget", "Service"):
                spec = document["spec"]
                selector = spec.get("podSelector", spec.get("selector"))
                need(selector.get("matchLabels", selector) == labels[key[2]], f"{key}: selects no pod")
                if key[1] == "NetworkPolicy":
                    need(spec["policyTypes"] == ["Ingress", "Egress"], f"{key}: leaves something open")
    need(one("unseal-server.yaml", "Namespace", "landfast")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted", "labels")
    worker = one("sidecar.yaml", "Deployment", "worker")["spec"]["template"]["spec"]
    certificate = one("cert-manager.yaml", "Certificate", "worker")["spec"]
    need(worker["volumes"][0]["secret"]["secretName"] == certificate["secretName"], "the sidecar's certificate is another one")
    need(certificate["issuerRef"]["name"] == one("cert-manager.yaml", "Issuer", "landfast")["metadata"]["name"], "the issuer")
    vault = one("cert-manager.yaml", "Issuer", "landfast")["spec"]["vault"]
    role = one("cert-manager.yaml", "Role", "certificates-token")["rules"][0]
    need(role["resourceNames"] == [vault["auth"]["kubernetes"]["serviceAccountRef"]["name"]], "the account of the issuer")
    operator = one("vault-secrets-operator.yaml", "VaultPKISecret", "web")["spec"]
    auth = one("vault-secrets-operator.yaml", "VaultAuth", operator["vaultAuthRef"])["spec"]
    one("vault-secrets-operator.yaml", "VaultConnection", auth["vaultConnectionRef"])
    one("vault-secrets-operator.yaml", "ServiceAccount", auth["kubernetes"]["serviceAccount"])
    provider = yaml.safe_load(one("secret-provider-class.yaml", "SecretProviderClass", "reporter")["spec"]["parameters"]["objects"])
    need(len({json.dumps([entry["secretPath"], entry["method"], entry["secretArgs"]]) for entry in provider}) == 1, "certificate and key of two requests")
    config = json.loads(one("unseal-server.yaml", "ConfigMap", "landfast-unseal")["data"]["unseal.json"])
    print(json.dumps({
        "sign": {"path": vault["path"], "common_name": certificate["commonName"], "ttl": certificate["duration"]},
        "csi": {"path": provider[0]["secretPath"], "body": provider[0]["secretArgs"], "keys": [entry["secretKey"] for entry in provider]},
        "operator": {"path": f"{operator['mount']}/issue/{operator['role']}",
                     "body": {"common_name": operator["commonName"], "ttl": operator["ttl"], "format": operator["format"],
                              "private_key_format": operator["privateKeyFormat"]}},
        "unseal": config,
        "serve": worker["initContainers"][0]["args"],
    }))


if __name__ == "__main__":
    main()
