"""Figures: one rule for each figure id, drawn from stored tables and fields; the target `figures` makes all of them."""

from fuxiflow.config import figure_inputs

FIGURES = f"{RESULTS}/figures"
FIGURE_EXPERIMENTS = CONFIG.figures.experiments
MAIN = FIGURE_EXPERIMENTS[0]
MAIN_SOURCES = CONFIG.resolve(MAIN).sources
FIGURE_ASSIMILATING = [
    MAIN,
    *(name for name in FIGURE_EXPERIMENTS[1:] if CONFIG.resolve(name).sources),
]
FIGURE_REFERENCES = figure_inputs.error_references(CONFIG)
REFERENCE = FIGURE_REFERENCES[-1]
# two states and two references of an analysis in memory, on top of the interpreter and the libraries
FIGURE_MB = 1500 + CONFIG.grid.nlat * CONFIG.grid.nlon * 70 * 4 * 6 // 2**20
FIGURE_IDS = [
    "system",
    "cycling",
    "analysis_error",
    "surface_error",
    "skill_vs_lead",
    "increment_case",
    "error_maps",
]
# these need a source to look at, and GFS and ERA5 to compare with
FIGURE_IDS += ["coverage"] if MAIN_SOURCES else []
FIGURE_IDS += (
    ["scorecard_era5"]
    if "gfs" in CONFIG.verification.baselines and "era5" in FIGURE_REFERENCES
    else []
)
# these are of experiments that not every configuration has
FIGURE_IDS += ["hybrid_training"] if CONFIG.figures.hybrid_training else []
FIGURE_IDS += ["unrolling"] if CONFIG.figures.unrolling else []
FIGURE_IDS += ["obs_loss_weights"] if figure_inputs.joint_experiment(CONFIG) else []

CASE = CONFIG.case.isoformat()
CASE_STATES = {
    name: f"{RESULTS}/states/{name}/{figure_inputs.case_segment(CONFIG)}.zarr"
    for name in FIGURE_REFERENCES
}


report: "../report/workflow.rst"


rule figure_system:
    output:
        pdf=f"{FIGURES}/system.pdf",
        png=report(
            f"{FIGURES}/system.png",
            caption="../report/system.rst",
            category="System",
            labels={"figure": "data flow"},
        ),
        csv=f"{FIGURES}/system.csv",
    log:
        f"{LOGS}/figure_system/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_system/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_system"),
        settings=figure_inputs.diagram_settings(CONFIG, MAIN, WORLD),
        world=WORLD,
    script:
        "../scripts/figure_system.py"


rule figure_coverage:
    input:
        grids=[
            f"{RESULTS}/grids/{name}/{segment}.zarr"
            for name, segments in figure_inputs.case_grids(CONFIG, MAIN_SOURCES).items()
            for segment in segments
        ],
    output:
        pdf=f"{FIGURES}/coverage.pdf",
        png=report(
            f"{FIGURES}/coverage.png",
            caption="../report/coverage.rst",
            category="Observations",
            labels={"figure": "coverage"},
        ),
        csv=f"{FIGURES}/coverage.csv",
    log:
        f"{LOGS}/figure_coverage/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_coverage/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(FIGURE_MB),
        runtime=20,
    params:
        code=code("figure_coverage"),
        case=CASE,
        windows=figure_inputs.source_windows(MAIN_SOURCES),
        world=WORLD,
    script:
        "../scripts/figure_coverage.py"


rule figure_cycling:
    input:
        cycles=[f"{RESULTS}/scores/{name}/cycle.parquet" for name in FIGURE_EXPERIMENTS],
        observations=f"{RESULTS}/scores/{MAIN}/observations.parquet",
    output:
        pdf=f"{FIGURES}/cycling.pdf",
        png=report(
            f"{FIGURES}/cycling.png",
            caption="../report/cycling.rst",
            category="Analyses",
            labels={"figure": "errors through the cycle"},
        ),
        csv=f"{FIGURES}/cycling.csv",
    log:
        f"{LOGS}/figure_cycling/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_cycling/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_cycling"),
        main=MAIN,
        reference=REFERENCE,
        test_start=str(CONFIG.periods.test.start),
        world=WORLD,
    script:
        "../scripts/figure_cycling.py"


rule figure_analysis_error:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
        baselines=f"{RESULTS}/scores/baselines.parquet",
    output:
        pdf=f"{FIGURES}/analysis_error.pdf",
        png=report(
            f"{FIGURES}/analysis_error.png",
            caption="../report/analysis_error.rst",
            category="Analyses",
            labels={"figure": "profiles of analysis error"},
        ),
        csv=f"{FIGURES}/analysis_error.csv",
    log:
        f"{LOGS}/figure_analysis_error/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_analysis_error/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_analysis_error"),
        experiments=FIGURE_ASSIMILATING,
        references=FIGURE_REFERENCES,
        world=WORLD,
    script:
        "../scripts/figure_analysis_error.py"


rule figure_surface_error:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
        baselines=f"{RESULTS}/scores/baselines.parquet",
    output:
        pdf=f"{FIGURES}/surface_error.pdf",
        png=report(
            f"{FIGURES}/surface_error.png",
            caption="../report/surface_error.rst",
            category="Analyses",
            labels={"figure": "analysis error near the ground"},
        ),
        csv=f"{FIGURES}/surface_error.csv",
    log:
        f"{LOGS}/figure_surface_error/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_surface_error/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_surface_error"),
        experiments=FIGURE_ASSIMILATING,
        reference=REFERENCE,
        world=WORLD,
    script:
        "../scripts/figure_surface_error.py"


rule figure_skill_vs_lead:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
    output:
        pdf=f"{FIGURES}/skill_vs_lead.pdf",
        png=report(
            f"{FIGURES}/skill_vs_lead.png",
            caption="../report/skill_vs_lead.rst",
            category="Forecasts",
            labels={"figure": "skill against lead time"},
        ),
        csv=f"{FIGURES}/skill_vs_lead.csv",
    log:
        f"{LOGS}/figure_skill_vs_lead/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_skill_vs_lead/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_skill_vs_lead"),
        experiment=MAIN,
        reference=REFERENCE,
        world=WORLD,
    script:
        "../scripts/figure_skill_vs_lead.py"


rule figure_scorecard_era5:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
    output:
        pdf=f"{FIGURES}/scorecard_era5.pdf",
        png=report(
            f"{FIGURES}/scorecard_era5.png",
            caption="../report/scorecard_era5.rst",
            category="Forecasts",
            labels={"figure": "scorecard against ERA5"},
        ),
        csv=f"{FIGURES}/scorecard_era5.csv",
    log:
        f"{LOGS}/figure_scorecard_era5/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_scorecard_era5/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_scorecard_era5"),
        experiment=MAIN,
        world=WORLD,
    script:
        "../scripts/figure_scorecard_era5.py"


rule figure_increment_case:
    input:
        analyses=[f"{RESULTS}/analyses/{MAIN}/{figure_inputs.case_segment(CONFIG)}.zarr"],
        era5=CASE_STATES.get("era5", []),
        truth=CASE_STATES.get("truth", []),
        response=[f"{RESULTS}/analyses/{MAIN}/response.zarr"] if CONFIG.perturbation else [],
    output:
        pdf=f"{FIGURES}/increment_case.pdf",
        png=report(
            f"{FIGURES}/increment_case.png",
            caption="../report/increment_case.rst",
            category="Analyses",
            labels={"figure": "increment of one analysis"},
        ),
        csv=f"{FIGURES}/increment_case.csv",
    log:
        f"{LOGS}/figure_increment_case/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_increment_case/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(FIGURE_MB),
        runtime=20,
    params:
        code=code("figure_increment_case"),
        case=CASE,
        world=WORLD,
    script:
        "../scripts/figure_increment_case.py"


rule figure_error_maps:
    input:
        maps=f"{RESULTS}/scores/{MAIN}/maps.zarr",
    output:
        pdf=f"{FIGURES}/error_maps.pdf",
        png=report(
            f"{FIGURES}/error_maps.png",
            caption="../report/error_maps.rst",
            category="Forecasts",
            labels={"figure": "maps of the mean error"},
        ),
        csv=f"{FIGURES}/error_maps.csv",
    log:
        f"{LOGS}/figure_error_maps/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_error_maps/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(FIGURE_MB),
        runtime=20,
    params:
        code=code("figure_error_maps"),
        reference=REFERENCE,
        world=WORLD,
    script:
        "../scripts/figure_error_maps.py"


rule figure_hybrid_training:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
    output:
        pdf=f"{FIGURES}/hybrid_training.pdf",
        png=report(
            f"{FIGURES}/hybrid_training.png",
            caption="../report/hybrid_training.rst",
            category="Analyses",
            labels={"figure": "real and hybrid training"},
        ),
        csv=f"{FIGURES}/hybrid_training.csv",
    log:
        f"{LOGS}/figure_hybrid_training/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_hybrid_training/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_hybrid_training"),
        experiments=CONFIG.figures.hybrid_training or [],
        references=FIGURE_REFERENCES,
        world=WORLD,
    script:
        "../scripts/figure_hybrid_training.py"


rule figure_unrolling:
    input:
        scores=f"{RESULTS}/scores/scores.parquet",
    output:
        pdf=f"{FIGURES}/unrolling.pdf",
        png=report(
            f"{FIGURES}/unrolling.png",
            caption="../report/unrolling.rst",
            category="Analyses",
            labels={"figure": "unrolled cycles in training"},
        ),
        csv=f"{FIGURES}/unrolling.csv",
    log:
        f"{LOGS}/figure_unrolling/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_unrolling/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_unrolling"),
        labels=figure_inputs.unrolled_cycles(CONFIG),
        reference=REFERENCE,
        world=WORLD,
    script:
        "../scripts/figure_unrolling.py"


rule figure_obs_loss_weights:
    output:
        pdf=f"{FIGURES}/obs_loss_weights.pdf",
        png=report(
            f"{FIGURES}/obs_loss_weights.png",
            caption="../report/obs_loss_weights.rst",
            category="System",
            labels={"figure": "weights of observations in the loss"},
        ),
        csv=f"{FIGURES}/obs_loss_weights.csv",
    log:
        f"{LOGS}/figure_obs_loss_weights/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_obs_loss_weights/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_obs_loss_weights"),
        experiment=figure_inputs.joint_experiment(CONFIG),
        observed=figure_inputs.compared_channels(CONFIG),
        weight=figure_inputs.compared_weight(CONFIG),
        world=WORLD,
    script:
        "../scripts/figure_obs_loss_weights.py"


rule figure_costs:
    input:
        made=rules.verification.input,
        # made before, but a figure drawn anew is no news here
        figures=ancient([getattr(rules, f"figure_{name}").output.pdf for name in FIGURE_IDS]),
    output:
        pdf=f"{FIGURES}/costs.pdf",
        png=report(
            f"{FIGURES}/costs.png",
            caption="../report/costs.rst",
            category="System",
            labels={"figure": "costs"},
        ),
        csv=f"{FIGURES}/costs.csv",
        jobs=f"{RESULTS}/costs.parquet",
    log:
        f"{LOGS}/figure_costs/all.log",
    benchmark:
        f"{BENCHMARKS}/figure_costs/all.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        code=code("figure_costs"),
        benchmarks=BENCHMARKS,
        experiments=list(CONFIG.experiments),
        world=WORLD,
    script:
        "../scripts/figure_costs.py"


rule figures:
    input:
        [getattr(rules, f"figure_{name}").output for name in FIGURE_IDS],
        rules.figure_costs.output,
    localrule: True
