"""Training: the forecaster, the assimilator on its forecasts, both unrolled, long forecasts."""


rule training_forecaster:
    input:
        states=segments_of(results("states/era5/{segment}.zarr"), CONFIG.periods.training),
        statistics=results("states/statistics.zarr"),
    output:
        checkpoint=results("models/{experiment}/forecaster.ckpt"),
        losses=results("models/{experiment}/forecaster.losses.parquet"),
    # it waits for states alone, and all later stages wait for it: both go before observations
    priority: 1
    threads: threads_of("training_forecaster")
    resources:
        **training_launch("forecaster"),
        **request("training_forecaster"),
    params:
        stage=training_stage("forecaster"),
        saving=training_saving("forecaster"),
        options=training_options("forecaster"),
        model=training_model,
        grid=grid(),
        dates=dates(CONFIG.periods.training),
        seed=training_seed,
        state=restart("training/{experiment}/forecaster"),
        tensorboard=results("logs/tensorboard/{experiment}/forecaster"),
    script:
        "../scripts/training_forecaster.py"


rule training_backgrounds:
    input:
        forecaster=training_after("forecaster"),
        states=training_bank_states,
    output:
        backgrounds=passing(
            "backgrounds", directory(results("models/{experiment}/backgrounds/{segment}.zarr"))
        ),
    threads: threads_of("training_backgrounds")
    resources:
        **request("training_backgrounds"),
    params:
        compression=CONFIG.states.compression,
        max_lead_hours=of_experiment(lambda one: one.training.assimilator.max_lead_hours),
        every_hours=of_experiment(lambda one: one.training.backgrounds.every_hours),
        batch=of_experiment(lambda one: one.training.backgrounds.batch),
        accelerator=of_experiment(lambda one: one.training.accelerator),
        dates=dates_in(CONFIG.periods.observations),
        reach=str(CONFIG.periods.training.start),
        threads=threads_of("training_backgrounds"),
        seed=training_seed,
        state=restart("training/{experiment}/backgrounds/{segment}"),
    script:
        "../scripts/training_backgrounds.py"


rule training_background_filter:
    input:
        forecaster=training_after("forecaster"),
        states=segments_of(results("states/era5/{segment}.zarr"), CONFIG.periods.training),
        climatology=results("states/climatology.zarr"),
    output:
        filter=results("models/{experiment}/background_filter.pt"),
        response=results("models/{experiment}/background_filter.parquet"),
    resources:
        **request("training_background_filter"),
    params:
        settings=of_experiment(lambda one: one.training.background_filter.model_dump(mode="json")),
        accelerator=of_experiment(lambda one: one.training.accelerator),
        seed=training_seed,
    script:
        "../scripts/training_background_filter.py"


rule training_background_errors:
    input:
        forecaster=training_after("forecaster"),
        states=segments_of(results("states/era5/{segment}.zarr"), CONFIG.periods.training),
    output:
        errors=results("models/{experiment}/background_errors.pt"),
    resources:
        **request("training_background_errors"),
    params:
        settings=of_experiment(lambda one: one.training.variational.fit.model_dump(mode="json")),
        accelerator=of_experiment(lambda one: one.training.accelerator),
        seed=training_seed,
    script:
        "../scripts/training_background_errors.py"


rule training_assimilator:
    input:
        unpack(training_bank),
        unpack(training_filter),
        unpack(training_errors),
        forecaster=training_after("forecaster"),
        states=training_states("assimilator"),
        climatology=results("states/climatology.zarr"),
        grids=training_grids,
        grid_statistics=training_grid_statistics,
        simulated=training_simulated_grids,
    output:
        checkpoint=results("models/{experiment}/assimilator.ckpt"),
        losses=results("models/{experiment}/assimilator.losses.parquet"),
    threads: threads_of("training_assimilator")
    resources:
        **training_launch("assimilator"),
        **request("training_assimilator"),
    params:
        stage=training_stage("assimilator"),
        saving=training_saving("assimilator"),
        options=training_options("assimilator"),
        model=training_model,
        variational=training_variational_settings,
        sources=of_experiment(lambda one: one.sources),
        windows=lambda wildcards: windows(wildcards.experiment),
        simulated=training_simulated,
        dates=dates(CONFIG.periods.observations),
        reach=training_reach("assimilator"),
        seed=training_seed,
        from_climatology=of_experiment(lambda one: one.background == "none"),
        state=restart("training/{experiment}/assimilator"),
        tensorboard=results("logs/tensorboard/{experiment}/assimilator"),
    script:
        "../scripts/training_assimilator.py"


rule training_first_guess:
    input:
        assimilator=training_after("assimilator"),
        observed=segments_of(results("states/era5/{segment}.zarr"), CONFIG.periods.observations),
        climatology=results("states/climatology.zarr"),
        grids=training_grids,
    output:
        errors=results("models/{experiment}/first_guess.parquet"),
    threads: threads_of("training_first_guess")
    resources:
        **request("training_first_guess"),
    params:
        settings=of_experiment(lambda one: one.cycle_check.fit.model_dump(mode="json")),
        sources=of_experiment(lambda one: one.sources),
        accelerator=of_experiment(lambda one: one.training.accelerator),
        threads=threads_of("training_first_guess"),
        seed=CONFIG.seed,
    script:
        "../scripts/training_first_guess.py"


rule training_joint:
    input:
        assimilator=training_after("assimilator"),
        states=training_states("joint"),
        climatology=results("states/climatology.zarr"),
        grids=training_grids,
        simulated=training_simulated_grids,
        compared=training_compared_grids,
        statistics=training_operator_statics,
    output:
        checkpoint=results("models/{experiment}/joint.ckpt"),
        losses=results("models/{experiment}/joint.losses.parquet"),
    threads: threads_of("training_joint")
    resources:
        **training_launch("joint"),
        **request("training_joint"),
    params:
        coefficients=training_coefficients,
        stage=training_stage("joint"),
        saving=training_saving("joint"),
        simulated=training_simulated,
        compared_windows=training_compared_windows,
        options=training_options("joint"),
        dates=dates(CONFIG.periods.observations),
        reach=training_reach("joint"),
        seed=training_seed,
        from_climatology=of_experiment(lambda one: one.background == "none"),
        state=restart("training/{experiment}/joint"),
        tensorboard=results("logs/tensorboard/{experiment}/joint"),
    script:
        "../scripts/training_joint.py"


rule training_replay:
    input:
        before=training_replay_before,
        states=training_replay_states,
        climatology=results("states/climatology.zarr"),
        grids=training_replay_grids,
        simulated=training_simulated_grids,
    output:
        checkpoint=results("models/{experiment}/replay/{segment}.ckpt"),
        losses=results("models/{experiment}/replay/{segment}.losses.parquet"),
    threads: threads_of("training_replay")
    resources:
        **training_launch("replay"),
        **request("training_replay"),
    params:
        stage=training_stage("replay"),
        saving=training_saving("replay"),
        simulated=training_simulated,
        options=training_options("replay"),
        observations=dates(CONFIG.periods.observations),
        cycle=lambda wildcards: dates(training_replay_cycle(wildcards)),
        fresh=lambda wildcards: dates(training_replay_fresh(wildcards)),
        reach=training_reach("replay"),
        seed=training_replay_seed,
        from_climatology=of_experiment(lambda one: one.background == "none"),
        state=restart("training/{experiment}/replay/{segment}"),
        tensorboard=results("logs/tensorboard/{experiment}/replay/{segment}"),
    script:
        "../scripts/training_replay.py"


rule training_autoregressive:
    input:
        joint=training_after("joint"),
        states=segments_of(results("states/era5/{segment}.zarr"), CONFIG.periods.training),
    output:
        checkpoint=results("models/{experiment}/autoregressive.ckpt"),
        losses=results("models/{experiment}/autoregressive.losses.parquet"),
    # forecasts wait for it; the cycles fill the processor beside it
    priority: 1
    threads: threads_of("training_autoregressive")
    resources:
        **training_launch("autoregressive"),
        **request("training_autoregressive"),
    params:
        stage=training_stage("autoregressive"),
        saving=training_saving("autoregressive"),
        options=training_options("autoregressive"),
        dates=dates(CONFIG.periods.training),
        seed=training_seed,
        state=restart("training/{experiment}/autoregressive"),
        tensorboard=results("logs/tensorboard/{experiment}/autoregressive"),
    script:
        "../scripts/training_autoregressive.py"


rule training:
    input:
        training_last_checkpoints(),
        training_last_replays(),
    localrule: True
