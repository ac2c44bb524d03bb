"""Cyclones: their tracks in forecasts, errors against best tracks, observations rejected near them."""

if CONFIG.cyclones:

    rule cyclones_best_tracks:
        input:
            raw=CONFIG.cyclones.best_tracks or raw_input(f"{needs.BEST_TRACKS}/{needs.WHOLE}"),
        output:
            table=results("cyclones/best_tracks.parquet"),
        resources:
            **request("cyclones_best_tracks"),
        params:
            dates=dates(cyclones_period()),
        script:
            "../scripts/cyclones_best_tracks.py"

    rule cyclones_tracks:
        input:
            forecasts=results("forecasts/{tracked}/{segment}.zarr"),
            best_tracks=rules.cyclones_best_tracks.output.table,
            statistics=results("states/statistics.zarr"),
        output:
            tracks=results("cyclones/tracks/{tracked}/{segment}.parquet"),
        resources:
            **request("cyclones_tracks"),
        params:
            system="{tracked}",
            tracker=CONFIG.cyclones.tracker.model_dump(mode="json"),
            max_lead_hours=CONFIG.cyclones.max_lead_hours,
            natures=CONFIG.cyclones.natures,
            least_wind=CONFIG.cyclones.least_wind,
        script:
            "../scripts/cyclones_tracks.py"

    rule cyclones_errors:
        input:
            tracks=expand(
                segments_of(rules.cyclones_tracks.output.tracks, CONFIG.periods.test),
                tracked=tracked_systems(CONFIG),
            ),
            best_tracks=rules.cyclones_best_tracks.output.table,
        output:
            errors=results("cyclones/errors.parquet"),
            scores=results("cyclones/scores.parquet"),
        resources:
            **request("cyclones_errors"),
        params:
            systems=tracked_systems(CONFIG),
            max_lead_hours=CONFIG.cyclones.max_lead_hours,
            bootstrap=CONFIG.cyclones.bootstrap,
            seed=CONFIG.seed,
        script:
            "../scripts/cyclones_errors.py"

    rule cyclones_rejections_part:
        input:
            tables=expand(
                results("observations/{source}/{segment}.parquet"),
                source=CONFIG.sources,
                allow_missing=True,
            ),
            best_tracks=rules.cyclones_best_tracks.output.table,
        output:
            counts=results("cyclones/rejections/{segment}.parquet"),
        resources:
            **request("cyclones_rejections_part"),
        params:
            sources=CONFIG.sources,
            dates=dates_in(CONFIG.periods.test),
            radius=CONFIG.cyclones.rejected_km,
        script:
            "../scripts/cyclones_rejections_part.py"

    rule cyclones_rejections:
        input:
            parts=segments_of(rules.cyclones_rejections_part.output.counts, CONFIG.periods.test),
        output:
            counts=results("cyclones/rejections.csv"),
        resources:
            **request("cyclones_rejections"),
        script:
            "../scripts/cyclones_rejections.py"

    rule cyclones:
        input:
            rules.cyclones_errors.output,
            rules.cyclones_rejections.output,
        localrule: True

else:

    rule cyclones:
        localrule: True
