from fuxiflow.channels import table
from fuxiflow.figures import obs_loss_weights


def test_equal_profiles_of_weights_are_one_line():
    every = [channel.name for channel in table().analysed]
    figure = obs_loss_weights.draw(obs_loss_weights.table({"radiosondes": every}, 1.0))
    labels = [text.get_text().replace("\n", " ") for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["geopotential, zonal wind, meridional wind, relative humidity", "temperature"]
    one = obs_loss_weights.table({"radiosondes": [name for name in every if not name.startswith("R")]}, 1.0)
    labels = [text.get_text().replace("\n", " ") for text in obs_loss_weights.draw(one).axes[0].get_legend().get_texts()]
    assert labels == ["geopotential, zonal wind, meridional wind", "temperature", "relative humidity"]
