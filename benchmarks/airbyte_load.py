"""One campaign loaded by PyAirbyte, set up as a competent user would: what we are compared with.

    AIRBYTE_VENV/bin/python benchmarks/airbyte_load.py BASE_URL TOKEN CAMPAIGN DATABASE

The source is airbyte_manifest.yaml, which Airbyte's CDK runs in this process; PyAirbyte writes what it reads to files,
and DuckDB reads these. Each table is replaced as a whole, because the rows have no key to be merged by. It adds its own
three columns to each row; names and values stay as they come. It lives in an environment of its own:
airbyte-requirements.txt.
Prints at its end one line of JSON: how many rows it says it read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

MANIFEST = Path(__file__).resolve().with_name("airbyte_manifest.yaml")


def load(arguments: argparse.Namespace, folder: Path) -> int:
    """All reports into the database: the number of rows. Its files are in `folder`; its errors are let through."""
    # It reads them when it is imported. Offline: no telemetry, and no look-up in its registry of connectors.
    os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(folder)}
    import airbyte
    from airbyte.caches import DuckDBCache

    config = {name: getattr(arguments, name) for name in ("base_url", "token", "campaign")}
    source = airbyte.get_source("source-passona", config=config, source_manifest=MANIFEST, streams="*")
    with DuckDBCache(db_path=arguments.database, schema_name="reports", cache_dir=folder) as cache:
        return source.read(cache, write_strategy="replace", force_full_refresh=True).processed_records


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    with tempfile.TemporaryDirectory() as folder:
        rows = load(parser.parse_args(), Path(folder))
    print(json.dumps({"rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
