"""The rules of the workflow as Snakemake parses them."""

from functools import cache

from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import ConfigSettings, ResourceSettings

from fuxiflow import ROOT


@cache
def parsed_rules(configuration: str, **resources: dict) -> dict[str, Rule]:
    """Return the rules by name under a configuration of the project, such as ``test.yaml``.

    ``resources`` are those that a profile sets, by rule.
    """
    with SnakemakeApi() as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1, overwrite_resources=resources),
            config_settings=ConfigSettings(configfiles=[ROOT / "config" / configuration]),
            snakefile=ROOT / "Snakefile",
            workdir=ROOT,
        )
        return {rule.name: rule for rule in workflow._workflow.rules}
