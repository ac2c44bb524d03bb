"""Average spectra and balance of all systems over all segments.

in:  parts    cases of each segment, by rule verification_structure_part
out: spectra  Parquet, power by total wavenumber
     balance  Parquet, what is out of geostrophic and hydrostatic balance
              (schemas: fuxiflow.verification.structure)
"""

from fuxiflow.storage.tables import write_parquet
from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.structure import balance_table, join_structure, spectra_table


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    cases = join_structure(input.parts)
    write_parquet(output.spectra, spectra_table(cases, params.reference))
    write_parquet(output.balance, balance_table(cases, params.reference))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
