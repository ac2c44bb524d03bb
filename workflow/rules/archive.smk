"""The raw store: fills resources/archive where the configuration has kind: archive.

Raw files are no outputs. A rule makes a receipt of those that a segment consists of.
"""

if CONFIG.kind == "archive":

    rule archive_fetch:
        output:
            receipt=results("archive/{product}/{segment}.json"),
        wildcard_constraints:
            product=archive_products(),
            segment=rf"\d{{4}}-\d{{2}}|invariants|{needs.WHOLE}",
        # only a profile that names a partition for it submits it
        localrule: not has_partition(workflow, "archive_fetch")
        resources:
            **request("archive_fetch"),
            downloads=1,
        params:
            product="{product}",
            segment="{segment}",
            need=archive_need,
            # in a namespace, which Snakemake does not compare: addresses change no raw file
            asked=archive_addresses,
        script:
            "../scripts/archive_fetch.py"

    rule archive:
        input:
            archive_receipts(),
        localrule: True

else:

    rule archive:
        localrule: True
