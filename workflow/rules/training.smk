"""Training: the forecaster, the assimilator on its forecasts, both by recursive unrolling, and long forecasts."""


include: "functions/training.smk"


rule training_forecaster:
    input:
        states=expand(
            f"{RESULTS}/states/era5/{{segment}}.zarr",
            segment=CONFIG.segments(CONFIG.periods.training),
        ),
        statistics=f"{RESULTS}/states/statistics.zarr",
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/forecaster.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/forecaster.losses.parquet",
    log:
        f"{LOGS}/training_forecaster/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_forecaster/{{experiment}}.tsv"
    # it waits for states alone, and all later stages for it: so it and what makes states go before observations
    priority: 1
    conda:
        "../../envs/training.yaml"
    threads: training_threads("forecaster")
    resources:
        mem_mb=memory(training_mb("forecaster")),
        runtime=1440,
        gpu=training_gpus,
        nodes=training_nodes,
        mpi=training_processes("mpi"),
        tasks=training_processes("tasks"),
        tasks_per_node=training_processes("tasks_per_node"),
        tasks_per_gpu=training_processes("tasks_per_gpu"),
    params:
        code=code("training_forecaster"),
        stage=training_stage("forecaster"),
        options=training_options,
        model=training_model,
        grid=grid(),
        dates=dates(CONFIG.periods.training),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/forecaster",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/forecaster",
    script:
        "../scripts/training_forecaster.py"


rule training_backgrounds:
    input:
        forecaster=training_after("forecaster"),
        states=training_bank_states,
    output:
        backgrounds=directory(f"{RESULTS}/models/{{experiment}}/backgrounds/{{segment}}.zarr"),
    log:
        f"{LOGS}/training_backgrounds/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_backgrounds/{{experiment}}/{{segment}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 2
    resources:
        mem_mb=memory(training_backgrounds_mb),
        runtime=720,
        gpu=training_gpu,
    params:
        code=code("training_backgrounds"),
        compression=CONFIG.states.compression,
        max_lead_hours=lambda wildcards: CONFIG.resolve(
            wildcards.experiment
        ).training.assimilator.max_lead_hours,
        every_hours=lambda wildcards: CONFIG.resolve(
            wildcards.experiment
        ).training.backgrounds.every_hours,
        batch=lambda wildcards: CONFIG.resolve(wildcards.experiment).training.backgrounds.batch,
        accelerator=lambda wildcards: CONFIG.resolve(wildcards.experiment).training.accelerator,
        dates=lambda wildcards: dates(CONFIG.periods.observations, wildcards.segment),
        reach=str(CONFIG.periods.training.start),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/backgrounds/{{segment}}",
    script:
        "../scripts/training_backgrounds.py"


rule training_assimilator:
    input:
        unpack(training_bank),
        forecaster=training_after("forecaster"),
        states=training_states("assimilator"),
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=training_grids,
        grid_statistics=training_grid_statistics,
        simulated=training_simulated_grids,
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/assimilator.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/assimilator.losses.parquet",
    log:
        f"{LOGS}/training_assimilator/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_assimilator/{{experiment}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: training_threads("assimilator")
    resources:
        mem_mb=memory(training_mb("assimilator")),
        runtime=1440,
        gpu=training_gpus,
        nodes=training_nodes,
        mpi=training_processes("mpi"),
        tasks=training_processes("tasks"),
        tasks_per_node=training_processes("tasks_per_node"),
        tasks_per_gpu=training_processes("tasks_per_gpu"),
    params:
        code=code("training_assimilator"),
        stage=training_stage("assimilator"),
        options=training_options,
        model=training_model,
        sources=lambda wildcards: CONFIG.resolve(wildcards.experiment).sources,
        windows=lambda wildcards: windows(wildcards.experiment),
        simulated=training_simulated,
        dates=dates(CONFIG.periods.observations),
        reach=training_reach("assimilator"),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/assimilator",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/assimilator",
    script:
        "../scripts/training_assimilator.py"


rule training_joint:
    input:
        assimilator=training_after("assimilator"),
        states=training_states("joint"),
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=training_grids,
        simulated=training_simulated_grids,
        compared=training_compared_grids,
        statistics=training_operator_statics,
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/joint.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/joint.losses.parquet",
    log:
        f"{LOGS}/training_joint/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_joint/{{experiment}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: training_threads("joint")
    resources:
        mem_mb=memory(training_mb("joint")),
        runtime=1440,
        gpu=training_gpus,
        nodes=training_nodes,
        mpi=training_processes("mpi"),
        tasks=training_processes("tasks"),
        tasks_per_node=training_processes("tasks_per_node"),
        tasks_per_gpu=training_processes("tasks_per_gpu"),
    params:
        code=code("training_joint"),
        stage=training_stage("joint"),
        simulated=training_simulated,
        compared_windows=training_compared_windows,
        options=training_options,
        dates=dates(CONFIG.periods.observations),
        reach=training_reach("joint"),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/joint",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/joint",
    script:
        "../scripts/training_joint.py"


rule training_replay:
    input:
        before=training_replay_before,
        states=training_replay_states,
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=training_replay_grids,
        simulated=training_simulated_grids,
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/replay/{{segment}}.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/replay/{{segment}}.losses.parquet",
    log:
        f"{LOGS}/training_replay/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_replay/{{experiment}}/{{segment}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: training_threads("replay")
    resources:
        mem_mb=memory(training_mb("replay")),
        runtime=1440,
        gpu=training_gpus,
        nodes=training_nodes,
        mpi=training_processes("mpi"),
        tasks=training_processes("tasks"),
        tasks_per_node=training_processes("tasks_per_node"),
        tasks_per_gpu=training_processes("tasks_per_gpu"),
    params:
        code=code("training_replay"),
        stage=training_stage("replay"),
        simulated=training_simulated,
        options=training_options,
        observations=dates(CONFIG.periods.observations),
        cycle=lambda wildcards: dates(training_replay_cycle(wildcards)),
        fresh=lambda wildcards: dates(training_replay_fresh(wildcards)),
        reach=training_reach("replay"),
        seed=training_replay_seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/replay/{{segment}}",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/replay/{{segment}}",
    script:
        "../scripts/training_replay.py"


rule training_autoregressive:
    input:
        joint=training_after("joint"),
        states=expand(
            f"{RESULTS}/states/era5/{{segment}}.zarr",
            segment=CONFIG.segments(CONFIG.periods.training),
        ),
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/autoregressive.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/autoregressive.losses.parquet",
    log:
        f"{LOGS}/training_autoregressive/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_autoregressive/{{experiment}}.tsv"
    # forecasts wait for it; the cycles fill the processor beside it
    priority: 1
    conda:
        "../../envs/training.yaml"
    threads: training_threads("autoregressive")
    resources:
        mem_mb=memory(training_mb("autoregressive")),
        runtime=1440,
        gpu=training_gpus,
        nodes=training_nodes,
        mpi=training_processes("mpi"),
        tasks=training_processes("tasks"),
        tasks_per_node=training_processes("tasks_per_node"),
        tasks_per_gpu=training_processes("tasks_per_gpu"),
    params:
        code=code("training_autoregressive"),
        stage=training_stage("autoregressive"),
        options=training_options,
        dates=dates(CONFIG.periods.training),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/autoregressive",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/autoregressive",
    script:
        "../scripts/training_autoregressive.py"


rule training:
    input:
        [
            training_checkpoint(experiment, [*CONFIG.resolve(experiment).training.stages][-1])
            for experiment in CONFIG.trained_experiments
        ],
        [
            training_replayed(experiment, CONFIG.segments(CONFIG.cycling_period)[-1])
            for experiment in CONFIG.trained_experiments
        ],
    localrule: True
