"""Makes the key of the seal in the stand-in for AWS KMS, unless it is there."""

import json
import time
import urllib.error
import urllib.request

ENDPOINT = "http://kms:4566"
ALIAS = "alias/landfast-unseal"
# The stand-in verifies no signature; it reads the Region from here.
SCOPE = "AWS4-HMAC-SHA256 Credential=development/20260101/us-west-2/kms/aws4_request, SignedHeaders=host, Signature=none"


def call(operation, **arguments):
    """The answer of AWS KMS, or the name of its refusal."""
    request = urllib.request.Request(
        ENDPOINT,
        json.dumps(arguments).encode(),
        {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1", "Authorization": SCOPE},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
            return json.loads(body) if body else {}
    except urllib.error.HTTPError as refusal:
        return json.loads(refusal.read())["__type"]


def main():
    for _ in range(240):
        try:
            found = call("DescribeKey", KeyId=ALIAS)
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.25)
    else:
        raise SystemExit(f"kms-key: nobody answers at {ENDPOINT}")
    if isinstance(found, dict):
        print(f"kms-key: {ALIAS} is there")
        return
    if "NotFoundException" not in found:
        raise SystemExit(f"kms-key: {found}")
    key = call("CreateKey", Description="The seal of the development stack")["KeyMetadata"]["KeyId"]
    call("CreateAlias", AliasName=ALIAS, TargetKeyId=key)
    print(f"kms-key: made {ALIAS}")


main()
