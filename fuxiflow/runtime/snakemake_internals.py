"""The private parts of Snakemake that the workflow relies on.

They were read in Snakemake 9.27, whose next minor version requirements.txt excludes:

- ``workflow.rules`` lists the rules parsed so far, and ``Rule.set_log``, ``Rule.set_params`` and the
  attributes ``benchmark``, ``conda_env``, ``log_modifier`` and ``benchmark_modifier`` are what its
  parser sets for the directives of these names.
"""

import re
from collections.abc import Callable


def complete_rules(
    workflow,
    results: str,
    environment: Callable[[str], str],
    parameters: Callable[[str], dict],
) -> None:
    """Give every rule with a script its log, benchmark, environment and common parameters.

    Logs and benchmarks are ``{results}/logs/{rule}/{wildcards}.log`` and
    ``{results}/benchmarks/{rule}/{wildcards}.tsv``, with the wildcards in the order of the first
    output, or ``all`` without any.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, after all rules are parsed.
    results : str
        The folder of the results of a configuration.
    environment : callable
        Returns the conda environment of a rule, relative to the file of the rule.
    parameters : callable
        Returns the parameters to add to those of a rule, by name.
    """
    for rule in workflow.rules:
        if rule.script is None:
            continue
        wildcards = dict.fromkeys(re.findall(r"\{([a-z_]\w*)", str(rule.output[0])))
        stem = f"{rule.name}/" + ("/".join(f"{{{name}}}" for name in wildcards) or "all")
        rule.log_modifier = rule.benchmark_modifier = workflow.modifier.path_modifier
        rule.set_log(f"{results}/logs/{stem}.log")
        rule.benchmark = f"{results}/benchmarks/{stem}.tsv"
        rule.conda_env = environment(rule.name)
        rule.set_params(**parameters(rule.name))
