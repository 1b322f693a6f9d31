#!/usr/bin/env bash
# botocore 1.44.8 runs a `credential_process` at every use of its credentials while less than 15 minutes of the session are left.
#
# botocore asks for new credentials 15 minutes before the end and lets a failure pass until 10 minutes before. A process that hands out
# the session it has in a cache, as the contract of `credential_process` allows, answers with the same end again, and the next use asks
# again. A helper whose cache renews only in the last minutes is started once per API call until then.
#
# Seen: 20 uses with 16 minutes left start the process once; with 14 minutes left, 21 times.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check botocore==1.44.8
cat >"$work/process.py" <<'P'
import datetime, json, os
with open(os.environ["RUNS"], "a") as runs:
    runs.write("run\n")
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=int(os.environ["LEFT"]))
print(json.dumps({"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "example", "SessionToken": "example",
                  "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}))
P
printf '[default]\ncredential_process = %s %s\n' "$work/venv/bin/python" "$work/process.py" >"$work/config"
for left in 16 14; do
    env -i PATH="$PATH" HOME="$work" RUNS="$work/$left" LEFT=$left AWS_CONFIG_FILE="$work/config" \
        AWS_EC2_METADATA_DISABLED=true "$work/venv/bin/python" - <<'P'
import botocore, botocore.session
credentials = botocore.session.Session().get_credentials()
for _ in range(20):
    credentials.get_frozen_credentials()
assert botocore.__version__ == "1.44.8"
P
    echo "botocore 1.44.8, $left minutes left: $(wc -l <"$work/$left") runs in 20 uses"
done
[[ $(wc -l <"$work/16") == 1 && $(wc -l <"$work/14") -ge 20 ]]
