"""Put a public climatology in the place of that of the training period, for scores.

in:  store        Zarr in WeatherBench2's layout, or the receipt of what was fetched of one
     training     climatology of the training period, for the channels that the store lacks
out: climatology  Zarr (fuxiflow.states.climatology)
"""

from fuxiflow.states.public_climatology import write_scored_climatology


def main(input, output, params, log):
    write_scored_climatology(output.climatology, input.store, input.training, log)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
