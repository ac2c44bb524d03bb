from fuxiflow.channels import channel_table
from fuxiflow.figures import obs_loss_weights


def labels(observed):
    """Those of the legend, when the radiosondes observe these channels."""
    legend = (
        obs_loss_weights.draw(obs_loss_weights.table({"radiosondes": observed}, 1.0))
        .axes[0]
        .get_legend()
    )
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()]


def test_equal_profiles_of_weights_are_one_line():
    every = [channel.name for channel in channel_table().analysed]
    assert labels(every) == [
        "geopotential, zonal wind, meridional wind, relative humidity",
        "temperature",
    ]
    dry = [name for name in every if not name.startswith("R")]
    assert labels(dry) == [
        "geopotential, zonal wind, meridional wind",
        "temperature",
        "relative humidity",
    ]
