"""fuxiflow: validates the configuration, includes the rules, names the targets; no logic."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))

from fuxiflow.runtime.snakemake_internals import check_version

check_version()

if not workflow.configfiles:

    configfile: "config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/world.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/states.smk"
include: "workflow/rules/observations.smk"
include: "workflow/rules/simulation.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/cycling.smk"
include: "workflow/rules/verification.smk"
include: "workflow/rules/cyclones.smk"
include: "workflow/rules/figures.smk"


complete_rules(workflow, RESULTS, environment_of, common_parameters)
keep_earlier_products()


onstart:
    lift_default_rate(workflow)
    archive_check(jobs_to_run(workflow))
    items = estimated_run()
    space_check(items)
    longest_chains_first(items)
    start_monitor(workflow, RESULTS)


onsuccess:
    end_monitor(True)


onerror:
    end_monitor(False)


rule all:
    default_target: True
    input:
        rules.verification.input,
        rules.cyclones.input,
        rules.figures.input,
    localrule: True
