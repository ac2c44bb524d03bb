"""Sizes of the networks and the stages of their training."""

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, model_validator

from fuxiflow.config.base import Fraction, Period, Positive, Section


class Optimisation(Section):
    """One training stage: AdamW, linear warm-up, then a cosine to zero or a constant rate.

    ``batch`` is that of an update, over all devices and ``accumulate`` parts that follow on each other. With ``ema``
    the stage leaves a running mean of its weights, of that decay. The stage stops after ``max_skipped`` updates whose
    loss was not finite. Restart files are written every ``checkpoint_every`` updates; ``keep_checkpoints`` remain.
    ``recompute`` keeps the inputs of blocks alone and makes their activations again for the gradient. ``threads`` of
    the processor compute (each device's share, where there are several): sums are of another order on another number.
    """

    updates: Positive
    batch: Positive
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: Fraction = 0.05
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(1.0, gt=0)
    accumulate: Positive = 1
    ema: float | None = Field(None, gt=0, lt=1)
    max_skipped: int = Field(20, ge=0)
    checkpoint_every: Positive = 200
    keep_checkpoints: Positive = 2
    recompute: bool = False
    threads: Positive = 2

    @model_validator(mode="after")
    def _parts(self):
        if self.batch % self.accumulate:
            raise ValueError(
                f"accumulate: {self.accumulate} parts of a batch of {self.batch}, allowed: its divisors"
            )
        return self


class RolloutStage(Optimisation):
    """A stage that trains the forecaster alone, on ``longest`` steps at most and ``length(update)`` at an update.

    ``noise_fraction`` of the samples start from a state with an error of at most about ``noise`` times the 6-h change.
    """

    noise: float = Field(0.0, ge=0)
    noise_fraction: Fraction = 0.5
    truncation: int | None = Field(
        None, gt=0, description="steps that are back-propagated through, default all"
    )


class ForecasterStage(RolloutStage):
    """Stage 1: one step ahead, then ``rollout`` steps for the last ``rollout_fraction`` of the updates."""

    rollout: Positive = 1
    rollout_fraction: Fraction = 0.0

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.rollout

    def length(self, update: int) -> int:
        """Number of steps that an update unrolls."""
        return self.rollout if update >= self.updates * (1 - self.rollout_fraction) else 1


class AutoregressiveStage(RolloutStage):
    """Stage 4: from ``first_steps`` to ``steps`` steps, each number for an equal share of the updates."""

    first_steps: Positive = 1
    steps: Positive = 20

    @model_validator(mode="after")
    def _grows(self):
        if self.first_steps > self.steps:
            raise ValueError(f"first_steps: {self.first_steps} is more than steps, {self.steps}")
        if self.updates < self.steps - self.first_steps + 1:
            raise ValueError(
                f"updates: at least one for each of {self.first_steps} to {self.steps} steps"
            )
        return self

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.steps

    def length(self, update: int) -> int:
        """Number of steps that an update unrolls."""
        return self.first_steps + update * (self.steps - self.first_steps + 1) // self.updates


class AssimilatorStage(Optimisation):
    """Stage 2: backgrounds are forecasts of a random lead of at most ``max_lead_hours``.

    ``cold_fraction`` of the samples start from climatology, as a cycle's cold start does; ``source_dropout`` of them
    have no observations, as in an outage. Cycles go on from where the update before left them, for ``chain`` updates,
    and then start anew. Climatology is that of a day up to ``climatology_shift_days`` away.
    """

    max_lead_hours: int = Field(180, ge=6, multiple_of=6)
    cold_fraction: Fraction = 0.1
    source_dropout: Fraction = 0.1
    chain: Positive = 1
    climatology_shift_days: int = Field(0, ge=0)


class ObservationLoss(Section):
    """L_obs on in-situ ``sources``, ``weight`` times beside L_state; with no source there is none.

    Compared with a state is what was observed up to ``half_width_hours`` before or after its time; soundings, which
    enter as a single frame, in their own window. ``radiances`` names sounders that the experiment assimilates, with
    which states are compared through the observation operator: ``radiance_weight`` times beside L_state, at most
    ``radiance_footprints`` of each for the states of a batch.
    """

    sources: list[str] = []
    weight: float = Field(1.0, ge=0)
    half_width_hours: Positive = 1
    radiances: list[str] = []
    radiance_weight: float = Field(0.1, ge=0)
    radiance_footprints: Positive = 4096

    @property
    def compared(self) -> list[str]:
        """All sources that states are compared with."""
        return [*self.sources, *self.radiances]


class JointStage(AssimilatorStage):
    """Stage 3: as stage 2, with ``cycles`` cycles unrolled and back-propagated through."""

    cycles: Positive = 4
    background_weight: float = Field(1.0, ge=0)
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    observation_loss: ObservationLoss = ObservationLoss()
    truncation: int | None = Field(
        None, gt=0, description="cycles that are back-propagated through, default all"
    )


class ReplayStage(AssimilatorStage):
    """An update of the assimilator before each segment of the cycle, beside the frozen forecaster, on what has arrived
    since and on older samples, as FuXi Weather 1 (arXiv 2408.05472) has it for every month of its test year.

    The reanalysis is known up to ``delay_days`` days before the segment begins (default: ERA5T's delay, five days);
    fresh are the last ``fresh_days`` of it since the cold start. A share ``replay_fraction`` of the samples is older.
    ``cycles`` are unrolled, and the backgrounds count with ``background_weight``. The paper gives no numbers: these are
    ours.
    """

    fresh_days: Positive = 31
    replay_fraction: Fraction = 0.5
    delay_days: int = Field(5, ge=0)
    cycles: Positive = 1
    background_weight: float = Field(0.0, ge=0)
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    truncation: int | None = Field(
        None, gt=0, description="cycles that are back-propagated through, default all"
    )

    @property
    def steps(self) -> tuple[int, int]:
        """How many steps of 6 h a sample's fields reach back from its first analysis, and on."""
        return self.max_lead_hours // 6 + 1, self.cycles * self.chain

    def fresh(self, first: date, cold_start: date) -> Period | None:
        """The days of fresh data of the update for a segment that begins on ``first``; None where those since
        ``cold_start`` hold no sample: then there is no update."""
        end = first - timedelta(days=self.delay_days + 1)
        before, after = self.steps
        if 4 * ((end - cold_start).days + 1) < before + 1 + after:
            return None
        return Period(start=max(cold_start, end - timedelta(days=self.fresh_days - 1)), end=end)

    @model_validator(mode="after")
    def _holds_a_sample(self):
        if 4 * self.fresh_days <= self.steps[1]:
            raise ValueError(
                f"fresh_days: {self.fresh_days} days hold no chain of {self.steps[1]} cycles, allowed: at "
                f"least {self.steps[1] // 4 + 1}"
            )
        return self


class Backgrounds(Section):
    """A bank of backgrounds for stage 2, made by the forecaster of stage 1: one every ``every_hours``, of a random lead
    of at most stage 2's ``max_lead_hours``; ``batch`` forecasts are computed at once."""

    every_hours: int = Field(6, ge=6, multiple_of=6)
    batch: Positive = 4


class SimulatedShare(Period):
    """Days on which a ``share`` of a source's windows, drawn at random, are simulated observations instead of real
    ones: 0 none, 1 all."""

    share: Fraction = 1.0


class Training(Section):
    """The training stages, in order; ``autoregressive`` and the bank of ``backgrounds`` where they are given. Forecasts
    are made with the networks of the last stage, the cycle with ``joint``'s, or with those of ``replay``, which go on
    from them segment by segment.

    ``simulated`` says by source when stages 2 and 3 see simulated observations; on other days they see real ones.
    ``devices`` of each of ``nodes`` work on a batch together, by the ``strategy``: whole weights on each (ddp), or
    shared out (fsdp).
    """

    forecaster: ForecasterStage
    backgrounds: Backgrounds | None = None
    assimilator: AssimilatorStage
    joint: JointStage
    replay: ReplayStage | None = None
    autoregressive: AutoregressiveStage | None = None
    simulated: dict[str, list[SimulatedShare]] = {}
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    strategy: Literal["ddp", "fsdp"] = "ddp"
    devices: Positive = 1
    nodes: Positive = 1
    workers: int = Field(0, ge=0)
    compile: bool = False

    @property
    def stages(self) -> dict[str, Optimisation]:
        """The stages before the cycle by name, in order."""
        names = ("forecaster", "assimilator", "joint", "autoregressive")
        return {name: stage for name in names if (stage := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _shares(self):
        ranks = self.devices * self.nodes
        for name, stage in (self.stages | ({"replay": self.replay} if self.replay else {})).items():
            if stage.batch % (ranks * stage.accumulate):
                raise ValueError(
                    f"{name}.batch: {stage.batch} samples on {ranks} devices in {stage.accumulate} parts, "
                    f"allowed: multiples of {ranks * stage.accumulate}"
                )
        return self
