#!/usr/bin/env python3
"""What the start of a plugin costs: from exec to the line by which a host finds it.

    bench/start.py --binary target/release/my-plugin
    bench/start.py --binary my-plugin --kind database --most 3

Prints milliseconds of time and of CPU, medians with the range. With --most it fails when the CPU's median is more. A plugin whose
AWS-LC was built with CPU jitter entropy needs some 30 ms more; see "What a start costs" on the first page of landfast-sdk.
"""

import argparse
import statistics

from run import SECRETS_ENGINE, handshakes, spread

#: How a host starts a plugin of its database engine.
DATABASE = {"VAULT_DATABASE_PLUGIN": "926a0820-aea2-be28-51d6-83cdf00e8edb", "PLUGIN_PROTOCOL_VERSIONS": "6"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the plugin, built as it ships")
    parser.add_argument("--kind", choices=["secret", "auth", "database"], default="secret", help="what it is registered as (secret)")
    parser.add_argument("--runs", type=int, default=21, help="how often it is started (21)")
    parser.add_argument("--most", type=float, help="milliseconds of CPU that it may need")
    arguments = parser.parse_args()
    times, cpu = handshakes(arguments.binary, arguments.runs, DATABASE if arguments.kind == "database" else SECRETS_ENGINE)
    print(f"start: {spread(times)} ms, of CPU {spread(cpu)} ms")
    if arguments.most is not None and statistics.median(cpu) > arguments.most:
        raise SystemExit(f"a start needs more than {arguments.most} ms of CPU")


if __name__ == "__main__":
    main()
