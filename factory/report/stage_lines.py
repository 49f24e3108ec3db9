"""A running stage in words: what progress and `watch` have in common."""

from collections.abc import Iterator

from factory.report.tables import duration, percent
from factory.watching.status import JobStatus, StageStatus, State

HOUR_S = 3600.0


def pace(stage: StageStatus) -> str:
    """How it goes, in one line; before the first token, that engines start."""
    if not stage.engine.num_generated_tokens and not stage.num_done:
        return "starting engines"
    speed = f"{stage.tokens_per_s:,.0f} tokens/s" if stage.tokens_per_s is not None else ""
    failed = f"{stage.num_failed:,} failed" if stage.num_failed else ""
    said = [f"{stage.engine.num_finished:,} completions", speed, failed]
    return ", ".join(part for part in said if part)


def stage_rows(stage: StageStatus) -> Iterator[tuple[str, str]]:
    """Everything that is known of a stage, by its name; what has not happened is left out."""
    yield "problems", _problems(stage)
    engine, load, program = stage.engine, stage.engine.load, stage.program
    rates = [
        f"{rate:,.1f} {what}/s"
        for rate, what in ((stage.rollouts_per_s, "rollouts"), (stage.tokens_per_s, "tokens"))
        if rate is not None
    ]
    yield "work", ", ".join([f"{program.num_rollouts:,} rollouts", *rates])
    if stage.state is State.RUNNING:
        waiting = f", {load.num_waiting:,} waiting" if load.num_waiting else ""
        yield (
            "engines",
            f"{stage.num_engines} of {stage.num_engines_asked} up, {load.num_running:,} of "
            f"{load.max_concurrency:,} requests running{waiting}, "
            f"{percent(load.kv_cache_usage, 1)} of KV in use",
        )
    if engine.num_cache_queries:
        yield (
            "cache",
            f"{percent(engine.num_cache_hits, engine.num_cache_queries)} of prompt tokens found, "
            f"{engine.num_preemptions:,} preemptions",
        )
    if program.num_steps:
        yield (
            "steps",
            f"{program.num_steps:,} done in {program.num_rounds:,} rounds, "
            f"{program.num_undecided:,} undecided",
        )
    if program.num_ungraded or program.num_grader_timeouts:
        yield (
            "grader",
            f"{program.num_ungraded:,} rollouts without a verdict, "
            f"{program.num_grader_timeouts:,} of them by the clock",
        )
    if program.num_code_runs:
        yield (
            "sandbox",
            f"{program.num_code_runs:,} blocks of code, {program.num_code_timeouts:,} timed out, "
            f"{program.num_code_stopped:,} stopped",
        )
    yield "cost", cost(stage)
    if stage.num_engine_deaths or stage.num_workers_replaced:
        yield (
            "deaths",
            f"{stage.num_engine_deaths:,} engines died, "
            f"{stage.num_workers_replaced:,} workers replaced",
        )


def _problems(stage: StageStatus) -> str:
    parts = [f"{stage.num_done:,} of {stage.num_groups:,} done"]
    if stage.num_dropped:
        parts.append(f"{stage.num_dropped:,} dropped")
    if stage.num_failed:
        parts.append(f"{stage.num_failed:,} failed")
    if stage.num_stored:
        parts.append(f"{stage.num_stored:,} stored before")
    if stage.state is State.RUNNING and stage.left_s is not None:
        parts.append(f"about {duration(stage.left_s)} left")
    return ", ".join(parts)


def cost(stage: StageStatus) -> str:
    """What this run reserved and generated, what it comes to if the rest costs the same, and what
    all runs have reserved."""
    parts = [
        hours(stage.engine_s, stage.gpu_s),
        f"{stage.engine.num_generated_tokens:,} tokens",
    ]
    if stage.state is State.RUNNING and stage.projected_tokens is not None:
        gpu_hours = f"{stage.projected_gpu_s / HOUR_S:,.2f} and " if stage.projected_gpu_s else ""
        parts.append(f"projected {gpu_hours}{stage.projected_tokens:,.0f}")
    if stage.engine_s_before:
        engine_s = stage.engine_s_before + stage.engine_s
        gpu_s = stage.gpu_s_before + stage.gpu_s
        parts.append(f"{hours(engine_s, gpu_s)} over all runs")
    return ", ".join(parts)


def hours(engine_s: float, gpu_s: float) -> str:
    """Time that was reserved: of GPUs where there were any, else of engines."""
    name, used_s = ("GPU", gpu_s) if gpu_s else ("engine", engine_s)
    return f"{used_s / HOUR_S:,.2f} {name}-hours"


def trouble_lines(stage: StageStatus) -> Iterator[str]:
    """Why groups were dropped, the last that failed, and what engines died of."""
    for reason, number in sorted(stage.drop_reasons.items(), key=lambda item: -item[1]):
        yield f"{stage.name}: {number:,} dropped: {reason}"
    for failed in stage.recent_failures:
        yield f"{stage.name}: {failed.problem_id} failed: {' '.join(failed.reason.split())}"
    for death in stage.recent_deaths:
        yield f"{stage.name}: an engine died: {' '.join(death.split())}"


def headline(status: JobStatus, now: float) -> str:
    """Where the job stands, in one line that says what to do where something is to be done."""
    again = "run the same command again to go on"
    if (silent_s := status.silent_s(now)) is not None:
        return f"last heard {duration(silent_s)} ago from {status.host}: {again}"
    match status.state:
        case State.RUNNING:
            doing = status.doing or (status.stages[-1].name if status.stages else "starting")
            return f"running for {duration(now - status.started)} on {status.host}: {doing}"
        case State.DONE:
            return f"done after {duration(status.updated - status.started)}"
        case State.STOPPED:
            return f"stopped {duration(now - status.updated)} ago: {again}"
        case State.FAILED:
            error = " ".join((status.error or "").split())
            return f"failed {duration(now - status.updated)} ago: {error}"
