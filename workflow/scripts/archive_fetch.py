"""Fetch what is needed of one product and segment into the raw store, and write the receipt of it.

in:  nothing
out: receipt  JSON: which files of which manifests below resources/archive the segment consists of
              (fuxiflow.storage.raw_files)
"""

from fuxiflow.archive.fetching import fetch_need, write_need_receipt
from fuxiflow.archive.needs import Need
from fuxiflow.archive.raw_store import STORE
from fuxiflow.config.archives import load_archives


def main(input, output, params, log):
    need = Need(params.product, params.segment, **params.need, address=params.asked.address)
    fetch_need(need, STORE, load_archives(changes=params.asked.archives), log)
    receipt = write_need_receipt(output.receipt, need, STORE)
    log.info("%s %s: %d files", need.product, need.segment, receipt["files"])


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
