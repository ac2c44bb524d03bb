"""Stages of the training of the networks."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from pydantic import Field, model_validator

from fuxiflow.config.base import Fraction, Period, Positive, Section
from fuxiflow.config.linear_fits import FilterFit, SpectralFit
from fuxiflow.config.variational import Variational

SAMPLES_A_DAY = 4  # analyses are 6 h apart


class Optimisation(Section):
    """One training stage: AdamW with linear warm-up, then a cosine to zero or a constant rate."""

    updates: Positive
    """Number of updates of the weights."""
    batch: Positive
    """Samples of one update, over all devices and all ``accumulate`` parts together."""
    learning_rate: float = Field(gt=0)
    """Learning rate after the warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: a cosine to zero, or constant."""
    warmup: Fraction = 0.05
    """Fraction of the updates over which the learning rate rises linearly from zero."""
    weight_decay: float = 0.1
    """Weight decay of AdamW."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of AdamW's running means of gradients and of their squares."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of a gradient; longer ones are shortened to it."""
    accumulate: Positive = 1
    """Parts of a batch that follow on each other before an update: less memory, the same update."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of a running mean of the weights, which the stage then leaves; by default none."""
    max_skipped: Fraction = 0.02
    """Share of the updates that may be skipped, as their loss is not finite; with more it fails.

    It fails at once where all of the first ones are."""
    checkpoint_every: Positive = 200
    """Updates between restart files."""
    keep_checkpoints: Positive = 2
    """Number of restart files that are kept."""
    recompute: bool = False
    """Whether only the inputs of blocks are kept and activations are computed again for gradients.

    It costs a third more arithmetic. Memory then grows neither with the number of sources nor with
    the depth of a block."""
    threads: Positive = 2
    """Threads of the processor, shared by the devices; results depend on them in the last bits.

    One thread pays where other jobs have the rest: two take some 0.6 of the time of one, not half.
    """

    @model_validator(mode="after")
    def _parts(self):
        if self.batch % self.accumulate:
            raise ValueError(
                f"accumulate: {self.accumulate} parts of a batch of {self.batch}, allowed: "
                f"its divisors"
            )
        return self


class RolloutStage(Optimisation):
    """A stage that trains the forecaster alone.

    It unrolls ``longest`` steps at most, ``length(update)`` of them at an update.
    """

    noise: float = Field(0.0, ge=0)
    """Largest error of the state that a sample starts from, in units of about the 6-h change."""
    noise_fraction: Fraction = 0.5
    """Fraction of the samples that start from a state with such an error."""
    truncation: int | None = Field(None, gt=0)
    """Steps of 6 h that are back-propagated through; by default all."""


class ForecasterStage(RolloutStage):
    """Stage 1: the forecaster, one step ahead, and several steps towards the end."""

    rollout: Positive = 1
    """Steps of 6 h that the last updates unroll."""
    rollout_fraction: Fraction = 0.0
    """Fraction of the updates, at the end, that unroll ``rollout`` steps."""

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.rollout

    def length(self, update: int) -> int:
        """Return the number of steps that an update unrolls."""
        return self.rollout if update >= self.updates * (1 - self.rollout_fraction) else 1


class AutoregressiveStage(RolloutStage):
    """Stage 4: the forecaster, on longer and longer forecasts; the cycle keeps the stage before."""

    first_steps: Positive = 1
    """Steps of 6 h that the first updates unroll."""
    steps: Positive = 20
    """Steps of 6 h that the last updates unroll; each number has an equal share of the updates."""

    @model_validator(mode="after")
    def _grows(self):
        if self.first_steps > self.steps:
            raise ValueError(
                f"first_steps: {self.first_steps} is more than steps, allowed: up to {self.steps}"
            )
        if self.updates < self.steps - self.first_steps + 1:
            raise ValueError(
                f"updates: {self.updates}, allowed: at least one for each of {self.first_steps} "
                f"to {self.steps} steps"
            )
        return self

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.steps

    def length(self, update: int) -> int:
        """Return the number of steps that an update unrolls."""
        return self.first_steps + update * (self.steps - self.first_steps + 1) // self.updates


class AssimilatorStage(Optimisation):
    """Stage 2: the assimilator, on backgrounds that the forecaster makes."""

    max_lead_hours: int = Field(180, ge=6, multiple_of=6)
    """Longest forecast in hours that becomes a background, a multiple of 6; leads are random."""
    cold_fraction: Fraction = 0.1
    """Fraction of the samples that start from climatology, as a cycle's cold start does."""
    source_dropout: Fraction = 0.1
    """Fraction of the samples without observations, as in an outage."""
    single_source_dropout: Fraction = 0.0
    """Fraction of the samples without a source, drawn for each source alone.

    A cycle from which one source is withheld is then a state that the networks know."""
    forecast_steps: int = Field(0, ge=0)
    """Steps of 6 h that are forecast from each analysis for the loss; by default none.

    FuXi Weather 1 (arXiv 2408.05472) takes ten, of a frozen forecaster: the loss is the mean L1 of
    the forecasts beside that of the analysis. Stage 2 and replay leave the forecaster as it is;
    stage 3 trains it on them too, unless it has ``frozen_forecaster``."""
    forecast_weight: float = Field(1.0, ge=0)
    """Weight of the mean loss of these forecasts relative to that of the analyses."""
    chain: Positive = 1
    """Updates in a row whose cycles go on from where the update before left them."""
    climatology_shift_days: int = Field(0, ge=0)
    """Most days between a sample and the day whose climatology its background is compared with.

    A climatology holds the years it was made of and is too close to them. Another day's is not."""

    @property
    def reach(self) -> int:
        """Steps of 6 h from the first analysis of a chain to the last field of a loss."""
        return getattr(self, "cycles", 1) * self.chain + max(self.forecast_steps, 1) - 1


class ObservationLoss(Section):
    """The loss L_obs: states compared with observations, beside L_state.

    ``sources`` are in-situ. ``radiances`` are compared through the observation operator.
    """

    sources: list[str] = []
    """In-situ sources that analyses and backgrounds are compared with; none: L_state alone."""
    weight: float = Field(1.0, ge=0)
    """Weight of the in-situ sources relative to L_state."""
    half_width_hours: Positive = 1
    """Hours between an observation and the analysis time at most; soundings use their window."""
    radiances: list[str] = []
    """Assimilated sounders that states are compared with through the observation operator."""
    radiance_weight: float = Field(0.1, ge=0)
    """Weight of the radiances relative to L_state."""
    radiance_footprints: Positive = 4096
    """Most footprints of each sounder for the states of one batch."""

    @property
    def compared(self) -> list[str]:
        """All sources that states are compared with."""
        return [*self.sources, *self.radiances]


class JointStage(AssimilatorStage):
    """Stage 3: as stage 2, through several cycles in a row."""

    cycles: Positive = 4
    """Cycles of analysis and forecast that are unrolled."""
    background_weight: float = Field(1.0, ge=0)
    """Weight of the backgrounds' loss relative to that of the analyses."""
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    """Longest forecast in hours that becomes the first background, a multiple of 6."""
    observation_loss: ObservationLoss = ObservationLoss()
    """Loss against observations; by default none."""
    frozen_forecaster: bool = False
    """Whether the forecaster stays as it is, and the assimilator alone is trained.

    FuXi Weather 1 trains so."""
    truncation: int | None = Field(None, gt=0)
    """Cycles that are back-propagated through; by default all."""


class ReplayStage(AssimilatorStage):
    """An update of the assimilator before each segment of the cycle, with a frozen forecaster.

    It learns from what has arrived since the segment before, and from older samples. FuXi Weather 1
    (arXiv 2408.05472) does so for every month of its test year; the paper gives no numbers, these
    are ours. L_obs is not used.
    """

    fresh_days: Positive = 31
    """Last days of known reanalysis that count as fresh; none lies before the cold start."""
    replay_fraction: Fraction = 0.5
    """Fraction of the samples that are older than the fresh days."""
    delay_days: int = Field(5, ge=0)
    """Days before the segment up to which the reanalysis is known: the delay of ERA5T."""
    cycles: Positive = 1
    """Cycles of analysis and forecast that are unrolled."""
    background_weight: float = Field(0.0, ge=0)
    """Weight of the backgrounds' loss relative to that of the analyses."""
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    """Longest forecast in hours that becomes the first background, a multiple of 6."""
    truncation: int | None = Field(None, gt=0)
    """Cycles that are back-propagated through; by default all."""

    @property
    def steps(self) -> tuple[int, int]:
        """Steps of 6 h that a sample's fields reach back from its first analysis, and on."""
        return self.max_lead_hours // 6 + 1, self.reach

    def fresh(self, first: date, cold_start: date) -> Period | None:
        """Return the days of fresh data for the segment that begins on ``first``.

        None where those since ``cold_start`` hold no sample: then there is no update.
        """
        end = first - timedelta(days=self.delay_days + 1)
        before, after = self.steps
        if SAMPLES_A_DAY * ((end - cold_start).days + 1) < before + 1 + after:
            return None
        return Period(start=max(cold_start, end - timedelta(days=self.fresh_days - 1)), end=end)

    @model_validator(mode="after")
    def _holds_a_sample(self):
        if SAMPLES_A_DAY * self.fresh_days <= self.steps[1]:
            raise ValueError(
                f"fresh_days: {self.fresh_days} days hold no chain of {self.steps[1]} cycles, "
                f"allowed: at least {self.steps[1] // SAMPLES_A_DAY + 1}"
            )
        return self


class Backgrounds(Section):
    """A bank of backgrounds for stage 2, made once by the forecaster of stage 1.

    Their leads are random, up to stage 2's ``max_lead_hours``. Without a bank every sample of stage
    2 begins with its own forecast.
    """

    every_hours: int = Field(6, ge=6, multiple_of=6)
    """Hours between backgrounds, a multiple of 6."""
    batch: Positive = 4
    """Forecasts that are computed at once."""


class SimulatedShare(Period):
    """Days on which some windows of a source are simulated, drawn at random."""

    share: Fraction = 1.0
    """Fraction of the windows that are simulated instead of real: 0 none, 1 all."""


def simulated_shares(entries_by_source: dict[str, list[dict]]) -> dict[str, list[SimulatedShare]]:
    """Return the shares of simulated windows by source, from the plain values of a rule."""
    return {
        name: [SimulatedShare(**entry) for entry in entries]
        for name, entries in entries_by_source.items()
    }


FIT_WINDOWS = 160
FIT_CELLS = 160 * 32 * 64
FEWEST_WINDOWS = 4


def fit_window_count(cells: int) -> int:
    """Number of windows that encoders are fitted to before stage 2, on a grid of so many cells.

    Six states of each are in memory at once, so that a finer grid takes fewer windows, which have
    as many cells.
    """
    return min(FIT_WINDOWS, max(FEWEST_WINDOWS, FIT_CELLS // cells))


@dataclass(frozen=True)
class Layout:
    """The devices that a training stage uses: ``devices`` of each of ``nodes`` machines."""

    nodes: int
    devices: int

    @property
    def processes(self) -> int:
        """One for each device."""
        return self.nodes * self.devices


class Training(Section):
    """The stages of training, in order, and what they share.

    The cycle uses the networks after ``joint`` or ``replay``. Forecasts use those of the last
    stage.
    """

    forecaster: ForecasterStage
    """Stage 1: the forecaster learns steps of 6 h."""
    backgrounds: Backgrounds | None = None
    """A bank of backgrounds for stage 2; by default none, and every sample makes its own."""
    background_filter: FilterFit | None = None
    """The filter that backgrounds pass before each analysis; by default none."""
    variational: Variational | None = None
    """3D-Var, whose increment the assimilator starts from; by default it is the mean of what the
    sources' cells ask for one by one."""
    assimilator: AssimilatorStage
    """Stage 2: the assimilator learns from the forecaster's backgrounds."""
    joint: JointStage
    """Stage 3: assimilator and forecaster together, over several cycles."""
    replay: ReplayStage | None = None
    """Updates of the assimilator before each segment of the cycle; by default none."""
    autoregressive: AutoregressiveStage | None = None
    """Stage 4: the forecaster on long forecasts; by default none."""
    simulated: dict[str, list[SimulatedShare]] = {}
    """By source, the days on which stages 2, 3 and replay see simulated windows; else real ones."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Numbers computed with; auto: bf16-mixed where the device has it natively, else 32-true."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Processor or GPU; auto: a GPU where there is one."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Several devices: whole weights on each (ddp), or shared out between them (fsdp)."""
    devices: Positive = 1
    """Devices of each machine that work on a batch together.

    A stage uses and asks for as many as its batch can be shared by evenly: with a batch of 1, one.
    """
    nodes: Positive = 1
    """Machines that work on a batch together; more than one needs Slurm."""
    workers: int = Field(0, ge=0)
    """Processes that load data, for each device; 0: the training process loads."""
    compile: bool = False
    """Whether ``torch.compile`` compiles the networks' blocks, which takes a few minutes."""

    @property
    def stages(self) -> dict[str, Optimisation]:
        """The stages before the cycle by name, in order."""
        names = ("forecaster", "assimilator", "joint", "autoregressive")
        return {name: stage for name in names if (stage := getattr(self, name)) is not None}

    @property
    def linear_fits(self) -> list[SpectralFit]:
        """The fits by zonal wavenumber before stage 2: the filter, and background errors."""
        return [
            fit
            for fit in (self.background_filter, self.variational and self.variational.fit)
            if fit is not None
        ]

    def layout(self, stage: str) -> Layout:
        """Return the devices that a stage uses: as many as its batch can be shared by evenly.

        A device takes whole samples, and all take as many in each of the ``accumulate`` parts. Of
        several ways that with the fewest machines is taken.
        """
        settings = getattr(self, stage)
        samples = settings.batch // settings.accumulate
        ways = [
            Layout(nodes, devices)
            for nodes in range(1, min(self.nodes, samples) + 1)
            for devices in range(1, min(self.devices, samples) + 1)
            if samples % (nodes * devices) == 0
        ]
        return max(ways, key=lambda way: way.processes)
