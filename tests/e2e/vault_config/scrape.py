"""Scrapes by a file of vault-config as Prometheus does: scrape.py FILE SERVER TOKEN_FILE

Each job asks SERVER in place of its targets, with TOKEN_FILE where it names a file of credentials. Prints as JSON, for each job, its status, the labels that
its relabelling gives, and every sample of the answer, read by the parser for OpenMetrics of Prometheus' own client.
"""

import json
import re
import sys
import urllib.error
import urllib.request

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

KNOWN = {"job_name", "scheme", "metrics_path", "authorization", "tls_config", "static_configs", "relabel_configs"}
# What Prometheus 3 sends.
ACCEPT = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"


def scrape(job, server, token):
    unknown = job.keys() - KNOWN
    assert not unknown, unknown
    request = urllib.request.Request(server + job["metrics_path"], headers={"Accept": ACCEPT})
    if "authorization" in job:
        assert job["authorization"].keys() == {"credentials_file"}, job
        request.add_header("Authorization", "Bearer " + open(token).read().strip())
    labels = {}
    for rule in job["relabel_configs"]:
        assert rule["source_labels"] == ["__metrics_path__"], rule
        found = re.fullmatch(rule["regex"], job["metrics_path"])
        assert found, rule
        labels[rule["target_label"]] = found.group(1)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return {"status": error.code, "text": error.read().decode()}
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
    samples, families = [], {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family
        families[family.name] = family.type
        samples += [[sample.name, sample.labels, sample.value] for sample in family.samples]
    return {"status": 200, "labels": labels, "samples": samples, "families": families}


file, server, token = sys.argv[1:]
jobs = yaml.safe_load(open(file))["scrape_configs"]
print(json.dumps({job["job_name"]: scrape(job, server, token) for job in jobs}))
