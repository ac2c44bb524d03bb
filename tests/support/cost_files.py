"""Benchmarks, records and accounts of a small run, in numbers that are easy to add up."""

from pathlib import Path

from fuxiflow.storage.files import write_sealed_json

JOBS = {  # rule/wildcards: s, s of the processor, MB, threads, minutes and MB requested, GPUs
    "world_spinup": (36, 18, 100, 1, 60, 3000, 0),
    "states_decode/era5/2022-01": (360, 180, 200, 1, 120, 2000, 0),
    "states_decode/era5/2022-02": (720, 540, 300, 1, 120, 2000, 0),
    "training_joint/full": (3600, 7200, 5000, 4, 1440, 4000, 2),
    "cycling_analyses/full/2022-02": (1800, 900, 1000, 1, 240, 3000, 1),
    "cycling_analyses/denial/2022-02": (1800, 900, 800, 1, 240, 3000, 1),
}
HEAD = ("s", "h:m:s", "max_rss", "cpu_time")
REPORT = """,JobID,JobName,RuleName,NNodes,NCPUS,Elapsed_sec,TotalCPU_sec,MaxRSS_MB,RequestedMem_MB
0,7.0,python,rule_training_joint_wildcards_full,1,4,1800,3000,4500,4000
1,8.0,python,rule_training_joint_wildcards_full,1,4,5400,9000,5500,8000
2,9.0,python,rule_world_spinup,1,1,60,30,90,3000
3,10.0,python,rule_gone_wildcards_x,1,1,60,30,90,3000
"""


def write_run(results: Path) -> None:
    """Benchmarks and records below ``results``."""
    for name, (seconds, cpu, peak, threads, runtime, mem_mb, gpus) in JOBS.items():
        path = results / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\t".join(HEAD) + f"\n{seconds}\t0:00:00\t{peak}\t{cpu}\n")
        path = results / "records" / f"{name}.json"
        requested = {"threads": threads, "mem_mb": mem_mb, "runtime": runtime}
        write_sealed_json(path, {"requested": requested, "gpus": gpus})


def write_report(results: Path, name: str = "efficiency_report_1.csv") -> Path:
    """Write a report of Snakemake's Slurm plugin.

    It has a job of two attempts, one without wildcards, and an unknown one.
    """
    path = results / "slurm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(REPORT)
    return path
