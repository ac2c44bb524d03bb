"""Draw how much in-situ observations count in training.

out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import obs_loss_weights, style


def main(input, output, params, log):
    table = obs_loss_weights.table(params.observed, params.weight)
    style.save_figure(obs_loss_weights.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
